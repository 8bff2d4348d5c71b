"""TensorFlow graphs: the nodes of a GraphDef and of the functions in it, and from what each is fed.

A training graph has tens of thousands of nodes, of which a handful are looked at.  So of each only the name and the
operation are read, of those of gradients and savers only the name; inputs and attributes wait until asked for.
Source: tensorflow/core/framework/{graph,node_def,attr_value,function,op_def}.proto, core/protobuf/meta_graph.proto.
Not known here: what operations compute.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Container, Iterator

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ._protobuf import BOOL, BYTES_, FIXED32, FIXED64, FLOAT, INT, RAW, TEXT, VARINT, Message, varint
from ._tf_types import TENSOR

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

VALUE = Message({
    2: ("text", TEXT), 3: ("int", INT), 4: ("float", FLOAT), 5: ("bool", BOOL), 6: ("type", INT), 8: ("tensor", RAW),
    10: ("function", Message({1: ("name", TEXT)})),
})  # fmt: skip
_NODE_DEF = Message({3: ("inputs", [TEXT]), 5: ("attr", [Message({1: ("key", TEXT), 2: ("value", VALUE)})])})
_SIGNATURE = Message({1: ("name", TEXT), 2: ("args", [Message({1: ("name", TEXT)})])})
_NODE, _LIBRARY = 0x0A, 0x12  # fields of GraphDef, with their wire type
_FUNCTION_NODE, _FUNCTION_SIGNATURE = 0x1A, 0x0A  # fields of FunctionDef
_NAME, _OP = 0x0A, 0x12  # the first fields of NodeDef, which every writer puts first
_UNINTERESTING = (b"gradients/", b"save/", b"Initializer/", b"/Adam", b"summaries/")
_PASSED_ON = frozenset((
    "Identity", "Enter", "RefEnter", "ReadVariableOp", "StopGradient", "Cast", "Snapshot", "PreventGradient", "Reshape",
))  # fmt: skip
_CALLERS = frozenset((
    "While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf",
))  # fmt: skip
# How Keras's recurrent layers read their variables: all three first, or in the cell where each is used.
_READ_BY_KERAS = re.compile(
    r"(?:(?P<layer>.+)/(?P<read>Read|Read_1|Read_2)"
    r"|(?P<cell>(?:.+/)?(?:lstm|gru|simple_rnn)_cell(?:_\d+)?)/(?P<used>Cast|Cast_1|MatMul|MatMul_1|BiasAdd|split))"
    r"/ReadVariableOp(?:/resource)?"
)
_LEAVES = {
    "Read": "kernel", "Read_1": "recurrent_kernel", "Read_2": "bias", "Cast": "kernel", "Cast_1": "recurrent_kernel",
    "MatMul": "kernel", "MatMul_1": "recurrent_kernel", "BiasAdd": "bias", "split": "bias",
}  # fmt: skip
_CALLS = ("body", "f", "then_branch", "else_branch", "cond")
_DEEPEST = 40  # steps that are followed back
_COPIED = 64 << 20  # bytes of a graph up to which it is copied, since bytes are looked at faster than a mapped file
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


class Node:
    """``home`` is the body that it is in.  ``op`` is ``Arg`` for an argument of a function, whose place is ``index``."""

    __slots__ = ("_found", "_raw", "home", "index", "name", "op")

    def __init__(self, name: str, op: str, home: Body, raw: Cursor | None, index: int = 0):
        self.name, self.op, self.home, self.index, self._raw = name, op, home, index, raw
        self._found: dict[str, Any] | None = None

    def _read(self, limits: Limits) -> dict[str, Any]:
        if self._found is None:
            self._found = _NODE_DEF.read(self._raw, limits) if self._raw else {"inputs": [], "attr": []}
        return self._found

    def inputs(self, limits: Limits) -> list[str]:
        """What it is fed, without the nodes that only come before it."""
        return [text for text in self._read(limits)["inputs"] if not text.startswith("^")]

    def attributes(self, limits: Limits) -> dict[str, Any]:
        """Its attributes by name."""
        return {entry.get("key", ""): entry.get("value", {}) for entry in self._read(limits)["attr"]}

    def tensor(self, limits: Limits) -> dict[str, Any] | None:
        """The TensorProto that a Const holds."""
        raw = self.attributes(limits).get("value", {}).get("tensor")
        return None if raw is None else TENSOR.read(Cursor(raw, where=f"node {self.name!r}"), limits)


class Body:
    """The nodes of a graph, or of one function.  Only their names, operations and places are known at first."""

    def __init__(self, data: bytes | memoryview, at: Cursor, limits: Limits):
        self.name = ""
        self._data, self._at, self._limits = data, at, limits
        self.places: dict[bytes, tuple[bytes, int, int]] = {}  # name → operation, where the NodeDef begins and ends
        self._nodes: dict[str, Node] = {}

    def __len__(self) -> int:
        return len(self.places)

    def of(self, operations: Container[bytes]) -> Iterator[Node]:
        """The nodes of some operations."""
        for name, (op, _, _) in self.places.items():
            if op in operations and (node := self.node(name.decode("utf-8", "replace"))):
                yield node

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        if name not in self._nodes:
            place = self.places.get(name.encode())
            if place is None:
                return None
            op, start, end = place
            raw = Cursor(self._data[start:end], path=self._at.path, where=f"node {name!r}", base=self._at.base + start)
            self._nodes[name] = Node(name, op.decode("utf-8", "replace"), self, raw)
        return self._nodes[name]

    def fed_by(self, name: str, operation: bytes) -> Iterator[Node]:
        """The nodes of an operation that take an output of the node of that name."""
        wanted = name.encode()
        for other, (op, start, end) in self.places.items():
            if op == operation and wanted in bytes(self._data[start:end]):
                node = self.node(other.decode("utf-8", "replace"))
                if node and name in (text.partition(":")[0] for text in node.inputs(self._limits)):
                    yield node

    def add_argument(self, name: str, index: int) -> None:
        self._nodes[name] = Node(name, "Arg", self, None, index)

    def add(self, start: int, end: int) -> None:
        """A NodeDef, unless nobody asks about it."""
        data = self._data
        name, at = _short(data, start, end, _NAME) or _bytes(data, start, end, _NAME, self._at)
        for word in _UNINTERESTING:
            if word in name:
                return
        op, _ = _short(data, at, end, _OP) or _bytes(data, at, end, _OP, self._at)
        self.places[name] = op, start, end


class Graph:
    """A GraphDef.  Raises BrokenFile, LimitExceeded."""

    def __init__(self, cursor: Cursor, limits: Limits):
        self.limits = limits
        data: bytes | memoryview = cursor.data
        data = bytes(data) if len(data) <= _COPIED else data
        self.main = Body(data, cursor, self.limits)
        self.functions: dict[str, Body] = {}
        self._constants: dict[int, float | None] = {}
        library: list[tuple[int, int]] = []
        for tag, start, end in _parts(data, 0, len(data), cursor):
            if tag == _NODE:
                self.main.add(start, end)
            elif tag == _LIBRARY:
                library.append((start, end))
        limits.check("objects", len(self.main), path=cursor.path, where="graph")
        for first, last in library:
            for tag, start, end in _parts(data, first, last, cursor):
                if tag == _NODE:  # a list of functions has the same number
                    body = self._function(data, start, end, cursor)
                    self.functions[body.name] = body
        self._callers = self._find_callers() if self.functions else {}

    def _function(self, data: bytes | memoryview, first: int, last: int, cursor: Cursor) -> Body:
        """A FunctionDef: its arguments are nodes of the operation ``Arg``."""
        body = Body(data, cursor, self.limits)
        for tag, start, end in _parts(data, first, last, cursor):
            if tag == _FUNCTION_SIGNATURE:
                raw = Cursor(data[start:end], path=cursor.path, where="function", base=cursor.base + start)
                signature = _SIGNATURE.read(raw, self.limits)
                body.name = signature.get("name", "")
                for index, arg in enumerate(signature["args"]):
                    body.add_argument(arg.get("name", ""), index)
            elif tag == _FUNCTION_NODE:
                body.add(start, end)
        return body

    @property
    def bodies(self) -> list[Body]:
        return [self.main, *self.functions.values()]

    def _find_callers(self) -> dict[str, Node]:
        """The first node that calls each function."""
        found: dict[str, Node] = {}
        wanted = frozenset(op.encode() for op in _CALLERS)
        for body in self.bodies:
            for node in body.of(wanted):
                attributes = node.attributes(self.limits)
                for key in _CALLS:
                    name = attributes.get(key, {}).get("function", {}).get("name")
                    if name:
                        found.setdefault(name, node)
        return found

    # Going back.

    def source(self, node: Node, index: int) -> tuple[Node, int] | None:
        """(the node that feeds an input, which of its outputs); None past the edge of the graph."""
        inputs = node.inputs(self.limits)
        if not 0 <= index < len(inputs):
            return None
        name, _, output = inputs[index].partition(":")
        found = node.home.node(name)
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


def _parts(data: bytes | memoryview, at: int, end: int, cursor: Cursor) -> Iterator[tuple[int, int, int]]:
    """(tag, where it begins, where it ends) of every field of bytes.  Others are stepped over."""
    while at < end:
        tag, start = data[at], at + 3
        if start <= end and tag & 0x87 == BYTES_:  # nearly all: a tag of one byte, a length of one or two
            size, more = data[at + 1], data[at + 2]
            if size < 0x80:
                start -= 1
            elif more < 0x80:
                size = size & 0x7F | more << 7
            if size < 0x4000 and (size < 0x80 or more < 0x80) and start + size <= end:
                at = start + size
                yield tag, start, at
                continue
        tag, start, at = _field(data, at, end, cursor)
        yield tag, start, at


def _short(data: bytes | memoryview, at: int, end: int, wanted: int) -> tuple[bytes, int] | None:
    """(the bytes of the next field, where it ends), where it is the wanted one and shorter than 128 bytes."""
    if at + 2 > end or data[at] != wanted or data[at + 1] > 0x7F:
        return None
    stop = at + 2 + data[at + 1]
    return (bytes(data[at + 2 : stop]), stop) if stop <= end else None


def _field(data: bytes | memoryview, at: int, end: int, cursor: Cursor) -> tuple[int, int, int]:
    """One field: its tag, where its bytes begin and end; for a number both are its end."""
    tag = data[at]
    if tag > 0x7F or tag & 7 != BYTES_:
        rest = Cursor(data[at:end], path=cursor.path, where=cursor.where, base=cursor.base + at)
        varint(rest)
        wire = tag & 7
        if wire == BYTES_:
            size = varint(rest)
            rest.take(size, "bytes of a field")
            return tag, at + rest.at - size, at + rest.at
        if wire == VARINT:
            varint(rest)
        elif wire in (FIXED32, FIXED64):
            rest.take(4 if wire == FIXED32 else 8, "bytes of a number")
        else:
            raise rest.fail(f"a field has the wire type {wire}.", next=_FETCH_AGAIN)
        return tag, at + rest.at, at + rest.at
    size, shift, at = 0, 0, at + 1
    while at < end and shift < 35:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            if at + size > end:
                break
            return tag, at, at + size
        shift += 7
    raise BrokenFile(
        "a field reaches past the end of its message.", path=cursor.path, where=f"{cursor.where}, byte {cursor.base + at:,}",
        next=_FETCH_AGAIN,
    )  # fmt: skip


def _bytes(data: bytes | memoryview, at: int, end: int, wanted: int, cursor: Cursor) -> tuple[bytes, int]:
    """(the bytes of the next field, where it ends); nothing where another field, or none, comes next."""
    if at >= end or data[at] != wanted:
        return b"", at
    _, start, stop = _field(data, at, end, cursor)
    return bytes(data[start:stop]), stop


def _scalar(node: Node, limits: Limits) -> float | None:
    """The number of a Const of one floating-point element."""
    message = node.tensor(limits)
    if message is None:
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
    """``rnn/kernel/part_0/read`` → ``rnn/kernel``; and in a graph that TF2 froze, where constants are called after the
    operations that read them, ``lstm/Read_1/ReadVariableOp/resource`` → ``lstm/recurrent_kernel``."""
    name = name.removesuffix("/read")
    stem, _, last = name.rpartition("/")
    if last.startswith("part_") and last[5:].isdigit():
        return stem
    if last in ("resource", "ReadVariableOp"):
        found = _READ_BY_KERAS.fullmatch(name)
        if found:
            return f"{found['layer'] or found['cell']}/{_LEAVES[found['read'] or found['used']]}"
    return name
