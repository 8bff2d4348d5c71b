"""TorchScript archives: ``torch.jit.save``.

Since 1.1 or so (1.3.1 measured):
    <folder>/data.pkl, data/<key>            the root module, as pickled by torch/csrc/jit/serialization/pickler.cpp
    <folder>/constants.pkl, constants/<key>  a tuple; its tensors are ``CONSTANTS.c0`` … in the code
    <folder>/code/…                          the modules' source, not read here
In 1.0 (1.0.1 measured):
    <folder>/model.json                      torch/proto: ModelDef {tensors, mainModule {parameters, submodules, name}}
    <folder>/tensors/<n>                     one storage each

Not known: quantised tensors of model.json, which torch.proto describes and none was measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ..errors import BrokenFile
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Tensors
from . import Container
from ._torch_history import Bound, at_least, older_than, written_by
from ._torch_tensor import Storage, dense
from ._torch_tree import Walk, join
from ._torch_zip import Archive, records
from .torch_zip import is_script, record_bounds

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

# caffe2/proto/caffe2.proto, TensorProto.DataType
_DATA_TYPES = {
    "FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "INT64": "int64", "INT32": "int32",
    "INT16": "int16", "INT8": "int8", "UINT8": "uint8", "UINT16": "uint16", "BYTE": "uint8", "BOOL": "bool",
}  # fmt: skip


def claims(source: Source) -> bool:
    names = records(source)
    if names is None or "version" not in names:
        return False
    return "model.json" in names or ("data.pkl" in names and is_script(names))


def read(source: Source) -> Tensors:
    archive = Archive(source)
    return _read_json(archive) if "model.json" in archive.records else _read_pickle(archive)


def _read_pickle(archive: Archive) -> Tensors:
    root = archive.unpickle("data.pkl")
    walk = Walk(root, archive, archive.source.name)
    constants = archive.unpickle("constants.pkl") if "constants.pkl" in archive.records else ()
    if isinstance(constants, tuple | list):
        for number, constant in enumerate(constants):
            walk.visit(constant, f"CONSTANTS.c{number}", 0)  # as the code spells it; torch.jit.freeze puts weights here
    return _tensors(archive, walk.tensors.values(), walk.declared, _bounds(archive), tree=root)


def _tensors(
    archive: Archive,
    tensors: Iterable[StoredTensor],
    declared: Iterable[Declared],
    bounds: Iterable[Bound],
    tree: object,
) -> Tensors:
    return Tensors(
        tensors,
        path=archive.source.name,
        container="torchscript",
        bytes=archive.source.size,
        declared=declared,
        written_by=written_by((), bounds),
        metadata={"tree": tree, "records": {"version": archive.text("version")}},
    )


def _bounds(archive: Archive) -> Iterator[Bound]:
    yield at_least("1.2.0", "TorchScript in data.pkl (model.json in 1.2.0)")
    yield from record_bounds(archive, script=True)


# 1.0's model.json.


def _read_json(archive: Archive) -> Tensors:
    where = f"member {archive.records['model.json']}"
    try:
        model = json.loads(bytes(archive.header("model.json")))
        declared, tensors = _model(archive, model)
        producer = model.get("producerVersion")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # A generated format with a dozen required fields: whichever is missing or of another type, it is no ModelDef.
        raise BrokenFile(f"is not a ModelDef in JSON ({error!r}).", where=where) from None
    bounds = [older_than("1.3.1", f"TorchScript in model.json, producer version {producer}")]
    return _tensors(archive, tensors, declared, bounds, tree=model)


def _model(archive: Archive, model: Any) -> tuple[list[Declared], list[StoredTensor]]:
    """The modules and the tensors of a ModelDef, under their names."""
    found: dict[str, StoredTensor] = {}
    declared: list[Declared] = []
    for path, module, names in _modules(archive, model["mainModule"]):
        code = str(module.get("torchscriptArena", {}).get("key", ""))
        declared.append(Declared(path, "", {"code": code}))  # 1.0 to 1.2 wrote no class names
        for tensor, number in names:
            if tensor in found:
                raise BrokenFile(f"two tensors are called {tensor!r}.", where="member model.json")
            found[tensor] = _json_tensor(archive, tensor, model["tensors"][number])
    return declared, list(found.values())


def _modules(archive: Archive, main: Any) -> Iterator[tuple[str, Any, list[tuple[str, int]]]]:
    """Path, module, and (tensor name, tensor number) of its parameters, depth first."""
    todo = [("", main, 0)]
    while todo:
        path, module, depth = todo.pop()
        archive.limits.check("nesting", depth, path=archive.source.name, where="member model.json")
        names = [(join(path, p["name"]), int(p["tensorId"])) for p in module.get("parameters", ())]
        yield path, module, names
        inner = [(join(path, child["name"]), child, depth + 1) for child in module.get("submodules", ())]
        todo.extend(reversed(inner))


def _json_tensor(archive: Archive, name: str, described: Any) -> StoredTensor:
    """protobuf's JSON spells 64-bit integers as texts."""
    dtype = _DATA_TYPES.get(described["dataType"])
    if dtype is None:
        raise BrokenFile(f"has the data type {described['dataType']}, which is not read.", where=f"tensor {name}")
    shape = tuple(map(int, described.get("dims", ())))
    strides = tuple(map(int, described.get("strides", ())))
    record = str(described["data"]["key"])
    size = archive.member(record)
    count = (size[1] if size else 0) // ITEM_BYTES[dtype]
    storage: Storage = archive.stored(record, dtype, ITEM_BYTES[dtype], count)
    offset = int(described.get("offset", 0))
    return dense(storage, dtype, shape, strides, offset, name, archive.limits)


CONTAINERS = (
    Container(
        "torchscript",
        "TorchScript archive (torch.jit.save)",
        "torch/csrc/jit/serialization; caffe2/serialize/inline_container.cc",
        claims,
        read,
        frameworks=("torch",),
        magic=((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
        members=("/constants.pkl", "/code/", "/model.json"),
        rank=49,
    ),
)
