"""ONNX's TensorProto as a stored tensor: raw bytes, typed numbers, or a stretch of another file in the model's folder.

Source: onnx/onnx.proto, message TensorProto; docs/ExternalData.md of ONNX 1.23.  ``raw_data`` is little-endian and
row-major.  Numbers of 16 bits and fewer may stand in ``int32_data`` one by one (float16 as its bits).  External data
has ``location``, ``offset`` and ``length``; nothing outside the model's folder is opened.
Not known here: graphs and nodes; tensors split into segments, strings, elements smaller than a byte.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile, UsageError
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided
from ._onnx_proto import DTYPES, OTHER_TYPES, TENSOR

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_EXTERNAL = 1
_VIEWS = ("float_data", "double_data")  # packed, these are the elements themselves


class Unread(Exception):
    """A tensor that is named and left, with the reason."""


class Reader:
    """Reads tensors of one model.  ``missing``: files that it names and that do not lie beside it."""

    def __init__(self, source: Source):
        self.source = source
        self.missing: dict[str, None] = {}
        self._external: dict[str, Source | None] = {}

    @property
    def bytes(self) -> int:
        """The model's size with its external data."""
        return self.source.size + sum(found.size for found in self._external.values() if found is not None)

    def tensor(self, cursor: Cursor, name: str | None = None) -> StoredTensor:
        """One TensorProto.  Raises Unread for what gatewise does not read, BrokenFile for what is wrong."""
        place = cursor.base
        found = TENSOR.read(cursor, self.source.limits)
        name = found.get("name", "") if name is None else name
        where = f"tensor {name!r}"
        shape = self._shape(found["dims"], where)
        code = found.get("data_type", 0)
        if code in OTHER_TYPES or "segment" in found:
            raise Unread(f"holds {OTHER_TYPES[code]}" if code in OTHER_TYPES else "is split into segments")
        if code not in DTYPES:
            raise self._broken(f"has the element type {code}, which ONNX does not define.", where)
        dtype, field = DTYPES[code]
        needed = math.prod(shape) * ITEM_BYTES[dtype]
        data, said = self._data(found, dtype, field, shape, needed, place, where)
        return StoredTensor(name, dtype, shape, data, said)

    def dims(self, dims: list[int]) -> str:
        return " × ".join(map(str, dims[:8])) or "a scalar"

    def _shape(self, dims: list[int], where: str) -> tuple[int, ...]:
        self.source.limits.check("rank", len(dims), path=self.source.name, where=where)
        if any(size < 0 for size in dims):
            raise self._broken(f"has a negative length in its shape {dims}.", where)
        return tuple(dims)

    def _data(
        self, found: Mapping[str, Any], dtype: str, field: str, shape: tuple[int, ...], needed: int, place: int, where: str
    ) -> tuple[Strided, str]:  # fmt: skip
        if found.get("data_location") == _EXTERNAL:
            return self._outside(found, needed, where)
        said = f"byte {place}"
        raw = found.get("raw_data")
        if raw is None and field in _VIEWS:
            raw = _joined(found[field])
        if raw is not None:
            self._same(len(raw), needed, where)
            return Strided(raw, storage=said), said
        packed = found[field]
        if math.prod(shape) > sum(map(len, packed)):  # a number takes a byte at least
            raise self._broken(
                f"has the shape {list(shape)}, and only {sum(map(len, packed)):,} bytes of numbers.", where
            )
        return Strided(self._unpacked(packed, dtype, needed, where), storage=said), said

    def _unpacked(self, packed: list[memoryview], dtype: str, needed: int, where: str) -> Callable[[], memoryview]:
        def unpack() -> memoryview:
            made = varints(_joined(packed), dtype)
            self._same(len(made), needed, where)
            return made

        return unpack

    def _same(self, found: int, needed: int, where: str) -> None:
        if found != needed:
            raise self._broken(f"has {found:,} bytes of elements; its shape and type want {needed:,}.", where)

    def _broken(self, message: str, where: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=where, next=_FETCH_AGAIN)

    # External data.

    def _outside(self, found: Mapping[str, Any], needed: int, where: str) -> tuple[Strided, str]:
        said = {entry.get("key", ""): entry.get("value", "") for entry in found["external_data"]}
        location = said.get("location", "")
        if not location:
            raise self._broken("lies in another file, and does not say in which.", where)
        offset, length = self._number(said, "offset", 0, where), self._number(said, "length", needed, where)
        self._same(length, needed, where)
        other = self._opened(location)
        place = f"{location}, byte {offset}"
        if other is None:
            return Strided(self._never(location, where), storage=place), place
        if offset + needed > other.size:
            raise self._broken(
                f"lies at bytes {offset:,} to {offset + needed:,} of {location}, which has {other.size:,}.", where
            )
        return Strided(other.data[offset : offset + needed], storage=place), place

    def _number(self, said: Mapping[str, str], key: str, default: int, where: str) -> int:
        text = said.get(key, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise self._broken(f"its external data's {key} is {text[:40]!r}, not a number.", where)
        return int(text)

    def _opened(self, location: str) -> Source | None:
        """The file, opened once; None where it is not there.  Raises UsageError for one outside the model's folder."""
        if location not in self._external:
            try:
                self._external[location] = self.source.folder.open(location)
            except UsageError:
                if location in self.source.folder or _leaves(location):
                    raise
                self._external[location] = None
                self.missing[location] = None
        return self._external[location]

    def _never(self, location: str, where: str) -> Callable[[], memoryview]:
        def refuse() -> memoryview:
            raise UsageError(
                f"its elements lie in {location}, which is not beside the model.", path=self.source.name, where=where,
                next="Fetch that file too and put it into the model's folder.",
            )  # fmt: skip

        return refuse


def _leaves(location: str) -> bool:
    parts = location.replace("\\", "/").split("/")
    return ".." in parts or not parts[0] or ":" in location[:2] or "\0" in location


def _joined(pieces: list[memoryview]) -> memoryview:
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


def varints(packed: memoryview, dtype: str) -> memoryview:
    """Packed numbers as little-endian elements of ``dtype``: float16 and its like are given by their bits."""
    import numpy as np

    coded = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(coded < 0x80)
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    lengths = ends - starts + 1
    values = np.zeros(len(ends), np.uint64)
    for byte in range(min(int(lengths.max(initial=0)), 10)):
        longer = lengths > byte
        part = (coded[starts[longer] + byte] & 0x7F).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * byte)
    size = ITEM_BYTES[dtype]
    return memoryview(values.astype(f"<u{size}").tobytes())


def whole_numbers(tensor: StoredTensor, most: int) -> list[int] | None:
    """The elements of a small tensor of whole numbers, without numpy; None where it is not one."""
    if tensor.dtype not in ("int64", "int32") or tensor.size > most or not isinstance(tensor.data, Strided):
        return None
    if not isinstance(tensor.data.buffer, memoryview):
        return [int(number) for number in tensor.array().reshape(-1)]
    size = ITEM_BYTES[tensor.dtype]
    raw = tensor.data.buffer
    return [int.from_bytes(raw[at : at + size], "little", signed=True) for at in range(0, tensor.size * size, size)]
