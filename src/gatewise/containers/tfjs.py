"""TensorFlow.js: ``model.json`` and binary shards beside it, or the directory that holds them.

The JSON holds ``modelTopology`` (a Keras config, written by TensorFlow.js itself or by the Keras it was converted
from; or a graph) and ``weightsManifest``: groups of weights whose bytes lie end to end across the group's shards,
little-endian and row-major.  Quantised weights are value = stored × scale + min, and are opened when asked for.
Source: tfjs-core/src/io/io_utils.ts and types.ts of TensorFlow.js 4.22.0; files of that version.
Not known here: weights that are strings, and the graph of a graph model, whose weights alone are listed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping

from ..errors import BrokenFile
from ..record import replace
from ..source import Folder, Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..tensors import Array

MODEL = "model.json"
NATIVE, CONVERTED = "tfjs", "keras-h5"  # naming schemes: TensorFlow.js's own, and that of the Keras converted from
_MARKS = (b'"modelTopology"', b'"weightsManifest"', b'"layers-model"', b'"graph-model"')
_HEAD = 4096
_DTYPES = frozenset(("float32", "float16", "int32", "uint8", "uint16", "bool", "complex64"))
_FETCH_AGAIN = "Fetch model.json and its shards again, all of them."


def claims(source: Source) -> bool:
    """A JSON object with one of the format's own keys near its beginning, or a directory with such a model.json."""
    if source.whole:
        place = _place_in(source)
        return place is not None and claims(source.folder.open(place))  # others call a file of theirs model.json too
    head = bytes(source.data[:_HEAD])
    return head.lstrip()[:1] == b"{" and any(mark in head for mark in _MARKS)


def _place_in(source: Source) -> str | None:
    """The model's name in a directory, or in an archive of one."""
    if MODEL in source.folder:
        return MODEL
    if source.path.is_dir():
        return None
    found = [name for name in source.folder.names() if name.endswith(f"/{MODEL}")]
    return found[0] if len(found) == 1 else None


def stands_for(path: Path) -> Path | None:
    """The model.json beside a shard that it names."""
    model = path.with_name(MODEL)
    if path.suffix != ".bin" or not model.is_file():
        return None
    return model if path.name.encode() in model.read_bytes() else None


def read(source: Source) -> Tensors:
    """Names, shapes and dtypes are the manifest's; a weight within one shard is a view of the mapped shard."""
    place = _place_in(source) if source.whole else None
    if place is not None:
        source = source.folder.open(place)
    from ._keras_config import parse

    model = parse(bytes(source.data), source.limits, MODEL)
    notes: list[str] = []
    shards: list[_Shards] = []
    tensors = list(_tensors(model.get("weightsManifest"), source, notes, shards))
    source.limits.check("tensors", len(tensors), path=source.name, where="weightsManifest")
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _broken("two weights have the same name.", source, "weightsManifest")
    topology = model.get("modelTopology")
    topology = topology if isinstance(topology, dict) else {}
    written_by = _written_by(model, topology)
    declared = _declared(topology, tensors, written_by, source, notes)
    native = written_by.framework == "tfjs"
    return Tensors(
        tensors,
        path=source.name,
        container="tfjs",
        bytes=source.size + sum(group.size for group in shards),
        naming=NATIVE if native else CONVERTED,
        declared=[replace(entry, kind=_native(entry.kind)) for entry in declared] if native else declared,
        written_by=[written_by],
        notes=notes,
        metadata={"format": model.get("format"), "config": topology} if topology else {},
    )


def _broken(message: str, source: Source, where: str) -> BrokenFile:
    return BrokenFile(message, path=source.name, where=where, next=_FETCH_AGAIN)


def _native(kind: str) -> str:
    return kind.replace("keras.", "tfjs.", 1) if kind.startswith("keras.") else kind


# Who wrote it, and what the topology says.


def _written_by(model: Mapping[str, Any], topology: Mapping[str, Any]) -> WrittenBy:
    """TensorFlow.js calls its own files' Keras ``tfjs-layers 4.22.0``; converted ones keep the version they came from."""
    version = str(topology.get("keras_version", "")).replace("tfjs-layers", "").strip()
    made_by = str(model.get("generatedBy") or "")
    if "tfjs" in str(topology.get("keras_version", "")) or "TensorFlow.js" in made_by:
        return WrittenBy(
            "tfjs", version or made_by.rpartition(" v")[2], "keras_version in model.json names tfjs-layers"
        )
    if version:
        from ._keras_h5 import framework_of

        return WrittenBy(framework_of(version), version, "keras_version in model.json, which a converter wrote")
    return WrittenBy("tfjs", "", "model.json with a weightsManifest")


def _declared(
    topology: Mapping[str, Any], tensors: list[StoredTensor], who: WrittenBy, source: Source, notes: list[str]
) -> list[Declared]:
    config = topology.get("model_config", topology)  # the converter keeps Keras's config one level down
    if not isinstance(config, dict) or "class_name" not in config:
        notes.append("No Keras config in the file: it does not tell its layers, only their weights.")
        return []
    from ._keras_h5 import declared_of
    from ._keras_names import VariableNames

    names = VariableNames([tensor.name for tensor in tensors])
    return declared_of(config, names, who.version or None, source, notes)


# The weights.


def _tensors(manifest: Any, source: Source, notes: list[str], opened: list[_Shards]) -> Iterator[StoredTensor]:
    if not isinstance(manifest, list):
        raise _broken("has no list of weights.", source, "weightsManifest")
    for number, group in enumerate(manifest):
        where = f"weightsManifest, group {number}"
        if not isinstance(group, dict) or not isinstance(group.get("weights"), list):
            raise _broken("has no list of weights.", source, where)
        shards = _Shards(group.get("paths"), source, where)
        opened.append(shards)
        at = 0
        for entry in group["weights"]:
            name, shape = _name_and_shape(entry, source, where)
            length, tensor = _weight(name, shape, entry, shards, at)
            at += length
            if tensor is None:
                notes.append(f"{name} holds strings and is left out.")
            else:
                yield tensor
        if at != shards.size:
            raise _broken(f"its weights take {at:,} bytes, its shards hold {shards.size:,}.", source, where)


def _name_and_shape(entry: Any, source: Source, where: str) -> tuple[str, tuple[int, ...]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _broken("a weight has no name.", source, where)
    shape = entry.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise _broken("its shape is no list of sizes.", source, f"weight {entry['name']!r}")
    source.limits.check("rank", len(shape), path=source.name, where=f"weight {entry['name']!r}")
    return entry["name"], tuple(shape)


def _weight(
    name: str, shape: tuple[int, ...], entry: Mapping[str, Any], shards: _Shards, at: int
) -> tuple[int, StoredTensor | None]:
    """How many bytes a weight takes, and its tensor."""
    where, dtype, how = f"weight {name!r}", entry.get("dtype"), entry.get("quantization")
    if dtype == "string":
        return shards.length_of_strings(at, math.prod(shape), where), None
    plain = _plain(name, shape, how.get("dtype") if isinstance(how, dict) else dtype, shards, at)
    if not isinstance(how, dict):
        return plain.nbytes, plain
    return plain.nbytes, _dequantised(plain, _known(dtype, shards.source, where), how, shards.source)


def _plain(name: str, shape: tuple[int, ...], dtype: Any, shards: _Shards, at: int) -> StoredTensor:
    where = f"weight {name!r}"
    known = _known(dtype, shards.source, where)
    data = shards.view(at, math.prod(shape) * ITEM_BYTES[known], where)
    return StoredTensor(name, known, shape, data, shards.told(at))


def _known(dtype: Any, source: Source, where: str) -> str:
    if isinstance(dtype, str) and dtype in _DTYPES:
        return dtype
    raise _broken(f"its dtype {dtype!r} is not one that gatewise knows.", source, where)


def _dequantised(plain: StoredTensor, dtype: str, how: Mapping[str, Any], source: Source) -> StoredTensor:
    """float16 is widened, integers are stored × scale + min (tfjs-core/src/io/io_utils.ts, decodeWeight)."""
    scale, low = how.get("scale"), how.get("min")
    if plain.dtype == "float16":
        scale, low = 1.0, 0.0
    if not isinstance(scale, (int, float)) or not isinstance(low, (int, float)):
        raise _broken("is quantised without a scale and a minimum.", source, f"weight {plain.name!r}")

    def opened() -> Array:
        import numpy as np

        value = np.asarray(plain.array(), np.float64) * scale + low
        made: Array = np.rint(value).astype(dtype) if dtype == "int32" else value.astype(dtype)
        made.flags.writeable = False
        return made

    how_made = f"{plain.dtype} widened" if plain.dtype == "float16" else f"{plain.dtype} × {scale:g} + {low:g}"
    return StoredTensor(plain.name, dtype, plain.shape, opened, plain.where, made_from=how_made)


class _Shards:
    """A group's shards as if they were one file."""

    def __init__(self, paths: Any, source: Source, where: str):
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise _broken("has no list of shards.", source, where)
        source.limits.check("members", len(paths), path=source.name, where=where)
        self.source, self.where = source, where
        self.pieces: list[tuple[int, str, memoryview]] = []  # (where it begins, its name, its bytes)
        self.size = 0
        for path in paths:
            data = _shard(path, source.folder, source).data
            self.pieces.append((self.size, path, data))
            self.size += len(data)

    def view(self, at: int, length: int, where: str) -> Strided:
        """The bytes of one weight: a view where they lie in one shard, else joined when asked for."""
        if at + length > self.size:
            raise _broken(
                f"its weights reach to byte {at + length:,}, its shards hold {self.size:,}.", self.source, where
            )
        for begin, _, data in self.pieces:
            if begin <= at and at + length <= begin + len(data):
                return Strided(data[at - begin : at - begin + length], storage=f"{self.where} {at}")
        return Strided(functools.partial(self._joined, at, length), storage=f"{self.where} {at}")

    def _joined(self, at: int, length: int) -> memoryview:
        joined = bytearray()
        for begin, _, data in self.pieces:
            joined += data[max(at - begin, 0) : max(at + length - begin, 0)]
        return memoryview(bytes(joined))

    def told(self, at: int) -> str:
        """Where a weight begins, for people."""
        for begin, path, data in self.pieces:
            if begin <= at < begin + len(data):
                return f"{path}, byte {at - begin}"
        return ""

    def length_of_strings(self, at: int, count: int, where: str) -> int:
        """Strings have their length, four bytes, before each."""
        start = at
        self.source.limits.check("objects", count, path=self.source.name, where=where)
        for _ in range(count):
            self.view(at, 4, where)
            at += 4 + int.from_bytes(self._joined(at, 4), "little")
        return at - start


def _shard(path: str, folder: Folder, source: Source) -> Source:
    if path not in folder:
        raise _broken(f"the shard {path} is not there.", source, "weightsManifest")
    return folder.open(path)


CONTAINERS = (
    Container(
        "tfjs",
        title="TensorFlow.js model (model.json and shards)",
        source="tfjs-core/src/io/io_utils.ts of TensorFlow.js 4.22.0",
        claims=claims,
        read=read,
        stands_for=stands_for,
        magic=((0, b"{"), (0, b" "), (0, b"\n"), (0, b"\r")),
        folders=True,
        rank=34,
    ),
)
