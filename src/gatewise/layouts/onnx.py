"""ONNX's recurrent operators: LSTM, GRU and RNN, and onnxruntime's quantised LSTM, which is only named.

Source: docs/Operators.md of ONNX 1.23 (LSTM-22, GRU-22, RNN-22; the tensors are the same since version 1, layout came
with 14, linear_before_reset with GRU-3) and onnxruntime/core/providers/cpu/rnn (defaults of the activations; with
input_forget f is 1 - i).  Blocks i o f c and z r h; the peepholes i o f; B is Wb, then Rb.  A node is told by its
inputs' positions, which its container spells W, R, B, P.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "onnx docs/Operators.md, {}"
_CONTRIB = "onnxruntime docs/ContribOperators.md, com.microsoft.DynamicQuantizeLSTM"

ACTIVATIONS = {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Softsign": "softsign", "Softplus": "softplus", "Elu(1)": "elu",
    "Affine(1, 0)": "linear", "hard_sigmoid(0.2)": "hard_sigmoid(0.2)", "hard_sigmoid(0.1666667)": "hard_sigmoid(1/6)",
}  # fmt: skip
_CLIP = Setting("input_clip", ("clip",), {}, free=True)
# A lone reverse direction, which its container spells so; its outputs stand in the input's order.
_BACKWARDS = tuple(
    Setting(field, ("backwards",), {True: True, False: False}, default=False)
    for field in ("go_backwards", "backwards_in_place")
)
_COMMON = (_CLIP, *_BACKWARDS)


def _activation(field: str, index: int, default: str) -> Setting:
    return Setting(field, (f"activations[{index}]",), ACTIVATIONS, default=default)


_LSTM = (
    _activation("recurrent_activation", 0, "sigmoid"),
    _activation("activation", 1, "tanh"),
    _activation("output_activation", 2, "tanh"),
    Setting("coupled", ("input_forget",), {0: None, 1: "f"}),
)
_GRU = (
    _activation("recurrent_activation", 0, "sigmoid"),
    _activation("activation", 1, "tanh"),
    Setting("reset", ("linear_before_reset",), {0: "before", 1: "after"}, default="before"),
)
_FACTS = (
    Fact("unit", ("hidden_size",)),
    Fact("directions", ("direction",), {"forward": 1, "reverse": 1, "bidirectional": 2}),
)
_PARTS = (
    Part({INPUTS: "W"}, KERNEL, "direction (gate unit) feature"),
    Part({INPUTS: "R"}, RECURRENT_KERNEL, "direction (gate unit) hidden"),
    Part({INPUTS: "B"}, BIAS + RECURRENT_BIAS, "direction (gate unit + gate unit)", optional=True),
)
_PEEPHOLE = Part({INPUTS: "P"}, PEEPHOLE, "direction (gate unit)", gates="iof", optional=True)
_PROVEN = "onnxruntime 1.32.0: 6e-07"

LAYOUTS = (
    Layout("onnx.LSTM", "lstm", "iofg", (*_PARTS, _PEEPHOLE), _SOURCE.format("LSTM"), settings=(*_LSTM, *_COMMON),
           kinds=("onnx.LSTM",), written_as="onnx.LSTM", separator="/", facts=_FACTS, reverse_settings="reverse", proven=_PROVEN),
    Layout("onnx.GRU", "gru", "zrn", _PARTS, _SOURCE.format("GRU"), dialect=replace(PLAIN["gru"], reset="before"),
           settings=(*_GRU, *_COMMON), kinds=("onnx.GRU",), written_as="onnx.GRU", separator="/", facts=_FACTS,
           reverse_settings="reverse", proven=_PROVEN),
    Layout("onnx.RNN", "rnn", "h", _PARTS, _SOURCE.format("RNN"), settings=(_activation("activation", 0, "tanh"), *_COMMON),
           kinds=("onnx.RNN",), written_as="onnx.RNN", separator="/", facts=_FACTS, reverse_settings="reverse", proven=_PROVEN),
    Layout("onnx.DynamicQuantizeLSTM", "lstm", "iofg",
           (Part({INPUTS: "W"}, KERNEL, "direction feature (gate unit)"),
            Part({INPUTS: "R"}, RECURRENT_KERNEL, "direction hidden (gate unit)"), _PARTS[2], _PEEPHOLE), _CONTRIB,
           kinds=("com.microsoft.DynamicQuantizeLSTM",), separator="/", facts=_FACTS,
           outside="its weights are int8 with a scale and a zero point for each direction, and its products are computed "
                   "in whole numbers; gatewise names it and does not dequantise"),
)  # fmt: skip
