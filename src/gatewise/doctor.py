"""The doctor: runs the ailments over a file or an object in memory, and applies their remedies to a copy."""

from __future__ import annotations

import os
from typing import Any

from .ailments import Finding, Patient, Target, examine
from .checkpoint import Checkpoint, open


def diagnose(subject: Any, *, target: str | None = None) -> list[Finding]:
    """What will break, be slow, be unsafe or give wrong numbers.  ``subject``: a path, a Checkpoint, or a live module.

    ``target``: ``torch==2.13``, ``keras==3``: only what matters there.  Diagnosis changes nothing and runs nothing.
    """
    wanted = Target.parse(target) if target else None
    if isinstance(subject, (str, os.PathLike)):
        subject = open(subject)
    if isinstance(subject, Checkpoint):
        return list(examine(Patient(checkpoint=subject, target=wanted)))
    return list(examine(Patient(live=subject, target=wanted)))
