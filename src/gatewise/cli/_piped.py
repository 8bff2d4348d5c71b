"""What is piped in: a temporary file, as long as a command runs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import GatewiseError, UsageError
from ._command import Namespace


@contextmanager
def piped(arguments: Namespace, dashes: Sequence[str]) -> Iterator[str]:
    """Replace the ``-`` of the arguments named by a temporary file with what is piped in; its path."""
    if len(dashes) > 1:
        raise UsageError("only one file can be piped in.", path="-", next="Name the other one by its path.")
    with tempfile.TemporaryDirectory(prefix="gatewise-") as folder:
        path = f"{folder}{os.sep}piped"
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        value = getattr(arguments, dashes[0])
        setattr(
            arguments, dashes[0], [path if each == "-" else each for each in value] if isinstance(value, list) else path
        )
        try:
            yield path
        except GatewiseError as error:
            error.path = "-" if error.path == path else error.path
            raise
