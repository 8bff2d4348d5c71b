"""MindSpore's recurrent layers and cells: torch's names and shapes, in files of MindSpore's own.

Source: mindspore/python/mindspore/nn/layer/rnns.py and rnn_cells.py of 2.10.  Their tanh on a CPU is an approximation
(its largest error is 1e-04), so what they compute is further from the equations than float32 is.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_LAYERS, _CELLS = "mindspore/nn/layer/rnns.py", "mindspore/nn/layer/rnn_cells.py"


def _parts(level: str) -> tuple[Part, ...]:
    return (
        Part(f"weight_ih{level}", KERNEL, "(gate unit) feature"),
        Part(f"weight_hh{level}", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(f"bias_ih{level}", BIAS, "(gate unit)", optional=True),
        Part(f"bias_hh{level}", RECURRENT_BIAS, "(gate unit)", optional=True),
    )


_STACK, _CELL = _parts("_l{layer}{|_reverse}"), _parts("")
_NONLINEARITY = Setting(
    "activation", ("nonlinearity",), {"tanh": "tanh", "relu": "relu"}, default="tanh",
    because="MindSpore's default; a checkpoint does not hold the nonlinearity",
)  # fmt: skip
_OWN = "own files"  # in anybody else's the same tensors are read as torch's, whose names and shapes these are

LAYOUTS = (
    Layout("mindspore.LSTM", "lstm", "ifgo", _STACK, _LAYERS, like="torch.LSTM", unasked=_OWN, proven="MindSpore 2.10.0: 2e-07"),
    Layout("mindspore.GRU", "gru", "rzn", _STACK, _LAYERS, like="torch.GRU", unasked=_OWN, proven="MindSpore 2.10.0: 2e-06"),
    Layout("mindspore.RNN", "rnn", "h", _STACK, _LAYERS, like="torch.RNN", unasked=_OWN, settings=(_NONLINEARITY,),
           proven="MindSpore 2.10.0: 8e-06"),
    Layout("mindspore.LSTMCell", "lstm", "ifgo", _CELL, _CELLS, like="torch.LSTMCell", unasked=_OWN, proven="MindSpore 2.10.0: 5e-07"),
    Layout("mindspore.GRUCell", "gru", "rzn", _CELL, _CELLS, like="torch.GRUCell", unasked=_OWN, proven="MindSpore 2.10.0: 5e-06"),
    Layout("mindspore.RNNCell", "rnn", "h", _CELL, _CELLS, like="torch.RNNCell", unasked=_OWN, settings=(_NONLINEARITY,),
           proven="MindSpore 2.10.0: 2e-07"),
)  # fmt: skip
