"""A run of a sample of the units: of every layer and direction some, each layer on an input of its own.

Both sides compute the same units from the same inputs and states, which are random; the units that are not computed stay
in the random state that they were given, for all that read them.  So every gate of every role takes part with its rows of
the units that are run, over all features and all hidden states, and what comes back of them at each step.  No other
row is read, and no layer waits for the one below.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..cell import Part, Place, run_parts, states_of
from ..record import replace
from ..weights import Stack
from ._figures import BATCH, TIME, TOLERANCE, Proof, badness, joined_otherwise, largest, not_run

if TYPE_CHECKING:
    from ..tensors import Array

_RUN, _RUNS = 4, 4  # so many units next to each other, so many times: the first, the last, and two in between


def prove_sample(one: Stack, other: Stack, tolerance: float = TOLERANCE) -> Proof:
    """Run a sample of the units of both.  Raises UsageError where their inputs or outputs cannot be compared."""
    proof, parts = not_run(one, other, tolerance), _parts(one)
    inputs = [_spread((BATCH, TIME, one[layer, "forward"].feature), layer) for layer in range(one.num_layers)]
    state = _states(one)
    mine, theirs = run_parts(one, parts, inputs, state), run_parts(other, parts, inputs, state)
    if any(a.shape != b.shape for a, b in zip(mine.outputs, theirs.outputs, strict=True)):
        raise joined_otherwise(one, other)
    error = max((largest(a, b) for a, b in zip(mine.all, theirs.all, strict=True)), key=badness)
    run = sum(len(part.units) for part in parts.values())
    return replace(proof, max_abs_error=error, units=proof.units and proof.units._replace(run=run))


def _states(stack: Stack) -> tuple[list[Array], ...]:
    """As random_input's."""
    import numpy as np

    def start(number: int, letter: str) -> list[Array]:
        sizes = [weights.hidden if letter == "h" else weights.unit for _, weights in stack]
        values = [0.5 * _spread((BATCH, size), 1000 * (1 + number) + place) for place, size in enumerate(sizes)]
        return [np.abs(value) + 0.5 for value in values] if letter == "n" else values  # a normaliser is positive

    return tuple(start(number, letter) for number, letter in enumerate(states_of(stack.cell)))


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
    between = [_RUN + int(number) % (count - 2 * _RUN) for number in _mixed(_RUNS - 2, seed)]
    starts = (0, count - _RUN, *between)
    # Not np.unique, which imports numpy.ma.
    return np.array(sorted({start + step for start in starts for step in range(_RUN)}))


def _spread(shape: tuple[int, ...], seed: int) -> Array:
    """Numbers without a pattern, evenly spread, with variance 1, the same on every machine."""
    import numpy as np

    bits = _mixed(math.prod(shape), seed) >> np.uint64(11)
    spread: Array = (bits.astype(np.float64).reshape(shape) / 2**52 - 1.0) * math.sqrt(3.0)
    return spread


def _mixed(count: int, seed: int) -> Array:
    """64 bits each, well mixed: splitmix64 (Steele, Lea & Flood 2014).  numpy.random takes as long to import as this whole
    run, and 6 MB."""
    import numpy as np

    bits: Array = np.arange(1 + (seed << 32), 1 + (seed << 32) + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits
