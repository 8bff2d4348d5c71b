"""The objects of a Keras model that own variables, in the order and under the paths that Keras gives them.

A *leaf* is a layer, or a cell inside one, with variables of its own.  ``.h5`` knows the variables only by their order
within a layer of the outermost model; ``.weights.h5`` by the leaf's path.  From a config both follow, so a model's
weights can be moved from the one to the other.  Nothing is known here of cells and gates.
Source: keras/src/saving/saving_lib.py, ``_walk_saveable``; keras/src/ops/function.py, ``map_graph``;
keras/src/legacy/saving/legacy_h5_format.py, ``_legacy_weights``, all of Keras 3.15.1.
Not known here: layers with layers inside that are neither wrappers nor models (MultiHeadAttention): these are opaque.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import BrokenFile, NotRepresentable
from ..tensors import StoredTensor
from ._keras_config import references
from ._keras_names import numbered, snake_case

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

Node = dict[str, "Any"]

MODELS = ("Model", "Functional", "Sequential")
TODAY = {"Model": "Functional", "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}  # old class → Keras 3's, which names the group
_RECURRENT = (("kernel", ""), ("recurrent_kernel", ""), ("bias", "use_bias"))
_WITH_CELL = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CuDNNLSTM", "CuDNNGRU")
_PLAIN = (("kernel", ""), ("bias", "use_bias"))
_SCALED = (("gamma", "scale"), ("beta", "center"))

# class → its variables in Keras's order, each with the setting (on by default) that it depends on
VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys((*_WITH_CELL, "LSTMCell", "GRUCell", "SimpleRNNCell"), _RECURRENT),
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _PLAIN),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), (("depthwise_kernel", ""), ("bias", "use_bias"))),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"),
        (("depthwise_kernel", ""), ("pointwise_kernel", ""), ("bias", "use_bias")),
    ),
    "Embedding": (("embeddings", ""),),
    "LayerNormalization": _SCALED,
    "BatchNormalization": (*_SCALED, ("moving_mean", ""), ("moving_variance", "")),
    "PReLU": (("alpha", ""),),
}  # fmt: skip
_NEVER_TRAINED = ("moving_mean", "moving_variance")
_KERAS_1 = {"LSTM": 12, "GRU": 9}  # a tensor for each gate and role, unless consume_less is "gpu"


@dataclass
class Leaf:
    """One owner of variables.  ``node`` is its part of the config, ``path`` where Keras 3 keeps its ``vars``,
    ``owner`` the layer of the outermost model that it belongs to, ``names`` of the groups on the way to it."""

    node: Node
    path: str
    owner: str
    trainable: bool = True
    tensors: list[StoredTensor] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.node.get("class_name", ""))

    @property
    def known(self) -> bool:
        return self.kind in VARIABLES

    def expected(self, trained: bool) -> int:
        """How many variables of the one sort it has by its config; only for a known kind."""
        config = self.node.get("config") or {}
        if "consume_less" in config and config["consume_less"] != "gpu" and self.kind in _KERAS_1:
            count = _KERAS_1[self.kind]
            return count if trained == self.trainable else 0
        has = [name for name, setting in VARIABLES[self.kind] if not setting or config.get(setting, True)]
        return sum((self.trainable and name not in _NEVER_TRAINED) == trained for name in has)


# Which objects there are.


def leaves_of(root: Node) -> list[Leaf]:
    """Every leaf of a model, in Keras's order."""
    return [leaf for group, node in placed(root, "layers") for leaf in _leaves(node, group, _name(node), True)]


def placed(model: Node, container: str) -> Iterator[tuple[str, Node]]:
    """(Keras 3's path, node) of each layer of a model, in the order of Keras's ``model.layers``."""
    counts: dict[str, int] = {}
    for node in in_keras_order(model):
        kind = str(node.get("class_name", ""))
        yield f"{container}/{numbered(snake_case(TODAY.get(kind, kind)), counts)}", node


def _leaves(node: Node, path: str, owner: str, trainable: bool) -> Iterator[Leaf]:
    kind, config = node.get("class_name"), node.get("config")
    if kind in MODELS:
        for inner, below in placed(node, f"{path}/layers"):
            yield from _leaves(below, inner, owner, trainable and _trainable(config))
        return
    config = config if isinstance(config, dict) else {}
    trainable = trainable and _trainable(config)
    wrapped = next((config[key] for key in ("layer", "cell") if isinstance(config.get(key), dict)), None)
    if kind == "Bidirectional" and wrapped is not None:
        backward = config.get("backward_layer")
        if "/forward_layer" in path or "/backward_layer" in path:  # 100 of them would be 2^100 leaves
            raise BrokenFile(f"{owner} is a Bidirectional within a Bidirectional, which Keras cannot build.")
        yield from _leaves(wrapped, f"{path}/forward_layer", owner, trainable)
        yield from _leaves(
            backward if isinstance(backward, dict) else wrapped, f"{path}/backward_layer", owner, trainable
        )
    elif kind == "TimeDistributed" and wrapped is not None:
        yield from _leaves(wrapped, f"{path}/layer", owner, trainable)
    elif kind == "RNN" and wrapped is not None:
        yield from _cells(wrapped, f"{path}/cell", owner, trainable)
    else:
        yield Leaf(node, f"{path}/cell" if kind in _WITH_CELL else path, owner, trainable)


def _cells(cell: Node, path: str, owner: str, trainable: bool) -> Iterator[Leaf]:
    if cell.get("class_name") != "StackedRNNCells":
        yield Leaf(cell, path, owner, trainable)
        return
    counts: dict[str, int] = {}
    for each in cell["config"]["cells"]:
        yield Leaf(each, f"{path}/cells/{numbered(snake_case(each['class_name']), counts)}", owner, trainable)


def _trainable(config: Any) -> bool:
    return not (isinstance(config, dict) and config.get("trainable") is False)


def _name(node: Node) -> str:
    config = node.get("config")
    name = node.get("name") or (config.get("name") if isinstance(config, dict) else None)
    if not isinstance(name, str):
        raise NotRepresentable(f"a {node.get('class_name')} in the model has no name, so its weights cannot be told.")
    return name


def nodes_in(model: Node) -> list[Node]:
    """The nodes of a model's own layers, as its config lists them."""
    body = model.get("config")
    listed = body.get("layers") if isinstance(body, dict) else body
    return [node for node in listed if isinstance(node, dict)] if isinstance(listed, list) else []


# In which order.


def in_keras_order(model: Node) -> list[Node]:
    """A Sequential's layers as listed; a Functional model's by depth from the outputs, as ``map_graph`` sorts them."""
    nodes, body = nodes_in(model), model.get("config")
    if not isinstance(body, dict) or "output_layers" not in body:
        return nodes
    by_name = {_name(node): node for node in nodes}
    calls = {name: _calls(node) for name, node in by_name.items()}
    first = {name: counted_from(model, node) for name, node in by_name.items()}
    ends = {name: counted_from(model, node, as_output=True) for name, node in by_name.items()}
    outputs = [(name, index - ends.get(name, 0)) for name, index in references(body["output_layers"])]
    order, visits = _visits(outputs, calls, first)
    depth = _depths(order, calls, first)
    for name in by_name:  # an input that nothing takes from
        depth.setdefault(name, 0)
        visits.setdefault(name, -1)
    return [by_name[name] for name in sorted(by_name, key=lambda name: (-depth[name], visits[name]))]


def counted_from(model: Node, node: Node, as_output: bool = False) -> int:
    """What references in a model call the first call of one of its layers: 0; of a nested model mostly 1.

    Keras 2 counted a nested model's own building.  Keras 3 does so for what a Functional model gives out, not for
    what its layers take.
    """
    if node.get("class_name") not in MODELS:
        return 0
    if is_of_keras_3(model):
        return int(as_output and node["class_name"] == "Functional")
    return 1


def is_of_keras_3(model: Node) -> bool:
    """Was a Functional model's config written by Keras 3?  In its .h5 the root alone has no module."""
    if "module" in model:
        return bool(model["module"] == "keras.src.models.functional")
    nodes = nodes_in(model)
    return bool(nodes) and all("module" in node for node in nodes)


def _calls(node: Node) -> list[list[tuple[str, int]]]:
    found = node.get("inbound_nodes")
    return [list(references(call)) for call in found] if isinstance(found, list) else []


Call = tuple[str, int]


def _visits(
    outputs: Iterable[Call], calls: Mapping[str, list[list[Call]]], first: Mapping[str, int]
) -> tuple[list[Call], dict[str, int]]:
    """Calls, each behind all that it takes from; and the layers by when the walk from the outputs first met them."""
    order: list[Call] = []
    visits: dict[str, int] = {}
    done: set[Call] = set()
    todo: list[tuple[Call, bool]] = [(output, False) for output in reversed(list(outputs))]
    while todo:
        call, left = todo.pop()
        if left:
            order.append(call)
        elif call not in done:
            done.add(call)
            visits.setdefault(call[0], len(visits))
            todo.append((call, True))
            todo += [(source, False) for source in reversed(_sources(call, calls, first))]
    return order, visits


def _sources(call: Call, calls: Mapping[str, list[list[Call]]], first: Mapping[str, int]) -> list[Call]:
    name, index = call
    made = calls.get(name, [])
    return [(source, at - first.get(source, 0)) for source, at in made[index]] if 0 <= index < len(made) else []


def _depths(order: list[Call], calls: Mapping[str, list[list[Call]]], first: Mapping[str, int]) -> dict[str, int]:
    of_call: dict[Call, int] = {}
    of_layer: dict[str, int] = {}
    for call in reversed(order):
        depth = max(of_call.get(call, 0), of_layer.get(call[0], 0))
        of_layer[call[0]] = of_call[call] = depth
        for source in _sources(call, calls, first):
            of_call[source] = max(depth + 1, of_call.get(source, 0))
    return of_layer


# Whose weights are whose.


def fill_from_legacy(leaves: Sequence[Leaf], groups: Mapping[str, Sequence[StoredTensor]]) -> None:
    """Deal out each layer's flat list of weights: what is trained of every leaf first, then the rest.

    Raises NotRepresentable where a list is not as long as the config says, or an opaque layer lies within another.
    """
    for owner, tensors in groups.items():
        own = [leaf for leaf in leaves if leaf.owner == owner]
        if len(own) == 1:
            own[0].tensors = list(tensors)
        elif own:
            _deal(owner, own, list(tensors))


def _deal(owner: str, own: list[Leaf], tensors: list[StoredTensor]) -> None:
    holders = [leaf for leaf in own if leaf.known]
    strange = [leaf.kind for leaf in own if not leaf.known and leaf.kind not in WITHOUT_VARIABLES]
    wanted = sum(leaf.expected(trained) for leaf in holders for trained in (True, False))
    if strange or wanted != len(tensors):
        why = f"it holds a {strange[0]}" if strange else f"{wanted} are expected"
        raise NotRepresentable(f"the {len(tensors)} weights of layer {owner!r} cannot be dealt out: {why}.")
    for trained in (True, False):
        for leaf in holders:
            count = leaf.expected(trained)
            leaf.tensors += tensors[:count]
            del tensors[:count]


def in_legacy_order(own: Sequence[Leaf]) -> list[StoredTensor]:
    """One layer's flat list of weights again."""
    if len(own) == 1:
        return own[0].tensors
    trained, rest = [], []
    for leaf in own:
        at = leaf.expected(True) if leaf.known else len(leaf.tensors)
        trained += leaf.tensors[:at]
        rest += leaf.tensors[at:]
    return trained + rest


WITHOUT_VARIABLES = frozenset((
    "InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise",
    "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax",
    "Flatten", "Reshape", "Permute", "RepeatVector", "Masking", "Add", "Subtract", "Multiply", "Average", "Maximum",
    "Minimum", "Concatenate", "Dot", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "Attention", "AdditiveAttention", "Rescaling", "UnitNormalization",
))  # fmt: skip
