"""Weights that an ONNX graph computes from constants: a closed evaluator over operators that only move numbers.

Exporters store torch's (gate unit) blocks and turn them into ONNX's order with Slice, Concat and Unsqueeze.  The shape
is found from headers, without reading an element; the elements are computed when somebody asks.  Equal expressions over
the same tensors are one value, so that a layer which stands in two branches has one set of weights.  No value may be
much larger than the file, and no chain longer than an honest exporter's.  Not known here: what each operator does
(``_onnx_rules``), control flow, randomness.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Sequence

from ..errors import LimitExceeded
from ..tensors import ITEM_BYTES, StoredTensor
from ._onnx_graph import Model, Node, Scope
from ._onnx_rules import RULES, Call, Made
from ._onnx_tensors import whole_numbers

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

_DEEPEST = 100  # operators on the way from a stored tensor to a weight
_MOST_NUMBERS = 1_000  # axes, shapes and indices
_GROWTH, _SPARE = 4, 1 << 20  # a value has at most so many times the model's bytes, and so many beside


class Value:
    """A constant: a stored tensor (``leaf``), or what an operator makes of other values."""

    __slots__ = ("_kept", "_numbers", "dtype", "inputs", "leaf", "made", "op", "shape")

    def __init__(self, op: str, made: Made, inputs: Sequence[Value] = (), leaf: StoredTensor | None = None):
        self.op, self.made, self.inputs, self.leaf = op, made, tuple(inputs), leaf
        self.dtype, self.shape = made.dtype, made.shape
        self._kept: Any = None
        self._numbers: list[int] | None = None

    def array(self) -> Array:
        """The elements.  They are kept as long as anybody holds a view of them."""
        if self.leaf is not None:
            return self.leaf.array()
        found: Array | None = self._kept() if self._kept is not None else None
        if found is None:
            found = self.made.compute(*(value.array() for value in self.inputs))
            found.flags.writeable = False
            self._kept = weakref.ref(found)
        return found

    def numbers(self) -> list[int] | None:
        """The elements of a small tensor of whole numbers; None where it is not one."""
        if self._numbers is None and self.dtype in ("int64", "int32") and math.prod(self.shape) <= _MOST_NUMBERS:
            if self.leaf is not None:
                self._numbers = whole_numbers(self.leaf, _MOST_NUMBERS)
            else:
                self._numbers = [int(number) for number in self.array().reshape(-1)]
        return self._numbers

    def leaves(self) -> list[StoredTensor]:
        """The stored tensors of floating-point numbers that it is made from."""
        found = {id(value.leaf): value.leaf for value in self._below() if value.leaf is not None}
        return [leaf for leaf in found.values() if leaf.dtype not in ("int64", "int32")]

    def operators(self) -> list[str]:
        """The operators that make it, the first applied first."""
        return list(dict.fromkeys(value.op for value in reversed(list(self._below())) if value.op))

    def _below(self) -> Iterator[Value]:
        """Itself and everything that it is made from, each once."""
        seen: set[int] = set()
        waiting = [self]
        while waiting:
            value = waiting.pop()
            if id(value) not in seen:
                seen.add(id(value))
                yield value
                waiting += value.inputs[::-1]


class Folder:
    """Finds the constants of one model."""

    def __init__(self, model: Model):
        self._model = model
        self._seen: dict[tuple[int, int], Value | None] = {}
        self._interned: dict[tuple[Any, ...], Value] = {}
        self._bodies: dict[int, Scope] = {}
        self._sources: dict[int, str] = {}
        self._most = _GROWTH * model.reader.bytes + _SPARE

    def value(self, scope: Scope, name: str, depth: int = 0) -> Value | None:
        """The constant called ``name``; None for what only a run knows, and for what no rule makes."""
        found = scope.find(name)
        if found is None or depth > _DEEPEST:
            return None
        if isinstance(found, StoredTensor):
            return self._leaf(found)
        node, output = found
        key = (id(node), output)
        if key not in self._seen:
            self._seen[key] = None  # what a cycle finds
            self._seen[key] = self._apply(node, output, depth + 1)
        return self._seen[key]

    def quantised_source(self, scope: Scope, name: str) -> str:
        """The stored tensor that a DequantizeLinear, met on the way up from ``name``, unpacks; "" where there is none."""
        way: dict[int, None] = {}
        source = ""
        while (found := scope.find(name)) is not None and not isinstance(found, StoredTensor):
            node = found[0]
            if id(node) in way or id(node) in self._sources:
                source = self._sources.get(id(node), "")
                break
            way[id(node)] = None
            scope, name = node.scope, node.input(0)
            if node.op == "DequantizeLinear":
                below = self.value(scope, name)
                leaves = below.leaves() if below else []
                source = leaves[0].name if leaves else ""
                break
        self._sources.update(dict.fromkeys(way, source))  # many layers may stand at the end of one chain
        return source

    def _leaf(self, tensor: StoredTensor) -> Value:
        key = (id(tensor),)
        if key not in self._interned:
            self._interned[key] = Value("", Made(tensor.dtype, tensor.shape), leaf=tensor)
        return self._interned[key]

    def _apply(self, node: Node, output: int, depth: int) -> Value | None:
        function = self._model.functions.get((node.domain, node.op, node.overload))
        if function is not None:
            return self._of_function(node, function, output, depth)
        rule = RULES.get(node.op) if node.domain == "" else None
        if rule is None:
            return None
        inputs = [self.value(node.scope, name, depth) if name else None for name in node.inputs]
        if any(value is None and name for value, name in zip(inputs, node.inputs, strict=True)):
            return None
        made = rule(Call(node, inputs, output, self._model))
        if made is None:
            return None
        self._bounded(made, node)
        kept = [value for value in inputs[: made.takes] if value is not None]
        if made.same is not None:
            return made.same
        key = (node.op, made.dtype, made.shape, made.parameters, *map(id, kept))
        if key not in self._interned:
            self._interned[key] = Value(node.op, made, kept)
        return self._interned[key]

    def _of_function(self, node: Node, function: Any, output: int, depth: int) -> Value | None:
        if id(node) not in self._bodies:
            self._bodies[id(node)] = self._model.call(node, function)
        names = function["output"]
        return self.value(self._bodies[id(node)], names[output], depth) if output < len(names) else None

    def _bounded(self, made: Made, node: Node) -> None:
        asked = math.prod(made.shape) * ITEM_BYTES[made.dtype]
        if asked > self._most:
            raise LimitExceeded(
                f"{node.op} makes a weight of {asked:,} bytes, and the whole model has {self._model.reader.bytes:,}.",
                path=self._model.source.name, where=f"node {node.label}",
                next="A file of this kind is broken or hostile.",
            )  # fmt: skip
