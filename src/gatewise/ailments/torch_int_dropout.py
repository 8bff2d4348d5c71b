"""Recurrent modules whose ``dropout`` is an int: calling them works, ``torch.jit.script`` refuses.

torch 1.0 kept the number as it was given (the default was the int 0); from 1.1 on it is made a float.
Measured: 1.0.1's modules, made whole, in torch.jit.script of 2.13.0.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import SCRIPT, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import recurrent, treated

CODE = "GW114"
_REMEDY = Remedy("store dropout as the float of the same value", "exact")
_SAYS = "RuntimeError: Expected a value of type 'float' for argument 'dropout' but instead found type 'int'."


def examine(patient: Patient) -> Iterable[Finding]:
    for found in recurrent(patient):
        if type(found.attributes.get("dropout")) is int:
            yield Finding(
                CODE, "note", found.path,
                f"This pickled {found.name} keeps dropout as an int, {found.attributes['dropout']}.",
                "PyTorch 1.0 kept the number as it was given. Calling the module works; torch.jit.script wants a float.",
                "torch>=1.1", _REMEDY, (Outcome(">=1.1", "torch.jit.script fails", SCRIPT, _SAYS),), found.order,
            )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    if stub is None or type(stub.attributes.get("dropout")) is not int:
        return ""
    stub.attributes["dropout"] = float(stub.attributes["dropout"])
    return f"dropout stored as {stub.attributes['dropout']}"


AILMENT = Ailment(
    "torch_int_dropout",
    "Recurrent modules whose dropout is an int",
    {CODE: "A pickled LSTM, GRU or RNN keeps `dropout` as an int, which torch.jit.script refuses."},
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/rnn.py, RNNBase.__init__",
)
