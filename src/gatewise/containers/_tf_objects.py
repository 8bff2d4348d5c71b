"""TF2's checkpoints name no variables but paths through objects; what the object graph in them tells.

``layer_with_weights-0/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE`` is the key of a variable that was reached from the root
through attributes.  The graph lists every object, its attributes, and each variable's own name (``lstm/lstm_cell/kernel``).
A tensor is called by its path without the suffix.  In a SavedModel keys may go through lists (``variables/0``); there
the path is found anew.  A SavedModel's own graph says more, in another message; both become a :class:`Graph`.
Source: tensorflow/core/protobuf/trackable_object_graph.proto, tensorflow/python/trackable/trackable_utils.py (TF 2.15).
Not known here: what the objects are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..cursor import Cursor
from ..record import record
from ._protobuf import INT, TEXT, Message
from ._tf_bundle import Bundle

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
CHILD = Message({1: ("node", INT), 2: ("name", TEXT)})
_NODE = Message({
    1: ("children", [CHILD]), 2: ("attributes", [Message({1: ("name", TEXT), 2: ("full", TEXT), 3: ("key", TEXT)})]),
})  # fmt: skip
_GRAPH = Message({1: ("nodes", [_NODE])})
# Keras lists an object's variables and layers a second time under these names when it makes a SavedModel.
_LISTS = frozenset((
    "variables", "trainable_variables", "non_trainable_variables", "regularization_losses", "layers", "metrics",
    "keras_api", "layer_regularization_losses", "layer_metrics", "_layers", "_self_tracked_trackables", "root",
    "_functional_variables", "_trainable_variables",
))  # fmt: skip


@record
class Variable:
    """A variable of the graph: its path from the root, its own name in TensorFlow, its key in the checkpoint."""

    path: str
    full: str
    key: str


@record(eq=False)
class Graph:
    """``paths``: of every object that was reached, by its number; ``variables``; ``children`` of each object, by name."""

    paths: Mapping[int, str]
    variables: tuple[Variable, ...]
    children: tuple[Mapping[str, int], ...]


def graph_of(bundle: Bundle) -> Graph | None:
    """The object graph of a checkpoint; None for one without.  Raises BrokenFile."""
    strings = bundle.strings(KEY)
    if not strings:
        return None
    source = bundle.source
    nodes = _GRAPH.read(Cursor(strings[0], path=source.path, where="object graph"), source.limits)["nodes"]
    children = children_of(nodes)
    paths = paths_through(children)
    variables = []
    for number, node in enumerate(nodes):
        for attribute in node["attributes"]:
            key = attribute.get("key", "")
            path = paths.get(number) or key.removesuffix(SUFFIX)
            if attribute.get("name") == "VARIABLE_VALUE" and key:
                variables.append(Variable(path, attribute.get("full", ""), key))
    return Graph(paths, tuple(variables), children)


def children_of(nodes: Iterable[Mapping[str, Any]]) -> tuple[dict[str, int], ...]:
    return tuple({child.get("name", ""): child.get("node", 0) for child in node["children"]} for node in nodes)


def paths_through(children: tuple[dict[str, int], ...]) -> dict[int, str]:
    """The shortest path to every object: over attributes, and over Keras's lists only to what those do not reach."""
    paths = {0: ""}
    for lists in (False, True):
        row = list(paths)
        while row:  # every object is entered once, so circles end
            row = [inner for number in row for inner in _enter(number, children, paths, lists)]
    return paths


def _enter(number: int, children: tuple[dict[str, int], ...], paths: dict[int, str], lists: bool) -> Iterator[int]:
    for name, inner in children[number].items() if 0 <= number < len(children) else ():
        if inner not in paths and (lists or name not in _LISTS):
            paths[inner] = f"{paths[number]}/{name}" if paths[number] else name
            yield inner


def names_of(bundle: Bundle, graph: Graph | None) -> dict[str, str]:
    """The name of each tensor of the bundle, by its key: its path where it has one that no other has."""
    keys = [entry.name for entry in bundle.entries.values() if entry.name]
    found = {key: key.removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX)}
    if graph is not None:
        found |= {variable.key: variable.path for variable in graph.variables if variable.key in found}
    counts: dict[str, int] = {}
    for name in (*found.values(), *(key for key in keys if key not in found)):
        counts[name] = counts.get(name, 0) + 1
    return {key: name for key, name in found.items() if counts[name] == 1}


def natural(path: str) -> list[tuple[bool, int, str]]:
    """For sorting: numbers in a path count as numbers."""
    return [
        (piece.isdigit(), int(piece) if piece.isdigit() else 0, piece)
        for piece in re.split(r"(\d{1,9})", path)
        if piece
    ]
