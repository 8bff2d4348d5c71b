"""Kaldi nnet3's fast LSTM.  Source only: no Kaldi was run, and its .mdl files are not opened.

Source: kaldi steps/libs/nnet3/xconfig/lstm.py (fast-lstm-layer: W_all over [x, h]), src/cudamatrix/cu-math.h
(ComputeLstmNonlinearity: rows i, f, c, o; the three rows of parameters are peepholes, o reads the new state).  The
names are a component's own and its matrix's, as ``nnet3-copy --binary=false`` prints them.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PEEPHOLE, RECURRENT_KERNEL
from ._layout import Layout, Part

_PARTS = (
    Part("W_all.LinearParams", KERNEL + RECURRENT_KERNEL, "(gate unit) feature + hidden"),
    Part("W_all.BiasParams", BIAS, "(gate unit)"),
    Part("lstm_nonlin.Params", PEEPHOLE, "gate unit", gates="ifo"),
)

LAYOUTS = (
    Layout("kaldi.fast-lstm", "lstm", "ifgo", _PARTS, "kaldi steps/libs/nnet3/xconfig/lstm.py and src/cudamatrix/cu-math.h"),
)  # fmt: skip
