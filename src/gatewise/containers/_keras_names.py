"""How Keras names the tensors of a layer, in its two schemes.

A *place* is what the names of a layer's tensors begin with; a *scope* is the place of a model, "" for the outermost.
Source: the files in tests/fixtures/keras; for ``.weights.h5`` also keras/src/saving/saving_lib.py and
keras/src/utils/naming.py of Keras 3.15.1.
Not known here: the versions between those of the fixtures; both spellings of a class name are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..record import lazy, record
from ._keras_config import Layer, Model

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Names(Protocol):
    """A naming scheme."""

    def places(self, scope: str, model: Model, /) -> list[str]:
        """The place of each layer of a model."""

    def within(self, place: str) -> str:
        """The scope of the nested model at ``place``."""

    def wrapped(self, place: str) -> str:
        """The place of the layer in a TimeDistributed at ``place``."""

    def cell(self, place: str, rnn: Layer, index: int) -> tuple[str, str]:
        """The place of one cell of StackedRNNCells at ``place``, and its ``member`` where cells share one."""

    def has(self, place: str) -> bool:
        """Does a tensor's name begin with the place?"""


@record
class LegacyNames:
    """``.h5``: a group for each layer of the outermost model, in it the weights under their own names.

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

    def within(self, place: str) -> str:
        group = place
        while group and group not in self.groups:
            group = group.rpartition("/")[0]
        return group or place

    def wrapped(self, place: str) -> str:
        return place

    def cell(self, place: str, rnn: Layer, index: int) -> tuple[str, str]:
        """tf.keras 2.3 and later name the cell; before, TensorFlow made equal names differ: ``kernel``, ``kernel_1``."""
        stacked, cell = (rnn.inner.name if rnn.inner else ""), rnn.cells[index].name
        for own in (f"{place}/{stacked}/{cell}", f"{place}/{cell}"):
            if self._has(own, "/"):
                return own, ""
        return place, str(index) if index else ""

    def has(self, place: str) -> bool:
        return self._has(place, "/", "_")

    def _has(self, place: str, *marks: str) -> bool:
        group, prefixes = self.within(place), tuple(place + mark for mark in marks)
        return any(f"{group}/{name}".startswith(prefixes) for name in self.groups.get(group, ()))


@record
class VariableNames:
    """TensorFlow.js: the variables' own names without any group, ``bidirectional_1/forward_lstm_2/kernel``.

    The layers of a nested model keep the names that they would have outside of it.
    """

    weights: Sequence[str]

    def places(self, _scope: str, model: Model) -> list[str]:
        return [self._place(layer) for layer in model.layers]

    def _place(self, layer: Layer) -> str:
        names, inner = [layer.name], layer.inner
        while inner is not None:
            names.append(inner.name)
            inner = inner.inner
        return next((place for name in names if name for place in _prefixes(self.weights, name, True)), layer.name)

    def within(self, place: str) -> str:
        return place

    def wrapped(self, place: str) -> str:
        return place

    def cell(self, place: str, rnn: Layer, index: int) -> tuple[str, str]:
        """TensorFlow.js numbers the cells; what was converted from Keras has Keras's names of them."""
        stacked, cell = (rnn.inner.name if rnn.inner else ""), rnn.cells[index].name
        for own in (f"{place}/RNNCell_{index}", f"{place}/{stacked}/{cell}", f"{place}/{cell}"):
            if self.has(own):
                return own, ""
        return place, str(index) if index else ""

    def has(self, place: str) -> bool:
        return any(name.startswith(f"{place}/") for name in self.weights)


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
        before, name_in_it, _ = f"/{weight}".partition(f"/{name}/")
        if name_in_it:
            yield f"{before}/{name}".lstrip("/")


@record
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
        children = [path for path in self.groups if path.rpartition("/")[0] == container]
        by_label = {self.groups[path]: path for path in children}
        counts: dict[str, int] = {}
        gaps = _with_gaps(children, model)
        return [self._place(container, layer, counts, by_label, gaps) for layer in model.layers]

    def _place(
        self, container: str, layer: Layer, counts: dict[str, int], by_label: Mapping[str | None, str],
        gaps: Mapping[str, Sequence[str]],
    ) -> str:  # fmt: skip
        if not layer.is_layer:
            return f"{container}/?{layer.name}"
        tries = []
        for spelled in dict.fromkeys((snake_case(layer.kind), old_snake_case(layer.kind))):
            rank = counts.get(spelled, 0)
            name = numbered(spelled, counts)
            tries.append(gaps[spelled][rank] if spelled in gaps else f"{container}/{name}")
        place = next((path for path in tries if path in self.groups), tries[0])
        label = self.groups.get(place)
        if label is not None and label != layer.name:
            return by_label.get(layer.name, f"{container}/?{layer.name}")
        return place

    def within(self, place: str) -> str:
        return place

    def wrapped(self, place: str) -> str:
        return f"{place}/layer"

    def cell(self, place: str, rnn: Layer, index: int) -> tuple[str, str]:
        counts: dict[str, int] = {}
        names = [numbered(snake_case(cell.kind), counts) for cell in rnn.cells]
        return f"{place}/cell/cells/{names[index]}", ""

    def has(self, place: str) -> bool:
        return place in self._above

    @lazy
    def _above(self) -> frozenset[str]:
        """Every group with a tensor somewhere in it."""
        found: set[str] = set()
        for name in self.tensors:
            while (name := name.rpartition("/")[0]) and name not in found:
                found.add(name)
        return frozenset(found)


def _with_gaps(children: Iterable[str], model: Model) -> dict[str, list[str]]:
    """Classes whose groups are numbered with gaps (``lstm``, ``lstm_2``, ``lstm_4``), as tf.keras 2.12 and 2.13 did
    by walking each layer twice: class name → its groups by number, where there is one for each layer of the class."""
    numbers: dict[str, list[tuple[int, str]]] = {}
    for path in children:
        name = path.rpartition("/")[2]
        stem, _, number = name.rpartition("_")
        counted = (stem, int(number)) if stem and number.isdigit() else (name, 0)
        numbers.setdefault(counted[0], []).append((counted[1], path))
    found = {}
    for kind in {layer.kind for layer in model.layers if layer.is_layer}:
        for spelled in (snake_case(kind), old_snake_case(kind)):
            groups = sorted(numbers.get(spelled, ()))
            count = sum(layer.is_layer and layer.kind == kind for layer in model.layers)
            if len(groups) == count and [number for number, _ in groups] != list(range(count)):
                found[spelled] = [path for _, path in groups]
    return found


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
