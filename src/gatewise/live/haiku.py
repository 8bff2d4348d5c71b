"""Haiku's parameters in memory: alone, or beside the function that was transformed.

Source: dm-haiku haiku/_src/recurrent.py (0.0.17).  Haiku's modules live only inside of what is transformed; the names of
the parameters tell the core, and the cores have no settings that the names do not show.  A run is the core's own, with the
parameters in the tree.  Haiku is taken from ``sys.modules``.  Not known here: what else the user's function does, but for
a layer of the user's own, which is called through it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout, Match, layouts_for, recognise
from ._jax import scanned, states
from ._own import Caller, only
from ._tree_own import CalledTree, owned
from ._trees import Tree, TreeHolder
from ._weight import Holder

if TYPE_CHECKING:
    from ..tensors import Array

_PARAMETERS = frozenset(("w", "b", "w_i", "w_h"))


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The cores whose parameters a tree of Haiku's holds."""
    haiku = sys.modules.get("haiku")
    if haiku is None:
        return
    transformed = type(subject) is tuple and len(subject) == 2 and _is_transformed(haiku, subject[0])
    tree = subject[1] if transformed else subject
    if transformed and layout is not None:
        yield from _own(subject, layout)
    elif layout is None and _looks_like_haikus(tree):
        yield from _cores(Tree(tree, whole=(lambda new: (subject[0], new)) if transformed else None))


def _is_transformed(haiku: Any, value: Any) -> bool:
    return isinstance(value, (haiku.Transformed, haiku.TransformedWithState))


def _looks_like_haikus(tree: Any) -> bool:
    """{module: {parameter: array}}, with parameters of the cores among them."""
    if not isinstance(tree, Mapping) or not all(isinstance(each, Mapping) for each in tree.values()):
        return False
    return any(_PARAMETERS.intersection(each) for each in tree.values())


def _cores(tree: Tree) -> Iterator[Holder]:
    whole = TreeHolder(tree, framework="haiku", separator="/")
    matches = recognise(whole.tensors(), layouts_for(whole.tensors())).matches
    if all(match.layout.framework == "haiku" for match in matches):
        for match in matches:
            yield HaikuHolder(tree, match)


class HaikuHolder(CalledTree):
    """The parameters of one core."""

    def __init__(self, tree: Tree, match: Match):
        super().__init__(tree, framework="haiku", layouts=(match.layout,), separator="/")
        self._weights = only(self._weights, match)
        self.path, self._unit = match.group.path, match.sizes[0, "forward"]["unit"]
        self.kind = match.layout.name.removeprefix("haiku.")

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        haiku = sys.modules["haiku"]
        parameters: dict[str, dict[str, Any]] = {}
        for name, weight in self._weights.items():
            module, _, last = name[len(self.path) :].strip("/").rpartition("/")
            parameters.setdefault(f"core/{module}".strip("/"), {})[last] = weight.native()
        said = {"double_bias": "b" in parameters["core/linear_1"]} if self.kind == "VanillaRNN" else {}
        apply = _applied(haiku, lambda *given: getattr(haiku, self.kind)(self._unit, name="core", **said)(*given))
        example = next(iter(self._weights.values())).native()
        now = states(state, "hc" if self.kind == "LSTM" else "h", len(x), self._unit, example)
        start = haiku.LSTMState(*now) if self.kind == "LSTM" else now[0]
        last, y = scanned(lambda carry, inputs: apply(parameters, inputs, carry)[::-1], start, x, example)
        return y, tuple(self.numpy(each)[None] for each in (last if self.kind == "LSTM" else [last]))


def _applied(haiku: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    applied: Callable[..., Any] = haiku.without_apply_rng(haiku.transform(function)).apply
    return applied


def _own(pair: Any, layout: Layout) -> Iterator[Holder]:
    transformed, given = pair
    tree = Tree(given, whole=lambda new: (transformed, new))
    callers = [Caller("apply(params, …)", lambda: _function(transformed, tree.now()))]
    yield from owned(tree, layout, lambda _path: callers, framework="haiku", separator="/")


def _function(transformed: Any, params: Any) -> Callable[..., Any]:
    """The transformed function of x and states; a pair of states is Haiku's own kind of pair."""
    haiku = sys.modules["haiku"]
    names = list(inspect.signature(transformed.apply).parameters)
    stateful = isinstance(transformed, haiku.TransformedWithState)
    key = [sys.modules["jax"].random.key(0)] if names[1 + stateful : 2 + stateful] == ["rng"] else []

    def call(x: Any, *given: Any) -> Any:
        pairs = [haiku.LSTMState(*each) if type(each) is tuple and len(each) == 2 else each for each in given]
        found = transformed.apply(params, *([{}] if stateful else []), *key, x, *pairs)
        return found[0] if stateful else found

    return call
