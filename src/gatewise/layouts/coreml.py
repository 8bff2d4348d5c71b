"""Core ML's recurrent layers: one tensor for each gate.

Source: mlmodel/format/NeuralNetwork.proto of coremltools 9.0, the comments of LSTMParams, LSTMWeightParams,
UniDirectionalLSTMLayerParams, BiDirectionalLSTMLayerParams, GRULayerParams and SimpleRecurrentLayerParams.  forgetBias is
a one that is added to the forget gate's bias at run time; a coupled forget gate is 1 - i; the cell state is clipped at
cellClipThreshold, which is 50 where a file says nothing; every gate's input is clipped at 50, where sigmoid and tanh are
one or zero already.  Operations of ML Programs: converters/mil/mil/ops/defs/iOS15/recurrent.py for words and order (i f o g
and r n z), backend/nn/op_mapping.py for what they become: the layers above.  The GRU resets before the product, and its z keeps the old state.  Not run here: Core ML itself,
which there is for Apple's systems alone.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "coremltools mlmodel/format/NeuralNetwork.proto, {}"
ACTIVATIONS = {
    "sigmoid": "sigmoid", "tanh": "tanh", "ReLU": "relu", "softsign": "softsign", "softplus": "softplus",
    "linear(1)": "linear", "ELU(1)": "elu", "sigmoidHard(0.2, 0.5)": "hard_sigmoid(0.2)", "sigmoidHard": "hard_sigmoid(0.2)",
    "sigmoidHard(0.1666667, 0.5)": "hard_sigmoid(1/6)",
}  # fmt: skip
_LSTM_WORDS = {"i": "inputGate", "f": "forgetGate", "g": "blockInput", "o": "outputGate"}
_GRU_WORDS = {"z": "updateGate", "r": "resetGate", "n": "outputGate"}


def _gates(words: dict[str, str], ways: str = "") -> tuple[Part, ...]:
    """Three tensors for each gate."""
    return tuple(
        Part({INPUTS: f"{ways}{word}{what}"}, roles, phrase, optional, gates=gate)
        for what, roles, phrase, optional in (
            ("WeightMatrix", KERNEL, "unit feature", False),
            ("RecursionMatrix", RECURRENT_KERNEL, "unit hidden", False),
            ("BiasVector", BIAS, "unit", True),
        )
        for gate, word in words.items()
    )


def _lstm(ways: str = "") -> tuple[Part, ...]:
    peepholes = (
        Part({INPUTS: f"{ways}{_LSTM_WORDS[gate]}PeepholeVector"}, PEEPHOLE, "unit", True, gates=gate) for gate in "ifo"
    )
    return (*_gates(_LSTM_WORDS, ways), *peepholes)


def _activation(field: str, index: int, default: str) -> Setting:
    return Setting(field, (f"activations[{index}]",), ACTIVATIONS, default=default)


_BACKWARDS = Setting("go_backwards", ("reverseInput",), {True: True, False: False}, default=False)
_LSTM = (
    _activation("recurrent_activation", 0, "sigmoid"), _activation("activation", 1, "tanh"),
    _activation("output_activation", 2, "tanh"),
    Setting("forget_bias", ("forgetBias",), {True: 1.0, False: 0.0}, default=0.0),
    Setting("coupled", ("coupledInputAndForgetGate",), {False: None, True: "f"}),
    Setting("cell_clip", ("cellClipThreshold",), {}, free=True, default=50.0),
)  # fmt: skip
_GRU = (_activation("recurrent_activation", 0, "sigmoid"), _activation("activation", 1, "tanh"), _BACKWARDS)
_WAYS = Fact("directions", ("direction",), {"forward": 1, "reverse": 1, "bidirectional": 2})
_TURNED = Setting(
    "go_backwards", ("direction",), {"reverse": True, "forward": False, "bidirectional": False}, default=False
)
_MIL_SOURCE = "coremltools converters/mil/mil/ops/defs/iOS15/recurrent.py, {}"
_MIL_ACTIVATIONS = {
    name: name for name in ("sigmoid", "tanh", "relu", "linear")
} | {"sigmoid_hard": "hard_sigmoid(0.2)"}  # fmt: skip


def _mil_activation(field: str, word: str, default: str) -> Setting:
    return Setting(field, (word,), _MIL_ACTIVATIONS, default=default)


def _mil(peephole: bool = False) -> tuple[Part, ...]:
    own = (Part({INPUTS: "peephole{|_back}"}, PEEPHOLE, "(gate unit)", optional=True, gates="ifo"),) if peephole else ()
    return (
        Part({INPUTS: "weight_ih{|_back}"}, KERNEL, "(gate unit) feature"),
        Part({INPUTS: "weight_hh{|_back}"}, RECURRENT_KERNEL, "(gate unit) hidden"),
        Part({INPUTS: "bias{|_back}"}, BIAS, "(gate unit)", optional=True),
        *own,
    )


_MIL_RESET = Setting(
    "reset", ("reset_after",), {True: "after", False: "before"}, default="before",
    because="the operation's page writes r * (R h), but it becomes a network layer that resets before; nothing was run",
)  # fmt: skip
_FACTS = (Fact("unit", ("outputVectorSize",)), Fact("feature", ("inputVectorSize",)))

LAYOUTS = (
    Layout("coreml.UniDirectionalLSTM", "lstm", "ifgo", _lstm(), _SOURCE.format("UniDirectionalLSTMLayerParams"),
           settings=(*_LSTM, _BACKWARDS), kinds=("coreml.UniDirectionalLSTM",), facts=_FACTS),
    Layout("coreml.BiDirectionalLSTM", "lstm", "ifgo", _lstm("{fw_|bw_}"), _SOURCE.format("BiDirectionalLSTMLayerParams"),
           settings=_LSTM, kinds=("coreml.BiDirectionalLSTM",), facts=_FACTS, reverse_settings="reverse"),
    Layout("coreml.GRU", "gru", "zrn", _gates(_GRU_WORDS), _SOURCE.format("GRULayerParams"),
           dialect=replace(PLAIN["gru"], reset="before"), settings=_GRU, kinds=("coreml.GRU",), facts=_FACTS),
    Layout("coreml.SimpleRecurrent", "rnn", "h",
           (Part({INPUTS: "weightMatrix"}, KERNEL, "unit feature"),
            Part({INPUTS: "recursionMatrix"}, RECURRENT_KERNEL, "unit hidden"),
            Part({INPUTS: "biasVector"}, BIAS, "unit", optional=True)),
           _SOURCE.format("SimpleRecurrentLayerParams"), settings=(_activation("activation", 0, "tanh"), _BACKWARDS),
           kinds=("coreml.SimpleRecurrent",), facts=_FACTS),
    Layout("coreml.lstm", "lstm", "ifog", _mil(peephole=True), _MIL_SOURCE.format("lstm"),
           settings=(_mil_activation("recurrent_activation", "recurrent_activation", "sigmoid"),
                     _mil_activation("activation", "cell_activation", "tanh"),
                     _mil_activation("output_activation", "activation", "tanh"),
                     Setting("cell_clip", ("clip",), {}, free=True), _TURNED),
           kinds=("coreml.mil.lstm",), facts=(_WAYS,)),
    Layout("coreml.gru", "gru", "rnz", _mil(), _MIL_SOURCE.format("gru"), dialect=replace(PLAIN["gru"], reset="before"),
           settings=(_mil_activation("recurrent_activation", "recurrent_activation", "sigmoid"),
                     _mil_activation("activation", "activation", "tanh"), _MIL_RESET, _TURNED),
           kinds=("coreml.mil.gru",), facts=(_WAYS,)),
    Layout("coreml.rnn", "rnn", "h", _mil(), _MIL_SOURCE.format("rnn"),
           settings=(_mil_activation("activation", "activation", "tanh"), _TURNED), kinds=("coreml.mil.rnn",), facts=(_WAYS,)),
)  # fmt: skip
