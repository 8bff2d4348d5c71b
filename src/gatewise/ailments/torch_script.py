"""TorchScript of torch 1.0 to 1.2, which keeps its modules in model.json: 1.11 and later no longer read it.

Measured: files of 1.0.1 and 1.2.0 in 1.10.2, which reads them, and in 1.11.0 to 2.13.0, which do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy

CODE = "GW611"
_SAYS = "RuntimeError: Legacy model format is not supported on mobile."
_REMEDY = Remedy(
    "repair --as state-dict keeps the weights; the program itself only torch up to 1.10 can save anew", "exact"
)


def examine(patient: Patient) -> Iterable[Finding]:
    tensors = patient.checkpoint.tensors if patient.checkpoint is not None else None
    if tensors is not None and tensors.container == "torchscript" and isinstance(tensors.metadata.get("tree"), dict):
        yield Finding(
            CODE, "breaks", "", "The file is TorchScript of torch 1.0 to 1.2, which keeps its modules in model.json.",
            "PyTorch 1.11 dropped the reader of that format; its message speaks of mobile on every machine.",
            "torch>=1.11", _REMEDY, (Outcome(">=1.11", "fails in torch.jit.load", LOAD, _SAYS),),
        )  # fmt: skip


AILMENT = Ailment(
    "torch_script",
    "TorchScript of torch 1.0 to 1.2",
    {CODE: "TorchScript of torch 1.0 to 1.2, which 1.11 and later cannot open."},
    examine,
    source="torch/csrc/jit/serialization/import.cpp",
)
