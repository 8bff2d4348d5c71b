"""Flax in memory: linen modules with their variables, train states, and NNX modules.

Flax is taken from ``sys.modules``.  A tree of linen's parameters alone, or an ``nnx.State``, is a tree of arrays like any
other (``trees``).  Not known here: how either is read and run (``_flax_linen``, ``_flax_nnx``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ..layouts import Layout
from ._weight import Holder


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers of a linen module with variables, or of NNX modules."""
    if "flax.linen" in sys.modules:
        from . import _flax_linen

        yield from _flax_linen.holders(subject, layout)
    if "flax.nnx" in sys.modules:
        from . import _flax_nnx

        yield from _flax_nnx.holders(subject, layout)
