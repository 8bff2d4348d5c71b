"""Are the numbers themselves the same: every one of a stack read once on both sides, compared bit for bit, in blocks.

Numbers are compared through both layouts' gate views, so it says that each element of each gate of each role, layer and
direction is where it belongs.  Not known here: what they compute.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..cell import Place
from ..pieces import Room, tiles
from ..source import give_large_back
from ..weights import Gates, Stack
from ._figures import Numbers

if TYPE_CHECKING:
    from ..tensors import Array


def numbers(
    one: Stack, other: Stack, terms: tuple[Stack, Stack] | None = None, *, finite: bool = True
) -> Numbers:  # fmt: skip
    """How many numbers of ``other`` are those of ``one``.  ``terms``: both as changes that were told make them, where
    they are not in one convention as they are stored.  ``finite``: a number that is none counts as unequal."""
    mine, theirs = terms or (one, other)
    total = Numbers(0, 0, 0)
    for place, weights in theirs:
        source = mine.cells.get(place)
        for role, gates in weights.roles.items():
            held = source.roles.get(role, Gates(role)) if source is not None else Gates(role)
            stored = _is_of(one, place, role, held) and (theirs is other or _is_of(other, place, role, gates))
            total = Numbers(
                *map(sum, zip(total, _of_role(one, other, place, held, gates, stored, finite), strict=True))
            )
    return total


def _of_role(
    one: Stack, other: Stack, place: Place, held: Gates, gates: Gates, stored: bool, finite: bool
) -> Numbers:  # fmt: skip
    """One role of one layer and direction.  ``stored``: these gates are both stacks' own."""
    equal = changed = every = 0
    role = gates.role
    seen: list[Array] = []
    for gate, array in gates.items():
        every += array.size
        seen.append(array)
        if gate in held:
            seen.append(found := held[gate])
            same = array.size if same_bits(found, array, finite) else _count(found, array, finite)
            if same:
                own = stored or (_is_in(one, place, role, gate, found) and _is_in(other, place, role, gate, array))
                equal, changed = equal + own * same, changed + (not own) * same
    give_large_back(seen)  # only now: gates in one tensor share its pages
    return Numbers(equal, changed, every)


def _is_of(stack: Stack, place: Place, role: str, gates: object) -> bool:
    """Are these the gates that a stack itself holds there, unchanged?"""
    return place in stack.cells and stack.cells[place].roles.get(role) is gates


def _is_in(stack: Stack, place: Place, role: str, gate: str, array: Array) -> bool:
    """Are these the numbers that a stack itself holds there?"""
    gates = stack.cells[place].role(role) if place in stack.cells else Gates(role)
    if gate not in gates:
        return False
    own = gates[gate]
    return _same_memory(own, array) or same_bits(own, array, finite=False)


def _same_memory(one: Array, other: Array) -> bool:
    mine, theirs = one.__array_interface__, other.__array_interface__
    return all(mine[key] == theirs[key] for key in ("data", "strides", "shape", "typestr"))


def same_bits(one: Array, other: Array, finite: bool = True) -> bool:
    """Are two arrays of floats equal bit for bit, and finite?  Of two dtypes: are the numbers equal?  No more than a
    tile of either is copied."""
    import numpy as np

    if one.shape != other.shape:
        return False
    if one.dtype != other.dtype and one.dtype.name != other.dtype.name:
        return _same_values(one, other, finite)
    mine, theirs = one.view(_bits(one.dtype)), other.view(_bits(other.dtype))
    if one.size <= _SMALL:
        return bool((mine == theirs).all() and not (finite and not np.isfinite(one).all()))
    for a, b in _turned(mine, theirs) if _across(mine, theirs) else _along(mine, theirs):
        if not (a == b).all() or (finite and not np.isfinite(a.view(one.dtype)).all()):
            return False
    return True


def _same_values(one: Array, other: Array, finite: bool) -> bool:
    """For files that hold a dtype in a wider one, which is rare."""
    import numpy as np

    for first in range(0, len(one), _ROWS):
        a, b = (np.asarray(array[first : first + _ROWS], np.float64) for array in (one, other))
        if not np.array_equal(a, b, equal_nan=not finite) or (finite and not np.isfinite(a).all()):
            return False
    return True


def _count(one: Array, other: Array, finite: bool) -> int:
    """How many elements are equal, of two arrays that are not equal throughout: then both are read once more."""
    import numpy as np

    if one.shape != other.shape:
        return 0
    total, rows = 0, max(1, _FLAT * len(one) // max(1, one.size))
    for first in range(0, len(one), rows):
        a, b = one[first : first + rows], other[first : first + rows]
        same = _equal_bits(a, b) if one.dtype.name == other.dtype.name else _equal_values(a, b)
        total += int(np.count_nonzero(same & np.isfinite(a) if finite else same))
    return total


def _equal_bits(one: Array, other: Array) -> Array:
    found: Array = one.view(_bits(one.dtype)) == other.view(_bits(other.dtype))
    return found


def _equal_values(one: Array, other: Array) -> Array:
    import numpy as np

    a, b = (np.asarray(array, np.float64) for array in (one, other))
    found: Array = (a == b) | (np.isnan(a) & np.isnan(b))
    return found


@functools.cache
def _bits(dtype: Any) -> Any:
    """Whole numbers of the same size and byte order."""
    import numpy as np

    return np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")


_SMALL, _FLAT, _ROWS = 1 << 15, 1 << 16, 256  # elements of what is not cut, of a stretch; rows that are widened at once
_TALL, _WIDE = 128, 512  # elements of a tile


def _across(one: Array, other: Array) -> bool:
    """Are the rows of one the columns of the other, as they lie?"""
    return one.ndim == 2 and (one.strides[0] < one.strides[1]) != (other.strides[0] < other.strides[1])


def _along(one: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    """Stretches of both, in the order in which they lie."""
    if one.ndim == 2 and one.strides[0] < one.strides[1]:
        one, other = one.T, other.T
    count = max(1, _FLAT * len(one) // max(1, one.size))
    for first in range(0, len(one), count):
        yield one[first : first + count], other[first : first + count]


def _turned(one: Array, other: Array) -> Iterator[tuple[Array, Array]]:
    """Tiles of both, as the elements of the second lie.  The first one's are turned, so that what is compared lies end to
    end: a fifth faster than comparing across."""
    if one.strides[0] < one.strides[1]:
        one, other = one.T, other.T
    with Room(_TALL * _WIDE * one.itemsize) as memory:
        for held, tile in tiles(one, other, _TALL, _WIDE):
            turned = memory[: held.nbytes].view(one.dtype).reshape(held.T.shape)
            turned[...] = held.T
            yield turned, tile.T
