"""Writing an ONNX model that onnxruntime runs: one recurrent node for each layer, wired one after another.

    x, h0 [, c0]  ->  y, h_n [, c_n]

``x`` is [time, batch, feature] (with the option ``batch_first`` [batch, time, feature]), ``y`` has both directions side
by side in its last axis, states are [layers·directions, batch, unit] in the layers' order, forward before reverse.
Layers that do not feed one another, or differ in size, have states of their own; with several such groups the first
layer's name stands before the words (``decoder/x``).  Opset 14 and IR version 7, which onnxruntime has run since 1.8
(2021).  Weights of 16 bits stay so and are cast to float32 by the graph.  Source: docs/Operators.md of ONNX 1.23.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from ..errors import NotRepresentable
from ..record import record
from ..tensors import Declared, StoredTensor, Tensors
from ._onnx_proto import CODES
from ._protobuf import encoded, encoded_head

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_IR, _OPSET = 7, 14
_FLOAT, _INT64 = CODES["float32"], CODES["int64"]
_LARGEST = (1 << 31) - 1  # bytes of one protocol buffer
_STATES = {"onnx.LSTM": ("h", "c")}
_USUAL = {"onnx.LSTM": ["Sigmoid", "Tanh", "Tanh"], "onnx.GRU": ["Sigmoid", "Tanh"], "onnx.RNN": ["Tanh"]}
_PASSED = ("linear_before_reset", "input_forget")


def write(path: Path, tensors: Tensors) -> None:
    """Raises NotRepresentable for what onnxruntime does not run, or one file cannot hold."""
    _refuse(tensors, path)
    graph = _Graph(tensors)
    graph.build()
    with open(path, "wb") as file:
        file.writelines(graph.pieces(path))


def _refuse(tensors: Tensors, path: Path) -> None:
    if not tensors.declared:
        raise NotRepresentable("there is no recurrent layer to write a graph for.", path=path)
    weights = [tensors[name] for layer in tensors.declared for name in layer.inputs.values() if name in tensors]
    wide = next((weight for weight in weights if weight.dtype not in ("float32", "float16", "bfloat16")), None)
    if wide is not None:
        raise NotRepresentable(
            f"{wide.name} is {wide.dtype}, and onnxruntime runs recurrent operators in float32 only.", path=path,
            next="Say --dtype float32.",
        )  # fmt: skip


@record
class _Chain:
    """Layers with the same sizes that feed one another: they share one input and one set of states."""

    layers: tuple[Declared, ...]
    below: str  # the layer of another chain whose output it takes, or ""

    @property
    def name(self) -> str:
        return self.layers[0].path


def chains(declared: tuple[Declared, ...]) -> list[_Chain]:
    """The layers in chains.  A layer is appended where it takes the output of its chain's last one, which nobody else
    takes, and is of the same kind and size."""
    takers = [source for layer in declared for source in layer.after]
    known = {layer.path for layer in declared}
    found: list[list[Declared]] = []
    for layer in declared:
        last = found[-1][-1] if found else None
        if last is not None and layer.after == (last.path,) and takers.count(last.path) == 1 and _alike(last, layer):
            found[-1].append(layer)
        else:
            found.append([layer])
    return [_Chain(tuple(each), next((p for p in each[0].after if p in known), "")) for each in found]


def _alike(one: Declared, other: Declared) -> bool:
    return one.kind == other.kind and all(
        one.settings.get(key) == other.settings.get(key) for key in ("hidden_size", "direction")
    )


class _Graph:
    """The graph while it is built: nodes, weights, small constants, inputs and outputs."""

    def __init__(self, tensors: Tensors):
        self._tensors = tensors
        self._batch_first = bool(tensors.metadata.get("batch_first"))
        self._nodes: list[bytes] = []
        self._weights: list[StoredTensor] = []
        self._numbers: dict[tuple[int, ...], str] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._sequences: dict[str, str] = {}  # layer → its output, [time, batch, unit·directions]

    def build(self) -> None:
        found = chains(self._tensors.declared)
        below = {chain.below for chain in found}
        for chain in found:
            prefix = f"{chain.name}/" if len(found) > 1 else ""
            self._chain(chain, prefix, is_last=chain.layers[-1].path not in below)

    # One chain.

    def _chain(self, chain: _Chain, prefix: str, is_last: bool) -> None:
        first = chain.layers[0]
        value = self._sequences.get(chain.below) or self._given(prefix, first.settings["input_size"])
        states = _STATES.get(first.kind, ("h",))
        ways, units, count = _ways(first), first.settings["hidden_size"], len(chain.layers)
        for state in states:
            self._inputs.append(_value(f"{prefix}{state}0", [ways * count, "batch", units]))
        last: dict[str, list[str]] = {state: [] for state in states}
        for number, layer in enumerate(chain.layers):
            starts = [self._start(f"{prefix}{s}0", number, ways, count, f"{layer.path}/initial_{s}") for s in states]
            ends = [f"{prefix}{s}_n" if count == 1 else f"{layer.path}/final_{s}" for s in states]
            value = self._layer(layer, value, starts, ends)
            for state, end in zip(states, ends, strict=True):
                last[state].append(end)
        if is_last:
            self._given_back(value, f"{prefix}y", ways * units)
        for state, ends in last.items():
            if count > 1:
                self._node("Concat", ends, f"{prefix}{state}_n", axis=0)
            self._outputs.append(_value(f"{prefix}{state}_n", [ways * count, "batch", units]))

    def _given(self, prefix: str, features: int) -> str:
        name = f"{prefix}x"
        order = ["batch", "time"] if self._batch_first else ["time", "batch"]
        self._inputs.append(_value(name, [*order, features]))
        return self._node("Transpose", [name], f"{name}/time_first", perm=[1, 0, 2]) if self._batch_first else name

    def _given_back(self, value: str, name: str, width: int) -> None:
        order = ["batch", "time"] if self._batch_first else ["time", "batch"]
        if self._batch_first:
            self._node("Transpose", [value], name, perm=[1, 0, 2])
        else:
            self._node("Identity", [value], name)
        self._outputs.append(_value(name, [*order, width]))

    def _start(self, states: str, number: int, ways: int, count: int, name: str) -> str:
        """The initial state of one layer out of those of all."""
        if count == 1:
            return states
        cut = [self._number(number * ways), self._number((number + 1) * ways), self._number(0)]
        return self._node("Slice", [states, *cut], name)

    def _layer(self, layer: Declared, value: str, starts: list[str], ends: list[str]) -> str:
        """One recurrent node; its output with the directions side by side."""
        weights = {word: self._weight(name) for word, name in layer.inputs.items() if name in self._tensors}
        inputs = [value, weights["W"], weights["R"], weights.get("B", ""), "", *starts]
        inputs += [weights["P"]] if "P" in weights else []
        every = f"{layer.path}/every_direction"
        self._nodes.append(_node(layer.kind.split(".")[-1], inputs, [every, *ends], layer.path, _attributes(layer)))
        if _ways(layer) == 1:
            joined = self._node("Squeeze", [every, self._number(1)], f"{layer.path}/sequence")
        else:
            beside = self._node("Transpose", [every], f"{layer.path}/batch_first_of_directions", perm=[0, 2, 1, 3])
            joined = self._node("Reshape", [beside, self._number(0, 0, -1)], f"{layer.path}/sequence")
        self._sequences[layer.path] = joined
        return joined

    def _weight(self, name: str) -> str:
        tensor = self._tensors[name]
        self._weights.append(tensor)
        return name if tensor.dtype == "float32" else self._node("Cast", [name], f"{name}/float32", to=_FLOAT)

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(_node(op, inputs, [output], f"{output}/{op}", attributes))
        return output

    def _number(self, *numbers: int) -> str:
        """A small constant of whole numbers, kept once."""
        return self._numbers.setdefault(numbers, "numbers/" + "_".join(map(str, numbers)))

    # Bytes.

    def pieces(self, path: Path) -> Iterator[bytes | memoryview]:
        """The whole file, each weight when it comes to it.  Raises NotRepresentable where it is too large."""
        small = [_constant(name, list(numbers)) for numbers, name in self._numbers.items()]
        before = b"".join(encoded(1, node) for node in (*small, *self._nodes)) + encoded(2, "gatewise")
        after = b"".join(encoded(11, value) for value in self._inputs)
        after += b"".join(encoded(12, value) for value in self._outputs)
        heads = [_head(tensor) for tensor in self._weights]
        length = len(before) + len(after) + sum(
            len(head) + tensor.nbytes for head, tensor in zip(heads, self._weights, strict=True)
        )  # fmt: skip
        model = encoded(1, _IR) + encoded(2, "gatewise") + encoded_head(7, length)
        opset = encoded(8, encoded(1, "") + encoded(2, _OPSET))
        if len(model) + length + len(opset) > _LARGEST:
            raise NotRepresentable(
                f"the weights are {length:,} bytes, and one ONNX file holds less than 2 GiB.", path=path,
                next="Say --dtype float16, convert one --layer at a time, or write .safetensors.",
            )  # fmt: skip
        yield model + before
        for head, tensor in zip(heads, self._weights, strict=True):
            yield head
            yield from tensor.pieces()
        yield after + opset


def _ways(layer: Declared) -> int:
    return 2 if layer.settings.get("direction") == "bidirectional" else 1


def _attributes(layer: Declared) -> dict[str, Any]:
    """A node's attributes, the usual ones left out."""
    said = layer.settings
    found: dict[str, Any] = {"hidden_size": said["hidden_size"]}
    direction = "reverse" if said.get("backwards") else said.get("direction", "forward")
    found |= {"direction": direction} if direction != "forward" else {}
    found |= {key: int(said[key]) for key in _PASSED if said.get(key)}
    found |= {"clip": float(said["clip"])} if said.get("clip") not in (None, float("inf")) else {}
    return found | _activations(layer)


def _activations(layer: Declared) -> dict[str, Any]:
    spelled = [str(layer.settings[f"activations[{n}]"]) for n in range(len(_USUAL[layer.kind]))]
    if spelled == _USUAL[layer.kind]:
        return {}
    names, alphas, betas = [], [], []
    for text in spelled * _ways(layer):
        name, _, inside = text.rstrip(")").partition("(")
        values = [_near(value) for value in re.split(r",\s*", inside) if value]
        if name == "hard_sigmoid":
            name, values = "HardSigmoid", [*values, 0.5]
        names.append(name)
        alphas += values[:1]
        betas += values[1:]
    lists = {"activation_alpha": alphas, "activation_beta": betas}
    return {"activations": names, **{key: values for key, values in lists.items() if values}}


def _near(text: str) -> float:
    """A number as it was meant: seven digits of a sixth are a sixth."""
    exact = Fraction(text)
    simple = exact.limit_denominator(64)
    return float(simple if abs(simple - exact) < Fraction(1, 10_000_000) else exact)


# Messages.


def _node(op: str, inputs: list[str], outputs: list[str], name: str, attributes: Mapping[str, Any]) -> bytes:
    return (
        b"".join(encoded(1, each) for each in inputs)
        + b"".join(encoded(2, each) for each in outputs)
        + encoded(3, name)
        + encoded(4, op)
        + b"".join(encoded(5, _attribute(key, value)) for key, value in attributes.items())
    )


def _attribute(name: str, value: Any) -> bytes:
    named = encoded(1, name)
    if isinstance(value, int):
        return named + encoded(3, value) + encoded(20, 2)
    if isinstance(value, float):
        return named + encoded(2, value) + encoded(20, 1)
    if isinstance(value, str):
        return named + encoded(4, value) + encoded(20, 3)
    field, kind = {int: (8, 7), float: (7, 6), str: (9, 8)}[type(value[0])]
    return named + b"".join(encoded(field, each) for each in value) + encoded(20, kind)


def _value(name: str, shape: list[int | str]) -> bytes:
    dims = b"".join(encoded(1, encoded(2 if isinstance(size, str) else 1, size)) for size in shape)
    tensor = encoded(1, _FLOAT) + encoded(2, dims)
    return encoded(1, name) + encoded(2, encoded(1, tensor))


def _constant(name: str, numbers: list[int]) -> bytes:
    raw = b"".join(number.to_bytes(8, "little", signed=True) for number in numbers)
    value = encoded(1, len(numbers)) + encoded(2, _INT64) + encoded(9, raw)
    attribute = encoded(1, "value") + encoded(5, value) + encoded(20, 4)
    return encoded(2, name) + encoded(3, name) + encoded(4, "Constant") + encoded(5, attribute)


def _head(tensor: StoredTensor) -> bytes:
    """An initializer up to its elements."""
    inner = b"".join(encoded(1, size) for size in tensor.shape) + encoded(2, CODES[tensor.dtype])
    inner += encoded(8, tensor.name) + encoded_head(9, tensor.nbytes)
    return encoded_head(5, len(inner) + tensor.nbytes) + inner
