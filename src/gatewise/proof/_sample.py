"""A run of a sample of the units: of every layer and direction some, each layer on an input of its own.

Both sides compute the same units from the same inputs and states, which are random; the units that are not computed stay
in the random state that they were given, for all that read them.  So every gate of every role takes part with its rows of
the units that are run, over all features and all hidden states, and what comes back of them at each step.  No other
row is read, and no layer waits for the one below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cell import Part, Place, run_parts
from ..weights import Stack
from ._figures import (
    BATCH,
    SEED,
    TIME,
    TOLERANCE,
    Proof,
    Units,
    badness,
    joined_otherwise,
    largest,
    names_of_states,
    random_input,
    require_alike,
)  # fmt: skip

if TYPE_CHECKING:
    from ..tensors import Array

_RUN, _RUNS = 4, 4  # so many units next to each other, so many times: the first, the last, and two in between


def prove_sample(one: Stack, other: Stack, tolerance: float = TOLERANCE) -> Proof:
    """Run a sample of the units of both.  Raises UsageError where their inputs or outputs cannot be compared."""
    import numpy as np

    require_alike(one, other)
    parts = _parts(one)
    _, state = random_input(one)
    random = np.random.default_rng(SEED)
    widths = [one[layer, "forward"].feature for layer in range(one.num_layers)]
    inputs = [random.standard_normal((BATCH, TIME, width)) for width in widths]
    mine, theirs = run_parts(one, parts, inputs, state), run_parts(other, parts, inputs, state)
    if any(a.shape != b.shape for a, b in zip(mine.outputs, theirs.outputs, strict=True)):
        raise joined_otherwise(one, other)
    error = max((largest(a, b) for a, b in zip(mine.all, theirs.all, strict=True)), key=badness)
    units = Units(sum(len(part.units) for part in parts.values()), sum(weights.unit for _, weights in one))
    return Proof(error, ("y", *names_of_states(one.cell)), TIME, BATCH, "reference", tolerance, units)


def _parts(stack: Stack) -> dict[Place, Part]:
    parts = {}
    for place, weights in stack:
        units = _some(weights.unit, place[0])  # the same in both directions, whose outputs may be added
        parts[place] = Part(units, units if weights.hidden == weights.unit else _some(weights.hidden, place[0]))
    return parts


def _some(count: int, seed: int) -> Array:
    """The numbers of a sample of so many: all where they are few."""
    import numpy as np

    if count <= _RUN * _RUNS:
        return np.arange(count)
    between = np.random.default_rng(SEED + seed).integers(_RUN, count - _RUN, _RUNS - 2)
    starts = np.array([0, count - _RUN, *between])
    found: Array = np.unique(np.minimum(starts[:, None] + np.arange(_RUN), count - 1))
    return found
