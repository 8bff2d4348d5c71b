"""THE JUNCTION: path → container → tensors → layout → weights, and back.

open      a file's recurrent layers, named                    Checkpoint, Layer
convert   another framework's file, proved before it is kept  Conversion
verify    do two files compute the same function?             Proof
diff      which gates differ, and by how much
save      one layer into a new file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..proof import Proof
    from ._compare import diff, verify
    from ._convert import Conversion, convert, save
    from ._open import Checkpoint, Layer, open

_HOME = {
    "Proof": "..proof", "diff": "._compare", "verify": "._compare",
    "Conversion": "._convert", "convert": "._convert", "save": "._convert",
    "Checkpoint": "._open", "Layer": "._open", "open": "._open",
}  # fmt: skip

__all__ = ["Checkpoint", "Conversion", "Layer", "Proof", "convert", "diff", "open", "save", "verify"]


def __getattr__(name: str) -> object:
    """Each name when it is first used: who inspects a file does not pay for converting one."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value
