"""Writing an OpenVINO model: one recurrent operator for each layer, wired one after another, and the weights beside it.

    x [batch, time, feature], h0 [, c0] [batch, direction, unit]  ->  y [batch, time, unit·directions], h_n [, c_n]

A layer that takes no other's output has inputs and outputs of its own, with its name before the words where there are
several (``decoder/x``); states of the layers of a chain are numbered from the second on (``h0_1``).  Batch and time are
dynamic.  IR version 11, which OpenVINO has read since 2022.1.  Weights of 16 bits stay so and are widened by the graph.
Source: the operation specifications named in ``openvino``, and Parameter-1, Const, ShapeOf-3, Gather-8, Broadcast-3,
Transpose-1, Reshape-1, Convert-1, Result-1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import quoteattr

from ..errors import NotRepresentable
from ..record import record
from ..tensors import Declared, StoredTensor, Tensors
from ._openvino_graph import TYPES

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_CODES = {dtype: code for code, dtype in TYPES.items()}
_PRECISIONS = {"f64": "FP64", "f32": "FP32", "f16": "FP16", "i64": "I64", "i32": "I32"}
_STATES = {"LSTMSequence": ("h", "c"), "GRUSequence": ("h",), "RNNSequence": ("h",)}
_RUN = frozenset(("sigmoid", "tanh", "relu"))  # what OpenVINO's CPU plugin runs inside of a sequence
_DYNAMIC = -1


@record
class Value:
    """An output of a layer: which, of what type, of what shape."""

    layer: int
    port: int
    code: str
    dims: tuple[int, ...]


def write(path: Path, tensors: Tensors) -> None:
    """The graph at ``path``, the weights in the ``.bin`` beside it.  Raises NotRepresentable."""
    if not tensors.declared:
        raise NotRepresentable(
            "there is no recurrent layer to write a graph for.", path=path, next="Say --to openvino."
        )
    with open(path.with_suffix(".bin"), "wb") as binary:
        graph = _Graph(tensors, binary)
        graph.build()
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(graph.text())


class _Graph:
    """A model in the making."""

    def __init__(self, tensors: Tensors, binary: Any):
        self._tensors, self._binary = tensors, binary
        self._at = 0
        self._layers: list[str] = []
        self._edges: list[str] = []
        self._gives: dict[str, Value] = {}  # layer's path → its sequence
        self._depth: dict[str, int] = {}  # … → its place in its chain
        self._of_x: dict[str, tuple[str, Value]] = {}  # … → the name before its chain's inputs; the lengths of x

    def build(self) -> None:
        firsts = [
            layer for layer in self._tensors.declared if not set(layer.after) & {d.path for d in self._tensors.declared}
        ]
        taken = {path for layer in self._tensors.declared for path in layer.after}
        for layer in self._tensors.declared:
            below = next((path for path in layer.after if path in self._gives), None)
            if below is None:
                before = f"{layer.path or 'layer'}/" if len(firsts) > 1 else ""
                x = self._parameter(f"{before}x", (_DYNAMIC, _DYNAMIC, layer.settings["input_size"]))
                self._of_x[layer.path], self._depth[layer.path] = (before, self._lengths(x)), 0
            else:
                x = self._gives[below]
                self._of_x[layer.path], self._depth[layer.path] = self._of_x[below], self._depth[below] + 1
            self._recurrent(layer, x, last=layer.path not in taken)

    def text(self) -> Iterator[str]:
        yield '<?xml version="1.0"?>\n<net name="gatewise" version="11">\n\t<layers>\n'
        yield from self._layers
        yield "\t</layers>\n\t<edges>\n"
        yield from self._edges
        yield "\t</edges>\n</net>\n"

    # Recurrent layers.

    def _recurrent(self, layer: Declared, x: Value, last: bool) -> None:
        kind, said = layer.kind.partition(".")[2], layer.settings
        ways, units = 2 if said["direction"] == "bidirectional" else 1, said["hidden_size"]
        before, lengths = self._of_x[layer.path]
        tail = f"_{self._depth[layer.path]}" if self._depth[layer.path] else ""
        shape = (_DYNAMIC, ways, units)
        states = [self._parameter(f"{before}{letter}0{tail}", shape) for letter in _STATES[kind]]
        weights = [self._weight(self._tensors[layer.inputs[word]]) for word in "WRB"]
        outputs = self._layer(
            layer.path, kind, "opset5", _attributes(layer), [x, *states, lengths, *weights],
            [("f32", (_DYNAMIC, ways, _DYNAMIC, units)), *(("f32", shape) for _ in states)],
        )  # fmt: skip
        turned = self._one(
            "Transpose", "opset1", {}, [outputs[0], self._numbers(0, 2, 1, 3)], (_DYNAMIC, _DYNAMIC, ways, units)
        )
        y = self._one(
            "Reshape", "opset1", {"special_zero": "true"}, [turned, self._numbers(0, 0, ways * units)],
            (_DYNAMIC, _DYNAMIC, ways * units),
        )  # fmt: skip
        self._gives[layer.path] = y
        for letter, value in zip(_STATES[kind], outputs[1:], strict=True):
            self._result(f"{before}{letter}_n{tail}", value)
        if last:
            self._result(f"{before}y", y)

    def _lengths(self, x: Value) -> Value:
        """For each sample how long its sequence is: all of it."""
        shape = self._one("ShapeOf", "opset3", {"output_type": "i64"}, [x], (3,), "i64")
        axis = self._numbers(0, scalar=True)
        batch, time = (
            self._one("Gather", "opset8", {"batch_dims": "0"}, [shape, self._numbers(at), axis], (1,), "i64")
            for at in (0, 1)
        )
        return self._one("Broadcast", "opset3", {"mode": "numpy"}, [time, batch], (_DYNAMIC,), "i64")

    # Layers of the graph.

    def _weight(self, tensor: StoredTensor) -> Value:
        if tensor.dtype not in ("float32", "float16"):
            raise NotRepresentable(
                f"{tensor.name} is {tensor.dtype}, and OpenVINO runs recurrent operators on float32 only.",
                next="Say --dtype float32.",
            )
        stored = self._constant(tensor.name, tensor.shape, tensor.nbytes, tensor.pieces(), _CODES[tensor.dtype])
        return (
            stored
            if stored.code == "f32"
            else self._one("Convert", "opset1", {"destination_type": "f32"}, [stored], stored.dims)
        )

    def _numbers(self, *numbers: int, scalar: bool = False) -> Value:
        raw = b"".join(number.to_bytes(8, "little", signed=True) for number in numbers)
        return self._constant("", () if scalar else (len(numbers),), len(raw), [raw], "i64")

    def _constant(
        self, name: str, shape: tuple[int, ...], size: int, pieces: Iterable[bytes | memoryview], code: str
    ) -> Value:
        padding = -self._at % 64
        self._binary.write(b"\0" * padding)
        self._binary.writelines(pieces)
        offset = self._at + padding
        self._at = offset + size
        attributes = {
            "element_type": code, "shape": ", ".join(map(str, shape)), "offset": str(offset), "size": str(size),
        }  # fmt: skip
        return self._layer(name, "Const", "opset1", attributes, [], [(code, shape)])[0]

    def _parameter(self, name: str, dims: tuple[int, ...]) -> Value:
        shape = ",".join("?" if size == _DYNAMIC else str(size) for size in dims)
        return self._layer(name, "Parameter", "opset1", {"shape": shape, "element_type": "f32"}, [], [("f32", dims)])[0]

    def _result(self, name: str, value: Value) -> None:
        self._name_of_output(value, name)
        self._layer(name, "Result", "opset1", {}, [value], [])

    def _name_of_output(self, value: Value, name: str) -> None:
        """The name by which a program asks for the value."""
        port = f'<port id="{value.port}" precision="{_PRECISIONS[value.code]}"'
        self._layers[value.layer] = self._layers[value.layer].replace(f"{port} >", f"{port} names={quoteattr(name)}>")

    def _one(
        self,
        kind: str,
        version: str,
        attributes: dict[str, str],
        inputs: list[Value],
        dims: tuple[int, ...],
        code: str = "f32",
    ) -> Value:
        return self._layer("", kind, version, attributes, inputs, [(code, dims)])[0]

    def _layer(
        self, name: str, kind: str, version: str, attributes: dict[str, str], inputs: Sequence[Value],
        outputs: Sequence[tuple[str, tuple[int, ...]]],
    ) -> list[Value]:  # fmt: skip
        number = len(self._layers)
        made = [Value(number, len(inputs) + at, code, dims) for at, (code, dims) in enumerate(outputs)]
        shown = name if name or kind.endswith("Sequence") else f"{kind}_{number}"
        lines = [f'<layer id="{number}" name={quoteattr(shown)} type="{kind}" version="{version}">']
        if attributes:
            lines.append(
                "\t<data " + " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items()) + " />"
            )
        lines += _ports("input", [Value(0, at, value.code, value.dims) for at, value in enumerate(inputs)], "")
        own = name if kind == "Parameter" else ""
        lines += [*_ports("output", made, own), "</layer>"]
        self._layers.append("".join(f"\t\t{line}\n" for line in lines))
        for at, value in enumerate(inputs):
            self._edges.append(
                f'\t\t<edge from-layer="{value.layer}" from-port="{value.port}" to-layer="{number}" to-port="{at}" />\n'
            )
        return made


def _ports(kind: str, values: list[Value], name: str) -> list[str]:
    if not values:
        return []
    lines = [f"\t<{kind}>"]
    for value in values:
        named = f"names={quoteattr(name)}" if name else ""
        lines.append(f'\t\t<port id="{value.port}" precision="{_PRECISIONS[value.code]}" {named}>')
        lines += [f"\t\t\t<dim>{size}</dim>" for size in value.dims]
        lines.append("\t\t</port>")
    return [*lines, f"\t</{kind}>"]


def _attributes(layer: Declared) -> dict[str, str]:
    said = layer.settings
    activations = [said[key] for key in sorted(said) if key.startswith("activations[")]
    strange = [name for name in activations if name not in _RUN]
    if strange:
        raise NotRepresentable(
            f"OpenVINO runs no {strange[0]} inside of a recurrent operator.",
            where=f"layer {layer.path}" if layer.path else None,
        )
    found = {
        "direction": "reverse" if said.get("backwards") else said["direction"],
        "hidden_size": str(said["hidden_size"]),
        "activations": ", ".join(activations), "activations_alpha": "", "activations_beta": "",
        "clip": f"{said.get('clip') or 0:.9g}",
    }  # fmt: skip
    if "linear_before_reset" in said:
        found["linear_before_reset"] = "true" if said["linear_before_reset"] else "false"
    return found
