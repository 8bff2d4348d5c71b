"""torch's objects in memory."""

from __future__ import annotations
from ._legacy_torch import legacy_torch
