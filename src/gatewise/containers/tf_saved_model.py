"""SavedModels: a directory (or one packed) with ``saved_model.pb``, the graph, and ``variables/``, a checkpoint.

TF1's have variables under their names, and a graph that tells what their cells compute.  TF2's have objects; those that
Keras wrote also have the config of every layer.  Nothing is run, no function is called.
Source: tensorflow/core/protobuf/saved_model.proto, tensorflow/python/saved_model/{builder_impl,save,load}.py (TF 1.15,
2.15).  Not known here: what the graph computes; assets; ``saved_model.pbtxt`` is not read, the variables beside it are.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ..errors import BrokenFile
from ..source import Folder, Source
from ..tensors import Declared, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..cursor import Cursor
    from ._tf_bundle import Bundle
    from ._tf_objects import Graph

MODEL, TEXT_MODEL = "saved_model.pb", "saved_model.pbtxt"
_INDEX = "variables/variables.index"
_SERVE = "serve"


def claims(source: Source) -> bool:
    if source.whole:
        return _place(source.folder) is not None
    return source.path.name == MODEL and bytes(source.data[:3]) == b"\x08\x01\x12"


def read(source: Source) -> Tensors:
    place = _place(source.folder) if source.whole else "."
    folder = source.folder.below(place or ".")
    found = _main_graph(folder)
    if _INDEX not in folder:
        return _of_graph(found, source)
    from ._tf_bundle import Bundle
    from ._tf_meta import Told, told_by
    from ._tf_objects import graph_of
    from .tf_checkpoint import of_variables

    bundle = Bundle(folder.open(_INDEX))
    size = bundle.size + (folder.open(MODEL).size if MODEL in folder else 0)
    facts: dict[str, Any] = {"path": source.name, "container": "tf-saved-model", "bytes": size}
    graph = graph_of(bundle)
    if graph is None:
        told = told_by(found, source.limits) if found else Told()
        return of_variables(bundle.tensors(), bundle.notes(), told, **facts)
    return _of_objects(bundle, graph, folder, found, facts)


def _of_graph(found: dict[str, Cursor], source: Source) -> Tensors:
    """A SavedModel without variables: its weights are constants of the graph."""
    from ._tf_meta import info_of
    from .tf_graph import of_graph

    if "graph" not in found:
        raise BrokenFile(f"has no {_INDEX}, and no graph that could hold the weights.", path=source.name)
    version, _ = info_of(found, source.limits)
    return of_graph(found["graph"], source, container="tf-saved-model", version=version)


def _of_objects(
    bundle: Bundle, graph: Graph, folder: Folder, found: dict[str, Cursor], facts: dict[str, Any]
) -> Tensors:  # fmt: skip
    from ._tf_keras import keras_objects
    from ._tf_meta import info_of, told_by
    from ._tf_objects import names_of
    from .tf_checkpoint import of_objects

    limits = bundle.source.limits
    names = tuple(names_of(bundle, graph).values())
    keras = keras_objects(folder, found.get("objects"), names, limits)
    tensorflow, _ = info_of(found, limits)
    declared: list[Declared] = keras.declared(limits)
    if declared:
        version = keras.version or ""
        writer = WrittenBy("tf.keras", version, f"keras_version in the SavedModel of TensorFlow {tensorflow or '2'}")
        return of_objects(bundle, graph, **facts, declared=declared, written_by=[writer])
    if tensorflow:
        facts["written_by"] = [WrittenBy("tensorflow", tensorflow, "tensorflow_version in saved_model.pb")]
    return of_objects(bundle, graph, told_by(found, limits).cells, **facts)


def _main_graph(folder: Folder) -> dict[str, Cursor]:
    """The parts of the meta graph that is served; they share one set of variables."""
    if MODEL not in folder:
        return {}
    from ._tf_meta import info_of, meta_graphs, parts

    source = folder.open(MODEL)
    every = [parts(meta) for meta in meta_graphs(source.cursor(where=MODEL))]
    if not every:
        raise BrokenFile("holds no graph.", path=source.name, next="The file is cut or damaged; fetch it again.")
    return next((found for found in every if _SERVE in info_of(found, source.limits)[1]), every[0])


def _place(folder: Folder) -> str | None:
    """Where in a directory or an archive the SavedModel lies: at its top, or one directory below."""
    for name in (MODEL, TEXT_MODEL):
        if name in folder:
            return "."
    deeper = [name for name in folder.names() if PurePosixPath(name).name in (MODEL, TEXT_MODEL)]
    places = {PurePosixPath(name).parent.as_posix() for name in deeper if name.count("/") == 1}
    return places.pop() if len(places) == 1 else None


CONTAINERS = (
    Container(
        "tf-saved-model",
        title="TensorFlow SavedModel (directory, or the same packed)",
        source="tensorflow/core/protobuf/saved_model.proto and SavedModels of TF 1.15, 2.1, 2.2, 2.3 and 2.15",
        claims=claims,
        read=read,
        magic=((0, b"\x08"),),
        folders=True,
        rank=35,
    ),
)
