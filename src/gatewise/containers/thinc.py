"""Thinc's models (spaCy's ``model`` files): what ``Model.to_bytes`` makes, MessagePack as srsly writes it.

Source: thinc/model.py, Model.to_dict and to_bytes; srsly/_msgpack_api.py and srsly/msgpack/_msgpack_numpy.py.  The
whole is a map of four lists, nodes, attrs, params and shims, an entry of each for every node of the model's tree.  An array
is a map with the keys nd, type, shape and data; an attribute is MessagePack within MessagePack.  A node around
another framework keeps that one's own bytes in a shim: PyTorch's is a torch file, and is read as one.
Not known here: shims of TensorFlow and MXNet, and what a node computes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile, GatewiseError
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container, later
from ._msgpack import Reader

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_MAGIC = b"\x84\xa5nodes"
_DTYPES = {"f2": "float16", "f4": "float32", "f8": "float64", "i4": "int32", "i8": "int64", "u1": "uint8", "u4": "uint32",
           "u8": "uint64", "i1": "int8", "i2": "int16", "u2": "uint16", "b1": "bool"}  # fmt: skip
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    return bytes(source.data[: len(_MAGIC)]) == _MAGIC


def read(source: Source) -> Tensors:
    """Every node's parameters as views of the mapped file; a node is declared by its registered name and its sizes."""
    root = Reader(source.cursor(where="Thinc model"), source.limits).value()
    nodes, attrs, params, shims = (_list(root, key, source) for key in ("nodes", "attrs", "params", "shims"))
    if not len(nodes) == len(attrs) == len(params) == len(shims):
        raise _broken(source, f"{len(nodes)} nodes have {len(attrs)} attrs, {len(params)} params, {len(shims)} shims.")
    tensors: list[StoredTensor] = []
    declared: list[Declared] = []
    notes: list[str] = []
    for name, node, own, held, inside in zip(_names(nodes, source), nodes, attrs, params, shims, strict=True):
        found = list(_parameters(name, held, source))
        tensors += found
        declared += [_declared(name, node, own, found, source)] if found else []
        for shim in inside if isinstance(inside, list) else ():
            _open_shim(name, shim, source, tensors, declared, notes)
    return Tensors(
        tensors,
        path=source.name,
        container="thinc",
        bytes=source.size,
        declared=declared,
        written_by=[WrittenBy("thinc", ">=8.0", "MessagePack of nodes, attrs, params and shims")],
        notes=notes,
    )


def _broken(source: Source, message: str) -> BrokenFile:
    return BrokenFile(message, path=source.name, where="Thinc model", next=_FETCH_AGAIN)


def _list(root: Any, key: str, source: Source) -> list[Any]:
    found = root.get(key) if isinstance(root, dict) else None
    if not isinstance(found, list):
        raise _broken(source, f"its {key} are no list.")
    return found


def _names(nodes: list[Any], source: Source) -> list[str]:
    """Every node's name; those that several nodes have get their number behind it."""
    names = [str(node.get("name")) if isinstance(node, dict) else "" for node in nodes]
    if not all(names):
        raise _broken(source, "a node has no name.")
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name}#{at}" for at, name in enumerate(names)]


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)


def _parameters(name: str, held: Any, source: Source) -> Iterator[StoredTensor]:
    for key, value in held.items() if isinstance(held, dict) else ():
        if isinstance(value, dict):
            yield _array(f"{name}/{key}", {_text(k): v for k, v in value.items()}, source)


def _array(name: str, value: Mapping[str, Any], source: Source) -> StoredTensor:
    kind, data, shape = _text(value.get("type")), value.get("data"), value.get("shape")
    dtype = _DTYPES.get(kind[1:]) if kind[:1] in ("<", "|", ">") else None
    sizes = tuple(shape) if isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape) else None
    if dtype is None or sizes is None or not isinstance(data, memoryview):
        raise _broken(source, f"{name} is no array of numbers (type {kind!r}, shape {str(shape)[:60]}).")
    source.limits.check("rank", len(sizes), path=source.name, where=name)
    if math.prod(sizes) * ITEM_BYTES[dtype] != len(data):
        raise _broken(source, f"{name} {list(sizes)} of {dtype} has {len(data):,} bytes.")
    return StoredTensor(name, dtype, sizes, Strided(data, big_endian=kind[0] == ">", storage=name), f"parameter {name}")


def _declared(name: str, node: Any, own: Any, found: list[StoredTensor], source: Source) -> Declared:
    """A node by its registered name (``LSTM.v1``), with its dimensions and its plain attributes."""
    settings: dict[str, Any] = {}
    for key, value in own.items() if isinstance(own, dict) else ():
        if isinstance(value, memoryview):
            settings[str(key)] = _inner(value, source)
    dims = node.get("dims")
    settings |= {str(k): v for k, v in dims.items() if isinstance(v, int)} if isinstance(dims, dict) else {}
    if isinstance(settings.get("nO"), int) and settings.get("dirs"):
        settings["nH"] = settings["nO"] // settings["dirs"]  # thinc/layers/lstm.py calls it so
    plain = {key: value for key, value in settings.items() if isinstance(value, str | int | float | bool)}
    kind = str(plain.get("registry_name") or node["name"])
    inputs = {tensor.name.rpartition("/")[2]: tensor.name for tensor in found}
    return Declared(name, f"thinc.{kind}", plain, inputs=inputs)


def _inner(value: memoryview, source: Source) -> Any:
    """An attribute's own MessagePack; None for what is none (a registered function may be serialised otherwise)."""
    try:
        return Reader(Cursor(value, path=source.name, where="attribute"), source.limits).value()
    except GatewiseError:
        return None


def _open_shim(
    name: str, shim: Any, source: Source, tensors: list[StoredTensor], declared: list[Declared], notes: list[str]
) -> None:
    """A PyTorch module inside: ``{"config": …, "state": the bytes of torch.save}``."""
    if not isinstance(shim, memoryview) or not shim:
        return
    inside = Reader(Cursor(shim, path=source.name, where=f"shim of {name}"), source.limits).value()
    state = inside.get("state") if isinstance(inside, dict) else None
    if not isinstance(state, memoryview) or bytes(state[:2]) != b"PK":
        notes.append(f"{name} keeps {len(shim):,} bytes of another framework, which are not read.")
        return
    found: Tensors = later(".torch_zip", "read")(
        Source.of(state, source.path / f"{name}.pt", source.folder, source.limits)
    )
    tensors += [tensor.renamed(f"{name}/{tensor.name}") for tensor in found.values()]
    declared += [
        Declared(f"{name}/{each.path}".rstrip("/"), each.kind, each.settings, each.name, version=each.version)
        for each in found.declared
    ]
    notes += found.notes


CONTAINERS = (
    Container(
        "thinc",
        title="Thinc model (spaCy)",
        source="https://github.com/explosion/thinc/blob/master/thinc/model.py",
        claims=claims,
        read=read,
        magic=((0, _MAGIC),),
        rank=30,
    ),
)
