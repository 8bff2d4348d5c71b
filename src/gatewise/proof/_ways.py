"""Which way a proof goes: everything run, or a sample of the units and every number compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import UsageError
from ..record import record, replace
from ..weights import Stack
from ._explained import explained
from ._figures import TOLERANCE, Numbers, Proof, not_run
from ._numbers import numbers
from ._sample import prove_sample
from ._whole import prove

WAYS = ("full", "sample")
AUTO = "auto"
WHOLE = 1 << 20  # numbers that are run whole unasked: some ten milliseconds
RUNS = 8  # claims of one kind of which a sample is run


def way_of(said: Any) -> str:
    """What ``verify=`` says: "" for no proof, "auto", "full" or "sample".  Raises UsageError."""
    if isinstance(said, bool):
        return AUTO if said else ""
    if isinstance(said, str) and said in WAYS:
        return said
    raise UsageError(f"verify is {said!r:.60}.", next='It is True, False, "full" or "sample".')


@record(eq=False)
class Claim:
    """Two stacks that should compute the same.  ``terms`` gives both in one convention, in which their numbers are
    compared, where they are not as they are."""

    one: Stack
    other: Stack
    tolerance: float = TOLERANCE
    terms: Callable[[], tuple[Stack, Stack]] | None = None

    @property
    def kind(self) -> object:
        """Equal for two claims that are the same but for their numbers."""
        return tuple(
            (
                stack.cell,
                stack.layout,
                repr(stack.dialect),
                *((place, repr(weights), *weights.roles) for place, weights in stack),
            )
            for stack in (self.one, self.other)
        )


def proved(claims: Sequence[Claim], way: str = AUTO) -> Iterator[Proof]:
    """Does what is claimed hold, each in turn.

    ``way``   "full": every unit is run.  "sample": some are, and all numbers are compared.  "auto": everything of what is
              small in all; of what is large a sample, and everything of a claim whose numbers are not all accounted for
    Of many claims of one kind, a sample is run of no more than RUNS; all numbers of all of them are compared.
    Raises UsageError where inputs or outputs cannot be compared.
    """
    if way == "full" or (way == AUTO and sum(claim.one.parameters for claim in claims) <= WHOLE):
        yield from (prove(claim.one, claim.other, claim.tolerance) for claim in claims)
        return
    run = _representatives([claim.kind for claim in claims])
    for number, claim in enumerate(claims):
        proof = _in_part(claim, number in run)
        failed = proof.numbers is not None and not _numbers_hold(claim, proof.numbers)
        if failed and way == AUTO:
            proof = replace(prove(claim.one, claim.other, claim.tolerance), numbers=proof.numbers)
        elif failed and number not in run:
            proof = _in_part(claim, True)
        yield proof


def _numbers_hold(claim: Claim, found: Numbers) -> bool:
    """Are all numbers the source's, or what can have become of them?"""
    return found.all and explained(claim.one, claim.other, found, claim.tolerance)


def _in_part(claim: Claim, run: bool) -> Proof:
    one, other = claim.one, claim.other
    proof = prove_sample(one, other, claim.tolerance) if run else not_run(one, other, claim.tolerance)
    if not proof.same:
        return proof
    mine, theirs = claim.terms() if claim.terms is not None else (one, other)
    found = numbers(one, other, (mine, theirs))
    # In two dialects the same numbers may mean another function.
    return replace(proof, numbers=found if mine.dialect == theirs.dialect else found._replace(equal=0, changed=0))


def _representatives(kinds: Sequence[object]) -> set[int]:
    """The numbers of those that are run: of each kind the first, the last, and some in between."""
    places: dict[object, list[int]] = {}
    for number, kind in enumerate(kinds):
        places.setdefault(kind, []).append(number)
    return {
        numbers[step * (len(numbers) - 1) // (RUNS - 1)] for numbers in places.values() for step in range(RUNS)
    }  # fmt: skip
