"""The layers that a deed is done to, what is chosen in them, and what is given back.  Not known here: what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..layouts._code import Home
from ..live import Live, LiveModel, of_several
from ..selection import Selector

Chosen = list[tuple[Live, list[Home]]]


def layers_of(subject: Any) -> list[Live]:
    """The recurrent layers of an object in memory.  Raises UsageError where there is none."""
    return of_several(subject)


def chosen_in(layers: Sequence[Live], selector: Selector) -> Chosen:
    """What a selector chooses in each layer that has such a thing.  Raises UsageError, as the selector does, where none has:
    a model's GRU need not have its LSTM's gates."""
    found: Chosen = []
    refused: list[UsageError] = []
    for live in layers:
        try:
            found.append((live, live.chosen(selector)))
        except UsageError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def written(subject: Any, layers: Sequence[Live], values: Sequence[tuple[Live, Mapping[Home, Any]]]) -> Any:
    """Write gates of several layers: what is given back.  Raises UsageError where one value does not fit, before the first
    is written."""
    for live, of_live in values:
        live.fitting(of_live)
    for live, of_live in values:
        live.write(of_live)
    return given_back(subject, layers)


def given_back(subject: Any, layers: Sequence[Live]) -> Any:
    """The object with its changes: itself, or the new one of a framework whose objects never change."""
    if isinstance(subject, Live | LiveModel):
        return subject.result
    return layers[0].result if layers[0].holder.functional else subject


def place(layer: int, direction: str) -> str:
    return f"layer {layer} ({direction})"


def called(live: Live) -> str:
    """A layer in a sentence."""
    return live.name or f"the {live.cell.upper()}"
