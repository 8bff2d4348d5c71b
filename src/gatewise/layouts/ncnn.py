"""ncnn's recurrent layers.

Source: src/layer/{lstm,gru,rnn}.cpp of ncnn (load_model for the tensors, lstm, gru and rnn for the equations), July 2026.
Blocks i f o g (the source writes I F O G) and r u n; biases are rows.  A GRU's bias has four: of r, of u, of n from the
input, and of n from the hidden state, inside of r.  Direction 1 is a reverse direction alone, whose outputs stand in the
input's order.  With as many outputs as units there is no projection.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "ncnn src/layer/{}.cpp"
_BACKWARDS = tuple(
    Setting(field, ("direction",), {0: False, 2: False, 1: True}, default=False)
    for field in ("go_backwards", "backwards_in_place")
)
_FACTS = (Fact("unit", ("hidden_size",)), Fact("directions", ("direction",), {0: 1, 1: 1, 2: 2}))


def _parts(*biases: Part) -> tuple[Part, ...]:
    return (
        Part({INPUTS: "weight_xc"}, KERNEL, "direction (gate unit) feature"),
        *biases,
        Part({INPUTS: "weight_hc"}, RECURRENT_KERNEL, "direction (gate unit) hidden"),
    )


_LSTM = (
    *_parts(Part({INPUTS: "bias_c"}, BIAS, "direction gate unit")),
    Part({INPUTS: "weight_hr"}, PROJECTION, "direction hidden unit", optional=True),
)
_GRU = _parts(
    Part({INPUTS: "bias_c"}, BIAS + RECURRENT_BIAS, "direction (gate + one) unit", gates={"recurrent_bias": "n"})
)
_RNN = _parts(Part({INPUTS: "bias_c"}, BIAS, "direction one unit"))
_INT8 = "its weights are int8 with a scale for each row; gatewise names it and does not dequantise"
_PROVEN = "ncnn 1.0.20261020: 5e-07"

LAYOUTS = (
    Layout("ncnn.LSTM", "lstm", "ifog", _LSTM, _SOURCE.format("lstm"), settings=_BACKWARDS, kinds=("ncnn.LSTM",),
           written_as="ncnn.LSTM", facts=_FACTS, proven=_PROVEN),
    Layout("ncnn.GRU", "gru", "rzn", _GRU, _SOURCE.format("gru"), settings=_BACKWARDS, kinds=("ncnn.GRU",),
           written_as="ncnn.GRU", facts=_FACTS, proven=_PROVEN),
    Layout("ncnn.RNN", "rnn", "h", _RNN, _SOURCE.format("rnn"), settings=_BACKWARDS, kinds=("ncnn.RNN",),
           written_as="ncnn.RNN", facts=_FACTS, proven=_PROVEN),
    Layout("ncnn.Int8LSTM", "lstm", "ifog", _LSTM, _SOURCE.format("lstm"), kinds=("ncnn.LSTM of int8",), facts=_FACTS, outside=_INT8),
    Layout("ncnn.Int8GRU", "gru", "rzn", _GRU, _SOURCE.format("gru"), kinds=("ncnn.GRU of int8",), facts=_FACTS, outside=_INT8),
    Layout("ncnn.Int8RNN", "rnn", "h", _RNN, _SOURCE.format("rnn"), kinds=("ncnn.RNN of int8",), facts=_FACTS, outside=_INT8),
)  # fmt: skip
