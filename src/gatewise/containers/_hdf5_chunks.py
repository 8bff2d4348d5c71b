"""Chunks of HDF5 datasets: where they are, and their elements, plain or packed with deflate and shuffle.

Source: HDF5 File Format Specification 3.0, III.A.1 (B-trees of chunks), IV.A.2.l (filters); zlib.  Not known here: other filters,
chunks that were never written, and indexes other than the B-tree, which are left to libhdf5.
"""

from __future__ import annotations

import math
import zlib

from ..cursor import Limits
from ._hdf5_header import Ground
from ._hdf5_messages import Layout, NotPlain, Unsound
from ._hdf5_trees import CHUNKS, leaves

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from ..tensors import Array

    Dtype = np.dtype[Any]

_DEFLATE, _SHUFFLE = 1, 2


class Chunks:
    """The chunks of one dataset, whose header is at ``owner``.  ``half`` of the children that a node of its B-tree has room for."""

    def __init__(self, ground: Ground, layout: Layout, half: int, owner: int):
        self._ground, self._layout, self._half, self._owner = ground, layout, half, owner

    def _each(self) -> list[tuple[int, ...]]:
        """(bytes, which filters were left out, where it begins along each axis and within an element, address)."""
        if self._layout.place is None:
            return []
        key = f"II{len(self._layout.chunk)}Q"
        return list(leaves(self._ground, self._layout.place, CHUNKS, key, self._half, self._owner))

    def stored(self) -> int:
        """How many bytes all of them take."""
        return sum(each[0] for each in self._each())

    def read(self, shape: tuple[int, ...], dtype: Dtype, filters: list[int], limits: Limits) -> Array:
        import numpy as np

        *extent, item = self._layout.chunk
        if len(extent) != len(shape) or item != dtype.itemsize or 0 in extent:
            raise Unsound(f"chunks of {extent} elements of {item} bytes for a shape of {shape}")
        if not {_DEFLATE, _SHUFFLE}.issuperset(filters):
            raise NotPlain("a filter that only libhdf5 has")
        each, made = self._each(), np.empty(shape, dtype)
        if len(each) != math.prod(-(-size // step) for size, step in zip(shape, extent, strict=True)):
            raise NotPlain("chunks that were never written")
        seen = set()
        for size, left_out, *start, _, address in each:
            place = tuple(start)
            if place in seen or any(at % step or at >= end for at, step, end in zip(place, extent, shape, strict=True)):
                raise Unsound(f"a chunk at {place} where none belongs")
            seen.add(place)
            self._ground.take(address, size, "a chunk")
            packed = self._ground.data[address : address + size]
            whole = self._opened(packed, filters, left_out, limits)
            room = made[tuple(slice(at, at + step) for at, step in zip(place, extent, strict=True))]
            room[...] = np.frombuffer(whole, dtype).reshape(extent)[tuple(map(slice, room.shape))]
        return made

    def _opened(self, packed: memoryview, filters: list[int], left_out: int, limits: Limits) -> memoryview:
        """A chunk's bytes, without what the filters made of them, the last of which is undone first."""
        size, data = math.prod(self._layout.chunk), packed
        limits.opens(len(packed), size, where="a chunk")
        for index in reversed(range(len(filters))):
            if left_out >> index & 1:
                continue
            data = _inflated(data, size) if filters[index] == _DEFLATE else _in_order(data, self._layout.chunk[-1])
        if len(data) != size:
            raise Unsound(f"a chunk of {len(data):,} bytes instead of {size:,}")
        return data


def _inflated(packed: memoryview, size: int) -> memoryview:
    try:
        return memoryview(zlib.decompressobj().decompress(packed, size + 1))
    except zlib.error as error:
        raise Unsound(f"a chunk that cannot be opened: {error}") from None


def _in_order(shuffled: memoryview, item: int) -> memoryview:
    """The first bytes of all elements stand together, then the second ones: each element's own bytes together again."""
    import numpy as np

    return memoryview(np.frombuffer(shuffled, np.uint8).reshape(item, -1).T.tobytes())
