"""A source in the terms of one object in memory, whose settings are fixed: it is put into them, or refused with the reason.

A layout says what *some* object of it can be; an object is one of these.  So the layout is narrowed to what the object
is, and ``conventions.express`` does the rest.  Not known here: sizes.
"""

from __future__ import annotations

from ..checkpoint._unit import as_dtype, holds_every
from ..conventions import Change, express
from ..errors import NotRepresentable
from ..layouts import Layout
from ..live import Live
from ..record import replace
from ..weights import Stack


def as_built(live: Live) -> Layout:
    """The layout that only this object's kind has: its parts, its form, its dialect, nothing optional, nothing to choose."""
    layout, form = live.match.layout, dict(live.match.form)
    held = sorted({index for index, *_ in live.match.group.names})
    parts = tuple(replace(layout.parts[index], optional=False, given=form) for index in held)
    return replace(layout, parts=parts, dialect=live.dialect, settings=(), also=())


def in_terms_of(part: Stack, live: Live) -> tuple[Stack, tuple[Change, ...]]:
    """The source in the object's dialect, biases and dtype, and what that changed.  Raises NotRepresentable."""
    changes: list[Change] = []
    dtype = live.match.dtype
    widens = holds_every(dtype, part.spec.dtype)  # a wider dtype before the arithmetic: nothing is rounded twice
    try:
        said = express(as_dtype(part, dtype, changes) if widens else part, as_built(live))
    except NotRepresentable as error:
        error.where = live.name or "the destination"
        error.next = error.next or _build_it(part, live)
        raise
    changes += said.changes
    return said.stack if widens else as_dtype(said.stack, dtype, changes), tuple(changes)


def _build_it(part: Stack, live: Live) -> str | None:
    """How the destination would have to be made, where its framework can say what the source says."""
    layout = live.match.layout
    try:
        wanted = express(part, layout).stack
    except NotRepresentable:
        return None
    said = {
        setting.names[0]: setting.spelled(getattr(wanted.dialect, setting.field))
        for setting in layout.settings
        if getattr(wanted.dialect, setting.field) != getattr(live.dialect, setting.field)
    }
    if wanted.spec.bias != "none" and live.spec.bias == "none":
        return "Make the destination with biases."
    if not said:
        return None
    return f"Make the destination with {', '.join(f'{name}={value!r}' for name, value in said.items())}."
