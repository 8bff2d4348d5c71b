"""What the numbers of a recurrent layer say, gate by gate, whatever framework wrote them.

Only here does a diagnosis read arrays: a stored tensor at a time, and one that is suspect or large gate by gate; never more
than LARGEST numbers at once.
Figures: the gates' squashing functions are flat beyond ±6 (σ(6) = 0.9975); float16 ends at 65504 and its normal
numbers begin at 6.1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..checkpoint import Checkpoint, Layer
from ..record import lazy
from ..source import give_back
from ..weights import GATE_TITLES, Gates, Weights
from . import Ailment, Finding, Patient

if TYPE_CHECKING:
    from ..tensors import Array, StoredTensor

NOT_FINITE, DEAD, ZERO_BIASES, SATURATED, EXPLODES, HALF = "GW701", "GW702", "GW703", "GW704", "GW705", "GW706"
LARGEST = 20_000_000  # numbers in one gate of one role; larger ones are left unread
_FLAT = 6.0
_RADIUS = 3.0
_UNITS = 1_024  # beyond that many, the spectral radius takes too long
_HALF_MAX, _HALF_NORMAL = 65_504.0, 6.104e-5


@dataclass(frozen=True)
class _Place:
    """One gate of one role, read when it is asked for, and how to say where it is."""

    layer: Layer
    index: int
    direction: str
    role: str
    gate: str
    gates: Gates = field(repr=False)

    @property
    def said(self) -> str:
        at = f"layer {self.index}" if self.layer.num_layers > 1 else ""
        way = self.direction if len(self.layer.directions) == 2 else ""
        gate = f"gate {self.gate} ({GATE_TITLES[self.gate]})" if self.gate in GATE_TITLES else ""
        return " ".join(filter(None, (self.role.replace("_", " "), at, way, gate)))

    @lazy
    def array(self) -> Array:
        return self.gates[self.gate]

    @property
    def numbers(self) -> bool:
        return self.array.size <= LARGEST and self.array.dtype.kind in "fV"

    @lazy
    def is_zero(self) -> bool:
        """Is it zero throughout?"""
        found = self.numbers and not self.array.any()
        give_back(self.array)
        return found


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None:
        return
    for layer in checkpoint.layers:
        places = list(_places(layer))
        yield from _not_finite(layer, places)
        yield from _dead(layer, places)
        yield from _half(layer, places)
        for (index, direction), weights in layer:
            own = [place for place in places if (place.index, place.direction) == (index, direction)]
            yield from _zero_biases(own)
            yield from _saturated(layer, index, direction, weights)
            yield from _explodes(checkpoint, layer, index, direction, weights)


def _places(layer: Layer) -> Iterator[_Place]:
    for (index, direction), weights in layer:
        for role, gates in weights.roles.items():
            for gate in gates:
                yield _Place(layer, index, direction, role, gate, gates)


def _wide(array: Array) -> Any:
    import numpy as np

    return np.asarray(array, np.float32) if array.dtype.itemsize < 4 else array


def _finite(array: Array) -> bool:
    """Is every number finite, for all that their sum tells?  One pass without a temporary."""
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        total = float(_wide(array).sum(dtype=np.float64))
    give_back(array)
    return math.isfinite(total)


def _all_finite(tensor: StoredTensor) -> bool:
    """Of a stored tensor, which is looked at as a whole where it is not too large."""
    if tensor.size > LARGEST:
        return False
    array = tensor.array()
    return array.dtype.kind not in "fV" or _finite(array)


def _not_finite(layer: Layer, places: list[_Place]) -> Iterator[Finding]:
    import numpy as np

    if all(_all_finite(layer.tensors[name]) for name in layer.match.tensors):
        return
    for place in places:  # only a suspect is looked at closely, gate by gate
        if not place.numbers or _finite(place.array):
            continue
        value = _wide(place.array)
        nan, infinite = int(np.isnan(value).sum()), int(np.isinf(value).sum())
        if nan or infinite:
            counts = " and ".join(f"{count} {what}" for count, what in ((nan, "NaN"), (infinite, "infinite")) if count)
            yield Finding(
                NOT_FINITE, "wrong-results", layer.name, f"{place.said}: {counts} of {value.size:,} numbers.",
                "Every output that such a number reaches is not a number. Training diverged, or the file was damaged; no remedy can "
                "know what stood there.", "",
            )  # fmt: skip


def _dead(layer: Layer, places: list[_Place]) -> Iterator[Finding]:
    """A gate of a cell whose kernel and recurrent kernel are both zero throughout never looks at anything."""
    cells = {(index, direction): weights for (index, direction), weights in layer}
    kernels = {(place.index, place.direction, place.gate): place for place in places if place.role == "kernel"}
    for recurrent in places:
        place = kernels.get((recurrent.index, recurrent.direction, recurrent.gate))
        if recurrent.role != "recurrent_kernel" or place is None or not (recurrent.is_zero and place.is_zero):
            continue
        if _others_live(cells[place.index, place.direction], place.gate):
            yield Finding(
                DEAD, "note", layer.name, f"{place.said.removeprefix('kernel ')}: both kernels are zero throughout.",
                "The gate is the same at every step, whatever comes in: it was pruned, never trained, or not loaded.", "",
            )  # fmt: skip


def _others_live(weights: Weights, gate: str) -> bool:
    return any(weights.kernel[other].any() for other in weights.kernel if other != gate) or len(weights.kernel) == 1


def _zero_biases(places: list[_Place]) -> Iterator[Finding]:
    """Of one cell's places."""
    biases = [place for place in places if place.role in ("bias", "recurrent_bias")]
    if len(biases) > 1 and not any(place.array.any() for place in biases):
        place = replace(biases[0], role="biases", gate="")
        yield Finding(
            ZERO_BIASES, "note", place.layer.name, f"{place.said}: all are zero.",
            "Training moves biases away from zero: these were never trained, were saved before it, or were not loaded.", "",
        )  # fmt: skip


def _saturated(layer: Layer, index: int, direction: str, weights: Weights) -> Iterator[Finding]:
    if layer.cell != "lstm" or "f" not in weights.bias:  # no bias, or a forget gate that is coupled to another
        return
    bias = _wide(weights.bias["f"]) + (_wide(weights.recurrent_bias["f"]) if "f" in weights.recurrent_bias else 0.0)
    bias = bias + layer.dialect.forget_bias
    stuck = int((abs(bias) > _FLAT).sum())
    if 2 * stuck > bias.size:
        place = _Place(layer, index, direction, "bias", "f", weights.bias)
        yield Finding(
            SATURATED, "note", layer.name, f"{place.said}: {stuck} of {bias.size} are beyond ±{_FLAT:g} (from {float(bias.min()):.3g} to {float(bias.max()):.3g}).",
            "There the gate hardly moves: beyond 6 nothing is ever forgotten, below -6 nothing is kept from step to step.", "",
        )  # fmt: skip


def _explodes(checkpoint: Checkpoint, layer: Layer, index: int, direction: str, weights: Weights) -> Iterator[Finding]:
    """The spectral radius of the matrix that carries the state on: of a plain RNN, and of a candidate gate."""
    import numpy as np

    del checkpoint
    gate = {"lstm": "g", "gru": "n", "rnn": "h"}.get(layer.cell)
    if gate is None or gate not in weights.recurrent_kernel or weights.unit > _UNITS or weights.unit != weights.hidden:
        return
    stored = weights.recurrent_kernel[gate]
    matrix = np.array(stored, np.float64)
    give_back(stored)
    if not np.isfinite(matrix).all() or _surely_within(matrix, _RADIUS):
        return
    radius = float(np.abs(np.linalg.eigvals(matrix)).max(initial=0.0))
    if radius > _RADIUS:
        place = _Place(layer, index, direction, "recurrent_kernel", gate, weights.recurrent_kernel)
        yield Finding(
            EXPLODES, "note", layer.name, f"{place.said}: its spectral radius is {radius:.3g}.",
            "A state or a gradient that this matrix alone carries grows by that factor with every step, until the activation saturates.", "",
        )  # fmt: skip


def _surely_within(matrix: Array, radius: float) -> bool:
    """Is no eigenvalue beyond the radius, by a bound that costs a few products where the eigenvalues cost fifty?
    |λ| <= ‖Aᵏ‖^(1/k) in every norm and for every k, and it comes close as k grows (Gelfand 1941)."""
    import numpy as np

    power = matrix
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is no bound
        for exponent in (1, 2, 4, 8):
            power = power @ power if exponent > 1 else power
            norm = min(np.abs(power).sum(axis=1).max(initial=0.0), np.sqrt(np.square(power).sum()))
            if norm ** (1 / exponent) <= radius:
                return True
    return False


def _half(layer: Layer, places: list[_Place]) -> Iterator[Finding]:
    """float16 files whose numbers are near its end, or mostly below its normal numbers."""
    import numpy as np

    if all(layer.tensors[name].dtype != "float16" for name in layer.match.tensors):
        return
    for place in places:
        if not place.numbers or place.array.dtype != np.float16:
            continue
        size = np.abs(place.array.astype(np.float32))
        top, held = float(size.max(initial=0.0)), size[size > 0]
        if np.isfinite(top) and top > _HALF_MAX / 4:
            said = f"numbers up to {top:.5g}, and float16 ends at 65504."
        elif held.size and float((held < _HALF_NORMAL).mean()) > 0.5:
            said = f"{int((held < _HALF_NORMAL).sum())} of {held.size} numbers are below float16's normal range and have lost digits."
        else:
            continue
        yield Finding(
            HALF, "note", layer.name, f"{place.said}: {said}",
            "What is computed from them in float16 overflows or vanishes. The digits that are lost are not in this file.", "",
        )  # fmt: skip


AILMENT = Ailment(
    "numeric",
    "The numbers of recurrent layers",
    {
        NOT_FINITE: "NaN or infinite weights.",
        DEAD: "A gate whose kernels are zero throughout.",
        ZERO_BIASES: "All biases of a cell are zero.",
        SATURATED: "Most forget biases are so large that the gate does not move.",
        EXPLODES: "The recurrent kernel of the candidate has a large spectral radius.",
        HALF: "float16 weights near overflow, or mostly in its subnormal range.",
    },
    examine,
)
