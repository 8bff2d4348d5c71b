"""Upsample modules pickled by torch 1.0 to 1.10: they have no ``recompute_scale_factor``, and torch guesses it.

Up to 1.5 interpolation computed the scale anew from the output's size, from 1.6 on it takes the scale as given; the
attribute that says so came with 1.11.  1.11 to 2.0 ask for it and fail; later versions give every old object True
(``__setstate__``), which is right for 1.0 to 1.5 alone: with a scale that is no whole number an Upsample of 1.6 to 1.10
computes something else, silently, and one with a size fails at the call.
Measured: modules of 1.1.0 to 2.0.1 in 1.12.1, 2.0.1, 2.4.1 and 2.13.0; source: torch/nn/modules/upsampling.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..containers._torch_objects import Found
from . import CALL, NUMBERS, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import TORCH_NN, found, missing_attribute, treated

CODE = "GW131"
_ATTRIBUTE = "recompute_scale_factor"
_CLASSES = tuple(f"{TORCH_NN}upsampling.{name}" for name in ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"))
_SAYS = "ValueError: recompute_scale_factor is not meaningful with an explicit size."


def value_for(attributes: Mapping[Any, Any]) -> bool | None:
    """What the version that pickled the object did: torch 1.6 brought _non_persistent_buffers_set, too."""
    return True if attributes.get("size") is None and "_non_persistent_buffers_set" not in attributes else None


def _whole(scale: Any) -> bool:
    scales = scale if isinstance(scale, tuple | list) else (scale,)
    return all(isinstance(each, int | float) and float(each).is_integer() for each in scales)


def _today(attributes: Mapping[Any, Any]) -> Outcome | None:
    """What 2.1 and later do wrong, or None where their True is right or makes no difference."""
    if attributes.get("size") is not None:
        return Outcome(">=2.1", "loads, fails at the call", CALL, _SAYS)
    if value_for(attributes) is None and not _whole(attributes.get("scale_factor")):
        return Outcome(">=2.1", "loads and computes other numbers, silently", NUMBERS)
    return None


def examine(patient: Patient) -> Iterable[Finding]:
    for each in found(patient):
        if each.kind in _CLASSES and _ATTRIBUTE not in each.attributes:
            yield _finding(each)


def _finding(each: Found) -> Finding:
    today = _today(each.attributes)
    value = value_for(each.attributes)
    outcomes = missing_attribute(each.name, _ATTRIBUTE, "1.11", "2.1")
    return Finding(
        CODE, "wrong-results" if today and today.stage == NUMBERS else "breaks", each.path,
        f"This pickled {each.name} has no {_ATTRIBUTE}.",
        "PyTorch 1.11 to 2.0 ask for it and fail. Later versions take every old object for one of torch 1.5 or older, "
        "which computed the scale anew from the output's size; those of 1.6 to 1.10 did not.",
        "torch>=1.11" if today else "torch>=1.11,<2.1",
        Remedy(f"set {_ATTRIBUTE} to {value}, which is what the version that wrote it did", "exact"),
        (*outcomes, *((today,) if today else ())), each.order,
    )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    if stub is None:
        return ""
    stub.attributes[_ATTRIBUTE] = value_for(stub.attributes)
    return f"{_ATTRIBUTE} set to {stub.attributes[_ATTRIBUTE]}"


AILMENT = Ailment(
    "torch_upsample",
    "Upsample modules of torch 1.0 to 1.10",
    {
        CODE: "A pickled Upsample of torch 1.0 to 1.10 lacks `recompute_scale_factor`; later versions fail, or compute other numbers."
    },
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/upsampling.py",
)
