"""What lies in a flat vector and where: tensors end to end, and in them the gates.

A layout's own cutting (``layouts._slots``) is done on an array without memory, so the vector's table cannot disagree
with what decoding does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Match, Part
from ..layouts._code import encoded, match_of, places_of
from ..layouts._encoded import Encoded
from ..layouts._match import Address
from ..layouts._names import Found
from ..layouts._slots import slots
from ..record import field, record
from ..source import address_of
from ..tensors import contiguous_strides
from ..weights import Stack
from ._orders import Chosen, Key

if TYPE_CHECKING:
    from ..tensors import Array


@record
class Piece:
    """What one object of the layout holds: all of a stack, or one layer of it where the layout stores each apart.
    ``match`` places the tensors, ``base`` is the number of its first layer in the whole."""

    match: Match
    stack: Stack
    shapes: Mapping[str, tuple[int, ...]]
    base: int = 0


@record
class FlatTensor:
    """One tensor in the vector.  ``offset`` and ``size`` count elements."""

    name: str
    offset: int
    size: int
    shape: tuple[int, ...]
    piece: Piece = field(repr=False, compare=False)
    part: Part = field(repr=False, compare=False)
    found: Found = field(repr=False, compare=False)

    def of(self, vector: Any) -> Any:
        """The tensor as a view of a vector, in its stored shape."""
        return vector[self.offset : self.offset + self.size].reshape(self.shape)

    def made(self, dtype: str) -> Encoded:
        """The tensor's elements out of its piece's gates."""
        stack = self.piece.stack
        return Encoded(stack, self.piece.match.layout, self.part, self.shape, self.found, dtype, places_of(stack))


@record
class Row:
    """One gate of one role in the vector.

    ``shape``   in canonical axes;  ``strides`` count elements;  ``size`` is how many it has
    ``contiguous``  ``vector[offset : offset + size].reshape(shape)`` is the gate
    ``relabel``  the re-labelling that stands between the vector and the gate (``RELABELS``): strides are then those of
                 the stored block, and only indices tell where each element is
    """

    role: str
    layer: int
    direction: str
    gate: str
    name: str
    offset: int
    size: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    contiguous: bool
    relabel: str | None = None

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "offset": self.offset, "size": self.size, "role": self.role, "layer": self.layer, "direction": self.direction,
            "gate": self.gate, "name": self.name, "shape": list(self.shape), "strides": list(self.strides),
            "contiguous": self.contiguous,
        }  # fmt: skip
        return found | ({"relabel": self.relabel} if self.relabel else {})


def own_piece(stack: Stack, match: Match, tensors: Mapping[str, Any]) -> Piece:
    """A recognised layer as it is."""
    return Piece(match, stack, {name: tensors[name].shape for name in match.tensors})


def pieces_of(chosen: Chosen) -> list[Piece]:
    """A stack in its layout's terms, in as many objects as the layout wants."""
    layout, whole = chosen.said.layout, chosen.said.stack
    if layout.is_stack or whole.num_layers == 1:
        return [_encoded(whole, chosen, "", 0)]
    return [
        _encoded(whole.layer(index), chosen, f"{index}{layout.separator}", index) for index in range(whole.num_layers)
    ]


def _encoded(stack: Stack, chosen: Chosen, prefix: str, base: int) -> Piece:
    layout, form = chosen.said.layout, chosen.said.form
    tensors = encoded(stack, layout, form, prefix=prefix)
    shapes = {tensor.name: tensor.shape for tensor in tensors.values()}
    return Piece(match_of(stack, layout, form, tensors), stack, shapes, base)


def end_to_end(pieces: Sequence[Piece], key: Key, position: Mapping[str, int] | None) -> Iterator[FlatTensor]:
    """The pieces' tensors in sequence: by ``key``, or where a position is told for each name, by that."""
    offset = 0
    placed = [(piece, address, name) for piece in pieces for address, name in piece.match.group.names.items()]

    def order(item: tuple[Piece, Address, str]) -> Any:
        piece, address, name = item  # layers that are stored apart come one after another
        return position[name] if position is not None else (piece.base, key(piece.match.layout, address, name))

    for piece, (index, layer, direction, gate), name in sorted(placed, key=order):
        shape = piece.shapes[name]
        size = math.prod(shape)
        found = Found(piece.match.group.path, layer, direction, gate)
        yield FlatTensor(name, offset, size, shape, piece, piece.match.layout.parts[index], found)
        offset += size


def rows_of(tensor: FlatTensor) -> Iterator[Row]:
    """The gates in one tensor, in the order in which the layout has them."""
    import numpy as np

    # Cutting never reads: an array of the tensor's shape over one byte tells every offset and stride.
    ground = np.empty(1, np.int8)
    probe = np.lib.stride_tricks.as_strided(ground, tensor.shape, contiguous_strides(tensor.shape))
    start = address_of(ground) - tensor.offset
    match, base = tensor.piece.match, tensor.piece.base
    for slot in slots(match.layout, tensor.part, probe, match.sizes, tensor.found):
        view = slot.view
        yield Row(
            slot.role, slot.layer + base, slot.direction, slot.gate, tensor.name, address_of(view) - start, view.size,
            view.shape, view.strides, not slot.relabel and _is_contiguous(view), slot.relabel,
        )  # fmt: skip


def _is_contiguous(view: Array) -> bool:
    return bool(view.flags.c_contiguous)
