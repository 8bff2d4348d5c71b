"""CNTK's model files since version 2: one protocol buffer, a dictionary of variables and of the functions that use them.

Source: Source/CNTKv2LibraryDll/proto/CNTK.proto (Dictionary, DictionaryValue, NDArrayView), Serialization.cpp,
CompositeFunction.cpp and PrimitiveFunction.cpp (the dictionaries' keys), PrimitiveOpType.h (the operators' numbers);
bindings/python/cntk/layers/blocks.py (Stabilizer).  Shapes are column-major, so that an array's axes are turned round.
A layer is a *block*: a function with a name of its own (``LSTM``), its parameters by their names, and the functions
inside it, which are told as they are counted.  A product of a parameter with what a Stabilizer scales is given as the
parameter scaled: the same number.  Not known here: CNTK 1's own formats, sparse values, values kept outside the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile, LimitExceeded
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import end_of
from ._protobuf import BOOL, DOUBLE, FLOAT, INT, RAW, TEXT, UINT, Message, fields

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

_KEYS = (b"version", b"type", b"root", b"inputs", b"primitive_functions", b"uid", b"name", b"functions_states")
_VALUE = Message({})
_SHAPE = Message({1: ("dims", [UINT])})
_VIEW = Message({1: ("type", UINT), 2: ("storage", UINT), 3: ("shape", _SHAPE), 4: ("floats", RAW), 5: ("doubles", RAW),
                 6: ("bytes", RAW)})  # fmt: skip
_DICTIONARY = Message({1: ("version", UINT), 2: ("data", [Message({1: ("key", TEXT), 2: ("value", _VALUE)})])})
_VALUE.fill({
    3: ("bool", BOOL), 4: ("int", INT), 5: ("size", UINT), 6: ("float", FLOAT), 7: ("double", DOUBLE), 8: ("text", TEXT),
    9: ("shape", _SHAPE), 11: ("vector", Message({1: ("value", [_VALUE])})), 12: ("dictionary", _DICTIONARY), 13: ("view", _VIEW),
})  # fmt: skip
_TYPES = {1: ("float32", "floats"), 2: ("float64", "doubles"), 4: ("float16", "bytes")}
_PARAMETER, _CONSTANT = 2, 3
_ELEMENT_TIMES, _TIMES, _PAST_VALUE, _FUTURE_VALUE, _COMBINE, _RNN_STACK, _BLOCK = 21, 31, 37, 38, 44, 49, 57
_FUNCTIONS = {1: "Sigmoid", 75: "Sigmoid", 2: "Tanh", 3: "ReLU", 65: "ELU", 4: "Exp"}
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A dictionary's version, then an entry whose key is one of CNTK's."""
    head = bytes(source.data[:40])
    if head[:1] != b"\x08" or head[2:3] != b"\x12":
        return False
    at = 3
    while at < len(head) and head[at] & 0x80:
        at += 1
    return any(head[at + 1 :].startswith(b"\x0a" + bytes([len(key)]) + key) for key in _KEYS)


def read(source: Source) -> Tensors:
    """The variables that have values, as views of the mapped file; blocks with parameters are declared."""
    cursor = source.cursor(where="CNTK dictionary")
    root = _plain({"dictionary": _DICTIONARY.read(cursor, source.limits)})
    graph = _Graph(root, source)
    declared = graph.declared()
    return Tensors(
        graph.in_order(declared),
        path=source.name,
        container="cntk",
        bytes=source.size,
        declared=declared,
        written_by=[WrittenBy("cntk", ">=2.0", "dictionary of variables and primitive functions")],
        notes=graph.notes,
    )


def _plain(value: Mapping[str, Any]) -> Any:
    """A value without its wrapping.  An array stays the message that it is."""
    for kind, found in value.items():
        if kind == "dictionary":
            return {entry.get("key", ""): _plain(entry.get("value", {})) for entry in found["data"]}
        if kind == "vector":
            return [_plain(each) for each in found["value"]]
        return tuple(found["dims"]) if kind == "shape" else found
    return None


class _Graph:
    """Variables and functions by their uids, wherever in the dictionary they stand."""

    def __init__(self, root: Any, source: Source):
        self.source = source
        self.functions: dict[str, dict[str, Any]] = {}
        self.tensors: dict[str, StoredTensor] = {}
        self.notes: list[str] = []
        self._names: dict[str, tuple[str, str]] = {}  # uid → (the variable's own name, the tensor's)
        self._walk(root)
        self._root = root.get("root") if isinstance(root, dict) else None
        self._users = Counter(name for function in self.functions.values() for name in _texts(function.get("inputs")))
        self._folded: Counter[str] = Counter()  # outputs of stabilizers: how many products were folded
        self._met = 0  # functions inside blocks; in a file of CNTK's a function is in one block
        self._handed: dict[str, str] = {}

    def _walk(self, value: Any) -> None:
        waiting = [value]
        while waiting:
            found = waiting.pop()
            if isinstance(found, list):
                waiting += reversed(found)
            if not isinstance(found, dict):
                continue
            uid = found.get("uid")
            if (
                isinstance(uid, str)
                and found.get("kind") in (_PARAMETER, _CONSTANT)
                and isinstance(found.get("value"), dict)
            ):
                self._variable(uid, found)
            elif isinstance(uid, str) and isinstance(found.get("op"), int):
                self.functions[uid] = found
            waiting += [
                each for key, each in reversed(found.items()) if key != "value" and isinstance(each, list | dict)
            ]

    def _variable(self, uid: str, found: Mapping[str, Any]) -> None:
        own = found.get("name") if isinstance(found.get("name"), str) else ""
        name = f"{uid}.{own}" if own else uid
        tensor = self._tensor(name, found["value"])
        if tensor is not None and uid not in self._names:
            self._names[uid] = (own or uid, name)
            self.tensors[name] = tensor

    def _tensor(self, name: str, view: Mapping[str, Any]) -> StoredTensor | None:
        dtype, kept = _TYPES.get(view.get("type", 0), ("", ""))
        shape = tuple(reversed(view["shape"]["dims"])) if "shape" in view else ()
        self.source.limits.check("rank", len(shape), path=self.source.name, where=name)
        if not dtype or view.get("storage") or kept not in view:
            self.notes.append(f"{name} has no dense values of a known type in the file; it is left out.")
            return None
        data = _values(view[kept], self.source)
        if len(data) != math.prod(shape) * ITEM_BYTES[dtype]:
            raise BrokenFile(
                f"{name} {list(shape)} of {dtype} has {len(data):,} bytes.", path=self.source.name, next=_FETCH_AGAIN
            )
        return StoredTensor(name, dtype, shape, Strided(data, storage=name), f"variable {name}")

    # What the functions are.

    def declared(self) -> list[Declared]:
        """Blocks and stacks with parameters, what comes first in the model first."""
        order = dict.fromkeys((*self._from_the_input(), *self.functions))
        made = [self._stack(uid, each) if each["op"] == _RNN_STACK else self._block(uid, each)
                for uid in order if (each := self.functions[uid])["op"] in (_RNN_STACK, _BLOCK)]  # fmt: skip
        return [each for each in made if each.inputs]

    def in_order(self, declared: list[Declared]) -> list[StoredTensor]:
        """The tensors in the order of the blocks that use them, then the others."""
        used = [name for each in declared for name in each.inputs.values()]
        return [self.tensors[name] for name in dict.fromkeys((*used, *self.tensors))]

    def _from_the_input(self) -> list[str]:
        """The functions by their uids, each behind those whose results it takes; a loop is cut where it closes."""
        waiting: list[tuple[str, bool]] = [(str(self._root), False)]
        seen: set[str] = set()
        order: list[str] = []
        while waiting:
            uid, done = waiting.pop()
            if done:
                order.append(uid)
            elif uid in self.functions and uid not in seen:
                seen.add(uid)
                waiting.append((uid, True))
                before = (name.partition("_Output_")[0] for name in _texts(self.functions[uid].get("inputs")))
                waiting += [(name, False) for name in reversed(list(before))]
        return order

    def _stack(self, uid: str, function: Mapping[str, Any]) -> Declared:
        attributes = function.get("attributes")
        settings = dict(attributes) if isinstance(attributes, dict) else {}
        weights = [self._names[name][1] for name in _texts(function.get("inputs")) if name in self._names]
        kind = f"cntk.OptimizedRNNStack.{settings.get('recurrentOp')}"
        return Declared(
            uid, kind, _simple(settings), _own_name(function), inputs=dict(zip(("W",), weights, strict=False))
        )

    def _block(self, uid: str, function: Mapping[str, Any]) -> Declared:
        """A block by its own name, with its parameters by theirs; those of blocks inside it are only those blocks'."""
        inside = list(self._inside(function))
        deeper = {name for each in inside if each["op"] == _BLOCK for name in _texts(each.get("inputs"))}
        held = [name for name in _texts(function.get("inputs")) if name in self._names and name not in deeper]
        words = {self._names[name][0]: self._names[name][1] for name in held}
        words |= {self._names[name][0]: made for name, made in self._scaled(set(held), inside)}
        left = any(self._folded[out] < self._users[out] for each in inside for out in self._stabilized(each))
        kind = f"cntk.{function.get('block_function_op_name')}{'.stabilized' if left else ''}"
        given = _texts(function.get("block_function_composite_arguments_map_values"))
        settings = {
            "functions": _counted(inside),
            "backwards": any(self._owner(name).get("op") == _FUTURE_VALUE for name in given),
        }
        after = tuple(dict.fromkeys(self._before(name) for name in given))
        self._note_start(_own_name(function) or uid, given)
        return Declared(uid, kind, settings, _own_name(function), after=tuple(filter(None, after)), inputs=words)

    def _note_start(self, name: str, given: list[str]) -> None:
        """What a delayed value is before the first step: a constant, nearly always zero."""
        for function in map(self._owner, given):
            inputs = _texts(function.get("inputs"))
            if function.get("op") in (_PAST_VALUE, _FUTURE_VALUE) and len(inputs) == 2 and inputs[1] in self._names:
                value = self.tensors[self._names[inputs[1]][1]]
                if value.size == 1 and float(value.array().reshape(())) != 0.0:
                    start = float(value.array().reshape(()))
                    said = f"{name} starts from {start:.6g}, not from zero: give that as its state."
                    self.notes += [said] if said not in self.notes else []

    def _inside(self, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The functions of a block, from its result back to what it is given; not those of blocks inside it."""
        composite = block.get("block_function_composite")
        waiting = [composite.get("root")] if isinstance(composite, dict) else []
        seen: set[Any] = set()
        while waiting:
            function = self._owner(waiting.pop())
            if function and id(function) not in seen:
                seen.add(id(function))
                self._met += 1
                if self._met > 4 * len(self.functions) + 1_000:
                    raise LimitExceeded(
                        f"has {len(self.functions):,} functions, and its blocks share them again and again.",
                        path=self.source.name, next="A file of this kind is broken or hostile.",
                    )  # fmt: skip
                yield function
                waiting += _texts(function.get("inputs"))

    def _owner(self, name: Any) -> dict[str, Any]:
        """The function of this uid, or of whose outputs this is one."""
        return self.functions.get(str(name).partition("_Output_")[0], {})

    def _before(self, name: str) -> str:
        """The block or stack that gives this value, directly or through functions that only pass it on."""

        def handed_on(name: str) -> str | None:
            function = self._owner(name)
            inputs = _texts(function.get("inputs"))
            return inputs[0] if function.get("op") == _COMBINE and inputs else None

        found = self._owner(end_of(name, handed_on, self._handed))
        return str(found.get("uid")) if found.get("op") in (_BLOCK, _RNN_STACK) else ""

    # Stabilizers: x times softplus(steepness * alpha) / steepness.

    def _stabilized(self, function: Mapping[str, Any]) -> list[str]:
        if function["op"] != _BLOCK or function.get("block_function_op_name") != "Stabilizer":
            return []
        return [f"{function.get('uid')}_Output_0"]

    def _scaled(self, held: set[str], inside: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
        """The parameters that are multiplied with what is scaled, each with the name of what it is after the scaling."""
        for function in inside:
            inputs = _texts(function.get("inputs"))
            if function["op"] not in (_TIMES, _ELEMENT_TIMES) or len(inputs) != 2:
                continue
            for uid, other in (inputs, inputs[::-1]):
                stabilizer = self._owner(other)
                if uid in held and stabilizer and self._stabilized(stabilizer) == [other]:
                    held.discard(uid)  # the first product counts
                    self._folded[other] += 1
                    yield uid, self._made(uid, stabilizer)

    def _made(self, uid: str, stabilizer: Mapping[str, Any]) -> str:
        parameter = self.tensors[self._names[uid][1]]
        scalars = [
            self.tensors[self._names[name][1]] for name in _texts(stabilizer.get("inputs")) if name in self._names
        ]
        alphas = [tensor for tensor in scalars if tensor.name.endswith(".alpha")]
        steepness = [tensor for tensor in scalars if tensor not in alphas]

        def compute() -> Array:
            import numpy as np

            (alpha,) = (float(tensor.array()) for tensor in alphas)
            slope = max(float(tensor.array()) for tensor in steepness)
            scale = np.logaddexp(0.0, slope * alpha) / slope
            result: Array = (np.asarray(parameter.array(), np.float64) * scale).astype(parameter.array().dtype)
            return result

        name = f"{parameter.name}:stabilized"
        sources = (parameter.name, *(tensor.name for tensor in alphas))
        self.tensors[name] = StoredTensor(
            name, parameter.dtype, parameter.shape, compute, parameter.where,
            f"{parameter.name} times its stabilizer, softplus(s alpha) / s", sources,
        )  # fmt: skip
        return name


def _values(message: memoryview, source: Source) -> memoryview:
    """The packed numbers of a FloatValues, DoubleValues or BytesValue."""
    pieces = [value for number, wire, value in fields(Cursor(message, path=source.name, where="CNTK array"))
              if number == 1 and wire == 2]  # fmt: skip
    return pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _simple(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if isinstance(value, str | int | float | bool)}


def _own_name(function: Mapping[str, Any]) -> str | None:
    name = function.get("name")
    return name if isinstance(name, str) and name else None


def _counted(inside: list[dict[str, Any]]) -> str:
    """The nonlinear functions, ``Sigmoid*3 Tanh*2``: those of a known number and blocks by their own name."""
    found = Counter(
        each.get("block_function_op_name") if each["op"] == _BLOCK else _FUNCTIONS[each["op"]]
        for each in inside
        if each["op"] in _FUNCTIONS or (each["op"] == _BLOCK and each.get("block_function_op_name") != "Stabilizer")
    )
    return " ".join(f"{name}*{found[name]}" for name in sorted(found, key=lambda name: (name != "Sigmoid", str(name))))


CONTAINERS = (
    Container(
        "cntk",
        title="CNTK v2 model",
        source="https://github.com/microsoft/CNTK/blob/master/Source/CNTKv2LibraryDll/proto/CNTK.proto",
        claims=claims,
        read=read,
        magic=((0, b"\x08"),),
        rank=40,
    ),
)
