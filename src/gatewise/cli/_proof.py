"""How a proof and the changes of a conversion read: the same words in ``convert`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._screen import Screen


def proof_line(screen: Screen, proof: Mapping[str, Any], same: str, different: str) -> Iterator[str]:
    """``proved: max |Δ| = 5.6e-17 over y, h_n, c_n (7 steps × 3 sequences, random state) tolerance 1e-06``."""
    from ._screen import count

    what = screen.paint(same, "green") if proof["same"] else screen.paint(different, "red")
    error = proof["max_abs_error"]
    found = error if isinstance(error, str) else f"{error:.2g}"  # JSON has no nan and no infinity: they are texts
    run = f"{count(proof['time'], 'step')} × {count(proof['batch'], 'sequence')}"
    # A conversion is held against its own source over states made for the purpose; a recorded run brings its own.
    run += {"reference": ", random state)", "recorded": ") against the recorded run,"}.get(
        proof["against"], f") against {proof['against']},"
    )
    yield f"{what}: max |Δ| = {found} over {', '.join(proof['compared'])} ({run} tolerance {proof['tolerance']:g}"


def change_lines(screen: Screen, changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for change in changes:
        yield from screen.wrap(f"changed: {change['what']} ({change['exactness']})", "  ", first="")
