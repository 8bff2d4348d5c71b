"""Recurrent modules on CUDA whose weights do not lie in one chunk of memory: cuDNN copies them together at every call.

Left alone: modules on the CPU or where cuDNN is off, and modules whose weights lie in one storage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..live import torch as live
from . import Ailment, Finding, Patient, Remedy
from ._live import named, treated

_REMEDY = Remedy("call its flatten_parameters()", "exact")


def examine(patient: Patient) -> Iterable[Finding]:
    for path, layer in live.layers(patient.live):
        scattered = live.scattered(layer)
        if scattered:
            yield Finding(
                "GW402" if live.computed(layer) else "GW401", "slow", path,
                f"the weights of {named(path, layer)} lie in {scattered} chunks of GPU memory.",
                _why(layer),
                "torch", None if live.computed(layer) else _REMEDY,
            )  # fmt: skip


def _why(layer: Any) -> str:
    if live.computed(layer):
        return "a weight that is computed at every call (weight_norm, spectral_norm, pruning) cannot stay in cuDNN's one buffer."
    return "cuDNN wants them in one and copies them there at every call, which costs time and memory. The numbers are the same."


def treat(patient: Patient, finding: Finding) -> str:
    layer = treated(patient, finding.where)
    layer.flatten_parameters()
    return "" if live.scattered(layer) else "its weights lie in one chunk of memory again"


AILMENT = Ailment(
    "live_chunk",
    "Recurrent modules on the GPU whose weights are scattered",
    {
        "GW401": "A recurrent module's weights do not lie in one chunk of GPU memory.",
        "GW402": "A recurrent module's weights cannot lie in one chunk of GPU memory, since one of them is computed.",
    },
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/rnn.py, RNNBase.flatten_parameters",
)
