"""THE JUNCTION: path → container → tensors → layout → weights, and back.

open      a file's recurrent layers, named                    Checkpoint, Layer
convert   another framework's file, proved before it is kept  Conversion
verify    do two files compute the same function?             Proof
diff      which gates differ, and by how much
save      one layer into a new file
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ..proof import Proof
    from ._compare import diff, verify
    from ._convert import Conversion, convert, save
    from ._open import Checkpoint, Layer, open

_HOME = {
    "Proof": "proof", "diff": "checkpoint._compare", "verify": "checkpoint._compare",
    "Conversion": "checkpoint._convert", "convert": "checkpoint._convert", "save": "checkpoint._convert",
    "Checkpoint": "checkpoint._open", "Layer": "checkpoint._open", "open": "checkpoint._open",
}  # fmt: skip

__all__ = ["Checkpoint", "Conversion", "Layer", "Proof", "convert", "diff", "open", "save", "verify"]


def __getattr__(name: str) -> object:
    """Each name when it is first used: who inspects a file does not pay for converting one."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ..folders import module

    value: object = getattr(module(f"gatewise.{_HOME[name]}"), name)
    globals()[name] = value
    return value
