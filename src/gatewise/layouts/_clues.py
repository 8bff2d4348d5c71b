"""What a file must show for a table to be worth importing: a text in its names, a declared class, a kind of stream.

The index (``_index.py``) holds each module's clues; :func:`may_hold` holds them against a file.  Clues only leave out
what could not match: a table is imported once too often rather than once too seldom.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..tensors import Tensors

if TYPE_CHECKING:
    from ._layout import Layout, Part


# Texts any of which stands in a name; kinds of declared objects with inputs; naming schemes of streams.
Clues = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def clues(layouts: Iterable[Layout]) -> Clues:
    """The clues of one module's tables."""
    from ._layout import INPUTS, is_stream

    texts: set[str] = set()
    kinds: set[str] = set()
    streams: set[str] = set()
    for layout in layouts:
        for form in layout.forms:
            needed = [part for part in layout.parts_given(form) if not part.optional]
            choices: list[set[str]] = [_texts(layout, part) for part in needed] or [{""}]
            rarest: set[str] = min(choices, key=_commonness)
            texts |= rarest
        schemes = {scheme for part in layout.parts for scheme in part.namings}
        streams |= {scheme for scheme in schemes if is_stream(scheme)}
        if INPUTS in schemes:
            kinds |= set(layout.kinds)
    return tuple(sorted(texts)), tuple(sorted(kinds)), tuple(sorted(streams))


def _commonness(texts: set[str]) -> tuple[int, int]:
    """A part whose shortest text is long is the rarest."""
    return -min((len(text) for text in texts), default=99), len(texts)


def _texts(layout: Layout, part: Part) -> set[str]:
    """For every name that the part may have, a text that stands in it; where capitals do not count, marked with ~."""
    from ._layout import INPUTS, RESEMBLING

    return {
        f"{RESEMBLING}{found.needle.lower()}" if naming == RESEMBLING else found.needle
        for naming in part.namings
        if naming != INPUTS
        for found in layout.templates(part, naming)
    }


def may_hold(clues: Clues, tensors: Tensors, names: str, small: str) -> bool:
    """Could one of a module's layouts be in the file?  ``names``: all its tensors' names; ``small``: in small letters."""
    texts, kinds, streams = clues
    return (
        any((text[1:] in small) if text.startswith("~") else (text in names) for text in texts)
        or tensors.naming in streams
        or any(declared.inputs and declared.kind in kinds for declared in tensors.declared)
    )
