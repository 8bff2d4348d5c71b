"""Recurrent modules in memory with NaN or infinity among their weights: every output after them is NaN.

Left alone: every finite number, however large.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..live import torch as live
from . import Ailment, Finding, Patient
from ._live import listed, named


def examine(patient: Patient) -> Iterable[Finding]:
    for path, layer in live.layers(patient.live):
        broken = [
            name for name, weight in live.weights(layer).items() if weight is not None and not live.is_finite(weight)
        ]
        if broken:
            yield Finding(
                "GW418", "wrong-results", path,
                f"{listed(broken)} of {named(path, layer)} hold NaN or infinity.",
                "one such number makes every later step NaN. Training diverged (no gradient clipping, a float16 overflow), or the "
                "weights were never set. The last good checkpoint has what is lost here.",
                "torch",
            )  # fmt: skip


AILMENT = Ailment(
    "live_not_finite",
    "Weights that are no numbers",
    {"GW418": "A weight of a recurrent module is NaN or infinite."},
    examine,
)
