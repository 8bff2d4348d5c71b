"""What loading lines are written about: the objects in a written file, and Python names for them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from ...layouts import Layout
from ...record import record
from ...weights import Stack


@record
class Piece:
    """One object in a written file: its name, its layout, its weights, and the object whose output it takes."""

    name: str
    layout: Layout
    stack: Stack
    after: tuple[str, ...] = ()


def variables(pieces: list[Piece], taken: Iterable[str]) -> dict[str, str]:
    """Name of a piece → a Python name for it, none of the ``taken`` ones."""
    found: dict[str, str] = {}
    for piece in pieces:
        word = re.sub(r"[^0-9a-z]+", "_", piece.name.lower()).strip("_") or piece.stack.cell
        if not word.isidentifier() or keyword.iskeyword(word) or word in taken:
            word = f"{piece.stack.cell}_{word}"
        number, fresh = 1, word
        while fresh in found.values():
            number += 1
            fresh = f"{word}_{number}"
        found[piece.name] = fresh
    return found
