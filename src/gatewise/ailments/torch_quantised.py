"""Dynamically quantised (qint8) modules pickled whole by torch 1.6 to 1.8: a Linear's packed weights in an old form.

Up to 1.9 ``LinearPackedParams.__getstate__`` gave (quantised weight, bias, training, dtype); since 1.12 the object is
pickled like every module, its weights packed in a ScriptObject, and Module's ``__setstate__`` chokes on the tuple.
The pack is made of the same weight and bias: what the old ``__setstate__`` did when it loaded the tuple.
Source: torch/nn/quantized/modules/linear.py of 1.7.1, 1.9.1 and 1.12.1; measured on 1.6.0 and 1.8.1's in 2.13.0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from ..containers._pickled import Global, Stub
from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import found, treated

CODE = "GW129"
_SAYS = "ValueError: dictionary update sequence element #0 has length 3; 2 is required"
_PACK = "__torch__.torch.classes.quantized.LinearPackedParamsBase"
_HOOKS = ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks")
_REMEDY = Remedy(
    "write the packed weights as torch 1.12 and later do, from the same quantised weight and bias", "exact"
)


def _old_state(stub: Stub) -> tuple[Any, Any, Any, Any] | None:
    """(weight, bias, training, dtype) where the object is such a one."""
    named = isinstance(stub.cls, Global) and stub.cls.name == "LinearPackedParams"
    return stub.state if named and isinstance(stub.state, tuple) and len(stub.state) == 4 else None


def examine(patient: Patient) -> Iterable[Finding]:
    for each in found(patient):
        if _old_state(each.stub):
            yield Finding(
                CODE, "breaks", each.path, "This quantised Linear keeps its packed weights as torch 1.6 to 1.9 wrote them.",
                "Since torch 1.12 the object is a module with attributes, and loading the old tuple fails.",
                "torch>=1.12", _REMEDY, (Outcome(">=1.12", "fails in torch.load", LOAD, _SAYS),), each.order,
            )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    state = _old_state(stub) if stub else None
    if stub is None or state is None:
        return ""
    weight, bias, training, dtype = state
    pack = Stub(Global("torch._C", "ScriptObject"), how="newobj")
    pack.state = ((weight, bias), _PACK)
    stub.state = {
        "training": training,
        **{name: OrderedDict() for name in ("_parameters", "_buffers", "_modules", *_HOOKS)},
        "_non_persistent_buffers_set": set(),
        "dtype": dtype,
        "_packed_params": pack,
    }
    return "the packed weights written as torch 1.12 and later do"


AILMENT = Ailment(
    "torch_quantised",
    "Dynamically quantised modules of torch 1.6 to 1.8",
    {CODE: "A quantised (qint8) Linear pickled by torch 1.6 to 1.8, which torch 1.12 and later cannot load."},
    examine,
    treat,
    forms=("module",),
    source="torch/nn/quantized/modules/linear.py",
)
