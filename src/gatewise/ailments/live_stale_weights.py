"""A recurrent module in memory whose forward uses other weights than its names give.

Training then moves numbers that nothing uses, and ``state_dict()`` saves what did not run; no error tells.  Found by looking,
confirmed by running (see live/_torch_used.py), so that what torch puts right by itself at the next call is no finding.
Left alone: parametrized, pruned, weight-normed, weight-dropped, swapped and reassigned weights, wherever forward follows them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..live import torch as live
from ..live._torch_used import Parted, parted, renew
from . import Ailment, Finding, Patient, Remedy
from ._live import listed, named, treated

_FOLLOW = Remedy(
    "make forward use what the names give, as the optimizer and state_dict() do",
    "changes the numbers to those of the named weights",
)
_NAME = Remedy("make them parameters under the names that the module gives them", "exact")


def examine(patient: Patient) -> Iterable[Finding]:
    for path, layer in live.layers(patient.live):
        found = parted(layer)
        if found is not None:
            yield from _findings(found, path, named(path, layer))


def _findings(found: Parted, path: str, name: str) -> Iterable[Finding]:
    if found.stale:
        yield Finding(
            "GW404", "wrong-results", path,
            f"forward of {name} does not use {listed(found.stale)}, but other tensors.",
            "its private list _flat_weights was set apart from its named weights. The optimizer and state_dict() see the names, the "
            f"kernel the list: moving every parameter a little, the outputs of the two differed by {found.difference:.1e}.",
            "torch", _FOLLOW,
        )  # fmt: skip
    if found.nameless:
        yield Finding(
            "GW417", "wrong-results", path,
            f"forward of {name} uses {listed(found.nameless)}, which it no longer has under that name.",
            "the name was deleted and its tensor stayed in the private list _flat_weights: it runs, and neither the optimizer nor "
            "state_dict() sees it.",
            "torch", _NAME,
        )  # fmt: skip


def treat(patient: Patient, finding: Finding) -> str:
    layer = treated(patient, finding.where)
    renew(layer)
    if finding.code == "GW417":
        return "registered again as parameters what forward used without a name"
    return f"forward uses the {len(layer._flat_weights)} weights that the names give"


AILMENT = Ailment(
    "live_stale_weights",
    "Recurrent modules in memory that run with other weights than they show",
    {
        "GW404": "A recurrent module's forward does not use the weights that its names give.",
        "GW417": "A recurrent module's forward uses weights that no name gives.",
    },
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/rnn.py, RNNBase._update_flat_weights; pytorch/pytorch#65688, #90500",
)
