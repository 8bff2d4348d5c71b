"""torch 0.1's first format: a tar of ``sys_info``, ``storages``, ``tensors`` and ``pickle``.

    storages   pickle n; n times: pickle (key, location, class), int64 count, the elements;
               pickle of views: list of (key, root key, offset, count)
    tensors    pickle n; n times: pickle (key, storage key, class), int32 axes, 4 bytes unused,
               int64 sizes, int64 strides, int64 offset
    pickle     the object; a persistent id is the key of a tensor or a storage, or (class, source file, source)

Source: torch/serialization.py, the inner ``legacy_load`` of ``_legacy_load`` (torch still reads it; nothing writes it).
Elements are taken for little-endian, as its reader does on such a machine; ``sys_info`` is not looked at.
"""

from __future__ import annotations

import struct

from ..cursor import Cursor
from ..errors import BrokenFile
from ..source import Source
from ..tar import looks_like_tar, members, walk
from ..tensors import StoredTensor, Tensors
from . import Container
from ._pickle import Record, load
from ._pickled import Persistent
from ._torch_history import older_than, written_by
from ._torch_tensor import Storage, dense, storage_type
from ._torch_tree import Walk

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._torch_draft import TorchDraft

_MEMBERS = ("storages", "tensors", "pickle")


class _Tar:
    """The parts of one file, and what its persistent ids stand for."""

    def __init__(self, source: Source):
        self.source = source
        self.met = Record()
        self.limits = source.limits
        self.members = members(source.data, source.name, source.limits)
        missing = [name for name in _MEMBERS if name not in self.members]
        if missing:
            raise BrokenFile(f"the tar archive has no member {missing[0]!r}.", path=source.name)
        self.storages: dict[int, Storage] = {}
        self.tensors: dict[int, tuple[Storage, StoredTensor]] = {}
        self._read_storages(self._cursor("storages"))
        self._read_tensors(self._cursor("tensors"))
        self.root = load(self._cursor("pickle"), self.limits, self.met)

    def _cursor(self, name: str) -> Cursor:
        return self.source.cursor(*self.members[name], where=f"member {name}")

    def _count(self, cursor: Cursor, what: str) -> int:
        count = load(cursor, self.limits, self.met)
        if type(count) is not int or count < 0:
            raise cursor.fail(f"the number of {what} is {count!r}.")
        return self.limits.check(what, count, path=cursor.path, where=cursor.where)

    def _triple(self, cursor: Cursor) -> tuple[int, Any, Any]:
        found = load(cursor, self.limits, self.met)
        if not isinstance(found, tuple) or len(found) != 3 or type(found[0]) is not int:
            raise cursor.fail("an entry is not (key, …, class).")
        if found[0] in self.storages or found[0] in self.tensors:
            raise cursor.fail(f"two entries have the key {found[0]}.")
        return found

    def _read_storages(self, cursor: Cursor) -> None:
        for _ in range(self._count(cursor, "objects")):
            key, _location, kind = self._triple(cursor)
            known = storage_type(kind)
            if known is None:
                raise cursor.fail(f"storage {key} has the type {kind}.")
            dtype, item_bytes = known
            count = cursor.u64()
            place = f"byte {cursor.base + cursor.at}"
            data = cursor.take(count * item_bytes, f"bytes of storage {key}")
            self.storages[key] = Storage(str(key), dtype, count, item_bytes, data, place)
        views = load(cursor, self.limits, self.met)
        if not isinstance(views, list):
            raise cursor.fail("the storages' views are no list.")
        for view in views:
            self._read_view(cursor, view)

    def _read_view(self, cursor: Cursor, view: Any) -> None:
        if not isinstance(view, tuple) or len(view) != 4 or not all(type(part) is int and part >= 0 for part in view):
            raise cursor.fail("a storage's view is not (key, root, offset, count).")
        key, root_key, offset, count = view
        root = self.storages.get(root_key)
        if root is None or key in self.storages or offset + count > root.count:
            raise cursor.fail(f"the view {key} of storage {root_key} does not lie in it.")
        self.storages[key] = Storage(
            root.key, root.dtype, count, root.item_bytes, root.buffer, root.where, first=root.first + offset
        )

    def _read_tensors(self, cursor: Cursor) -> None:
        for _ in range(self._count(cursor, "tensors")):
            key, storage_key, _kind = self._triple(cursor)
            (axes,) = struct.unpack("<i", cursor.take(4))
            cursor.take(4)
            self.limits.check("rank", max(axes, 0), path=cursor.path, where=cursor.where)
            shape = cursor.unpack(f"<{max(axes, 0)}q")
            strides = cursor.unpack(f"<{max(axes, 0)}q")
            (offset,) = cursor.unpack("<q")
            storage = self.storages.get(storage_key) if isinstance(storage_key, int) else None
            if storage is None or storage.dtype is None or axes < 0:
                raise cursor.fail(f"tensor {key} has {axes} axes over storage {storage_key!r}.")
            tensor = dense(storage, storage.dtype, shape, strides, offset, str(key), self.limits)
            self.tensors[key] = storage, tensor

    def _key(self, reference: Persistent) -> int:
        """torch gives the keys as texts or as numbers."""
        text = str(reference.id) if isinstance(reference.id, str | int) else ""
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 32 else -1

    def storage(self, reference: Persistent) -> Storage | None:
        return self.storages.get(self._key(reference))

    def tensor(self, reference: Persistent) -> tuple[Storage, StoredTensor] | None:
        return self.tensors.get(self._key(reference))


def claims(source: Source) -> bool:
    """A tar that begins with torch's members, in whatever order.  One that is cut after the first is torch's still."""
    if not looks_like_tar(source.data):
        return False
    seen: set[str] = set()
    try:
        for name, _start, _end in walk(source.data, source.name):
            if name not in (*_MEMBERS, "sys_info"):
                return False
            seen.add(name)
    except BrokenFile:
        return bool(seen)
    return seen >= set(_MEMBERS)


def read(source: Source) -> Tensors:
    tar = _Tar(source)
    walk = Walk(tar.root, tar, source.name)
    bounds = (older_than("1.0.1", "a tar archive, torch.save's first format"),)
    return Tensors(
        walk.tensors.values(),
        path=source.name,
        container="torch-tar",
        bytes=source.size,
        declared=walk.declared,
        written_by=written_by(((module.kind, module.attributes) for module in walk.modules), bounds),
        metadata={"tree": tar.root, "met": tar.met},
    )


def draft(source: Source) -> TorchDraft:
    from ._torch_draft import TorchDraft  # for repair alone

    tar = _Tar(source)
    return TorchDraft(tar.root, tar, source.path)


CONTAINERS = (
    Container(
        "torch-tar",
        "PyTorch, tar archive (0.1)",
        "torch/serialization.py: _legacy_load, legacy_load",
        claims,
        read,
        frameworks=("torch",),
        draft=draft,
        magic=((257, b"ustar"),),
    ),
)
