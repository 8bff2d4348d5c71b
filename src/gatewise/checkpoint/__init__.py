"""THE JUNCTION: path → container → tensors → layout → weights, and back.

open      a file's recurrent layers, named                    Checkpoint, Layer
convert   another framework's file, proved before it is kept  Conversion
verify    do two files compute the same function?             Proof
diff      which gates differ, and by how much
save      one layer into a new file
"""

from __future__ import annotations

from ..proof import Proof
from ._compare import diff, verify
from ._convert import Conversion, convert, save
from ._open import Checkpoint, Layer, open

__all__ = ["Checkpoint", "Conversion", "Layer", "Proof", "convert", "diff", "open", "save", "verify"]
