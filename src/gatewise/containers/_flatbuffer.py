"""Flatbuffers without generated code: a table's fields by number, and our own tables that name them.

    BUFFER = Table({0: ("data", RAW)})
    MODEL = Table({0: ("version", U32), 4: ("buffers", [BUFFER])})
    model = Flatbuffer(source).root(MODEL)        {"version": 3, "buffers": [{"data": <memoryview>}, …]}

A table here is the part of a ``.fbs`` schema that is looked at.  Fields that the file leaves out are left out of the
dict too (their default is the reader's to know), but vectors are always there.  Byte vectors stay views of the mapped
file.  Every offset must lie inside the file, and what is built is counted, since a file may point at one table often.
Source: https://flatbuffers.dev/internals/, "Tables", "Vectors", "Format".
Not known here: structs and unions whose type is not known beforehand.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from ..errors import BrokenFile, LimitExceeded
from ..source import Source

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

I8, U8, I32, U32, I64, U64, F32, BOOL = "b", "B", "i", "I", "q", "Q", "f", "?"
TEXT, RAW, PLACE = "text", "raw", "place"  # PLACE: where a table lies, to be read later, when its type is known
_SCALARS = (I8, U8, I32, U32, I64, U64, F32, BOOL)
_TIMES, _SPARE, _SMALLEST_TABLE = 2, 1 << 16, 4  # no honest file has its tables read over and over again
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


class Table:
    """``fields``: number → (name, kind).  A kind is one of the words above, a Table, or a list of one of these."""

    def __init__(self, fields: Mapping[int, tuple[str, Any]]):
        self.fields = dict(fields)


class Flatbuffer:
    """A file that is one flatbuffer."""

    def __init__(self, source: Source, where: str):
        self.source, self.where = source, where
        self.data = source.data
        self._built = 0
        self._unread = _TIMES * len(self.data) + _SPARE  # bytes that may still be looked at

    def root(self, table: Table) -> dict[str, Any]:
        """The table that the file begins with.  Raises BrokenFile, LimitExceeded."""
        return self.table(self._offset(0), table)

    def table(self, at: int, table: Table, depth: int = 0) -> dict[str, Any]:
        """The table at a place."""
        limits = self.source.limits
        limits.check("nesting", depth, path=self.source.name, where=self.where)
        self._built += 1
        self._once(_SMALLEST_TABLE)
        limits.check("objects", self._built, path=self.source.name, where=self.where)
        vtable = at - self._number(I32, at)
        length = self._number("H", vtable)
        found: dict[str, Any] = {name: [] for name, kind in table.fields.values() if isinstance(kind, list)}
        for number, (name, kind) in table.fields.items():
            entry = 4 + 2 * number
            offset = self._number("H", vtable + entry) if entry + 2 <= length else 0
            if offset:
                found[name] = self._field(at + offset, kind, depth)
        return found

    def _field(self, at: int, kind: Any, depth: int) -> Any:
        if isinstance(kind, list):
            return self._vector(self._offset(at), kind[0], depth)
        if isinstance(kind, Table):
            return self.table(self._offset(at), kind, depth + 1)
        if kind in _SCALARS:
            return self._number(kind, at)
        place = self._offset(at)
        if kind == PLACE:
            return place
        raw = self._bytes(place + 4, self._number(U32, place))
        if kind == RAW:
            return raw
        self._once(len(raw))
        return bytes(raw).decode("utf-8", "replace")

    def _vector(self, at: int, kind: Any, depth: int) -> list[Any]:
        count = self._number(U32, at)
        if isinstance(kind, str) and kind in _SCALARS:
            size = struct.calcsize(kind)
            self.source.limits.check("header_bytes", count * size, path=self.source.name, where=self.where)
            self._once(count * size)
            return list(struct.unpack(f"<{count}{kind}", self._bytes(at + 4, count * size)))
        self._once(count * 4)
        self._bytes(at + 4, count * 4)
        return [self._field(at + 4 + 4 * index, kind, depth) for index in range(count)]

    def _offset(self, at: int) -> int:
        """The place that an offset at ``at`` points to: forward, from itself."""
        offset: int = self._number(U32, at)
        return at + offset

    def _number(self, code: str, at: int) -> Any:
        return struct.unpack(f"<{code}", self._bytes(at, struct.calcsize(f"<{code}")))[0]

    def _once(self, length: int) -> None:
        """Parts may be shared; a file in which they are shared without end asks for more than it holds."""
        self._unread -= length
        if self._unread < 0:
            raise LimitExceeded(
                f"points at its own parts again and again: more than {_TIMES} times its {len(self.data):,} bytes.",
                path=self.source.name, where=self.where, next="A file of this kind is broken or hostile.",
            )  # fmt: skip

    def _bytes(self, at: int, length: int) -> memoryview:
        if at < 0 or at + length > len(self.data):
            raise BrokenFile(
                f"points to {length:,} bytes at byte {at:,}, the file has {len(self.data):,}.",
                path=self.source.name, where=self.where, next=_FETCH_AGAIN,
            )  # fmt: skip
        return self.data[at : at + length]
