"""Keras's recurrent layers: Keras 2 (multi-backend), tf.keras 1.13 to 2.15, Keras 3; and the CuDNN layers of Keras 2.

Source: keras/src/layers/rnn/{lstm,gru,simple_rnn,bidirectional}.py (Keras 3.15), keras/layers/recurrent.py and
keras/layers/cudnn_recurrent.py (Keras 2.2.4), keras/activations.py of both.  Gate order i,f,c,o and z,r,h on the last
axis; ``x @ kernel``; the reset-after GRU keeps its two biases as the rows of one tensor.  Names of the tensors:
``lstm_1/kernel:0`` (Keras 2), ``lstm/lstm_cell/kernel:0`` (tf.keras), ``layers/lstm/cell/vars/0`` (.weights.h5, .keras).
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Fact, Layout, Part, Setting, Since

_SOURCE = "keras/src/layers/rnn/{lstm,gru,simple_rnn}.py"
_CUDNN_SOURCE = "keras 2.2.4 keras/layers/cudnn_recurrent.py and keras/engine/saving.py, _convert_rnn_weights"


def _names(name: str, index: int) -> dict[str, str | tuple[str, ...]]:
    scoped = f"[{{forward|backward}}_*/][*_cell*/]{name}"  # variables by their own names, as in TensorFlow's graphs
    return {
        "": (f"[{{forward|backward}}_layer/]{name}", scoped),
        "keras-h5": f"[{{forward|backward}}_*/][*_cell*/]{name}[_{{member}}][:0]",
        "keras-vars": f"[{{forward|backward}}_layer/]cell[/cells/*]/vars/{index}",
        "keras-live": f"[{{forward|backward}}_layer/]{name}",  # in memory, where a layer may be called backward_lstm
        "tf-object": (f"[{{forward|backward}}_layer/][cell/]{name}", scoped),
    }


# Keras 3 changed hard_sigmoid from clip(0.2 x + 0.5) to clip(x/6 + 0.5); everything else kept its formula.
ACTIVATIONS = {
    "hard_sigmoid": Since((3,), then="hard_sigmoid(1/6)", before="hard_sigmoid(0.2)"),
    **{name: name for name in ("sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "elu", "selu", "exponential")},
    "silu": "silu",
    "swish": "silu",
}  # fmt: skip
MERGES = {"concat": "concat", "sum": "sum", "ave": "ave", "mul": "mul", None: "apart"}
_GATES = Setting(
    "recurrent_activation",
    ("recurrent_activation", "inner_activation"),
    ACTIVATIONS,
    default=Since((2, 3), then="sigmoid", before="hard_sigmoid(0.2)"),
    because="the file holds no config; Keras's own default was hard_sigmoid before 2.3 and is sigmoid since",
    # TensorFlow 1.13 to 1.15 (hard_sigmoid) and 2.0 (sigmoid) all call their Keras 2.2.4-tf and name weights alike.
    untold=("2.2.4-tf",),
)
_ACTIVATION = Setting(
    "activation", ("activation",), ACTIVATIONS, default="tanh", because="the file holds no config; Keras's default"
)
_OUTPUT = Setting("output_activation", ("activation",), ACTIVATIONS)
_BACKWARDS = Setting("go_backwards", ("go_backwards",), {True: True, False: False}, default=False)
_MERGE = Setting(
    "merge", ("merge_mode",), MERGES, default="concat", because="the file holds no config; Bidirectional's default"
)
_RESET = Setting(
    "reset",
    ("reset_after",),
    {True: "after", False: "before"},
    default=Since((2, 4), then="after", before="before", tf=(2, 3)),
    because="a GRU without biases does not show it; Keras's own default was before until TensorFlow 2 and is after since",
    untold=("2.2.4-tf",),
)
_COMMON = (_ACTIVATION, _BACKWARDS, _MERGE)

_KERNELS = (
    Part(_names("kernel", 0), KERNEL, "feature (gate unit)"),
    Part(_names("recurrent_kernel", 1), RECURRENT_KERNEL, "hidden (gate unit)"),
)
_RELABELLED = (
    Part(_names("kernel", 0), KERNEL, "feature (gate unit)", relabel="cudnn"),
    Part(_names("recurrent_kernel", 1), RECURRENT_KERNEL, "hidden (gate unit)", relabel="cudnn"),
    Part(_names("bias", 2), BIAS + RECURRENT_BIAS, "(gate unit + gate unit)"),
)
_SINGLE = Part(_names("bias", 2), BIAS, "(gate unit)", optional=True)
WRITERS = ("keras", "tf.keras")
FACTS = (
    Fact("unit", ("units", "output_dim")),
    Fact("directions", ("wrapper",), {"Bidirectional": 2}),
)

LAYOUTS = (
    Layout("keras.LSTM", "lstm", "ifgo", (*_KERNELS, _SINGLE), _SOURCE,
           settings=(_GATES, *_COMMON, _OUTPUT), writers=WRITERS, kinds=("keras.LSTM", "keras.LSTMCell"), written_as="keras.LSTM",
           separator="/", facts=FACTS, reverse_settings="backward_layer",
           proven="Keras 2.2.4 to 3.15.1: 2e-07"),
    Layout("keras.GRU", "gru", "zrn",
           (*_KERNELS,
            Part(_names("bias", 2), BIAS, "(gate unit)", optional=True, given={"reset": "before"}),
            Part(_names("bias", 2), BIAS + RECURRENT_BIAS, "(one + one) (gate unit)", optional=True,
                 given={"reset": "after"})),
           _SOURCE, settings=(_GATES, *_COMMON, _RESET), writers=WRITERS, kinds=("keras.GRU", "keras.GRUCell"), written_as="keras.GRU",
           separator="/", facts=FACTS, reverse_settings="backward_layer",
           proven="Keras 2.2.4 to 3.15.1: 2e-07"),
    Layout("keras.SimpleRNN", "rnn", "h", (*_KERNELS, _SINGLE), _SOURCE,
           settings=_COMMON, writers=WRITERS, kinds=("keras.SimpleRNN", "keras.SimpleRNNCell"), written_as="keras.SimpleRNN",
           separator="/", facts=FACTS, reverse_settings="backward_layer",
           proven="Keras 2.2.4 to 3.15.1: 2e-07"),
    Layout("keras.CuDNNLSTM", "lstm", "ifgo", _RELABELLED, _CUDNN_SOURCE,
           settings=(_BACKWARDS, _MERGE), writers=WRITERS, kinds=("keras.CuDNNLSTM",), separator="/", facts=FACTS, reverse_settings="backward_layer",
           proven="Keras 2.2.4 to tf.keras 2.15.1: 1e-07"),
    Layout("keras.CuDNNGRU", "gru", "zrn", _RELABELLED, _CUDNN_SOURCE, dialect=replace(PLAIN["gru"]),
           settings=(_BACKWARDS, _MERGE), writers=WRITERS, kinds=("keras.CuDNNGRU",), separator="/", facts=FACTS, reverse_settings="backward_layer",
           proven="Keras 2.2.4 to tf.keras 2.15.1: 1e-07"),
)  # fmt: skip
