"""OpenVINO IR: a graph in ``.xml`` and its constants in a ``.bin`` beside it.

Every Const is a tensor under its layer's name, a view of the mapped ``.bin``.  Recurrent operators are declared with
the tensors that they are given, also where these are computed from constants (an imported ONNX model keeps its gates in
ONNX's order and permutes them in the graph) or kept in half precision (``save_model`` does so unless told otherwise).
Source: the operation specifications of LSTMSequence-5, GRUSequence-5, RNNSequence-5, LSTMCell-4, GRUCell-3 and
RNNCell-1; files of OpenVINO 2026.4.1.  Not known here: what is between layers beside axes (``_openvino_graph``).
"""

from __future__ import annotations

import functools

from ..errors import BrokenFile
from ..source import Source
from ..tensors import Declared, Tensors, WrittenBy
from . import Container, later

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ._openvino_graph import Layer, Model, Net, Weights

# Inputs by position.  States and lengths are the run's.
INPUTS = {
    "LSTMSequence": {4: "W", 5: "R", 6: "B", 7: "P"},
    "GRUSequence": {3: "W", 4: "R", 5: "B"},
    "RNNSequence": {3: "W", 4: "R", 5: "B"},
    "AUGRUSequence": {3: "W", 4: "R", 5: "B"},
    "LSTMCell": {3: "W", 4: "R", 5: "B", 6: "P"},
    "GRUCell": {2: "W", 3: "R", 4: "B"},
    "RNNCell": {2: "W", 3: "R", 4: "B"},
    "AUGRUCell": {2: "W", 3: "R", 4: "B"},
}
_OLDEST = 10
_TRUE = {"true": True, "1": True, "false": False, "0": False}


def claims(source: Source) -> bool:
    """XML whose root is ``net`` with a version."""
    head = bytes(source.data[:512]).lstrip(b"\xef\xbb\xbf \r\n\t")
    return head.startswith((b"<?xml", b"<net")) and b"<net " in head and b"version" in head


def stands_for(path: Path) -> Path | None:
    """The graph beside its weights."""
    return path.with_suffix(".xml") if path.suffix == ".bin" and path.with_suffix(".xml").is_file() else None


def read(source: Source) -> Tensors:
    from ._openvino_graph import Weights, layers_of, parse

    model = parse(source)
    notes: list[str] = []
    if any(layer.blobs for net in model.nets for layer in net.layers.values()):
        notes.append(f"IR version {model.version} is older than {_OLDEST}: its weights are not read.")
    binary = _binary(source, model)
    weights = Weights(model, binary)
    declared = [_declared(layer, weights, notes) for layer in layers_of(model, INPUTS)]
    source.limits.check("tensors", len(weights.tensors), path=source.name, where="layers")
    return Tensors(
        weights.tensors.values(),
        path=source.name,
        container="openvino",
        bytes=source.size + binary.size,
        declared=declared,
        written_by=[_written_by(model)],
        notes=notes,
        metadata={"ir_version": model.version, "name": model.name},
    )


def _binary(source: Source, model: Model) -> Source:
    """The weights beside the graph.  A graph without constants may do without."""
    name = f"{source.path.stem}.bin"
    if name in source.folder:
        return source.folder.open(name)
    if any(layer.kind == "Const" for net in model.nets for layer in net.layers.values()):
        raise BrokenFile(
            f"its weights {name} are not beside it.",
            path=source.name,
            next="Put the .bin beside the .xml, named alike.",
        )
    return Source.of(memoryview(b""), source.path.with_suffix(".bin"), source.folder, source.limits)


def _written_by(model: Model) -> WrittenBy:
    version = model.runtime.partition("-")[0]
    because = f"rt_info of the graph: {model.runtime}" if version else f"IR version {model.version}"
    return WrittenBy("openvino", version, because)


# Recurrent operators.


def _declared(layer: Layer, weights: Weights, notes: list[str]) -> Declared:
    net = _net(layer)
    inputs, missing = {}, []
    for index, word in INPUTS[layer.kind].items():
        value = weights.given(net, layer, index)
        if value is not None:
            inputs[word] = weights.listed(value)
        elif index < len(layer.inputs):
            missing.append(word)
    name = _name(layer)
    if missing:
        notes.append(
            f"{name} ({layer.kind}) is given {' and '.join(missing)} only when the model runs; it is named and left."
        )
        inputs = {}
    kind = f"openvino.{layer.kind}" + (" with peepholes" if "P" in inputs else "")
    return Declared(name, kind, _settings(layer), name, _after(layer, weights), inputs=inputs)  # fmt: skip


def _net(layer: Layer) -> Net:
    if layer.net is None:
        raise BrokenFile("lies outside of any graph.", where=f"layer {layer.name!r}")
    return layer.net


def _name(layer: Layer) -> str:
    path = _net(layer).path
    return f"{path}/{layer.name}" if path else layer.name


def _settings(layer: Layer) -> dict[str, Any]:
    """The attributes as numbers, and each activation on its own with its parameters: ``activations[0]``."""
    said: dict[str, Any] = {"direction": "forward", "opset": layer.version}
    for key, text in layer.data.items():
        if key == "hidden_size":
            said[key] = int(text)
        elif key in ("linear_before_reset", "input_forget"):
            said[key] = _TRUE.get(text, text)
        elif key == "clip":
            said[key] = _number(text) or None  # 0 stands for none
        elif not key.startswith("activations"):
            said[key] = text
    loop = _net(layer).owner
    if said["direction"] == "reverse" or (loop is not None and loop.backwards):
        said["backwards"] = True
    return said | _activations(layer)


def _activations(layer: Layer) -> dict[str, str]:
    names = [name.strip() for name in layer.data.get("activations", "").split(",") if name.strip()]
    parameters = [
        [_number(text) for text in layer.data.get(key, "").split(",") if text.strip()]
        for key in ("activations_alpha", "activations_beta")
    ]
    found = {}
    for index, name in enumerate(names):
        own = [f"{values[index]:.7g}" for values in parameters if index < len(values)]
        found[f"activations[{index}]"] = f"{name}({', '.join(own)})" if own else name
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


# What follows what: the axes of one operator's outputs on their way to another's input.

_LONGEST = 12


def _after(layer: Layer, weights: Weights) -> tuple[str, ...]:
    """The layer whose outputs come in as [batch, time, unit], with nothing between but other shapes."""
    net = _net(layer)
    steps: list[Layer] = []
    at: tuple[Layer, int] | None = _source(net, layer, 0)
    for _ in range(_LONGEST):
        if at is None:
            return ()
        source, port = at
        if source.kind in INPUTS:
            first = source.kind.endswith("Sequence") and source.outputs and source.outputs[0].number == port
            axes = functools.reduce(lambda axes, step: _stepped(axes, step, weights), reversed(steps), _axes(source))
            return (_name(source),) if first and axes == ("batch", "time", "unit") else ()
        if source.kind not in ("Transpose", "Squeeze", "Reshape"):
            return ()
        steps.append(source)
        at = _source(net, source, 0)
    return ()


def _source(net: Net, layer: Layer, index: int) -> tuple[Layer, int] | None:
    if index >= len(layer.inputs):
        return None
    found = net.edges.get((layer.number, layer.inputs[index].number))
    return (net.layers[found[0]], found[1]) if found is not None and found[0] in net.layers else None


def _axes(layer: Layer) -> tuple[str, ...]:
    both = layer.data.get("direction") == "bidirectional"
    return ("batch", "direction" if both else "one", "time", "unit")


def _stepped(axes: tuple[str, ...], step: Layer, weights: Weights) -> tuple[str, ...]:
    """The axes after one more operator; () where they are no longer known."""
    constant = weights.given(_net(step), step, 1)
    rank = len(step.outputs[0].dims) if step.outputs else 0
    if step.kind == "Reshape":
        for one in ("direction", "one"):
            if axes[-2:] == (one, "unit") and rank == len(axes) - 1:
                return (*axes[:-2], "unit")
        return axes if rank == len(axes) and step.inputs[0].dims == step.outputs[0].dims else ()
    if constant is None or constant.size > 32 or "int" not in constant.dtype:
        return ()
    numbers = [int(number) % max(len(axes), 1) for number in constant.array().reshape(-1)]
    if step.kind == "Transpose":
        return tuple(axes[number] for number in numbers) if sorted(numbers) == list(range(len(axes))) else ()
    left = tuple(axis for at, axis in enumerate(axes) if at not in numbers)
    return left if all(axes[number] == "one" for number in numbers) else ()


CONTAINERS = (
    Container(
        "openvino",
        title="OpenVINO IR (.xml and .bin)",
        source="OpenVINO operation specifications, opset1 to opset15; files of OpenVINO 2026.4.1",
        claims=claims,
        read=read,
        magic=((0, b"<?xml"), (0, b"<net"), (0, b"\xef\xbb\xbf<")),
        write=later("._openvino_write", "write"),
        suffixes=(".xml",),
        beside=(".bin",),
        naming="inputs",
        frameworks=("openvino",),
        tells=True,
        stands_for=stands_for,
        rank=36,
    ),
)
