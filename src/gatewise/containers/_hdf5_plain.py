"""Plain HDF5, read by gatewise itself: the files that Keras, TensorFlow, Chainer, NNabla and h5py write, as h5py does by default.

Superblocks 0 to 3, object headers of both versions, groups as symbol tables and as links in the header, attributes in the
header, contiguous, compact and (their shape and type alone) chunked datasets.  What goes beyond raises NotPlain, and the file is
read by ``_hdf5_lib``, which answers the same questions by libhdf5: a :class:`Node` here is one there.
Source: HDF5 File Format Specification 3.0, II (superblock), III.A to III.E (B-trees, symbol tables, heaps); files of libhdf5
1.8 to 2.0.  Not known here: fractal heaps, that is groups and attributes in dense storage; shared messages and datatypes; other
sizes of addresses than 8 bytes; files that begin with something else.
"""

from __future__ import annotations

import math
import struct

from ..cursor import Limits
from ._hdf5_header import Ground, Header, body
from ._hdf5_messages import (
    NOWHERE,
    U16,
    U32,
    U64,
    Attribute,
    NotPlain,
    Stored,
    Unsound,
    attribute_of,
    checksum,
    elsewhere,
    filters,
    known_filters,
    layout,
    link,
    number,
    space,
)  # fmt: skip
from ._hdf5_text import Texts

_SPACE, _LINKS, _TYPE, _ELSEWHERE, _LAYOUT, _FILTERS, _TABLE = 1, 2, 3, 7, 8, 11, 17  # kinds of messages
_ENTRY = struct.Struct("<QQII").unpack_from  # of a symbol table: name, header, what is kept beside it, nothing
_BEHIND = 2  # kept beside an entry: a soft link
_KEPT = 4096  # objects that are not read again when they are asked for again


class Plain:
    """One file.  ``root`` is its first group.  Raises NotPlain, and Unsound, IndexError or struct.error for broken bytes."""

    def __init__(self, data: memoryview, limits: Limits, name: str):
        self.limits, self.name = limits, name
        self.leaf, self.inner = 4, 16  # half the entries of a symbol node, half the children of a B-tree's
        root, end = self._superblock(data)
        if end > len(data):
            raise Unsound(f"{len(data):,} bytes of {end:,}")
        self.ground = Ground(data, end)
        self.texts = Texts(self.ground, limits, name)
        self._kept: dict[int, Node] = {}
        self.root = self.node(root)

    def close(self) -> None:
        """Nothing is held but memory."""

    def node(self, address: int) -> Node:
        found = self._kept.get(address)
        if found is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            found = self._kept[address] = Node(self, address)
        return found

    def _superblock(self, data: memoryview) -> tuple[int, int]:
        """(where the root's header is, how long the file is)."""
        version = data[8]
        if version > 3:
            raise NotPlain(f"a superblock of version {version}")
        if bytes(data[13:15] if version < 2 else data[9:11]) != b"\x08\x08":
            raise NotPlain("addresses of another size than 8 bytes")
        if version < 2:
            self.leaf, self.inner = struct.unpack_from("<HH", data, 16)
            at = 24 + 4 * version
            base, beside, end, driver, _, root = struct.unpack_from("<6Q", data, at)
            plain = beside == driver == NOWHERE and self.leaf and self.inner
        else:
            base, beside, end, root = struct.unpack_from("<4Q", data, 12)
            plain = beside == NOWHERE and data[11] == 0  # no extension; nobody who writes it now
            if checksum(bytes(data[:44])) != U32(data, 44)[0]:
                raise Unsound("the checksum of its superblock does not fit it")
        if base or not plain:
            raise NotPlain("a superblock that says more than where the root is")
        return root, end


class Node:
    """A group, a dataset, or another object."""

    __slots__ = ("_attributes", "_file", "_header", "_links", "address", "kind")

    def __init__(self, file: Plain, address: int):
        self._file, self.address = file, address
        self._header = Header(file.ground, address)
        self._links: dict[bytes, int | str] | None = None
        self._attributes: dict[bytes, memoryview] | None = None
        first = self._header.first
        if _TABLE in first or _LINKS in first:
            self.kind = "group"
        else:
            self.kind = "dataset" if _TYPE in first and _SPACE in first else "other"

    # Groups.

    def names(self) -> list[bytes]:
        """In HDF5's order: the alphabet's, or that of making where the group records it."""
        return list(self._members())

    def link(self, name: bytes) -> int | str | None:
        """Where the member of that name is, or what kind of link it is that leads elsewhere; None where there is none."""
        return self._members().get(name)

    def member(self, name: bytes) -> Node:
        """The member of that name, which is a hard link."""
        found = self._members()[name]
        if isinstance(found, str):
            raise Unsound(f"{found} where a member belongs")
        return self._file.node(found)

    def _members(self) -> dict[bytes, int | str]:
        if self._links is None:
            table = self._header.body(self._file.ground, _LINKS)
            if table is not None:
                self._links = self._linked(table)
            elif (table := self._header.body(self._file.ground, _TABLE)) is not None:
                self._links = _Table(self._file, U64(table, 0)[0], U64(table, 8)[0]).members
            else:
                raise Unsound("it is no group")
        return self._links

    def _linked(self, about: memoryview) -> dict[bytes, int | str]:
        """The links in the header itself."""
        version, flags = about[0], about[1]
        if version != 0 or flags & 0xFC:
            raise Unsound(f"a group of version {version} with the flags {flags}")
        if U64(about, 10 if flags & 1 else 2)[0] != NOWHERE:
            raise NotPlain("a group in dense storage")
        links = [link(body(self._file.ground, span)) for span in self._header.links]
        self._file.limits.check("members", len(links), path=self._file.name, where="a group")
        found = {name: there for name, there, _ in links}
        if len(found) < len(links):
            raise Unsound("two links of one name in a group")
        if flags & 1:
            if any(order is None for _, _, order in links):
                raise NotPlain("links without the order in which they were made")
            return {name: there for name, there, _ in sorted(links, key=lambda each: each[2] or 0)}
        return dict(sorted(found.items(), key=lambda each: each[0]))

    # Attributes.

    def attribute(self, name: bytes) -> Attribute | None:
        """The attribute of that name, if there is one."""
        if self._attributes is None:
            self._attributes = self._header.named_attributes(self._file.ground)
        found = self._attributes.get(name)
        return None if found is None else attribute_of(found, self._file.texts.read)

    # Datasets.

    def stored(self) -> Stored:
        header, ground = self._header, self._file.ground
        about, kind = header.body(ground, _LAYOUT), header.body(ground, _TYPE)
        extent = header.body(ground, _SPACE)
        if about is None or kind is None or extent is None:
            raise Unsound("a dataset that does not say where its elements are")
        found = layout(about)
        others = header.body(ground, _ELSEWHERE)
        packed = header.body(ground, _FILTERS)
        reason = ""
        if found.virtual:
            reason = "is a virtual dataset"
        elif others is not None and U16(others, 6)[0]:
            reason = "keeps its elements in another file"
        elif packed is not None and not known_filters(filters(packed)):
            reason = "is packed with a filter that is not part of HDF5"
        if reason:
            return Stored(None, False, None, None, 0, reason)
        dtype, big_endian = number(kind)
        if found.chunked:
            raise NotPlain("elements in chunks")
        shape = space(extent)
        place = found.place
        if found.inside and place is not None:
            place += header.first[_LAYOUT][1]
        stored = found.stored
        if stored is None:
            stored = U32(kind, 4)[0] * math.prod(shape or ())
        return Stored(dtype, big_endian, shape, place, stored if place is not None else 0)


class _Table:
    """The members of a group of the old kind: a B-tree over symbol nodes, whose names lie in a local heap."""

    def __init__(self, file: Plain, tree: int, heap: int):
        self._file, self._ground = file, file.ground
        self._names = self._heap(heap)
        self._left = len(self._names)  # bytes of names: no two of them lie in one another
        self.members: dict[bytes, int | str] = {}
        self._last = b""
        self._walk(tree)

    def _heap(self, address: int) -> bytes:
        ground = self._ground
        ground.take(address, 32, "a local heap")
        if bytes(ground.data[address : address + 5]) != b"HEAP\0":
            raise Unsound(f"no local heap at byte {address:,}")
        size, free, place = struct.unpack_from("<QQQ", ground.data, address + 8)
        if free != 1 and free >= size:  # 1: none is free
            raise Unsound(f"a local heap of {size:,} bytes that are free from byte {free:,}")
        ground.take(place, size, "a local heap")
        return bytes(ground.data[place : place + size])

    def _walk(self, root: int) -> None:
        todo: list[tuple[int, int | None]] = [(root, None)]  # nodes, and their levels, which only the root's own says
        while todo:
            address, level = todo.pop()
            if level == -1:
                self._symbols(address)
            else:
                found, children = self._node(address, level)
                todo += ((child, found - 1) for child in reversed(children))

    def _node(self, address: int, level: int | None) -> tuple[int, list[int]]:
        """(its level, its children)."""
        data, most = self._ground.data, 2 * self._file.inner
        self._ground.take(address, 32 + 16 * most, "a B-tree's node")
        if bytes(data[address : address + 5]) != b"TREE\0":
            raise Unsound(f"no node of a group's B-tree at byte {address:,}")
        own, count = data[address + 5], U16(data, address + 6)[0]
        if count > most or (level is not None and own != level):
            raise Unsound(f"a B-tree's node of level {own} with {count:,} children")
        return own, list(struct.unpack_from("<" + "8xQ" * count, data, address + 24))

    def _symbols(self, address: int) -> None:
        data, most = self._ground.data, 2 * self._file.leaf
        self._ground.take(address, 8 + 40 * most, "a symbol node")
        count = U16(data, address + 6)[0]
        if bytes(data[address : address + 5]) != b"SNOD\1" or count > most:
            raise Unsound(f"no symbol node of {most} entries at byte {address:,}")
        for at in range(address + 8, address + 8 + 40 * count, 40):
            place, there, kind, _ = _ENTRY(data, at)
            end = self._names.find(b"\0", place)
            if end < 0:
                raise Unsound(f"a name at byte {place:,} of a heap of {len(self._names):,}")
            name = self._names[place:end]
            self._left -= len(name) + 1
            if self._left < 0 or (name <= self._last and self.members):
                raise Unsound("the names in a group are not in order")
            self._last = name
            self.members[name] = elsewhere(1) if kind == _BEHIND else there
        self._file.limits.check("members", len(self.members), path=self._file.name, where="a group")
