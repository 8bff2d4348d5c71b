"""What the ailments of torch files share: the tree of a patient's pickle, and how a module is spoken of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from ..checkpoint import Checkpoint
from ..containers._pickle import Record
from ..containers._pickled import Stub
from ..containers._torch_objects import Found, objects
from ..containers._torch_tree import is_module
from . import CALL, Outcome, Patient

PICKLES = ("torch-zip", "torch-legacy", "torch-tar")
TORCH_NN = "torch.nn.modules."
_WALKED: WeakKeyDictionary[Checkpoint, tuple[Found, ...]] = WeakKeyDictionary()


def tree(patient: Patient) -> Any:
    """The object that a patient's torch pickle holds; None for another patient."""
    if patient.checkpoint is None or patient.checkpoint.tensors.container not in PICKLES:
        return None
    return patient.checkpoint.tensors.metadata.get("tree")


def met(patient: Patient) -> Record | None:
    """What the patient's pickles would do: every call and every name, also what they drop again.  None: no pickle."""
    known = patient.checkpoint.tensors.metadata.get("met") if patient.checkpoint is not None else None
    return known if isinstance(known, Record) else None


def found(patient: Patient) -> Iterator[Found]:
    """Every object of the patient's tree, in the order in which torch.load makes them.  Walked once for all ailments:
    a file's tree does not change, treatments work on a draft's."""
    root, checkpoint = tree(patient), patient.checkpoint
    if root is None or checkpoint is None:
        return iter(())
    if checkpoint not in _WALKED:
        _WALKED[checkpoint] = tuple(objects(root))
    return iter(_WALKED[checkpoint])


def recurrent(patient: Patient) -> Iterator[Found]:
    """Every pickled RNNBase: LSTM, GRU, RNN and what users derived from them.  Known by what RNNBase keeps."""
    for each in found(patient):
        if is_module(each.stub) and isinstance(each.attributes.get("_all_weights"), list) and "mode" in each.attributes:
            yield each


def treated(patient: Patient, where: str) -> Stub | None:
    """The object of the draft that a finding is about."""
    stub: Stub | None = patient.draft.find(where)
    return stub


NEW_NAME = "torch.nn.modules.module.ModuleAttributeError"  # what 1.6 and 1.7 called it: a subclass of AttributeError


def missing_attribute(owner: str, attribute: str, since: str, until: str = "") -> tuple[Outcome, ...]:
    """What the first call says in every version from ``since`` to before ``until``: the error's class had two names."""
    pieces = (("", "1.6", "AttributeError"), ("1.6", "1.8", NEW_NAME), ("1.8", "", "AttributeError"))
    told = []
    for start, end, kind in pieces:
        low, high = max(since, start, key=_number), min(until or "99", end or "99", key=_number)
        if _number(low) < _number(high):
            versions = f">={low}" + (f",<{high}" if high != "99" else "")
            error = f"{kind}: '{owner}' object has no attribute '{attribute}'"
            told.append(Outcome(versions, "loads, fails at the call", CALL, error))
    return tuple(told)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in version.split(".") if piece)
