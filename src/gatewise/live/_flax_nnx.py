"""NNX modules in memory: their recurrent layers, written in place, run as they are.

A weight is a variable of the module; what it holds is asked at every use, so that inside ``nnx.grad`` it is the traced
array.  Sources: flax/nnx/nn/recurrent.py, flax/nnx/variablelib.py, ``nnx.iter_graph`` (0.12.8).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..record import record
from ._arrays import as_numpy, dtype_of, is_array, like
from ._calls import Way
from ._custom import layout_of
from ._flax_cells import kind_of, layout_for, meaning_of, of_both, of_rnn, run
from ._own import Caller, around, carry_first, matches_of, only, said, ways_of
from ._trees import Path, mask_of, no_switch, walk
from ._weight import NO_LAYOUT, Holder, Unread, Weight

if TYPE_CHECKING:
    from ..tensors import Array

_CELLS = ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell")
_HOME = "flax.nnx.nn.recurrent"


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers in an NNX module, or in a tree of such."""
    nnx = sys.modules["flax.nnx"]
    if layout is not None:
        if isinstance(subject, nnx.Module):
            yield from _own(subject, subject, layout)
        return
    for path, module in walk(subject, stop=lambda each: isinstance(each, nnx.Module)):
        if isinstance(module, nnx.Module):
            for found in _found(nnx, module):
                described = layout_of(found.module)
                if described is None and not found.kind:
                    yield Unread("/".join((*path, *found.path)), found.module, *NO_LAYOUT)
                elif described is None:
                    yield NnxHolder(subject, path, found)
                else:
                    yield from _own(subject, found.module, described, (*path, *found.path))


@record
class _Found:
    """A recurrent module at a path: ``how`` it is called (cell, rnn, both), and its cells."""

    path: Path
    module: Any
    how: str
    cells: tuple[Any, ...]
    kind: str


def _found(nnx: Any, module: Any) -> Iterator[_Found]:
    """The outermost recurrent modules; what is described by its user has its own layout."""
    inside: list[Path] = []
    graph = [(tuple(map(str, path)), each) for path, each in nnx.iter_graph(module) if isinstance(each, nnx.Module)]
    for path, each in sorted(graph, key=lambda pair: (len(pair[0]), pair[0])):
        if any(path[: len(outer)] == outer for outer in inside):
            continue
        found = _recurrent(nnx, path, each)
        if layout_of(each) is not None:
            found = _Found(path, each, "own", (), "own")
        if found is not None:
            inside.append(path)
            yield found


def _recurrent(nnx: Any, path: Path, module: Any) -> _Found | None:
    if isinstance(module, nnx.Bidirectional):
        pair = (module.forward_rnn, module.backward_rnn)
        if all(isinstance(each, nnx.RNN) for each in pair) and pair[0].cell is not pair[1].cell:
            one, other = (each.cell for each in pair)
            kinds = {kind_of(each, _HOME, _CELLS) for each in (one, other)}
            kind = kinds.pop() if len(kinds) == 1 else ""
            kind = kind if kind and meaning_of(one) == meaning_of(other) else ""
            return _Found(path, module, "both", (one, other), kind)
    elif isinstance(module, nnx.RNN):
        return _Found(path, module, "rnn", (module.cell,), kind_of(module.cell, _HOME, _CELLS))
    elif isinstance(module, nnx.nn.recurrent.RNNCellBase):
        return _Found(path, module, "cell", (module,), kind_of(module, _HOME, _CELLS))
    return None


class NnxWeight(Weight):
    """A variable, whatever array it holds when it is asked for."""

    def __init__(self, variable: Any, name: str):
        self.variable, self.name = variable, name
        value = self.native()
        self.dtype, self.shape = dtype_of(value), tuple(value.shape)

    def native(self) -> Any:
        return value_of(self.variable)

    def array(self) -> Array:
        return as_numpy(self.native())

    def assign(self, array: Array) -> None:
        value = like(array, self.native())
        if hasattr(self.variable, "set_value"):
            self.variable.set_value(value)
        else:  # before flax 0.12
            self.variable.value = value

    @property
    def frozen(self) -> bool:
        return False

    def freeze(self, frozen: bool = True) -> None:  # noqa: ARG002
        raise no_switch(self.name)


def value_of(variable: Any) -> Any:
    return variable.get_value() if hasattr(variable, "get_value") else variable.value


class NnxHolder(Holder):
    """A cell, an RNN or a Bidirectional of NNX."""

    framework = "flax"

    def __init__(self, subject: Any, outer: Path, found: _Found):
        self.subject, self.found = subject, found
        self.version = str(sys.modules["flax"].__version__)
        self.layouts = (layout_for(found.kind, "flax.nnx"),)
        self.path = "/".join((*outer, *found.path))
        named = variables_of(found.module, (*outer, *found.path))
        self._weights = {name: NnxWeight(variable, name) for name, variable in named}
        own = of_both(found.module) if found.how == "both" else of_rnn(found.module) if found.how == "rnn" else {}
        self.meaning = meaning_of(found.cells[0]) | own

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def mask_tree(self, masks: Mapping[str, Array], whole: bool) -> Any:
        return mask_tree(self.subject, masks, whole)

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        module = self.found.module

        def call(*given: Any) -> Any:
            if self.found.how == "cell":
                return module(*given)
            inputs, carry = given
            return module(inputs, initial_carry=carry, return_carry=True, time_major=False)

        sizes = [cell.hidden_features for cell in self.found.cells]
        first = next(iter(self._weights.values())).native()
        return run(self.found.how, call, sizes, "LSTM" in self.found.kind, x, state, first)


class NnxOwn(Holder):
    """A layer of the user's own in an NNX module."""

    framework = "flax"

    def __init__(self, given: Any, module: Any, layout: Layout, weights: dict[str, Weight], callers: Sequence[Caller]):
        self.given, self.subject, self.layouts, self.callers = given, module, (layout,), callers
        self.version = str(sys.modules["flax"].__version__)
        self.unproved = True
        self._weights = weights

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def mask_tree(self, masks: Mapping[str, Array], whole: bool) -> Any:
        return mask_tree(self.given, masks, whole)

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        example = next(iter(self._weights.values())).native()
        if self.called is not None:
            yield from said(self.called, self.result, letters, cells, example)
        else:
            yield from ways_of(self.callers, letters, cells, example)


def _own(given: Any, module: Any, layout: Layout, outer: Path = ()) -> Iterator[Holder]:
    """The layers in a module that a layout describes, called as they are: x first, or a cell's carry first."""
    nnx = sys.modules["flax.nnx"]
    weights: dict[str, Weight] = {name: NnxWeight(each, name) for name, each in variables_of(module, outer)}
    whole = NnxOwn(given, module, layout, weights, ())
    matches = matches_of(whole.tensors(), layout)
    if not matches:
        yield whole
    graph = {"/".join((*outer, *map(str, path))): each for path, each in nnx.iter_graph(module) if callable(each)}
    parts = {path: each for path, each in graph.items() if isinstance(each, nnx.Module)}
    for match in matches:
        callers = []
        for path in around(list(parts), match, matches, "/"):
            callers += _callers(path or "layer", parts[path])
        yield NnxOwn(given, module, layout, only(weights, match), callers)


def _callers(how: str, module: Any) -> list[Caller]:
    return [Caller(how, lambda: module), Caller(f"{how} (carry first)", lambda: carry_first(module))]


def mask_tree(subject: Any, masks: Mapping[str, Array], whole: bool) -> Any:
    """The masks in the shape of ``nnx.as_pure(nnx.state(model, nnx.Param))``, which is what ``nnx.Optimizer`` gives optax; it is
    a prefix of the state itself."""
    nnx, jax = sys.modules["flax.nnx"], sys.modules["jax"]
    state = nnx.state(subject, nnx.Param)
    state = nnx.as_pure(state) if hasattr(nnx, "as_pure") else state

    def mask(path: Any, array: Any) -> Any:
        name = "/".join(str(getattr(key, "key", getattr(key, "idx", ""))) for key in path if not hasattr(key, "name"))
        return mask_of(array, masks.get(name), whole)

    return jax.tree_util.tree_map_with_path(mask, state)


def variables_of(module: Any, outer: Path) -> Iterator[tuple[str, Any]]:
    """The parameters of a module by the paths to them."""
    nnx = sys.modules["flax.nnx"]
    for path, each in nnx.iter_graph(module):
        if isinstance(each, nnx.Param) and is_array(value_of(each)):
            yield "/".join((*outer, *map(str, path))), each
