"""Linen modules with their variables: ``(module, variables)``, a bound module, a TrainState.

What a module says of its cells (activations, directions) is known where they are reached from it: fields, and what
``setup`` makes.  Cells that a compact method makes appear only in the variables, by name; their activations are assumed, as
a file's are.  Sources: flax/linen/module.py (``bind``, ``unbind``, ``path``), flax/linen/recurrent.py (0.12.8).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts import Layout
from ..record import record
from ._flax_cells import kind_of, layout_for, meaning_of, of_both, of_rnn, run
from ._own import Caller, carry_first
from ._tree_own import owned
from ._trees import Path, Tree, TreeHolder, part_of
from ._weight import NO_LAYOUT, Holder, Unread

if TYPE_CHECKING:
    from ..tensors import Array

_CELLS = ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell", "MGUCell")
_HOME = "flax.linen.recurrent"


@record
class _Given:
    """A module and the tree of its variables, of which ``params`` is the path to the parameters."""

    module: Any
    tree: Tree
    params: Path


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent modules of a linen module, and what its variables hold beside them."""
    given = _given(subject)
    if given is None:
        return
    if layout is not None:
        yield from _own(given, layout)
        return
    claimed: set[Path] = set()
    recurrent = list(_found(_bound(given)))
    for found in recurrent:
        at = (*given.params, *found.path)
        claimed |= {path for path in given.tree.arrays if path[: len(at)] == at}
        if found.kind:
            yield LinenHolder(given, found)
        else:
            yield Unread("/".join(found.path), found.module, *NO_LAYOUT)
    rest = TreeHolder(given.tree, framework="flax", without=frozenset(claimed))
    if rest.weights:
        yield rest
    elif not recurrent:
        raise UsageError(
            f"the linen module {type(given.module).__name__} holds no recurrent layer that gatewise knows.",
            next="It knows LSTMCell, OptimizedLSTMCell, GRUCell, MGUCell and SimpleCell (not residual), in RNN and Bidirectional; "
            "describe a layer of your own with layout=.",
        )


def _own(given: _Given, layout: Layout) -> Iterator[Holder]:
    """A module of the user's own, called as it is: x first, or a cell's carry first."""

    def apply() -> Any:
        variables = part_of(given.tree.now(), given.params[:-1])
        whole = variables if given.params else {"params": variables}
        return lambda *arguments: given.module.apply(whole, *arguments)

    callers = [Caller("layer", apply), Caller("layer (carry first)", lambda: carry_first(apply()))]
    yield from owned(given.tree, layout, lambda _path: callers, framework="flax", separator="/")


def _given(subject: Any) -> _Given | None:
    linen = sys.modules["flax.linen"]
    if isinstance(subject, linen.Module):
        if subject.scope is None:
            raise UsageError(
                f"a linen module ({type(subject).__name__}) holds no weights; its variables do.",
                next="Give both: gw.of((module, variables)), or module.bind(variables).",
            )
        module, variables = subject.unbind()
        return _pair(module, variables, lambda new: module.bind(new))
    if type(subject) is tuple and len(subject) == 2 and isinstance(subject[0], linen.Module):
        return _pair(*subject, lambda new: (subject[0], new))
    module = getattr(getattr(subject, "apply_fn", None), "__self__", None)
    if isinstance(module, linen.Module) and hasattr(subject, "params"):  # a TrainState
        inner = ("params", "params") if _has_params(subject.params) else ("params",)
        return _Given(module, Tree(subject), inner)
    return None


def _pair(module: Any, variables: Any, whole: Any) -> _Given:
    return _Given(module, Tree(variables, whole=whole), ("params",) if _has_params(variables) else ())


def _has_params(tree: Any) -> bool:
    return isinstance(tree, Mapping) and "params" in tree


def _bound(given: _Given) -> Any:
    """The module bound to its parameters, so that what ``setup`` makes can be reached."""
    tree: Any = given.tree.given
    for key in given.params:
        tree = tree[key] if isinstance(tree, Mapping) else getattr(tree, key)
    return given.module.bind({"params": tree})


@record
class _Found:
    """A recurrent module: ``how`` it is called (cell, rnn, both), its cells; ``kind`` "" where gatewise knows no such one."""

    path: Path
    module: Any
    how: str
    cells: tuple[Any, ...]
    kind: str


def _found(module: Any) -> Iterator[_Found]:
    linen = sys.modules["flax.linen"]
    seen: set[Path] = set()

    def visit(each: Any) -> Iterator[_Found]:
        if each.path in seen:
            return
        seen.add(each.path)
        one = _recurrent(linen, each)
        if one is not None:
            yield one
            return
        for child in _children(linen, each):
            yield from visit(child)

    yield from visit(module)


def _recurrent(linen: Any, module: Any) -> _Found | None:
    if isinstance(module, linen.Bidirectional):
        pair = (module.forward_rnn, module.backward_rnn)
        if all(isinstance(each, linen.RNN) and _holds_its_cell(each) for each in pair):
            one, other = (each.cell for each in pair)
            kinds = {_kind(one), _kind(other)}  # with different activations they are not one layer's two directions
            kind = kinds.pop() if len(kinds) == 1 else ""
            kind = kind if kind and meaning_of(one) == meaning_of(other) else ""
            return _Found(module.path, module, "both", (one, other), kind)
    elif isinstance(module, linen.RNN) and _holds_its_cell(module):
        return _Found(module.path, module, "rnn", (module.cell,), _kind(module.cell))
    elif isinstance(module, linen.RNNCellBase):
        return _Found(module.path, module, "cell", (module,), _kind(module))
    return None


def _holds_its_cell(rnn: Any) -> bool:
    """Do the cell's parameters lie below the RNN?  A cell that was made beside it keeps them there."""
    return bool(rnn.cell.path == (*rnn.path, "cell"))


def _kind(cell: Any) -> str:
    return kind_of(cell, _HOME, _CELLS).removeprefix("Optimized")  # which stores the same


def _children(linen: Any, module: Any) -> Iterator[Any]:
    """The modules that a bound module reaches by its attributes, fields and what ``setup`` makes."""
    hasattr(module, "_what_setup_makes")  # asking for an attribute that is not there runs setup
    for name in list(vars(module)):
        if not name.startswith("_") and name not in ("parent", "name", "scope"):
            yield from _modules_in(linen, getattr(module, name))


def _modules_in(linen: Any, value: Any) -> Iterator[Any]:
    if isinstance(value, linen.Module):
        if value.scope is not None:
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _modules_in(linen, each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _modules_in(linen, each)


class LinenHolder(TreeHolder):
    """A cell, an RNN or a Bidirectional of linen, with its parameters in the tree of variables."""

    def __init__(self, given: _Given, found: _Found):
        self.module, self.found = found.module.unbind()[0], found
        at, chosen = (*given.params, *found.path), (layout_for(found.kind, "flax"),)
        super().__init__(given.tree, at, framework="flax", layouts=chosen, separator="/")
        own = of_both(found.module) if found.how == "both" else of_rnn(found.module) if found.how == "rnn" else {}
        self.meaning = meaning_of(found.cells[0]) | own

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        module, variables = self.module, {"params": self.part()}

        def call(*given: Any) -> Any:
            if self.found.how == "cell":
                return module.apply(variables, *given)
            inputs, carry = given
            return module.apply(variables, inputs, initial_carry=carry, return_carry=True, time_major=False)

        sizes = [cell.features for cell in self.found.cells]
        like = next(iter(self.weights.values())).native()
        return run(self.found.how, call, sizes, "LSTM" in self.found.kind, x, state, like)
