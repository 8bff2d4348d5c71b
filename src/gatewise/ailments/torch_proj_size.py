"""Recurrent modules pickled by torch 1.0 to 1.7 have no ``proj_size``; of all versions 1.8 alone minds.

1.8 brought projections; 1.9's ``__setstate__`` gives old objects the size 0, 1.8's does not.
Source: torch/nn/modules/rnn.py of 1.9.1 (its comment says so); measured on 1.8.1 and 1.9.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import Ailment, Finding, Patient, Remedy
from ._torch import missing_attribute, recurrent, treated

CODE = "GW107"
_REMEDY = Remedy("set proj_size to 0, which is what there was before projections", "exact")


def examine(patient: Patient) -> Iterable[Finding]:
    for found in recurrent(patient):
        if "proj_size" not in found.attributes:
            yield Finding(
                CODE, "breaks", found.path, f"This pickled {found.name} has no proj_size.",
                "PyTorch 1.8 asks for it and, of all versions, does not give it to older objects.",
                "torch>=1.8,<1.9", _REMEDY, missing_attribute(found.name, "proj_size", "1.8", "1.9"),
                found.order,
            )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    if stub is None:
        return ""
    stub.attributes["proj_size"] = 0
    return "proj_size set to 0"


AILMENT = Ailment(
    "torch_proj_size",
    "Recurrent modules of torch 1.0 to 1.7 in torch 1.8",
    {CODE: "A pickled LSTM, GRU or RNN of torch 1.0 to 1.7 lacks `proj_size`, which torch 1.8 asks for."},
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/rnn.py, RNNBase.__setstate__",
)
