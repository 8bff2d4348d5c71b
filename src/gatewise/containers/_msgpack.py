"""MessagePack, read lazily and within bounds: maps, lists, texts and numbers; binary data stays a view of the file.

Source: the format's specification, https://github.com/msgpack/msgpack/blob/master/spec.md.  Every length is held against
the bytes that are left, and depth and number of objects against the limits.  Old writers keep binary data in
texts; such a text that is not UTF-8 is given as bytes.  Not known here: what an extension type means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..cursor import Cursor, Limits
from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import IO, Any

_FLOATS = {0xCA: ">f", 0xCB: ">d"}
_UNSIGNED = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_SIGNED = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@record
class Extension:
    """A value of an application's own type: its number, its bytes, and where they lie in the file."""

    code: int
    data: memoryview
    at: int


class Reader:
    """Reads the value at a cursor, and the next, and the next."""

    def __init__(self, cursor: Cursor, limits: Limits):
        self.cursor, self.limits = cursor, limits
        self._objects = 0

    def value(self, depth: int = 0) -> Any:
        """One value.  Raises BrokenFile, LimitExceeded."""
        self._count(1)
        self.limits.check("nesting", depth, path=self.cursor.path, where=self.cursor.where)
        code = self.cursor.u8()
        if code < 0x80 or code >= 0xE0:
            return code if code < 0x80 else code - 0x100
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code < 0x90 or code in _MAPS:
            return self._map(self._length(code, _MAPS, 0x0F), depth)
        if code < 0xA0 or code in _LISTS:
            return [self.value(depth + 1) for _ in self._times(self._length(code, _LISTS, 0x0F))]
        if code < 0xC0 or code in _TEXTS:
            return self._text(self._length(code, _TEXTS, 0x1F))
        return self._plain(code)

    def _plain(self, code: int) -> Any:
        if code in _FLOATS:
            return self.cursor.unpack(_FLOATS[code], "bytes of a number")[0]
        if code in _UNSIGNED or code in _SIGNED:
            size = _UNSIGNED.get(code) or _SIGNED[code]
            return int.from_bytes(self.cursor.take(size, "bytes of a number"), "big", signed=code in _SIGNED)
        if code in _BYTES:
            return self.cursor.take(self._big(_BYTES[code]), "bytes of binary data")
        if code in _EXTENSIONS or code in _FIXED_EXTENSIONS:
            size = _FIXED_EXTENSIONS.get(code) or self._big(_EXTENSIONS[code])
            kind = int.from_bytes(self.cursor.take(1), "big", signed=True)
            at = self.cursor.base + self.cursor.at
            return Extension(kind, self.cursor.take(size, "bytes of an extension"), at)
        raise self.cursor.fail("0xc1 begins no MessagePack value.", next="The file is cut or damaged; fetch it again.")

    def _map(self, length: int, depth: int) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in self._times(length):
            key = self.value(depth + 1)
            key = bytes(key) if isinstance(key, memoryview) else key
            if not isinstance(key, str | bytes | int | float | None) or key in made:
                raise self.cursor.fail(f"a map has the key {str(key)[:40]!r} twice, or one that can be none.")
            made[key] = self.value(depth + 1)
        return made

    def _text(self, length: int) -> str | memoryview:
        raw = self.cursor.take(length, "bytes of text")
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            return raw

    # Counts.

    def _big(self, size: int) -> int:
        return int.from_bytes(self.cursor.take(size), "big")

    def _length(self, code: int, sizes: dict[int, int], mask: int) -> int:
        return self._big(sizes[code]) if code in sizes else code & mask

    def _times(self, count: int) -> range:
        """``count`` values follow, of at least a byte each."""
        if count > self.cursor.left:
            raise self.cursor.fail(f"{count:,} values are announced, {self.cursor.left:,} bytes are left.")
        self._count(count)
        return range(count)

    def _count(self, count: int) -> None:
        self._objects += count
        if self._objects > self.limits.objects:
            self.limits.check("objects", self._objects, path=self.cursor.path, where=self.cursor.where)


# Looking, without making anything: what a format's ``claims`` asks.


def first_extension(cursor: Cursor, values: int = 1000) -> Extension | None:
    """The first extension among the first so many values, though its bytes may be cut; None where there is none or
    the bytes are no MessagePack.  A container for a look: never raises.
    """
    data, at = cursor.data, cursor.at
    for _ in range(values):
        size, head = _head(data, at)
        if not head:
            return None
        code = data[at]
        if code in _EXTENSIONS or code in _FIXED_EXTENSIONS:
            kind = int.from_bytes(data[at + head - 1 : at + head], "big", signed=True)
            return Extension(kind, data[at + head : at + head + size], at + head)
        at += head + size
    return None


def _head(data: memoryview, at: int) -> tuple[int, int]:
    """(bytes of content behind the head, bytes of the head); a map's or a list's content are values of their own.

    (0, 0) where no value begins or its head is cut.
    """
    if at >= len(data):
        return 0, 0
    code = data[at]
    if code < 0xA0 or code >= 0xE0 or code in _CONSTANTS:
        return 0, 1
    if code < 0xC0:
        return code & 0x1F, 1
    for sizes in (_UNSIGNED, _SIGNED):
        if code in sizes:
            return sizes[code], 1
    if code in _FLOATS:
        return struct.calcsize(_FLOATS[code]), 1
    if code in _FIXED_EXTENSIONS:
        return _FIXED_EXTENSIONS[code], 2
    for sizes, more in ((_BYTES, 0), (_TEXTS, 0), (_EXTENSIONS, 1), (_LISTS, 0), (_MAPS, 0)):
        if code in sizes:
            head = 1 + sizes[code] + more
            if at + head > len(data):
                return 0, 0
            length = int.from_bytes(data[at + 1 : at + 1 + sizes[code]], "big")
            return (0 if sizes in (_LISTS, _MAPS) else length), head
    return 0, 0


# Writing: the shortest spelling of each value, as the msgpack library writes it.


def packed(value: object) -> bytes:
    """A number, a text, None or a truth value."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return _packed_int(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else _sized(len(raw), (0xD9, 0xDA, 0xDB))) + raw
    raise TypeError(f"a {type(value).__name__} is not written as MessagePack")


def _packed_int(value: int) -> bytes:
    if -32 <= value < 128:
        return (value & 0xFF).to_bytes(1, "big")
    for code, size in _UNSIGNED.items() if value >= 0 else ():
        if value < 1 << 8 * size:
            return bytes([code]) + value.to_bytes(size, "big")
    for code, size in _SIGNED.items():
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return bytes([code]) + value.to_bytes(size, "big", signed=True)
    raise TypeError(f"the integer {value} has more than 64 bits")


def _sized(length: int, codes: tuple[int, ...]) -> bytes:
    """The head for one, two or four bytes of length (the last codes of the tuple)."""
    for code, size in zip(codes, (1, 2, 4)[-len(codes) :], strict=True):
        if length < 1 << 8 * size:
            return bytes([code]) + length.to_bytes(size, "big")
    raise TypeError(f"{length:,} bytes are more than MessagePack can hold in one value")


def map_head(length: int) -> bytes:
    return bytes([0x80 | length]) if length < 16 else _sized(length, (0xDE, 0xDF))


def list_head(length: int) -> bytes:
    return bytes([0x90 | length]) if length < 16 else _sized(length, (0xDC, 0xDD))


def bytes_head(length: int) -> bytes:
    return _sized(length, (0xC4, 0xC5, 0xC6))


def extension_head(code: int, length: int) -> bytes:
    fixed = {size: bytes([head]) for head, size in _FIXED_EXTENSIONS.items()}
    return (fixed.get(length) or _sized(length, (0xC7, 0xC8, 0xC9))) + bytes([code])


def write_map(file: IO[bytes], content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Write a map's head and its keys; the caller writes each value as its key is given."""
    file.write(map_head(len(content)))
    for key, value in content.items():
        file.write(packed(key))
        yield key, value
