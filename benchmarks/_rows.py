"""What a benchmark says: rows of a figure, what it stands beside, and whether what is claimed of the two holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """``what`` was measured, ``figure`` in ``unit``; ``beside``: the name and figure of what it is held against;
    ``claim``: what is claimed of it, in words; ``holds``: None where nothing is claimed.  ``aim``: what is wanted and not
    promised: the run does not fail without it.  ``headline``: the README has it."""

    section: str
    what: str
    figure: float
    unit: str
    beside: str = ""
    claim: str = ""
    holds: bool | None = None
    headline: bool = False
    aim: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        verdict = {None: "", True: "   holds", False: "   not reached" if self.aim else "   DOES NOT HOLD"}[self.holds]
        return f"  {self.what}: {shown(self.figure)} {self.unit}  {self.beside}  {self.claim}{verdict}"


@dataclass(frozen=True)
class Section:
    """Makes rows under one heading."""

    name: str

    def at_most(
        self, what: str, figure: float, unit: str, most: float, beside: str = "", headline: bool = False, aim: bool = False
    ) -> Row:  # fmt: skip
        return Row(self.name, what, figure, unit, beside, f"≤ {shown(most)}", figure <= most, headline, aim)

    def at_least(
        self, what: str, figure: float, unit: str, least: float, beside: str = "", headline: bool = False, aim: bool = False
    ) -> Row:  # fmt: skip
        return Row(self.name, what, figure, unit, beside, f"≥ {shown(least)}", figure >= least, headline, aim)


def shown(value: float) -> str:
    """Three digits; whole numbers from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
