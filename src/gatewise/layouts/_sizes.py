"""The sizes of a layer from the shapes of its tensors: every axis is an equation, and all must agree."""

from __future__ import annotations

import bisect
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping

from ..tensors import StoredTensor
from ..weights import DIRECTIONS
from ._layout import Layout, Part
from ._match import Address
from ._phrase import Equation, Unsolvable, solve
from ._slots import flat_length

SAY_SIZES = "say them with --units, --layers, --directions"
Sizes = dict[tuple[int, str], dict[str, int]]
Equations = Callable[[tuple[int, str]], list[Equation]]  # of a layer and direction


def solved(
    layout: Layout, present: Mapping[int, Part], names: Mapping[Address, str], tensors: Mapping[str, StoredTensor],
    told: Mapping[str, int],
) -> Sizes:  # fmt: skip
    """Unit, feature, hidden and direction of every layer and direction.  Raises Unsolvable with the axis that is off.

    ``told``: unit, feature, hidden, layers, directions that the file declares or the user says; a flat buffer, which
    has one axis for all of them, needs some.
    """
    projected = any("projection" in part.roles for part in present.values())
    flat = [(present[index], tensors[name]) for (index, *_), name in names.items() if present[index].parsed.sections]
    if flat:
        return _of_flats(layout, flat, told)
    held: dict[tuple[int, str], list[tuple[int, StoredTensor]]] = defaultdict(list)
    for (index, layer, direction, _), name in names.items():
        held[layer, direction].append((index, tensors[name]))

    def equations(place: tuple[int, str]) -> list[Equation]:
        return [each for index, tensor in held[place] for each in _equations(layout, present[index], tensor, projected)]

    ways = len({direction for _, direction in held})
    alike: dict[object, dict[str, int]] = {}  # the layers of a deep stack are one system of equations over and over
    sizes: Sizes = {}
    for place, stored in held.items():
        key = tuple([(index, tensor.shape) for index, tensor in stored])
        if key not in alike:
            alike[key] = solve(equations(place), {"one": 1})
        found = sizes[place] = dict(alike[key])
        found.setdefault("hidden", found.get("unit", 0))
        found.setdefault("direction", ways)
    return _checked(sizes, equations, layout.meaning.merge)


def _equations(layout: Layout, part: Part, tensor: StoredTensor, projected: bool) -> list[Equation]:
    axes = part.parsed.axes
    if len(axes) != len(tensor.shape):
        raise Unsolvable(Equation(axes[0], len(tensor.shape), f"the shape of {tensor.name!r}", {}), len(axes))
    known = {"gate": len(layout.gates_of(part))}
    if part.parsed.atoms & {"state"}:
        axes = tuple(tuple(tuple("unit" if a == "state" else a for a in seg) for seg in axis) for axis in axes)
    return [
        Equation(_tied(axis, projected), length, f"axis {number} of {tensor.name!r} {list(tensor.shape)}", known)
        for number, (axis, length) in enumerate(zip(axes, tensor.shape, strict=True))
    ]


def _of_flats(layout: Layout, flat: list[tuple[Part, StoredTensor]], told: Mapping[str, int]) -> Sizes:
    """The sizes that the first flat buffer and what is told give; the others must have room for just these."""
    sizes = _of_flat(layout, *flat[0], told)
    for part, tensor in flat[1:]:
        wanted = flat_length(layout, part, sizes)
        if tensor.size != wanted:
            raise Untold(f"{tensor.name!r} has {tensor.size:,} numbers, {wanted:,} are wanted ({layout.name})")
    return sizes


def _of_flat(layout: Layout, part: Part, tensor: StoredTensor, told: Mapping[str, int]) -> Sizes:
    """The sizes of a flat buffer.  Its length gives one size, the features, where the others are told."""
    missing = [word for word in ("unit", "layers", "directions") if word not in told]
    if missing:
        raise Untold(
            f"{tensor.name!r} is one flat buffer of {tensor.size:,} numbers, which does not tell its "
            f"{' and '.join(missing)}; {SAY_SIZES}"
        )

    if min(told.values()) < 1 or told["layers"] * told["directions"] * told["unit"] ** 2 > tensor.size:
        raise Untold(
            f"{tensor.name!r} has {tensor.size:,} numbers, too few for the sizes that are told ({layout.name})"
        )

    def places(feature: int) -> Sizes:
        unit, directions = told["unit"], DIRECTIONS[: told["directions"]]
        hidden = told.get("hidden", unit)
        return {
            (layer, direction): {
                "unit": unit, "hidden": hidden, "direction": len(directions),
                "feature": hidden * len(directions) if layer else feature,
            }
            for layer in range(told["layers"]) for direction in directions
        }  # fmt: skip

    feature = told.get("feature") or bisect.bisect_left(
        range(tensor.size + 1), tensor.size, lo=1, key=lambda value: flat_length(layout, part, places(value))
    )
    length = flat_length(layout, part, places(feature))
    if length != tensor.size:
        raise Untold(
            f"{tensor.name!r} has {tensor.size:,} numbers; {told['layers']} layer(s) of {told['unit']} units in "
            f"{told['directions']} direction(s) do not come out even"
        )
    return places(feature)


class Untold(Unsolvable):
    """A flat buffer whose sizes nobody tells, or that they do not fill."""

    def __init__(self, message: str):
        Exception.__init__(self, message)


@functools.cache
def _tied(axis: tuple[tuple[str, ...], ...], projected: bool) -> tuple[tuple[str, ...], ...]:
    """Without a projection the hidden state is the unit's output."""
    if projected:
        return axis
    return tuple(tuple("unit" if atom == "hidden" else atom for atom in segment) for segment in axis)


def _checked(sizes: Sizes, equations: Equations, merge: str) -> Sizes:
    for place, found in sizes.items():
        if not {"unit", "feature"} <= set(found) or found["direction"] not in (1, 2):
            raise Unsolvable(equations(place)[0], None)
    if any(found["direction"] == 2 for found in sizes.values()):  # one tensor holds both directions
        for (layer, direction), found in list(sizes.items()):
            if direction == "forward":
                sizes.setdefault((layer, "reverse"), found)
    for (layer, direction), found in sizes.items():
        wanted = _features(sizes, layer, merge)
        if found["feature"] != wanted:
            equation = _of_feature(equations((layer, direction)) or equations((layer, "forward")))
            raise Unsolvable(equation, equation.total({**found, "feature": wanted}))
    return sizes


def _features(sizes: Sizes, layer: int, merge: str) -> int:
    """What a layer reads: the outputs below it; at the bottom, what its forward direction reads."""
    if layer == 0:
        return sizes[0, "forward"]["feature"]
    below = [sizes[layer - 1, direction]["hidden"] for direction in DIRECTIONS if (layer - 1, direction) in sizes]
    return sum(below) if merge in ("concat", "apart") else below[0]


def _of_feature(system: list[Equation]) -> Equation:
    return next(equation for equation in system if any("feature" in segment for segment in equation.axis))
