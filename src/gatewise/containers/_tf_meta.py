"""MetaGraphDefs: which TensorFlow wrote one, its graph, and the objects of a SavedModel.

A checkpoint's ``.meta`` is one; a SavedModel holds one or more.  The graph is looked at for what the cells compute
beside their weights (``_tf_cells``).  Source: tensorflow/core/protobuf/{meta_graph,saved_model,saved_object_graph}.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..cursor import Cursor, Limits
from ..errors import GatewiseError
from ..record import field, record
from ..source import Folder
from ._protobuf import BYTES_, TEXT, Message, fields
from ._tf_graph import Graph

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_INFO = Message({4: ("tags", [TEXT]), 5: ("version", TEXT)})
_FIELDS = {1: "info", 2: "graph", 7: "objects"}


@record(eq=False)
class Told:
    """What stands in a graph beside the weights: TensorFlow's version, what is known of each cell's scope, sentences."""

    version: str | None = None
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def parts(cursor: Cursor) -> dict[str, Cursor]:
    """The parts of a MetaGraphDef that gatewise looks at, by name; nothing in them is read."""
    found = {}
    for number, wire, value in fields(cursor):
        if wire == BYTES_ and number in _FIELDS:
            base = cursor.base + cursor.at - len(value)
            found[_FIELDS[number]] = Cursor(value, path=cursor.path, where=_FIELDS[number], base=base)
    return found


def info_of(found: Mapping[str, Cursor], limits: Limits) -> tuple[str | None, tuple[str, ...]]:
    """(TensorFlow's version, the tags)."""
    if "info" not in found:
        return None, ()
    raw = found["info"]
    info = _INFO.read(Cursor(raw.data, path=raw.path, where=raw.where, base=raw.base), limits)
    return info.get("version"), tuple(info["tags"])


def told_by(found: Mapping[str, Cursor], limits: Limits) -> Told:
    """The version and the cells of a MetaGraphDef."""
    version, _ = info_of(found, limits)
    return Told(version, cells_in(Graph(found["graph"], limits)) if "graph" in found else {})


def cells_in(graph: Graph) -> dict[str, dict[str, Any]]:
    """What a graph tells of the recurrent layers in it, TensorFlow's own and Keras's, by the scope of their variables."""
    from ._tf_cells import cells_of
    from ._tf_keras_cells import keras_cells_of

    return cells_of(graph) | keras_cells_of(graph)


def beside(folder: Folder, prefix: str, limits: Limits) -> Told:
    """What the ``.meta`` of a checkpoint tells.  One that is broken is noted: the weights do not depend on it."""
    name = f"{prefix}.meta"
    if name not in folder:
        return Told()
    try:
        return told_by(parts(folder.open(name).cursor(where=name)), limits)
    except GatewiseError as error:
        return Told(
            notes=(f"{name} beside the checkpoint cannot be read ({error.message}); nothing is known from it.",)
        )


def meta_graphs(cursor: Cursor) -> Iterator[Cursor]:
    """The MetaGraphDefs of a SavedModel."""
    for number, wire, value in fields(cursor):
        if wire == BYTES_ and number == 2:
            yield Cursor(value, path=cursor.path, where="meta graph", base=cursor.base + cursor.at - len(value))
