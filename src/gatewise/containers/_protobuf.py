"""Protocol buffers without generated code: a message's fields by number, and tables that name them.

    MODEL = Message({1: ("ir_version", INT), 7: ("graph", GRAPH), 14: ("metadata_props", [PROPERTY])})
    model = MODEL.read(cursor, limits)     {"ir_version": 8, "graph": {…}, "metadata_props": [{…}, …]}

A table is the part of a ``.proto`` file that is looked at; other fields are stepped over.  Byte fields stay views of
the mapped file, so that a model of gigabytes is listed by its headers.  A message that is read when asked for is
``LAZY``.  Source: https://protobuf.dev/programming-guides/encoding/, "Message Structure" and "Packed Repeated Fields".
Not known here: groups (wire types 3 and 4), which no format that gatewise reads has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from ..cursor import Cursor, Limits

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

VARINT, FIXED64, BYTES_, FIXED32 = 0, 1, 2, 5

INT = "int"  # int32, int64, enum, bool: negative numbers are ten bytes
UINT = "uint"
SINT = "sint"  # zigzag
BOOL = "bool"
FLOAT = "float"  # fixed32
DOUBLE = "double"  # fixed64
FIXED = "fixed"  # fixed32 or fixed64, unsigned
TEXT = "text"
RAW = "raw"  # a memoryview of the file
PACKED = "packed"  # the bytes of a repeated number, packed or of one element: they are read later
LAZY = "lazy"  # a Cursor over a message that somebody reads later

_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_NUMBERS = (INT, UINT, SINT, BOOL, FLOAT, DOUBLE, FIXED)


class Message:
    """``fields``: number → (name, kind).  A kind is one of the words above, a Message, or a list of one of these for a
    repeated field (numbers may be packed)."""

    def __init__(self, fields: Mapping[int, tuple[str, Any]]):
        self.fill(fields)

    def fill(self, fields: Mapping[int, tuple[str, Any]]) -> None:
        """Its fields, said later: a message that holds some of its own kind cannot be named before it is there."""
        self.fields = dict(fields)
        self._repeated = [name for name, kind in self.fields.values() if isinstance(kind, list)]
        self._plan = {
            number: (name, kind[0] if isinstance(kind, list) else kind, isinstance(kind, list))
            for number, (name, kind) in self.fields.items()
        }

    def read(self, cursor: Cursor, limits: Limits, depth: int = 0) -> dict[str, Any]:
        """The fields that are there; repeated ones are always there, perhaps empty.  The last of a single field that
        is given twice counts.  Raises BrokenFile, LimitExceeded."""
        limits.check("nesting", depth, path=cursor.path, where=cursor.where)
        found: dict[str, Any] = {name: [] for name in self._repeated}
        plan, most = self._plan, limits.objects
        for number, wire, value in fields(cursor):
            planned = plan.get(number)
            if planned is None:
                continue
            name, kind, repeated = planned
            if not repeated:
                found[name] = _one(cursor, kind, wire, value, limits, depth)
                continue
            many = found[name]
            if kind in _NUMBERS and wire == BYTES_:
                many += _unpacked(cursor, kind, value, limits)
            else:
                many.append(_one(cursor, kind, wire, value, limits, depth))
            if len(many) > most:
                limits.check("objects", len(many), path=cursor.path, where=cursor.where)
        return found


def fields(cursor: Cursor) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value): an int for a varint, a view for everything else."""
    data, end = cursor.data, len(cursor.data)
    while cursor.at < end:
        at = cursor.at
        key = data[at]
        length = data[at + 1] if at + 1 < end else 0x80
        if key & 7 == BYTES_ and 7 < key < 0x80 and length < 0x80 and at + 2 + length <= end:
            cursor.at = at + 2 + length  # nearly all fields: key and length are one byte
            yield key >> 3, BYTES_, data[at + 2 : cursor.at]
            continue
        key = varint(cursor)
        number, wire = key >> 3, key & 7
        if not number:
            raise cursor.fail("a field has the number 0.", next=_FETCH_AGAIN)
        if wire == BYTES_:
            yield number, wire, cursor.take(varint(cursor), "bytes of a field")
        elif wire == VARINT:
            yield number, wire, varint(cursor)
        elif wire in (FIXED32, FIXED64):
            yield number, wire, cursor.take(4 if wire == FIXED32 else 8, "bytes of a number")
        else:
            raise cursor.fail(f"a field has the wire type {wire}.", next=_FETCH_AGAIN)


def varint(cursor: Cursor) -> int:
    """An unsigned number of up to 64 bits, seven bits a byte, lowest first."""
    if cursor.at < len(cursor.data) and (byte := cursor.data[cursor.at]) < 0x80:
        cursor.at += 1
        return byte
    value = 0
    for shift in range(0, 70, 7):
        byte = cursor.u8()
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF
    raise cursor.fail("a number is longer than ten bytes.", next=_FETCH_AGAIN)


def encoded_varint(value: int) -> bytes:
    """The bytes of an unsigned number; a negative one is given as its 64-bit complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def encoded(number: int, value: int | float | str | bytes) -> bytes:
    """One field as it is written: a varint, a fixed32 float, or a length and bytes."""
    if isinstance(value, int):
        return encoded_varint(number << 3 | VARINT) + encoded_varint(value)
    if isinstance(value, float):
        return encoded_varint(number << 3 | FIXED32) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return encoded_head(number, len(content)) + content


def encoded_head(number: int, length: int) -> bytes:
    """What stands before ``length`` bytes of a field whose content is written afterwards."""
    return encoded_varint(number << 3 | BYTES_) + encoded_varint(length)


def cursor_over(cursor: Cursor, view: memoryview, what: str = "") -> Cursor:
    """A cursor over a field of the message that ``cursor`` has just read past."""
    return Cursor(view, path=cursor.path, where=what or cursor.where, base=cursor.base + cursor.at - len(view))


def _one(cursor: Cursor, kind: Any, wire: int, value: Any, limits: Limits, depth: int) -> Any:
    if wire == BYTES_:
        if kind == TEXT:
            return str(value, "utf-8", "replace")
        if kind in (RAW, PACKED):
            return value
        if kind == LAZY:
            return cursor_over(cursor, value)
        if isinstance(kind, Message):
            return kind.read(cursor_over(cursor, value), limits, depth + 1)
    if kind in _NUMBERS:
        return _number(cursor, kind, wire, value)
    if kind == PACKED:
        return memoryview(encoded_varint(value)) if wire == VARINT else value
    raise cursor.fail(f"a field of bytes has the wire type {wire}.", next=_FETCH_AGAIN)


def _unpacked(cursor: Cursor, kind: Any, value: memoryview, limits: Limits) -> list[Any]:
    """The numbers of a packed field."""
    packed = cursor_over(cursor, value)
    limits.check("header_bytes", len(value), path=cursor.path, where=cursor.where)
    if kind in (FLOAT, DOUBLE):
        code, size = ("f", 4) if kind == FLOAT else ("d", 8)
        if len(value) % size:
            raise cursor.fail(f"{len(value)} bytes are no whole number of {kind}s.", next=_FETCH_AGAIN)
        return list(struct.unpack(f"<{len(value) // size}{code}", value))
    numbers = []
    while packed.left:
        numbers.append(_number(packed, kind, VARINT, varint(packed)))
    return numbers


def _number(cursor: Cursor, kind: str, wire: int, value: Any) -> Any:
    if wire == VARINT:
        if kind == SINT:
            return (value >> 1) ^ -(value & 1)
        if kind == BOOL:
            return bool(value)
        return value - (1 << 64) if kind == INT and value >= 1 << 63 else value
    if wire in (FIXED32, FIXED64) and kind in (FLOAT, DOUBLE, FIXED):
        if kind == FIXED:
            return int.from_bytes(value, "little")
        if len(value) == (4 if kind == FLOAT else 8):
            return struct.unpack("<f" if kind == FLOAT else "<d", value)[0]
    raise cursor.fail(f"a number has the wire type {wire}, which {kind} has not.", next=_FETCH_AGAIN)
