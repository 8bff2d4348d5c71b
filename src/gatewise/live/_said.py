"""What the user says of an object's meaning, beside what the object itself tells.  Not known here: any framework.

A framework's own class and its configuration tell what it computes: that is not said otherwise.  What they do not tell is
taken from the user, and where the object can be run, the run decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..checkpoint._open import told
from ..errors import UsageError
from ..layouts import Match
from ..layouts._words import why_unknown
from ..weights import CELLS_OF, Stack
from ._weight import Holder, described


def meant(holder: Holder, match: Match, said: Mapping[str, Any], own: bool) -> Match:
    """The match with what the user said of it.  ``own``: a layer of the user's own, whose class tells nothing.  Raises
    UsageError where the object tells something else."""
    if not said:
        return match
    after = told(match, said)
    if not (own or holder.layouts is None or holder.unproved):
        for name in said:
            before = getattr(match.dialect, name)
            if getattr(after.dialect, name) not in _same(name, before) and _tells(match, name, before):
                raise UsageError(
                    f"{described(holder.subject)}{f' at {holder.path}' if holder.path else ''} computes with "
                    f"{name} = {before}, and {said[name]!r} was said.",
                    next=f"What an object tells is not said otherwise: leave {name} out, or make the object so.",
                )
    if after.dialect != match.dialect and _can_be_run(holder, match):
        holder.unproved = True
    return after


def check_applies(layers: Sequence[Stack], said: Mapping[str, Any]) -> None:
    """Raises UsageError for a setting that says something of other cells than any of these."""
    cells = dict.fromkeys(layer.cell for layer in layers)
    for name in said:
        if not set(CELLS_OF.get(name, cells)) & set(cells):
            raise UsageError(
                f"{name} says something of a {' or '.join(CELLS_OF[name])}, and this is a {' and a '.join(cells)}.",
                next=f"Leave {name} out.",
            )


def _same(name: str, value: Any) -> tuple[Any, ...]:
    """The values that say the same as one: what is never clipped is clipped at infinity."""
    return (None, float("inf")) if name.endswith("_clip") and value in (None, float("inf")) else (value,)


def _tells(match: Match, name: str, value: Any) -> bool:
    """Does the object itself tell a field, and is it something that gatewise knows?"""
    if any(text.startswith(f"{name} =") for text in match.assumed) or any(field == name for field, _ in match.doubts):
        return False
    return not (name.endswith("activation") and value is not None and why_unknown(name, value))


def _can_be_run(holder: Holder, match: Match) -> bool:
    from ..cell import states_of

    if type(holder).run is not Holder.run:
        return True
    return next(holder.ways(states_of(match.layout.cell), len(match.sizes)), None) is not None
