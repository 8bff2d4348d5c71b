"""Keras's recurrent layers as holders of weights: what they declare, their variables by name, their own forward run.

A weight is called as in Keras's files, by the layer's path and the weight's name: ``encoder/forward_layer/kernel``.
Sources: keras/src/layers/rnn/{lstm,gru,simple_rnn,bidirectional}.py (attributes), keras/src/activations.
Not known here: where in a model a layer is (``keras``), and how a variable is written (``_keras_variables``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ..layouts.keras import ACTIVATIONS
from ..tensors import Declared
from ._custom import layout_of
from ._keras_layer import KerasLayer
from ._keras_own import owned, unbuilt
from ._keras_run import run_cell, run_layer
from ._keras_variables import KerasWeight, weight_of
from ._weight import NO_LAYOUT, Holder, Unread
from .keras import CELLS, cell_of, is_known, kind_of, known_classes, recurrent

if TYPE_CHECKING:
    from ..tensors import Array

_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
# What a layer's configuration says of how it computes, on the layer or on its cell.
_SETTINGS = (
    "units", "activation", "recurrent_activation", "use_bias", "reset_after", "go_backwards", "return_sequences", "return_state",
    "stateful", "unroll", "time_major", "zero_output_for_mask", "dropout", "recurrent_dropout", "implementation",
)  # fmt: skip
_FUNCTIONS = ("activation", "recurrent_activation")
_DIRECTIONS = ("forward_layer", "backward_layer")


class KerasHolder(KerasLayer):
    """One recurrent layer of Keras, or a cell."""

    naming = "keras-live"

    def __init__(self, path: str, layer: Any):
        super().__init__(path, layer)
        first = cell_of(self._parts[0][1])
        self.kind, self.precision = kind_of(first), str(first.compute_dtype)
        self.layouts = (layout_called(f"keras.{self.kind.removesuffix('Cell')}"),)
        self.unproved = any(_computes_its_own_way(each) for _, part in self._parts for each in {part, cell_of(part)})
        # "backward_layer/kernel" would be a direction: a layer that happens to be called so keeps its weights one deeper.
        self.prefix = f"{path}/cell" if path.rpartition("/")[2] in _DIRECTIONS else path
        self._weights = {weight.name: weight for weight in self._found()}

    @property
    def _parts(self) -> list[tuple[str, Any]]:
        """The layers of one direction that it consists of, with what their weights' names begin with."""
        if kind_of(self.subject) == "Bidirectional":
            return [(name, getattr(self.subject, name)) for name in _DIRECTIONS]
        return [("", self.subject)]

    def _found(self) -> Iterator[KerasWeight]:
        for part, layer in self._parts:
            cell = cell_of(layer)
            for name in _WEIGHTS:
                variable = getattr(cell, name, None)
                if variable is not None:
                    yield weight_of(self.keras, cell, variable, "/".join(filter(None, (self.prefix, part, name))))
                elif name != "bias":
                    raise unbuilt(self.path, self.subject)

    def declared(self) -> Sequence[Declared]:
        parts = [self._settings(layer) for _, layer in self._parts]
        settings = dict(parts[0])
        if len(parts) == 2:
            merge = self.subject.merge_mode
            settings |= {"wrapper": "Bidirectional", "merge_mode": merge, "backward_layer": parts[1]}
        return [Declared(self.prefix, f"keras.{self.kind}", settings, name=self.path, version=self.version)]

    def _settings(self, layer: Any) -> dict[str, Any]:
        cell = cell_of(layer)
        both = {**_held(cell), **_held(layer)} if cell is not layer else _held(cell)
        return {name: self._named(value) if name in _FUNCTIONS else value for name, value in both.items()}

    def _named(self, function: Any) -> str:
        """An activation's name, if it is the function of that name.  One of the user's own is not taken for its namesake."""
        for name in ACTIVATIONS:
            if any(getattr(home, name, None) is function for home in self._homes()):
                return str(name)
        module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", type(function).__name__)
        return f"function {module}.{name}" if module else f"function {name}"

    def _homes(self) -> tuple[Any, ...]:
        return (self.keras.activations, getattr(self.keras, "ops", None))

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        if kind_of(self.subject) in CELLS:
            return run_cell(self.keras, self.subject, x, state)
        return run_layer(self.keras, self.subject, x, state)


def _held(layer: Any) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in _SETTINGS if hasattr(layer, name)}


def _computes_its_own_way(layer: Any) -> bool:
    """Whether a class made of one of Keras's has another ``call``: what it computes is then not taken on trust."""
    known = next(known_classes(type(layer)))
    return next(each for each in type(layer).__mro__ if "call" in vars(each)) not in known.__mro__


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers in a Keras layer or model; with a layout, those that it describes."""
    if layout is not None:
        yield from owned("", subject, layout)
        return
    for path, layer in recurrent(subject):
        if not is_known(layer):
            yield Unread(path, layer, *NO_LAYOUT)
            continue
        described = layout_of(layer) or layout_of(cell_of(layer))
        if described is None:
            yield KerasHolder(path, layer)
        else:
            yield from owned(path, layer, described)
