"""Cutting stored arrays into gates: one description serves reading, and writing through the same views."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..pieces import copy_into
from ..record import field, lazy, record
from ..weights import DIRECTIONS, GATELESS, ROLE_AXES
from ._names import Found
from ._phrase import Phrase, Section

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array
    from ._layout import Layout, Part


@record
class Slot:
    """One gate of one role in one stored array: a ``view`` in canonical axes, or where a relabel stands between, a copy.

    ``read()`` gives the canonical array, ``write(value)`` stores one.  ``cut`` makes the view when it is first asked for:
    whoever looks for one gate goes past the others.
    """

    role: str
    gate: str
    layer: int
    direction: str
    cut: Callable[[], Array] = field(repr=False)
    relabel: str | None = None

    @lazy
    def view(self) -> Array:
        return self.cut()

    def read(self) -> Array:
        return RELABELS[self.relabel][0](self.view) if self.relabel else self.view

    def write(self, value: Array) -> None:
        copy_into(self.view, self.stored(value))

    def stored(self, value: Array) -> Array:
        """A canonical array as ``view`` has it."""
        return RELABELS[self.relabel][1](value) if self.relabel else value


def _from_cudnn(view: Array) -> Array:
    # keras.CuDNNLSTM keeps cuDNN's row-major [unit, feature] block under the shape [feature, unit]; the canonical
    # view of that shape is [unit, feature] transposed, so undo the transpose, then give the elements their shape back.
    canonical: Array = view.T.reshape(-1).reshape(view.shape)
    return canonical


def _to_cudnn(value: Array) -> Array:
    block: Array = value.reshape(-1).reshape(value.shape[::-1]).T
    return block


RELABELS = {"cudnn": (_from_cudnn, _to_cudnn)}


Places = Mapping[tuple[int, str], Mapping[str, int]]  # (layer, direction) → unit, feature, hidden, direction


def slots(
    layout: Layout, part: Part, array: Array, places: Places, found: Found, only: tuple[str, str, str] | None = None
) -> Iterator[Slot]:
    """Cut one stored array into its slots.  ``places`` has every layer's sizes; ``found`` is what the name fixes.
    Every slot's ``view`` shares memory with ``array``; together they cover each element exactly once.
    ``only``: of one role, gate and direction, without cutting the others."""
    if part.parsed.sections:
        yield from _flat_slots(layout, part, array, places, only)
        return
    sizes = places[found.layer, found.direction]
    for index, role in enumerate(part.roles):
        if only is None or only[0] == role:
            yield from _role_slots(layout, part, part.parsed, index, role, array, sizes, found, only)


def _role_slots(
    layout: Layout, part: Part, parsed: Phrase, index: int, role: str, array: Array, sizes: Mapping[str, int], found: Found,
    only: tuple[str, str, str] | None,
) -> Iterator[Slot]:  # fmt: skip
    gates = layout.gates_of(part, role)
    known = with_constants(sizes, len(layout.gates_of(part)))
    atoms = parsed.atoms_of(index)
    for direction_at, direction in _directions(atoms, sizes, found):
        for gate_at, gate in _gates(atoms, role, gates, found):
            if only is not None and only != (role, gate, direction):
                continue
            fixed = ({"gate": gate_at} if "gate" in atoms else {}) | (
                {"direction": direction_at} if "direction" in atoms else {}
            )
            cut = functools.partial(parsed.cut, array, index, known, fixed, ROLE_AXES[role])
            yield Slot(role, gate, found.layer, direction, cut, part.relabel)


def with_constants(sizes: Mapping[str, int], gates: int) -> dict[str, int]:
    """The sizes with those that every phrase knows: of one, of the cell state, of the gates."""
    return {**sizes, "gate": gates, "one": 1, "state": sizes["unit"]}


def turns(part: Part, places: Places) -> Iterator[tuple[Section, int, Mapping[str, int], tuple[int, str]]]:
    """A flat buffer's stretches in order: the section, the number of its first role, and whose turn it is."""
    first = 0
    for section in part.parsed.sections:
        axes: dict[str, list[Any]] = {
            "layer": sorted({layer for layer, _ in places}),
            "direction": [direction for direction in DIRECTIONS if (0, direction) in places],
        }
        for values in itertools.product(*(axes[loop] for loop in section.loops)):
            at = dict(zip(section.loops, values, strict=True))
            place = (at.get("layer", 0), at.get("direction", "forward"))
            yield section, first, places[place], place
        first += len(section.blocks)


def flat_length(layout: Layout, part: Part, places: Places) -> int:
    """How many elements a flat buffer has."""
    gates = len(layout.gates_of(part))
    return sum(section.length(with_constants(sizes, gates)) for section, _, sizes, _ in turns(part, places))


def _flat_slots(
    layout: Layout, part: Part, array: Array, places: Places, only: tuple[str, str, str] | None
) -> Iterator[Slot]:
    elements, at = array.reshape(-1), 0
    for section, first, sizes, (layer, direction) in turns(part, places):
        known = with_constants(sizes, len(layout.gates_of(part)))
        for index, block in enumerate(section.blocks):
            shape = block.shape(known)
            end = at + math.prod(shape)
            role, whose = part.roles[first + index], Found("", layer, direction)
            if only is None or only[0] == role:
                yield from _role_slots(
                    layout, part, block, 0, role, elements[at:end].reshape(shape), sizes, whose, only
                )
            at = end


def _directions(atoms: frozenset[str], sizes: Mapping[str, int], found: Found) -> Sequence[tuple[int, str]]:
    if "direction" not in atoms:
        return ((0, found.direction),)
    return tuple(enumerate(("forward", "reverse")[: sizes["direction"]]))


def _gates(atoms: frozenset[str], role: str, gates: str, found: Found) -> Sequence[tuple[int, str]]:
    if role in GATELESS:
        return ((0, ""),)
    if "gate" in atoms:
        return tuple(enumerate(gates))
    return ((0, found.gate or gates),)
