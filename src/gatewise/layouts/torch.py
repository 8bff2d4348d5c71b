"""PyTorch's recurrent layers and cells.

Source: torch/nn/modules/rnn.py: RNNBase.__init__ (names, shapes, their order), the class docstrings of LSTM, GRU, RNN
and the cells (equations and gate order).  Same names and order from 0.1 to 2.13; projections since 1.8.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import RESEMBLING, Fact, Layout, Part, Setting

_SOURCE = "torch/nn/modules/rnn.py, RNNBase.__init__"
_MODULES = ("torch.nn.modules.rnn.", "__torch__.torch.nn.modules.rnn.")


def _kinds(name: str) -> tuple[str, ...]:
    return tuple(module + name for module in _MODULES)


def _names(kind: str, role: str, tail: str = "") -> dict[str, str]:
    """``weight_ih``, and as people's own exports spell it: ``enc_w_ih``."""
    return {"": f"{kind}_{role}{tail}", RESEMBLING: f"*{kind[0]}_{role}{tail}"}


_LEVEL = "_l{layer}{|_reverse}"
_STACK = (
    Part(_names("weight", "ih", _LEVEL), KERNEL, "(gate unit) feature"),
    Part(_names("weight", "hh", _LEVEL), RECURRENT_KERNEL, "(gate unit) hidden"),
    Part(_names("bias", "ih", _LEVEL), BIAS, "(gate unit)", optional=True),
    Part(_names("bias", "hh", _LEVEL), RECURRENT_BIAS, "(gate unit)", optional=True),
)
_WITH_PROJECTION = (*_STACK, Part("weight_hr_l{layer}{|_reverse}", PROJECTION, "hidden unit", optional=True))
_CELL = (
    Part(_names("weight", "ih"), KERNEL, "(gate unit) feature"),
    Part(_names("weight", "hh"), RECURRENT_KERNEL, "(gate unit) hidden"),
    Part(_names("bias", "ih"), BIAS, "(gate unit)", optional=True),
    Part(_names("bias", "hh"), RECURRENT_BIAS, "(gate unit)", optional=True),
)
# RNN says its activation twice: ``mode`` in every version, ``nonlinearity`` since 1.4; RNNCell only by the second.
_NONLINEARITY = Setting(
    "activation",
    ("nonlinearity", "mode"),
    {"tanh": "tanh", "relu": "relu", "RNN_TANH": "tanh", "RNN_RELU": "relu"},
    default="tanh",
    because="torch.nn.RNN's default; a state dict does not hold the nonlinearity",
)
_FACTS = (Fact("unit", ("hidden_size",)), Fact("feature", ("input_size",)))
_STACK_FACTS = (*_FACTS, Fact("layers", ("num_layers",)), Fact("directions", ("bidirectional",), {True: 2, False: 1}))

LAYOUTS = (
    Layout("torch.LSTM", "lstm", "ifgo", _WITH_PROJECTION, _SOURCE, kinds=_kinds("LSTM"), facts=_STACK_FACTS, marks={"mode": "LSTM"},
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
    Layout("torch.GRU", "gru", "rzn", _STACK, _SOURCE, kinds=_kinds("GRU"), facts=_STACK_FACTS, marks={"mode": "GRU"},
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
    Layout("torch.RNN", "rnn", "h", _STACK, _SOURCE, kinds=_kinds("RNN"), facts=_STACK_FACTS, settings=(_NONLINEARITY,),
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
    Layout("torch.LSTMCell", "lstm", "ifgo", _CELL, _SOURCE, kinds=_kinds("LSTMCell"), facts=_FACTS,
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
    Layout("torch.GRUCell", "gru", "rzn", _CELL, _SOURCE, kinds=_kinds("GRUCell"), facts=_FACTS,
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
    Layout("torch.RNNCell", "rnn", "h", _CELL, _SOURCE, kinds=_kinds("RNNCell"), facts=_FACTS, settings=(_NONLINEARITY,),
           proven="torch 1.0.1 to 2.13.0: 2e-07"),
)  # fmt: skip
