"""flax's own files: a tree of arrays as MessagePack, what ``flax.serialization.to_bytes`` makes and ``from_bytes`` reads.

Source: flax/serialization.py.  Maps are MessagePack's; an array is extension 1, whose bytes are MessagePack again:
[shape, dtype's name, elements]; a numpy scalar is extension 3 with the same; a complex number is extension 2.  An array of
more than 1 GiB is a map of chunks, ``__msgpack_chunked_array__``.  ``checkpoints.save_checkpoint`` of flax before Orbax
wrote such files too.  The path to an array is its name, with ``/`` between the parts.
"""

from __future__ import annotations

import math

from ..cursor import Cursor
from ..errors import BrokenFile, NotRepresentable
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._msgpack import (
    Extension,
    Reader,
    bytes_head,
    extension_head,
    first_extension,
    list_head,
    map_head,
    packed,
    write_map,
)
from ._plain_tree import walk
from ._supply import Supply

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO, Any

    from ..tensors import Array

_ARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_CHUNKED = "__msgpack_chunked_array__"
_CHUNK_BYTES = 1 << 30  # flax/serialization.py, MAX_CHUNK_SIZE
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A map whose first extension is an array of flax's: [shape, dtype, …]."""
    if not source.size or not (0x80 <= source.data[0] < 0x90 or source.data[0] in (0xDE, 0xDF)):
        return False
    found = first_extension(source.cursor())
    return found is not None and found.code in (_ARRAY, _SCALAR) and bytes(found.data[:1]) == b"\x93"


def read(source: Source) -> Tensors:
    """The tree's heads; the arrays are views of the mapped file."""
    cursor = source.cursor(where="flax MessagePack")
    root = Reader(cursor, source.limits).value()
    notes = [f"{cursor.left:,} bytes behind the tree are not read."] if cursor.left else []
    return Tensors(
        walk(root, _Leaves(source, notes).leaf, source.limits, source.name),
        path=source.name,
        container="flax-msgpack",
        bytes=source.size,
        written_by=[WrittenBy("flax", "", "arrays as MessagePack extension 1, as flax.serialization writes them")],
        notes=notes,
        metadata={"tree": root},
    )


class _Leaves:
    """Which values of the tree are arrays."""

    def __init__(self, source: Source, notes: list[str]):
        self._source, self._notes = source, notes

    def leaf(self, value: object, name: str) -> StoredTensor | None:
        if isinstance(value, Extension) and value.code in (_ARRAY, _SCALAR):
            return self._array(value, name)
        if isinstance(value, dict) and _CHUNKED in value:
            return self._chunked(value, name)
        return None

    def _array(self, value: Extension, name: str) -> StoredTensor | None:
        where = f"array {name!r}"
        cursor = Cursor(value.data, path=self._source.name, where=where, base=value.at)
        found = Reader(cursor, self._source.limits).value()
        if not isinstance(found, list) or len(found) != 3 or cursor.left:
            raise _broken("is not [shape, dtype, elements].", where)
        shape, dtype, elements = found
        dtype = bytes(dtype).decode("latin-1") if isinstance(dtype, memoryview) else dtype
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise _broken(f"has the shape {shape!r}.", where)
        self._source.limits.check("rank", len(shape), path=self._source.name, where=where)
        if dtype not in ITEM_BYTES:
            self._notes.append(f"{where} has dtype {str(dtype)[:40]}, which is not a plain number. It is left out.")
            return None
        return _stored(name, dtype, tuple(shape), _raw(elements), value.at, where)

    def _chunked(self, value: dict[Any, Any], name: str) -> StoredTensor | None:
        where = f"array {name!r}"
        shape, chunks = _values(value.get("shape"), where), _values(value.get("chunks"), where)
        parts = [self.leaf(chunk, name) if isinstance(chunk, Extension) else None for chunk in chunks]
        present = [part for part in parts if part is not None]
        dtypes = {part.dtype for part in present}
        if len(present) != len(parts) or len(dtypes) != 1 or not all(type(n) is int and n >= 0 for n in shape):
            raise _broken("has chunks that are not arrays of one dtype.", where)
        if sum(part.size for part in present) != math.prod(shape):
            raise _broken(f"has chunks of {sum(part.size for part in present):,} elements for shape {shape}.", where)

        def joined() -> Array:
            import numpy as np

            whole: Array = np.concatenate([part.array().reshape(-1) for part in present]).reshape(shape)
            whole.flags.writeable = False
            return whole

        return StoredTensor(name, dtypes.pop(), tuple(shape), joined, f"{len(present)} chunks")


def _values(found: Any, where: str) -> list[Any]:
    """A tuple as flax keeps it: a map from "0", "1" …  (A list where msgpack itself turned a tuple into one.)"""
    if isinstance(found, dict) and list(found) == [str(place) for place in range(len(found))]:
        return list(found.values())
    if isinstance(found, list):
        return found
    raise _broken("is chunked, and its shape or its chunks are not in their order.", where)


def _raw(elements: object) -> memoryview:
    """Binary data; texts where a writer before MessagePack's binary type made it."""
    return memoryview(elements.encode("utf-8")) if isinstance(elements, str) else memoryview(elements)  # type: ignore[arg-type]


def _stored(name: str, dtype: str, shape: tuple[int, ...], raw: memoryview, at: int, where: str) -> StoredTensor:
    needed = math.prod(shape) * ITEM_BYTES[dtype]
    if len(raw) != needed:
        raise _broken(f"has {len(raw):,} bytes of elements; {dtype} of shape {shape} is {needed:,}.", where)
    return StoredTensor(name, dtype, shape, Strided(raw, storage=str(at)), f"byte {at}")


def _broken(message: str, where: str) -> BrokenFile:
    return BrokenFile(message, where=where, next=_FETCH_AGAIN)


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """The tree that the names' parts make; the same bytes that flax writes for it."""
    root: dict[str, Any] = {}
    for tensor in tensors.values():
        *outer, last = tensor.name.split("/")
        place = root
        for piece in outer:
            place = place.setdefault(piece, {})
            if isinstance(place, StoredTensor):
                raise NotRepresentable(f"{tensor.name!r} lies below the name of another tensor.", path=path)
        if last in place:
            raise NotRepresentable(f"{tensor.name!r} is also the beginning of another tensor's name.", path=path)
        place[last] = tensor
    with open(path, "wb") as file:
        _write_tree(file, root)


def _write_tree(file: IO[bytes], tree: dict[str, Any]) -> None:
    for _, value in write_map(file, tree):
        if isinstance(value, StoredTensor):
            _write_array(file, value)
        else:
            _write_tree(file, value)


def _write_array(file: IO[bytes], tensor: StoredTensor) -> None:
    elements = Supply(tensor.pieces())
    if tensor.nbytes <= _CHUNK_BYTES:
        _write_extension(file, tensor.dtype, tensor.shape, elements)
        return
    step = _CHUNK_BYTES // ITEM_BYTES[tensor.dtype]
    pieces = range(0, tensor.size, step)
    file.write(map_head(3) + packed(_CHUNKED) + packed(True) + packed("shape"))
    for _, size in write_map(file, {str(axis): size for axis, size in enumerate(tensor.shape)}):
        file.write(packed(size))
    file.write(packed("chunks"))
    for _, start in write_map(file, {str(number): start for number, start in enumerate(pieces)}):
        _write_extension(file, tensor.dtype, (min(step, tensor.size - start),), elements)


def _write_extension(file: IO[bytes], dtype: str, shape: tuple[int, ...], elements: Supply) -> None:
    length = math.prod(shape) * ITEM_BYTES[dtype]
    head = list_head(3) + list_head(len(shape)) + b"".join(map(packed, shape)) + packed(dtype)
    head += bytes_head(length)
    file.write(extension_head(_ARRAY, len(head) + length) + head)
    file.writelines(elements.take(length))


CONTAINERS = (
    Container(
        "flax-msgpack",
        "flax, MessagePack tree",
        "flax/serialization.py: msgpack_serialize, _ndarray_to_bytes, _chunk",
        claims,
        read,
        write=write,
        suffixes=(".msgpack", ".flax"),
        frameworks=("flax",),
        rank=55,
        magic=tuple((0, bytes([first])) for first in (*range(0x80, 0x90), 0xDE, 0xDF)),
    ),
)
