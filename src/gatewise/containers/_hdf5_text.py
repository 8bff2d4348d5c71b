"""Variable-length strings of HDF5 attributes, read from the bytes themselves.

libhdf5 takes the length of such a string from the file and makes room for it before it looks whether the bytes are
there: one flipped bit costs 4 GB and minutes.  Here the object header is searched for the attribute, and each of its
strings is cut from its global heap collection with every size held against what is left.
Source: HDF5 File Format Specification 3.0, sections IV.A.1 (object headers), IV.A.2.m (attribute message), III.E
(global heap).  Not known here: attributes in dense storage, and addresses or lengths of other than 8 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import BrokenFile, LimitExceeded

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_SHARED = 0x02  # message flag: the body is elsewhere
_BLOCKS = 10_000  # continuation blocks of one object header


class Texts:
    """The strings in one HDF5 file.  ``most`` bounds the bytes of all strings of one attribute together."""

    def __init__(self, data: memoryview, path: object, most: int):
        self.data = data
        self.path = path
        self.most = most
        self._heaps: dict[int, dict[int, memoryview]] = {}

    def read(self, header: int, name: str, count: int, where: str) -> list[bytes]:
        """The ``count`` variable-length strings of attribute ``name`` of the object whose header is at ``header``."""
        if not self._has_eight_byte_addresses():
            raise self._broken("has addresses of another size than 8 bytes.", where)
        for body in self._messages(header, where):
            if (elements := self._elements_of(body, name.encode())) is not None:
                cursor = Cursor(elements, path=self.path, where=where)
                return self._texts(cursor, count, where)
        raise self._broken(f"keeps its attribute {name} where gatewise does not look.", where)

    def _broken(self, message: str, where: str) -> BrokenFile:
        return BrokenFile(message, path=self.path, where=where, next="Save the model again with Keras.")

    def _at(self, address: int, where: str) -> Cursor:
        if address > len(self.data):
            raise self._broken(f"points to byte {address:,}, past the end of the file.", where)
        return Cursor(self.data[address:], path=self.path, where=where, base=address)

    def _has_eight_byte_addresses(self) -> bool:
        version = self.data[8]
        at = 13 if version < 2 else 9  # superblock: sizes of offsets and of lengths
        return bytes(self.data[at : at + 2]) == b"\x08\x08"

    # Object headers.

    def _messages(self, header: int, where: str) -> Iterator[memoryview]:
        """The bodies of an object header's attribute messages."""
        cursor = self._at(header, where)
        if bytes(cursor.data[:4]) == b"OHDR":
            flags, size = _start_of_version_2(cursor)
            prefix, suffix, new, ordered = 4, 4, True, bool(flags & 4)  # OCHK before, a checksum behind
        else:
            cursor.take(8)
            size = cursor.u32()
            cursor.take(4)
            prefix, suffix, new, ordered = 0, 0, False, False
        blocks = [cursor.take(size, "bytes of object header")]
        for _ in range(_BLOCKS):
            if not blocks:
                return
            block = Cursor(blocks.pop(0), path=self.path, where=where)
            while block.left >= (4 + 2 * ordered if new else 8):
                kind, flags, body = _message(block, new, ordered)
                if kind == _CONTINUATION:
                    there = Cursor(body, path=self.path, where=where)
                    at, length = there.u64(), there.u64()
                    blocks.append(self._at(at, where).take(length, "bytes of object header")[prefix : length - suffix])
                elif kind == _ATTRIBUTE and not flags & _SHARED:
                    yield body
        raise LimitExceeded("its object header has no end.", path=self.path, where=where)

    def _elements_of(self, body: memoryview, name: bytes) -> memoryview | None:
        """The elements in an attribute message if it is the attribute called ``name``."""
        cursor = Cursor(body, path=self.path, where="attribute message")
        version = cursor.u8()
        cursor.u8()
        sizes = [cursor.u16() for _ in range(3)]  # of the name, the datatype, the dataspace
        if version == 3:
            cursor.u8()
        parts = [cursor.take(-(-size // 8) * 8 if version == 1 else size) for size in sizes]
        if bytes(parts[0][: sizes[0]]).rstrip(b"\0") != name:
            return None
        return cursor.take(cursor.left)

    # The global heap.

    def _texts(self, cursor: Cursor, count: int, where: str) -> list[bytes]:
        found, left = [], self.most
        for _ in range(count):
            length, heap, index = cursor.u32(), cursor.u64(), cursor.u32()
            if length == 0:
                found.append(b"")
                continue
            stored = self._heap(heap, where).get(index)
            if stored is None or length > len(stored):
                raise self._broken(f"has a string of {length:,} bytes that are not in its heap.", where)
            left -= length
            if left < 0:
                raise LimitExceeded(f"has more than {self.most:,} bytes of text.", path=self.path, where=where)
            found.append(bytes(stored[:length]).partition(b"\0")[0])
        return found

    def _heap(self, address: int, where: str) -> dict[int, memoryview]:
        """The objects of the collection at ``address``, by number."""
        if address not in self._heaps:
            cursor = self._at(address, where)
            if bytes(cursor.take(4)) != b"GCOL":
                raise self._broken(f"there is no global heap at byte {address:,}.", where)
            cursor.take(4)
            size = cursor.u64()
            inside = Cursor(cursor.take(size - 16, "bytes of global heap"), path=self.path, where=where)
            self._heaps[address] = dict(_heap_objects(inside))
        return self._heaps[address]


def _start_of_version_2(cursor: Cursor) -> tuple[int, int]:
    """(flags, size of the first block) of an object header that begins OHDR."""
    cursor.take(5)
    flags = cursor.u8()
    cursor.take(16 * bool(flags & 0x20) + 4 * bool(flags & 0x10))  # times; limits for dense attributes
    return flags, int.from_bytes(cursor.take(1 << (flags & 3)), "little")


def _message(block: Cursor, new: bool, ordered: bool) -> tuple[int, int, memoryview]:
    """(kind, flags, body) of the next message of an object header, in the new or the old form."""
    if new:
        kind, size, flags = block.u8(), block.u16(), block.u8()
        block.take(2 * ordered)
    else:
        kind, size, flags = block.u16(), block.u16(), block.u8()
        block.take(3)
    return kind, flags, block.take(size, "bytes of message")


def _heap_objects(cursor: Cursor) -> Iterator[tuple[int, memoryview]]:
    while cursor.left >= 16:
        index = cursor.u16()
        cursor.take(6)
        size = cursor.u64()
        if index == 0:  # free space, always last
            return
        yield index, cursor.take(size, "bytes of a heap object")
        cursor.take(min(-size % 8, cursor.left))
