"""Equinox's cells in memory, alone or anywhere in a tree of modules.

Source: equinox/nn/_rnn.py (0.13.8): ``cell(x, state)`` takes one example; an LSTM's state is (h, c).  A module is never
changed; writing gives a new one.  Equinox is taken from ``sys.modules``.  Not known here: what the user's own modules do
with the cells.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ._custom import layout_of
from ._jax import scanned, states
from ._tree_own import called_parts
from ._trees import Path, Tree, TreeHolder, walk
from ._weight import Holder

if TYPE_CHECKING:
    from ..tensors import Array

_LETTERS = {"LSTMCell": "hc", "GRUCell": "h"}


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """Equinox's cells in a module or a tree of such."""
    equinox = sys.modules.get("equinox")
    if equinox is None:
        return
    if layout is not None:
        if isinstance(subject, equinox.Module):
            yield from called_parts(Tree(subject), layout, (), "equinox", ".")
        return
    found = [(path, each) for path, each in walk(subject, stop=_is_layer) if _is_layer(each)]
    tree = Tree(subject if found else ())
    for path, each in found:
        described = _described(each)
        if described is None:
            yield EquinoxHolder(tree, path, _kind(each))
        else:
            yield from called_parts(tree, described, path, "equinox", ".")


def _kind(value: Any) -> str:
    """The class of equinox.nn that a module is, or is made of; "" where it is none, or described by its user."""
    if _described(value) is not None:
        return ""
    names = (each.__name__ for each in type(value).__mro__ if each.__module__ == "equinox.nn._rnn")
    return next((name for name in names if name in _LETTERS), "")


def _is_layer(value: Any) -> bool:
    return bool(_kind(value)) or _described(value) is not None


def _described(value: Any) -> Layout | None:
    return layout_of(value) if isinstance(value, sys.modules["equinox"].Module) else None


class EquinoxHolder(TreeHolder):
    """One of Equinox's own cells."""

    def __init__(self, tree: Tree, path: Path, kind: str):
        super().__init__(tree, path, framework="equinox", layouts=(layout_called(f"equinox.{kind}"),), separator=".")
        self.kind = kind

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        jax: Any = sys.modules["jax"]
        cell, letters = self.part(), _LETTERS[self.kind]
        now = states(state, letters, len(x), cell.hidden_size, cell.weight_hh)

        def step(carry: list[Any], inputs: Any) -> tuple[list[Any], Any]:
            new = jax.vmap(cell)(inputs, carry[0] if letters == "h" else tuple(carry))
            made = [new] if letters == "h" else list(new)
            return made, made[0]

        last, y = scanned(step, now, x, cell.weight_hh)
        return y, tuple(self.numpy(each)[None] for each in last)
