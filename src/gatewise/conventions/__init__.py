"""The few arithmetic changes between dialects, each with its exactness; and what no arithmetic can change.

``express`` puts a stack into the dialect and the bias convention of a target layout.  It does so by the steps of
STEPS, in order; each either leaves the stack alone, changes it and says what it did and how exact that is, or refuses
because the target has no way to say the same function.  Nothing is ever dropped silently.
"""

from __future__ import annotations

from ..errors import NotRepresentable
from ..layouts import Layout, layouts
from ..weights import Stack
from ._meaning import activations, cell, clips, reset, time
from ._numbers import coupled, forget_bias, forget_bias_stored, hard_sigmoid_slopes, update_gate
from ._places import biases, full_peephole, initial_state, peephole, projection
from ._terms import EXACT, GIVEN_STATE, ONE_ROUNDING, Change, Expressed, Step

__all__ = [
    "EXACT",
    "GIVEN_STATE",
    "ONE_ROUNDING",
    "STEPS",
    "Change",
    "Expressed",
    "can_say",
    "express",
    "forget_bias_stored",
]


def express(stack: Stack, layout: Layout) -> Expressed:
    """``stack`` in the dialect and bias convention of ``layout``.  Raises NotRepresentable with the reason."""
    changes: list[Change] = []
    for step in STEPS:
        stack, change = step(stack, layout)
        if change is not None:
            changes.append(change)
    form = layout.form_of(stack.dialect)
    return Expressed(stack, layout, form or {}, tuple(changes))


def can_say(stack: Stack) -> list[Expressed]:
    """The stack in the terms of each layout that can say it, with what that changes: for the last sentence of a refusal."""
    said = []
    for layout in layouts():
        try:
            said.append(express(stack, layout))
        except NotRepresentable:
            continue
    return said


STEPS: tuple[Step, ...] = (
    cell,
    reset,
    hard_sigmoid_slopes,
    activations,
    clips,
    time,
    update_gate,
    forget_bias,
    coupled,
    projection,
    full_peephole,
    peephole,
    biases,
    initial_state,
)
