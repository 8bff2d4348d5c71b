"""Which way a proof goes: everything run, or a sample of the units and every number compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..errors import UsageError
from ..weights import Stack
from ._figures import TOLERANCE, Proof
from ._numbers import numbers
from ._sample import prove_sample
from ._whole import prove

WAYS = ("full", "sample")
AUTO = "auto"
WHOLE = 1 << 20  # numbers that are run whole unasked: some ten milliseconds


def way_of(said: Any) -> str:
    """What ``verify=`` says: "" for no proof, "auto", "full" or "sample".  Raises UsageError."""
    if isinstance(said, bool):
        return AUTO if said else ""
    if isinstance(said, str) and said in WAYS:
        return said
    raise UsageError(f"verify is {said!r:.60}.", next='It is True, False, "full" or "sample".')


def proved(
    one: Stack, other: Stack, tolerance: float = TOLERANCE, *, way: str = AUTO, size: int = 0,
    terms: Callable[[], tuple[Stack, Stack]] | None = None,
) -> Proof:  # fmt: skip
    """Do two stacks compute the same?

    ``way``   "full": every unit is run.  "sample": some are, and all numbers are compared.  "auto": everything of what is
              small; of what is large a sample, and everything where the numbers do not all agree
    ``size``  how many numbers are to be proved in all, where these are one of several
    ``terms`` gives both in one convention, in which their numbers are compared
    Raises UsageError where their inputs or outputs cannot be compared.
    """
    if way == "full" or (way == AUTO and max(size, one.parameters) <= WHOLE):
        return prove(one, other, tolerance)
    proof = prove_sample(one, other, tolerance)
    if not proof.same:
        return proof
    mine, theirs = terms() if terms is not None else (one, other)
    found = numbers(one, other, (mine, theirs))
    if way == AUTO and not (found.all and mine.dialect == theirs.dialect):
        proof = prove(one, other, tolerance)
    return replace(proof, numbers=found)
