"""Arrays as bytes, piece by piece, for whoever writes them; and copies that turn rows into columns.

No piece is larger than what the second cache holds, and the pages of a mapped file are given back behind it, so that
neither a tensor nor a file is ever held.  A piece is good until the next one is asked for, which may be made in the same
memory: fresh memory costs a third of what a transposing copy into it does.  Not known here: names, files.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator

from .source import give_back

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    Array = np.ndarray[Any, Any]

PIECE = 1 << 20  # bytes: what is copied at once stays in the second cache, and costs no fresh memory
_LARGE, _TALL, _WIDE, _ASIDE = 1 << 14, 256, 128, 16  # elements: worth tiles, a tile, what its rows are longer by


class InPieces(abc.ABC):
    """Elements that are made piece by piece when they are written, and whole when they are called."""

    @abc.abstractmethod
    def __call__(self) -> Array: ...

    @abc.abstractmethod
    def pieces(self) -> Iterator[memoryview]:
        """As :meth:`StoredTensor.pieces`."""


_FREE: list[Array] = []  # memory that pieces were made in and nobody reads any more
_MOST = 4  # of them


class Room:
    """So many bytes to make one piece after another in."""

    def __init__(self, nbytes: int):
        import numpy as np

        try:
            held = _FREE.pop()
        except IndexError:
            held = np.empty(max(nbytes, PIECE), np.uint8)
        self._nbytes, self._held = nbytes, held if len(held) >= nbytes else np.empty(nbytes, np.uint8)

    def __enter__(self) -> Array:
        return self._held[: self._nbytes]

    def __exit__(self, *_error: object) -> None:
        if len(self._held) <= 2 * PIECE and len(_FREE) < _MOST:
            _FREE.append(self._held)


def in_pieces(array: Array, dtype: np.dtype[Any]) -> Iterator[memoryview]:
    """An array's elements as ``dtype``, row-major, as bytes: about PIECE at once, its pages given back behind them, also
    where not all are asked for.  What lies so already is not copied."""
    try:
        yield from _as_they_lie(array) if array.dtype == dtype and array.flags.c_contiguous else _copied(array, dtype)
    finally:
        give_back(array)


def _as_they_lie(array: Array) -> Iterator[memoryview]:
    import numpy as np

    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), PIECE):
        part = flat[start : start + PIECE]
        yield part.data
        give_back(part)


def _copied(array: Array, dtype: np.dtype[Any]) -> Iterator[memoryview]:

    while array.ndim > 1 and len(array) == 1:
        array = array[0]
    rows = array.reshape(-1) if array.ndim == 0 else array
    row = rows[:1].size * dtype.itemsize
    count = max(1, PIECE // max(1, row))
    with Room(min(count, len(rows)) * row) as memory:
        for start in range(0, len(rows), count):
            part = rows[start : start + count]
            raw = memory[: len(part) * row]
            copy_into(raw.view(dtype).reshape(part.shape), part)
            yield raw.data


def copy_into(view: Any, value: Any) -> None:
    """``view[...] = value``; a large matrix whose rows are the other's columns goes in tiles.

    A transposing copy reads one element of each row of the source in turn.  Where rows are a power of two long, these all
    fall into the same few sets of the first cache, and each is fetched anew for its neighbour.  So a tile is laid aside
    first, in rows that are a cache line longer: 2 to 5 times as fast for such sizes, about as fast for others."""
    axis = _across(value, view)
    if axis is None:
        view[...] = value
        return
    if axis == 1:
        view, value = view.T, value.T
    for held, place in tiles(value, view):
        place[...] = held


def tiles(rows: Any, columns: Any, tall: int = _TALL, wide: int = _WIDE) -> Iterator[tuple[Any, Any]]:
    """Tiles of two matrices of one shape, the one with its rows together, the other with its columns.  The first one's are
    laid aside, in the same memory each time; the other's are views."""
    with Room(tall * (wide + _ASIDE) * rows.dtype.itemsize) as memory:
        aside = memory.view(rows.dtype).reshape(tall, wide + _ASIDE)
        for top in range(0, len(rows), tall):
            for left in range(0, rows.shape[1], wide):
                place = slice(top, top + tall), slice(left, left + wide)
                tile = rows[place]
                held = aside[: len(tile), : tile.shape[1]]
                held[...] = tile
                yield held, columns[place]


def _across(value: Any, view: Any) -> int | None:
    """The axis along which the target lies densest, where that is not the source's own; None for any other copy."""
    if view.ndim != 2 or getattr(value, "shape", None) != view.shape or math.prod(view.shape) < _LARGE:
        return None
    theirs, ours = getattr(value, "strides", None), getattr(view, "strides", None)
    if theirs is None or ours is None:
        return None
    dense = 0 if ours[0] < ours[1] else 1
    return dense if theirs[dense] > theirs[1 - dense] else None
