"""What Keras 3.15 says to a model's config, read as Keras reads it: layer by layer, without building anything.

``refusals`` gives every reason to refuse a model, in the order in which Keras would meet them, each with Keras's own
words.  Two readers are followed.  A node without ``module`` (``.h5`` of Keras 1 and 2) is looked up by its class name
alone; but what a wrapper or an RNN holds goes to the reader of ``.keras`` files, which wants ``module``.
Source: keras/src/legacy/saving/saving_utils.py, keras/src/saving/serialization_lib.py and keras/src/models/functional.py
of Keras 3.15.1, and what it said to the files in tests/fixtures/keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..containers._keras_config import references
from ..containers._keras_draft import node_name, nodes_below
from ..containers._keras_tree import MODELS, Node, nodes_in
from ._keras3_table import CELLS, INITIALIZERS, LAYERS, RECURRENT, required, takes

KERAS_1, ARGUMENT, INITIALIZER, WRAPPED, CUDNN, CUSTOM, MOVED, CALL_FORM, INPUT_SHAPE, NAME, RESET, LAMBDA = (
    "keras1", "argument", "initializer", "wrapped", "cudnn", "custom", "moved", "call", "input shape", "name", "reset", "lambda",
)  # fmt: skip
OLD_CUDNN = ("CuDNNLSTM", "CuDNNGRU")
_LOCATED = ("keras", "keras.layers", "keras.models", "keras.src.models.functional", "keras.src.models.sequential")
_ADVICE = "Make sure custom classes and functions are decorated with `@keras.saving.register_keras_serializable()`."
_PROPERLY = " could not be deserialized properly. Please ensure that components that are Python object instances"


@dataclass(frozen=True)
class Refusal:
    """One reason: of which sort, at which layer, in Keras's words (up to where they quote the config)."""

    sort: str
    where: str
    error: str
    subject: str = ""  # the class or argument it is about


def refusals(root: Node) -> Iterator[Refusal]:
    """Every reason why ``load_model`` refuses a config, as Keras would meet them."""
    yield from _modern(root, None) if "module" in root else _legacy(root, None)
    yield from _gru_biases(root)  # met last of all, when the weights are loaded


def _gru_biases(root: Node) -> Iterator[Refusal]:
    for node in nodes_below(root):
        config = node.get("config")
        if node.get("class_name") not in ("GRU", "GRUCell") or not isinstance(config, dict) or "units" not in config:
            continue
        if "reset_after" not in config and config.get("use_bias", True):
            name = node_name(node)
            yield Refusal(RESET, name, "ValueError: Shape mismatch in layer #", name)


def _place(node: Node, above: str | None) -> str:
    """The layer's name behind those of the models and wrappers around it; "" for the model itself."""
    return "" if above is None else f"{above}/{node_name(node)}".strip("/")


def _legacy(node: Node, above: str | None) -> Iterator[Refusal]:
    kind, config = str(node.get("class_name")), node.get("config")
    where = _place(node, above)
    if not isinstance(config, dict):
        yield Refusal(KERAS_1, where, "TypeError: pop expected at most 1 argument, got 2", kind)
        config = {}
    if kind in MODELS:
        yield from _model(node, where)
    elif kind not in LAYERS:
        sort = CUDNN if kind in OLD_CUDNN else CUSTOM
        yield Refusal(
            sort,
            where,
            f"ValueError: Unknown layer: '{kind}'. Please ensure you are using a `keras.utils.custom_object_scope`",
            kind,
        )
    else:
        yield from _built(kind, config, where, modern=False)


def _modern(node: Node, above: str | None) -> Iterator[Refusal]:
    """A node for ``deserialize_keras_object``.  Around a TypeError of what a node holds it puts words of its own."""
    kind, config, module = str(node.get("class_name")), node.get("config"), node.get("module")
    where = _place(node, above)
    lost = _lost(kind, module)
    if lost is not None:
        yield Refusal(lost[0], where, lost[1], kind)
    if kind in MODELS:
        inside = _model(node, where)
    elif kind in LAYERS:
        inside = _built(kind, config if isinstance(config, dict) else {}, where, modern=True)
    else:
        return
    for refusal in inside:
        yield _wrapped(refusal, kind) if lost is None else refusal


def _lost(kind: str, module: Any) -> tuple[str, str] | None:
    """Where Keras does not find the class: the sort, and what it says."""
    if isinstance(module, str) and module.partition(".")[0] == "keras":
        if module in _LOCATED and (kind in LAYERS or kind in MODELS):
            return None
        if module.startswith(("keras.src.ops", "keras.ops", "keras.activations", "keras.initializers")):
            return None
        if module in _LOCATED:
            said = f"ValueError: Could not deserialize '{module}.{kind}' because it is not a KerasSaveable subclass"
            return (CUDNN if kind in OLD_CUDNN else CUSTOM), said
        said = f"TypeError: Could not deserialize class '{kind}' because its parent module {module} cannot be imported."
        return (MOVED if kind in MODELS or kind in LAYERS else CUSTOM), said
    sort = WRAPPED if kind in LAYERS or kind in CELLS else CUDNN if kind in OLD_CUDNN else CUSTOM
    return sort, f"TypeError: Could not locate class '{kind}'. {_ADVICE}"


def _wrapped(refusal: Refusal, kind: str) -> Refusal:
    if not refusal.error.startswith("TypeError"):
        return refusal
    home = "models" if kind in MODELS else _home(kind)
    name = "Functional" if kind == "Model" else kind
    return replace(refusal, error=f"TypeError: <class 'keras.src.{home}.{name.lower()}.{name}'>{_PROPERLY}")


def _home(kind: str) -> str:
    return (
        "layers.rnn"
        if kind in (*RECURRENT, *CELLS, "RNN", "Bidirectional", "TimeDistributed", "StackedRNNCells")
        else "layers"
    )


def _model(model: Node, where: str) -> Iterator[Refusal]:
    body = model.get("config")
    if isinstance(body, dict) and model.get("class_name") == "Sequential" and "name" not in body:
        yield Refusal(KERAS_1, where, "ValueError: A Sequential model configuration must be a dictionary", "Sequential")
    nodes = nodes_in(model)
    deeper = _taken_too_deep(nodes) if model.get("class_name") == "Sequential" else ""
    for node in nodes:
        yield from (_modern if "module" in node else _legacy)(node, where)
        if deeper and node_name(node) == deeper:
            said = f"ValueError: Input 0 with name 'None' of layer '{deeper}' is incompatible with the layer: expected ndim=3, found ndim=4."
            yield Refusal(INPUT_SHAPE, f"{where}/{deeper}".strip("/"), said, "batch_input_shape")
    for node in nodes_in(model):
        yield from _call_form(node, where)


_KEEP_RANK = (
    "Embedding",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "Masking",
    "Dense",
    "Activation",
)


def _taken_too_deep(nodes: list[Node]) -> str:
    """A Sequential that says batch_input_shape at its first layer: Keras 3 adds a batch axis to it once more, and the
    first recurrent layer minds.  Its name, or "" where that does not happen."""
    first = nodes[0] if nodes else {}
    if (
        "module" in first
        or "batch_input_shape" not in (first.get("config") or {})
        or first.get("class_name") == "InputLayer"
    ):
        return ""
    for node in nodes:
        if node.get("class_name") in (*RECURRENT[:3], "RNN", "Bidirectional"):
            return node_name(node)
        if node.get("class_name") not in _KEEP_RANK:
            break
    return ""


def _call_form(node: Node, above: str) -> Iterator[Refusal]:
    """Old configs list an RNN's initial states as further inputs; Keras 3 hands all of a list to the first argument."""
    calls = node.get("inbound_nodes")
    if node.get("class_name") not in (*RECURRENT, "RNN", *OLD_CUDNN) or not isinstance(calls, list):
        return
    for call in calls:
        count = len(list(references(call))) if isinstance(call, list) else 1
        if count > 1:
            name = node_name(node)
            said = f'ValueError: Layer "{name}" expects 1 input(s), but it received {count} input tensors.'
            yield Refusal(CALL_FORM, f"{above}/{name}".strip("/"), said, str(node.get("class_name")))
            return


# One layer.


def _built(kind: str, config: Mapping[str, Any], where: str, modern: bool) -> Iterator[Refusal]:
    held = [config[key] for key in ("layer", "backward_layer", "cell") if isinstance(config.get(key), dict)]
    if kind == "StackedRNNCells":
        cells = config.get("cells")
        held = [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []
    for inner in held:
        yield from _modern(inner, where)
    if required(kind) and required(kind) not in config:
        missing = f"TypeError: {kind}.__init__() missing 1 required positional argument: '{required(kind)}'"
        yield Refusal(KERAS_1, where, missing, kind)
        return
    yield from _lambda(kind, config, where)
    found = [*_initializers(config, where), *_name(config, where), *_unknown_arguments(kind, config, where, modern)]
    # An RNN makes its cell, with the initializers, before it looks at what it does not know; other layers after.
    yield from (
        found if kind in RECURRENT else [*found[1:], *found[:1]] if found and found[0].sort == INITIALIZER else found
    )


def _lambda(kind: str, config: Mapping[str, Any], where: str) -> Iterator[Refusal]:
    function = config.get("function")
    code = isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == "__lambda__")
    if kind == "Lambda" and code:
        said = "ValueError: Requested the deserialization of a `Lambda` layer whose `function` is a Python lambda."
        yield Refusal(LAMBDA, where, said, "Lambda")
    elif kind == "Lambda" and isinstance(function, str):
        yield Refusal(CUSTOM, where, "TypeError: Could not parse config:", f"Lambda({function})")


def _name(config: Mapping[str, Any], where: str) -> Iterator[Refusal]:
    name = config.get("name")
    if isinstance(name, str) and "/" in name:
        yield Refusal(
            NAME, where, "ValueError: Argument `name` must be a string and cannot contain character `/`.", name
        )


def _initializers(config: Mapping[str, Any], where: str) -> Iterator[Refusal]:
    for key, value in config.items():
        if key.endswith("_initializer") and isinstance(value, dict) and isinstance(value.get("config"), dict):
            name = str(value.get("class_name"))
            home, known = INITIALIZERS.get(name, ("", ""))
            unknown = [argument for argument in value["config"] if argument not in known.split()]
            if home and unknown:
                said = f"TypeError: <class 'keras.src.initializers.{home}.{name}'>{_PROPERLY}"
                yield Refusal(INITIALIZER, where, said, f"{name}.{unknown[0]}")
                return


def _unknown_arguments(kind: str, config: Mapping[str, Any], where: str, modern: bool) -> Iterator[Refusal]:
    passed_over = () if modern else ("batch_input_shape",)
    if kind == "Lambda":
        passed_over = (*passed_over, "module", "function_type", "output_shape_type", "output_shape_module")
    unknown = {key: value for key, value in config.items() if key not in takes(kind) and key not in passed_over}
    if unknown:
        said = f"ValueError: Unrecognized keyword arguments passed to {kind}: {unknown}"
        yield Refusal(ARGUMENT, where, said, ", ".join(unknown))
