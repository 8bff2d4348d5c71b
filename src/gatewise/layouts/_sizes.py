"""The sizes of a layer from the shapes of its tensors: every axis is an equation, and all must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from ..tensors import StoredTensor
from ..weights import DIRECTIONS
from ._layout import Layout, Part
from ._match import Address
from ._phrase import Equation, Unsolvable, solve

Sizes = dict[tuple[int, str], dict[str, int]]
Equations = Mapping[tuple[int, str], list[Equation]]


def solved(
    layout: Layout, present: Mapping[int, Part], names: Mapping[Address, str], tensors: Mapping[str, StoredTensor]
) -> Sizes:
    """Unit, feature, hidden and direction of every layer and direction.  Raises Unsolvable with the axis that is off."""
    projected = any("projection" in part.roles for part in present.values())
    equations: dict[tuple[int, str], list[Equation]] = defaultdict(list)
    for (index, layer, direction, _), name in names.items():
        equations[layer, direction] += _equations(layout, present[index], tensors[name], projected)
    sizes: Sizes = {}
    for place, system in equations.items():
        found = solve(system, {"one": 1})
        found.setdefault("hidden", found.get("unit", 0))
        found.setdefault("direction", len({direction for _, direction in equations}))
        sizes[place] = found
    return _checked(sizes, equations, layout.meaning.merge)


def _equations(layout: Layout, part: Part, tensor: StoredTensor, projected: bool) -> list[Equation]:
    axes = part.parsed.axes
    if len(axes) != len(tensor.shape):
        raise Unsolvable(Equation(axes[0], len(tensor.shape), f"the shape of {tensor.name!r}", {}), len(axes))
    known = {"gate": len(layout.gates_of(part))}
    return [
        Equation(_tied(axis, projected), length, f"axis {number} of {tensor.name!r} {list(tensor.shape)}", known)
        for number, (axis, length) in enumerate(zip(axes, tensor.shape, strict=True))
    ]


def _tied(axis: tuple[tuple[str, ...], ...], projected: bool) -> tuple[tuple[str, ...], ...]:
    """Without a projection the hidden state is the unit's output."""
    if projected:
        return axis
    return tuple(tuple("unit" if atom == "hidden" else atom for atom in segment) for segment in axis)


def _checked(sizes: Sizes, equations: Equations, merge: str) -> Sizes:
    for place, found in sizes.items():
        if not {"unit", "feature"} <= set(found) or found["direction"] not in (1, 2):
            raise Unsolvable(equations[place][0], None)
    if any(found["direction"] == 2 for found in sizes.values()):  # one tensor holds both directions
        for (layer, direction), found in list(sizes.items()):
            if direction == "forward":
                sizes.setdefault((layer, "reverse"), found)
    for (layer, direction), found in sizes.items():
        wanted = _features(sizes, layer, merge)
        if found["feature"] != wanted:
            raise Unsolvable(_of_feature(equations.get((layer, direction), equations[layer, "forward"])), wanted)
    return sizes


def _features(sizes: Sizes, layer: int, merge: str) -> int:
    """What a layer reads: the outputs below it; at the bottom, what its forward direction reads."""
    if layer == 0:
        return sizes[0, "forward"]["feature"]
    below = [sizes[layer - 1, direction]["hidden"] for direction in DIRECTIONS if (layer - 1, direction) in sizes]
    return sum(below) if merge in ("concat", "apart") else below[0]


def _of_feature(system: list[Equation]) -> Equation:
    return next(equation for equation in system if any("feature" in segment for segment in equation.axis))
