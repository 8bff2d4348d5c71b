"""Paddle's own tensors: one after another in a ``.pdiparams``, or one a file in a directory (fluid's save_params).

Source: paddle/fluid/framework/lod_tensor.cc and tensor_util.cc (SerializeToStream, TensorToStream), framework.proto
(VarType.TensorDesc), python/paddle/static/io.py (variables are saved in the order of their sorted names).  A tensor is
uint32 0, uint64 levels of its sequences, uint32 0, int32 length of its description, the description, its elements.  A
``.pdiparams`` has no names: they are those of the graph beside it (``_paddle_program``).
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath

from ..cursor import Cursor
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container, later
from ._protobuf import INT, Message

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path

_DESCRIPTION = Message({1: ("type", INT), 2: ("dims", [INT])})
_DTYPES = {
    0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64", 20: "uint8", 21: "int8",
    22: "bfloat16", 23: "complex64", 24: "complex128",
}  # fmt: skip
_LEVELS, _LONGEST_DESCRIPTION = 8, 4096
_START = bytes(16)  # version 0, no levels, version 0
_BESIDE = ("__model__", "__params__")
_NO_TENSORS = (".json", ".txt", ".md", ".pdmodel", ".info", ".py", ".yml", ".yaml")
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_program = later("._paddle_program", "program_beside")


@record
class Program:
    """What a graph beside its parameters tells: their names in the order of the file, and its recurrent operators."""

    names: tuple[str, ...]
    declared: tuple[Declared, ...] = ()

    def named(self, count: int) -> list[str] | None:
        """The names of so many tensors: all, or those that are not marked as passing (a dropout's state)."""
        lasting = [name for name in self.names if not name.endswith("__non_persistable")]
        return next((names for names in (list(self.names), lasting) if len(names) == count), None)


def claims(source: Source) -> bool:
    """A tensor's beginning; of a directory, every file that may be a tensor's, or the one ``.pdiparams`` in it."""
    if not source.whole:
        return _begins(source)
    names = source.folder.names()
    if _whole_file(names):
        return True
    tensors = _tensor_files(names)
    return bool(tensors) and all(_begins(source.folder.open(name)) for name in tensors[:3])


def _begins(source: Source) -> bool:
    head = bytes(source.data[:24])
    length = int.from_bytes(head[16:20], "little")
    return head[:16] == _START and 2 <= length <= _LONGEST_DESCRIPTION and head[20:21] == b"\x08"


def _whole_file(names: list[str]) -> str | None:
    found = [name for name in names if name.endswith(".pdiparams") or PurePosixPath(name).name == "__params__"]
    return found[0] if len(found) == 1 else None


def _tensor_files(names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if not name.endswith(_NO_TENSORS) and PurePosixPath(name).name not in _BESIDE and not name.startswith(".")
    ]


def read(source: Source) -> Tensors:
    """Views of the mapped files; only the descriptions are read."""
    if not source.whole:
        return _read_file(source)
    whole = _whole_file(source.folder.names())
    return _read_file(source.folder.open(whole)) if whole else _read_folder(source)


def _read_file(source: Source) -> Tensors:
    notes: list[str] = []
    cursor = source.cursor(where="Paddle tensors")
    places: list[StoredTensor] = []
    while cursor.left:
        source.limits.check("tensors", len(places) + 1, path=source.name, where="Paddle tensors")
        places.append(_tensor(cursor, source))
    program: Program | None = _program(source, notes)
    names = [str(index) for index in range(len(places))]
    declared: tuple[Declared, ...] = ()
    if program is not None and (told := program.named(len(places))):
        names, declared = told, program.declared
    elif program is not None:
        notes.append(f"the graph beside it names {len(program.names)} parameters, and here are {len(places)}.")
    elif len(places) == 1:
        names = [source.path.name]
    else:
        notes.append("the tensors have no names: the graph with which they were saved is not beside the file.")
    return _tensors(source, dict(zip(names, places, strict=True)), notes, declared)


def _read_folder(source: Source) -> Tensors:
    notes: list[str] = []
    found: dict[str, StoredTensor] = {}
    size = 0
    for name in _tensor_files(source.folder.names()):
        file = source.folder.open(name)
        if not _begins(file):
            notes.append(f"{name} is no tensor of Paddle's and is not read.")
            continue
        cursor = file.cursor(where=name)
        found[name] = _tensor(cursor, file)
        size += file.size
        if cursor.left:
            raise cursor.fail(f"{cursor.left:,} bytes follow the tensor.", next=_FETCH_AGAIN)
    source.limits.check("tensors", len(found), path=source.name)
    made = _tensors(source, found, notes, ())
    made.bytes = size
    return made


def _tensors(
    source: Source, found: dict[str, StoredTensor], notes: list[str], declared: tuple[Declared, ...]
) -> Tensors:
    return Tensors(
        [tensor.renamed(name) for name, tensor in found.items()], path=source.name, container="paddle-tensors",
        bytes=source.size, declared=declared, notes=notes,
        written_by=[WrittenBy("paddle", "", "tensors of SerializeToStream")],
    )  # fmt: skip


def _tensor(cursor: Cursor, source: Source) -> StoredTensor:
    if cursor.u32() != 0:
        raise cursor.fail("a tensor's version is not 0.", next=_FETCH_AGAIN)
    levels = cursor.u64()
    if levels > _LEVELS:
        raise cursor.fail(f"a tensor has {levels:,} levels of sequences.", next=_FETCH_AGAIN)
    for _ in range(levels):
        cursor.take(cursor.u64(), "bytes of a level")
    if cursor.u32() != 0:
        raise cursor.fail("a tensor's version is not 0.", next=_FETCH_AGAIN)
    length = cursor.i32()
    if not 0 < length <= _LONGEST_DESCRIPTION:
        raise cursor.fail(f"a tensor's description has {length:,} bytes.", next=_FETCH_AGAIN)
    inner = Cursor(cursor.take(length), path=cursor.path, where=cursor.where, base=cursor.base + cursor.at - length)
    told = _DESCRIPTION.read(inner, source.limits)
    dtype, shape = _DTYPES.get(told.get("type", 0)), tuple(told["dims"])
    source.limits.check("rank", len(shape), path=cursor.path, where=cursor.where)
    if dtype is None or any(size < 0 for size in shape):
        raise cursor.fail(f"a tensor has the type {told.get('type')} and the shape {list(shape)}.", next=_FETCH_AGAIN)
    start = cursor.base + cursor.at
    body = cursor.take(math.prod(shape) * ITEM_BYTES[dtype], "bytes of elements")
    return StoredTensor("", dtype, shape, Strided(body, storage=f"{source.path.name}:{start}"), f"byte {start}")


def stands_for(path: Path) -> Path | None:
    """The parameters beside a graph: ``model.pdmodel``, ``model.json``, or the prefix of both."""
    for known in (
        path.with_suffix(".pdiparams"),
        path.with_name(path.name + ".pdiparams"),
        path.with_name("__params__"),
    ):
        if known != path and known.is_file() and path.suffix in ("", ".pdmodel", ".json"):
            return known
    return path.parent if path.name == "__model__" else None


CONTAINERS = (
    Container(
        "paddle-tensors",
        title="Paddle tensors (.pdiparams, directories)",
        source="paddle/fluid/framework/lod_tensor.cc; files of Paddle 3.3.1",
        claims=claims,
        read=read,
        magic=((0, _START),),
        folders=True,
        stands_for=stands_for,
        rank=23,
    ),
)
