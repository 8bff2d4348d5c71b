"""TensorFlow's checkpoints: ``NAME.index`` beside ``NAME.data-00000-of-00001`` (V2), and the one file of V1.

A checkpoint is named by NAME, which is no file, by any of its files, or by its directory.  TF1 stores a variable under
its name.  Source: tensorflow/python/training/{saver,checkpoint_management}.py and tensorflow/core/util/tensor_bundle
(TF 1.15, 2.15).  Not known here: cells and gates; whose names they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from ..errors import UsageError, few
from ..source import Folder, Source
from ..tensors import StoredTensor, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ._tf_bundle import Bundle
    from ._tf_meta import Told
    from ._tf_objects import Graph

_CUT = re.compile(rb"\0\0[\x04-\x14]\x08.{1,3}(\x10.)?\x1a\x02\x08\x01", re.DOTALL)  # how an index begins, cut or not
_PART = re.compile(r"(?P<prefix>.+)\.(index|meta|data-\d{5}-of-\d{5})$")
_STATE = "checkpoint"  # the text file that names the latest


def claims(source: Source) -> bool:
    if source.whole:
        return bool(_indexes(source.folder))
    from ._leveldb_table import is_table

    head = bytes(source.data[:16])
    # The first key is empty, so its entry begins with two zeros; a compressed block has a few bytes before them.
    return bool(_CUT.match(head)) or (is_table(source) and b"\0\0" in head[:8])


def read(source: Source) -> Tensors:
    if source.whole:
        source = _index_in(source)
    from ._tf_bundle import Bundle
    from ._tf_meta import beside
    from ._tf_slices import is_v1, read_v1

    if is_v1(source):
        told = beside(source.folder, source.path.name, source.limits)
        return of_variables(*read_v1(source), told, path=source.name, bytes=source.size)
    bundle = Bundle(source)
    return bundle_tensors(bundle, beside(source.folder, bundle.prefix, source.limits))


def bundle_tensors(bundle: Bundle, told: Told) -> Tensors:
    """The tensors of a V2 checkpoint, with what a graph beside it tells."""
    from ._tf_objects import graph_of

    graph = graph_of(bundle)
    if graph is not None:
        return of_objects(bundle, graph)
    return of_variables(bundle.tensors(), bundle.notes(), told, path=bundle.source.name, bytes=bundle.size)


def of_objects(
    bundle: Bundle, graph: Graph, told: Mapping[str, Mapping[str, Any]] | None = None, **more: Any
) -> Tensors:  # fmt: skip
    """TF2's: tensors under their paths through objects.  ``told`` by a graph beside them, by scopes of variables."""
    from ._tf_objects import KEY, declared_layers, keras_version, names_of

    names = names_of(bundle, graph)
    rank = {variable.key: place for place, variable in enumerate(graph.variables)}
    stored = sorted(bundle.tensors(), key=lambda tensor: rank.get(tensor.name, len(rank)))
    tensors = [tensor.renamed(names.get(tensor.name, tensor.name)) for tensor in stored]
    keras = keras_version(graph)
    writer = (
        WrittenBy("tf.keras", *keras) if keras else WrittenBy("tensorflow", "", "an object graph in the checkpoint")
    )
    facts: dict[str, Any] = {
        "path": bundle.source.name, "container": "tf-checkpoint", "bytes": bundle.size, "naming": "tf-object",
        "declared": declared_layers(graph, names, told or {}), "written_by": [writer], "notes": bundle.notes(but=KEY),
    }  # fmt: skip
    return Tensors(tensors, **(facts | more))


def of_variables(stored: list[StoredTensor], notes: list[str], told: Told, **facts: Any) -> Tensors:
    """TF1's: tensors under the names of variables."""
    from ._tf_names import declared_cells, in_order, without_shadows, written_by

    tensors = without_shadows(in_order(stored))
    names = [tensor.name for tensor in tensors]
    return Tensors(
        tensors,
        declared=declared_cells(names, told.cells, told.version),
        written_by=written_by(names, told.version),
        notes=[*notes, *told.notes],
        **({"container": "tf-checkpoint"} | facts),
    )


# Which file.


def stands_for(path: Path) -> Path | None:
    """The index of the checkpoint that ``path`` is the prefix or a file of; a V1 file beside its ``.meta``."""
    part = _PART.fullmatch(path.name)
    prefix = path.with_name(part["prefix"]) if part else path
    index = prefix.with_name(f"{prefix.name}.index")
    if index.is_file():
        return index
    return prefix if part and prefix.is_file() else None


def _indexes(folder: Folder) -> list[str]:
    """The indexes of a directory, or of one packed."""
    return [name for name in folder.names() if name.endswith(".index")]


def _index_in(source: Source) -> Source:
    """The checkpoint that a directory means: the one that its text file ``checkpoint`` names, or the only one."""
    names = _indexes(source.folder)
    for name in names:
        state = PurePosixPath(name).parent / _STATE
        if str(state) in source.folder and _latest(source.folder.open(str(state))) == PurePosixPath(name).name:
            return source.folder.open(name)
    if len(names) > 1:
        shown = few(name.removesuffix(".index") for name in names)
        raise UsageError(f"holds {len(names)} checkpoints.", path=source.name, next=f"Name one of them: {shown}.")
    return source.folder.open(names[0])


def _latest(state: Source) -> str:
    """``model_checkpoint_path: "some/where/model.ckpt-100"`` → ``model.ckpt-100.index``."""
    text = bytes(state.data[: 1 << 16]).decode("utf-8", "replace")
    found = re.search(r'^model_checkpoint_path:\s*"(?P<path>[^"\n]+)"', text, re.MULTILINE)
    return f"{PurePosixPath(found['path'].replace(chr(92), '/')).name}.index" if found else ""


CONTAINERS = (
    Container(
        "tf-checkpoint",
        title="TensorFlow checkpoint (.index and .data, or V1)",
        source="tensorflow/core/util/tensor_bundle/tensor_bundle.cc and tensorflow/core/util/saved_tensor_slice.proto",
        claims=claims,
        read=read,
        stands_for=stands_for,
        rank=58,
    ),
)
