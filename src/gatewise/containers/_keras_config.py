"""What a Keras model's JSON says of its layers, as :class:`~gatewise.tensors.Declared`.

A model config is a tree: a model holds layers, a wrapper holds a layer, an RNN holds a cell, StackedRNNCells holds
cells.  Here the tree is read (`parse`), every layer that has tensors in the file gets the prefix of their names (the
two naming schemes are `LegacyNames` and `VarsNames`), and the arrows between layers are followed (`after`).
Nothing is ever built or run from a config: a Lambda layer's code stays the text that it is.

Source: the files of Keras 1.2.2, 2.2.4, 3.15.1 and tf.keras 1.15, 2.3.4, 2.15.1 in tests/fixtures/keras; for the
group names of ``.weights.h5``, keras/src/saving/saving_lib.py and keras/src/utils/naming.py of Keras 3.15.1.
Not known here: Keras 0's Graph, and subclassed models, whose config has no layers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..cursor import Limits
from ..errors import BrokenFile
from ..tensors import Declared

# Layers that pass their input on unchanged when a model is used.
NEUTRAL = frozenset((
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization",
))  # fmt: skip
_OPERATIONS = ("keras.src.ops", "keras.ops")  # modules of functions in a Functional graph: nodes, but not layers
_THE_INPUT = ""  # the name of what goes into a Sequential


@dataclass(frozen=True)
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
                return _inner(found)
        return None

    @property
    def cells(self) -> tuple[Layer, ...]:
        """The cells of an RNN(StackedRNNCells)."""
        inner = self.inner
        if self.kind != "RNN" or inner is None or inner.kind != "StackedRNNCells":
            return ()
        found = inner.config.get("cells")
        return tuple(_inner(cell) for cell in found if isinstance(cell, dict)) if isinstance(found, list) else ()


@dataclass(frozen=True)
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
        before = layers[-1].name if layers else _THE_INPUT
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


def _inner(node: Mapping[str, Any]) -> Layer:
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
    """The layer names in any of Keras's ways to point at a layer's output.

    ``["lstm", 0, 0]`` and ``["lstm", 0, 0, {more}]`` (Keras 1, 2); ``{"class_name": "__keras_tensor__", "config":
    {"keras_history": ["lstm", 0, 0]}}`` (Keras 3); both nested in lists and in keyword arguments.
    """
    if isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int and type(value[2]) is int:
            if value[1] >= 0:  # TF marks a constant argument by the index -1
                yield value[0]
            value = value[3:]
        for item in value:
            yield from _references(item)


# Where the tensors of a layer are.


class Names(Protocol):
    """How tensors are named after layers.  ``scope`` is a model's place, ``place`` a layer's; the root scope is ""."""

    def places(self, scope: str, model: Model) -> list[str]:
        """The place of each layer of a model."""

    def scope(self, scope: str, place: str, wrapped: bool) -> str:
        """The scope of a nested model that is at ``place`` of ``scope``, or that is wrapped by what is there."""

    def wrapped(self, place: str) -> str:
        """The place of the layer in a TimeDistributed at ``place``."""

    def cell(self, place: str, cells: Sequence[Layer], index: int) -> tuple[str, dict[str, Any]]:
        """The place of one cell of StackedRNNCells at ``place``, and what its settings must say besides."""

    def has(self, place: str) -> bool:
        """Does a tensor's name begin with the place?"""


@dataclass(frozen=True)
class LegacyNames:
    """HDF5 of Keras 1 and 2: a group for each layer of the outermost model, in it the weights under their own names.

    Weight names begin with the layer's name as TensorFlow's scopes had it: ``lstm_1/kernel:0``; without scopes
    (Keras 1) ``lstm_1_W_i``.  A scope that was taken gets a number, ``lstm_1_1/kernel:0``.  The layers of a nested
    model all lie in its group.
    """

    groups: Mapping[str, Sequence[str]]  # weight names of each layer group, both in the file's order

    def places(self, scope: str, model: Model) -> list[str]:
        if scope:
            return [self._place(scope, layer, owns=len(model.layers) == 1) for layer in model.layers]
        named = {layer.name for layer in model.layers}
        spare = iter([group for group in self.groups if group not in named])
        places = []
        for layer in model.layers:
            group = next(spare, layer.name) if layer.name.startswith("?") else layer.name
            places.append(group if layer.model else self._place(group, layer, owns=True))
        return places

    def _place(self, group: str, layer: Layer, owns: bool) -> str:
        weights = self.groups.get(group, ())
        names = [layer.name]
        inner = layer.inner
        while inner is not None:
            names.append(inner.name)
            inner = inner.inner
        found = next((place for name in names if name for place in _prefixes(weights, name, owns)), None)
        return f"{group}/{found}" if found else (group if owns else f"{group}/{layer.name}")

    def scope(self, scope: str, place: str, wrapped: bool) -> str:
        if scope:
            return scope
        return place if place in self.groups else next((g for g in self.groups if place.startswith(f"{g}/")), place)

    def wrapped(self, place: str) -> str:
        return place

    def cell(self, place: str, cells: Sequence[Layer], index: int) -> tuple[str, dict[str, Any]]:
        """tf.keras 2.3 and later name the cell; before, TensorFlow made equal names differ: ``kernel``, ``kernel_1``."""
        for own in (f"{place}/stacked_rnn_cells/{cells[index].name}", f"{place}/{cells[index].name}"):
            if self._has(f"{own}/"):
                return own, {}
        return place, {"suffix": f"_{index}" if index else ""}

    def has(self, place: str) -> bool:
        return self._has(f"{place}/") or self._has(f"{place}_")

    def _has(self, prefix: str) -> bool:
        return any(f"{group}/{name}".startswith(prefix) for group, names in self.groups.items() for name in names)


def _prefixes(weights: Iterable[str], name: str, owns: bool) -> Iterator[str]:
    """How weight names may begin for a layer of that name, best first."""
    weights = list(weights)
    if any(weight.startswith(f"{name}/") for weight in weights):
        yield name
    if owns:
        taken = re.compile(re.escape(name) + r"_\d+(?=/)")
        yield from (found[0] for weight in weights if (found := taken.match(weight)))
    if any(weight.startswith(f"{name}_") and "/" not in weight for weight in weights):
        yield name
    for weight in weights:
        before, found, _ = f"/{weight}".partition(f"/{name}/")
        if found:
            yield f"{before}/{name}".lstrip("/")


@dataclass(frozen=True)
class VarsNames:
    """``.weights.h5``: group names are made of class names, ``layers/lstm``, ``layers/lstm_1``, counted in the model's
    order; the user's own name is the attribute ``name`` of the group ``vars`` (Keras 3.15; none in tf.keras 2.15).
    """

    groups: Mapping[str, str | None]  # every group's path, with the user's name for it where that is recorded
    tensors: Sequence[str]

    def places(self, scope: str, model: Model) -> list[str]:
        base = f"{scope}/" if scope else ""
        roots = (f"{base}layers", f"{base}_layer_checkpoint_dependencies")  # the second: tf.keras 2.12 and 2.13
        container = next((root for root in roots if root in self.groups), roots[0])
        by_label = {self.groups[path]: path for path in self.groups if path.rpartition("/")[0] == container}
        counts: dict[str, int] = {}
        return [self._place(container, layer, counts, by_label) for layer in model.layers]

    def _place(
        self, container: str, layer: Layer, counts: dict[str, int], by_label: Mapping[str | None, str]
    ) -> str:
        if not layer.is_layer:
            return f"{container}/?{layer.name}"
        tries = []
        for spelled in dict.fromkeys((snake_case(layer.kind), old_snake_case(layer.kind))):
            tries.append(f"{container}/{numbered(spelled, counts)}")
        place = next((path for path in tries if path in self.groups), tries[0])
        label = self.groups.get(place)
        if label is not None and label != layer.name:
            return by_label.get(layer.name, f"{container}/?{layer.name}")
        return place

    def scope(self, scope: str, place: str, wrapped: bool) -> str:
        return self.wrapped(place) if wrapped else place

    def wrapped(self, place: str) -> str:
        return f"{place}/layer"

    def cell(self, place: str, cells: Sequence[Layer], index: int) -> tuple[str, dict[str, Any]]:
        counts: dict[str, int] = {}
        names = [numbered(snake_case(cell.kind), counts) for cell in cells]
        return f"{place}/cell/cells/{names[index]}", {}

    def has(self, place: str) -> bool:
        return any(name.startswith(f"{place}/") for name in self.tensors)


def snake_case(name: str) -> str:
    """``ConvLSTM2D`` -> ``conv_lstm2d``, ``LSTM`` -> ``lstm``: the group name of a class, since Keras 2.14 or so."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def old_snake_case(name: str) -> str:
    """``ConvLSTM2D`` -> ``conv_lst_m2d``: Keras 2's spelling, in which a digit counts as a small letter."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def numbered(name: str, counts: dict[str, int]) -> str:
    """``lstm``, then ``lstm_1``, ``lstm_2`` …"""
    count = counts.get(name, 0)
    counts[name] = count + 1
    return f"{name}_{count}" if count else name


# From the tree and the names to Declared.


@dataclass
class _Scope:
    """A model in its place: which of its layers are themselves models, and where the others' output comes from."""

    model: Model
    names: Names
    where: str = ""
    parent: _Scope | None = None
    outer: Layer | None = None  # the layer of the parent that this model is
    extra: Mapping[str, Any] = field(default_factory=dict)  # what a wrapper around the model says
    by_name: dict[str, Layer] = field(default_factory=dict)
    place: dict[str, str] = field(default_factory=dict)
    nested: dict[str, _Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer, place in zip(self.model.layers, self.names.places(self.where, self.model), strict=True):
            self.by_name[layer.name] = layer
            self.place[layer.name] = place
            model, wrapper = layer.model, ""
            if model is None and layer.kind == "TimeDistributed":
                # Depth is bounded already: the JSON parser met this nesting first.
                model, wrapper = model_of(layer.config.get("layer") or {}, Limits()), "TimeDistributed"
            if model is not None:
                where = self.names.scope(self.where, place, bool(wrapper))
                extra = {**self.extra, "wrapper": wrapper} if wrapper else self.extra
                self.nested[layer.name] = _Scope(model, self.names, where, self, layer, extra)

    def inputs_of(self, layer: Layer) -> list[tuple[_Scope, str]]:
        return [(self, name) for call in layer.calls for name in call]

    def fed_by(self, name: str) -> list[tuple[_Scope, str]]:
        """What goes into this nested model at its input layer ``name``."""
        if self.parent is None or self.outer is None:
            return []
        at = self.model.inputs.index(name) if name in self.model.inputs else None
        chosen = [
            call if at is None or len(call) != len(self.model.inputs) else call[at : at + 1]
            for call in self.outer.calls
        ]
        return [(self.parent, source) for call in chosen for source in call]

    def after(self, layer: Layer) -> tuple[str, ...]:
        """The places whose output a layer takes, seen through neutral layers and the walls of nested models."""
        found: dict[str, None] = {}
        todo, seen = list(reversed(self.inputs_of(layer))), set()
        while todo:
            scope, name = todo.pop()
            if (id(scope), name) in seen:
                continue
            seen.add((id(scope), name))
            source = scope.by_name.get(name)
            if source is None or source.kind == "InputLayer":
                todo += reversed(scope.fed_by(name))
            elif name in scope.nested:
                inside = scope.nested[name]
                todo += [(inside, output) for output in reversed(inside.model.outputs)]
            elif source.kind in NEUTRAL:
                todo += reversed(scope.inputs_of(source))
            else:
                found[_unwrap(source, scope.place[name], self.names)[-1].path] = None
        return tuple(found)


def declare(model: Model, names: Names, version: str | None) -> list[Declared]:
    """One Declared for each layer with tensors in the file (one for each cell of StackedRNNCells), in model order."""
    return list(_declare(_Scope(model, names), version))


def _declare(scope: _Scope, version: str | None) -> Iterator[Declared]:
    for layer in scope.model.layers:
        if layer.name in scope.nested:
            yield from _declare(scope.nested[layer.name], version)
            continue
        after = scope.after(layer)
        for part in _unwrap(layer, scope.place[layer.name], scope.names):
            if scope.names.has(part.path):
                settings = {**scope.extra, **part.settings}
                yield Declared(part.path, part.kind, settings, layer.name, after, version)
            after = (part.path,)


def _unwrap(layer: Layer, place: str, names: Names) -> list[Declared]:
    """The layer without its wrappers: its kind, its settings with what the wrappers say, its place."""
    inner = layer.inner
    if layer.cells:
        return [_cell(layer, place, names, index) for index in range(len(layer.cells))]
    if layer.kind == "RNN" and inner is not None:
        return [Declared(place, f"keras.{inner.kind}", {**_without(layer.config, "cell", "name"), **inner.config})]
    if layer.kind == "TimeDistributed" and inner is not None:
        parts = _unwrap(inner, names.wrapped(place), names)
        return [Declared(p.path, p.kind, {**p.settings, **_wrapped(p, "TimeDistributed")}) for p in parts]
    if layer.kind == "Bidirectional" and inner is not None and not inner.cells:
        [part] = _unwrap(inner, place, names)
        said = {**_without(layer.config, "layer", "name", "trainable", "dtype", "backward_layer")}
        backward = layer.config.get("backward_layer")
        if isinstance(backward, dict):
            said["backward_layer"] = _inner(backward).config
        return [Declared(place, part.kind, {**part.settings, **said, "wrapper": "Bidirectional"})]
    return [Declared(place, f"keras.{layer.kind}", layer.config)]


def _wrapped(part: Declared, wrapper: str) -> dict[str, str]:
    """A wrapper around a wrapper is noted apart: which of the two is Bidirectional decides on the tensors."""
    return {"outer_wrapper": wrapper} if "wrapper" in part.settings else {"wrapper": wrapper}


def _cell(layer: Layer, place: str, names: Names, index: int) -> Declared:
    cells = layer.cells
    path, extra = names.cell(place, cells, index)
    settings = {**_without(layer.config, "cell", "name"), **cells[index].config, **extra}
    return Declared(path, f"keras.{cells[index].kind}", {**settings, "cell": index, "cells": len(cells)})


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


def lambdas(model: Model) -> Iterator[str]:
    """The names of Lambda layers, which hold code."""
    for layer in model.layers:
        if layer.kind == "Lambda":
            yield layer.name
        if layer.model is not None:
            yield from lambdas(layer.model)
