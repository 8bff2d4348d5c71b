"""numpy's arrays as vectors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import UsageError


def owns(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def given(array: Any, like: Any) -> Any:  # noqa: ARG001  (there is one place where arrays are)
    return array


def contiguous(value: Any) -> bool:
    return bool(value.flags.c_contiguous)


@contextmanager
def filling(out: Any) -> Iterator[Any]:
    if not out.flags.writeable:
        raise UsageError("the buffer to pack into is read-only.", next="Give one that may be written, or none.")
    yield out
