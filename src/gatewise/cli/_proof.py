"""How a proof and the changes of a conversion read: the same words in ``convert`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._screen import Screen


def proof_line(
    screen: Screen, proof: Mapping[str, Any], same: str, different: str, changed: str = "after the changes above"
) -> Iterator[str]:
    """``proved: max |Δ| = 5.6e-17 over y, h_n, c_n (7 steps × 3 sequences, random state) tolerance 1e-06``.

    ``changed`` says when numbers are equal that are not as they are stored."""
    from ._screen import count

    word, colour = (same, "green") if proof["same"] else (different, "red")
    error = proof["max_abs_error"]
    found = error if isinstance(error, str) else f"{error:.2g}"  # JSON has no nan and no infinity: they are texts
    steps = f"{count(proof['time'], 'step')} × {count(proof['batch'], 'sequence')}"
    recorded = proof["against"] == "recorded"
    run = f"{steps} of the recorded run" if recorded else f"{steps}, random state"
    against = "" if recorded or proof["against"] == "reference" else f" against {proof['against']}"
    if proof["same"] and _leaves_open(proof):
        word = f"{word} in the units that were run"
    figure = f"max |Δ| = {found} over {', '.join(proof['compared'])}"
    first, *more = screen.wrap(f"{word}: {figure} ({run}){against} tolerance {proof['tolerance']:g}", "  ", first="")
    yield screen.paint(word, colour) + first.removeprefix(word)
    yield from more
    yield from (line for text in _extent(proof, changed) for line in screen.wrap(text, "  ", first="  "))


def _leaves_open(proof: Mapping[str, Any]) -> bool:
    """Was only a part of the units run, and are there numbers that differ, so that the others may?"""
    units, numbers = proof.get("units"), proof.get("numbers")
    return bool(units and numbers and units["run"] < units["of"] and _agreeing(numbers) < numbers["of"])


def _agreeing(numbers: Mapping[str, int]) -> int:
    return numbers["equal"] + numbers["changed"]


def _extent(proof: Mapping[str, Any], changed: str) -> Iterator[str]:
    """``run: 384 of 12,288 units; all 50,380,800 numbers are equal; --verify full runs every unit``"""
    units, numbers = proof.get("units"), proof.get("numbers")
    if not units or not numbers or units["run"] == units["of"]:
        return
    run = f"{units['run']:,} of {units['of']:,} units"
    yield f"run: {run}; {_equal(numbers, changed)}; --verify full runs every unit"


def _equal(numbers: Mapping[str, int], changed: str) -> str:
    """``3,552,000 of 3,556,800 numbers are equal, 4,800 more after the changes above``"""
    every = numbers["of"]
    if numbers["changed"] == every:
        return f"all {every:,} numbers are equal {changed}"
    more = f", {numbers['changed']:,} more {changed}" if numbers["changed"] else ""
    told = f"all {every:,}" if numbers["equal"] == every else f"{numbers['equal']:,} of {every:,}"
    return f"{told} numbers are equal{more}"


def change_lines(screen: Screen, changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for change in changes:
        yield from screen.wrap(f"changed: {change['what']} ({change['exactness']})", "  ", first="")
