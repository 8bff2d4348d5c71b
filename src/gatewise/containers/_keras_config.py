"""What a Keras model's JSON says of its layers, as a tree: a model holds layers, and some of them are models.

A wrapper holds a layer, an RNN a cell, StackedRNNCells hold cells; these stay in the layer's config and are looked
up there.  Nothing is ever built or run from a config: a Lambda layer's code stays the text that it is.
Source: the files of Keras 1.2.2, 2.2.4, 3.15.1 and tf.keras 1.15, 2.3.4, 2.15.1 in tests/fixtures/keras.
Not known here: Keras 0's Graph, and subclassed models, whose config has no layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from ..cursor import Limits
from ..errors import BrokenFile
from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_OPERATIONS = ("keras.src.ops", "keras.ops")  # modules of functions in a Functional graph: nodes, but not layers
THE_INPUT = ""  # the name of what goes into a Sequential


@record
class Layer:
    """One layer of a model: ``calls`` has, for each time it is called, the names of the layers it takes from."""

    kind: str
    name: str
    config: Mapping[str, Any]
    calls: tuple[tuple[str, ...], ...]
    model: Model | None = None  # a nested model's own layers
    is_layer: bool = True

    @property
    def inner(self) -> Layer | None:
        """What a wrapper wraps, or an RNN's cell."""
        for key in ("layer", "cell"):
            if isinstance(found := self.config.get(key), dict):
                return inner_of(found)
        return None

    @property
    def cells(self) -> tuple[Layer, ...]:
        """The cells of an RNN(StackedRNNCells)."""
        inner = self.inner
        if self.kind != "RNN" or inner is None or inner.kind != "StackedRNNCells":
            return ()
        found = inner.config.get("cells")
        return tuple(inner_of(cell) for cell in found if isinstance(cell, dict)) if isinstance(found, list) else ()


@record
class Model:
    """The layers of a model, its own included in none."""

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


# Reading the tree.


def parse(text: str | bytes, limits: Limits, where: str) -> dict[str, Any]:
    """The config as plain values.  Raises BrokenFile, LimitExceeded."""
    limits.check("header_bytes", len(text), where=where)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"the model config is not sound JSON: {error}.", where=where) from None
    if not isinstance(config, dict):
        raise BrokenFile(f"the model config is a JSON {type(config).__name__}, not an object.", where=where)
    return config


def model_of(config: Mapping[str, Any], limits: Limits, depth: int = 0) -> Model | None:
    """The model that a node of the tree is; None for a layer, and for a subclassed model."""
    limits.check("nesting", depth, where="model config")
    body = config.get("config")
    listed = body.get("layers") if isinstance(body, dict) else body  # Keras 1 and 2.2: a Sequential is a bare list
    if not isinstance(listed, list):
        return None
    nodes = [node for node in listed if isinstance(node, dict)]
    limits.check("members", len(nodes), where="model config")
    if isinstance(body, dict) and "output_layers" in body:
        layers = tuple(_layer(node, index, _calls(node), limits, depth) for index, node in enumerate(nodes))
        return Model(layers, tuple(_references(body.get("input_layers"))), tuple(_references(body["output_layers"])))
    return _sequential(nodes, limits, depth)


def _sequential(nodes: Sequence[Mapping[str, Any]], limits: Limits, depth: int) -> Model:
    layers: list[Layer] = []
    for index, node in enumerate(nodes):
        before = layers[-1].name if layers else THE_INPUT
        layers.append(_layer(node, index, ((before,),), limits, depth))
    first, last = layers[:1], layers[-1:]
    inputs = tuple(layer.name for layer in first if layer.kind == "InputLayer")
    return Model(tuple(layers), inputs, tuple(layer.name for layer in last))


def _layer(
    node: Mapping[str, Any], index: int, calls: tuple[tuple[str, ...], ...], limits: Limits, depth: int
) -> Layer:
    body = node.get("config")
    config = body if isinstance(body, dict) else {}
    # A Sequential of Keras 1 and 2.2 within another has no name in the config: it gets one that no layer can have.
    name = next((n for n in (node.get("name"), config.get("name")) if isinstance(n, str)), f"?{index}")
    module = node.get("module")
    is_layer = not (isinstance(module, str) and module.startswith(_OPERATIONS))
    return Layer(_class_name(node), name, config, calls, model_of(node, limits, depth + 1), is_layer)


def inner_of(node: Mapping[str, Any]) -> Layer:
    body = node.get("config")
    config = body if isinstance(body, dict) else {}
    return Layer(_class_name(node), str(config.get("name", "")), config, ())


def _class_name(node: Mapping[str, Any]) -> str:
    """``Custom>OfgiLSTM`` is how tf.keras spells the class OfgiLSTM registered in the package Custom."""
    return str(node.get("class_name", "")).rpartition(">")[2]


def _calls(node: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    found = node.get("inbound_nodes")
    return tuple(tuple(_references(call)) for call in found) if isinstance(found, list) else ()


def _references(value: Any) -> Iterator[str]:
    return (name for name, _ in references(value))


def references(value: Any) -> Iterator[tuple[str, int]]:
    """(layer name, which of its calls) in any of Keras's ways to point at a layer's output.

    ``["lstm", 0, 0]`` and ``["lstm", 0, 0, {more}]`` (Keras 1, 2); ``{"class_name": "__keras_tensor__", "config":
    {"keras_history": ["lstm", 0, 0]}}`` (Keras 3); both nested in lists and in keyword arguments.
    """
    if isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int and type(value[2]) is int:
            if value[1] >= 0:  # TF marks a constant argument by the index -1
                yield value[0], value[1]
            value = value[3:]
        for item in value:
            yield from references(item)


def lambdas(model: Model) -> Iterator[str]:
    """The names of Lambda layers, which hold code."""
    for layer in model.layers:
        if layer.kind == "Lambda":
            yield layer.name
        if layer.model is not None:
            yield from lambdas(layer.model)
