"""HDF5's object headers, cut into messages: both versions, with what continues them elsewhere in the file.

Nothing is read before it is known to lie in the file, and all that is read is counted (:class:`Ground`): headers, nodes
and heaps that lie in one another would otherwise make work without end out of a small file.
Source: HDF5 File Format Specification 3.0, IV.A.1.  Not known here: what is in a message.
"""

from __future__ import annotations

import struct

from ._hdf5_messages import NOWHERE, U32, U64, NotPlain, Unsound, attribute_name, checksum

_OLD, _NEW = struct.Struct("<HHB").unpack_from, struct.Struct("<BHB").unpack_from
_PREFIX = struct.Struct("<BxHII").unpack_from
LINK, LAYOUT, ATTRIBUTE, _CONTINUATION, _ATTRIBUTES = 6, 8, 12, 16, 21  # kinds of messages
_SHARED, _MUST_KNOW, _KNOWN = 2, 0x80, 0x18
_MOST = 65_535  # messages of one header: HDF5 numbers them in two bytes
_EACH = 24  # bytes that take as long to read as a message takes to be told from the next
_LONG = 1 << 16  # bytes of a block whose checksum is left to libhdf5: ours takes a second for three megabytes
_TIMES = 8  # how often each byte of a file may be read as metadata: an object with two names may be read twice

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from collections.abc import Iterator

Spans = list[tuple[int, int, int]]  # (flags, start, end) of messages


class Ground:
    """The bytes of a file, ``end`` of them, and how many may still be read as metadata.  ``widths`` are the bytes of an address
    and of a size; ``whole``: do headers count only if their checksums fit?"""

    __slots__ = ("_owners", "data", "end", "left", "whole", "widths")

    def __init__(self, data: memoryview, end: int, widths: tuple[int, int] = (8, 8), whole: bool = True):
        self.data, self.end, self.widths, self.whole = data, end, widths, whole
        self._owners: dict[int, int] = {}
        self.renew()

    def renew(self) -> None:
        """Somebody else asks for something else of the same file."""
        self.left = _TIMES * self.end + (1 << 16)

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Unsound("its parts lie in one another, and reading them would have no end")

    def take(self, at: int, size: int, what: str) -> int:
        """``at``, if ``size`` bytes from there lie in the file."""
        if at > self.end or size > self.end - at:
            said = "nowhere" if at == NOWHERE else f"at byte {at:,}"
            raise Unsound(f"{what} of {size:,} bytes {said}, in a file of {self.end:,}")
        self.spend(size)
        return at

    def own(self, at: int, size: int, what: str, owner: int) -> int:
        """The same of what belongs to one object alone, whose header is at ``owner``."""
        if self._owners.setdefault(at, owner) != owner:
            raise Unsound(f"{what} at byte {at:,} that two objects share")
        return self.take(at, size, what)


class Header:
    """The messages of one object: the first of each kind, and all links and attributes."""

    __slots__ = ("_address", "attributes", "first", "links")

    def __init__(self, ground: Ground, address: int):
        self.first: dict[int, tuple[int, int, int]] = {}
        self.links: Spans = []
        self.attributes: Spans = []
        data = ground.data
        ground.take(address, 16, "an object header")
        self._address = address
        if data[address] == 1:
            _, count, _, size = _PREFIX(data, address)
            if (size < 8) if count else size:
                raise Unsound(f"an object header of {size:,} bytes for {count:,} messages")
            self._read(ground, [(ground.take(address + 16, size, "an object header"), size)], 0)
        elif bytes(data[address : address + 4]) == b"OHDR":
            self._read_new(ground, address)
        else:
            raise Unsound(f"no object header at byte {address:,}")

    def _read_new(self, ground: Ground, address: int) -> None:
        version, flags = ground.data[address + 4], ground.data[address + 5]
        if version != 2 or flags & 0xC0:
            raise Unsound(f"an object header of version {version} with the flags {flags}")
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        ground.take(address, start + width - address, "an object header")
        size = int.from_bytes(ground.data[start : start + width], "little")
        whole = start + width - address + size + 4
        _check(ground, address, ground.take(address, whole, "an object header") + whole)
        self._read(ground, [(start + width, size)], 6 if flags & 4 else 4)

    def _read(self, ground: Ground, blocks: list[tuple[int, int]], new: int) -> None:
        """``new``: the bytes before each message's body in the second version, which has checksums; 0 in the first."""
        count, seen = 0, {blocks[0][0]}
        for start, size in blocks:  # grows
            for kind, flags, at, end in _messages(ground.data, start, start + size, new):
                count += 1
                if count > _MOST:
                    raise Unsound("more messages in an object header than HDF5 can number")
                if kind == _CONTINUATION:
                    there = _continued(ground, at, end - at, bool(new), self._address)
                    if there[0] in seen:
                        raise Unsound("an object header that continues within itself")
                    seen.add(there[0])
                    blocks.append(there)
                elif kind == LINK:
                    self.links.append((flags, at, end))
                elif kind == ATTRIBUTE:
                    self.attributes.append((flags, at, end))
                elif kind <= _KNOWN:
                    self.first.setdefault(kind, (flags, at, end))
                elif flags & _MUST_KNOW:
                    raise Unsound(f"a message of kind {kind}, which HDF5 does not have")
        ground.spend(_EACH * count)

    def body(self, ground: Ground, kind: int) -> memoryview | None:
        """The message of that kind."""
        span = self.first.get(kind)
        return None if span is None else body(ground, span)

    def named_attributes(self, ground: Ground) -> dict[bytes, memoryview]:
        """The attributes' messages by their names."""
        about = self.body(ground, _ATTRIBUTES)
        if about is not None and U64(about, 4 if about[1] & 1 else 2)[0] != NOWHERE:
            raise NotPlain("attributes in dense storage")
        found: dict[bytes, memoryview] = {}
        for span in self.attributes:
            message = body(ground, span)
            found.setdefault(attribute_name(message), message)
        return found


def _messages(data: memoryview, at: int, end: int, new: int) -> Iterator[tuple[int, int, int, int]]:
    """(kind, flags, start, end) of each message of a block."""
    unpack, before = (_NEW, new) if new else (_OLD, 8)
    while end - at >= before:
        kind, length, flags = unpack(data, at)
        at += before
        behind = at + length
        if behind > end or (length & 7 and not new):
            raise Unsound(f"a message of {length:,} bytes where {end - at:,} are left")
        yield kind, flags, at, behind
        at = behind
    if at < end and not new:
        raise Unsound(f"{end - at} bytes where a message belongs")


def body(ground: Ground, span: tuple[int, int, int]) -> memoryview:
    flags, start, end = span
    if flags & _SHARED:
        raise NotPlain("a message that is shared with other objects")
    return ground.data[start:end]


def _continued(ground: Ground, at: int, length: int, new: bool, owner: int) -> tuple[int, int]:
    """(start, size) of the messages of a continuation block."""
    address, extent = ground.widths
    if length < address + extent:
        raise Unsound(f"a continuation of {length} bytes")
    there = int.from_bytes(ground.data[at : at + address], "little")
    size = int.from_bytes(ground.data[at + address : at + address + extent], "little")
    ground.own(there, size, "a continued object header", owner)
    if not new:
        return there, size
    if size < 8 or bytes(ground.data[there : there + 4]) != b"OCHK":
        raise Unsound(f"no continued object header at byte {there:,}")
    _check(ground, there, there + size)
    return there + 4, size - 8


def _check(ground: Ground, start: int, end: int) -> None:
    """Does the checksum in the last four bytes fit those before?"""
    if not ground.whole:
        return
    if end - start > _LONG:
        raise NotPlain("a long block with a checksum")
    if checksum(bytes(ground.data[start : end - 4])) != U32(ground.data, end - 4)[0]:
        raise Unsound(f"the checksum of the object header at byte {start:,} does not fit it")
