"""The opt-in zip of torch 1.4.0: 1.5 and later look for its storages under other names, and find none.

Measured: a module and a state dict of 1.4.0 in 1.5.1 to 2.13.0; how 1.4.0 names the storages follows from their message.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy

CODE = "GW610"
_FOLDERS = ("tensors", "tensor")
_SAYS = "RuntimeError: PytorchStreamReader failed locating file data/"


def examine(patient: Patient) -> Iterable[Finding]:
    tensors = patient.checkpoint.tensors if patient.checkpoint is not None else None
    if tensors is None or tensors.container != "torch-zip":
        return
    if any(folder in _FOLDERS for tensor in tensors.values() for folder in tensor.where.split("/")[-2:-1]):
        yield Finding(
            CODE, "breaks", "", "The file is the opt-in zip of torch 1.4.0, whose storages lie under other names.",
            "The format was not finished then; 1.5 and later look for data/ and find nothing.", "torch>=1.5",
            Remedy("write today's zip from it", "exact"), (Outcome(">=1.5", "fails in torch.load", LOAD, _SAYS),),
        )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    """The draft is written as today's zip whatever it came from."""
    del patient, finding
    return "written anew as today's zip"


AILMENT = Ailment(
    "torch_early_zip",
    "The opt-in zip of torch 1.4.0",
    {CODE: "The opt-in zip of torch 1.4.0, which 1.5 and later cannot open."},
    examine,
    treat,
    source="caffe2/serialize/inline_container.cc",
)
