"""The words of a proof: its figures, and what every one of them is made with.

Not known here: how anything is run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cell import states_of
from ..errors import UsageError
from ..record import record, replace
from ..weights import Stack

if TYPE_CHECKING:
    from ..tensors import Array

TIME, BATCH, SEED = 7, 3, 0
TOLERANCE = 1e-6
COARSER = {"float16": 2**13, "bfloat16": 2**16}  # how much coarser than float32


def tolerance_of(dtype: str, width: int = 1) -> float:
    """What a framework that computes in ``dtype`` may differ by.  Sums of more than 256 products (``width``) round more."""
    return TOLERANCE * COARSER.get(dtype, 1) * max(1.0, math.sqrt(width / 256))


class Units(NamedTuple):
    """How many units of all layers and directions were run, and how many there are."""

    run: int
    of: int


class Numbers(NamedTuple):
    """How many stored numbers are the same on both sides, bit for bit where the dtype is, how many are what a change that
    was told makes of the source's, and how many there are.  What is not finite counts as neither."""

    equal: int
    changed: int
    of: int

    @property
    def all(self) -> bool:
        return self.equal + self.changed == self.of


@record
class Proof:
    """The largest absolute difference found, and between what.  ``same``: it is within ``tolerance``.

    ``units``    how many units were run, and how many there are; None for what was run elsewhere
    ``numbers``  how the stored numbers compare, where that was looked at
    """

    max_abs_error: float
    compared: tuple[str, ...]
    time: int
    batch: int
    against: str
    tolerance: float = TOLERANCE
    units: Units | None = None
    numbers: Numbers | None = None

    @property
    def same(self) -> bool:
        return self.max_abs_error <= self.tolerance  # False for nan too

    @property
    def whole(self) -> bool:
        """Was every unit run?"""
        return self.units is None or self.units.run == self.units.of

    def as_dict(self) -> dict[str, Any]:
        return {
            "max_abs_error": self.max_abs_error,
            "tolerance": self.tolerance,
            "same": self.same,
            "compared": list(self.compared),
            "time": self.time,
            "batch": self.batch,
            "against": self.against,
            "units": self.units._asdict() if self.units else None,
            "numbers": self.numbers._asdict() if self.numbers else None,
        }

    def worst(self, other: Proof) -> Proof:
        """The proof that covers both: the error that takes the larger share of its tolerance, and every name."""
        loser = max(self, other, key=lambda proof: badness(proof.max_abs_error / (proof.tolerance or 1e-300)))
        compared = tuple(dict.fromkeys((*self.compared, *other.compared)))
        return replace(
            loser, compared=compared, units=_sum(self.units, other.units), numbers=_sum(self.numbers, other.numbers)
        )


def _sum(one: Any, other: Any) -> Any:
    """Two counts together; of proofs without one, the other's."""
    if one is None or other is None:
        return one or other
    return type(one)(*(mine + theirs for mine, theirs in zip(one, other, strict=True)))


def badness(error: float) -> float:
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


def magnitude(y: Array) -> float:
    """The largest output, or 1: a cell that is not bounded (ReLU) gives numbers that a framework rounds as much coarser."""
    import numpy as np

    size = float(np.abs(y).max(initial=1.0))
    return size if np.isfinite(size) else 1.0


def largest(one: Any, other: Any) -> float:
    """max |a - b|; nan where either holds one that the other does not."""
    import numpy as np

    if getattr(one, "dtype", None) == np.dtype(object):
        return max((largest(a, b) for a, b in zip(one, other, strict=True)), key=badness)
    difference = np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64))
    return float(difference.max(initial=0.0))


def not_run(one: Stack, other: Stack, tolerance: float = TOLERANCE) -> Proof:
    """What is known of two stacks that take the same input and were not run.  Raises UsageError where they do not."""
    require_alike(one, other)
    units = Units(0, sum(weights.unit for _, weights in one))
    return Proof(0.0, ("y", *names_of_states(one.cell)), TIME, BATCH, "reference", tolerance, units)


def require_alike(one: Stack, other: Stack) -> None:
    """Raises UsageError for two stacks that cannot take the same input."""
    mine, theirs = ([(weights.feature, weights.hidden, weights.unit) for _, weights in stack] for stack in (one, other))
    if one.cell != other.cell:
        raise UsageError(
            f"one cell is {one.cell}, the other {other.cell}: they are not the same function.",
            next="Name the layers to compare with --layer.",
        )
    if mine != theirs:
        raise UsageError(
            f"{one!r} and {other!r} differ in shape, so they cannot be the same function.",
            next="Name the layers to compare with --layer.",
        )


def joined_otherwise(one: Stack, other: Stack) -> UsageError:
    """Of two stacks whose outputs differ in shape."""
    joins = f"{one.dialect.merge}, the other by {other.dialect.merge}"
    return UsageError(
        f"one joins its two directions by {joins}, so their outputs differ in shape.",
        next="Where a file does not hold how they are joined, say it with --merge.",
    )
