"""THE JUNCTION: path → container → tensors → layout → weights, and back.

open      a file's recurrent layers, named                    Checkpoint, Layer
convert   another framework's file, proved before it is kept  Conversion
verify    do two files compute the same function?             Proof
diff      which gates differ, and by how much
save      one layer into a new file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._open import Checkpoint, Layer, open

if TYPE_CHECKING:
    from ..proof import Proof
    from ._compare import diff, verify
    from ._convert import Conversion, convert, save

_LATER = {"diff": "_compare", "verify": "_compare", "Conversion": "_convert", "convert": "_convert", "save": "_convert"}

__all__ = ["Checkpoint", "Conversion", "Layer", "Proof", "convert", "diff", "open", "save", "verify"]


def __getattr__(name: str) -> object:
    """Only opening is imported at once: who looks into a file needs neither proofs nor writers."""
    import importlib

    if name == "Proof":
        module = importlib.import_module("..proof", __name__)
    elif name in _LATER:
        module = importlib.import_module(f".{_LATER[name]}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value
