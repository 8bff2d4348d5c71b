"""Tensors inside a torch pickle: which call rebuilds them, from which storage, through which view.

Sources: torch/_utils.py (``_rebuild_tensor``, ``_v2``, ``_v3``, ``_rebuild_parameter`` and their kin),
torch/storage.py (the typed storages), torch/_tensor.py (``_rebuild_from_type_v2``), and torch 0.1 to 0.3's
torch/nn/parameter.py (a Parameter reduces to its class and its data).
A tensor that is not plain numbers (quantised, sparse, nested, without data) is described, never read as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..cursor import Limits
from ..errors import BrokenFile
from ..record import field, record
from ..tensors import ITEM_BYTES, StoredTensor, Strided
from ._pickled import Global, Persistent, Stub

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any, Protocol

    _Args = tuple[Any, ...]
else:
    Protocol = object

STORAGE_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
}  # fmt: skip
QUANTISED_STORAGES = {
    "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
}  # fmt: skip  # bytes of one element
_DTYPE_ALIASES = {
    "double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "cfloat": "complex64", "cdouble": "complex128",
}  # fmt: skip
LONGEST_KEY = 256  # characters of a storage's key: a number, or the address where it lay
_WRAPPED = 8  # how many rebuild calls may wrap one tensor: a Parameter of a subclass of a tensor is three


class Storage:
    """One storage of a file.  ``dtype`` is None for a quantised one; ``first`` is where a view of it begins."""

    __slots__ = ("big_endian", "buffer", "count", "dtype", "first", "item_bytes", "key", "where")

    def __init__(
        self, key: str, dtype: str | None, count: int, item_bytes: int, buffer: memoryview | Callable[[], memoryview],
        where: str = "", big_endian: bool = False, first: int = 0,
    ):  # fmt: skip
        self.key, self.dtype, self.count, self.item_bytes, self.buffer = key, dtype, count, item_bytes, buffer
        self.where, self.big_endian, self.first = where, big_endian, first


@record
class Odd:
    """A tensor that is not plain numbers, with what the file says of it."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class Outside(Protocol):
    """What a pickle's persistent ids stand for; each container knows its own."""

    limits: Limits

    def storage(self, reference: Persistent) -> Storage | None: ...
    def tensor(self, reference: Persistent) -> tuple[Storage, StoredTensor] | None: ...


def storage_type(cls: object) -> tuple[str | None, int] | None:
    """(dtype, bytes of an element) of a storage class: ``torch.FloatStorage``, ``torch.cuda.HalfStorage`` …

    The dtype is None for a quantised storage; the whole is None for what is no storage class.
    """
    if not isinstance(cls, Global) or cls.module.partition(".")[0] != "torch":
        return None
    dtype = STORAGE_DTYPES.get(cls.name)
    if dtype is not None:
        return dtype, ITEM_BYTES[dtype]
    return (None, QUANTISED_STORAGES[cls.name]) if cls.name in QUANTISED_STORAGES else None


def describe(value: object, name: str, outside: Outside, wraps: int = 0) -> Odd | StoredTensor | None:
    """What tensor a pickled object is, or None if it is none.  Raises BrokenFile for a view that cannot be."""
    if isinstance(value, Persistent):
        kept = outside.tensor(value)
        return kept and kept[1].renamed(name)
    if not isinstance(value, Stub) or not isinstance(value.cls, Global):
        return None
    package = value.cls.module.partition(".")[0]
    if package == "numpy":
        from ._pickled_numpy import array_of  # most files of torch's hold none

        return array_of(value, name, "inside the pickle")
    rebuild = _REBUILD.get(value.cls.name) if package == "torch" and wraps <= _WRAPPED else None
    try:
        return rebuild(value.args, name, outside, wraps + 1) if rebuild else None
    except (IndexError, ValueError):
        raise _broken(name, f"{value.cls} has {len(value.args)} arguments, which is not how torch calls it.") from None


def _broken(name: str, message: str) -> BrokenFile:
    return BrokenFile(message, where=f"tensor {name}", next="The file is cut or damaged; fetch it again.")


_Found = Odd | StoredTensor | None


def _inner(args: _Args, name: str, outside: Outside, wraps: int) -> _Found:
    """A call whose first argument is the tensor: Parameter, Buffer, Variable."""
    return describe(args[0], name, outside, wraps)


def _subclass(args: _Args, name: str, outside: Outside, wraps: int) -> _Found:
    """``_rebuild_from_type(_v2)(function, class, arguments, state)``: a subclass of Tensor, with attributes."""
    function, _class, arguments = args[:3]
    return describe(Stub(function, arguments), name, outside, wraps) if isinstance(arguments, tuple) else None


def _tensor(args: _Args, name: str, outside: Outside, _wraps: int) -> _Found:
    return _view(args[:4], None, name, outside)


def _tensor_v2(args: _Args, name: str, outside: Outside, _wraps: int) -> _Found:
    _requires_grad, _hooks, *metadata = args[4:]
    return _flagged(metadata) or _view(args[:4], None, name, outside)


def _tensor_v3(args: _Args, name: str, outside: Outside, _wraps: int) -> _Found:
    _requires_grad, _hooks, dtype, *metadata = args[4:]
    if not isinstance(dtype, Global):
        raise _broken(name, "its dtype is not one.")
    known = _DTYPE_ALIASES.get(dtype.name, dtype.name)
    if known not in ITEM_BYTES:
        return Odd(f"torch.{dtype.name} tensor", {"shape": _ints(args[2], name, outside.limits)})
    return _flagged(metadata) or _view(args[:4], known, name, outside)


def _flagged(metadata: list[Any]) -> Odd | None:
    """torch's get_tensor_metadata: the conjugate and negative bits change what the numbers mean."""
    flags = metadata[0] if metadata and isinstance(metadata[0], dict) else {}
    raised = [flag for flag in ("conj", "neg") if flags.get(flag)]
    return Odd("torch.lazily changed tensor", {"flags": raised}) if raised else None


def _view(args: _Args, dtype: str | None, name: str, outside: Outside) -> _Found:
    reference, offset, size, stride = args
    storage = outside.storage(reference) if isinstance(reference, Persistent) else None
    if storage is None:
        raise _broken(name, "is rebuilt from something that is no storage.")
    shape = _ints(size, name, outside.limits)
    if storage.dtype is None:
        return Odd("torch.quantized tensor", {"shape": shape})
    return dense(
        storage, dtype or storage.dtype, shape, _ints(stride, name, outside.limits), offset, name, outside.limits
    )


def dense(
    storage: Storage, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: object, name: str,
    limits: Limits,
) -> StoredTensor:  # fmt: skip
    """Plain numbers: a strided view of a storage (offset and strides in elements), held against it.  Raises BrokenFile,
    LimitExceeded."""
    if len(strides) != len(shape) or type(offset) is not int:
        raise _broken(name, f"its shape {shape}, strides {strides} and offset {offset!r} do not fit together.")
    if min(offset, *shape, *strides, 0) < 0:
        raise _broken(name, f"its shape {shape}, strides {strides} or offset {offset} is negative.")
    item = ITEM_BYTES[dtype]
    have = storage.count * storage.item_bytes // item
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if 0 not in shape and last >= have:
        raise _broken(
            name, f"needs {last + 1:,} elements of storage {storage.key} ({storage.where}), which has {have:,}."
        )
    if math.prod(shape) > have:  # an expanded axis: honest, but its size is bounded by nothing in the file
        limits.check("plain_bytes", math.prod(shape) * item, where=f"tensor {name}")
    # Row-major strides are what None means, so that equal views are equal whatever torch wrote for axes of 1.
    told = None if 0 in shape or _row_major(shape, strides) else strides
    first = storage.first * storage.item_bytes // item + offset
    return StoredTensor(
        name, dtype, shape, Strided(storage.buffer, first, told, storage.big_endian, storage.key), storage.where
    )


def _row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if stride != step and size != 1:
            return False
        step *= size
    return True


_INTEGERS = {int}


def _ints(value: object, name: str, limits: Limits) -> tuple[int, ...]:
    """A shape: a tuple, a ``torch.Size``, or a list of integers."""
    if type(value) is tuple and len(value) <= limits.rank and set(map(type, value)) <= _INTEGERS:  # as torch writes it
        return value
    if isinstance(value, Stub) and value.is_a("torch.Size") and len(value.args) == 1:
        value = value.args[0]
    if isinstance(value, list | tuple):
        limits.check("rank", len(value), where=f"tensor {name}")
    if not isinstance(value, list | tuple) or not all(type(size) is int for size in value):
        raise _broken(name, "its shape or its strides are not integers.")
    return tuple(value)


def _quantised(args: _Args, name: str, outside: Outside, _wraps: int) -> _Found:
    scheme, *numbers = args[4] if isinstance(args[4], tuple) and args[4] else (None,)
    scale = {key: part for key, part in zip(("scale", "zero_point"), numbers, strict=False) if _number(part)}
    return Odd(
        "torch.quantized tensor", {"shape": _ints(args[2], name, outside.limits), "scheme": str(scheme), **scale}
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _named(kind: str) -> Callable[[_Args, str, Outside, int], _Found]:
    return lambda _args, _name, _outside, _wraps: Odd(kind)


_SPARSE, _META = _named("torch.sparse tensor"), _named("torch.meta tensor")
_REBUILD: dict[str, Callable[[_Args, str, Outside, int], _Found]] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor_v2,
    "_rebuild_tensor_v3": _tensor_v3,
    "_rebuild_parameter": _inner,
    "_rebuild_parameter_with_state": _inner,
    "Parameter": _inner,
    "Buffer": _inner,
    "Variable": _inner,
    "_rebuild_from_type": _subclass,
    "_rebuild_from_type_v2": _subclass,
    "_rebuild_device_tensor_from_cpu_tensor": _inner,
    "_rebuild_device_tensor_from_numpy": _inner,
    "_rebuild_xla_tensor": _inner,
    "_rebuild_qtensor": _quantised,
    "_rebuild_sparse_tensor": _SPARSE,
    "_rebuild_sparse_csr_tensor": _SPARSE,
    "_rebuild_nested_tensor": _named("torch.nested tensor"),
    "_rebuild_meta_tensor_no_storage": _META,
    "_rebuild_meta_tensor": _META,
    "_rebuild_wrapper_subclass": _named("torch.wrapped tensor"),
}
