"""A stored tensor that is made of a stack's gates: whole, or piece by piece, so that a huge one is never held.

Its slots tell where every gate lies; nothing is said of it here.  Not known here: names, conventions, files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..pieces import PIECE, InPieces, Room, copy_into, in_pieces
from ..record import record
from ..source import address_of, give_back
from ..tensors import contiguous_strides, numpy_dtype
from ..weights import Stack
from ._names import Found
from ._slots import Places, Slot, slots

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from ..tensors import Array
    from ._layout import Layout, Part

_ROWS = 64  # of a matrix that is transposed, at once: fewer read a cache line of the source for a few of its elements


@record
class Lying:
    """A slot in a tensor's row-major elements: its first one, and of the axes with more than one element (steps between
    elements, how many, which axis), the widest step first."""

    slot: Slot
    first: int
    axes: tuple[tuple[int, int, int], ...]

    @property
    def end(self) -> int:
        return self.first + sum((size - 1) * step for step, size, _ in self.axes) + 1


@record
class Band:
    """A stretch of a tensor's elements that is ``rows`` times the same: each row holds one row of each of these slots,
    and begins ``step`` elements after the one before.  Where there is no such thing, it is one row."""

    first: int
    rows: int
    step: int
    lying: Sequence[Lying]


@record
class Encoded(InPieces):
    """The elements of one tensor of ``layout``, out of a stack's gates.  See :class:`gatewise.pieces.InPieces`."""

    stack: Stack
    layout: Layout
    part: Part
    shape: tuple[int, ...]
    found: Found
    dtype: str
    places: Places

    def __call__(self) -> Array:
        import numpy as np

        return self.into(np.empty(self.shape, numpy_dtype(self.dtype)))

    def into(self, array: Array) -> Array:
        """Write the gates into an array of the tensor's shape, each straight to where it lies.  Gives the array."""
        for slot in slots(self.layout, self.part, array, self.places, self.found):
            slot.write(self._gate(slot))
        return array

    def pieces(self) -> Iterator[memoryview]:
        for band in _bands(self._lying(), math.prod(self.shape)):
            values = [each.slot.stored(self._gate(each.slot)) for each in band.lying]
            if len(values) == 1:  # a gate of its own: nothing is copied where the source has it so
                order = [axis for _, _, axis in band.lying[0].axes]
                others = [axis for axis in range(values[0].ndim) if axis not in order]
                yield from in_pieces(values[0].transpose(*others, *order), numpy_dtype(self.dtype))
                continue
            try:
                yield from _interleaved(band, values, numpy_dtype(self.dtype))
            finally:
                give_back(*values)

    def _gate(self, slot: Slot) -> Array:
        return self.stack[slot.layer, slot.direction].roles[slot.role][slot.gate]

    def _lying(self) -> Iterator[Lying]:
        import numpy as np

        # Cutting never reads: an array of the tensor's shape over one byte tells every place and step.
        ground = np.empty(1, np.int8)
        probe = np.lib.stride_tricks.as_strided(ground, self.shape, contiguous_strides(self.shape))
        for slot in slots(self.layout, self.part, probe, self.places, self.found):
            view = slot.view
            axes = ((step, size, axis) for axis, (step, size) in enumerate(zip(view.strides, view.shape, strict=True)))
            wide = tuple(sorted((each for each in axes if each[1] > 1), reverse=True))
            if view.size:
                yield Lying(slot, address_of(view) - address_of(ground), wide)


def _bands(lying: Iterator[Lying], size: int) -> list[Band]:
    """The bands of a tensor of so many elements, from its first element to its last."""
    groups: list[list[Lying]] = []
    end = 0
    for each in sorted(lying, key=lambda each: each.first):
        if groups and each.first < end:
            groups[-1].append(each)
        else:
            groups.append([each])
        end = max(end, each.end)
    firsts = [group[0].first for group in groups]
    return [_band(group, end - group[0].first) for group, end in zip(groups, [*firsts[1:], size], strict=False)]


def _band(group: list[Lying], length: int) -> Band:
    first = group[0].first
    outer = {each.axes[0][:2] if each.axes else (length, 1) for each in group}
    step, rows = next(iter(outer))
    fits = all(each.end - first - (rows - 1) * step <= step for each in group)
    if len(outer) > 1 or step * rows != length or not fits:
        step, rows = length, 1
    return Band(first, rows, step, group)


def _interleaved(band: Band, values: list[Array], dtype: np.dtype[Any]) -> Iterator[memoryview]:
    """The rows of a band, each gate's part of them copied to where it lies among the others."""
    import numpy as np

    row = band.step * dtype.itemsize
    count = max(1, PIECE // row, min(_ROWS, 8 * PIECE // row))
    with Room(min(count, band.rows) * row) as memory:
        for start in range(0, band.rows, count):
            rows = min(count, band.rows - start)
            made = memory[: rows * row]
            for each, value in zip(band.lying, values, strict=True):
                outer = each.axes[0][2] if band.rows > 1 else None
                part = value if outer is None else value[(slice(None),) * outer + (slice(start, start + rows),)]
                steps = [0] * value.ndim
                for step, _, axis in each.axes:
                    steps[axis] = step * dtype.itemsize
                copy_into(np.ndarray(part.shape, dtype, made, (each.first - band.first) * dtype.itemsize, steps), part)
            yield made.data
