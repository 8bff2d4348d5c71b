"""The layers that a deed is done to, what is chosen in them, and what is given back.  Not known here: what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts._code import Home
from ..live import Live, LiveModel, of_several
from ..live._live import write_all
from ..selection import Selector

if TYPE_CHECKING:
    from ..tensors import Array

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
            error.where = live.name if len(layers) > 1 else None
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def reached(layers: Sequence[Live], selector: Selector) -> set[int]:
    """The layers in which a selector chooses something, by identity.  Raises UsageError where there is none."""
    return {id(live) for live, _ in chosen_in(layers, selector)}


def parted(live: Live, homes: Sequence[Home]) -> dict[str, list[Home]]:
    """The tensors of which only a part is among ``homes``, with what else lies in them."""
    others = [home for home in live.homes if home not in set(homes)]
    names = {home.name for home in homes}
    return {
        name: [home for home in others if home.name == name] for name in dict.fromkeys(home.name for home in others) if name in names
    }  # fmt: skip


def masks(live: Live, homes: Sequence[Home]) -> dict[str, Array]:
    """Tensor name → booleans in its stored shape, True where one of ``homes`` lies."""
    import numpy as np

    found: dict[str, Array] = {}
    for home in homes:
        mask = found.setdefault(home.name, np.zeros(live.weight_of(home).shape, bool))
        home.slot(live.match, mask).write(np.ones(live.shape(home), bool))
    return found


def written(subject: Any, layers: Sequence[Live], values: Sequence[tuple[Live, Mapping[Home, Any]]]) -> Any:
    """Write gates of several layers: what is given back.  Raises UsageError where one value does not fit or is refused, and
    then nothing is written."""
    write_all(values)
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
