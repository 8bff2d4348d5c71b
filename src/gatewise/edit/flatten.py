"""A layer's weights in one chunk of memory: how many chunks there are, and making them one.

Not known here: any framework, and how its weights are moved (``Holder.flatten``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import NotRepresentable, few
from ..flat import flat
from ..live import Live
from ._layers import called, layers_of


@dataclass(frozen=True)
class Chunks:
    """One layer's: in how many chunks its weights lay before and lie now, and what was done (``how``)."""

    name: str
    before: int
    after: int
    how: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before} → {self.after} chunk{'s' * (self.after != 1)} ({self.how})"


@dataclass(frozen=True)
class Flattened:
    """What :func:`flatten_parameters` did, layer by layer; ``result`` is the object that was given."""

    layers: tuple[Chunks, ...]
    result: Any

    @property
    def whole(self) -> bool:
        """Do every layer's weights lie in one chunk?"""
        return all(each.after <= 1 for each in self.layers)

    def __str__(self) -> str:
        return "\n".join(map(str, self.layers))


def flatten_parameters(subject: Any, order: str | None = None) -> Flattened:
    """Put each recurrent layer's weights into one chunk of memory, as cuDNN wants them.

    ``subject``  a torch module or model, or what :func:`gw.of` gave
    ``order``    the order in that chunk, one of ``gw.flat``'s that lists the layer's own tensors ("cudnn", "torch").  None:
                 cuDNN's, and on a GPU by torch's own ``flatten_parameters``; layers of other classes as their layout has them

    Parameters stay the objects that they are: optimizers, ``state_dict`` and gradients go on.  Whoever holds another view of
    the old memory no longer sees the weights.  A layer with a weight that is computed anew at every call stays as it is, and
    the report says so.  Raises UsageError where there is no torch layer, for weights of several dtypes or devices, in shared
    memory, or without memory, and for a module that runs with other tensors than its names give (GW404).
    """
    layers = layers_of(subject)
    done = tuple(_flattened(live, order) for live in layers)
    return Flattened(done, subject)


def _flattened(live: Live, order: str | None) -> Chunks:
    live.require_writing()
    names = _names(live, order)
    before = live.holder.chunks(names)
    how = live.holder.flatten(names, by_framework=order is None) if before > 1 else "as they were"
    return Chunks(called(live), before, live.holder.chunks(names), how)


def _names(live: Live, order: str | None) -> tuple[str, ...]:
    """The layer's tensors in the order that is wanted."""
    own = set(live.match.tensors)
    if order is None:
        try:
            names = flat(live, "cudnn").names
        except NotRepresentable:
            names = ()
        return names if set(names) == own else flat(live).names
    names = flat(live, order).names
    if set(names) != own:
        raise NotRepresentable(
            f"{order} does not list the tensors of {called(live)} as they are ({few(sorted(own))}).",
            next="Leave order= out, or pack a copy with gw.flat(...).pack().",
        )
    return names
