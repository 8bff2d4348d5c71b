"""One layer for weights that a file holds under several names: a state dict beside the module it came from."""

from __future__ import annotations

from collections.abc import Sequence

from ..layouts import Match
from ..tensors import Tensors


def without_twins(matches: Sequence[Match], tensors: Tensors) -> list[tuple[Match, list[str]]]:
    """The matches whose weights no earlier one has, each with the names of those that have its weights too."""
    seen: dict[object, int] = {}
    kept: list[tuple[Match, list[str]]] = []
    for match in matches:
        identity = _identity(match, tensors)
        if identity is not None and identity in seen and _one_layer(kept[seen[identity]][0], match):
            kept[seen[identity]][1].append(match.name)
            continue
        if identity is not None:
            seen[identity] = len(kept)
        kept.append((match, []))
    return kept


def _one_layer(one: Match, other: Match) -> bool:
    """Are two readings of the same weights one layer?  An operator that a graph has twice (in the branches of an If) is,
    where nothing else differs."""
    operators = one.group.declared is not None and other.group.declared is not None
    return (operators and one.dialect == other.dialect) or _same_place(one.name, other.name)


def _same_place(one: str, other: str) -> bool:
    """Is one path the end of the other (``state_dict.encoder.rnn`` and ``encoder.rnn``)?  Tied layers stay two."""
    short, long = sorted((one, other), key=len)
    return short == "" or long.endswith(("." + short, "/" + short))


def _identity(match: Match, tensors: Tensors) -> object:
    identities = []
    for name in match.tensors:
        tensor = tensors[name]
        sources = [tensors[source].identity for source in tensor.sources] or [tensor.identity]
        if None in sources:
            return None
        identities.append(tuple(sources))
    return (match.layout.cell, tuple(identities))
