"""What TensorFlow's files share: the numbers of its dtypes, shapes, slices, and tensors that lie in a message.

Source: tensorflow/core/framework/{types,tensor_shape,tensor_slice,tensor}.proto (TF 2.15).
Not known here: resources, variants, and tensors of strings outside a checkpoint's data files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..cursor import Limits
from ..errors import BrokenFile
from ..tensors import ITEM_BYTES, StoredTensor, Strided
from ._protobuf import BOOL, DOUBLE, FLOAT, INT, RAW, Message

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

# DataType; a reference to one is 100 more.  The quantised ones hold integers.
STRING = 7
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64", 9: "int64", 10: "bool",
    11: "int8", 12: "uint8", 13: "int32", 14: "bfloat16", 15: "int16", 16: "uint16", 17: "uint16", 18: "complex128",
    19: "float16", 22: "uint32", 23: "uint64", 24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz",
    28: "float8_e5m2fnuz",
}  # fmt: skip

SHAPE = Message({2: ("dim", [Message({1: ("size", INT)})]), 3: ("unknown_rank", BOOL)})
SLICE = Message({1: ("extent", [Message({1: ("start", INT), 2: ("length", INT)})])})
TENSOR = Message({
    1: ("dtype", INT), 2: ("shape", SHAPE), 4: ("content", RAW), 5: ("float", [RAW]), 6: ("double", [RAW]),
    7: ("int", [INT]), 9: ("complex64", [FLOAT]), 10: ("int64", [INT]), 11: ("bool", [BOOL]), 8: ("string", [RAW]),
    12: ("complex128", [DOUBLE]), 13: ("half", [INT]), 16: ("uint32", [INT]), 17: ("uint64", [INT]),
})  # fmt: skip
VERSIONS = Message({1: ("producer", INT)})

# Which field of TensorProto holds the elements of which dtype, one number for each.
_VALUES = {
    "float32": "float", "float64": "double", "int64": "int64", "bool": "bool", "complex64": "complex64",
    "complex128": "complex128", "float16": "half", "bfloat16": "half", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip
FULL = -1  # the length of a slice that takes the whole axis

Place = tuple[tuple[int, int], ...]  # (start, length) on every axis
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def dtype_name(number: int) -> str | None:
    """gatewise's name of a dtype; None for one that does not hold numbers."""
    return DTYPES.get(number - 100 if number > 100 else number)


def shape_of(message: Mapping[str, Any], limits: Limits, where: str) -> tuple[int, ...]:
    """The sizes.  Raises BrokenFile where one is not known, as no stored tensor's is."""
    sizes = tuple(dim.get("size", 0) for dim in message["dim"])
    limits.check("rank", len(sizes), where=where)
    if message.get("unknown_rank") or min(sizes, default=0) < 0:
        raise BrokenFile("is stored without a shape.", where=where, next=_FETCH_AGAIN)
    return sizes


def place_of(message: Mapping[str, Any], shape: tuple[int, ...], where: str) -> Place:
    """Where a slice lies in its tensor.  Raises BrokenFile where it reaches past it."""
    extents = [(extent.get("start", 0), extent.get("length", FULL)) for extent in message["extent"]]
    place = tuple((start, size if length == FULL else length) for (start, length), size in zip(extents, shape))  # noqa: B905
    inside = all(start >= 0 and length >= 0 and start + length <= size for (start, length), size in zip(place, shape))  # noqa: B905
    if len(extents) != len(shape) or not inside:
        raise BrokenFile(f"has a slice {extents}, which its shape {shape} has not.", where=where, next=_FETCH_AGAIN)
    return place


def slice_key(name: bytes, message: Mapping[str, Any]) -> bytes:
    """The key under which a slice is stored: zero, the name, the number of axes, start and length on each.

    Source: tensorflow/core/util/saved_tensor_slice_util.cc, EncodeTensorNameSlice, and
    tensorflow/core/lib/strings/ordered_code.cc.
    """
    escaped = name.replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff")
    extents = message["extent"]
    numbers = b"".join(_signed(extent.get("start", 0)) + _signed(extent.get("length", FULL)) for extent in extents)
    rank = len(extents).to_bytes(1, "big") if extents else b""
    return b"\0" + escaped + b"\0\1" + bytes([len(rank)]) + rank + numbers


def _signed(value: int) -> bytes:
    """OrderedCode's signed number: the count of bytes stands in the leading bits, the sign's opposite before them."""
    magnitude = ~value if value < 0 else value
    size = magnitude.bit_length() // 7 + 1
    bits = (value & ((1 << 8 * size) - 1)) ^ (((1 << size) - 1) << 7 * size)
    return bits.to_bytes(size, "big")


# Tensors in a message.


def tensor_in(name: str, message: Mapping[str, Any], limits: Limits, where: str) -> StoredTensor | None:
    """The tensor that a TensorProto holds; None where it holds no numbers.  Its elements are looked at when asked for."""
    dtype = dtype_name(message.get("dtype", 0))
    if dtype is None:
        return None
    shape = shape_of(message.get("shape", {"dim": []}), limits, where)
    data = _elements(message, dtype, shape, where)
    return StoredTensor(name, dtype, shape, data, where=where)


def _elements(message: Mapping[str, Any], dtype: str, shape: tuple[int, ...], where: str) -> Any:
    needed = math.prod(shape) * ITEM_BYTES[dtype]
    raw = message.get("content")
    if raw is None and dtype in ("float32", "float64"):
        pieces: Sequence[memoryview] = message[_VALUES[dtype]]
        raw = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
    if raw is not None and len(raw) == needed:
        return Strided(raw)
    if raw is not None and (len(raw) > needed or len(raw) % ITEM_BYTES[dtype]):
        raise BrokenFile(f"needs {needed:,} bytes and has {len(raw):,}.", where=where, next=_FETCH_AGAIN)
    values = message[_VALUES.get(dtype, "int")] if raw is None else raw
    return lambda: _spread(values, dtype, shape)


def _spread(values: Any, dtype: str, shape: tuple[int, ...]) -> Array:
    """Elements given one by one; the last one given stands for all that follow, and none for zeros."""
    import numpy as np

    from ..tensors import numpy_dtype

    kind = numpy_dtype(dtype)
    if isinstance(values, memoryview):
        given: Array = np.frombuffer(values, kind)
    elif dtype in ("float16", "bfloat16"):
        given = np.array(values, np.uint16).view(kind)
    elif dtype in ("complex64", "complex128"):
        given = np.array(values, np.float32 if dtype == "complex64" else np.float64).view(kind)
    else:
        given = np.array(values, np.int64 if dtype != "uint64" else np.uint64).astype(kind)
    filled: Array = np.zeros(math.prod(shape), kind)
    count = min(len(given), len(filled))
    filled[:count] = given[:count]
    if count:
        filled[count:] = given[-1]
    filled = filled.reshape(shape)
    filled.flags.writeable = False
    return filled
