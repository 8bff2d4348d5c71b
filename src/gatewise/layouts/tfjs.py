"""TensorFlow.js's recurrent layers (tfjs-layers): Keras's layouts with the defaults of the Keras of 2017.

Source: tfjs-layers/src/layers/recurrent.ts and activations.ts of TensorFlow.js 4.22.0.  Gate order i,f,c,o and z,r,h on
the last axis, one bias; the gates' activation is hard_sigmoid, clip(0.2 x + 0.5), unless a layer says otherwise; the GRU
resets before the product (``resetAfter`` is refused by the library); nothing is added at run time.  What a converter
wrote from a Keras model keeps Keras's own classes and is read as those.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_KERNEL
from ._layout import Fact, Layout, Part, Setting
from .keras import MERGES

_SOURCE = "tfjs-layers/src/layers/recurrent.ts"
_HARD = "hard_sigmoid(0.2)"
_SILENT = "model.json holds no config of the layer; TensorFlow.js's default"


def _names(name: str) -> dict[str, tuple[str, ...]]:
    return {"tfjs": (f"[{{forward|backward}}_layer/]{name}", f"[{{forward|backward}}_*/]{name}[_{{member}}]")}


ACTIVATIONS = {
    "hard_sigmoid": _HARD, "hardSigmoid": _HARD, "swish": "silu",
    **{name: name for name in ("sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "elu", "selu")},
}  # fmt: skip
_GATES = Setting("recurrent_activation", ("recurrent_activation",), ACTIVATIONS, default=_HARD, because=_SILENT)
_ACTIVATION = Setting("activation", ("activation",), ACTIVATIONS, default="tanh", because=_SILENT)
_OUTPUT = Setting("output_activation", ("activation",), ACTIVATIONS)
_RESET = Setting("reset", ("reset_after",), {False: "before", None: "before"}, default="before")
_BACKWARDS = Setting("go_backwards", ("go_backwards",), {True: True, False: False}, default=False)
_MERGE = Setting("merge", ("merge_mode",), MERGES, default="concat")
_COMMON = (_ACTIVATION, _BACKWARDS, _MERGE)
_PARTS = (
    Part(_names("kernel"), KERNEL, "feature (gate unit)"),
    Part(_names("recurrent_kernel"), RECURRENT_KERNEL, "hidden (gate unit)"),
    Part(_names("bias"), BIAS, "(gate unit)", optional=True),
)
_FACTS = (Fact("unit", ("units",)), Fact("directions", ("wrapper",), {"Bidirectional": 2, "TimeDistributed": 1}))
_PROVEN = "TensorFlow.js 4.22.0: 5e-07"

LAYOUTS = (
    Layout("tfjs.LSTM", "lstm", "ifgo", _PARTS, _SOURCE, dialect=replace(PLAIN["lstm"], recurrent_activation=_HARD),
           settings=(_GATES, *_COMMON, _OUTPUT), kinds=("tfjs.LSTM", "tfjs.LSTMCell"), separator="/", facts=_FACTS,
           proven=_PROVEN),
    Layout("tfjs.GRU", "gru", "zrn", _PARTS, _SOURCE,
           dialect=replace(PLAIN["gru"], recurrent_activation=_HARD, reset="before"),
           settings=(_GATES, *_COMMON, _RESET), kinds=("tfjs.GRU", "tfjs.GRUCell"), separator="/", facts=_FACTS,
           proven=_PROVEN),
    Layout("tfjs.SimpleRNN", "rnn", "h", _PARTS, _SOURCE, settings=_COMMON, kinds=("tfjs.SimpleRNN", "tfjs.SimpleRNNCell"),
           separator="/", facts=_FACTS, proven=_PROVEN),
)  # fmt: skip
