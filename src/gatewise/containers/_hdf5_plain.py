"""Plain HDF5, read by gatewise itself: what Keras, TensorFlow, Chainer, NNabla and h5py write, as h5py does by default.

Superblocks 0 to 3, object headers of both versions, groups as symbol tables and as links in the header, attributes in the header,
datasets in one piece, in their header, and in chunks that a B-tree finds.  What goes beyond raises NotPlain, and the file is read
by ``_hdf5_lib``, which answers the same questions by libhdf5: a :class:`Node` here is a LibNode there.  What no question asks for
is not looked at, so that libhdf5 refuses some files for damage that does no harm here.
Source: HDF5 File Format Specification 3.0, II (superblock) and IV (object headers); files of libhdf5 1.8 to 2.0.  Not known here:
fractal heaps, that is groups and attributes in dense storage; shared messages and datatypes; other sizes of addresses than 8
bytes; superblocks with an extension; files that begin with something else.
"""

from __future__ import annotations

import math
import struct

from ..cursor import Limits
from ..tensors import numpy_dtype
from ._hdf5_header import LAYOUT, Ground, Header, body
from ._hdf5_messages import (
    NOWHERE,
    SIGNATURE,
    U16,
    U32,
    U64,
    Attribute,
    Layout,
    NotPlain,
    Stored,
    Unsound,
    attribute_of,
    beyond_filters,
    checksum,
    filters,
    layout,
    link,
    number,
    space,
)
from ._hdf5_text import Texts
from ._hdf5_trees import Table

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ..tensors import Array
    from ._hdf5_chunks import Chunks

_SPACE, _LINKS, _TYPE, _ELSEWHERE, _FILTERS, _TABLE = 1, 2, 3, 7, 11, 17  # kinds of messages
_KEPT = 4096  # objects that are not read again when they are asked for again


class Plain:
    """One file.  ``root`` is its first group.  Raises NotPlain, and Unsound, IndexError or struct.error for broken bytes."""

    def __init__(self, data: memoryview, limits: Limits, name: str):
        self.limits, self.name = limits, name
        # Half of what a symbol node, a node of a group's tree and one of a dataset's tree have room for.
        self.leaf, self.inner, self.chunks = 4, 16, 32
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
        if bytes(data[:8]) != SIGNATURE:
            raise Unsound("it begins as no HDF5 file does")
        if version > 3:
            raise NotPlain(f"a superblock of version {version}")
        if bytes(data[13:15] if version < 2 else data[9:11]) != b"\x08\x08":
            raise NotPlain("addresses of another size than 8 bytes")
        if version < 2:
            self.leaf, self.inner = struct.unpack_from("<HH", data, 16)
            if version == 1:
                self.chunks = U16(data, 24)[0]
            at = 24 + 4 * version
            base, beside, end, driver, _, root = struct.unpack_from("<6Q", data, at)
            plain = beside == driver == NOWHERE and self.leaf and self.inner and self.chunks
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
                found = Table(self._file.ground, self._file.limits, self._file.name, self.address)
                self._links = found.read(U64(table, 0)[0], U64(table, 8)[0], self._file.inner, self._file.leaf)
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

    def _message(self, kind: int) -> memoryview:
        found = self._header.body(self._file.ground, kind)
        if found is None:
            raise Unsound("a dataset that does not say where its elements are")
        return found

    def stored(self) -> Stored:
        where = layout(self._message(LAYOUT))
        reason = self._elsewhere(where)
        if reason:
            return Stored(None, False, None, None, 0, reason)
        kind, shape = self._message(_TYPE), space(self._message(_SPACE))
        dtype, big_endian = number(kind)
        if where.chunked:
            return Stored(dtype, big_endian, shape, None, self._chunks(where).stored())
        place, size = where.place, where.stored
        if where.inside and place is not None:
            place += self._header.first[LAYOUT][1]
        if size is None:
            size = U32(kind, 4)[0] * math.prod(shape or ())
        return Stored(dtype, big_endian, shape, place, size if place is not None else 0)

    def _elsewhere(self, where: Layout) -> str:
        """Why the elements are not read; "" where they may be."""
        others = self._header.body(self._file.ground, _ELSEWHERE)
        if where.virtual:
            return "is a virtual dataset"
        if others is not None and U16(others, 6)[0]:
            return "keeps its elements in another file"
        return beyond_filters(self._filters())

    def elements(self, dtype: str) -> Array:
        """Of a dataset in chunks, whose shape and elements' type :meth:`stored` has told."""
        where, shape = layout(self._message(LAYOUT)), space(self._message(_SPACE))
        if not where.chunked or shape is None:
            raise NotPlain("elements that were never written")
        stored = numpy_dtype(dtype, number(self._message(_TYPE))[1])
        return self._chunks(where).read(shape, stored, self._filters(), self._file.limits)

    def _filters(self) -> list[int]:
        packed = self._header.body(self._file.ground, _FILTERS)
        return [] if packed is None else list(filters(packed))

    def _chunks(self, where: Layout) -> Chunks:
        from ._hdf5_chunks import Chunks

        return Chunks(self._file.ground, where, self._file.chunks, self.address)
