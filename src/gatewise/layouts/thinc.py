"""Thinc's own LSTM: one vector of all layers and directions, and the state that it starts from.

Source: thinc/layers/lstm.py (``init``: the order of the matrices), thinc/backends/ops.py (``lstm_forward_inference``: blocks
f, i, o, g, both biases added, and what it takes HC0 for).  A comment there says cuDNN's order; it is another one.
HC0[0] is called H0 where it is handed over and taken for c by the function that computes: the cell state comes first.
"""

from __future__ import annotations

from ..weights import BIAS, INITIAL_CELL, INITIAL_HIDDEN, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part

_PARTS = (
    Part(
        {INPUTS: "LSTM"},
        KERNEL + BIAS + RECURRENT_KERNEL + RECURRENT_BIAS,
        "[layer direction: (gate unit) feature + (gate unit) + (gate unit) hidden + (gate unit)]",
    ),
    Part({INPUTS: "HC0"}, INITIAL_CELL + INITIAL_HIDDEN, "[layer direction: unit] [layer direction: hidden]"),
)
_FACTS = (
    Fact("unit", ("nH",)),
    Fact("feature", ("nI",)),
    Fact("layers", ("depth",)),
    Fact("directions", ("dirs",)),
)

LAYOUTS = (
    Layout("thinc.LSTM", "lstm", "fiog", _PARTS, "thinc/layers/lstm.py and thinc/backends/ops.py", kinds=("thinc.LSTM.v1", "thinc.lstm"),
           facts=_FACTS, proven="Thinc 9.1.1: 2e-07"),
)  # fmt: skip
