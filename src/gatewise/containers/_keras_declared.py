"""From a model's config and the names in its file to :class:`~gatewise.tensors.Declared`.

Every layer with tensors in the file gets one entry (each cell of StackedRNNCells its own), without its wrappers: what
they say stands in the settings.  ``after`` follows the arrows between layers, through the walls of nested models and
past layers that do nothing when a model is used.
Source: the configs in tests/fixtures/keras.  Not known here: what a wrapper of the user's own does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..cursor import DEFAULT_LIMITS
from ..record import field, record
from ..tensors import Declared
from ._keras_config import Layer, Model, inner_of, model_of
from ._keras_names import Names

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

# Layers that pass their input on unchanged when a model is used.
NEUTRAL = frozenset((
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise", "GaussianDropout",
    "AlphaDropout", "ActivityRegularization",
))  # fmt: skip


@record
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
            model, extra = layer.model, self.extra
            if model is None and layer.kind == "TimeDistributed":
                wrapped = layer.config.get("layer")
                # Depth is bounded already: the JSON parser met this nesting first.
                model = model_of(wrapped, DEFAULT_LIMITS) if isinstance(wrapped, dict) else None
                place, extra = self.names.wrapped(place), {**self.extra, "wrapper": layer.kind}
            if model is not None:
                where = self.names.within(place)
                self.nested[layer.name] = _Scope(model, self.names, where, self, layer, extra)

    @property
    def names_above(self) -> tuple[str, ...]:
        """The names of the nested models around this one's layers."""
        if self.parent is None or self.outer is None:
            return ()
        own = (
            () if self.outer.name.startswith("?") else (self.outer.name,)
        )  # Keras 2.2 left a nested Sequential unnamed
        return (*self.parent.names_above, *own)

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
                found[unwrap(source, scope.place[name], self.names)[-1].path] = None
        return tuple(found)


def declare(model: Model, names: Names, version: str | None, where: str = "") -> list[Declared]:
    """One Declared for each layer with tensors in the file (one for each cell of StackedRNNCells), in model order."""
    return list(_declare(_Scope(model, names, where), version))


def _declare(scope: _Scope, version: str | None) -> Iterator[Declared]:
    for layer in scope.model.layers:
        if layer.name in scope.nested:
            yield from _declare(scope.nested[layer.name], version)
            continue
        parts = unwrap(layer, scope.place[layer.name], scope.names)
        if not any(scope.names.has(part.path) for part in parts):
            continue  # where its input comes from is looked for no further than anybody asks: graphs can be long
        after = scope.after(layer)
        for part in parts:
            if scope.names.has(part.path):
                name = "/".join((*scope.names_above, layer.name, *_cell_name(part)))
                settings = {**scope.extra, **part.settings}
                yield Declared(part.path, part.kind, settings, name, after, version, part.member)
            after = (part.path,)


def _cell_name(part: Declared) -> tuple[str, ...]:
    return ("cells", str(part.settings["cell"])) if "cells" in part.settings else ()


def unwrap(layer: Layer, place: str, names: Names) -> list[Declared]:
    """The layer without its wrappers: its kind, its settings with what the wrappers say, its place."""
    inner = layer.inner
    if layer.cells:
        return [_cell(layer, place, names, index) for index in range(len(layer.cells))]
    if layer.kind == "RNN" and inner is not None:
        return [Declared(place, f"keras.{inner.kind}", {**_without(layer.config, "cell", "name"), **inner.config})]
    if layer.kind == "TimeDistributed" and inner is not None:
        parts = unwrap(inner, names.wrapped(place), names)
        return [Declared(p.path, p.kind, {**p.settings, **_wrapped(p, "TimeDistributed")}) for p in parts]
    if layer.kind == "Bidirectional" and inner is not None and not inner.cells:
        [part] = unwrap(inner, place, names)
        said = {**_without(layer.config, "layer", "name", "trainable", "dtype", "backward_layer")}
        backward = layer.config.get("backward_layer")
        if isinstance(backward, dict):
            said["backward_layer"] = inner_of(backward).config
        return [Declared(place, part.kind, {**part.settings, **said, "wrapper": "Bidirectional"})]
    return [Declared(place, f"keras.{layer.kind}", layer.config)]


def _wrapped(part: Declared, wrapper: str) -> dict[str, str]:
    """A wrapper around a wrapper is noted apart: which of the two is Bidirectional decides on the tensors."""
    return {"outer_wrapper": wrapper} if "wrapper" in part.settings else {"wrapper": wrapper}


def _cell(layer: Layer, place: str, names: Names, index: int) -> Declared:
    cells = layer.cells
    path, member = names.cell(place, layer, index)
    settings = {**_without(layer.config, "cell", "name"), **cells[index].config, "cell": index, "cells": len(cells)}
    return Declared(path, f"keras.{cells[index].kind}", settings, member=member)


def _without(config: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}
