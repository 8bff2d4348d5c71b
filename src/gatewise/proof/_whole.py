"""A run of everything: every unit of every layer, each layer on the outputs of the one below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..cell import run
from ..record import record, replace
from ..weights import Stack
from ._figures import TOLERANCE, Proof, badness, joined_otherwise, largest, not_run, random_input

if TYPE_CHECKING:
    from ..tensors import Array


@record
class Ran:
    """A stack's run on its random input: what went in, what came out."""

    x: Array
    state: tuple[Any, ...]
    y: Array
    final: tuple[Array, ...]


def run_of(stack: Stack) -> Ran:
    """Run a stack on :func:`random_input`."""
    x, state = random_input(stack)
    return Ran(x, state, *run(stack, x, state))


def prove(one: Stack, other: Stack, tolerance: float = TOLERANCE, ran: Ran | None = None) -> Proof:
    """Run both on the same random input.  Raises UsageError where their inputs or outputs cannot be compared."""
    proof = not_run(one, other, tolerance)
    ran = ran or run_of(one)  # ``ran``: the first one's run, where several are held against it
    y, final = run(other, ran.x, ran.state)
    if y.shape != ran.y.shape:
        raise joined_otherwise(one, other)
    error = max((largest(ran.y, y), *(largest(a, b) for a, b in zip(ran.final, final, strict=True))), key=badness)
    return replace(proof, max_abs_error=error, units=proof.units and proof.units._replace(run=proof.units.of))
