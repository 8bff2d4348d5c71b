"""Versions and specifiers, as far as the ailments need them: ``torch>=1.4,<2.0``, ``keras==2.*``, ``""`` for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError

Version = tuple[int, ...]
FRAMEWORKS = ("torch", "keras", "tensorflow")
_CLAUSE = re.compile(r"(>=|<=|==|!=|<|>)([0-9]+(?:\.[0-9]+)*)(\.\*)?")
_TARGET = re.compile(r"\s*([a-z]+)\s*(?:(?:==|~=|=)?\s*v?([0-9]+(?:\.[0-9]+)*)(?:\.\*|[.+a-z-][\w.+]*)?)?\s*")
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
}


@dataclass(frozen=True)
class Target:
    """The framework and version that the user asks about: ``--for torch==2.13``.  No version: the newest."""

    framework: str
    version: Version = ()

    @classmethod
    def parse(cls, text: str) -> Target:
        """``torch==2.13``, ``keras==3``, ``torch``.  Raises UsageError."""
        found = _TARGET.fullmatch(text)
        if not found or found[1] not in FRAMEWORKS:
            raise UsageError(f"cannot tell what {text!r} asks for.", next="Say it as torch==2.13 or keras==3.")
        return cls(found[1], tuple(int(piece) for piece in (found[2] or "").split(".") if piece))

    def __str__(self) -> str:
        version = ".".join(map(str, self.version))
        return f"{self.framework}=={version}" if version else self.framework


def matters(affects: str, target: Target) -> bool:
    """Do these versions include the target?  ``affects`` of "" is every version of everything."""
    if not affects:
        return True
    framework = re.match(r"[a-z]*", affects)[0]  # type: ignore[index]  # it matches the empty text too
    return framework in ("", target.framework) and contains(affects[len(framework) :], target.version)


def contains(specifier: str, version: Version) -> bool:
    """``contains(">=1.4,<2.0", (1, 13))``.  A version of no numbers is newer than every other.

    A version is as exact as it is said: 2 stands for any 2.x, and 1.8 for any 1.8.x (``==`` compares what both say).
    """
    clauses = [clause.strip() for clause in specifier.split(",") if clause.strip()]
    return all(_holds(clause, version) for clause in clauses)


def _holds(clause: str, version: Version) -> bool:
    found = _CLAUSE.fullmatch(clause)
    if not found:
        raise ValueError(f"{clause!r} is no version specifier")
    operator, bound = found[1], tuple(map(int, found[2].split(".")))
    if not version:
        return operator in (">=", ">", "!=")
    if operator in ("==", "!=") or found[3]:
        length = min(len(bound), len(version))
        return _COMPARE[operator](version[:length], bound[:length])
    width = max(len(bound), len(version))
    return _COMPARE[operator](_padded(version, width), _padded(bound, width))


def _padded(version: Version, width: int) -> Version:
    return version + (0,) * (width - len(version))
