"""ONNX's graphs as scopes: which value is which tensor or comes out of which node, through subgraphs and functions.

A branch of If and a body of Loop or Scan see the values of the graph around them; a model's own function sees only what
it is given.  A function's body is looked at once for each call, because each call gives it other weights.
Source: docs/IR.md of ONNX 1.23, "Graphs", "Name scopes" and "Functions"; nodes with subgraphs are If, Loop, Scan and
SequenceMap.  Not known here: what a node computes, and which nodes are recurrent (the caller tells).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

from ..cursor import Cursor
from ..errors import LimitExceeded
from ..record import replace
from ..source import Source
from ..tensors import StoredTensor, Strided
from ._onnx_proto import ATTRIBUTE, ATTRIBUTE_TYPES, FUNCTION, GRAPH, SPARSE, VALUE
from ._onnx_tensors import Reader, Unread

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_WITH_SUBGRAPHS = frozenset(("If", "Loop", "Scan", "SequenceMap"))
_ZEROS: Mapping[str, Any] = {
    "f": 0.0,
    "i": 0,
    "s": memoryview(b""),
    "floats": [],
    "ints": [],
    "strings": [],
    "graphs": [],
}
Sizes = tuple["Any", ...]
_MOST_CALLS = 2_000  # of functions that hold recurrent nodes, each looked at on its own


class Node:
    """One node: operator, domain ("" for ONNX's own), inputs, outputs, and attributes that are read when asked for."""

    __slots__ = ("_attributes", "_places", "_raw", "domain", "inputs", "name", "op", "outputs", "overload", "scope")

    def __init__(self, scope: Scope, found: Mapping[str, Any]):
        self.scope = scope
        self.op: str = found.get("op_type", "")
        domain = found.get("domain", "")
        self.domain: str = "" if domain == "ai.onnx" else domain
        self.inputs: list[str] = found["input"]
        self.outputs: list[str] = found["output"]
        self._places: dict[str, int] | None = None
        self.name: str = found.get("name", "")
        self.overload: str = found.get("overload", "")
        self._raw: list[Cursor] = found["attribute"]
        self._attributes: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        """Its name, else its first output's."""
        return self.name or next((output for output in self.outputs if output), self.op)

    @property
    def attributes(self) -> dict[str, Any]:
        """Values by name; a tensor or a graph is a Cursor.  In a function, what refers to the call's is looked up."""
        if self._attributes is None:
            self._attributes = {}
            for raw in self._raw:
                cursor = Cursor(raw.data, path=raw.path, where=raw.where, base=raw.base)
                found = ATTRIBUTE.read(cursor, self.scope.model.source.limits)
                value = self._value(found)
                if value is not None:
                    self._attributes[found.get("name", "")] = value
        return self._attributes

    def _value(self, found: Mapping[str, Any]) -> Any:
        if "ref_attr_name" in found:
            return self.scope.attributes.get(found["ref_attr_name"])
        field = ATTRIBUTE_TYPES.get(found.get("type", 0))
        if field is None:  # IR versions 1 and 2 may not say the type: the field that is there tells
            field = next((name for name in ATTRIBUTE_TYPES.values() if found.get(name) not in (None, [])), "")
        return found.get(field, _ZEROS.get(field))

    def place_of(self, output: str) -> int:
        """Which of its outputs is called so; the first, where several are."""
        if self._places is None:
            self._places = {name: at for at, name in reversed(list(enumerate(self.outputs)))}
        return self._places[output]

    def input(self, index: int) -> str:
        return self.inputs[index] if index < len(self.inputs) else ""


class Scope:
    """One graph, or one call of a function."""

    def __init__(self, model: Model, path: str, parent: Scope | None, depth: int):
        self.model, self.path, self.parent, self.depth = model, path, parent, depth
        self.tensors: dict[str, StoredTensor] = {}
        self.nodes: list[Node] = []
        self.made_by: dict[str, Node] = {}
        self.inputs: frozenset[str] = frozenset()
        self.given: Mapping[str, tuple[Scope, str]] = {}  # a function's formal inputs: where their values come from
        self.attributes: Mapping[str, Any] = {}
        self.values: list[Cursor] = []  # what the file says of the shapes in between
        self._shapes: dict[str, Sizes] | None = None

    def shape_of(self, name: str) -> Sizes | None:
        """The sizes of a value, numbers or symbols, where the file tells them all."""
        if self._shapes is None:
            self._shapes = {}
            for raw in self.values:
                found = VALUE.read(raw, self.model.source.limits)
                dims = found.get("type", {}).get("tensor", {}).get("shape", {}).get("dim", [])
                sizes = tuple(dim.get("symbol") or dim.get("size") for dim in dims)
                if None not in sizes:
                    self._shapes[found.get("name", "")] = sizes
        return self._shapes.get(name)

    def find(self, name: str) -> StoredTensor | tuple[Node, int] | None:
        """What a value is: a stored tensor, or which output of which node.  None for what only a run knows."""
        scope: Scope | None = self
        while scope is not None and name:
            if name in scope.given:
                scope, name = scope.given[name]
            elif name in scope.tensors:
                return scope.tensors[name]
            elif name in scope.made_by:
                node = scope.made_by[name]
                return node, node.place_of(name)
            elif name in scope.inputs:
                return None
            else:
                scope = scope.parent
        return None


class Model:
    """Every scope of a model.  ``wanted(node)`` tells the nodes for whose sake functions are looked into.

    ``initializers`` and ``constants`` are the tensors in the file's order, with the path of the scope where they lie;
    ``unread`` says what was left, and why.
    """

    def __init__(self, source: Source, found: Mapping[str, Any], wanted: Callable[[Node], bool]):
        self.source = source
        self.reader = Reader(source)
        self.initializers: list[tuple[Scope, StoredTensor]] = []
        self.constants: list[tuple[Scope, StoredTensor]] = []
        self.unread: list[str] = []
        self.opsets = _opsets(found["opset_import"])
        self._wanted = wanted
        self._calls = self._count = 0
        self._limits = replace(source.limits, objects=source.limits.members)  # a node costs more than its bytes
        self.functions = dict(map(self._function, found["functions"]))
        self.scopes = list(self._all(found["graph"]))

    def _all(self, graph: Cursor) -> Iterator[Scope]:
        """The main graph, then what is inside its nodes, depth first; without recursion, so that nesting is cheap."""
        self._deep = self._functions_wanted()
        root = Scope(self, "", None, 0)
        self._fill(root, GRAPH.read(graph, self._limits))
        waiting = [root]
        while waiting:
            scope = waiting.pop()
            yield scope
            waiting += reversed([inner for node in scope.nodes for inner in self._inside(node)])

    def _fill(self, scope: Scope, graph: Mapping[str, Any]) -> None:
        self.source.limits.check("nesting", scope.depth, path=self.source.name, where=scope.path or "graph")
        scope.values = graph["value_info"]
        scope.inputs = frozenset(value.get("name", "") for value in graph["input"])
        for raw in graph["initializer"]:
            self._store(scope, raw, None, self.initializers)
        for raw in graph["sparse_initializer"]:
            self._sparse(SPARSE.read(raw, self.source.limits))
        self._nodes(scope, graph["node"])

    def _function(self, raw: Cursor) -> tuple[tuple[str, str, str], Mapping[str, Any]]:
        entry = FUNCTION.read(raw, self._limits)
        self._counted(entry["node"])
        return _key(entry, entry.get("name", "")), entry

    def _counted(self, nodes: list[Mapping[str, Any]]) -> None:
        self._count += len(nodes)
        self.source.limits.check("members", self._count, path=self.source.name, where="nodes")

    def _nodes(self, scope: Scope, nodes: list[Mapping[str, Any]]) -> None:
        self._counted(nodes)
        for found in nodes:
            node = Node(scope, found)
            if node.op == "Constant" and not node.domain:
                self._constant(scope, node)
            else:
                scope.nodes.append(node)
                scope.made_by.update((output, node) for output in node.outputs if output)

    # Tensors.

    def _store(self, scope: Scope, raw: Cursor, name: str | None, among: list[tuple[Scope, StoredTensor]]) -> None:
        try:
            tensor = self.reader.tensor(Cursor(raw.data, path=raw.path, where=raw.where, base=raw.base), name)
        except Unread as reason:
            self.unread.append(f"tensor {name!r} {reason}; it is left out." if name else f"an initializer {reason}.")
            return
        self._keep(scope, tensor, among)

    def _keep(self, scope: Scope, tensor: StoredTensor, among: list[tuple[Scope, StoredTensor]]) -> None:
        scope.tensors[tensor.name] = tensor
        among.append((scope, tensor))
        count = len(self.initializers) + len(self.constants)
        self.source.limits.check("tensors", count, path=self.source.name, where="graph")

    def _sparse(self, found: Mapping[str, Any]) -> None:
        name, dims = found.get("values", {}).get("name", ""), self.reader.dims(found["dims"])
        self.unread.append(f"initializer {name!r} ({dims}) is sparse; it is named and left.")

    def _constant(self, scope: Scope, node: Node) -> None:
        name = node.outputs[0] if node.outputs else ""
        for key, value in node.attributes.items():
            if key == "value" and isinstance(value, Cursor):
                self._store(scope, value, name, self.constants)
            elif key == "sparse_value":
                self.unread.append(f"constant {name!r} is sparse; it is named and left.")
            elif key in _LITERALS:
                dtype, code = _LITERALS[key]
                numbers = value if isinstance(value, list) else [value]
                shape = (len(numbers),) if isinstance(value, list) else ()
                data = Strided(memoryview(struct.pack(f"<{len(numbers)}{code}", *numbers)), storage=f"{id(node)}")
                self._keep(scope, StoredTensor(name, dtype, shape, data, f"node {node.label}"), self.constants)

    # What is inside a node.

    def _inside(self, node: Node) -> Iterator[Scope]:
        if node.op in _WITH_SUBGRAPHS and not node.domain:
            for name, value in node.attributes.items():
                for graph in value if isinstance(value, list) else [value]:
                    if isinstance(graph, Cursor):
                        yield self._subgraph(node, name, graph)
        elif (key := (node.domain, node.op, node.overload)) in self._deep:
            yield self.call(node, self.functions[key])

    def _subgraph(self, node: Node, name: str, graph: Cursor) -> Scope:
        path = "/".join(piece for piece in (node.scope.path, node.label, name) if piece)
        scope = Scope(self, path, node.scope, node.scope.depth + 1)
        scope.attributes = node.scope.attributes
        self._fill(scope, GRAPH.read(graph, self._limits))
        return scope

    def call(self, node: Node, function: Mapping[str, Any]) -> Scope:
        """The body of a function as one call sees it."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise LimitExceeded(
                f"calls functions that hold recurrent nodes more than {_MOST_CALLS:,} times.", path=self.source.name,
                where=node.label, next="A file of this kind is broken or hostile.",
            )  # fmt: skip
        path = "/".join(piece for piece in (node.scope.path, node.label) if piece)
        scope = Scope(self, path, None, node.scope.depth + 1)
        self.source.limits.check("nesting", scope.depth, path=self.source.name, where=path)
        scope.given = {formal: (node.scope, node.input(index)) for index, formal in enumerate(function["input"])}
        defaults = Node(scope, {"input": [], "output": [], "attribute": function["attribute_proto"]}).attributes
        scope.attributes = defaults | node.attributes
        self._nodes(scope, function["node"])
        return scope

    def _functions_wanted(self) -> frozenset[tuple[str, str, str]]:
        """The functions that hold a wanted node, themselves or through what they call or what lies in their nodes."""
        scratch = Scope(self, "", None, 0)
        holds: set[tuple[str, str, str]] = set()
        calls: dict[tuple[str, str, str], set[tuple[str, str, str]]] = {}
        for key, function in self.functions.items():
            nodes = [Node(scratch, found) for found in function["node"]]
            if any(self._wanted(node) or node.op in _WITH_SUBGRAPHS for node in nodes):
                holds.add(key)
            calls[key] = {(node.domain, node.op, node.overload) for node in nodes}
        while True:
            more = {key for key, called in calls.items() if key not in holds and called & holds}
            if not more:
                return frozenset(holds)
            holds |= more


_LITERALS = {
    "value_float": ("float32", "f"), "value_floats": ("float32", "f"), "value_int": ("int64", "q"),
    "value_ints": ("int64", "q"),
}  # fmt: skip


def _key(entry: Mapping[str, Any], name: str) -> tuple[str, str, str]:
    domain = entry.get("domain", "")
    return "" if domain == "ai.onnx" else domain, name, entry.get("overload", "")


def _opsets(imports: list[Mapping[str, Any]]) -> dict[str, int]:
    found = {entry.get("domain", ""): entry.get("version", 1) for entry in imports}
    if "ai.onnx" in found:
        found.setdefault("", found["ai.onnx"])
    return found
