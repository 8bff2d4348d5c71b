"""Torch files that later versions cannot open because of the format itself.

TorchScript of 1.0 to 1.2 keeps its modules in model.json; 1.11 and later no longer read that (1.10.2 does).
The opt-in zip of torch 1.4.0 keeps its storages under names that 1.5 and later do not look for.
Measured: files of 1.0.1, 1.2.0 and 1.4.0 in 1.5.1 to 2.13.0.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy

SCRIPT_CODE, EARLY_ZIP_CODE = "GW611", "GW610"
_SCRIPT_SAYS = "RuntimeError: Legacy model format is not supported on mobile."


def examine(patient: Patient) -> Iterable[Finding]:
    tensors = patient.checkpoint.tensors if patient.checkpoint else None
    if tensors is None:
        return
    if tensors.container == "torchscript" and isinstance(tensors.metadata.get("tree"), dict):
        yield Finding(
            SCRIPT_CODE, "breaks", "", "The file is TorchScript of torch 1.0 to 1.2, which keeps its modules in model.json.",
            "PyTorch 1.11 dropped the reader of that format; its message speaks of mobile on every machine.",
            "torch>=1.11",
            Remedy("keep the weights with repair --as state-dict; the program itself only torch up to 1.10 can save anew", "exact"),
            (Outcome(">=1.11", "fails in torch.jit.load", LOAD, _SCRIPT_SAYS),),
        )  # fmt: skip
    if tensors.container == "torch-zip" and any(
        tensor.where.split("/")[-2:-1] in (["tensors"], ["tensor"]) for tensor in tensors.values()
    ):
        yield Finding(
            EARLY_ZIP_CODE, "breaks", "", "The file is the opt-in zip of torch 1.4.0, whose storages lie under other names.",
            "The format was not finished then; 1.5 and later look for data/ and find nothing.",
            "torch>=1.5", Remedy("write today's zip from it", "exact"),
            (Outcome(">=1.5", "fails in torch.load", LOAD, "RuntimeError: PytorchStreamReader failed locating file data/"),),
        )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    """The draft is written as today's zip whatever it came from."""
    del patient
    return "written anew as today's zip" if finding.code == EARLY_ZIP_CODE else ""


AILMENT = Ailment(
    "torch_containers",
    "Torch files that later versions cannot open because of the format itself",
    {
        EARLY_ZIP_CODE: "The opt-in zip of torch 1.4.0, which 1.5 and later cannot open.",
        SCRIPT_CODE: "TorchScript of torch 1.0 to 1.2, which 1.11 and later cannot open.",
    },
    examine,
    treat,
    source="torch/csrc/jit/serialization/import.cpp; caffe2/serialize/inline_container.cc",
)
