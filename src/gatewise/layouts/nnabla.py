"""NNabla's recurrent layers: every direction and gate of a layer in one parameter, [x; h] on its last axis.

Source: python/src/nnabla/parametric_functions.py (rnn, lstm, gru) and src/nbla/function/generic/{rnn,lstm,gru}.cpp of 1.39.  A GRU's
bias has a fourth row, the one that belongs to the hidden state of the new gate.  The container gives the layers of a stack
apart.  Without biases (with_bias=False) its one kernel would not tell where x ends and h begins: not read.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "sony/nnabla python/src/nnabla/parametric_functions.py"
_PROVEN = "NNabla 1.39.0: 4e-07"
_WEIGHT = Part("weight_l{layer}", KERNEL + RECURRENT_KERNEL, "direction gate unit feature + hidden")
_NONLINEARITY = Setting(
    "activation", ("nonlinearity",), {"tanh": "tanh", "relu": "relu"}, default="tanh",
    because="NNabla's default; the parameters do not hold the nonlinearity",
)  # fmt: skip


def _layout(name: str, cell: str, gates: str, parts: tuple[Part, ...], settings: tuple[Setting, ...] = ()) -> Layout:
    return Layout(f"nnabla.{name}", cell, gates, parts, _SOURCE, settings=settings, separator="/", proven=_PROVEN)


LAYOUTS = (
    _layout("lstm", "lstm", "ifgo", (_WEIGHT, Part("bias_l{layer}", BIAS, "direction gate unit"))),
    _layout("gru", "gru", "rzn",
            (_WEIGHT, Part("bias_l{layer}", BIAS + RECURRENT_BIAS, "direction gate + one unit",
                           gates={"recurrent_bias": "n"}))),
    _layout("rnn", "rnn", "h",
            (Part("weight_l{layer}", KERNEL + RECURRENT_KERNEL, "direction unit feature + hidden"),
             Part("bias_l{layer}", BIAS, "direction unit")), (_NONLINEARITY,)),
)  # fmt: skip
