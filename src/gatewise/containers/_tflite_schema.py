"""TFLite's schema, as far as recurrent layers need it: tables, codes, and what each operator calls its inputs.

Source: tensorflow/lite/schema/schema.fbs (version 3c) and the comments of tensorflow/lite/kernels/lstm.cc,
unidirectional_sequence_lstm.cc, bidirectional_sequence_lstm.cc, basic_rnn.cc, unidirectional_sequence_rnn.cc and
bidirectional_sequence_rnn.cc of TensorFlow 2.21, which number and name the inputs.
"""

from __future__ import annotations

from ._flatbuffer import BOOL, F32, I8, I32, I64, PLACE, RAW, TEXT, U8, U32, U64, Table

QUANTISATION = Table({2: ("scale", [F32]), 3: ("zero_point", [I64]), 6: ("axis", I32)})
TENSOR = Table(
    {
        0: ("shape", [I32]), 1: ("type", I8), 2: ("buffer", U32), 3: ("name", TEXT), 4: ("quantisation", QUANTISATION),
        5: ("is_variable", BOOL), 6: ("sparsity", PLACE),
    }
)  # fmt: skip
OPERATOR = Table(
    {0: ("code", U32), 1: ("inputs", [I32]), 2: ("outputs", [I32]), 3: ("options_type", U8), 4: ("options", PLACE)}
)
GRAPH = Table({0: ("tensors", [TENSOR]), 1: ("inputs", [I32]), 2: ("outputs", [I32]), 3: ("operators", [OPERATOR]), 4: ("name", TEXT)})  # fmt: skip
CODE = Table({0: ("old_code", I8), 1: ("custom", TEXT), 2: ("version", I32), 3: ("code", I32)})
BUFFER = Table({0: ("data", RAW), 1: ("offset", U64), 2: ("size", U64)})  # offset: past 2 GB the bytes lie behind
MODEL = Table({0: ("version", U32), 1: ("codes", [CODE]), 2: ("graphs", [GRAPH]), 3: ("description", TEXT), 4: ("buffers", [BUFFER])})  # fmt: skip

TYPES = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 8: "complex64", 9: "int8",
    10: "float64", 11: "complex128", 12: "uint64", 15: "uint32", 16: "uint16", 18: "bfloat16",
}  # fmt: skip
OPERATORS = {
    0: "ADD", 2: "CONCATENATION", 6: "DEQUANTIZE", 16: "LSTM", 18: "MUL", 22: "RESHAPE", 24: "RNN",
    35: "UNIDIRECTIONAL_SEQUENCE_RNN", 39: "TRANSPOSE", 44: "UNIDIRECTIONAL_SEQUENCE_LSTM",
    46: "BIDIRECTIONAL_SEQUENCE_RNN", 52: "BIDIRECTIONAL_SEQUENCE_LSTM", 105: "REVERSE_V2", 119: "WHILE",
}  # fmt: skip
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}

# Each operator's own options: the fields, with the values that a file leaves out.
_LSTM = {0: ("fused_activation_function", I8), 1: ("cell_clip", F32), 2: ("proj_clip", F32)}
OPTIONS = {
    "LSTM": Table({**_LSTM, 3: ("kernel_type", I8)}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Table({**_LSTM, 3: ("time_major", BOOL), 5: ("diagonal_recurrent_tensors", BOOL)}),
    "BIDIRECTIONAL_SEQUENCE_LSTM": Table({**_LSTM, 3: ("merge_outputs", BOOL), 4: ("time_major", BOOL)}),
    "RNN": Table({0: ("fused_activation_function", I8)}),
    "UNIDIRECTIONAL_SEQUENCE_RNN": Table({0: ("time_major", BOOL), 1: ("fused_activation_function", I8)}),
    "BIDIRECTIONAL_SEQUENCE_RNN": Table(
        {0: ("time_major", BOOL), 1: ("fused_activation_function", I8), 2: ("merge_outputs", BOOL)}
    ),
    "CONCATENATION": Table({0: ("axis", I32)}),
}
_ALL = {"fused_activation_function": 0, "cell_clip": 0.0, "proj_clip": 0.0, "kernel_type": 0, "time_major": False,
        "merge_outputs": False, "diagonal_recurrent_tensors": False}  # fmt: skip
DEFAULTS = {
    name: {field: _ALL[field] for field, _ in table.fields.values() if field in _ALL}
    | ({"time_major": True} if name == "BIDIRECTIONAL_SEQUENCE_LSTM" else {})
    for name, table in OPTIONS.items()
}

_GATES = ("input", "forget", "cell", "output")
_WEIGHTS = (
    *(f"input_to_{gate}_weights" for gate in _GATES),
    *(f"recurrent_to_{gate}_weights" for gate in _GATES),
    *(f"cell_to_{gate}_weights" for gate in ("input", "forget", "output")),
    *(f"{gate}_gate_bias" for gate in ("input", "forget")), "cell_bias", "output_gate_bias",
    "projection_weights", "projection_bias",
)  # fmt: skip
_NORMS = tuple(f"{gate}_layer_norm_coefficients" for gate in _GATES)
_FULL = dict(enumerate(_WEIGHTS, 1)) | dict(enumerate(_NORMS, 20))
_RNN = {1: "input_weights", 2: "recurrent_weights", 3: "bias"}


def _both(names: tuple[str, ...], skip: int = 0) -> dict[int, str]:
    """The forward direction's inputs from 1 on, then the reverse direction's."""
    forward = {at: f"fw_{name}" for at, name in enumerate(names, 1)}
    return forward | {at: f"bw_{name}" for at, name in enumerate(names, 1 + len(names) + skip)}


# What each operator calls the inputs that may be weights.  States are variables and are not listed.
INPUTS = {
    "LSTM": _FULL,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _FULL,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _both(_WEIGHTS)
    | {at: f"fw_aux_input_to_{gate}_weights" for at, gate in enumerate(_GATES, 40)}
    | {at: f"bw_aux_input_to_{gate}_weights" for at, gate in enumerate(_GATES, 44)},
    "RNN": _RNN,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _RNN,
    "BIDIRECTIONAL_SEQUENCE_RNN": _both(("input_weights", "recurrent_weights", "bias"), skip=1)
    | {10: "fw_aux_input_weights", 11: "bw_aux_input_weights"},
}
BASIC_INPUTS = {2: "weights", 3: "bias"}  # LSTM with kernel_type BASIC: [x; h] in one matrix
