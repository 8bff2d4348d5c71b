"""Are the numbers themselves the same: every one of a stack read once on both sides, compared bit for bit, in blocks.

Numbers are compared through both layouts' gate views, so it says that each element of each gate of each role, layer and
direction is where it belongs.  Not known here: what they compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..cell import Place
from ..weights import Gates, Stack
from ._figures import Numbers

if TYPE_CHECKING:
    from ..tensors import Array


def numbers(one: Stack, other: Stack, terms: tuple[Stack, Stack] | None = None) -> Numbers:
    """How many numbers of ``other`` are those of ``one``.  ``terms``: both as changes that were told make them, where
    they are not in one convention as they are stored."""
    mine, theirs = terms or (one, other)
    equal = changed = every = 0
    for place, weights in theirs:
        source = mine.cells[place].roles if place in mine.cells else {}
        for role, gates in weights.roles.items():
            held = source.get(role, Gates(role))
            stored = _is_of(one, place, role, held) and _is_of(other, place, role, gates)
            for gate, array in gates.items():
                every += array.size
                if gate in held and same_bits(found := held[gate], array):
                    own = stored or (_is_in(one, place, role, gate, found) and _is_in(other, place, role, gate, array))
                    equal, changed = equal + own * array.size, changed + (not own) * array.size
    return Numbers(equal, changed, every)


def _is_of(stack: Stack, place: Place, role: str, gates: object) -> bool:
    """Are these the gates that a stack itself holds there, unchanged?"""
    return place in stack.cells and stack.cells[place].roles.get(role) is gates


def _is_in(stack: Stack, place: Place, role: str, gate: str, array: Array) -> bool:
    """Are these the numbers that a stack itself holds there?"""
    gates = stack.cells[place].role(role) if place in stack.cells else Gates(role)
    return gate in gates and (_same_memory(gates[gate], array) or same_bits(gates[gate], array))


def _same_memory(one: Array, other: Array) -> bool:
    mine, theirs = one.__array_interface__, other.__array_interface__
    return all(mine[key] == theirs[key] for key in ("data", "strides", "shape", "typestr"))


def same_bits(one: Array, other: Array) -> bool:
    """Are two arrays of floats of one dtype equal bit for bit, and finite?  No more than a block of either is copied."""
    import numpy as np

    if one.shape != other.shape or one.dtype.name != other.dtype.name:
        return False
    return all(bool((a == b).all() and np.isfinite(c).all()) for a, b, c in _blocks(one, other))


_ROWS, _COLUMNS, _PANEL = 256, 512, 16  # of a block that the second cache holds, and of a panel that the first one does
_FLAT = 1 << 15


def _blocks(one: Array, other: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Blocks of both arrays as bits, both in the order in which they lie, and the same block as floats.

    Where one lies row by row and the other column by column, each block is copied into the other's order first: a
    comparison across cache lines takes three times as long as such a copy and a comparison along them."""
    import numpy as np

    mine, theirs = (array.view(f"{array.dtype.byteorder}u{array.dtype.itemsize}") for array in (one, other))
    if one.ndim < 2:
        for first in range(0, len(one), _FLAT):
            some = slice(first, first + _FLAT)
            yield mine[some], theirs[some], one[some]
        return
    if mine.strides[0] < mine.strides[1] and theirs.strides[0] < theirs.strides[1]:
        one, mine, theirs = one.T, mine.T, theirs.T
    if (mine.strides[0] < mine.strides[1]) == (theirs.strides[0] < theirs.strides[1]):
        count = max(1, _FLAT // one.shape[1])
        for first in range(0, len(one), count):
            some = slice(first, first + count)
            yield mine[some], theirs[some], one[some]
        return
    if mine.strides[0] < mine.strides[1]:
        one, mine, theirs = other, theirs, mine
    # ``mine`` lies row by row, ``theirs`` column by column.
    room = np.empty((_COLUMNS, _ROWS), mine.dtype)
    for column in range(0, one.shape[1], _COLUMNS):
        for row in range(0, len(one), _ROWS):
            place = slice(row, row + _ROWS), slice(column, column + _COLUMNS)
            block = mine[place]
            turned = room[: block.shape[1], : block.shape[0]]
            for first in range(0, len(block), _PANEL):
                turned[:, first : first + _PANEL] = block[first : first + _PANEL].T
            yield turned, theirs[place].T, one[place]
