"""A model's config of any Keras as Keras 3 writes it, the same function: the node is changed in place.

Every layer, its name and its settings are kept.  What Keras 3 has no word for is refused with the reason, unless it
says nothing: ``time_major=False``, ``implementation``, an initializer's ``dtype``.
Source: the configs in tests/fixtures/keras; keras 1.2.2 keras/legacy and keras/layers/recurrent.py for Keras 1's words.
Not known here: Keras 1's convolutions, merges and batch normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..containers._keras_config import references
from ..containers._keras_draft import node_name
from ..containers._keras_tree import MODELS, TODAY, Node, is_of_keras_3, nodes_in
from ..errors import NotRepresentable
from ._keras3_table import (
    ACTIVATIONS,
    CELLS,
    CONSTRAINTS,
    INITIALIZERS,
    LAYERS,
    RECURRENT,
    REGULARIZERS,
    required,
    takes,
)

# Settings that Keras 3 does not know, and the values with which they say nothing; None: they never say anything.
_SILENT: Mapping[str, tuple[Any, ...] | None] = {
    "time_major": (False,), "implementation": None, "batch_input_shape": None, "input_dtype": None, "consume_less": None,
    "groups": (1,), "ragged": (False,), "fused": None, "virtual_batch_size": (None,), "adjustment": (None,),
    "experimental_autocast": None, "name_scope": None, "dynamic": None, "input_length": None, "forget_bias_init": None,
    "inner_init": None, "init": None, "W_regularizer": (None,), "U_regularizer": (None,), "b_regularizer": (None,),
    "W_constraint": (None,), "U_constraint": (None,), "b_constraint": (None,), "weights": (None,), "build_config": None,
}  # fmt: skip
_OF_KERAS_1 = frozenset((
    "LSTM", "GRU", "SimpleRNN", "Dense", "Embedding", "Dropout", "Activation", "Flatten", "Reshape", "Permute",
    "RepeatVector", "Masking", "InputLayer", "TimeDistributed", "Bidirectional", "Sequential", "Model",
))  # fmt: skip
_WORDS_OF_KERAS_1 = {
    "inner_activation": "recurrent_activation", "dropout_W": "dropout", "dropout_U": "recurrent_dropout", "p": "rate",
    "bias": "use_bias", "W_regularizer": "kernel_regularizer", "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint", "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
}  # fmt: skip
_FUNCTIONAL = {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"}


def modernise(root: Node, keras_1: bool) -> dict[str, str]:
    """The whole model.  Returns the layers of the outermost model that had to be renamed: old name → new.

    Raises NotRepresentable and leaves the node half done: work on a draft.
    """
    _node(root, keras_1, "model")
    for key in ("compile_config", "build_config"):
        root.pop(key, None)
    return _plain_names(root)


def _plain_names(model: Node) -> dict[str, str]:
    """Keras 3 allows no slash in a name."""
    nodes = nodes_in(model)
    taken = {node_name(node) for node in nodes}
    renamed: dict[str, str] = {}
    for name in [name for name in taken if "/" in name]:
        fresh = name.replace("/", "_")
        while fresh in taken:
            fresh += "_"
        taken.add(fresh)
        renamed[name] = fresh
    body = model["config"]
    for node in nodes:
        if node_name(node) in renamed:
            new = renamed[node_name(node)]
            node["config"]["name"] = new
            if "name" in node:
                node["name"] = new
        if node["class_name"] in MODELS:
            _plain_names(node)
        for wrapped in (node["config"].get(key) for key in ("layer", "backward_layer", "cell")):
            if isinstance(wrapped, dict) and "/" in node_name(wrapped):
                wrapped["config"]["name"] = node_name(wrapped).replace("/", "_")
        node["inbound_nodes"] = _with_names(node["inbound_nodes"], renamed) if "inbound_nodes" in node else []
        if node["inbound_nodes"] == [] and model["class_name"] == "Sequential":
            del node["inbound_nodes"]
    for key in ("input_layers", "output_layers"):
        if key in body:
            body[key] = _with_names(body[key], renamed)
    return renamed


def _with_names(value: Any, renamed: Mapping[str, str]) -> Any:
    """References to layers under their new names."""
    if isinstance(value, dict):
        return {key: _with_names(item, renamed) for key, item in value.items()}
    if isinstance(value, list):
        is_reference = len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int
        return [
            renamed.get(value[0], value[0]) if is_reference and index == 0 else _with_names(item, renamed)
            for index, item in enumerate(value)
        ]
    return value


def _node(node: Node, keras_1: bool, name: str = "") -> None:
    kind = str(node.get("class_name"))
    place = node_name(node) or name
    if keras_1 and kind not in _OF_KERAS_1:
        raise _no(place, f"a {kind} of Keras 1 is not one that gatewise can say in Keras 3")
    if kind in MODELS:
        _model(node, keras_1, name)
    elif kind == "Lambda":
        raise _no(place, "a Lambda holds code that Python of its time compiled; Keras 3 cannot be trusted to run it, and gatewise does not",
                  "Write what it does as a layer of Keras, or as a registered class.")  # fmt: skip
    elif TODAY.get(kind, kind) in LAYERS:
        _layer(node, keras_1, place)
    else:
        raise _no(place, f"{kind} is a class of the user's own, of which the file holds only the name",
                  "Load the weights into the model's own code: gatewise inspect shows them.")  # fmt: skip
    node.pop("build_config", None)
    node.pop("shared_object_id", None)


def _no(place: str, reason: str, next: str | None = None) -> NotRepresentable:
    return NotRepresentable(
        f"Keras 3 cannot be given this model: {reason}.", where=f"layer {place}" if place else None, next=next
    )


# Models.


def _model(node: Node, keras_1: bool, name: str) -> None:
    if not isinstance(node.get("config"), dict):
        node["config"] = {"name": node.get("name") or name.lower() or "sequential", "layers": node["config"]}
    body = node["config"]
    nodes, old = nodes_in(node), not is_of_keras_3(node)
    for inner in nodes:
        _node(inner, keras_1)
    if node["class_name"] == "Sequential":
        node.update({"module": "keras", "registered_name": None})
        body.setdefault("name", "sequential")
        if nodes and nodes[0]["class_name"] != "InputLayer" and "batch_input_shape" in nodes[0]:
            body["layers"].insert(0, _input(nodes[0], nodes))
    else:
        _references(node, nodes, old)
        node.update(_FUNCTIONAL)
    for inner in nodes_in(node):
        inner.pop("batch_input_shape", None)


def _references(model: Node, nodes: list[Node], old: bool) -> None:
    """Calls and outputs, counted as Keras 3 counts them; see :func:`counted_from`."""
    body = model["config"]
    nested = {node_name(inner) for inner in nodes if inner["class_name"] in MODELS} if old else set()
    sequential = {node_name(inner) for inner in nodes if inner["class_name"] == "Sequential"} if old else set()
    for inner in nodes:
        inner["inbound_nodes"] = [_call(inner, call, nodes, nested) for call in inner.get("inbound_nodes") or []]
        inner.setdefault("name", node_name(inner))
    outputs = body["output_layers"]
    if outputs and not isinstance(outputs[0], list):  # a single output, not in a list
        body["output_layers"] = _moved(outputs, sequential)
    else:
        body["output_layers"] = [_moved(reference, sequential) for reference in outputs]


def _input(first: Node, nodes: list[Node]) -> Node:
    shape = first["batch_input_shape"]
    names = {node_name(node) for node in nodes}
    name = next(word for word in ("input_layer", "input_layer_0", "input_layer_of_model") if word not in names)
    dtype = first["config"].get("dtype") if first["class_name"] not in ("Embedding",) else "float32"
    config = {
        "batch_shape": shape,
        "dtype": dtype if isinstance(dtype, str) else "float32",
        "sparse": False,
        "name": name,
    }
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def _moved(reference: Any, nested: set[str]) -> Any:
    """A reference to one of these nested models, whose own building no longer counts as its first call."""
    if isinstance(reference, list) and len(reference) >= 3 and reference[0] in nested and reference[1] > 0:
        return [reference[0], reference[1] - 1, *reference[2:]]
    return reference


def _call(node: Node, call: Any, nodes: list[Node], nested: set[str]) -> Any:
    """One call of a layer.  A list of tensors stays as it is where all of it is the first argument."""
    if not isinstance(call, list):
        return call
    taken = [_moved(reference, nested) for reference in call]
    said = {
        key: value for each in taken for key, value in (each[3] if len(each) > 3 else {}).items() if value is not None
    }
    plain = [each[:3] for each in taken]
    states = node["class_name"] in (*RECURRENT, "RNN", "Bidirectional") and len(plain) > 1
    if not states and not any(list(references(value)) for value in said.values()):
        return [[*each, said if index == 0 else {}] for index, each in enumerate(plain)]
    shapes = {
        node_name(inner): inner["config"].get("batch_shape") for inner in nodes if inner["class_name"] == "InputLayer"
    }

    def tensor(reference: list[Any]) -> dict[str, Any]:
        # Keras makes a placeholder of this shape and at once puts the layer's real output in its place.
        config = {"shape": shapes.get(reference[0]) or [None], "dtype": "float32", "keras_history": reference[:3]}
        return {"class_name": "__keras_tensor__", "config": config}

    kwargs = {key: _tensors_in(value, tensor, nested) for key, value in said.items()}
    first: Any = [tensor(each) for each in plain]
    if states:
        kwargs["initial_state"] = first[1:]
    return {"args": [first[0] if states or len(first) == 1 else first], "kwargs": kwargs}


def _tensors_in(value: Any, tensor: Callable[[list[Any]], dict[str, Any]], nested: set[str]) -> Any:
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
        return tensor(_moved(value, nested))
    return [_tensors_in(each, tensor, nested) for each in value] if isinstance(value, list) else value


# Layers.


def _layer(node: Node, keras_1: bool, place: str) -> None:
    kind = str(node["class_name"])
    node["class_name"] = kind = TODAY.get(kind, kind)
    config = node["config"]
    node.update({"module": "keras.layers", "registered_name": None})
    if "batch_input_shape" in config:
        shape = config.pop("batch_input_shape")
        if kind == "InputLayer":
            config["batch_shape"] = shape
        else:
            node["batch_input_shape"] = shape
    if keras_1:
        _from_keras_1(kind, config, place)
    if required(kind) and required(kind) not in config:
        raise _no(place, f"its config does not say {required(kind)}: that Keras did not write a cell's settings down")
    if kind in ("GRU", "GRUCell"):
        config.setdefault("reset_after", False)  # what it was before there was a choice
    for key in ("layer", "backward_layer", "cell"):
        if isinstance(config.get(key), dict):
            _node(config[key], keras_1, place)
    for cell in config.get("cells") or [] if kind == "StackedRNNCells" else []:
        _node(cell, keras_1, place)
    for key in list(config):
        _setting(kind, config, key, place)
    if (
        kind in ("BatchNormalization", "LayerNormalization")
        and isinstance(config.get("axis"), list)
        and len(config["axis"]) == 1
    ):
        config["axis"] = config["axis"][0]
    if (
        kind == "RNN"
        and isinstance(config.get("cell"), dict)
        and config["cell"]["class_name"] not in (*CELLS, "StackedRNNCells")
    ):
        raise _no(place, f"its cell is a {config['cell']['class_name']}")


def _setting(kind: str, config: dict[str, Any], key: str, place: str) -> None:
    value = config[key]
    if key not in takes(kind):
        silent = _SILENT.get(key, ())
        if silent is not None and value not in silent:
            raise _no(place, f"{kind} has {key} = {value!r}, which Keras 3 has no word for")
        del config[key]
    elif key.endswith("_initializer"):
        config[key] = _initializer(value)
    elif key.endswith("_regularizer") and isinstance(value, dict):
        _check_known(value, REGULARIZERS, key, place)
    elif key.endswith("_constraint") and isinstance(value, dict):
        _check_known(value, CONSTRAINTS, key, place)
    elif key in ("activation", "recurrent_activation"):
        _check_activation(value, key, place)
    elif key == "dtype" and isinstance(value, dict):
        config[key] = (value.get("config") or {}).get("name")  # a dtype policy says its name


def _initializer(value: Any) -> Any:
    """Initializers fill a layer before its weights are loaded: they must be known, but they change nothing."""
    if not isinstance(value, dict):
        return value
    name, config = value.get("class_name"), value.get("config")
    if name not in INITIALIZERS or not isinstance(config, dict):
        return "zeros"
    known = {key: item for key, item in config.items() if key in INITIALIZERS[name][1].split()}
    return {"module": "keras.initializers", "class_name": name, "config": known, "registered_name": None}


def _check_known(value: dict[str, Any], known: frozenset[str], key: str, place: str) -> None:
    if value.get("class_name") not in known:
        raise _no(place, f"its {key} is {value.get('class_name') or value}, a class of the user's own")


def _check_activation(value: Any, key: str, place: str) -> None:
    name = value.get("config", value.get("class_name")) if isinstance(value, dict) else value
    if (
        isinstance(name, str)
        and name not in ACTIVATIONS
        and (not isinstance(value, dict) or value.get("class_name") == "function")
    ):
        raise _no(place, f"its {key} is {name}, a function of the user's own")


def _from_keras_1(kind: str, config: dict[str, Any], place: str) -> None:
    renamed = dict(_WORDS_OF_KERAS_1)
    if kind != "Embedding":
        renamed["output_dim"] = "units"
        config.pop("input_dim", None)
    for old, new in renamed.items():
        if old in config:
            value = config.pop(old)
            if isinstance(value, dict) and value.get("name") == "WeightRegularizer":
                value = {"class_name": "L1L2", "config": {"l1": value.get("l1", 0.0), "l2": value.get("l2", 0.0)}}
            config[new] = value
    if kind == "GRU":
        config["reset_after"] = False  # Keras 1 knew no other, and Keras 3's default is the other
    if kind == "Embedding" and config.pop("dropout", 0.0):
        raise _no(place, "an Embedding of Keras 1 with dropout, which Keras 3 has no word for")
    if kind == "TimeDistributed":
        config.pop("input_dtype", None)
