"""``gw.transfer``: the weights of any layer, in a file or in memory, into any layer in memory, proved by running both.

Everything is worked out and checked before the first number is written; when the proof fails, the old numbers come back.
Not known here: any framework, and how a gate is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..conventions import EXACT, Change
from ..errors import NotRepresentable, ProofFailed, UsageError, few
from ..layouts._code import Home
from ..live import Live
from ..proof import Proof
from ..weights import Stack
from ._ends import Names, Numbers, Pair, Piece, destinations, paired, pieces, require_sure, several, sources
from ._layers import given_back
from ._proved import compared, run_source, run_target
from ._resize import Place, Resizing, Sizes, written
from ._terms import in_terms_of
from .prune import unit_numbers

if TYPE_CHECKING:
    from ..tensors import Array

Drop = Any  # units as prune_units takes them, or a mapping from layers, or (layer, direction), to such


@dataclass(frozen=True)
class Moved:
    """One cell's way: layer and direction of the source, layer and direction of the destination."""

    source: str
    direction: str
    to: str
    to_direction: str

    def __str__(self) -> str:
        return f"{self.source} ({self.direction}) → {self.to} ({self.to_direction})"


@dataclass(frozen=True)
class Transfer:
    """What :func:`transfer` did.

    ``result``  the destination, or of a framework whose objects never change the new one
    ``proof``   the largest difference between both ends' runs; None where none was asked for (``check=False``)
    ``changes`` what was changed in the numbers on the way, and how exact that is
    ``layers``  which layer and direction went where
    ``assumed`` what the source does not tell and was taken for granted
    """

    result: Any = field(repr=False)
    proof: Proof | None
    changes: tuple[Change, ...]
    layers: tuple[Moved, ...]
    assumed: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [str(each) for each in self.layers]
        said += [f"{change.what} ({change.exactness})" for change in self.changes]
        said += [f"taken for granted: {text}" for text in self.assumed]
        if self.proof is not None:
            said += [f"proved: max |Δ| = {self.proof.max_abs_error:.3g}, {self.proof.against}"]
        return "\n".join(said)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without ``result``."""
        return {
            "proof": self.proof.as_dict() if self.proof else None,
            "changes": [change.as_dict() for change in self.changes],
            "layers": [vars(each) for each in self.layers],
            "assumed": list(self.assumed),
        }


@dataclass(frozen=True)
class _Job:
    """One piece, ready to be written."""

    piece: Piece
    sizes: Sizes
    values: dict[Home, Array]
    changes: tuple[Change, ...]


def transfer(
    src: Any,
    dst: Any,
    *,
    src_name: Names = None,
    dst_name: Names = None,
    layers: Numbers = None,
    to_layers: Numbers = None,
    direction: str | None = None,
    to_direction: str | None = None,
    grow: bool | str = False,
    shrink: bool = False,
    drop: Drop = None,
    check: bool = True,
) -> Transfer:
    """Give ``dst`` the weights of ``src``: afterwards it computes what ``src`` computes, which is proved by running both.

    ``src``           a path, :class:`Checkpoint`, layer, or object in memory of any framework; or several in a list
    ``dst``           an object in memory of any framework; or several in a list (a cell for each layer of a stack)
    ``src_name``, ``dst_name``    the recurrent layer of this name, where there are several; or several names, in order
    ``layers``, ``to_layers``     only these layers, and where they go, counted from 0 over all that is named; without
                      ``to_layers`` to the same numbers, or to all that the destination has where these are as many
    ``direction``, ``to_direction``   only this direction, and where it goes; without ``to_direction`` to the same, or to
                      the only one
    ``grow``          the destination may have more units or features: what is new is zero, and no old unit reads it, so
                      the old units compute what they did.  ``"fresh"``: a new unit's own weights stay as they are in the
                      destination, so that it can learn; still no old unit reads it
    ``shrink``        the destination may have fewer units: dead ones, which nothing reads, are left out
    ``drop``          units that may go whatever reads them: ``[3, 5]`` of the only layer, ``{layer: [3, 5]}``,
                      ``{(layer, "reverse"): [3]}``
    ``check``         run both ends and compare (7 steps, 3 sequences, non-zero states)

    The source is put into the destination's terms (biases merge, update gates turn, forget biases are stored …); every
    such change is in the result.  The destination's own settings stay.
    Raises NotRepresentable where these mean another function, UsageError where sizes or layers do not fit, ProofFailed
    where both ends differ; in each case the destination is as it was.
    """
    _check_words(grow, direction, to_direction)
    several_of = several(dst)
    groups = [(each, destinations(each, dst_name)) for each in ([dst] if several_of is None else several_of)]
    stacks, lives = sources(src, src_name), [live for _, found in groups for live in found]
    for stack in [*stacks, *lives]:
        require_sure(stack)
    ordered = _in_order(src, src_name) and _in_order(dst, dst_name)
    pairs = paired(stacks, lives, ordered, layers, to_layers, direction, to_direction)
    jobs = [_job(piece, _named(pairs, drop), grow, shrink) for piece in pieces(pairs)]
    proof = _carried_out(jobs, check)
    changes = dict.fromkeys(change for job in jobs for change in job.changes)
    used = {id(pair.source.stack): pair.source.stack for pair in pairs}.values()
    assumed = dict.fromkeys(text for stack in used for text in getattr(stack, "assumed", ()))
    results = [given_back(each, found) for each, found in groups]
    result = results[0] if several_of is None else results
    return Transfer(result, proof, tuple(changes), tuple(_moves(jobs)), tuple(assumed))


def _check_words(grow: bool | str, *directions: str | None) -> None:
    if grow not in (True, False, "fresh"):
        raise UsageError(
            f"grow is {grow!r}.", next='It is True (new units are zero) or "fresh" (they stay as they are).'
        )
    for direction in directions:
        if direction not in (None, "forward", "reverse"):
            raise UsageError(f"there is no direction {direction!r}.", next="It is 'forward' or 'reverse'.")


def _in_order(given: Any, names: Names) -> bool:
    """Did the user himself put several layers in order?"""
    return isinstance(given, list | tuple) or not (names is None or isinstance(names, str))


def _named(pairs: Sequence[Pair], drop: Drop) -> dict[tuple[int, str], tuple[int, ...]]:
    """(number of a source's layer, direction) → the units that the user names.  Raises UsageError."""
    levels = {pair.source.number: pair.source for pair in pairs}
    if drop is None:
        return {}
    if isinstance(drop, str | bytes | bool | float):
        raise UsageError(f"drop is {drop!r:.60}.", next="Say drop=[units], or drop={layer: [units]}.")
    if not isinstance(drop, Mapping):
        if len(levels) > 1:
            raise UsageError(
                f"drop names units and no layer, and there are {len(levels)} layers.", next="Say drop={layer: [units]}."
            )
        drop = dict.fromkeys(levels, drop)
    named: dict[tuple[int, str], tuple[int, ...]] = {}
    for key, units in drop.items():
        number, ways = (key[0], (key[1],)) if isinstance(key, tuple) else (key, None)
        if number not in levels:
            raise UsageError(
                f"drop: layer {number!r} of the source is not transferred.",
                next=f"These are: {few(levels)}.",
            )
        level = levels[number]
        for way in ways or level.stack.directions:
            named[number, way] = tuple(unit_numbers(units, level.stack[level.layer, way].unit))
    return named


# Working it out.


def _job(piece: Piece, named: Mapping[tuple[int, str], Sequence[int]], grow: bool | str, shrink: bool) -> _Job:
    """One piece in its destination's terms and sizes.  Nothing is written yet."""
    live, target = piece.live, piece.target()
    said, changes = in_terms_of(piece.source(), live)
    drop = {place: tuple(named.get((pair.source.number, way), ())) for place, pair, way, _ in piece.places}
    numbers = [pair.source.number for pair in piece.pairs]
    first = piece.pairs[0]
    sizes = Resizing(said, target, drop, numbers, grow=bool(grow), shrink=shrink).found(
        (first.source.below, first.target.below)
    )
    values: dict[Home, Array] = {}
    for place, pair, _, to in piece.places:
        new = written(said[place], sizes.fits[place], target[place], grow == "fresh")
        if isinstance(
            pair.source.stack, Live
        ):  # what is written may be what is read: layers of one object that change places
            new = {where: array.copy() for where, array in new.items()}
        values |= _homes(live, (pair.target.layer, to), target[place], new)
    return _Job(piece, sizes, values, (*changes, *_turned(piece), *_resized(sizes, numbers, said, grow)))


def _homes(live: Live, at: Place, held: Any, new: Mapping[tuple[str, str], Array]) -> dict[Home, Array]:
    """Each new array with its home.  Raises NotRepresentable where the two do not have the same gates."""
    wanted = {(role, gate) for role, gates in held.roles.items() for gate in gates}
    for role, gate in sorted(wanted ^ set(new)):
        has, lacks = ("destination", "source") if (role, gate) in wanted else ("source", "destination")
        raise NotRepresentable(
            f"the {has} has a {role}{f' of gate {gate}' if gate else ''}, and the {lacks} has none.",
            where=live.name or None,
        )
    return {live.home(*at, role, gate): array for (role, gate), array in new.items()}


def _turned(piece: Piece) -> list[Change]:
    ways = {way for pair in piece.pairs for way in pair.ways if way[0] != way[1]}
    if piece.live.dialect.go_backwards and ways == {("reverse", "forward")}:
        return [Change("the reverse direction's cell, in a layer that reads backwards", EXACT)]
    return [Change(f"the {way} direction's cell, as a {to} one: the order of time is yours", EXACT) for way, to in ways]


def _resized(sizes: Sizes, numbers: Sequence[int], old: Stack, grow: bool | str) -> list[Change]:
    """What was grown and dropped, in words."""
    changes = []
    for (layer, direction), fits in sizes.fits.items():
        where = f"layer {numbers[layer]}{f' ({direction})' if len(old.directions) == 2 else ''}"
        for axis, word in (("unit", "units"), ("hidden", "projected outputs"), ("feature", "features")):
            fit = fits[axis]
            if fit.grown and (axis == "unit" or fit is not fits["unit"]) and not (axis == "feature" and layer):
                what = "keep their own weights, and no old unit reads them" if grow == "fresh" else "are zero"
                what = f"the new ones {what}" if axis != "feature" else "old units do not read the new ones"
                changes.append(Change(f"{where}: {len(fit.put)} → {fit.size} {word}, {what}{_places(fit.put)}", EXACT))
        gone, missed = sizes.dropped[layer, direction], sizes.missed[layer, direction]
        if gone:
            text = f"{where}: dropped unit{'s' * (len(gone) > 1)} {few(gone, _UNITS)}"
            changes.append(Change(text, EXACT if not missed else _HELD))
    return changes


_UNITS = 12  # numbers are short: so many of them are named
_HELD = "another function: what is left computes as if the dropped units gave 0"


def _places(put: Sequence[int]) -> str:
    """Where the old ones lie, if not in front."""
    return "" if list(put) == list(range(len(put))) else f" (the old ones at {few(put, _UNITS)})"


# Doing it.


def _carried_out(jobs: Sequence[_Job], check: bool) -> Proof | None:
    """Write every job and prove it.  On any error the old numbers come back, and the error goes on."""
    ran = [run_source(job.piece, job.sizes) for job in jobs] if check else []
    before = [{home: _now(job.piece.live, home).copy() for home in job.values} for job in jobs]
    try:
        for job in jobs:
            job.piece.live.write(job.values)
            _check_stored(job)
        proofs = [
            compared(job.piece, job.sizes, source, run_target(job.piece, job.sizes, source))
            for job, source in zip(jobs, ran, strict=False)
        ]
    except BaseException:
        for job, old in zip(jobs, before, strict=True):
            _restore(job.piece.live, old)
        raise
    proof = proofs[0] if proofs else None
    for other in proofs[1:]:
        proof = other if proof is None else proof.worst(other)
    return proof


def _now(live: Live, home: Home) -> Array:
    array: Array = live[home.place].role(home.role)[home.gate]
    return array


def _restore(live: Live, old: Mapping[Home, Array]) -> None:
    import numpy as np

    changed = {
        home: array for home, array in old.items() if not np.array_equal(_now(live, home), array, equal_nan=True)
    }
    if changed:
        live.write(changed)


def _check_stored(job: _Job) -> None:
    """What was written must be what is read: a tolerance made wide by a coarse dtype must not hide another mistake."""
    import numpy as np

    for home, value in job.values.items():
        now = np.asarray(_now(job.piece.live, home), np.float64)
        wanted = np.asarray(value, np.float64)
        allowed = 1e-5 * float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0))
        with np.errstate(invalid="ignore"):
            wrong = np.abs(now - wanted) > allowed
        if wrong.any():
            raise ProofFailed(
                f"the {home.role}{f' of gate {home.gate}' if home.gate else ''} did not become what was written to it.",
                where=job.piece.live.name or None, next="The destination has its old weights. Is it computed from something else?",
            )  # fmt: skip


def _moves(jobs: Sequence[_Job]) -> list[Moved]:
    return [Moved(str(pair.source), way, str(pair.target), to) for job in jobs for _, pair, way, to in job.piece.places]


__all__ = ["Moved", "Transfer", "transfer"]
