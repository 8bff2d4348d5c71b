"""What a layer of the user's own computes, where that is not what its layout says: the nearby layout that it agrees with.

Tried are every order of the gates and the dialects that people mix up.  Not known here: how the layer was called.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..cell import run
from ..layouts import Layout
from ..proof import Ran, largest
from ..record import replace
from ..weights import Gates, Stack, Weights

if TYPE_CHECKING:
    from ..tensors import Array

_PARAMETERS = 200_000  # a layer of more is not run so often
_MIXED_UP: dict[str, tuple[dict[str, Any], ...]] = {
    "lstm": ({"forget_bias": 1.0}, {"forget_bias": 0.0}),
    "gru": ({"reset": "before"}, {"reset": "after"}, {"update": "writes"}, {"update": "keeps"}),
    "rnn": ({"activation": "relu"}, {"activation": "tanh"}),
}


def instead(stack: Stack, layout: Layout, ran: Ran, outputs: Sequence[tuple[bool, Array]], tolerance: float) -> str:
    """A sentence naming the gates or the dialect with which the reference gives one of ``outputs``; "" where nothing
    nearby does.  ``outputs``: what the layer gave for ``ran``'s input, and whether from ``ran``'s states or its own."""
    if stack.parameters > _PARAMETERS:
        return ""
    for gates, said in _guesses(stack, layout):
        guess = _reordered(stack, layout.gates, gates).replaced(dialect=replace(stack.dialect, **said))
        for stated in (True, False):
            given = [y for from_states, y in outputs if from_states == stated]
            expected = run(guess, ran.x, ran.state if stated else None)[0] if given else None
            if any(largest(_as_much(expected, y), y) <= tolerance for y in given):
                told = [f"gates={gates!r}"] if gates != layout.gates else []
                return f"With {' and '.join(told + [f'{name}={value!r}' for name, value in said.items()])} it agrees."
    return ""


def _guesses(stack: Stack, layout: Layout) -> Iterator[tuple[str, dict[str, Any]]]:
    """Orders of the gates and fields of the dialect, the orders alone first."""
    dialects = [
        said for said in _MIXED_UP.get(stack.cell, ()) if any(getattr(stack.dialect, k) != v for k, v in said.items())
    ]
    one_order = all(part.gates is None for part in layout.parts)
    orders = ["".join(order) for order in itertools.permutations(layout.gates)] if one_order else [layout.gates]
    for said in ({}, *dialects):
        for gates in orders:
            yield gates, said


def _reordered(stack: Stack, old: str, new: str) -> Stack:
    """What the layout calls ``old[k]`` called ``new[k]``."""
    if old == new:
        return stack
    names = dict(zip(new, old, strict=True))

    def renamed(gates: Gates) -> Gates:
        def later(gate: str) -> Callable[[], Any]:
            return lambda: gates[names.get(gate, gate)]

        return Gates(gates.role, {gate: later(gate) for gate in gates})

    def cell(weights: Weights) -> Weights:
        return Weights(
            weights.unit, weights.feature, weights.hidden, weights.dtype,
            {role: renamed(gates) for role, gates in weights.roles.items()},
        )  # fmt: skip

    return Stack(stack.cell, {place: cell(each) for place, each in stack.cells.items()}, stack.dialect)


def _as_much(reference: Any, y: Array) -> Array:
    """As much of a reference's output as the layer gave."""
    found: Array = reference if y.ndim == 3 else reference[:, -1]
    return found
