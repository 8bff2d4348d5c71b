"""Numpy's own objects inside a pickle: arrays, scalars and dtypes, read without numpy.

Sources: numpy/_core/src/multiarray/methods.c (``array_reduce``, ``array_setstate``), scalartypes.c.src
(``gentype_reduce``), descriptor.c (``arraydescr_reduce``), numpy/_core/numeric.py (``_frombuffer``, protocol 5).
Numpy 2 calls ``numpy.core`` ``numpy._core``.  The dtypes of ml_dtypes are named by their class.  A jax array is pickled
as the numpy array that it holds: jax/_src/array.py (``_reconstruct_array``), before 0.4 jax/_src/device_array.py.
Not read: structured, text, time and object arrays.
"""

from __future__ import annotations

import math
import struct

from ..errors import BrokenFile
from ..tensors import ITEM_BYTES, StoredTensor, Strided, contiguous_strides
from ._pickled import Global, LegacyStr, Stub, raw_bytes

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_MOST_AXES = 64  # numpy/_core/include/numpy/ndarraytypes.h, NPY_MAXDIMS

_DTYPES = {
    "f8": "float64", "f4": "float32", "f2": "float16", "c8": "complex64", "c16": "complex128", "b1": "bool",
    "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8",
    "u8": "uint64", "u4": "uint32", "u2": "uint16", "u1": "uint8",
}  # fmt: skip
ML_DTYPES = frozenset(("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"))
_JAX_ARRAYS = ("_reconstruct_array", "reconstruct_device_array")
CODES = {dtype: code for code, dtype in _DTYPES.items()}
_SCALAR_CODES = {
    "float64": "d", "float32": "f", "float16": "e", "bool": "?",
    "int64": "q", "int32": "i", "int16": "h", "int8": "b", "uint64": "Q", "uint32": "I", "uint16": "H", "uint8": "B",
}  # fmt: skip


def _numpy(value: Any, module: str, name: str) -> bool:
    """Is this numpy's ``core.<module>.<name>``, under the old or the new name of the package?"""
    return isinstance(value, Global) and value.name == name and value.module in (
        f"numpy.core.{module}", f"numpy._core.{module}",
    )  # fmt: skip


def dtype_of(value: object) -> tuple[str, bool] | None:
    """(name, big-endian?) of a pickled ``numpy.dtype``, or None if it is none that can be read."""
    if not isinstance(value, Stub) or not value.is_a("numpy.dtype") or not value.args:
        return None
    code = value.args[0]
    state = value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if isinstance(code, Global) and code.module.partition(".")[0] == "ml_dtypes" and code.name in ML_DTYPES:
        return code.name, order == ">"
    if not isinstance(code, str):
        return None
    name = _DTYPES.get(code.lstrip("<>=|"))
    return None if name is None else (name, order == ">" or code.startswith(">"))


def scalar_of(value: object) -> float | int | bool | None:
    """The Python number of a pickled numpy scalar, or None if the value is none."""
    if not isinstance(value, Stub) or not _numpy(value.cls, "multiarray", "scalar") or len(value.args) != 2:
        return None
    dtype, raw = dtype_of(value.args[0]), raw_bytes(value.args[1])
    if dtype is None or raw is None or dtype[0] not in _SCALAR_CODES or len(raw) != ITEM_BYTES[dtype[0]]:
        return None
    number: float | int | bool = struct.unpack((">" if dtype[1] else "<") + _SCALAR_CODES[dtype[0]], raw)[0]
    return number


def array_of(value: object, name: str, where: str = "") -> StoredTensor | None:
    """A pickled numpy array as a tensor over the pickle's own bytes, or None if the value is none that can be read."""
    parts = _parts(value)
    if parts is None:
        return None
    shape, dtype, fortran, raw = parts
    if len(raw) != math.prod(shape) * ITEM_BYTES[dtype[0]]:
        raise BrokenFile(
            f"the numpy array {name!r} has {len(raw):,} bytes; {dtype[0]} of shape {shape} is "
            f"{math.prod(shape) * ITEM_BYTES[dtype[0]]:,}.",
            where=where,
        )
    strides = tuple(reversed(contiguous_strides(shape[::-1]))) if fortran else None
    # Python 2's str is text here: its bytes are made when asked for, so that a shared one is not copied per array.
    buffer = (lambda: memoryview(raw_bytes(raw) or b"")) if isinstance(raw, str) else memoryview(raw).toreadonly()
    return StoredTensor(name, dtype[0], shape, Strided(buffer, 0, strides, dtype[1]), where)


def _of_jax(value: Stub) -> bool:
    cls = value.cls
    return isinstance(cls, Global) and cls.module.partition(".")[0] == "jax" and cls.name in _JAX_ARRAYS


def _inside_jax(value: Stub) -> Stub | None:
    """``(function, its arguments, state, what jax adds)``: the numpy array that a jax array holds."""
    if len(value.args) < 3 or not isinstance(value.args[1], tuple):
        return None
    inside = Stub(value.args[0], value.args[1])
    inside.state = value.args[2]
    return inside


def _parts(
    value: object,
) -> tuple[tuple[int, ...], tuple[str, bool], bool, str | bytes | bytearray | memoryview] | None:
    """Shape, dtype, Fortran order, bytes."""
    if isinstance(value, Stub) and _of_jax(value):
        value = _inside_jax(value)
    if not isinstance(value, Stub):
        return None
    state = value.state
    if _numpy(value.cls, "multiarray", "_reconstruct") and isinstance(state, tuple) and len(state) == 5:
        shape, dtype, fortran, raw = state[1:]
    elif _numpy(value.cls, "numeric", "_frombuffer") and len(value.args) == 4:
        raw, dtype, shape, order = value.args
        fortran = order == "F"
    else:
        return None
    if isinstance(raw, LegacyStr):
        raw = raw.raw
    known = dtype_of(dtype)
    if known is None or not isinstance(raw, str | bytes | bytearray | memoryview) or not isinstance(shape, tuple):
        return None
    if (
        (isinstance(raw, str) and not raw.isascii())
        or len(shape) > _MOST_AXES
        or not all(type(size) is int and size >= 0 for size in shape)
    ):
        raise BrokenFile("a numpy array has a shape that is none, or elements that are no bytes.")
    return shape, known, bool(fortran), raw
