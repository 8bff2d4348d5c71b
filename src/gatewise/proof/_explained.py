"""Numbers that are not the source's bit for bit: are they what can become of them where both sides speak one dialect?

There a matrix can only have been stored in another dtype, and biases can only have been added up or taken apart.  So what no
run of a sample sees, a wrong number in a unit that was not run, is told without running it.  Not known here: why a
change was made, and what one dialect makes of another's numbers; of those the sample's run is all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pieces import PIECE
from ..source import give_back
from ..weights import Stack, Weights
from ._figures import Numbers
from ._numbers import same_bits

if TYPE_CHECKING:
    from ..tensors import Array

    Biases = dict[str, dict[str, Array]]  # role → gate → its bias

_BIASES = ("bias", "recurrent_bias")


def explained(one: Stack, other: Stack, found: Numbers, tolerance: float) -> bool:
    """Can the numbers that :func:`numbers` found changed have come of ``one``'s?  True where the dialects differ."""
    if not found.changed or one.dialect != other.dialect:
        return True
    pairs = [(one.cells[place], weights) for place, weights in other if place in one.cells]
    biases = 0
    for mine, theirs in pairs:
        own, stored = _biases(mine), _biases(theirs)
        if not _agree(own, stored, theirs.unit, tolerance):
            return False
        biases += _changed(own, stored)
        give_back(*(array for side in (own, stored) for gates in side.values() for array in gates.values()))
    # Matrices are large and were compared already: they are looked at again only where some of them changed.
    return found.changed == biases or all(_stored_alike(mine, theirs) for mine, theirs in pairs)


def _biases(weights: Weights) -> Biases:
    return {role: dict(weights.role(role)) for role in _BIASES}


def _agree(mine: Biases, theirs: Biases, units: int, tolerance: float) -> bool:
    """Have each gate's biases the same sum?"""
    import numpy as np

    gates = sorted({gate for side in (mine, theirs) for role in side.values() for gate in role})
    if not gates:
        return True
    one, other = (np.stack([_sum(side, gate, units) for gate in gates]) for side in (mine, theirs))
    return bool(np.allclose(other, one, rtol=tolerance, atol=tolerance))


def _sum(biases: Biases, gate: str, units: int) -> Array:
    import numpy as np

    total: Array = np.zeros(units)
    for gates in biases.values():
        if gate in gates:
            total = total + np.asarray(gates[gate], np.float64)
    return total


def _changed(mine: Biases, theirs: Biases) -> int:
    return sum(
        array.size
        for role, gates in theirs.items()
        for gate, array in gates.items()
        if gate not in mine[role] or not same_bits(mine[role][gate], array)
    )


def _stored_alike(mine: Weights, theirs: Weights) -> bool:
    """Is every other number the source's, as the dtype that is stored has it?"""
    return all(
        gate in mine.role(role) and _cast_alike(mine.role(role)[gate], array)
        for role, gates in theirs.roles.items()
        if role not in _BIASES
        for gate, array in gates.items()
    )


def _cast_alike(one: Array, other: Array) -> bool:
    """Piece by piece: a whole copy of a gate would be as large as the largest tensor."""
    if one.shape != other.shape:
        return False
    rows = max(1, PIECE // max(1, one[:1].nbytes))
    alike = all(
        bool((one[first : first + rows].astype(other.dtype) == other[first : first + rows]).all())
        for first in range(0, len(one), rows)
    )
    give_back(one, other)
    return alike
