"""Caffe's LSTM layer.  Source only: no Caffe was run.

Source: BVLC/caffe src/caffe/layers/lstm_layer.cpp (``FillUnrolledNet``: x_transform with its bias, perhaps a static input,
h_transform without one), lstm_unit_layer.cpp (blocks i, f, o, g).  Where ``cont`` is 0 the state is forgotten.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import INPUTS, Layout, Part

_SOURCE = "caffe src/caffe/layers/lstm_layer.cpp and lstm_unit_layer.cpp"
_PARTS = (
    Part({INPUTS: "0"}, KERNEL, "(gate unit) feature"),
    Part({INPUTS: "1"}, BIAS, "(gate unit)"),
    Part({INPUTS: "2"}, RECURRENT_KERNEL, "(gate unit) hidden"),
)
_STATIC = (*_PARTS[:2], Part({INPUTS: "3"}, RECURRENT_KERNEL, "(gate unit) hidden"))

LAYOUTS = (
    Layout("caffe.LSTM", "lstm", "ifog", _PARTS, _SOURCE, kinds=("caffe.LSTM",)),
    Layout("caffe.LSTM-static", "lstm", "ifog", (*_STATIC, Part({INPUTS: "2"}, KERNEL, "(gate unit) one")), _SOURCE,
           kinds=("caffe.LSTM",), outside="it takes a static input beside the sequence, with weights of its own"),
)  # fmt: skip
