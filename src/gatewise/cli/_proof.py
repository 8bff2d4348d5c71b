"""How a proof and the changes of a conversion read: the same words in ``convert`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._screen import Screen

AGAINST = {"reference": "", "recorded": "the recorded run"}  # a conversion is held against its own source: no words


def proof_line(screen: Screen, proof: Mapping[str, Any], same: str, different: str) -> Iterator[str]:
    """``proved: max |Δ| = 5.6e-17 over y, h_n, c_n (7 steps × 3 sequences, random state) tolerance 1e-06``."""
    from ._screen import count

    what = screen.paint(same, "green") if proof["same"] else screen.paint(different, "red")
    error = proof["max_abs_error"]
    found = "not a number" if error is None or error != error else f"{error:.2g}"
    run = f"{count(proof['time'], 'step')} × {count(proof['batch'], 'sequence')}"
    state = proof.get("state", "random state")
    against = AGAINST.get(proof["against"], proof["against"])
    yield (
        f"{what}: max |Δ| = {found} over {', '.join(proof['compared'])} ({run}{', ' + state if state else ''})"
        f"{' against ' + against if against else ''} tolerance {proof['tolerance']:g}"
    )


def change_lines(screen: Screen, changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for change in changes:
        yield from screen.wrap(f"changed: {change['what']} ({change['exactness']})", "  ", first="")
