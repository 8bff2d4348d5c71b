"""Units taken out of a layer's function where they stand: consistently, in every place where a unit lives.

A unit is a row of the kernel, the recurrent kernel, biases and peepholes; and it is read as a column of its own recurrent
kernel, of a projection, and of the next layer's kernels.  With all of these zero the rest computes what it did as if the
unit were not there, and from a zero state the unit's output is zero.  Not known here: taking the rows out of the arrays
(``transfer`` makes a smaller layer of the rest), and what outside the layer reads its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..cell import activation
from ..errors import NotRepresentable, UsageError, few
from ..layouts._code import Home
from ..live import Live
from ..record import record
from ..weights import Stack
from ._layers import called, layers_of, place, written

if TYPE_CHECKING:
    from ..tensors import Array

# Role → the axes along which one of the cell's own units lies; "hidden" is one where there is no projection.
_AXES: dict[str, tuple[int, ...]] = {
    "kernel": (0,), "recurrent_kernel": (0, 1), "bias": (0,), "recurrent_bias": (0,), "peephole": (0,),
    "peephole_kernel": (0, 1), "projection": (1,), "recurrent_diagonal": (0,), "initial_hidden": (0,), "initial_cell": (0,),
}  # fmt: skip
_HIDDEN = {"recurrent_kernel": 1, "initial_hidden": 0}  # role → its axis of what comes back from the last step
_CANDIDATE = {"lstm": "g", "slstm": "g", "gru": "n", "rnn": "h", "mgu": "n", "ugrnn": "n"}  # what a state is made from


@record
class Pruning:
    """What :func:`prune_units` would write, and in words."""

    subject: Any
    live: Live
    values: Mapping[Home, Any]
    changes: tuple[str, ...]

    def apply(self) -> Any:
        """Do it: the object, or the new one of a framework whose objects never change."""
        return written(self.subject, [self.live], [(self.live, self.values)])


@record
class Dead:
    """Units of one cell without which everything else would compute the same."""

    name: str
    layer: int
    direction: str
    units: tuple[int, ...]


def prune_units(subject: Any, units: Any, layer: int = 0, direction: str = "forward") -> Any:
    """Zero units in the four places where they live, so that the rest computes exactly what it did without them.

    ``subject``  a recurrent layer in memory, or what :func:`gw.of` gave; of a model name the layer: ``gw.of(model, name)``
    ``units``    their numbers, a slice, or booleans [unit];  ``layer``, ``direction`` of the cell that they are in

    Zero become: the rows of kernel, recurrent kernel, biases and peepholes; the columns of the recurrent kernel; the
    columns of the next layer's kernels for that direction; the columns of the projection.  With a projection it is cell
    units that are pruned, not the projected ones.  What outside the object reads the last layer's output sees zeros there
    from a zero initial state; it stays as it is, and while it reads them, training can bring the units back.
    :func:`pruning` tells the same in words before it is done.  Gives the object back, or the new one of a framework whose
    objects never change.  Raises UsageError, and changes nothing.
    """
    return pruning(subject, units, layer, direction).apply()


def pruning(subject: Any, units: Any, layer: int = 0, direction: str = "forward") -> Pruning:
    """What :func:`prune_units` would do: ``changes`` in words, ``apply()`` does it."""
    live = _the_one(subject)
    cell = live[layer, direction]
    layer = layer % live.num_layers
    numbers = unit_numbers(units, cell.unit)
    _refuse(live, layer, direction)
    values: dict[Home, Any] = {}
    said: dict[str, list[str]] = {}
    for home, axis, at in _places(live, layer, direction, numbers):
        if home not in values:
            values[home] = live[home.place].roles[home.role][home.gate].copy()
        values[home][(slice(None),) * axis + (at,)] = 0
        told = said.setdefault(f"{home.role} of {place(*home.place)}: {'columns' if axis else 'rows'} {few(at)}", [])
        told += [home.name] * (home.name not in told)
    return Pruning(subject, live, values, tuple(f"{what} of {', '.join(names)}" for what, names in said.items()))


def unit_numbers(units: Any, count: int) -> list[int]:
    """The numbers of some of a cell's units, from numbers, a slice or booleans.  Raises UsageError."""
    import numpy as np

    try:
        named = units if isinstance(units, slice) else np.atleast_1d(np.asarray(units))
        found = np.arange(count)[named] if isinstance(named, slice) or named.size else np.arange(0)
    except IndexError as error:
        raise UsageError(
            f"units {units!r:.80} are not units of a cell that has {count}: {error}.",
            next=f"They are 0 to {count - 1}.",
        ) from None
    if not found.size:
        raise UsageError("no unit was named.", next=f"They are 0 to {count - 1}.")
    return sorted({int(each) for each in found.ravel()})


def dead_units(subject: Any) -> list[Dead]:
    """The units that nothing reads: not the layer above, not a projection, not any unit that is read itself.

    Of a last layer without a projection, whose output others may read, those that are silent too: from a zero state their
    output is zero.  Cells without any are not listed.
    """
    found = []
    for live in layers_of(subject):
        for (layer, direction), _ in live:
            units = _dead(live, layer, direction)
            if units:
                found.append(Dead(live.name, layer, direction, tuple(units)))
    return found


# Where units are.


def _places(live: Live, layer: int, direction: str, units: list[int]) -> Iterator[tuple[Home, int, list[int]]]:
    """(gate, axis, positions along it) wherever these units of a cell lie or are read."""
    projected = "projection" in live[layer, direction].roles
    for home in live.homes:
        if home.place == (layer, direction):
            for axis in _AXES[home.role]:
                if not (projected and _HIDDEN.get(home.role) == axis):
                    yield home, axis, units
        elif home.role == "kernel" and home.layer == layer + 1 and not projected:
            columns = read_as(live, layer, direction)
            if columns is not None:
                yield home, 1, [columns + unit for unit in units]


def read_as(stack: Stack, layer: int, direction: str) -> int | None:
    """The first column of the next layer's kernels for a direction's outputs; None where these share their columns with
    the other direction's (merge "sum" and the like)."""
    if len(stack.directions) == 1 or direction == "forward":
        shared = len(stack.directions) == 2 and stack.dialect.merge not in ("concat", "apart")
        return None if shared else 0
    return stack[layer, "forward"].hidden if stack.dialect.merge in ("concat", "apart") else None


def _refuse(live: Live, layer: int, direction: str) -> None:
    """What cannot be pruned such that the rest stays what it is."""
    roles = {role for _, weights in live for role in weights.roles}
    if "norm_scale" in roles or "norm_offset" in roles:
        raise UsageError(
            f"{called(live)} normalises over its units, so without one all others would change.",
            next="Make a smaller layer and train it.",
        )
    if len(live.directions) == 2 and live.dialect.merge == "mul":
        raise UsageError(
            f"{called(live)} multiplies its two directions, so a unit of one that is zero silences the other's.",
            next="Prune the same units of both, in a layer that does not multiply them.",
        )
    shared = read_as(live, layer, direction) is None
    outward = (layer == live.num_layers - 1 or shared) and "projection" not in live[layer, direction].roles
    if outward and not _silent_at_zero(live):
        raise UsageError(
            f"{live.dialect.activation} of zero is not zero in {called(live)}, so a unit with no weights still has an output.",
            next="Zero the weights that read it instead.",
        )


def _silent_at_zero(stack: Stack) -> bool:
    import numpy as np

    try:
        acts = [stack.dialect.activation] + ([stack.dialect.output_activation] if stack.cell == "lstm" else [])
        return all(not activation(name)(np.zeros(1)).any() for name in acts)
    except NotRepresentable:
        return False


# Which are read.


def _dead(live: Live, layer: int, direction: str) -> list[int]:
    import numpy as np

    inside, outside = _readers(live, layer, direction)
    read = outside
    while True:  # who is read by a unit that is read is read
        further = read | inside[read].any(axis=0)
        if (further == read).all():
            return [int(unit) for unit in np.flatnonzero(~read)]
        read = further


def _readers(live: Live, layer: int, direction: str) -> tuple[Array, Array]:
    """(which unit reads which [reader, unit], which are read from outside the cell [unit])."""
    import numpy as np

    cell = live[layer, direction]
    projected = "projection" in cell.roles
    inside = np.zeros((cell.unit, cell.unit), bool)
    outside = np.zeros(cell.unit, bool)
    for home, axis, at in _places(live, layer, direction, list(range(cell.unit))):
        if axis == 1:
            reads = np.asarray(live[home.place].roles[home.role][home.gate])[:, at] != 0
            if home.place == (layer, direction) and home.role != "projection":
                inside |= reads
            else:
                outside |= reads.any(axis=0)
    if not projected and (layer == live.num_layers - 1 or read_as(live, layer, direction) is None):
        outside |= ~_silent(live, layer, direction)
    return inside, outside


def _silent(live: Live, layer: int, direction: str) -> Array:
    """Whose output is zero from a zero state, whatever comes in [unit]."""
    import numpy as np

    cell, gate = live[layer, direction], _CANDIDATE[live.cell]
    moved = np.full(cell.unit, not _silent_at_zero(live))
    for role in ("kernel", "recurrent_kernel", "bias", "recurrent_bias"):
        if gate in cell.role(role):
            moved |= (np.asarray(cell.role(role)[gate]).reshape(cell.unit, -1) != 0).any(axis=1)
    for role in ("initial_hidden", "initial_cell"):
        for start in cell.role(role).values():
            moved |= np.asarray(start) != 0
    return ~moved


def _the_one(subject: Any) -> Live:
    layers = layers_of(subject)
    if len(layers) > 1:
        raise UsageError(
            f"this model has {len(layers)} recurrent layers, and units are one layer's.",
            next=f"Name it: gw.of(model, {layers[0].name!r}). They are {few(live.name for live in layers)}.",
        )
    return layers[0]
