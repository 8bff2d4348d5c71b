"""Sizes that differ: which old unit lies where in the new layer, such that what the old units compute stays the same.

Growing puts zeros wherever an old unit would read a new unit or a new feature.  Shrinking drops units that nothing reads,
or that the user names.  A unit lives in four places: its rows, its column in the recurrent kernel, its column in the
kernels of the layer above, and where the output goes.  Not known here: frameworks, and how gates are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError, few
from ..record import record
from ..weights import ROLE_AXES, Stack, Weights

if TYPE_CHECKING:
    from ..tensors import Array

Place = tuple[int, str]


@record(eq=False)
class Fit:
    """One axis of a cell, ``old`` → ``size`` long: the old places ``take`` go to the new places ``put``."""

    take: list[int]
    put: list[int]
    old: int
    size: int

    @property
    def same(self) -> bool:
        return self.old == self.size and self.take == self.put == list(range(self.size))

    @property
    def grown(self) -> int:
        return self.size - len(self.put)


def leading(count: int, size: int) -> Fit:
    return Fit(list(range(count)), list(range(count)), count, size)


def side_by_side(fits: Sequence[Fit]) -> Fit:
    """Blocks that lie one behind the other."""
    take: list[int] = []
    put: list[int] = []
    old = new = 0
    for fit in fits:
        take += [old + place for place in fit.take]
        put += [new + place for place in fit.put]
        old, new = old + fit.old, new + fit.size
    return Fit(take, put, old, new)


@record(eq=False)
class Sizes:
    """How every cell of a piece fits into the destination: its axes, the units that nothing reads, those that were
    ``dropped``, and those of them that units which stay had read (``missed``)."""

    fits: Mapping[Place, Mapping[str, Fit]]
    output: Fit
    dead: Mapping[Place, frozenset[int]]
    dropped: Mapping[Place, tuple[int, ...]]
    missed: Mapping[Place, tuple[int, ...]]

    @property
    def same(self) -> bool:
        return all(fit.same for fits in self.fits.values() for fit in fits.values())


def written(old: Weights, fits: Mapping[str, Fit], now: Weights, fresh: bool) -> dict[tuple[str, str], Array]:
    """(role, gate) → the new array: the old numbers in their places, and zeros; ``fresh``: the rows of new units stay as
    they are in ``now``."""
    import numpy as np

    made: dict[tuple[str, str], Array] = {}
    for role, gates in old.roles.items():
        axes = [fits["unit" if axis == "state" else axis] for axis in ROLE_AXES[role]]
        for gate, array in gates.items():
            if all(fit.same for fit in axes):
                made[role, gate] = np.asarray(array)
                continue
            new = now.role(role)[gate].copy() if fresh else np.zeros([fit.size for fit in axes], array.dtype)
            new[axes[0].put] = 0
            new[np.ix_(*[fit.put for fit in axes])] = array[np.ix_(*[fit.take for fit in axes])]
            made[role, gate] = new
    return made


# Finding the fits.


class Resizing:
    """Finds how the cells of one piece fit, from the last layer to the first: what reads a unit lies above it."""

    def __init__(
        self, old: Stack, new: Stack, named: Mapping[Place, Sequence[int]], numbers: Sequence[int], *,
        grow: bool, shrink: bool,
    ):  # fmt: skip
        self.old, self.new, self.grow, self.shrink = old, new, grow, shrink
        self.numbers = numbers  # what the user calls each layer
        self.named = {place: tuple(named.get(place, ())) for place in old.cells}
        self.units: dict[Place, Fit] = {}
        self.dead: dict[Place, frozenset[int]] = {}

    def found(self, below: tuple[tuple[int, ...], tuple[int, ...]]) -> Sizes:
        """``below``: the blocks of the first layer's features, old and new.  Raises UsageError where sizes differ and may not."""
        if self._as_they_are():
            return _unchanged(self.old)
        for place, _ in self.old if not self.grow else ():
            self._require_no_growth(place)
        for place, _ in reversed(list(self.old)):
            self.dead[place] = self._dead(place)
            self.units[place] = self._units(place)
        hidden = {place: self._hidden(place) for place in self.units}
        features = {place: self._feature(place, hidden, below) for place in self.units}
        fits = {
            place: {"unit": self.units[place], "hidden": hidden[place], "feature": features[place]}
            for place, _ in self.old
        }
        dropped = {place: tuple(sorted(self._dropped(place))) for place in self.units}
        missed = {place: self._missed(place) for place in self.units}
        return Sizes(fits, self._joined(self.old.num_layers - 1, hidden), self.dead, dropped, missed)

    def _as_they_are(self) -> bool:
        return not any(self.named.values()) and all(
            (a.unit, a.hidden, a.feature) == (self.new[place].unit, self.new[place].hidden, self.new[place].feature)
            for place, a in self.old
        )

    # Who reads a unit.

    def _kept(self, place: Place) -> list[int]:
        return self.units[place].take

    def _alive(self, place: Place) -> list[int]:
        return [unit for unit in self._kept(place) if unit not in self.dead[place]]

    def _dropped(self, place: Place) -> set[int]:
        return set(range(self.old[place].unit)) - set(self._kept(place))

    def _inside(self, place: Place, by: list[int]) -> Array:
        """[unit]: is it read by the units ``by`` of its own layer?  With a projection, is it projected?"""
        import numpy as np

        weights = self.old[place]
        read = np.zeros(weights.unit, bool)
        for matrix in weights.role("peephole_kernel").values():
            read |= matrix[by].any(axis=0)
        if weights.projection is not None:
            return read | weights.projection.any(axis=0)
        for matrix in weights.recurrent_kernel.values():
            read |= matrix[by].any(axis=0)
        return read

    def _above(self, place: Place) -> Array:
        """[unit]: is its output read by any unit alive in the layer above?"""
        import numpy as np

        layer, direction = place
        read = np.zeros(self.old[place].unit, bool)
        if layer + 1 == self.old.num_layers or self.old[place].projection is not None:
            return read
        start = self.old[layer, "forward"].hidden if direction == "reverse" and self._concat else 0
        for way in self.old.directions:
            for matrix in self.old[layer + 1, way].kernel.values():
                read |= matrix[self._alive((layer + 1, way)), start : start + len(read)].any(axis=0)
        return read

    def _dead(self, place: Place) -> frozenset[int]:
        """Units that nothing alive reads.  What the last layer gives is the user's, so none of it is dead."""
        weights, named = self.old[place], set(self.named[place])
        if place[0] + 1 == self.old.num_layers and weights.projection is None:
            return frozenset()
        above = self._above(place)
        dead = {unit for unit in range(weights.unit) if not above[unit] and unit not in named}
        while True:  # dead units may read each other
            alive = [unit for unit in range(weights.unit) if unit not in dead and unit not in named]
            inside = self._inside(place, alive)
            still = {unit for unit in dead if not inside[unit]}
            if still == dead:
                return frozenset(dead)
            dead = still

    def _missed(self, place: Place) -> tuple[int, ...]:
        """Dropped units that those alive read."""
        inside, above = self._inside(place, self._alive(place)), self._above(place)
        return tuple(unit for unit in sorted(self._dropped(place)) if inside[unit] or above[unit])

    # How an axis fits.

    def _units(self, place: Place) -> Fit:
        count, size, named = self.old[place].unit, self.new[place].unit, self.named[place]
        kept = [unit for unit in range(count) if unit not in named]
        excess = len(kept) - size
        if excess > 0:
            dead = sorted(self.dead[place])
            if not self.shrink or len(dead) < excess:
                raise self._too_many(place, len(kept), dead)
            gone = dead[-excess:]
            kept = [unit for unit in kept if unit not in gone]
        return Fit(kept, list(range(len(kept))), count, size)

    def _hidden(self, place: Place) -> Fit:
        old, new = self.old[place], self.new[place]
        if old.projection is None and new.projection is None:
            return self.units[place]
        if old.hidden > new.hidden:
            raise UsageError(
                f"{self._where(place)} projects to {old.hidden}, the destination to {new.hidden}.",
                next="Outputs of a projection are not dropped: make the destination's as wide.",
            )
        return leading(old.hidden, new.hidden)

    def _feature(
        self, place: Place, hidden: Mapping[Place, Fit], below: tuple[tuple[int, ...], tuple[int, ...]]
    ) -> Fit:
        layer = place[0]
        if layer:
            return self._joined(layer - 1, hidden)
        old, new = self.old[place].feature, self.new[place].feature
        if old > new:
            raise UsageError(
                f"{self._where(place)} reads {old} features, the destination {new}.",
                next="Features are not dropped: make the destination read as many, or more and grow=True.",
            )
        mine, theirs = below
        if len(mine) != len(theirs) or any(a > b for a, b in zip(mine, theirs, strict=True)):
            return leading(old, new)
        return side_by_side([leading(a, b) for a, b in zip(mine, theirs, strict=True)])

    @property
    def _concat(self) -> bool:
        return self.old.dialect.merge in ("concat", "apart")

    def _joined(self, layer: int, hidden: Mapping[Place, Fit]) -> Fit:
        """The outputs of a layer, as what is above it reads them."""
        fits = [hidden[layer, direction] for direction in self.old.directions]
        if self._concat:
            return side_by_side(fits)
        if any(fit.take != fits[0].take for fit in fits):
            raise UsageError(
                f"the directions of layer {layer} are joined by {self.old.dialect.merge}: the same units of both must go."
            )
        return fits[0]

    # Refusals.

    def _where(self, place: Place) -> str:
        both = f" ({place[1]})" if len(self.old.directions) == 2 else ""
        return f"layer {self.numbers[place[0]]}{both} of the source"

    def _require_no_growth(self, place: Place) -> None:
        old, new = self.old[place], self.new[place]
        sizes = [("unit", old.unit - len(self.named[place]), new.unit)]
        sizes += [("feature", old.feature, new.feature)] if place[0] == 0 else []
        sizes += [("projected output", old.hidden, new.hidden)] if old.projection is not None else []
        more = [each for each in sizes if each[1] < each[2]]
        if more:
            mine = " and ".join(f"{count} {word}{'s' * (count != 1)}" for word, count, _ in more)
            raise UsageError(
                f"{self._where(place)} has {mine}, the destination {' and '.join(str(size) for *_, size in more)}.",
                next="grow=True fills the rest with zeros, so that the old units compute what they did.",
            )

    def _too_many(self, place: Place, kept: int, dead: list[int]) -> UsageError:
        size, layer, named = self.new[place].unit, place[0], self.named[place]
        after = f" after the {len(named)} named in drop" if named else ""
        able = ""
        if layer + 1 == self.old.num_layers and self.old[place].projection is None:
            others = [unit for unit in range(self.old[place].unit) if unit not in named]
            inside = self._inside(place, others)
            dead = [unit for unit in others if not inside[unit]]
            told = (
                f"what the last layer gives is yours to read (its own units read all but {few(dead)})"
                if dead
                else "what the last layer gives is yours to read"
            )
        elif dead:
            told = f"{len(dead)} of them {'is' if len(dead) == 1 else 'are'} dead, which means that nothing reads {few(dead)}"
            able = "shrink=True drops dead ones. " if len(dead) >= kept - size else ""
        else:
            told = "none of them is dead: something reads each"
        return UsageError(
            f"{self._where(place)} has {kept} units{after}, the destination {size}: {kept - size} would have to go, and {told}.",
            next=f"{able or _SHRINK[self.shrink]}Name the units that may go: drop={{{self.numbers[layer]}: [{few(dead) or '…'}]}}.",
        )


_SHRINK = {True: "", False: "shrink=True leaves out units that nothing reads, and there are not enough. "}


def _unchanged(stack: Stack) -> Sizes:
    fits = {
        place: {axis: leading(size, size) for axis, size in (("unit", w.unit), ("hidden", w.hidden), ("feature", w.feature))}
        for place, w in stack
    }  # fmt: skip
    last = [stack[stack.num_layers - 1, direction].hidden for direction in stack.directions]
    width = sum(last) if stack.dialect.merge in ("concat", "apart") else last[0]
    none: dict[Place, tuple[int, ...]] = dict.fromkeys(fits, ())
    return Sizes(fits, leading(width, width), dict.fromkeys(fits, frozenset()), none, none)


def silenced(stack: Stack, sizes: Sizes) -> Stack:
    """The source without what its units read of dropped ones: what a shrunk layer that misses some is proved against."""

    def change(place: Place, weights: Weights) -> Weights:
        layer = place[0]
        gone = list(sizes.dropped[place])
        roles = {
            role: weights.role(role).mapped(lambda _gate, matrix: _without(matrix, gone))
            for role in ("recurrent_kernel", "peephole_kernel") if weights.role(role) and weights.projection is None
        }  # fmt: skip
        if weights.projection is not None:
            roles["projection"] = weights.role("projection").mapped(lambda _gate, matrix: _without(matrix, gone))
        if layer:
            above = sizes.fits[place]["feature"]
            lost = [column for column in range(weights.feature) if column not in above.take]
            roles["kernel"] = weights.kernel.mapped(lambda _gate, matrix: _without(matrix, lost))
        return weights.with_roles(**roles)

    return stack.replaced({place: change(place, weights) for place, weights in stack.cells.items()})


def _without(matrix: Array, columns: list[int]) -> Array:
    changed: Array = matrix.copy()
    changed[:, columns] = 0
    return changed
