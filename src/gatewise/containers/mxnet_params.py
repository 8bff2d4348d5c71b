"""MXNet's ``.params``: arrays end to end, each behind a small header, then their names.

Source: src/ndarray/ndarray.cc of apache/mxnet, ``NDArray::Save``, ``Load``, ``LegacyLoad`` and the lists' functions
(file magic 0x112; array magics 0xF993FAC8 to CA), include/mxnet/tuple.h, ``TShape::Save`` (int32 count, int64 sizes; uint32
both before magics), mshadow/base.h (the numbers of the types).  ``mx.model.save_checkpoint`` and ``HybridBlock.export``
put ``arg:`` or ``aux:`` before names and the graph beside the file (``_mxnet_symbol``).
Not known here: sparse arrays (row_sparse, csr), which are stepped over and named.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import NotRepresentable
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container, later
from ._many import twice

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path

FILE_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # V1: sizes of 64 bits; V2: storage types; V3: numpy's shapes
_DTYPES = {
    0: "float32", 1: "float64", 2: "float16", 3: "uint8", 4: "int32", 5: "int8", 6: "int64", 7: "bool", 8: "int16",
    9: "uint16", 10: "uint32", 11: "uint64", 12: "bfloat16",
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_SPARSE = {1: ("row_sparse", 1), 2: ("csr", 2)}  # storage type: its name, how many index arrays it has
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_HEAD = struct.Struct("<QQQ")
_declared = later("._mxnet_symbol", "declared_beside")


@record
class _Array:
    """One array's header and elements.  ``why`` it cannot be given as a tensor, else None."""

    dtype: str
    shape: tuple[int, ...]
    body: memoryview
    at: int
    why: str | None = None


def claims(source: Source) -> bool:
    """The magic, and 64 reserved bits of zero."""
    return bytes(source.data[:16]) == struct.pack("<QQ", FILE_MAGIC, 0)


def read(source: Source) -> Tensors:
    """Every array is a view of the mapped file; only their headers are read."""
    cursor = source.cursor(where="MXNet arrays")
    _, _, count = cursor.unpack(_HEAD.format, "bytes of header")
    source.limits.check("tensors", count, path=source.name, where="MXNet arrays")
    arrays = [_array(cursor, source) for _ in range(count)]
    names = _names(cursor, count)
    notes = [f"{name} {found.why} It is left out." for name, found in zip(names, arrays, strict=True) if found.why]
    notes += [f"{cursor.left:,} bytes follow the names and are not read."] if cursor.left else []
    declared: list[Declared] = _declared(source, names, notes)
    return Tensors(
        [
            StoredTensor(name, found.dtype, found.shape, Strided(found.body, storage=str(found.at)), f"byte {found.at}")
            for name, found in zip(names, arrays, strict=True) if not found.why
        ],
        path=source.name,
        container="mxnet-params",
        bytes=source.size,
        declared=declared,
        written_by=[WrittenBy("mxnet", "", "magic of mx.nd.save")],
        notes=notes,
    )  # fmt: skip


def _array(cursor: Cursor, source: Source) -> _Array:
    magic = cursor.u32()
    sparse, stored = None, None
    if magic in (V2, V3):
        kind = cursor.i32()
        if kind > 0:
            if kind not in _SPARSE:
                raise cursor.fail(f"an array has the storage type {kind}; 0, 1 and 2 are known.", next=_FETCH_AGAIN)
            sparse, stored = _SPARSE[kind], _shape(cursor, source, cursor.i32(), 8)
    # Before the magics an array began with the number of its axes.
    axes = magic if magic not in (V1, V2, V3) else cursor.i32()
    if axes == (-1 if magic == V3 else 0):
        return _Array("float32", (), memoryview(b""), cursor.at, "was never given a value.")
    shape = _shape(cursor, source, axes, 8 if magic in (V1, V2, V3) else 4)
    cursor.take(8, "bytes of device")  # the kind and number of the device that held it
    code = cursor.i32()
    if code not in _DTYPES:
        raise cursor.fail(f"an array has the type number {code}; 0 to {max(_DTYPES)} are known.", next=_FETCH_AGAIN)
    dtype = _DTYPES[code]
    if sparse is not None:
        _step_over(cursor, source, ITEM_BYTES[dtype] * math.prod(stored or ()), sparse[1])
        return _Array(dtype, shape, memoryview(b""), cursor.at, f"is a sparse array ({sparse[0]}), which is not read.")
    start = cursor.base + cursor.at
    return _Array(dtype, shape, cursor.take(math.prod(shape) * ITEM_BYTES[dtype], "bytes of elements"), start)


def _shape(cursor: Cursor, source: Source, axes: int, width: int) -> tuple[int, ...]:
    if axes < 0:
        raise cursor.fail(f"an array has {axes} axes.", next=_FETCH_AGAIN)
    source.limits.check("rank", axes, path=source.name, where=cursor.where)
    sizes = cursor.unpack(f"<{axes}{'q' if width == 8 else 'I'}", "bytes of shape")
    if any(size < 0 for size in sizes):
        raise cursor.fail(f"an array has the shape {list(sizes)}.", next=_FETCH_AGAIN)
    return sizes


def _step_over(cursor: Cursor, source: Source, size: int, indices: int) -> None:
    """A sparse array's index headers, its elements, its indices."""
    for _ in range(indices):
        code = cursor.i32()
        if code not in _DTYPES:
            raise cursor.fail(f"a sparse array's index has the type number {code}.", next=_FETCH_AGAIN)
        size += ITEM_BYTES[_DTYPES[code]] * math.prod(_shape(cursor, source, cursor.i32(), 8))
    cursor.take(size, "bytes of a sparse array")


def _names(cursor: Cursor, count: int) -> list[str]:
    """The names behind the arrays; numbers where the file is a plain list."""
    told = cursor.u64()
    if told not in (0, count):
        raise cursor.fail(f"there are {told:,} names for {count:,} arrays.", next=_FETCH_AGAIN)
    names = [bytes(cursor.take(cursor.u64(), "bytes of a name")).decode("utf-8", "replace") for _ in range(told)]
    if (found := twice(names)) is not None:
        raise cursor.fail(f"two arrays are called {found!r}.", next=_FETCH_AGAIN)
    return names or [str(index) for index in range(count)]


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """Dense arrays (version 2), which every MXNet since 1.0 reads, on the CPU device."""
    for tensor in tensors.values():
        _check(tensor, path)
    with open(path, "wb") as file:
        file.write(_HEAD.pack(FILE_MAGIC, 0, len(tensors)))
        for tensor in tensors.values():
            file.writelines(_chunks(tensor))
        file.write(struct.pack("<Q", len(tensors)))
        for name in tensors:
            raw = name.encode("utf-8")
            file.write(struct.pack("<Q", len(raw)) + raw)


def _check(tensor: StoredTensor, path: Path) -> None:
    if tensor.dtype not in _CODES:
        raise NotRepresentable(
            f"tensor {tensor.name!r} is {tensor.dtype}, which MXNet has no number for.", path=path,
            next="Convert it to float32.",
        )  # fmt: skip
    if not tensor.shape or 0 in tensor.shape:
        raise NotRepresentable(
            f"tensor {tensor.name!r} has shape {list(tensor.shape)}, which to MXNet means that it is not known.",
            path=path,
        )


def _chunks(tensor: StoredTensor) -> Iterator[bytes | memoryview]:
    axes = len(tensor.shape)
    yield struct.pack(f"<Iii{axes}q", V2, 0, axes, *tensor.shape)
    yield struct.pack("<iii", 1, 0, _CODES[tensor.dtype])  # device kind 1 is the CPU
    yield from tensor.pieces()


CONTAINERS = (
    Container(
        "mxnet-params",
        title="MXNet parameters (.params)",
        source="apache/mxnet src/ndarray/ndarray.cc; files of MXNet 1.9.1",
        claims=claims,
        read=read,
        write=write,
        suffixes=(".params",),
        frameworks=("mxnet",),
        magic=((0, FILE_MAGIC.to_bytes(8, "little")),),
        rank=20,
    ),
)
