"""TFLite's recurrent operators: one tensor for each gate.

Source: tensorflow/lite/kernels/{lstm,unidirectional_sequence_lstm,bidirectional_sequence_lstm,lstm_eval,basic_rnn,
unidirectional_sequence_rnn,bidirectional_sequence_rnn}.cc and internal/optimized/optimized_ops.h (LstmCell) of TensorFlow
2.21.  Without input_to_input_weights the gates are coupled, i = 1 - f (CIFG).  The fused activation is that of the
candidate and of the cell state on its way out.  What Keras's LSTM became clips the cell state at 10, and says so.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, NORM_SCALE, PEEPHOLE, PROJECTION, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "tensorflow/lite/kernels/{}.cc"
_WORDS = {"i": "input", "f": "forget", "g": "cell", "o": "output"}
_FULL, _CIFG = {"coupled": None}, {"coupled": "i"}


def _by_gate(
    name: str, roles: tuple[str, ...], phrase: str, ways: str, gates: str = "ifgo", optional: bool = False
) -> tuple[Part, ...]:
    """A part for each gate; those of the input gate only where it has weights."""
    return tuple(
        Part({INPUTS: ways + name.format(_WORDS[gate])}, roles, phrase, optional, gates=gate, given=_FULL if gate == "i" else {})
        for gate in gates
    )  # fmt: skip


def _lstm(ways: str) -> tuple[Part, ...]:
    """The inputs of an LSTM, each word with ``ways`` before it."""
    biases = [
        Part({INPUTS: f"{ways}{word}"}, BIAS, "unit", gates=gate, given=_FULL if gate == "i" else {})
        for gate, word in zip(
            "ifgo", ("input_gate_bias", "forget_gate_bias", "cell_bias", "output_gate_bias"), strict=True
        )
    ]
    return (
        *_by_gate("input_to_{}_weights", KERNEL, "unit feature", ways),
        *_by_gate("recurrent_to_{}_weights", RECURRENT_KERNEL, "unit hidden", ways),
        *biases,
        *_by_gate("cell_to_{}_weights", PEEPHOLE, "unit", ways, gates="ifo", optional=True),
        Part({INPUTS: f"{ways}projection_weights"}, PROJECTION, "hidden unit", optional=True),
    )


def _activation(field: str) -> Setting:
    return Setting(
        field,
        ("fused_activation_function",),
        {"TANH": "tanh", "RELU": "relu", "NONE": "linear", "RELU6": "relu6"},
        default="tanh",
    )


_BACKWARDS = (
    Setting("go_backwards", ("backwards",), {"turned": True, "in place": True, False: False}, default=False),
    Setting("backwards_in_place", ("backwards",), {"turned": False, "in place": True, False: False}, default=False),
)
_MERGE = Setting(
    "merge", ("merge_mode",), {"concat": "concat", "sum": "sum", "mul": "mul", "apart": "apart"}, default="concat"
)
_CLIPS = tuple(Setting(name, (name,), {}, free=True) for name in ("cell_clip", "proj_clip"))
_LSTM = (_activation("activation"), _activation("output_activation"), *_CLIPS)
_TWO = Fact("directions", ("directions",))
_EITHER = "{fw_|bw_}"
_ONE_WAY = ("tflite.UNIDIRECTIONAL_SEQUENCE_LSTM", "tflite.LSTM")
_BOTH_WAYS = ("tflite.BIDIRECTIONAL_SEQUENCE_LSTM", "tflite.two UNIDIRECTIONAL_SEQUENCE_LSTM")
_RNN_ONE_WAY = ("tflite.UNIDIRECTIONAL_SEQUENCE_RNN", "tflite.RNN")
_RNN_BOTH_WAYS = ("tflite.BIDIRECTIONAL_SEQUENCE_RNN", "tflite.two UNIDIRECTIONAL_SEQUENCE_RNN")


def _rnn(ways: str) -> tuple[Part, ...]:
    return (
        Part({INPUTS: f"{ways}input_weights"}, KERNEL, "unit feature"),
        Part({INPUTS: f"{ways}recurrent_weights"}, RECURRENT_KERNEL, "unit hidden"),
        Part({INPUTS: f"{ways}bias"}, BIAS, "unit", optional=True),
    )


def _kinds(kinds: tuple[str, ...], mark: str) -> tuple[str, ...]:
    return tuple(f"{kind} {mark}" for kind in kinds)


_EVERY = (*_ONE_WAY, *_BOTH_WAYS)
_INTEGERS = tuple(
    f"{kind} of {dtype}"
    for kind in (*_EVERY, "tflite.LSTM BASIC", *_RNN_ONE_WAY, *_RNN_BOTH_WAYS)
    for dtype in ("int8", "uint8", "int16")
)
_PROVEN = "ai-edge-litert 2.3.0: 5e-07"

LAYOUTS = (
    Layout("tflite.UnidirectionalSequenceLSTM", "lstm", "ifgo", _lstm(""), _SOURCE.format("unidirectional_sequence_lstm"),
           settings=(*_LSTM, *_BACKWARDS), kinds=_ONE_WAY, also=(_CIFG,), proven=_PROVEN),
    Layout("tflite.BidirectionalSequenceLSTM", "lstm", "ifgo", _lstm(_EITHER), _SOURCE.format("bidirectional_sequence_lstm"),
           settings=(*_LSTM, _MERGE), kinds=_BOTH_WAYS, also=(_CIFG,), facts=(_TWO,), proven=_PROVEN),
    Layout("tflite.BasicLSTM", "lstm", "igfo",
           (Part({INPUTS: "weights"}, KERNEL + RECURRENT_KERNEL, "(gate unit) (feature + hidden)"),
            Part({INPUTS: "bias"}, BIAS, "(gate unit)")),
           "tensorflow/lite/kernels/internal/optimized/optimized_ops.h, LstmCell", kinds=("tflite.LSTM BASIC",), proven=_PROVEN),
    Layout("tflite.UnidirectionalSequenceRNN", "rnn", "h", _rnn(""), _SOURCE.format("unidirectional_sequence_rnn"),
           settings=(_activation("activation"), *_BACKWARDS), kinds=_RNN_ONE_WAY, proven=_PROVEN),
    Layout("tflite.BidirectionalSequenceRNN", "rnn", "h", _rnn(_EITHER), _SOURCE.format("bidirectional_sequence_rnn"),
           settings=(_activation("activation"), _MERGE), kinds=_RNN_BOTH_WAYS, facts=(_TWO,), proven=_PROVEN),
    Layout("tflite.LayerNormLSTM", "lstm", "ifgo",
           (*_lstm(""), *_by_gate("{}_layer_norm_coefficients", NORM_SCALE, "unit", "")),
           _SOURCE.format("lstm_eval"), kinds=_kinds(_ONE_WAY, "with layer norm"), also=(_CIFG,),
           outside="each gate's input is normalised before its bias is added; gatewise names it and does not run it"),
    Layout("tflite.ProjectionBiasLSTM", "lstm", "ifgo", _lstm(""), _SOURCE.format("lstm_eval"),
           kinds=_kinds(_ONE_WAY, "with a projection bias"), also=(_CIFG,),
           outside="its projection has a bias, which no other framework has; gatewise names it and does not run it"),
    Layout("tflite.AuxiliaryInput", "lstm", "ifgo", _lstm(_EITHER), _SOURCE.format("bidirectional_sequence_lstm"),
           kinds=(*_kinds(_EVERY, "with an auxiliary input"), *_kinds(_RNN_BOTH_WAYS, "with an auxiliary input")), also=(_CIFG,),
           outside="a second sequence is another input of its gates; gatewise names it and does not run it"),
    Layout("tflite.Quantised", "lstm", "ifgo", _lstm(""), _SOURCE.format("lstm_eval"), kinds=_INTEGERS, also=(_CIFG,),
           outside="its weights are integers, and its products are computed in whole numbers; gatewise names it and does "
                   "not dequantise"),
)  # fmt: skip
