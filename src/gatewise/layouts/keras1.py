"""Keras 1's recurrent layers: a tensor for each gate (consume_less "cpu" and "mem"), or three in all ("gpu").

Source: keras 1.2.2 keras/layers/recurrent.py, LSTM.build, GRU.build, SimpleRNN.build; hard_sigmoid is clip(0.2 x + 0.5)
(keras/activations.py).  GRU resets before the matmul.  Names: ``lstm_1_W_i``; the candidate is spelled c (LSTM) and
h (GRU).  Layers of a Bidirectional wrapper are called ``forward_lstm_5_W_i`` and ``backward_lstm_5_W_i``.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting, Since
from .keras import ACTIVATIONS, FACTS, MERGES

_SOURCE = "keras 1.2.2 keras/layers/recurrent.py"
_HARD = "hard_sigmoid(0.2)"
_THEN = {name: value.before if isinstance(value, Since) else value for name, value in ACTIVATIONS.items()}


def _name(letter: str, gate: str = "") -> dict[str, str]:
    return {
        "": f"[{{forward|backward}}_]{letter}{gate}",
        "keras-h5": f"[{{forward_|backward_}}]*_{letter}{gate}[:0]",
    }


_BY_GATE = (
    Part(_name("W", "_{gate}"), KERNEL, "feature unit"),
    Part(_name("U", "_{gate}"), RECURRENT_KERNEL, "hidden unit"),
    Part(_name("b", "_{gate}"), BIAS, "unit"),
)
_FUSED = (
    Part(_name("W"), KERNEL, "feature (gate unit)"),
    Part(_name("U"), RECURRENT_KERNEL, "hidden (gate unit)"),
    Part(_name("b"), BIAS, "(gate unit)"),
)
_SETTINGS = (
    Setting("recurrent_activation", ("inner_activation",), _THEN, default=_HARD,
            because="the file holds no config; Keras 1's default"),
    Setting("activation", ("activation",), _THEN, default="tanh", because="the file holds no config; Keras 1's default"),
    Setting("output_activation", ("activation",), _THEN),
    Setting("go_backwards", ("go_backwards",), {True: True, False: False}, default=False),
    Setting("merge", ("merge_mode",), MERGES, default="concat"),
)  # fmt: skip
_DOUBT = "W, U and b are what many people's own code calls its weights, in other orders and with other gates"
_NO_OUTPUT = tuple(setting for setting in _SETTINGS if setting.field != "output_activation")
_NO_GATES = tuple(setting for setting in _NO_OUTPUT if setting.field != "recurrent_activation")
_LSTM = replace(PLAIN["lstm"], recurrent_activation=_HARD)
_GRU = replace(PLAIN["gru"], recurrent_activation=_HARD, reset="before")

LAYOUTS = (
    Layout("keras1.LSTM", "lstm", "igfo", _BY_GATE, _SOURCE, dialect=_LSTM, settings=_SETTINGS, kinds=("keras.LSTM",),
           spelled={"g": "c"}, separator="/", facts=FACTS, writers=("keras",), proven="Keras 1.2.2: 1e-07"),
    Layout("keras1.LSTM-gpu", "lstm", "ifgo", _FUSED, _SOURCE, dialect=_LSTM, settings=_SETTINGS, kinds=("keras.LSTM",),
           doubt=_DOUBT, separator="/", facts=FACTS, writers=("keras",), proven="Keras 1.2.2: 1e-07"),
    Layout("keras1.GRU", "gru", "zrn", _BY_GATE, _SOURCE, dialect=_GRU, settings=_NO_OUTPUT, kinds=("keras.GRU",),
           spelled={"n": "h"}, separator="/", facts=FACTS, writers=("keras",), proven="Keras 1.2.2: 1e-07"),
    Layout("keras1.GRU-gpu", "gru", "zrn", _FUSED, _SOURCE, dialect=_GRU, settings=_NO_OUTPUT, kinds=("keras.GRU",),
           doubt=_DOUBT, separator="/", facts=FACTS, writers=("keras",), proven="Keras 1.2.2: 1e-07"),
    Layout("keras1.SimpleRNN", "rnn", "h", _FUSED, _SOURCE, settings=_NO_GATES, kinds=("keras.SimpleRNN",),
           separator="/", facts=FACTS, writers=("keras",), proven="Keras 1.2.2: 2e-07"),
)  # fmt: skip
