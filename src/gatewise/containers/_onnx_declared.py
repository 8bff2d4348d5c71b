"""What an ONNX graph says of its recurrent nodes: attributes, the tensors they are given, and which follows which.

Source: docs/Operators.md of ONNX 1.23 (LSTM, GRU, RNN), docs/ContribOperators.md of onnxruntime (DynamicQuantizeLSTM).
``activations`` lists one function for each use and direction; here each is a setting of its own, ``activations[0]`` …,
written as ``LeakyRelu(0.01)`` where it has parameters (``hard_sigmoid(0.2)`` for a HardSigmoid of beta 0.5), and the
reverse direction's are below ``reverse`` where they differ.  ``backwards`` says that there is only a reverse one.  Not known here: cells and gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..tensors import Declared, StoredTensor, Strided
from ._many import Names
from ._onnx_fold import Folder, Value
from ._onnx_follow import producer
from ._onnx_graph import Model, Node, Scope

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from .onnx import Listing

_OWN = frozenset(("LSTM", "GRU", "RNN"))
_FOREIGN = {("com.microsoft", "DynamicQuantizeLSTM"), ("com.microsoft", "AttnLSTM")}
# Inputs by position; what is given at run time (X, lengths, states) is no tensor of the layer.
_INPUTS = {
    "LSTM": {1: "W", 2: "R", 3: "B", 7: "P"}, "GRU": {1: "W", 2: "R", 3: "B"}, "RNN": {1: "W", 2: "R", 3: "B"},
    "DynamicQuantizeLSTM": {1: "W", 2: "R", 3: "B", 7: "P", 8: "W_scale", 9: "W_zero_point", 10: "R_scale", 11: "R_zero_point"},
    "AttnLSTM": {1: "W", 2: "R", 3: "B", 7: "P", 8: "QW", 9: "MW", 10: "V", 11: "M", 13: "AW"},
}  # fmt: skip
_NEEDED = ("W", "R")
_STATES = (5, 6)  # initial_h, initial_c
_LARGEST_STATE = 1 << 20  # bytes of a constant state that are looked at
# Activations with parameters: their defaults (onnxruntime, rnn_helpers.cc; the operators' pages).
_PARAMETERS = {
    "Affine": (1.0, 0.0), "LeakyRelu": (0.01,), "ThresholdedRelu": (1.0,), "ScaledTanh": (1.0, 1.0),
    "HardSigmoid": (0.2, 0.5), "Elu": (1.0,),
}  # fmt: skip
_PLAIN = ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus")
_SPELLED = {name.lower(): name for name in (*_PARAMETERS, *_PLAIN)}
_LISTS = ("activations", "activation_alpha", "activation_beta")


def recurrent(node: Node) -> bool:
    return (not node.domain and node.op in _OWN) or (node.domain, node.op) in _FOREIGN


class Recurrent:
    """The recurrent nodes of a model, declared.  ``notes`` says of which the weights are no constants."""

    def __init__(self, model: Model, listing: Listing):
        self._model, self._listing = model, listing
        self._folder = Folder(model)
        self._names: dict[int, str] = {}
        self.notes: list[str] = []

    def declared(self) -> Iterator[Declared]:
        nodes = [node for scope in self._model.scopes for node in scope.nodes if recurrent(node)]
        fresh = Names()
        for node in nodes:
            self._names[id(node)] = fresh(node.label, node.scope.path)
        for node in nodes:
            yield self._declared(node)

    def _declared(self, node: Node) -> Declared:
        name, kind = self._names[id(node)], f"{node.domain or 'onnx'}.{node.op}"
        inputs, packed = self._inputs(node)
        missing = [word for word in _NEEDED if word not in inputs]
        if packed:
            kind = f"quantized {kind}"
        elif missing:
            self.notes.append(
                f"node {name!r} ({kind}) is given {' and '.join(missing)} only when the model runs; it is named and left."
            )
        self._note_states(node, name)
        return Declared(
            name, kind, {**_settings(node), "opset": self._model.opsets.get(node.domain, 1)}, name=name,
            after=self._after(node), inputs=inputs,
        )  # fmt: skip

    def _inputs(self, node: Node) -> tuple[dict[str, str], bool]:
        """The tensors that a node is given, by the operator's word; and whether some are unpacked from whole numbers."""
        found: dict[str, str] = {}
        packed = False
        for index, word in _INPUTS[node.op].items():
            given = node.input(index)
            if not given:
                continue
            value = self._folder.value(node.scope, given)
            if value is not None:
                found[word] = self._listed(node.scope, given, value)
            elif quantised := self._folder.quantised_source(node.scope, given):
                found[word], packed = quantised, True
        return found, packed

    def _note_states(self, node: Node, name: str) -> None:
        """A graph may start a layer from numbers of its own.  They belong to no weight, so that they are told."""
        fixed = [given for index in _STATES if (given := node.input(index)) and self._holds_numbers(node.scope, given)]
        if fixed:
            self.notes.append(
                f"node {name!r} starts from states that the graph holds as constants ({', '.join(fixed)}): they are none of "
                "its weights, no conversion carries them along, and whoever runs the layer gives them."
            )

    def _holds_numbers(self, scope: Scope, given: str) -> bool:
        """Is this a stored tensor that is not all zeros?"""
        value = self._folder.value(scope, given)
        data = value.leaf.data if value is not None and value.leaf is not None else None
        return isinstance(data, Strided) and isinstance(data.buffer, memoryview) and any(data.buffer[:_LARGEST_STATE])

    def _listed(self, scope: Scope, name: str, value: Value) -> str:
        if value.leaf is not None:
            return self._listing.add(scope, value.leaf)
        sources = tuple(self._listing.add(scope, leaf) for leaf in value.leaves())
        shown = ", ".join(sources[:3]) + (" …" if len(sources) > 3 else "")
        made_from = f"{', '.join(value.operators())} of {shown or 'a constant'}"
        tensor = StoredTensor(name, value.dtype, value.shape, value.array, "computed", made_from, sources)
        return self._listing.put(value, scope.path, tensor)

    # What follows what.

    def _after(self, node: Node) -> tuple[str, ...]:
        """The recurrent node whose whole output this one takes as its input, with nothing between but other shapes."""
        source = producer(node, recurrent)
        return (self._names[id(source)],) if source is not None else ()


def _settings(node: Node) -> dict[str, Any]:
    said = {
        key: _plain(value) for key, value in node.attributes.items() if key not in _LISTS and _plain(value) is not None
    }
    said.setdefault("direction", "forward")
    if said["direction"] == "reverse":
        said["backwards"] = True
    count = 2 if said["direction"] == "bidirectional" else 1
    functions = _functions(node.attributes)
    each = len(functions) // count
    own = {f"activations[{index}]": function for index, function in enumerate(functions[:each])}
    reverse = {f"activations[{index}]": function for index, function in enumerate(functions[each:])}
    return {**said, **own, **({"reverse": reverse} if count == 2 and reverse != own else {})}


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, float):
        return float(f"{value:.7g}")  # a float32 as it was meant: 0.3, not 0.30000001192
    if isinstance(value, int):
        return value
    if isinstance(value, list) and all(isinstance(each, (int, float)) for each in value):
        return [_plain(each) for each in value]
    return None


def _functions(attributes: Mapping[str, Any]) -> list[str]:
    """The activations, each with its parameters; those of the two lists are used up in the functions' order."""
    names = [_plain(name) for name in attributes.get("activations", [])]
    lists = [iter(attributes.get(key, [])) for key in _LISTS[1:]]
    functions = []
    for said in names:
        name = _SPELLED.get(str(said).lower(), str(said))
        values = [float(next(each, default)) for each, default in zip(lists, _PARAMETERS.get(name, ()), strict=False)]
        functions.append(_spelled(name, values))
    return functions


def _spelled(name: str, values: list[float]) -> str:
    shown = [f"{value:.7g}" for value in values]  # as many digits as a float32 has
    if name == "HardSigmoid" and values[1] == 0.5:
        return f"hard_sigmoid({shown[0]})"
    return f"{name}({', '.join(shown)})" if shown else name
