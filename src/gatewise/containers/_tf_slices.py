"""TensorFlow's checkpoints, V1: one table whose values are slices of tensors, each a message with its elements.

The empty key has the list of all tensors; every other key is made of a name and a slice's place, as in V2.
Source: tensorflow/core/util/{saved_tensor_slice.proto,tensor_slice_writer.cc,tensor_slice_reader.cc} (TF 1.15).
Not known here: checkpoints in several V1 files, whose names have ``-00000-of-00002`` behind them; each is read alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ..cursor import Cursor
from ..errors import BrokenFile
from ..source import Source
from ..tensors import StoredTensor
from ._leveldb_table import Table
from ._protobuf import INT, LAZY, TEXT, Message
from ._tf_bundle import covers_exactly, joined
from ._tf_types import SHAPE, SLICE, TENSOR, VERSIONS, dtype_name, place_of, shape_of, slice_key, tensor_in

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_META = Message({
    1: ("tensor", [Message({1: ("name", TEXT), 2: ("shape", SHAPE), 3: ("dtype", INT), 4: ("slice", [SLICE])})]),
    2: ("versions", VERSIONS),
})  # fmt: skip
_SLICES = Message({1: ("meta", _META), 2: ("data", LAZY)})
_SAVED = Message({1: ("name", TEXT), 2: ("slice", SLICE), 3: ("data", LAZY)})
_WHERE = "TensorFlow checkpoint (V1)"
_CHECKED = 1 << 20  # bytes of a block up to which its checksum is held against it; larger ones hold elements
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def is_v1(source: Source) -> bool:
    """Does its first value begin with a message rather than a number?  (Field 1 is the list, or the count of shards.)"""
    from ._leveldb_table import is_table

    if not is_table(source):
        return False
    for _, value in Table(source, _WHERE).entries(check=0):
        return bytes(value[:1]) == b"\x0a"
    return False


def read_v1(source: Source) -> tuple[list[StoredTensor], list[str]]:
    """(the tensors, sentences): the list of tensors and where the values of each lie.  No elements are read."""
    table = Table(source, _WHERE)
    values: dict[bytes, memoryview] = {}
    for key, value in table.entries(check=_CHECKED):
        values[key] = value
    if b"" not in values:
        raise table.broken("does not begin with the list of its tensors.")
    meta = _SLICES.read(Cursor(values[b""], path=source.name, where=_WHERE), source.limits).get("meta")
    if meta is None:
        raise table.broken("does not begin with the list of its tensors.")
    made = [_tensor(entry, values, source) for entry in meta["tensor"]]
    tensors = [tensor for tensor in made if tensor is not None]
    spare = len(made) - len(tensors)
    notes = [f"{spare} tensors hold no numbers and are left out."] if spare else []
    return tensors, notes


def _tensor(entry: Mapping[str, Any], values: Mapping[bytes, memoryview], source: Source) -> StoredTensor | None:
    name, where = entry.get("name", ""), f"tensor {entry.get('name', '')!r}"
    dtype = dtype_name(entry.get("dtype", 0))
    if dtype is None:
        return None
    shape = shape_of(entry.get("shape", {"dim": []}), source.limits, where)
    pieces = []
    for message in entry["slice"]:
        place = place_of(message, shape, where)
        value = values.get(slice_key(name.encode(), message))
        if value is None:
            raise BrokenFile(
                f"its slice at {place} is not in the file.", path=source.name, where=where, next=_FETCH_AGAIN
            )
        sizes = tuple(length for _, length in place)
        pieces.append((place, _piece(name, entry.get("dtype", 0), sizes, value, source)))
    covers_exactly([place for place, _ in pieces], shape, name, source.name)
    if len(pieces) == 1:
        return pieces[0][1]
    data = functools.partial(joined, pieces, shape, dtype)
    return StoredTensor(name, dtype, shape, data, where=f"{len(pieces)} slices")


def _piece(name: str, number: int, shape: tuple[int, ...], value: memoryview, source: Source) -> StoredTensor:
    """One slice.  Its message has no shape and often no type; the elements lie in the field of their type."""
    where = f"tensor {name!r}"
    found = _SLICES.read(Cursor(value, path=source.name, where=where), source.limits).get("data")
    saved = _SAVED.read(found, source.limits).get("data") if found else None
    if saved is None:
        raise BrokenFile("its slice holds no data.", path=source.name, where=where, next=_FETCH_AGAIN)
    message = TENSOR.read(saved, source.limits)
    message["shape"] = {"dim": [{"size": size} for size in shape]}
    message["dtype"] = message.get("dtype") or number
    made, dtype = tensor_in(name, message, source.limits, where), dtype_name(number)
    if made is None or made.dtype != dtype:
        raise BrokenFile(f"is listed as {dtype} and stored as {made and made.dtype}.", path=source.name, where=where)
    return made
