"""What a symptom is, and what an explanation.  Knows no text and no pattern.

Codes are stable: they are never used again for something else.  The first digit is the family.

    GW1xx   PyTorch objects: pickled modules, their attributes
    GW2xx   Keras and TensorFlow files
    GW3xx   state dicts: names and shapes
    GW4xx   running: cuDNN, warnings, weights that are not used, backends
    GW5xx   moving weights between frameworks, and questions about what lies where
    GW6xx   loading safely, and file formats
    GW7xx   the numbers themselves
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from .. import folders

FAMILIES: Mapping[str, str] = {
    "GW1": "PyTorch objects: pickled modules and their attributes",
    "GW2": "Keras and TensorFlow files",
    "GW3": "State dicts: names and shapes",
    "GW4": "Running: cuDNN, warnings, weights that are not used, backends",
    "GW5": "Moving weights between frameworks, and which number is what",
    "GW6": "Loading safely, and file formats",
    "GW7": "The numbers themselves",
}
CODE = "    "
SURE, AHEAD = 0.85, 0.1  # an answer is sure from this confidence on, when no other mechanism comes closer than that


@dataclass(frozen=True)
class Symptom:
    """One row of a table.

    ``title``     the error's own words, as people search for them; a question when nothing is printed
    ``says``      phrases (see _phrase) that only this mechanism prints: one of them is enough
    ``suggests``  phrases that others print too: they tell something only together with ``hints``
    ``needs``     words of which one must occur somewhere in the text, or ``says`` counts as ``suggests``
    ``hints``     words elsewhere in the text that make it likelier
    ``unless``    words with which it is something else
    ``asks``      questions: groups of words, all of which must occur; ``|`` parts alternatives, ``~`` is a space
    ``cause``, ``fix``, ``versions``   what is told; lines of ``fix`` that are indented by four are code or commands
    ``threads``   where it was reported: ``owner/name#number``, or an address
    ``tried``     where we saw it ourselves, cause and cure
    ``inferred``  what follows from a source but was seen by nobody; told with the answer
    ``related``   codes of the same mechanism: giving one for the other does no harm
    """

    code: str
    title: str
    cause: str
    fix: str
    versions: str
    threads: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    suggests: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    tried: str = ""
    inferred: str = ""
    related: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The threads as addresses."""
        return tuple(_address(thread) for thread in self.threads)

    @property
    def known(self) -> str:
        """How we know: tried, inferred, or neither (then the sources say so)."""
        parts = (
            f"Tried: {self.tried}" if self.tried else "",
            f"Inferred, not tried: {self.inferred}" if self.inferred else "",
        )
        return " ".join(part for part in parts if part)

    @property
    def family(self) -> str:
        return self.code[:3]

    @property
    def steps(self) -> list[tuple[bool, list[str]]]:
        """The fix as blocks, each with whether it is code."""
        blocks: list[tuple[bool, list[str]]] = []
        for block in self.fix.split("\n\n"):
            code = block.startswith(CODE)
            lines = [line.removeprefix(CODE) for line in block.split("\n")]
            if code and blocks and blocks[-1][0]:
                blocks[-1][1].extend(["", *lines])
            else:
                blocks.append((code, lines))
        return blocks

    def __post_init__(self) -> None:
        object.__setattr__(self, "fix", _tidy(self.fix))


def _tidy(fix: str) -> str:
    """Sentences in one line each, code indented by four.

    In the tables a fix is indented like the field it stands in, by eight; shared pieces at a module's top are not indented.
    """
    blocks = []
    for block in re.split(r"\n(?: *\n)+", fix.strip("\n").rstrip()):
        lines = block.split("\n")
        depth = len(lines[0]) - len(lines[0].lstrip())
        base = 8 if depth >= 8 else 0
        if depth - base >= 4:
            blocks.append("\n".join(line[base:] for line in lines))
        else:
            blocks.append(" ".join(line.strip() for line in lines))
    return "\n\n".join(block for block in blocks if block.strip())


def _address(thread: str) -> str:
    repository, sharp, number = thread.partition("#")
    return f"https://github.com/{repository}/issues/{number}" if sharp else f"https://{thread}"


@dataclass(frozen=True)
class Match:
    """A symptom that a text may be about, and how likely."""

    symptom: Symptom
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """One of the public contract's ``matches``."""
        it = self.symptom
        return {
            "code": it.code, "title": it.title, "cause": it.cause, "fix": it.fix, "versions": it.versions,
            "sources": list(it.sources), "known": it.known, "confidence": self.confidence,
        }  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """``matches``, best first.  ``sure``: the first one is the answer; else they are only the nearest known."""

    matches: tuple[Match, ...] = ()
    sure: bool = False

    @property
    def answer(self) -> Symptom | None:
        """The symptom that explains the text, or None when that is not sure."""
        return self.matches[0].symptom if self.sure else None

    def as_dict(self) -> dict[str, Any]:
        """The public contract's document."""
        return {"matches": [match.as_dict() for match in self.matches], "sure": self.sure}


@cache
def tables() -> tuple[Symptom, ...]:
    """Every row of every table in this folder, ordered by code."""
    rows: list[Symptom] = []
    for name in folders.modules(__package__):
        rows += folders.module(f"{__package__}.{name}").SYMPTOMS
    return tuple(sorted(rows, key=lambda row: row.code))
