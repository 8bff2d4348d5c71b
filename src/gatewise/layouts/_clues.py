"""What a file must show for a table to be worth importing: a text in its names, a declared class, a kind of stream.

The index (``_index.py``) holds each module's clues; :func:`may_hold` holds them against a file.  Clues only leave out
what could not match: a table is imported once too often rather than once too seldom.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from ..record import record
from ..tensors import Tensors

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ._layout import Layout, Part


# For each layout and form, texts of which one stands in a name, for each part that must be there; kinds of declared
# objects with inputs; naming schemes of streams; and who writes such a file, where a layout is looked for in no other's.
Needed = tuple[tuple[str, ...], ...]
Own = tuple[tuple[str, ...], Needed]
Clues = tuple[tuple[Needed, ...], tuple[str, ...], tuple[str, ...], tuple[Own, ...]]


@record
class Row:
    """What the index knows of a module without importing it."""

    module: str
    layouts: tuple[str, ...]
    clues: Clues


def clues(layouts: Iterable[Layout]) -> Clues:
    """The clues of one module's tables."""
    from ._layout import INPUTS, is_stream

    texts: set[Needed] = set()
    own: set[Own] = set()
    kinds: set[str] = set()
    streams: set[str] = set()
    for layout in layouts:
        for form in layout.forms if layout.unasked != "never" else ():
            choices = [_texts(layout, part) for part in layout.parts_given(form) if not part.optional]
            needed = tuple(sorted({tuple(sorted(choice)) for choice in choices}))
            if not all(choices):  # a part without any name is found by an operator's word or a place in a stream alone
                continue
            if layout.unasked == "everywhere":
                texts.add(needed)
            else:
                own.add((layout.writers or (layout.framework,), needed))
        schemes = {scheme for part in layout.parts for scheme in part.namings}
        streams |= {scheme for scheme in schemes if is_stream(scheme)}
        if INPUTS in schemes:
            kinds |= set(layout.kinds)
    return tuple(sorted(texts)), tuple(sorted(kinds)), tuple(sorted(streams)), tuple(sorted(own))


def _texts(layout: Layout, part: Part) -> set[str]:
    """For every name that the part may have, a text that stands in it; where capitals do not count, marked with ~."""
    from ._layout import INPUTS, RESEMBLING

    return {
        f"{RESEMBLING}{found.needle.lower()}" if naming == RESEMBLING else found.needle
        for naming in part.namings
        if naming != INPUTS
        for found in layout.templates(part, naming)
    }


class Texts:
    """Every text that some row's clues ask for."""

    def __init__(self, rows: Iterable[Row]):
        wanted = {needed for row in rows for needed in (*row.clues[0], *(needed for _, needed in row.clues[3]))}
        texts = {text for needed in wanted for choice in needed for text in choice}
        self._plain = [text for text in texts if not text.startswith("~")]
        self._loose = {text[1:]: text for text in texts if text.startswith("~")}

    def held(self, tensors: Tensors) -> Set[str]:
        """Those that stand in a file's names, each looked for once."""
        names = "\n".join(tensors)
        small = names.lower()
        found = {text for text in self._plain if text in names}
        return found.union([marked for text, marked in self._loose.items() if text in small])


def may_hold(clues: Clues, tensors: Tensors, held: Set[str]) -> bool:
    """Could one of a module's layouts be in the file?"""
    texts, kinds, streams, own = clues
    theirs = [needed for writers, needed in own if any(each.framework in writers for each in tensors.written_by)]
    return (
        any(not any(map(held.isdisjoint, needed)) for needed in (*texts, *theirs))
        or tensors.naming in streams
        or any(declared.inputs and declared.kind in kinds for declared in tensors.declared)
    )
