"""Which of several matches for the same tensors it is: the best evidence, or an ambiguity that says so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..record import record
from ..tensors import Tensors
from ._match import Match, claims


@record
class Ambiguity:
    """Tensors that two layouts of different meaning fit equally well."""

    name: str
    layouts: tuple[str, ...]
    tensors: tuple[str, ...]


def with_sources(match: Match, tensors: Tensors) -> Iterator[str]:
    """A match's tensors, and those that they were made from: a graph turns torch's weights into ONNX's."""
    for name in match.tensors:
        yield name
        yield from tensors[name].sources


def settle(candidates: list[Match], tensors: Tensors) -> tuple[list[Match], list[Ambiguity]]:
    """Where matches want the same tensors, the best evidence wins; equal evidence and other meaning is an ambiguity."""
    chosen: list[Match] = []
    ambiguous: list[Ambiguity] = []
    taken: dict[str, Match] = {}
    for match in sorted(_without_parts(candidates), key=_rank, reverse=True):
        rivals = {id(taken[name]): taken[name] for name in match.tensors if name in taken}
        if not rivals or _another_use(match, list(rivals.values())):
            chosen.append(match)
            taken |= dict.fromkeys(with_sources(match, tensors), match)
            continue
        rival = next(iter(rivals.values()))
        if _rank(rival) == _rank(match) and not _means_the_same(rival, match):
            ambiguous.append(Ambiguity(match.name, (rival.layout.name, match.layout.name), match.tensors))
    undecided = {name for doubt in ambiguous for name in doubt.tensors}
    return [match for match in chosen if not undecided.intersection(match.tensors)], ambiguous


def _without_parts(candidates: list[Match]) -> list[Match]:
    """The matches, without those whose tensors another one explains beside others of the same place: an LSTM that
    keeps its kernels apart (``kernel``, ``recurrent_kernel``, ``bias``) is no LSTM with one kernel and a bias."""
    by_tensor: dict[str, list[Match]] = defaultdict(list)
    for match in candidates:
        for name in match.tensors:
            by_tensor[name].append(match)

    def more(match: Match, other: Match) -> bool:
        return set(match.tensors) < set(other.tensors) and _rank(match)[0] <= _rank(other)[0]

    return [match for match in candidates if not any(more(match, other) for other in by_tensor[match.tensors[0]])]


def _another_use(match: Match, rivals: list[Match]) -> bool:
    """Is this a second operator of the file that is given the same tensors?"""
    return match.group.declared is not None and all(
        rival.group.declared not in (None, match.group.declared) for rival in rivals
    )


def _rank(match: Match) -> tuple[bool, bool, bool, int, bool]:
    declared = match.declared is not None and claims(match.layout, match.declared)
    parts = [match.layout.parts[address[0]] for address in match.group.names]
    own = bool(match.group.naming) and all(part.texts(match.group.naming) for part in parts)  # no plain names' stand-in
    return (declared, match.native, own, len(match.tensors), not match.layout.like)


def _means_the_same(one: Match, other: Match) -> bool:
    """Do both say the same of every tensor: whose it is, and where in it what lies?"""
    return one.dialect == other.dialect and _said(one) == _said(other)


def _said(match: Match) -> dict[str, tuple[object, ...]]:
    said: dict[str, tuple[object, ...]] = {}
    for part, place, name in match.places():
        gates = [match.layout.gates_of(part, role) for role in part.roles]
        said[name] = (place.layer, place.direction, place.gate, part.roles, part.phrase, part.relabel, gates)
    return said
