from __future__ import annotations

from collections.abc import Iterator

import pytest
from points_server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()
