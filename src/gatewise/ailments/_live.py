"""What the ailments of live torch modules share: how they name a module, and how a treatment finds it again."""

from __future__ import annotations

from typing import Any

from ..errors import few
from ..live import torch as live
from . import Patient


def named(path: str, module: Any) -> str:
    """``the LSTM encoder.rnn``; ``this LSTM`` for the module itself."""
    kind = type(module).__name__
    return f"the {kind} {path}" if path else f"this {kind}"


def treated(patient: Patient, where: str) -> Any:
    """The module of the draft that a finding is about; None for another kind of patient."""
    return live.at(patient.draft, where) if live.is_module(patient.draft) else None


def listed(names: list[str] | tuple[str, ...]) -> str:
    """At most four names, and how many more."""
    return few(names, 4)
