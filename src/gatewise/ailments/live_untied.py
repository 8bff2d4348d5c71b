"""Weights of one recurrent module that were tied once and are two copies now: equal numbers, trained apart.

Left alone: weights that are one and the same, and equal constants (biases of zeros, a forget bias of ones).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..live import torch as live
from . import Ailment, Finding, Patient
from ._live import named


def examine(patient: Patient) -> Iterable[Finding]:
    for path, layer in live.layers(patient.live):
        for one, other in live.twins(layer):
            yield Finding(
                "GW412", "note", path,
                f"{one} and {other} of {named(path, layer)} hold the same numbers, each its own copy.",
                "equal random numbers do not happen: they were one tensor before (moving to the GPU, copying and loading untie), or one "
                "was copied over the other. Training moves them apart. Where they were meant to be one, assign one to the other's name.",
                "torch",
            )  # fmt: skip


AILMENT = Ailment(
    "live_untied",
    "Weights that were tied and are two",
    {"GW412": "Two weights of a recurrent module hold the same numbers in two copies."},
    examine,
    source="pytorch/pytorch#3751",
)
