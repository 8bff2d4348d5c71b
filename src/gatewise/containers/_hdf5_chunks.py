"""Chunks of HDF5 datasets: where they are, and their elements, plain or packed.

The filters are gatewise's own for both readers: libhdf5 2.0 reads past a chunk that is shorter than its checksum, or that opens to
less than it should.
Source: HDF5 File Format Specification 3.0, III.A.1 (B-trees of chunks), IV.A.2.l (filters); zlib; Fletcher's checksum as libhdf5
counts it; LibLZF's format, with h5py's filter 32000.  Not known here: other filters, chunks that were never written, and indexes other than
the B-tree.
"""

from __future__ import annotations

import math
import zlib

from ..cursor import Limits
from ._hdf5_header import Ground
from ._hdf5_messages import CHECKED, DEFLATE, SHUFFLE, Layout, NotPlain, Unsound
from ._hdf5_trees import CHUNKS, leaves

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any, Literal

    import numpy as np

    from ..tensors import Array

    Dtype = np.dtype[Any]

_FLETCHER = 65_535


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
            whole = opened(packed, self._layout.chunk, filters, left_out, limits)
            put(np.frombuffer(whole, dtype), made, place, tuple(extent))
        return made


def put(chunk: Array, made: Array, place: tuple[int, ...], extent: tuple[int, ...]) -> None:
    """The part of a chunk that lies within the shape."""
    room = made[tuple(slice(at, at + step) for at, step in zip(place, extent, strict=True))]
    room[...] = chunk.reshape(extent)[tuple(map(slice, room.shape))]


def opened(packed: memoryview, chunk: tuple[int, ...], filters: list[int], left_out: int, limits: Limits) -> memoryview:
    """A chunk's bytes, without what the filters made of them, the last of which is undone first.  ``chunk`` ends in the bytes of
    an element."""
    size, data = math.prod(chunk), packed
    limits.opens(len(packed), size, where="a chunk")
    for index in reversed(range(len(filters))):
        if left_out >> index & 1:
            continue
        if filters[index] == SHUFFLE:
            data = _in_order(data, chunk[-1])
        elif filters[index] == CHECKED:
            data = _checked(data)
        else:
            # A checksum that was taken before stands behind the numbers.
            data = (_inflated if filters[index] == DEFLATE else _unpacked)(data, size + 4 * filters.count(CHECKED))
    if len(data) != size:
        raise Unsound(f"a chunk of {len(data):,} bytes instead of {size:,}")
    return data


def _inflated(packed: memoryview, size: int) -> memoryview:
    try:
        return memoryview(zlib.decompressobj().decompress(packed, size + 1))
    except zlib.error as error:
        raise Unsound(f"a chunk that cannot be opened: {error}") from None


def _unpacked(packed: memoryview, size: int) -> memoryview:
    """LZF: runs of bytes, and references to what is there already."""
    data, at, made = bytes(packed), 0, bytearray()
    while at < len(data) and len(made) <= size:
        control, at = data[at], at + 1
        if control < 32:
            made += data[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length, at = length + data[at], at + 1
        start, at = len(made) - (control & 31) * 256 - data[at] - 1, at + 1
        if start < 0:
            raise Unsound("a chunk that refers to what is before it")
        piece = made[start : start + length + 2]
        made += (piece * ((length + 1) // len(piece) + 1))[: length + 2]
    return memoryview(made)


def _checked(data: memoryview) -> memoryview:
    """What stands before a checksum that fits it."""
    import numpy as np

    if len(data) < 4:
        raise Unsound(f"a checksum in a chunk of {len(data)} bytes")
    plain, said = data[:-4], bytes(data[-4:])
    words = np.frombuffer(bytes(plain) + b"\0" * (len(plain) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(_FLETCHER)
    sums = int((weights * words).sum()) % _FLETCHER, int(words.sum()) % _FLETCHER
    # The bytes of both halves stand the other way round in files of libhdf5 1.6.2.
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        if sums == tuple(int.from_bytes(half, order) % _FLETCHER for half in (said[2:], said[:2])):
            return plain
    raise Unsound("a chunk whose checksum does not fit it")


def _in_order(shuffled: memoryview, item: int) -> memoryview:
    """The first bytes of all elements stand together, then the second ones: each element's own bytes together again."""
    import numpy as np

    return memoryview(np.frombuffer(shuffled, np.uint8).reshape(item, -1).T.tobytes())
