"""Keras layers of the user's own: which layer of a model is one, its variables by name, and the ways of calling it.

A variable's name is its path below its layer, as Keras has it (``my_lstm/W``), or if the layout knows none of these the
attribute in which the layer keeps it.  Not known here: which way is the right one (``_custom.believed``), and what the
layout says.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts import Layout, Match, recognise
from ..record import replace
from ._calls import Reading, Tools, Way, readings, ways
from ._keras_layer import KerasLayer
from ._keras_run import array, is_old, quiet, tensor, twin
from ._keras_variables import KerasWeight, weight_of
from .keras import children, every, package

if TYPE_CHECKING:
    from ..tensors import Array


class KerasOwn(KerasLayer):
    """A layer of the user's own.  ``callers``: the layers that may be called for it, by their paths, the innermost first."""

    def __init__(self, path: str, layer: Any, weights: Mapping[str, KerasWeight], layout: Layout, callers: list[tuple[str, Any]]):  # fmt: skip
        super().__init__(path, layer)
        self.layouts = (layout,)
        self.precision = str(layer.compute_dtype)
        self.unproved = True
        self._weights, self._callers = weights, callers

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        tools = _tools(self.keras)
        if self.called is not None:
            for stated in (True, False):
                yield self._numpy(Way("run(layer, x, state)", stated, self._said(letters, cells, tools)), self.subject)
            return
        for path, layer in self._callers:
            for way in ways(_call(layer), letters, cells, tools, path or "layer"):
                yield self._numpy(way, layer)

    def _said(self, letters: str, cells: int, tools: Tools) -> Any:
        def call(x: Any, states: Sequence[Any]) -> Iterator[Reading]:
            assert self.called is not None
            given = self.called(self.subject, x, tuple(states))
            yield from readings(given, int(x.shape[1]), letters, cells, tools)

        return call

    def _numpy(self, way: Way, layer: Any) -> Way:
        """The way with numpy in and out, after which the layer's variables are what they were."""

        def call(x: Array, states: Sequence[Array]) -> Iterator[Reading]:
            dtype = layer.compute_dtype
            with quiet(self.keras), _kept(self.keras, layer):
                start = [tensor(self.keras, each, dtype) for each in states]
                given = list(way.call(tensor(self.keras, x, dtype), start))
            for y, final in given:
                yield (
                    array(self.keras, y),
                    None if final is None else tuple(array(self.keras, each) for each in final),
                )

        return Way(way.how, way.stated, call)


def _call(layer: Any) -> Any:
    """The layer as it is called when it is used and not trained."""
    same = twin(layer)
    said = {"training": False} if "training" in inspect.signature(layer.call).parameters else {}
    return lambda *args: same(*args, **said)


@contextlib.contextmanager
def _kept(keras: Any, layer: Any) -> Iterator[None]:
    """Afterwards every variable of the layer, a random state too, holds the numbers that it held before, and the layers in
    it have the losses that they had."""
    import numpy as np

    held = list(layer.weights if is_old(keras) else layer.variables)
    before = [np.array(array(keras, each)) for each in held]
    records = [
        vars(each)[name] for each in layer._flatten_layers() for name in ("_losses", "_loss_ids") if name in vars(each)
    ]
    kept = [record.copy() for record in records]
    try:
        yield
    finally:
        for variable, value in zip(held, before, strict=True):
            if not np.array_equal(array(keras, variable), value, equal_nan=value.dtype.kind == "f"):
                variable.assign(value)
        for record, content in zip(records, kept, strict=True):
            record.clear()
            (record.update if isinstance(record, set) else record.extend)(content)


def _tools(keras: Any) -> Tools:
    if is_old(keras):
        import tensorflow as tf

        return Tools(lambda tensors, axis: tf.stack(list(tensors), axis), lambda each: tf.einsum("ab...->ba...", each))
    return Tools(
        lambda tensors, axis: keras.ops.stack(list(tensors), axis), lambda each: keras.ops.swapaxes(each, 0, 1)
    )


# Which layers, and what their weights are called.


def owned(path: str, subject: Any, layout: Layout) -> Iterator[KerasOwn]:
    """The layers in a layer or model that a layout describes; where there is none, all its weights, which tell why."""
    if not subject.weights:
        raise unbuilt(path, subject)
    whole = KerasOwn(path, subject, _by_path(path, subject), layout, [])
    matches = recognise(whole.tensors(), (layout,), chosen=True).matches
    if not matches:
        other = KerasOwn(path, subject, _by_attribute(path, subject), layout, [])
        matches = recognise(other.tensors(), (layout,), chosen=True).matches
        whole = other if matches else whole
    if not matches:
        yield whole
    layers = list(every(path, subject))
    for match in matches:
        callers = _around(layers, whole, match, [other for other in matches if other is not match])
        weights = {name: whole.weights[name] for name in match.tensors}
        turned = any(getattr(layer, "go_backwards", False) is True for _, layer in callers)
        at = callers[0][0]
        layer = [layer for where, layer in callers if where == at][-1]  # an RNN rather than its cell
        yield KerasOwn(at, layer, weights, _backwards(layout) if turned else layout, callers)


def _backwards(layout: Layout) -> Layout:
    return replace(layout, dialect=replace(layout.meaning, go_backwards=True))


def _around(
    layers: Sequence[tuple[str, Any]], whole: KerasOwn, match: Match, others: Sequence[Match]
) -> list[tuple[str, Any]]:
    """The layers that hold all of a match, the innermost first, and of those that hold others too only that one."""
    holding = [(path, layer) for path, layer in layers if _holds(layer, whole, match)][::-1]
    alone = [(path, layer) for path, layer in holding if not any(_holds(layer, whole, other) for other in others)]
    return alone or holding[:1]


def _holds(layer: Any, whole: KerasOwn, match: Match) -> bool:
    held = {id(variable) for variable in layer.weights}
    return all(id(whole.weights[name].variable) in held for name in match.tensors)


def _by_path(path: str, subject: Any) -> dict[str, KerasWeight]:
    """Every variable by its own path below the layer that holds it; two of one name are numbered."""
    found: dict[str, KerasWeight] = {}
    for at, layer in every(path, subject):
        for variable in _direct(layer):
            own = str(getattr(variable, "path", variable.name)).partition(":")[0].split("/")
            below = own[len(own) - own[::-1].index(layer.name) :] if layer.name in own[:-1] else own[-1:]
            _add(found, layer, variable, "/".join(filter(None, (at, *below))))
    return found


def _by_attribute(path: str, subject: Any) -> dict[str, KerasWeight]:
    """Every variable by the attribute that holds it."""
    found: dict[str, KerasWeight] = {}
    for at, layer in every(path, subject):
        for variable in _direct(layer):
            name = next((name for name, value in vars(layer).items() if value is variable), None)
            if name is not None:
                _add(found, layer, variable, "/".join(filter(None, (at, name))))
    return found


def _direct(layer: Any) -> list[Any]:
    """The variables of a layer that are in no layer in it."""
    inner = {id(variable) for _, child in children(layer) for variable in child.weights}
    return [variable for variable in layer.weights if id(variable) not in inner]


def _add(found: dict[str, KerasWeight], layer: Any, variable: Any, name: str) -> None:
    if any(weight.variable is variable for weight in found.values()):
        return
    number, free = 0, name
    while free in found:
        number += 1
        free = f"{name}_{number}"
    found[free] = weight_of(package(layer), layer, variable, free)


def unbuilt(path: str, layer: Any) -> UsageError:
    what = "layer" if not path else "model"
    return UsageError(
        f"the Keras layer {path or layer.name!r} has no weights yet: it is not built.",
        next=f"Call the {what} once on data of your shape, or build it: {what}.build((None, None, features)).",
    )
