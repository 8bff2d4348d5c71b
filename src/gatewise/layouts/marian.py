"""Marian's GRU and FastLSTM (.npz).  Source only: no Marian was run.

Source: marian-dev src/rnn/cells.h (which parameters), src/tensors/cpu/tensor_operators.cpp (``GRUFastForward``,
``LSTMCellForward``, ``LSTMOutputForward``: the blocks' order).  ``x @ W``; the GRU's r and z lie in one matrix, its candidate in
another.  The candidate's bias stands outside r, and inside it in a *final* cell, which the file does not tell.  Cells
with ``_gamma`` normalise.  FastLSTM's names are common words: it is read where the user names it.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, NORM_SCALE, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "marian-dev src/rnn/cells.h and src/tensors/cpu/tensor_operators.cpp"
_GRU = (
    Part(("rnn_W", "*_W"), KERNEL, "feature (gate unit)", gates="rz"),
    Part(("rnn_Wx", "*_Wx"), KERNEL, "feature unit", gates="n"),
    Part(("rnn_U", "*_U"), RECURRENT_KERNEL, "hidden (gate unit)", gates="rz"),
    Part(("rnn_Ux", "*_Ux"), RECURRENT_KERNEL, "hidden unit", gates="n"),
    Part(("rnn_b", "*_b"), BIAS, "one (gate unit)", gates="rz"),
    Part(("rnn_bx", "*_bx"), BIAS, "one unit", gates="n"),
)
_LSTM = (
    Part(("rnn_W", "*_W"), KERNEL, "feature (gate unit)"),
    Part(("rnn_U", "*_U"), RECURRENT_KERNEL, "hidden (gate unit)"),
    Part(("rnn_b", "*_b"), BIAS, "one (gate unit)"),
)

LAYOUTS = (
    Layout("marian.GRU", "gru", "rzn", _GRU, _SOURCE,
           doubt="in a final cell the candidate's bias stands inside the reset gate, and the file does not tell which it is"),
    Layout("marian.FastLSTM", "lstm", "figo", _LSTM, _SOURCE, unasked="never"),
    Layout("marian.GRU-normalised", "gru", "rzn", (*_GRU, Part(("rnn_gamma1", "*_gamma1"), NORM_SCALE, "one (gate unit)", gates="rzn")), _SOURCE,
           outside="it normalises inside the step (layer normalisation), which gatewise does not run"),
)  # fmt: skip
