"""Jittor's recurrent layers: torch's names and shapes, in a pickle with a checksum behind it.

Source: python/jittor/nn.py of 1.3.11, RNNBase, LSTM, GRU, RNN and the cells.  A bidirectional LSTM with a projection stops
in its own forward there, and no projection was run.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "Jittor/jittor python/jittor/nn.py"


def _parts(level: str) -> tuple[Part, ...]:
    return (
        Part(f"weight_ih{level}", KERNEL, "(gate unit) feature"),
        Part(f"weight_hh{level}", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(f"bias_ih{level}", BIAS, "(gate unit)", optional=True),
        Part(f"bias_hh{level}", RECURRENT_BIAS, "(gate unit)", optional=True),
    )


_LEVEL = "_l{layer}{|_reverse}"
_STACK, _CELL = _parts(_LEVEL), _parts("")
_WITH_PROJECTION = (*_STACK, Part(f"weight_hr{_LEVEL}", PROJECTION, "hidden unit", optional=True))
_NONLINEARITY = Setting(
    "activation", ("nonlinearity", "mode"), {"tanh": "tanh", "relu": "relu"}, default="tanh",
    because="Jittor's default; a state dict does not hold the nonlinearity",
)  # fmt: skip
_OWN = "own files"  # in anybody else's the same tensors are read as torch's, whose names and shapes these are

LAYOUTS = (
    Layout("jittor.LSTM", "lstm", "ifgo", _WITH_PROJECTION, _SOURCE, like="torch.LSTM", unasked=_OWN, proven="Jittor 1.3.11: 3e-07"),
    Layout("jittor.GRU", "gru", "rzn", _STACK, _SOURCE, like="torch.GRU", unasked=_OWN),
    Layout("jittor.RNN", "rnn", "h", _STACK, _SOURCE, like="torch.RNN", unasked=_OWN, settings=(_NONLINEARITY,),
           proven="Jittor 1.3.11: 3e-07"),
    Layout("jittor.LSTMCell", "lstm", "ifgo", _CELL, _SOURCE, like="torch.LSTMCell", unasked=_OWN),
    Layout("jittor.GRUCell", "gru", "rzn", _CELL, _SOURCE, like="torch.GRUCell", unasked=_OWN),
    Layout("jittor.RNNCell", "rnn", "h", _CELL, _SOURCE, like="torch.RNNCell", unasked=_OWN, settings=(_NONLINEARITY,)),
)  # fmt: skip
