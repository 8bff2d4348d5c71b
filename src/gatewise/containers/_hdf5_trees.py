"""HDF5's B-trees of the first version, and the groups that are kept in one.

Source: HDF5 File Format Specification 3.0, III.A.1 (B-trees), III.B and III.C (symbol nodes), III.D (local heap).  Not known
here: B-trees of the second version.
"""

from __future__ import annotations

import struct

from ..cursor import Limits
from ._hdf5_header import Ground
from ._hdf5_messages import U16, Unsound, elsewhere

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS, CHUNKS = 0, 1  # what the leaves of a tree are
_ENTRY = struct.Struct("<QQII").unpack_from  # of a symbol node: name, header, what is kept beside it, nothing
_SOFT = 2  # kept beside an entry: a soft link


def leaves(ground: Ground, root: int, kind: int, key: str, half: int, owner: int) -> Iterator[tuple[int, ...]]:
    """(the key's numbers, the address) of all that a tree leads to, in its order.  ``key``: its struct; ``half`` of the
    children that a node has room for; ``owner`` whose tree it is.  Levels go down, so that no tree holds itself."""
    entry = struct.Struct(f"<{key}Q")
    size = 16 + entry.size * (2 * half + 1)
    todo: list[tuple[int, int]] = [(root, -1)]  # nodes, and their levels, which only the root's own says
    while todo:
        at, level = todo.pop()
        ground.own(at, size, "a B-tree's node", owner)
        if bytes(ground.data[at : at + 5]) != b"TREE%c" % kind:
            raise Unsound(f"no node of a B-tree of kind {kind} at byte {at:,}")
        own, count = ground.data[at + 5], U16(ground.data, at + 6)[0]
        if count > 2 * half or level not in (-1, own):
            raise Unsound(f"a B-tree's node of level {own} with {count:,} children")
        entries = list(entry.iter_unpack(ground.data[at + 24 : at + 24 + count * entry.size]))
        if own:
            todo += ((each[-1], own - 1) for each in reversed(entries))
        else:
            yield from entries


class Table:
    """The members of a group of the old kind: a B-tree over symbol nodes, whose names lie in a local heap.

    ``members``  where each one's header is, or what kind of link it is that leads elsewhere
    """

    def __init__(self, ground: Ground, limits: Limits, name: str, owner: int):
        self._ground, self._limits, self._name, self._owner = ground, limits, name, owner
        self.members: dict[bytes, int | str] = {}

    def read(self, tree: int, heap: int, inner: int, leaf: int) -> dict[bytes, int | str]:
        """The members.  ``inner``, ``leaf``: half the children of a tree's node, half the entries of a symbol node."""
        self._names = self._heap(heap)
        self._left = len(self._names)  # bytes of names: no two of them lie in one another
        self._last = b""
        for (node,) in leaves(self._ground, tree, GROUPS, "8x", inner, self._owner):
            self._symbols(node, 2 * leaf)
            self._limits.check("members", len(self.members), path=self._name, where="a group")
        return self.members

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

    def _symbols(self, address: int, most: int) -> None:
        data = self._ground.data
        self._ground.own(address, 8 + 40 * most, "a symbol node", self._owner)
        count = U16(data, address + 6)[0]
        if bytes(data[address : address + 5]) != b"SNOD\1" or count > most:
            raise Unsound(f"no symbol node of {most} entries at byte {address:,}")
        for at in range(address + 8, address + 8 + 40 * count, 40):
            place, there, kind, _ = _ENTRY(data, at)
            end = self._names.find(b"\0", place)
            if end < 0 or kind > _SOFT:
                raise Unsound(f"an entry of kind {kind} with its name at byte {place:,} of {len(self._names):,}")
            name = self._names[place:end]
            self._left -= len(name) + 1
            if self._left < 0 or (name <= self._last and self.members):
                raise Unsound("the names in a group are not in order")
            self._last = name
            self.members[name] = elsewhere(1) if kind == _SOFT else there
