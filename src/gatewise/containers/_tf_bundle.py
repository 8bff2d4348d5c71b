"""TensorFlow's checkpoints, V2: an index (a table of names) beside data files that hold the elements, raw.

The index's first key is empty and has the header; each other key is a tensor's name and has its dtype, its shape and
where it lies.  A partitioned variable lies in slices, each an entry of its own under a key made of name and place.
Source: tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/util/tensor_bundle/tensor_bundle.cc (TF 2.15).
Not known here: what the names mean.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence

from ..cursor import Cursor
from ..errors import BrokenFile, LimitExceeded
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided
from ._leveldb_table import Table
from ._protobuf import FIXED, INT, RAW, Message, varint
from ._tf_types import SHAPE, SLICE, STRING, VERSIONS, Place, dtype_name, place_of, shape_of, slice_key

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

_HEADER = Message({1: ("num_shards", INT), 2: ("endianness", INT), 3: ("version", VERSIONS)})
_ENTRY = Message({
    1: ("dtype", INT), 2: ("shape", RAW), 3: ("shard", INT), 4: ("offset", INT), 5: ("size", INT),
    6: ("crc", FIXED), 7: ("slices", [SLICE]),
})  # fmt: skip
_CRC, _SHAPE, _NUMBERS = 0x35, 0x12, (0x08, 0x18, 0x20, 0x28)  # fields of an entry, with their wire types
_WHERE = "TensorFlow checkpoint index"
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_MANY_SLICES = 512  # slices of one tensor that are compared each with each


class Entry:
    """One tensor of the index: where it lies, or in which slices."""

    __slots__ = ("dtype", "name", "offset", "shape", "shard", "size", "slices")

    def __init__(
        self, name: str, dtype: int, shape: tuple[int, ...], shard: int, offset: int, size: int,
        slices: Sequence[Mapping[str, Any]] = (),
    ):  # fmt: skip
        self.name, self.dtype, self.shape, self.shard = name, dtype, shape, shard
        self.offset, self.size, self.slices = offset, size, slices


class Bundle:
    """The entries of one checkpoint by their keys, and its data files.  Raises BrokenFile, LimitExceeded."""

    def __init__(self, source: Source):
        self.source = source
        self.prefix = source.path.name.removesuffix(".index")
        self.entries: dict[bytes, Entry] = {}
        self._shard_names: dict[int, str] = {}
        self._mapped: dict[int, memoryview] = {}
        self._shapes: dict[bytes, tuple[int, ...]] = {}
        table = Table(source, _WHERE)
        for key, value in table.entries(check=source.limits.header_bytes):
            cursor = Cursor(value, path=source.name, where=_WHERE)
            if not self.entries and not key:
                self._header = _HEADER.read(cursor, source.limits)
                self.shards = source.limits.check("members", self._header.get("num_shards", 0), path=source.name)
                self.entries[b""] = Entry("", 0, (), 0, 0, 0)
            elif not self.entries:
                raise table.broken("does not begin with the header of a TensorFlow checkpoint.")
            else:
                self.entries[key] = self._entry(key, cursor)
        if not self.entries:
            raise table.broken("is empty.")
        del self.entries[b""]

    def _entry(self, key: bytes, cursor: Cursor) -> Entry:
        name = "" if key[:1] == b"\0" else key.decode("utf-8", "replace")
        raw = bytes(cursor.data)
        quick = _plain_entry(raw)
        if quick is not None:
            numbers, shape = quick
            dtype, shard, offset, size = (numbers.get(number, 0) for number in (1, 3, 4, 5))
            return Entry(name, dtype, self._shape(shape, cursor, name), shard, offset, size)
        found = _ENTRY.read(cursor, self.source.limits)
        dtype, shard, offset, size = (found.get(field, 0) for field in ("dtype", "shard", "offset", "size"))
        shape = bytes(found.get("shape", b""))
        return Entry(name, dtype, self._shape(shape, cursor, name), shard, offset, size, found["slices"])

    def _shape(self, raw: bytes, cursor: Cursor, name: str) -> tuple[int, ...]:
        if raw not in self._shapes:  # most tensors have a shape that others have too
            message = SHAPE.read(Cursor(raw, path=cursor.path, where=_WHERE, base=cursor.base), self.source.limits)
            self._shapes[raw] = shape_of(message, self.source.limits, f"tensor {name!r}")
        return self._shapes[raw]

    # Data files.

    def shard_name(self, shard: int) -> str:
        if shard not in self._shard_names:
            self._shard_names[shard] = f"{self.prefix}.data-{shard:05d}-of-{self.shards:05d}"
        return self._shard_names[shard]

    def shard(self, shard: int) -> memoryview:
        """A data file, mapped."""
        if shard not in self._mapped:
            self._mapped[shard] = self._map(shard)
        return self._mapped[shard]

    def _map(self, shard: int) -> memoryview:
        name = self.shard_name(shard)
        if not 0 <= shard < self.shards:
            raise BrokenFile(
                f"names data file {shard} of {self.shards}.", path=self.source.name, where=_WHERE, next=_FETCH_AGAIN
            )
        if name not in self.source.folder:
            raise BrokenFile(
                f"the checkpoint's data file {name} is missing; it holds {self._held_by(shard):,} of its tensors.",
                path=self.source.name, next="Put it beside the .index file, under exactly this name.",
            )  # fmt: skip
        return self.source.folder.open(name).data

    def _held_by(self, shard: int) -> int:
        return sum(entry.shard == shard and not entry.slices for entry in self.entries.values())

    @property
    def size(self) -> int:
        """The index and its data files together."""
        return self.source.size + sum(len(self.shard(shard)) for shard in self._used)

    @property
    def _used(self) -> set[int]:
        return {entry.shard for entry in self.entries.values() if not entry.slices}

    # Tensors.

    def tensors(self) -> list[StoredTensor]:
        """Every tensor that holds numbers, in the order of the keys."""
        made = (self._tensor(key, entry) for key, entry in self.entries.items() if entry.name)
        return [tensor for tensor in made if tensor is not None]

    def notes(self, but: str = "") -> list[str]:
        """What is in the checkpoint and not among its tensors, all but one of that name."""
        spare = [e.name for e in self.entries.values() if e.name not in ("", but) and dtype_name(e.dtype) is None]
        return [f"{len(spare)} tensors hold no numbers and are left out, the first is {spare[0]}."] if spare else []

    def _tensor(self, key: bytes, entry: Entry) -> StoredTensor | None:
        dtype = dtype_name(entry.dtype)
        if dtype is None:
            return None
        if entry.slices:
            return self._joined(key, entry, dtype)
        return StoredTensor(entry.name, dtype, entry.shape, self._strided(entry, dtype), self.shard_name(entry.shard))

    def _strided(self, entry: Entry, dtype: str) -> Strided:
        needed = math.prod(entry.shape) * ITEM_BYTES[dtype]
        data = self.shard(entry.shard)
        if entry.size != needed:
            raise self._broken(entry, f"its shape needs {needed:,} bytes, its entry gives {entry.size:,}.")
        if entry.offset < 0 or entry.offset + needed > len(data):
            raise self._broken(
                entry,
                f"it is said to lie at bytes {entry.offset:,} to {entry.offset + needed:,} of "
                f"{self.shard_name(entry.shard)}, which has {len(data):,}.",
            )
        view = data[entry.offset : entry.offset + needed]
        big = self._header.get("endianness") == 1
        return Strided(view, 0, None, big, f"{entry.shard}:{entry.offset}")

    def _broken(self, entry: Entry, message: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=f"tensor {entry.name!r}", next=_FETCH_AGAIN)

    # Slices.

    def _joined(self, key: bytes, entry: Entry, dtype: str) -> StoredTensor:
        """A partitioned variable: its slices are laid into one array when it is asked for."""
        pieces: list[tuple[Place, StoredTensor]] = []
        for message in entry.slices:
            place = place_of(message, entry.shape, f"tensor {entry.name!r}")
            part = self.entries.get(slice_key(key, message))
            shape = tuple(length for _, length in place)
            if part is None or part.slices or part.dtype != entry.dtype or part.shape != shape:
                raise self._broken(entry, f"its slice at {place} is not in the index as such.")
            named = Entry(entry.name, part.dtype, shape, part.shard, part.offset, part.size)
            pieces.append((place, StoredTensor(entry.name, dtype, shape, self._strided(named, dtype))))
        covers_exactly([place for place, _ in pieces], entry.shape, entry.name, self.source.name)
        return StoredTensor(
            entry.name, dtype, entry.shape, functools.partial(joined, pieces, entry.shape, dtype),
            where=f"{len(pieces)} slices",
        )  # fmt: skip

    # Strings.

    def strings(self, name: str) -> list[bytes] | None:
        """The elements of a tensor of strings; None where there is none.

        Their lengths lie before them, as varints, with a checksum behind the lengths.
        """
        entry = self.entries.get(name.encode())
        if entry is None or entry.dtype != STRING or entry.slices:
            return None
        limits, where = self.source.limits, f"tensor {name!r}"
        count = limits.check("members", math.prod(entry.shape), path=self.source.name, where=where)
        data = self.shard(entry.shard)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > len(data):
            raise self._broken(entry, f"it reaches past the end of {self.shard_name(entry.shard)}.")
        view = data[entry.offset : entry.offset + entry.size]
        cursor = Cursor(view, path=self.source.name, where=where, base=entry.offset)
        lengths = [varint(cursor) for _ in range(count)]
        cursor.take(4, "bytes of checksum")
        limits.check("header_bytes", sum(lengths), path=self.source.name, where=where)
        return [bytes(cursor.take(length, "bytes of text")) for length in lengths]


def _plain_entry(raw: bytes) -> tuple[dict[int, int], bytes] | None:
    """({field: number}, the shape) of an entry without slices, as TensorFlow writes nearly all of them; None for any
    other, which is left to the careful reader.  An index has thousands of entries."""
    numbers: dict[int, int] = {}
    shape, at, end = b"", 0, len(raw)
    while at < end:
        tag = raw[at]
        at += 1
        if tag == _CRC:
            at += 4
            continue
        value = shift = 0
        while at < end and shift < 56:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        else:
            return None
        if tag == _SHAPE:
            shape = raw[at : at + value]
            at += value
        elif tag in _NUMBERS:
            numbers[tag >> 3] = value
        else:
            return None
    return (numbers, shape) if at == end else None


def covers_exactly(places: Sequence[Place], shape: tuple[int, ...], name: str, path: object) -> None:
    """Raises BrokenFile where slices overlap or leave a hole."""
    where = f"tensor {name!r}"
    held = sum(math.prod(length for _, length in place) for place in places)
    if held != math.prod(shape):
        raise BrokenFile(
            f"its slices hold {held:,} elements, its shape {math.prod(shape):,}.", path=path, where=where,
            next=_FETCH_AGAIN,
        )  # fmt: skip
    axes = [axis for axis, size in enumerate(shape) if any(place[axis] != (0, size) for place in places)]
    if len(axes) == 1:  # as TensorFlow's partitioners make them: in a row along one axis
        [axis] = axes
        row = sorted(place[axis] for place in places if place[axis][1])
        overlap = any(start + length > after for (start, length), (after, _) in itertools.pairwise(row))
    elif len(places) > _MANY_SLICES:
        raise LimitExceeded(f"is cut into {len(places):,} slices along several axes.", path=path, where=where)
    else:
        overlap = any(_overlap(one, other) for at, one in enumerate(places) for other in places[:at])
    if overlap:
        raise BrokenFile("its slices overlap.", path=path, where=where, next=_FETCH_AGAIN)


def _overlap(one: Place, other: Place) -> bool:
    return all(a < c + d and c < a + b for (a, b), (c, d) in zip(one, other))  # noqa: B905


def joined(pieces: Sequence[tuple[Place, StoredTensor]], shape: tuple[int, ...], dtype: str) -> Array:
    """The whole tensor, read-only."""
    import numpy as np

    from ..tensors import numpy_dtype

    whole: Array = np.empty(shape, numpy_dtype(dtype))
    for place, piece in pieces:
        whole[tuple(slice(start, start + length) for start, length in place)] = piece.array()
    whole.flags.writeable = False
    return whole
