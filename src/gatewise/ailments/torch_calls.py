"""Pickles that run code when they are loaded: what they would call, with which arguments.

Every call that the pickle makes is looked at, also of what it drops again before it ends; nothing is called here.
Left alone are the calls of honest objects, and objects of unknown classes, which torch_classes names.
Source: CPython's Lib/pickle.py (REDUCE, NEWOBJ, INST, OBJ); fickling and picklescan list what malicious files call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..containers._pickle import Record
from ..containers._pickled import Global, Stub
from . import Ailment, Finding, Outcome, Patient, Remedy
from ._pickle_names import is_dangerous, runs_code, shown
from ._torch import PICKLES, found, met

CODE = "GW602"
_MANY = 50  # findings in one file
_REMEDY = Remedy("keep the tensors alone, without what the pickle calls: repair --as state-dict", "exact")
_OUTCOMES = (
    Outcome("<2.6", "torch.load runs it"),
    Outcome(">=2.6", "torch.load refuses it; with weights_only=False it runs it"),
)


def examine(patient: Patient) -> Iterable[Finding]:
    record = met(patient)
    if record is None:
        return
    of_torch = patient.checkpoint is not None and patient.checkpoint.tensors.container in PICKLES
    places = {id(each.stub): each.path for each in found(patient)}
    calls = [call for call in record.calls if runs_code(call)]
    said: set[str] = set()
    for call in calls:
        text = shown(call)
        if text not in said and len(said) < _MANY:
            said.add(text)
            yield _finding(
                places.get(id(call), "(dropped by the pickle after the call)"),
                f"Loading the file would call {text}.",
                of_torch,
            )
    for name in _named_only(record, calls):
        yield _finding("", f"The pickle names {name}, which it does not call itself.", of_torch)


def _named_only(record: Record, calls: list[Stub]) -> Iterator[Global]:
    """A dangerous function that is handed to something else: functools.partial, a default factory."""
    called = {call.cls for call in calls if isinstance(call.cls, Global)}
    yield from (name for name in record.names if is_dangerous(name) and name not in called)


def _finding(where: str, what: str, of_torch: bool) -> Finding:
    if not of_torch:
        return Finding(
            CODE, "unsafe", where, what,
            "A pickle is a program: pickle.load runs what it names. No honest model needs this call. gatewise has run nothing.",
            "", _REMEDY,
        )  # fmt: skip
    return Finding(
        CODE, "unsafe", where, what,
        "A pickle is a program: torch.load runs what it names. No honest model needs this call. gatewise has run nothing.",
        "torch", _REMEDY, _OUTCOMES,
    )  # fmt: skip


AILMENT = Ailment(
    "torch_calls",
    "Pickles that run code when they are loaded",
    {CODE: "Loading the pickle would call a function that runs code: the finding names it with its arguments."},
    examine,
    source="Lib/pickle.py",
)
