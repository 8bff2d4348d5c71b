"""Tensors that tell how far their writing has come.  Not known here: who writes them, and who looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..pieces import InPieces
from ..record import replace
from ..tensors import StoredTensor

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ..tensors import Array

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, the tensor's name


class _Watched(InPieces):
    """One tensor's elements; ``more(bytes, name)`` is called as they are read."""

    def __init__(self, tensor: StoredTensor, more: Callable[[int, str], None]):
        self._tensor = tensor
        self._more = more

    def __call__(self) -> Array:
        array = self._tensor.array()
        self._more(self._tensor.nbytes, self._tensor.name)
        return array

    def pieces(self) -> Iterator[memoryview]:
        for piece in self._tensor.pieces():
            yield piece
            self._more(len(piece), self._tensor.name)


def watched(tensors: Iterable[StoredTensor], progress: Progress | None) -> list[StoredTensor]:
    """The same tensors, telling ``progress`` as they are read."""
    stored = list(tensors)
    if progress is None:
        return stored
    total, done = sum(tensor.nbytes for tensor in stored), 0

    def more(bytes: int, name: str) -> None:
        nonlocal done
        done += bytes
        progress(done, total, name)

    return [replace(tensor, data=_Watched(tensor, more)) for tensor in stored]
