"""TensorFlow graphs: the nodes of a GraphDef and of the functions in it, and from what each is fed.

A training graph has tens of thousands of nodes, of which a handful are looked at.  So a node is taken apart only as far
as its name, operation and inputs, those of gradients and savers not even that far, and attributes wait until asked for.
Source: tensorflow/core/framework/{graph,node_def,attr_value,function,op_def}.proto, core/protobuf/meta_graph.proto.
Not known here: what operations compute.
"""

from __future__ import annotations

import struct
from typing import Any

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ._protobuf import BOOL, BYTES_, FLOAT, INT, LAZY, TEXT, Message, fields
from ._tf_types import TENSOR

VALUE = Message({
    2: ("text", TEXT), 3: ("int", INT), 4: ("float", FLOAT), 5: ("bool", BOOL), 6: ("type", INT), 8: ("tensor", LAZY),
    10: ("function", Message({1: ("name", TEXT)})),
})  # fmt: skip
_ATTRIBUTES = Message({5: ("attr", [Message({1: ("key", TEXT), 2: ("value", VALUE)})])})
_SIGNATURE = Message({1: ("name", TEXT), 2: ("args", [Message({1: ("name", TEXT)})])})
_NODE, _LIBRARY = 1, 2  # fields of GraphDef
_NAME, _OP, _INPUT, _DEVICE, _ATTR = 0x0A, 0x12, 0x1A, 0x22, 0x2A  # fields of NodeDef, with their wire type
_UNINTERESTING = ("gradients/", "save/", "Initializer/", "/Adam", "summaries/")
_PASSED_ON = frozenset((
    "Identity", "Enter", "RefEnter", "ReadVariableOp", "StopGradient", "Cast", "Snapshot", "PreventGradient",
    "ResourceGather", "Reshape",
))  # fmt: skip
_CALLS = ("body", "f", "then_branch", "else_branch", "cond")
_DEEPEST = 40  # steps that are followed back
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


class Node:
    """``home`` is the body that it is in.  ``op`` is ``Arg`` for an argument of a function, whose place is ``index``."""

    __slots__ = ("_cursor", "home", "index", "inputs", "name", "op")

    def __init__(self, name: str, op: str, inputs: list[str], home: Body, cursor: Cursor | None, index: int = 0):
        self.name, self.op, self.inputs, self.home, self._cursor, self.index = name, op, inputs, home, cursor, index

    def attributes(self, limits: Limits) -> dict[str, Any]:
        """Its attributes by name."""
        if self._cursor is None:
            return {}
        again = Cursor(self._cursor.data, path=self._cursor.path, where=f"node {self.name!r}", base=self._cursor.base)
        found = _ATTRIBUTES.read(again, limits)["attr"]
        return {entry.get("key", ""): entry.get("value", {}) for entry in found}


class Body:
    """The nodes of a graph, or of one function, by name."""

    def __init__(self, name: str = ""):
        self.name = name
        self.nodes: dict[str, Node] = {}


class Graph:
    """A GraphDef.  Raises BrokenFile, LimitExceeded."""

    def __init__(self, cursor: Cursor, limits: Limits):
        self.limits = limits
        self.main = Body()
        self.functions: dict[str, Body] = {}
        self._constants: dict[int, float | None] = {}
        library: Cursor | None = None
        for number, wire, value in fields(cursor):
            if number == _NODE and wire == BYTES_:
                _add(self.main, _sub(cursor, value))
            elif number == _LIBRARY and wire == BYTES_:
                library = _sub(cursor, value)
        limits.check("objects", len(self.main.nodes), path=cursor.path, where="graph")
        if library is not None:
            self._read_functions(library)
        self._callers = self._find_callers()

    def _read_functions(self, library: Cursor) -> None:
        for number, wire, value in fields(library):
            if number == 1 and wire == BYTES_:
                body = _function(_sub(library, value), self.limits)
                self.functions[body.name] = body

    @property
    def bodies(self) -> list[Body]:
        return [self.main, *self.functions.values()]

    def _find_callers(self) -> dict[str, Node]:
        """The first node that calls each function."""
        found: dict[str, Node] = {}
        if not self.functions:
            return found
        for body in self.bodies:
            for node in body.nodes.values():
                if node.op in (
                    "While",
                    "StatelessWhile",
                    "PartitionedCall",
                    "StatefulPartitionedCall",
                    "If",
                    "StatelessIf",
                ):
                    attributes = node.attributes(self.limits)
                    for key in _CALLS:
                        name = attributes.get(key, {}).get("function", {}).get("name")
                        if name:
                            found.setdefault(name, node)
        return found

    # Going back.

    def source(self, node: Node, index: int) -> tuple[Node, int] | None:
        """(the node that feeds an input, which of its outputs); None past the edge of the graph."""
        data = [text for text in node.inputs if not text.startswith("^")]
        if not -len(data) <= index < len(data):
            return None
        name, _, output = data[index].partition(":")
        found = node.home.nodes.get(name)
        number = output.rpartition(":")[2]
        return (found, int(number) if number.isdigit() else 0) if found is not None else None

    def origin(self, node: Node, index: int) -> tuple[Node, int] | None:
        """The same, past everything that hands its input on, and out of functions into their callers."""
        found = self.source(node, index)
        for _ in range(_DEEPEST):
            if found is None:
                return None
            node = found[0]
            if node.op in _PASSED_ON:
                found = self.source(node, 0)
            elif node.op == "Arg" and node.home.name in self._callers:
                caller = self._callers[node.home.name]
                found = self.source(caller, node.index + (caller.op in ("If", "StatelessIf")))
            else:
                return found
        return None

    def constant(self, node: Node, index: int) -> float | None:
        """The one number that an input is, where it is a constant."""
        found = self.origin(node, index)
        if found is None or found[0].op != "Const":
            return None
        key = id(found[0])
        if key not in self._constants:
            self._constants[key] = _scalar(found[0], self.limits)
        return self._constants[key]


def _sub(cursor: Cursor, view: memoryview) -> Cursor:
    return Cursor(view, path=cursor.path, where="graph", base=cursor.base + cursor.at - len(view))


def _add(body: Body, cursor: Cursor) -> None:
    node = _node(cursor, body)
    if node is not None:
        body.nodes[node.name] = node


def _node(cursor: Cursor, home: Body) -> Node | None:
    """A NodeDef's name, operation and inputs, which every writer puts first.  None for what nobody asks about."""
    view, at, end = cursor.data, 0, len(cursor.data)
    name = op = ""
    inputs: list[str] = []
    while at < end:
        tag = view[at]
        if tag not in (_NAME, _OP, _INPUT, _DEVICE):
            break
        size, at = _size(view, at + 1, end)
        if at < 0 or at + size > end:
            cursor.at = min(max(at, 0), end)
            raise cursor.fail("a node reaches past its end.", next=_FETCH_AGAIN)
        if tag == _NAME:
            name = str(view[at : at + size], "utf-8", "replace")
            if any(word in name for word in _UNINTERESTING):
                return None
        elif tag == _OP:
            op = str(view[at : at + size], "utf-8", "replace")
        elif tag == _INPUT:
            inputs.append(str(view[at : at + size], "utf-8", "replace"))
        at += size
    return Node(name, op, inputs, home, cursor)


def _size(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """(a length, where it ends); a negative place where it does not end."""
    value = shift = 0
    while at < end and shift < 35:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, -1


def _function(cursor: Cursor, limits: Limits) -> Body:
    """A FunctionDef: its arguments are nodes of the operation ``Arg``."""
    body = Body()
    for number, wire, value in fields(cursor):
        if number == 1 and wire == BYTES_:
            signature = _SIGNATURE.read(_sub(cursor, value), limits)
            body.name = signature.get("name", "")
            for index, arg in enumerate(signature["args"]):
                name = arg.get("name", "")
                body.nodes[name] = Node(name, "Arg", [], body, None, index)
        elif number == 3 and wire == BYTES_:
            _add(body, _sub(cursor, value))
    return body


def _scalar(node: Node, limits: Limits) -> float | None:
    """The number of a Const of one floating-point element."""
    tensor = node.attributes(limits).get("value", {}).get("tensor")
    if tensor is None:
        return None
    try:
        message = TENSOR.read(tensor, limits)
    except BrokenFile:
        return None
    if any(dim.get("size", 0) != 1 for dim in message.get("shape", {"dim": []})["dim"]):
        return None
    dtype = message.get("dtype")
    if dtype not in (1, 2, 19):
        return None
    code = {1: "<f", 2: "<d", 19: "<e"}[dtype]
    raw = message.get("content")
    if raw is None and dtype == 19:
        raw = struct.pack("<H", message["half"][0] & 0xFFFF) if message["half"] else b""
    elif raw is None:
        raw = b"".join(message["float" if dtype == 1 else "double"])
    if not raw:
        return 0.0
    return shortest(struct.unpack(code, raw)[0]) if len(raw) == struct.calcsize(code) else None


def shortest(value: float) -> float:
    """The number with the fewest digits that is the same float32: 0.3, which a file holds as 0.30000001192092896."""
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == struct.pack("<f", value):
            return short
    return value


def variable_of(graph: Graph, node: Node, index: int) -> str | None:
    """The name of the variable (in a frozen graph, the constant) that an input is, whole or in parts."""
    found = graph.origin(node, index)
    if found is not None and found[0].op in ("Concat", "ConcatV2"):
        found = graph.origin(found[0], found[0].op == "Concat")
    if found is None or found[0].op not in ("Const", "Variable", "VariableV2", "VarHandleOp", "Placeholder"):
        return None
    return variable_name(found[0].name)


def variable_name(name: str) -> str:
    """``rnn/kernel/part_0/read`` → ``rnn/kernel``."""
    name = name.removesuffix("/read")
    stem, _, last = name.rpartition("/")
    return stem if last.startswith("part_") and last[5:].isdigit() else name
