"""Proofs: two runs of the same input, and the largest absolute difference between them.

A proof uses 7 time steps, 3 sequences and a non-zero initial state, runs every layer in every direction in float64,
and compares outputs *and* final states: one step and a zero state would hide everything that is recurrent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .cell import joined_outputs, run, states_of
from .errors import UsageError
from .weights import Stack

if TYPE_CHECKING:
    from .tensors import Array

TIME, BATCH, SEED = 7, 3, 0
TOLERANCE = 1e-6
COARSER = {"float16": 2**13, "bfloat16": 2**16}  # how much coarser than float32


def tolerance_of(dtype: str, width: int = 1) -> float:
    """What a framework that computes in ``dtype`` may differ by.  Sums of more than 256 products (``width``) round more."""
    return TOLERANCE * COARSER.get(dtype, 1) * max(1.0, math.sqrt(width / 256))


@dataclass(frozen=True)
class Proof:
    """The largest absolute difference found, and between what.  ``same``: it is within ``tolerance``."""

    max_abs_error: float
    compared: tuple[str, ...]
    time: int
    batch: int
    against: str
    tolerance: float = TOLERANCE

    @property
    def same(self) -> bool:
        return self.max_abs_error <= self.tolerance  # False for nan too

    def as_dict(self) -> dict[str, Any]:
        return {
            "max_abs_error": self.max_abs_error,
            "tolerance": self.tolerance,
            "same": self.same,
            "compared": list(self.compared),
            "time": self.time,
            "batch": self.batch,
            "against": self.against,
        }

    def worst(self, other: Proof) -> Proof:
        """The proof that covers both: the error that takes the larger share of its tolerance, and every name."""
        loser = max(self, other, key=lambda proof: _badness(proof.max_abs_error / (proof.tolerance or 1e-300)))
        compared = tuple(dict.fromkeys((*self.compared, *other.compared)))
        return replace(loser, compared=compared)


def _badness(error: float) -> float:
    """An order in which what is not a number is worse than anything."""
    return float("inf") if error != error else error


def names_of_states(cell: str) -> tuple[str, ...]:
    return tuple(f"{letter}_n" for letter in states_of(cell))


def random_input(stack: Stack, batch: int = BATCH) -> tuple[Array, tuple[Any, ...]]:
    """x [batch, 7, feature] and initial states of a stack: fixed random numbers, the same on every machine."""
    import numpy as np

    random = np.random.default_rng(SEED)
    x = random.standard_normal((batch, TIME, stack[0, "forward"].feature))

    def start(letter: str) -> list[Array]:
        sizes = [weights.hidden if letter == "h" else weights.unit for _, weights in stack]
        values = [0.5 * random.standard_normal((batch, size)) for size in sizes]
        return [np.abs(value) + 0.5 for value in values] if letter == "n" else values  # a normaliser is positive

    return x, tuple(start(letter) for letter in states_of(stack.cell))


@dataclass(frozen=True)
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
    mine, theirs = ([(weights.feature, weights.hidden, weights.unit) for _, weights in stack] for stack in (one, other))
    if one.cell != other.cell:
        raise UsageError(
            f"one is a {one.cell} and the other a {other.cell}, which are not the same function.",
            next="Name the layers to compare with --layer.",
        )
    if mine != theirs:
        raise UsageError(
            f"{one!r} and {other!r} differ in shape, so they cannot be the same function.",
            next="Name the layers to compare with --layer.",
        )
    ran = ran or run_of(one)  # ``ran``: the first one's run, where several are held against it
    y, final = run(other, ran.x, ran.state)
    if y.shape != ran.y.shape:
        joins = f"{one.dialect.merge}, the other by {other.dialect.merge}"
        raise UsageError(
            f"one joins its two directions by {joins}, so their outputs differ in shape.",
            next="Where a file does not hold how they are joined, say it with --merge.",
        )
    error = max((largest(ran.y, y), *(largest(a, b) for a, b in zip(ran.final, final, strict=True))), key=_badness)
    return Proof(error, ("y", *names_of_states(one.cell)), TIME, BATCH, "reference", tolerance)


def compared(
    stack: Stack, ran: Ran, y: Any, final: tuple[Any, ...] | None, against: str, tolerance: float = TOLERANCE
) -> Proof:  # fmt: skip
    """A reference run beside what a framework gave for the same input: y [batch, time, hidden·directions], or its last
    step alone; ``final`` None where it gives no states.  Raises UsageError where they cannot be compared."""
    errors = {"y": _output_error(y, ran.y, ran.final[0], stack, False)}
    for name, mine, theirs in zip(names_of_states(stack.cell), ran.final, final or (), strict=False):
        errors[name] = largest(mine, _recorded_final(name, theirs, mine))
    allowed = tolerance * magnitude(ran.y)
    batch, time = ran.x.shape[:2]
    return Proof(max(errors.values(), key=_badness), tuple(errors), time, batch, against, allowed)


def magnitude(y: Array) -> float:
    """The largest output, or 1: a cell that is not bounded (ReLU) gives numbers that a framework rounds as much coarser."""
    import numpy as np

    size = float(np.abs(y).max(initial=1.0))
    return size if np.isfinite(size) else 1.0


def largest(one: Any, other: Any) -> float:
    """max |a - b|; nan where either holds one that the other does not."""
    import numpy as np

    if getattr(one, "dtype", None) == np.dtype(object):
        return max((largest(a, b) for a, b in zip(one, other, strict=True)), key=_badness)
    difference = np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64))
    return float(difference.max(initial=0.0))


_SPELLED = {f"{letter}_n": (f"{letter}_n", f"{letter}n", f"{letter}1") for letter in "hcnm"}


def prove_recorded(
    stack: Stack, recorded: Mapping[str, Any], *, tolerance: float = TOLERANCE, time_major: bool = False
) -> Proof:
    """Compare the reference run with what a framework recorded.

    ``recorded``: ``x`` [batch, time, feature]; optional ``h0``, ``c0``, ``h_n``, ``c_n`` (also spelled hn, cn)
    [layers·directions, batch, hidden/unit]; ``y`` [batch, time, hidden·directions] or only its last step
    [batch, hidden·directions].  ``time_major``: x and y are [time, batch, …].
    """
    if "x" not in recorded:
        raise UsageError("the recorded run has no x.", next="It needs x [batch, time, feature] and y.")
    x = _recorded_input(recorded["x"], time_major)
    y, final = run(stack, x, _recorded_state(stack, recorded))
    errors = {}
    if "y" in recorded:
        errors["y"] = _output_error(recorded["y"], y, final[0], stack, time_major)
    for name, value in zip(names_of_states(stack.cell), final, strict=True):
        key = next((spelled for spelled in _SPELLED[name] if spelled in recorded), None)
        if key is not None:
            errors[name] = largest(value, _recorded_final(key, recorded[key], value))
    if not errors:
        raise UsageError("the recorded run has no outputs.", next="It needs y, or h_n and c_n.")
    worst = max(errors.values(), key=_badness)
    return Proof(worst, tuple(errors), x.shape[1], x.shape[0], "recorded", tolerance)


def _recorded_input(x: Any, time_major: bool) -> Array:
    """x as [batch, time, feature].  A cell's record has no time axis: one step."""
    import numpy as np

    value = np.asarray(x, np.float64)
    if value.ndim == 2:
        return value[:, None]
    return value.transpose(1, 0, 2) if time_major and value.ndim == 3 else value


def _recorded_state(stack: Stack, recorded: Mapping[str, Any]) -> Any:
    """The initial states [cells, batch, size]; a single cell's may lack the first axis.  None: zeros."""
    import numpy as np

    names = [f"{letter}0" for letter in states_of(stack.cell)]
    missing = [name for name in names if name not in recorded]
    if len(missing) == len(names):
        return None
    if missing:
        given = next(name for name in names if name in recorded)
        raise UsageError(
            f"the recorded run has {given} but no {missing[0]}.", next="An LSTM starts from both, or from zeros."
        )
    cells = len(stack.cells)
    states = []
    for name in names:
        state = np.asarray(recorded[name])
        state = state[None] if cells == 1 and state.ndim == 2 else state
        if state.ndim not in (1, 3) or len(state) != cells:  # one axis: an object array, where sizes differ
            raise UsageError(
                f"the recorded {name} has shape {list(state.shape)}; this layer wants [{cells}, batch, size]: "
                "one state for every layer and direction."
            )
        states.append(state)
    return tuple(states)


def _recorded_final(name: str, found: Any, value: Array) -> Array:
    """A recorded final state in ours's shape; a single cell's may lack the first axis."""
    import numpy as np

    state = np.asarray(found)
    state = state[None] if len(value) == 1 and state.ndim == value.ndim - 1 else state
    if state.shape != value.shape:
        raise UsageError(
            f"the recorded {name} has shape {list(np.shape(found))}; this layer gives {list(value.shape)}.",
            next="Is it another layer's? Then say --layer.",
        )
    return state


def _output_error(found: Any, y: Array, final: Array, stack: Stack, time_major: bool) -> float:
    """How far a recorded y is from ours.  One step of it, [batch, hidden·directions], may be torch's ``y[:, -1]`` or
    what Keras returns without return_sequences, the last thing that each direction computed: these differ in the
    reverse direction, and a record that is either is right."""
    import numpy as np

    wanted = np.asarray(found)
    wanted = wanted.transpose(1, 0, 2) if wanted.ndim == 3 and time_major else wanted
    if wanted.ndim == 2 and wanted.shape == (y.shape[0], y.shape[2]):
        return min(largest(wanted, y[:, -1]), largest(wanted, _last_of_each(final, stack)), key=_badness)
    if wanted.shape != y.shape:
        raise UsageError(
            f"the recorded y has shape {list(np.shape(found))}; this layer gives {list(y.shape)}.",
            next="Is the record [time, batch, …]? Then say --time-major. Is it another layer's? Then say --layer.",
        )
    return largest(wanted, y)


def _last_of_each(final: Array, stack: Stack) -> Array:
    """The last layer's final states, joined as its outputs are."""
    count = len(stack.directions)
    last: Array = joined_outputs([final[index] for index in range(len(final) - count, len(final))], stack.dialect.merge)
    return last
