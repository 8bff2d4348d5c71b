"""Variable-length strings of HDF5, cut from the bytes of the global heaps that they lie in.

libhdf5 takes the length of such a string from the file and makes room for it before it looks whether the bytes are
there: one flipped bit costs 4 GB and minutes.  So it is not asked for them, even in files that it reads for the rest.
Source: HDF5 File Format Specification 3.0, III.E (global heap).  Not known here: what the strings are for.
"""

from __future__ import annotations

import struct

from ..cursor import Limits
from ._hdf5_header import Ground
from ._hdf5_messages import Unsound

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ._hdf5_messages import Body

_ELEMENT = struct.Struct("<IQI").unpack_from  # length, where the collection is, which of its objects
_OBJECT = struct.Struct("<H6xQ").unpack_from  # number, size


class Texts:
    """The strings in one HDF5 file, which is called ``name``."""

    def __init__(self, ground: Ground, limits: Limits, name: str):
        self._ground, self._limits, self._name = ground, limits, name
        self._heaps: dict[int, dict[int, int]] = {}

    def read(self, elements: Body, count: int) -> list[bytes]:
        """The strings that ``count`` elements of an attribute point to."""
        found, total = [], 0
        for at in range(0, 16 * count, 16):
            length, heap, index = _ELEMENT(elements, at)
            if length == 0:
                found.append(b"")
                continue
            place = self._heap(heap).get(index)
            if place is None or length > _OBJECT(self._ground.data, place - 16)[1]:
                raise Unsound(f"a string of {length:,} bytes that are not in its heap")
            self._ground.spend(length)
            total += length
            self._limits.check("header_bytes", total, path=self._name, where="texts")
            if total > self._ground.end:
                raise Unsound(f"{total:,} bytes of text in a file of {self._ground.end:,}")
            found.append(bytes(self._ground.data[place : place + length]).partition(b"\0")[0])
        return found

    def _heap(self, address: int) -> dict[int, int]:
        """Where the objects of the collection at ``address`` begin, by number."""
        if address not in self._heaps:
            ground = self._ground
            ground.take(address, 16, "a global heap")
            if bytes(ground.data[address : address + 4]) != b"GCOL":
                raise Unsound(f"no global heap at byte {address:,}")
            size = _OBJECT(ground.data, address)[1]
            ground.take(address, size, "a global heap")
            self._heaps[address] = _objects(ground.data, address + 16, address + size)
        return self._heaps[address]


def _objects(data: memoryview, at: int, end: int) -> dict[int, int]:
    found: dict[int, int] = {}
    while end - at >= 16:
        index, size = _OBJECT(data, at)
        if index == 0:  # free space, always last
            break
        at += 16
        if size > end - at:
            raise Unsound(f"an object of {size:,} bytes in a global heap of which {end - at:,} are left")
        if index in found:
            raise Unsound(f"two objects of the number {index} in a global heap")
        found[index] = at
        at += size + -size % 8
    return found
