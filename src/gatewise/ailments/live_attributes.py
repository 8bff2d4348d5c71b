"""A torch module in memory that lacks attributes which the running torch sets in every such module.

It was loaded by a way around ``__setstate__`` (``__dict__.update``, an ``__init__`` that was not called), or by torch 1.4 to
1.13, which loaded modules of 1.0 to 1.3 without a word.  Left alone: modules made or loaded by the running torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..live import torch as live
from . import Ailment, Finding, Patient, Remedy
from ._live import listed, named, treated
from .torch_nn_attributes import TABLE

_CODES = {row.attribute: row.code for row in TABLE} | {"proj_size": "GW107"}
LISTS = ("_flat_weights", "_flat_weights_names", "_all_weights", "_flat_weight_refs")
_REMEDY = Remedy("set them to what torch sets, the lists made anew from the module's own weights", "exact")


def examine(patient: Patient) -> Iterable[Finding]:
    for path, module in live.modules(patient.live):
        for code, names in _by_code(live.missing(module)):
            yield Finding(
                code, "breaks", path,
                f"{named(path, module)} has no {listed(names)}.",
                "the running torch sets them when it makes such a module and when it loads one; this one came another way, or from "
                "an older torch. Whatever asks for them raises AttributeError.",
                "torch", _REMEDY,
            )  # fmt: skip
        if isinstance(vars(module).get("_flat_weights_names"), list) and type(vars(module).get("dropout")) is int:
            yield Finding(
                "GW114", "note", path,
                f"{named(path, module)} keeps its dropout as the integer {module.dropout}.",
                "torch keeps a float since 1.1. It runs all the same, but torch.jit.script refuses it.",
                "torch", Remedy("make it a float", "exact"),
            )  # fmt: skip


def _by_code(missing: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The attributes that belong together: one finding each."""
    groups: dict[str, list[str]] = {}
    for name in sorted(missing):
        groups.setdefault("GW104" if name in LISTS else _CODES.get(name, "GW128"), []).append(name)
    yield from groups.items()


def treat(patient: Patient, finding: Finding) -> str:
    module = treated(patient, finding.where)
    if finding.code == "GW114":
        module.dropout = float(module.dropout)
        return f"dropout made the float {module.dropout}"
    given = live.complete(module)
    return f"set {listed(list(given))}" if given else ""


AILMENT = Ailment(
    "live_attributes",
    "Modules in memory that lack attributes",
    {
        "GW104": "A pickled LSTM, GRU or RNN of torch 1.0 to 1.3 lacks `_flat_weights` and `_flat_weights_names`.",
        "GW114": "A recurrent module keeps its dropout as an integer, which `torch.jit.script` refuses.",
        "GW128": "A module lacks attributes that every `torch.nn.Module` has.",
        **dict.fromkeys(
            sorted(set(_CODES.values())), "A module lacks an attribute that newer versions of its class have."
        ),
    },
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/module.py, Module.__setstate__",
)
