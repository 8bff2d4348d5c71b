"""torch's stream of pickles: torch.save's format up to 1.5, and later with ``_use_new_zipfile_serialization=False``.

    pickle  magic number 0x1950a86a20f9469cfc6c
    pickle  protocol version, 1001
    pickle  sys_info: {"protocol_version", "little_endian", "type_sizes"}
    pickle  the object; persistent ids stand for storages and for the modules' classes
    pickle  list of the storages' keys
    for each key: int64 number of elements, then the elements

Source: torch/serialization.py, ``_legacy_save`` and the second half of ``_legacy_load``; torch/csrc/serialization.cpp,
``THPStorage_writeFileRaw`` (count and elements are little-endian, whatever the machine).
"""

from __future__ import annotations

import re

from ..cursor import Cursor
from ..errors import BrokenFile
from ..record import record
from ..source import Source
from ..tensors import Tensors
from . import Container
from ._pickle import Record, load
from ._pickled import Persistent
from ._torch_history import written_by
from ._torch_tensor import LONGEST_KEY, Storage, storage_type
from ._torch_tree import Walk

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._torch_draft import TorchDraft

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_HEAD = re.compile(  # protocols 2 and later (from 4 on with a FRAME); protocols 0 and 1 spell it out
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\x0a" + re.escape(MAGIC.to_bytes(10, "little")) + rb"\.|L%dL\n(p0\n)?\." % MAGIC,
    re.DOTALL,
)
_STREAM = "a stream of pickles: torch.save before 1.6, or later with _use_new_zipfile_serialization=False"


@record
class _Reference:
    """A storage's persistent id: ("storage", class, key, location, count, view)."""

    key: str
    dtype: str | None
    item_bytes: int
    count: int
    view: tuple[str, int, int] | None  # key, offset, count


def _text(value: object) -> str:
    """A text in any of the spellings of Python 2 and 3."""
    if isinstance(value, str):
        return value
    return value.decode("latin-1") if isinstance(value, bytes) else f"<{type(value).__name__}>"


def _reference(reference: Persistent) -> _Reference | None:
    """The parts of a storage's id, or None for another kind of id (a module's class with its source)."""
    said = reference.id
    if not isinstance(said, tuple) or len(said) not in (5, 6) or _text(said[0]) != "storage":
        return None
    kind, key, _location, count, *view = said[1:]
    known = storage_type(kind)
    name = _text(key) if not isinstance(key, int) else str(key)
    if known is None or type(count) is not int or count < 0 or len(name) > LONGEST_KEY:
        raise BrokenFile(f"storage {name[:99]} has the type {kind} and {count} elements.", where="pickle")
    return _Reference(name, *known, count, _view(view[0] if view else None))


def _view(view: Any) -> tuple[str, int, int] | None:
    """torch 0.1's storages could be part of another one."""
    if view is None:
        return None
    if not isinstance(view, tuple) or len(view) != 3 or not all(type(n) is int and n >= 0 for n in view[1:]):
        raise BrokenFile("a storage's view is not (key, offset, count).", where="pickle")
    return _text(view[0]), view[1], view[2]


class _Stream:
    """The parts of one file, and what its persistent ids stand for."""

    def __init__(self, source: Source):
        self.limits = source.limits
        self.source = source
        self.met = Record()
        cursor = source.cursor(where="torch stream")
        self.sys_info = self._head(cursor)
        self.root = load(cursor, self.limits, self.met)
        self.references = {  # the record keeps them alive
            id(found): _reference(found) for found in self.met.persistent
        }
        keys = load(cursor, self.limits, self.met)
        if not isinstance(keys, list):
            raise cursor.fail("the list of storages is none.")
        self.storages: dict[str, tuple[int, memoryview, str]] = {}
        item_bytes = self._item_bytes()
        for key in (str(key) if isinstance(key, int) else _text(key) for key in keys):
            if key in self.storages or key not in item_bytes:
                raise cursor.fail(f"storage {key} is listed twice, or nothing refers to it.")
            self.storages[key] = self._storage(cursor, key, item_bytes[key])
        self.left = cursor.left

    def _head(self, cursor: Cursor) -> dict[Any, Any]:
        magic, protocol, sys_info = (load(cursor, self.limits, self.met) for _ in range(3))
        if magic != MAGIC or protocol != PROTOCOL or not isinstance(sys_info, dict):
            raise cursor.fail(f"its head is not torch's: protocol version {protocol!r}, {PROTOCOL} expected.")
        return sys_info

    def _item_bytes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for reference in self.references.values():
            if reference is not None and found.setdefault(reference.key, reference.item_bytes) != reference.item_bytes:
                raise BrokenFile(f"storage {reference.key} has elements of two sizes.", where="pickle")
        return found

    def _storage(self, cursor: Cursor, key: str, item_bytes: int) -> tuple[int, memoryview, str]:
        """(elements, bytes, place) of the next storage."""
        cursor.where = f"storage {key}"
        place = f"byte {cursor.at + 8}"
        count = cursor.u64()
        return count, cursor.take(count * item_bytes, f"bytes of storage {key}"), place

    def storage(self, reference: Persistent) -> Storage | None:
        found = self.references.get(id(reference))
        if found is None:
            return None
        if found.key not in self.storages:
            raise BrokenFile(f"storage {found.key} is not in the file.", where="storages")
        count, data, place = self.storages[found.key]
        if found.count != count:
            raise BrokenFile(f"has {count:,} elements, and {found.count:,} by its id.", where=f"storage {found.key}")
        first, length = found.view[1:] if found.view else (0, count)
        if first + length > count:
            raise BrokenFile(f"a view of {length:,} elements from {first:,} leaves its storage.", where=place)
        return Storage(found.key, found.dtype, length, found.item_bytes, data, place, False, first)

    def tensor(self, reference: Persistent) -> None:  # noqa: ARG002  # only torch 0.1's tar keeps tensors so
        return None


def claims(source: Source) -> bool:
    """Does the file begin with a pickle of the magic number?"""
    return _HEAD.match(bytes(source.data[:64])) is not None


def read(source: Source) -> Tensors:
    stream = _Stream(source)
    walk = Walk(stream.root, stream, source.name)
    return Tensors(
        walk.tensors.values(),
        path=source.name,
        container="torch-legacy",
        bytes=source.size,
        declared=walk.declared,
        notes=[f"{stream.left:,} bytes behind the last storage are not read."] if stream.left else (),
        written_by=written_by(((module.kind, module.attributes) for module in walk.modules), otherwise=_STREAM),
        metadata={"tree": stream.root, "met": stream.met, "sys_info": stream.sys_info},
    )


def only_storage(source: Source) -> Storage | None:
    """The storage that a stream consists of: how torch pickles one into a plain pickle (torch/storage.py, __reduce__)."""
    if not claims(source):
        return None
    stream = _Stream(source)
    return stream.storage(stream.root) if isinstance(stream.root, Persistent) else None


def draft(source: Source) -> TorchDraft:
    from ._torch_draft import TorchDraft  # for repair alone

    stream = _Stream(source)
    return TorchDraft(stream.root, stream, source.path)


CONTAINERS = (
    Container(
        "torch-legacy",
        "PyTorch, stream of pickles (before 1.6)",
        "torch/serialization.py: _legacy_save, _legacy_load",
        claims,
        read,
        frameworks=("torch",),
        draft=draft,
        magic=((0, b"\x80"), (0, b"L%dL\n" % MAGIC)),
    ),
)
