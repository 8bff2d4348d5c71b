"""Deeplearning4j's LSTM.  Source only: no Java was run.

Source: deeplearning4j LSTMParamInitializer.java (names, W (in, 4·units), RW (units, 4·units), b), LSTMHelpers.java (which
block gets which function).  Its papers call the blocks IFOG; by what is done with them they are g, f, o, i: block 0
goes through the layer's own activation, block 3 through the gates' (KerasLSTM.java says "IFCO to CFOI").  GravesLSTM has
three columns of peepholes more and is not read.  The archive keeps one row of all numbers, in Fortran's order, which gatewise
does not take apart: these names are those of arrays that somebody wrote by their names (``0_RW``).
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import Layout, Part

_PARTS = (
    Part(("0_W", "*_W"), KERNEL, "feature (gate unit)"),
    Part(("0_RW", "*_RW"), RECURRENT_KERNEL, "hidden (gate unit)"),
    Part(("0_b", "*_b"), BIAS, "one (gate unit)"),
)

LAYOUTS = (
    Layout("dl4j.LSTM", "lstm", "gfoi", _PARTS, "deeplearning4j LSTMParamInitializer.java and LSTMHelpers.java"),
)  # fmt: skip
