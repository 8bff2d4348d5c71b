"""Recurrent modules pickled by torch 1.0 to 1.3: they have no ``_flat_weights`` and no ``_flat_weights_names``.

In 1.0 to 1.3 ``_flat_weights`` was a property, and properties are not pickled; since 1.4 it is an attribute.  Every
version has pickled the names, layer by layer, in ``_all_weights``: both lists follow from it.  Since 2.0 RNNBase's
``__setstate__`` makes weak references to the list's members, so torch.load itself fails; before, the first call.
Source: torch/nn/modules/rnn.py of 1.3.1, 1.5.1, 1.9.1, 2.0.1, 2.13.0 (``RNNBase.__setstate__``, ``_flat_weights``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..containers._pickled import Stub
from ..containers._torch_objects import Found
from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy
from ._torch import missing_attribute, recurrent, treated

CODE = "GW104"
_REMEDY = Remedy(
    "make both lists anew from _all_weights: the names, and the very parameters that the module has under them "
    "(the plain tensor where a hook makes the weight)",
    "exact",
)


def names_of(attributes: Mapping[Any, Any]) -> list[str] | None:
    """The weights' names in torch's order, or None where ``_all_weights`` does not hold names (torch 0.1 to 0.4)."""
    layers = attributes.get("_all_weights")
    if not isinstance(layers, list) or not all(isinstance(layer, list) for layer in layers):
        return None
    names = [name for layer in layers for name in layer]
    return names if names and all(isinstance(name, str) for name in names) else None


def lacks(found: Found) -> list[str]:
    """Which of the two attributes are missing.  Where ``_all_weights`` holds tensors torch makes both itself."""
    if names_of(found.attributes) is None:
        return []
    return [name for name in ("_flat_weights", "_flat_weights_names") if name not in found.attributes]


def examine(patient: Patient) -> Iterable[Finding]:
    for found in recurrent(patient):
        missing = lacks(found)
        if missing:
            yield Finding(
                CODE, "breaks", found.path,
                f"This pickled {found.name} has no {' and no '.join(missing)}.",
                "PyTorch up to 1.3 did not keep them in the object; later versions ask for them and make them anew only for "
                "much older files, whose _all_weights hold tensors. The weights themselves are all there.",
                "torch>=1.4", _REMEDY, tuple(_outcomes(found, missing)), found.order,
            )  # fmt: skip


def _outcomes(found: Found, missing: list[str]) -> Iterator[Outcome]:
    """1.4.0 to 1.13.1 and 2.0.1 to 2.13.0 measured.  1.8, alone, asks for proj_size first."""
    first = missing[0]
    yield from missing_attribute(found.name, first, "1.4", "1.8")
    yield from missing_attribute(found.name, first if "proj_size" in found.attributes else "proj_size", "1.8", "1.9")
    yield from missing_attribute(found.name, first, "1.9", "2.0" if first == "_flat_weights" else "")
    if first == "_flat_weights":
        error = f"AttributeError: '{found.name}' object has no attribute '{first}'"
        yield Outcome(">=2.0", "fails in torch.load", LOAD, error)


def treat(patient: Patient, finding: Finding) -> str:
    stub = treated(patient, finding.where)
    names = names_of(stub.attributes) if stub else None
    if stub is None or names is None:
        return ""
    stub.attributes["_flat_weights_names"] = names
    stub.attributes["_flat_weights"] = [_weight(stub, name) for name in names]
    return f"_flat_weights_names and _flat_weights made anew from the {len(names)} names of _all_weights"


def _weight(stub: Stub, name: str) -> Any:
    """The Parameter, or what a hook (weight_norm, pruning) left as a plain attribute; None where there is neither."""
    parameters = stub.attributes["_parameters"]
    return parameters[name] if name in parameters else stub.attributes.get(name)


AILMENT = Ailment(
    "torch_flat_weights",
    "Recurrent modules of torch 1.0 to 1.3 without their list of weights",
    {CODE: "A pickled LSTM, GRU or RNN of torch 1.0 to 1.3 lacks `_flat_weights` and `_flat_weights_names`."},
    examine,
    treat,
    forms=("module",),
    source="torch/nn/modules/rnn.py, RNNBase.__setstate__",
)
