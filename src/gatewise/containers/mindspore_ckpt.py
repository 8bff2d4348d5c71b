"""MindSpore's ``.ckpt``: a protocol buffer of parameters, each with its name, shape, type and bytes.

Source: mindspore/python/mindspore/train/checkpoint.proto and serialization.py (``_exec_save``, ``_parse_ckpt_proto``,
``_load_ckpt_into_param_dict``) of MindSpore 2.10.  A parameter above 512 MB is cut into entries of one name that follow
each other.  ``crc_check`` puts "crc_num" and ten bytes behind.  Not known here: encrypted files, map parameters (named).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from ..cursor import Cursor
from ..errors import BrokenFile, NotRepresentable
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import twice
from ._protobuf import INT, LAZY, RAW, TEXT, Message, fields, varint
from ._supply import Supply

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..tensors import Array

_TENSOR = Message({1: ("dims", [INT]), 2: ("type", TEXT), 3: ("content", RAW)})
_VALUE = Message({1: ("tag", TEXT), 2: ("tensor", _TENSOR), 3: ("map", LAZY)})
_DTYPES = {
    "Float32": "float32", "Float64": "float64", "Float16": "float16", "BFloat16": "bfloat16", "Int8": "int8",
    "UInt8": "uint8", "Int16": "int16", "UInt16": "uint16", "Int32": "int32", "UInt32": "uint32", "Int64": "int64",
    "UInt64": "uint64", "Bool": "bool",
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_CHECKSUM, _CHECKSUM_BYTES = b"crc_num", 17
_SLICE = 512 << 20
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A first entry that has a name, then a tensor (dims, type), or a map."""
    head = Cursor(source.data[: 1 << 16], path=source.name)
    try:
        if head.u8() != 0x0A:
            return False
        varint(head)
        if head.u8() != 0x0A:
            return False
        name = bytes(head.take(varint(head)))
        kind = head.u8()
        if kind == 0x1A:
            return name.isascii()
        varint(head)
        return kind == 0x12 and _is_tensor(head)
    except BrokenFile:
        return False


def _is_tensor(head: Cursor) -> bool:
    """Dims, then one of MindSpore's words for a type."""
    for number, wire, value in fields(head):
        if number == 2 and wire == 2:
            return bytes(value) in {code.encode() for code in (*_DTYPES, "str", "Int4")}
        if number != 1:
            return False
    return False


def read(source: Source) -> Tensors:
    """Each parameter is a view of the mapped file; one that is cut into slices is put together when asked for."""
    notes: list[str] = []
    end = len(source.data) - (_CHECKSUM_BYTES if bytes(source.data[-17:-10]) == _CHECKSUM else 0)
    cursor = source.cursor(0, end, "MindSpore checkpoint")
    entries = _entries(cursor, source)
    tensors = []
    for name, slices in itertools.groupby(entries, key=lambda entry: entry["tag"]):
        found = _parameter(name, list(slices), source, notes)
        tensors += [found] if found else []
        source.limits.check("tensors", len(tensors), path=source.name, where="MindSpore checkpoint")
    if (again := twice(tensor.name for tensor in tensors)) is not None:
        raise BrokenFile(f"two parameters are called {again!r}.", path=source.name, next=_FETCH_AGAIN)
    return Tensors(
        tensors, path=source.name, container="mindspore-ckpt", bytes=source.size, notes=notes,
        written_by=[WrittenBy("mindspore", "", "entries of checkpoint.proto")],
    )  # fmt: skip


def _entries(cursor: Cursor, source: Source) -> Iterator[dict[str, Any]]:
    for number, wire, value in fields(cursor):
        if number != 1 or wire != 2:
            raise cursor.fail(f"has a field {number} where only parameters belong.", next=_FETCH_AGAIN)
        inner = Cursor(value, path=source.name, where=cursor.where, base=cursor.base + cursor.at - len(value))
        entry = _VALUE.read(inner, source.limits)
        if "tag" not in entry or ("tensor" not in entry and "map" not in entry):
            raise inner.fail("a parameter has no name or no value.", next=_FETCH_AGAIN)
        yield entry


def _parameter(name: str, slices: Sequence[dict[str, Any]], source: Source, notes: list[str]) -> StoredTensor | None:
    parts = [entry["tensor"] for entry in slices if "tensor" in entry]
    kind = parts[0].get("type") if parts else "a map"
    if kind not in _DTYPES:
        notes.append(f"{name} is {kind}, no array of numbers, and is left out.")
        return None
    shape, dtype = tuple(parts[-1]["dims"]), _DTYPES[kind]
    shape = () if shape == (0,) else shape  # a scalar's
    source.limits.check("rank", len(shape), path=source.name, where=name)
    contents = [part.get("content", memoryview(b"")) for part in parts]
    needed, found = math.prod(shape) * ITEM_BYTES[dtype], sum(map(len, contents))
    if any(size < 0 for size in shape) or needed != found:
        raise BrokenFile(
            f"{name!r} has {found:,} bytes; {kind} of shape {list(shape)} is {needed:,}.", path=source.name,
            where="MindSpore checkpoint", next=_FETCH_AGAIN,
        )  # fmt: skip
    if len(contents) == 1:
        return StoredTensor(name, dtype, shape, Strided(contents[0], storage=name))
    return StoredTensor(name, dtype, shape, _joiner(contents, dtype, shape), f"{len(contents)} slices")


def _joiner(contents: list[memoryview], dtype: str, shape: tuple[int, ...]) -> Any:
    def join() -> Array:
        import numpy as np

        from ..tensors import numpy_dtype

        array: Array = np.frombuffer(b"".join(contents), numpy_dtype(dtype)).reshape(shape)
        return array

    return join


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """Entries in the given order, cut as MindSpore cuts them."""
    for tensor in tensors.values():
        if tensor.dtype not in _CODES:
            raise NotRepresentable(f"tensor {tensor.name!r} is {tensor.dtype}, which MindSpore has not.", path=path)
    with open(path, "wb") as file:
        for tensor in tensors.values():
            file.writelines(_value(tensor))


def _value(tensor: StoredTensor) -> Iterator[bytes | memoryview]:
    body = Supply(tensor.pieces())
    dims = b"".join(b"\x08" + _varint(size) for size in tensor.shape or (0,))
    head = dims + _field(2, _CODES[tensor.dtype].encode())
    for start in range(0, max(tensor.nbytes, 1), _SLICE):
        length = min(_SLICE, tensor.nbytes - start)
        inner = head + b"\x1a" + _varint(length)
        tag = _field(1, tensor.name.encode())
        whole = tag + b"\x12" + _varint(len(inner) + length) + inner
        yield b"\x0a" + _varint(len(whole) + length) + whole
        yield from body.take(length)


def _field(number: int, raw: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


CONTAINERS = (
    Container(
        "mindspore-ckpt",
        title="MindSpore checkpoint (.ckpt)",
        source="mindspore/train/checkpoint.proto; files of MindSpore 2.10.0",
        claims=claims,
        read=read,
        write=write,
        suffixes=(".ckpt",),
        frameworks=("mindspore",),
        magic=((0, b"\x0a"),),
        rank=52,
    ),
)
