"""Known sicknesses: one file each; diagnosis never changes anything, a remedy changes a draft, never the file.

An ailment is a module of this folder whose name has no leading underscore and which holds ``AILMENT``.  The folder is
walked: adding an ailment is adding a file, and its test, whose first cases are what it must leave alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .. import folders
from ..checkpoint import Checkpoint
from ..errors import BrokenFile
from ._versions import FRAMEWORKS, Target, contains, matters

SEVERITIES = ("note", "slow", "breaks", "wrong-results", "unsafe")  # mildest first
# Stages at which something fails: loading, calling, scripting; and the loading call with its defaults, where another
# choice of options works (torch.load's weights_only).  NUMBERS: nothing fails, the results are other ones.
LOAD, CALL, NUMBERS, SCRIPT, DEFAULT_LOAD = "load", "call", "numbers", "script", "default load"


@dataclass(frozen=True)
class Remedy:
    """What would cure it, and how exact that is (``exact``, ``exact up to one rounding`` …)."""

    what: str
    exactness: str

    def as_dict(self) -> dict[str, str]:
        return {"what": self.what, "exactness": self.exactness}


@dataclass(frozen=True)
class Outcome:
    """What happens in some versions.

    ``versions``  a specifier without the framework's name: ``>=1.4,<2.0``
    ``what``      for people: ``loads, fails at the call``
    ``stage``     where it fails: LOAD, CALL, SCRIPT, DEFAULT_LOAD; "" where nothing fails
    ``error``     the framework's own words: ``AttributeError: 'LSTM' object has no attribute '_flat_weights'``
    """

    versions: str
    what: str
    stage: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"versions": self.versions, "outcome": self.what, "stage": self.stage, "error": self.error}


@dataclass(frozen=True)
class Finding:
    """One thing the doctor saw.  ``code`` is stable and documented; ``where`` a layer, tensor or module path;
    ``affects`` a specifier of the versions that suffer (``torch>=1.4``; "" for all); ``outcomes`` what happens in
    which versions.  ``remedy`` is None where there is no cure.  ``order`` is the place in the file's own order: of two
    failures the first one is what the user sees."""

    code: str
    severity: str
    where: str
    what: str
    why: str
    affects: str
    remedy: Remedy | None = None
    outcomes: tuple[Outcome, ...] = ()
    order: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "code": self.code, "severity": self.severity, "where": self.where, "what": self.what, "why": self.why,
            "remedy": self.remedy.as_dict() if self.remedy else None, "affects": self.affects,
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
        }  # fmt: skip

    def in_version(self, target: Target) -> Finding | None:
        """The finding as it concerns one version: that version's outcome alone, or None if it does not suffer."""
        if not matters(self.affects, target):
            return None
        told = tuple(outcome for outcome in self.outcomes if contains(outcome.versions, target.version))
        return replace(self, outcomes=told)


@dataclass(frozen=True)
class Patient:
    """What is examined: an opened file, or an object in memory; and for which framework, where the user said so.

    ``draft`` is what a treatment works on: for a file what its container's ``draft`` made (:class:`..containers.Draft`:
    TorchDraft …), for an object in memory a copy of it.  Never the file or, unless asked, the object itself.
    """

    checkpoint: Checkpoint | None = None
    live: Any = None
    target: Target | None = None
    draft: Any = field(default=None, compare=False)
    path: str = ""  # of what cannot be opened and may still be told by its name


@dataclass(frozen=True)
class Ailment:
    """One known sickness: what it looks at, and what cures it.

    ``codes`` what it may report: code → its meaning in one sentence (docs/findings.md is made from them).
    ``examine(patient)`` yields findings and changes nothing; it looks at ``checkpoint`` or ``live``, never at the draft.
    ``treat(patient, finding)`` changes ``patient.draft`` and returns a sentence about what it did, or "" where there was
    nothing left to do (another treatment did it).  None where nothing that it finds has a cure.
    ``forms`` the forms of a result in which the ailment exists (a state dict has no module's attributes); () for all.
    """

    name: str
    title: str
    codes: dict[str, str]
    examine: Callable[[Patient], Iterable[Finding]]
    treat: Callable[[Patient, Finding], str] | None = None
    forms: tuple[str, ...] = ()
    source: str = ""


@functools.cache
def ailments() -> tuple[Ailment, ...]:
    """Every known ailment."""
    return tuple(folders.module(f"{__name__}.{name}").AILMENT for name in folders.modules(__name__))


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding of every ailment, the worst first; with a target, only what matters there."""
    yield from sorted((finding for _, finding in cases(patient)), key=worst_first)


def cases(patient: Patient) -> Iterator[tuple[Ailment, Finding]]:
    """Every finding with the ailment that made it, in the order in which they are treated."""
    for ailment in ailments():
        for finding in _guarded(ailment, patient):
            told = finding if patient.target is None else finding.in_version(patient.target)
            if told is not None:
                yield ailment, told


def _guarded(ailment: Ailment, patient: Patient) -> Iterator[Finding]:
    """What an ailment finds in a file whose objects are not what their classes' names say is a refusal that says so: the
    doctor must not be blinded by a broken object, nor call a file healthy that it could not examine."""
    try:
        yield from ailment.examine(patient)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        checkpoint = patient.checkpoint
        if checkpoint is None:
            raise
        raise BrokenFile(
            f"what it holds is not what its classes write ({type(error).__name__}: {str(error)[:80]}).",
            path=checkpoint.path, where=f"looking for {ailment.title[:1].lower()}{ailment.title[1:]}",
        ) from error  # fmt: skip


def worst_first(finding: Finding) -> tuple[int, str, int, str]:
    return (-SEVERITIES.index(finding.severity), finding.code, finding.order, finding.where)


__all__ = [
    "CALL", "DEFAULT_LOAD", "FRAMEWORKS", "LOAD", "NUMBERS", "SCRIPT", "SEVERITIES", "Ailment", "Finding", "Outcome", "Patient", "Remedy", "Target", "ailments",
    "cases", "contains", "examine", "worst_first",
]  # fmt: skip
