"""What a file must show for a table to be worth importing: a text in its names, a declared class, a kind of stream.

The index (``_index.py``) holds each module's clues; :func:`may_hold` holds them against a file.  Clues only leave out
what could not match: a table is imported once too often rather than once too seldom.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..record import lazy, record
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

    @lazy
    def texts(self) -> frozenset[str]:
        """Every text that its clues ask for."""
        wanted = (*self.clues[0], *(needed for _, needed in self.clues[3]))
        return frozenset(text for needed in wanted for choice in needed for text in choice)


def clues(layouts: Iterable[Layout]) -> Clues:
    """The clues of one module's tables."""
    from ._layout import INPUTS, is_stream

    texts: set[Needed] = set()
    own: set[Own] = set()
    kinds: set[str] = set()
    streams: set[str] = set()
    for layout in layouts:
        for form in layout.forms if layout.unasked != "never" else ():
            wanted = [_texts(layout, part) for part in layout.parts_given(form) if not part.optional]
            if not all(wanted):  # a part without any name is found by an operator's word or a place in a stream alone
                continue
            needed = tuple(sorted({tuple(sorted(choice)) for choices in wanted for choice in choices}))
            if layout.unasked == "everywhere":
                texts.add(needed)
            else:
                own.add((layout.writers or (layout.framework,), needed))
        schemes = {scheme for part in layout.parts for scheme in part.namings}
        streams |= {scheme for scheme in schemes if is_stream(scheme)}
        if INPUTS in schemes:
            kinds |= set(layout.kinds)
    return tuple(sorted(texts)), tuple(sorted(kinds)), tuple(sorted(streams)), tuple(sorted(own))


def _texts(layout: Layout, part: Part) -> list[set[str]]:
    """Texts of which one stands in the names, for all that the part must show; where capitals do not count, marked with
    ~.  A part with one name must show all that is certain of it, one with several the most telling text of some of them."""
    from ._layout import INPUTS, RESEMBLING

    ways = [
        [f"{RESEMBLING}{text}" for text in found.small_clues] if naming == RESEMBLING else list(found.clues)
        for naming in part.namings
        if naming != INPUTS
        for found in layout.templates(part, naming)
    ]
    if len(ways) == 1:
        return [{_alike(text)} for text in ways[0]]
    return [{_alike(max(texts, key=len)) for texts in ways}] if ways else []


_DIGITS = str.maketrans("123456789", "000000000")


def _alike(text: str) -> str:
    """With one digit for all: a model has thousands of names that differ in a number, and each clue is looked for in all."""
    return text.translate(_DIGITS)


@record
class Shown:
    """What a file shows: the texts that some clue asks for, the kinds of its operators, its naming scheme and its writers."""

    texts: frozenset[str]
    kinds: frozenset[str]
    naming: str
    writers: frozenset[str]


class Texts:
    """Every text that some row's clues ask for."""

    def __init__(self, rows: Iterable[Row]):
        texts = {text for row in rows for text in row.texts}
        self._plain = [text for text in texts if not text.startswith("~")]
        self._loose = {text[1:]: text for text in texts if text.startswith("~")}

    def shown(self, tensors: Tensors) -> Shown:
        """Those that stand in a file's names, each looked for once; and what else a file shows."""
        lines = _alike("\n".join(tensors)).split("\n")
        names = "\n".join((*dict.fromkeys(lines), ""))
        small = names.lower()
        held = [text for text in self._plain if text in names]
        held += [marked for text, marked in self._loose.items() if text in small]
        kinds = frozenset([declared.kind for declared in tensors.declared if declared.inputs])
        return Shown(frozenset(held), kinds, tensors.naming, frozenset([each.framework for each in tensors.written_by]))


def may_hold(row: Row, shown: Shown) -> bool:
    """Could one of a module's layouts be in the file?"""
    texts, kinds, streams, own = row.clues
    if shown.naming in streams or (shown.kinds and not shown.kinds.isdisjoint(kinds)):
        return True
    if shown.texts.isdisjoint(row.texts):  # as of most tables
        return False
    theirs = [needed for writers, needed in own if not shown.writers.isdisjoint(writers)]
    return any(not any(map(shown.texts.isdisjoint, needed)) for needed in (*texts, *theirs))
