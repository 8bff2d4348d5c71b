"""Objects in memory, one file per framework.  A framework is imported here only when one of its objects is at hand, or
when the user asks for it by entering a context.  Not known here: files, which containers/ reads."""

from __future__ import annotations

from typing import Any


def duplicate(subject: Any) -> Any:
    """A copy of an object in memory that shares nothing with it, also of a sick one."""
    import copy

    from . import torch as live_torch

    return live_torch.duplicate(subject) if live_torch.is_module(subject) else copy.deepcopy(subject)
