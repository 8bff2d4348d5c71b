"""An HDF5 file that is written on top of a Python file, so that what the disk refuses is told and nothing else happens.

Given a path, libhdf5 ends the process with a crash when the disk is full: it keeps what it could not write.  Not known
here: what is in the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import IO, Any


@contextlib.contextmanager
def opened(file: IO[bytes]) -> Iterator[Any]:
    """An HDF5 file on top of a Python file.  Raises the OSError with which the disk refused to take something, while it
    is written or closed."""
    import h5py

    under = _Under(file)
    try:
        with h5py.File(under, "w") as store:
            yield store
    finally:
        if under.refused is not None:
            raise under.refused


class _Under:
    """The file under an HDF5 file.  libhdf5 keeps what it could not write, tries again whenever it closes something, and
    at the exit crashes on it; so it is told of the first refusal alone, and whatever it writes after that goes nowhere."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.refused: OSError | None = None
        self.seek, self.tell, self.read = file.seek, file.tell, file.read
        self.readinto = file.readinto  # type: ignore[attr-defined]

    def write(self, data: bytes) -> int:
        return len(data) if self.refused else self._asked(self._file.write, data)

    def truncate(self, size: int) -> int:
        return size if self.refused else self._asked(self._file.truncate, size)

    def flush(self) -> None:
        if not self.refused:
            self._asked(self._file.flush)

    def _asked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            self.refused = error
            raise
