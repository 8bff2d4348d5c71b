"""ggml's files: GGUF, and the rows of tensors before it that whisper.cpp's voice detector (Silero) still has.

Source: ggml docs/gguf.md and include/gguf.h (versions 1 to 3: magic, counts, key-value pairs, a head for each tensor,
then the aligned elements); whisper.cpp models/convert-silero-vad-to-ggml.py (``lmgg``, a model's name, its numbers, then
tensors to the end of the file: axes, length of the name, type, sizes, name, elements).  Sizes stand innermost first, so
that they are turned round.  Not known here: elements in quantised blocks, which are left out with a note, and what
the numbers before an old file's tensors mean.
"""

from __future__ import annotations

import math

from ..cursor import Cursor
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_GGUF = b"GGUF"
_OLD = b"lmgg"
_DTYPES = {0: "float32", 1: "float16", 24: "int8", 25: "int16", 26: "int32", 27: "int64", 28: "float64", 30: "bfloat16"}
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # gguf.h, gguf_type: bytes of a value
_TEXT, _ARRAY = 8, 9
_UNSIGNED, _ALIGNMENT = frozenset((0, 2, 4, 10)), 32
_HEAD_BYTES = 1024  # an old file's numbers end before; then come its tensors
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims_gguf(source: Source) -> bool:
    return bytes(source.data[:4]) == _GGUF


def read_gguf(source: Source) -> Tensors:
    """The heads; the tensors are views of the mapped file."""
    cursor = source.cursor(where="GGUF header")
    cursor.take(4)
    version = cursor.u32()
    if version not in (1, 2, 3):
        raise cursor.fail(f"is version {version} of GGUF; versions 1 to 3 are known.")
    reader = _Gguf(cursor, source, wide=version > 1)
    count, pairs = reader.count(), reader.count()
    source.limits.check("tensors", count, path=source.name, where="GGUF header")
    metadata = {reader.text(): reader.value() for _ in reader.times(pairs)}
    heads = [reader.head() for _ in reader.times(count)]
    step = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(step, int) or not 0 < step <= 1 << 20:
        raise cursor.fail(f"its elements are aligned to {step!r} bytes.", next=_FETCH_AGAIN)
    start = -(-cursor.at // step) * step
    notes: list[str] = []
    tensors = [made for head in heads if (made := _placed(head, start, source, notes)) is not None]
    return Tensors(
        tensors,
        path=source.name,
        container="gguf",
        bytes=source.size,
        written_by=[WrittenBy("ggml", "", f"GGUF version {version}")],
        notes=notes,
        metadata={key: value for key, value in metadata.items() if isinstance(value, str | int | float)},
    )


@record
class _Head:
    name: str
    kind: int
    shape: tuple[int, ...]
    offset: int


class _Gguf:
    """The values before the elements.  Version 1 counts in 32 bits."""

    def __init__(self, cursor: Cursor, source: Source, wide: bool):
        self.cursor, self.source, self._wide = cursor, source, wide

    def count(self) -> int:
        return self.cursor.u64() if self._wide else self.cursor.u32()

    def times(self, count: int) -> range:
        if count > self.cursor.left:
            raise self.cursor.fail(
                f"{count:,} entries are announced, {self.cursor.left:,} bytes are left.", next=_FETCH_AGAIN
            )
        self.source.limits.check("objects", count, path=self.source.name, where="GGUF header")
        return range(count)

    def text(self) -> str:
        return bytes(self.cursor.take(self.count(), "bytes of text")).decode("utf-8", "replace")

    def value(self, kind: int | None = None) -> Any:
        """A text or a number; of an array nothing is kept, and of a kind that is not a plain one None."""
        kind = self.cursor.u32() if kind is None else kind
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            inner, count = self.cursor.u32(), self.count()
            if inner in _SIZES:
                self.cursor.take(_SIZES[inner] * count, "bytes of an array")
                return None
            if inner != _TEXT:
                raise self.cursor.fail(f"an array of type {inner}.", next=_FETCH_AGAIN)
            for _ in self.times(count):
                self.cursor.take(self.count(), "bytes of text")
            return None
        if kind not in _SIZES:
            raise self.cursor.fail(f"a value of type {kind}.", next=_FETCH_AGAIN)
        raw = self.cursor.take(_SIZES[kind], "bytes of a value")
        return int.from_bytes(raw, "little") if kind in _UNSIGNED else None

    def head(self) -> _Head:
        name, axes = self.text(), self.cursor.u32()
        self.source.limits.check("rank", axes, path=self.source.name, where=f"tensor {name}")
        sizes = tuple(self.count() for _ in range(axes))
        return _Head(name, self.cursor.u32(), sizes[::-1], self.cursor.u64())


def _placed(head: _Head, start: int, source: Source, notes: list[str]) -> StoredTensor | None:
    dtype = _DTYPES.get(head.kind)
    if dtype is None:
        notes.append(
            f"{head.name} is kept in quantised blocks (ggml type {head.kind}), which are not read; it is left out."
        )
        return None
    cursor = source.cursor(min(start, source.size), where=f"tensor {head.name}")
    cursor.take(head.offset, "bytes before it")
    data = cursor.take(math.prod(head.shape) * ITEM_BYTES[dtype], "bytes of elements")
    where = f"byte {start + head.offset}"
    return StoredTensor(head.name, dtype, head.shape, Strided(data, storage=where), where)


# The rows of tensors before GGUF.


def claims_old(source: Source) -> bool:
    return bytes(source.data[:4]) == _OLD and _rows(source) is not None


def _rows(source: Source) -> list[StoredTensor] | None:
    """The tensors, from the first place behind the head's numbers where they fill the file to its end."""
    dead: set[int] = set()  # where rows were tried that lead to no end
    for start in range(8, min(_HEAD_BYTES, source.size)):
        found = _rows_from(source, start, dead)
        if found:
            return found
    return None


def _rows_from(source: Source, start: int, dead: set[int]) -> list[StoredTensor] | None:
    found: list[StoredTensor] = []
    data, at = source.data, start
    while at < source.size:
        if at in dead:
            return None
        dead.add(at)
        axes, length, kind = (int.from_bytes(data[at + 4 * n : at + 4 * n + 4], "little") for n in range(3))
        if not (1 <= axes <= 4 and 1 <= length <= 256 and kind in (0, 1)):
            return None
        names = at + 12 + 4 * axes
        sizes = [int.from_bytes(data[at + 12 + 4 * n : at + 16 + 4 * n], "little") for n in range(axes)]
        name = bytes(data[names : names + length]).decode("ascii", "replace")
        end = names + length + math.prod(sizes) * ITEM_BYTES[_DTYPES[kind]]
        if not name.isprintable() or "\ufffd" in name or end > source.size:
            return None
        body = data[names + length : end]
        where = f"byte {names + length}"
        found.append(StoredTensor(name, _DTYPES[kind], tuple(sizes[::-1]), Strided(body, storage=where), where))
        at = end
    return found


def read_old(source: Source) -> Tensors:
    """The tensors as they follow each other."""
    return Tensors(
        _rows(source) or (),
        path=source.name,
        container="ggml",
        bytes=source.size,
        written_by=[WrittenBy("ggml", "", "ggml tensors in a row, as before GGUF")],
    )


CONTAINERS = (
    Container(
        "gguf",
        title="GGUF",
        source="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md",
        claims=claims_gguf,
        read=read_gguf,
        magic=((0, _GGUF),),
        rank=30,
    ),
    Container(
        "ggml",
        title="ggml tensors in a row (whisper.cpp's Silero)",
        source="https://github.com/ggml-org/whisper.cpp/blob/master/models/convert-silero-vad-to-ggml.py",
        claims=claims_old,
        read=read_old,
        magic=((0, _OLD),),
        rank=31,
    ),
)
