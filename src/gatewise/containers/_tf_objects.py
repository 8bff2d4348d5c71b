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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ..cursor import Cursor
from ..record import record
from ..tensors import Declared
from ._protobuf import INT, TEXT, Message
from ._tf_bundle import Bundle

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

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
    "_functional_variables", "_trainable_variables", "_all_variables",
))  # fmt: skip


@record
class Variable:
    """A variable of the graph: its path from the root, its own name in TensorFlow, its key in the checkpoint."""

    path: str
    full: str
    key: str


@record(eq=False)
class Graph:
    """``paths``: of every object that was reached, by its number, in the order of attributes, depth first; ``variables``
    in that order; ``children`` of each object, by name."""

    paths: Mapping[int, str]
    variables: tuple[Variable, ...]
    children: tuple[Mapping[str, int], ...]


def graph_of(bundle: Bundle) -> Graph | None:
    """The object graph of a checkpoint; None for one without.  Raises BrokenFile."""
    strings = bundle.strings(KEY)
    if not strings:
        return None
    source = bundle.source
    nodes = _GRAPH.read(Cursor(strings[0], path=source.name, where="object graph"), source.limits)["nodes"]
    children = children_of(nodes)
    paths = paths_through(children)
    variables = []
    for number in (*paths, *(number for number in range(len(nodes)) if number not in paths)):
        for attribute in nodes[number]["attributes"] if number < len(nodes) else ():
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
    places: dict[int, tuple[int, ...]] = {0: (0,)}
    for lists in (False, True):
        row = list(paths)
        while row:  # every object is entered once, so circles end
            row = [inner for number in row for inner in _enter(number, children, paths, places, lists)]
    return {number: paths[number] for number in sorted(paths, key=lambda number: places[number])}


def _enter(
    number: int,
    children: tuple[dict[str, int], ...],
    paths: dict[int, str],
    places: dict[int, tuple[int, ...]],
    lists: bool,
) -> Iterator[int]:
    for place, (name, inner) in enumerate(children[number].items() if 0 <= number < len(children) else ()):
        if inner not in paths and (lists or name not in _LISTS):
            paths[inner] = f"{paths[number]}/{name}" if paths[number] else name
            places[inner] = (*places[number], place)
            yield inner


def names_of(bundle: Bundle, graph: Graph) -> dict[str, str]:
    """The name of each tensor of the bundle, by its key: its path, where it has one that no other has.  What is only
    reached through a list (a model that was exported for serving) is called by the variable's own name."""
    keys = [entry.name for entry in bundle.entries.values() if entry.name]
    found = {key: key.removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX)}
    for variable in graph.variables:
        if variable.key in found:
            found[variable.key] = variable.path
    taken = {name for key, name in found.items() if not _in_a_list(name)} | {key for key in keys if key not in found}
    for variable in graph.variables:
        listed = variable.key in found and _in_a_list(variable.path)
        if listed and variable.full and variable.full not in taken:
            found[variable.key] = variable.full
            taken.add(variable.full)
    counts: dict[str, int] = {}
    for name in (*found.values(), *(key for key in keys if key not in found)):
        counts[name] = counts.get(name, 0) + 1
    return {key: name for key, name in found.items() if counts[name] == 1}


def _in_a_list(path: str) -> bool:
    pieces = path.split("/")
    return len(pieces) == 2 and pieces[0] in _LISTS and pieces[1].isdigit()


# Keras's layers.

_INNER = re.compile(r"(/(forward_layer|backward_layer))?(/cell)?$")  # what a layer's variables lie in
_SCOPES = re.compile(r"(/(forward|backward)_[^/]+)?(/[^/]*_cell(_\d+)?)?$")  # the same in the variables' own names
_CELLS = re.compile(r"(?P<rnn>.*)/cell/cells/(?P<index>\d+)$")  # the cells of StackedRNNCells
_CELL_SCOPE = re.compile(r"(.*_cell|cell|stacked_rnn_cells)(_\d+)?")  # its cell's part of a variable's own name


def declared_layers(
    graph: Graph, names: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]
) -> Iterator[Declared]:
    """Every object with variables: its path, and the name that a user or Keras gave it, ``lstm`` or ``encoder/lstm``.
    ``names`` of the tensors by their keys; ``told``: what a graph says, by the scope of the variables' own names."""
    layers: dict[str, list[Variable]] = {}
    for variable in graph.variables:
        name = names.get(variable.key, variable.path)
        inner = _SCOPES if name == variable.full else _INNER
        layers.setdefault(inner.sub("", f"/{name.rpartition('/')[0]}")[1:], []).append(variable)
    given = {path: _given_name(path, variables) for path, variables in layers.items() if path}
    shared = {name for name, count in Counter(given.values()).items() if count > 1}  # then the path says more
    for path, given_name in given.items():
        settings = _cell_of(path, layers)
        for variable in layers[path]:
            settings |= told.get(variable.full.rpartition("/")[0], {})
        yield Declared(path, "", settings, None if given_name in shared else given_name, _below(path, layers))


def _given_name(path: str, variables: list[Variable]) -> str | None:
    """What the variables' own names have in common, without the cell's part of it."""
    scopes = [variable.full.split("/")[:-1] for variable in variables]
    common = scopes[0]
    for scope in scopes[1:]:
        common = [one for one, other in zip(common, scope, strict=False) if one == other]
    cells = _CELLS.match(path)
    while len(common) > 1 and _CELL_SCOPE.fullmatch(common[-1]):
        common = common[:-1]
    name = "/".join(common)
    return f"{name}/cells/{cells['index']}" if name and cells else name or None


def _cell_of(path: str, layers: Mapping[str, Any]) -> dict[str, Any]:
    found = _CELLS.match(path)
    if not found:
        return {}
    siblings = [other for other in layers if (cell := _CELLS.match(other)) and cell["rnn"] == found["rnn"]]
    return {"cell": int(found["index"]), "cells": len(siblings)}


def _below(path: str, layers: Mapping[str, Any]) -> tuple[str, ...]:
    """The cell whose output the cell at ``path`` takes, in a StackedRNNCells."""
    found = _CELLS.match(path)
    before = f"{found['rnn']}/cell/cells/{int(found['index']) - 1}" if found else ""
    return (before,) if before in layers else ()


def keras_version(graph: Graph) -> tuple[str, str] | None:
    """(tf.keras's version, how one knows) for a checkpoint with Keras's recurrent layers; None for one without.

    Since TensorFlow 2.2 the variables of a recurrent layer are called after its cell too.
    """
    cells = [variable.full for variable in graph.variables if re.search(r"/cell(/cells/\d+)?/kernel$", variable.path)]
    if not cells:
        return None
    if all(_CELL_SCOPE.fullmatch(full.split("/")[-2]) for full in cells if "/" in full):
        return "", "an object graph with Keras layers whose variables are called after their cell: TensorFlow >= 2.2"
    return (
        "2.2.4-tf",
        "an object graph with Keras layers whose variables are not called after their cell: TensorFlow 1.13 to 2.1",
    )
