"""Known sicknesses: one file each; diagnosis never changes anything, a remedy makes a new object.

An ailment is a module of this folder whose name has no leading underscore and which holds ``AILMENT``.  The folder is
walked: adding an ailment is adding a file, and its test, whose first cases are what it must leave alone.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..checkpoint import Checkpoint
from ..errors import UsageError

SEVERITIES = ("note", "slow", "breaks", "wrong-results", "unsafe")  # mildest first


@dataclass(frozen=True)
class Remedy:
    """What would cure it, and how exact that is (``exact``, ``exact up to one rounding`` …)."""

    what: str
    exactness: str

    def as_dict(self) -> dict[str, str]:
        return {"what": self.what, "exactness": self.exactness}


@dataclass(frozen=True)
class Finding:
    """One thing the doctor saw.  ``code`` is stable and documented; ``where`` a layer, tensor or module path;
    ``affects`` a specifier of the versions that suffer (``torch>=1.4``); ``outcomes`` what happens in which versions,
    for people: (("torch 1.4-1.13", "loads, fails at the call"), ("torch >=2.0", "fails in torch.load"))."""

    code: str
    severity: str
    where: str
    what: str
    why: str
    affects: str
    remedy: Remedy | None = None
    outcomes: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code, "severity": self.severity, "where": self.where, "what": self.what, "why": self.why,
            "remedy": self.remedy.as_dict() if self.remedy else None, "affects": self.affects,
            "outcomes": [{"versions": versions, "outcome": outcome} for versions, outcome in self.outcomes],
        }  # fmt: skip


@dataclass(frozen=True)
class Target:
    """The framework and version that the user asks about: ``--for torch==2.13``."""

    framework: str
    version: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Target:
        """``torch==2.13``, ``keras==3``, ``torch``.  Raises UsageError."""
        framework, _, version = text.replace("~=", "==").partition("==")
        numbers = tuple(int(piece) for piece in version.split(".") if piece.isdigit())
        if framework.strip() not in ("torch", "keras", "tensorflow") or (version and not numbers):
            raise UsageError(f"cannot tell what {text!r} asks for.", next="Say it as torch==2.13 or keras==3.")
        return cls(framework.strip(), numbers)


@dataclass(frozen=True)
class Patient:
    """What is examined: an opened file, or an object in memory; and for which framework, where the user said so.

    ``draft`` is what a treatment works on: a deep copy of what the file holds, never the file or the object itself.
    """

    checkpoint: Checkpoint | None = None
    live: Any = None
    target: Target | None = None
    draft: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Ailment:
    """One known sickness: what it looks at, and what cures it.

    ``examine(patient)`` yields findings and changes nothing.  ``treat(patient, finding)`` changes ``patient.draft`` and
    returns a sentence about what it did; None where there is no cure.  ``codes`` it may report.
    """

    name: str
    title: str
    codes: tuple[str, ...]
    examine: Callable[[Patient], Iterable[Finding]]
    treat: Callable[[Patient, Finding], str] | None = None
    source: str = ""


@functools.cache
def ailments() -> tuple[Ailment, ...]:
    """Every known ailment."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(importlib.import_module(f"{__name__}.{name}").AILMENT for name in names)


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding of every ailment, the worst first."""
    found = [finding for ailment in ailments() for finding in ailment.examine(patient)]
    yield from sorted(found, key=lambda finding: (-SEVERITIES.index(finding.severity), finding.code, finding.where))
