"""OpenVINO's recurrent operators.

Source: the operation specifications of LSTMSequence-5, GRUSequence-5, RNNSequence-5, LSTMCell-4, GRUCell-3 and RNNCell-1
(docs/articles_en/documentation/openvino-ir-format/operation-sets) of OpenVINO 2026.4.  Blocks f i c o and z r h; one
bias, but for a GRU with linear_before_reset, whose bias has a fourth row: what is added to R h inside of r.  An operator
is told by its inputs' positions, which its container spells W, R, B.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "OpenVINO operation specifications, {}"

ACTIVATIONS = {
    **{name: name for name in ("sigmoid", "tanh", "relu", "linear")},
    "hardsigmoid(0.2, 0.5)": "hard_sigmoid(0.2)", "hardsigmoid(0.1666667, 0.5)": "hard_sigmoid(1/6)",
}  # fmt: skip
_CLIP = Setting("input_clip", ("clip",), {}, free=True)
# A lone reverse direction, which its container spells so; its outputs stand in the input's order.
_BACKWARDS = tuple(
    Setting(field, ("backwards",), {True: True, False: False}, default=False)
    for field in ("go_backwards", "backwards_in_place")
)
_COMMON = (_CLIP, *_BACKWARDS)
_RESET = Setting(
    "reset", ("linear_before_reset",), {False: "before", True: "after"}, default="before",
)  # fmt: skip


def _activation(field: str, index: int, default: str) -> Setting:
    return Setting(field, (f"activations[{index}]",), ACTIVATIONS, default=default)


_LSTM = (
    _activation("recurrent_activation", 0, "sigmoid"),
    _activation("activation", 1, "tanh"),
    _activation("output_activation", 2, "tanh"),
    *_COMMON,
)
_GRU = (_activation("recurrent_activation", 0, "sigmoid"), _activation("activation", 1, "tanh"), _RESET, *_COMMON)
_RNN = (_activation("activation", 0, "tanh"), *_COMMON)
_WAYS = Fact("directions", ("direction",), {"forward": 1, "reverse": 1, "bidirectional": 2})
_UNIT = Fact("unit", ("hidden_size",))
_BEFORE = replace(PLAIN["gru"], reset="before")


def _parts(axis: str, gru: bool = False) -> tuple[Part, ...]:
    """The tensors of a sequence, whose first axis is the direction, or of a cell."""
    single = Part({INPUTS: "B"}, BIAS, f"{axis}(gate unit)", given={"reset": "before"} if gru else {})
    fourth = Part(
        {INPUTS: "B"}, BIAS + RECURRENT_BIAS, f"{axis}(gate unit + unit)", gates={"recurrent_bias": "n"},
        given={"reset": "after"},
    )  # fmt: skip
    return (
        Part({INPUTS: "W"}, KERNEL, f"{axis}(gate unit) feature"),
        Part({INPUTS: "R"}, RECURRENT_KERNEL, f"{axis}(gate unit) hidden"),
        single,
        *((fourth,) if gru else ()),
    )


_SEQUENCE, _CELL = "direction ", ""
_PROVEN = "OpenVINO 2026.4.1: 5e-07"

LAYOUTS = (
    Layout("openvino.LSTMSequence", "lstm", "figo", _parts(_SEQUENCE), _SOURCE.format("LSTMSequence-5"), settings=_LSTM,
           kinds=("openvino.LSTMSequence",), written_as="openvino.LSTMSequence", facts=(_UNIT, _WAYS), proven=_PROVEN),
    Layout("openvino.GRUSequence", "gru", "zrn", _parts(_SEQUENCE, gru=True), _SOURCE.format("GRUSequence-5"),
           dialect=_BEFORE, settings=_GRU, kinds=("openvino.GRUSequence",), written_as="openvino.GRUSequence",
           facts=(_UNIT, _WAYS), proven=_PROVEN),
    Layout("openvino.RNNSequence", "rnn", "h", _parts(_SEQUENCE), _SOURCE.format("RNNSequence-5"), settings=_RNN,
           kinds=("openvino.RNNSequence",), written_as="openvino.RNNSequence", facts=(_UNIT, _WAYS), proven=_PROVEN),
    Layout("openvino.LSTMCell", "lstm", "figo", _parts(_CELL), _SOURCE.format("LSTMCell-4"), settings=_LSTM,
           kinds=("openvino.LSTMCell",), facts=(_UNIT,), proven=_PROVEN),
    Layout("openvino.GRUCell", "gru", "zrn", _parts(_CELL, gru=True), _SOURCE.format("GRUCell-3"), dialect=_BEFORE,
           settings=_GRU, kinds=("openvino.GRUCell",), facts=(_UNIT,), proven=_PROVEN),
    Layout("openvino.RNNCell", "rnn", "h", _parts(_CELL), _SOURCE.format("RNNCell-1"), settings=_RNN,
           kinds=("openvino.RNNCell",), facts=(_UNIT,), proven=_PROVEN),
    Layout("openvino.PeepholeLSTM", "lstm", "figo", (*_parts(_CELL), Part({INPUTS: "P"}, PEEPHOLE, "(gate unit)", gates="fio")),
           _SOURCE.format("LSTMCell-1"), kinds=("openvino.LSTMCell with peepholes", "openvino.LSTMSequence with peepholes"),
           facts=(_UNIT,), outside="it has the peepholes of opset1, whose order OpenVINO does not document"),
    Layout("openvino.AUGRU", "gru", "zrn", _parts(_SEQUENCE)[:2], "OpenVINO src/core/include/openvino/op/augru_sequence.hpp",
           kinds=("openvino.AUGRUSequence", "openvino.AUGRUCell"), facts=(_UNIT,),
           outside="its update gate is scaled by an attention that is an input of its own"),
)  # fmt: skip
