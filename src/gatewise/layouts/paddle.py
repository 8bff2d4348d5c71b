"""Paddle's recurrent layers and cells.

Source: python/paddle/nn/layer/rnn.py of Paddle 3.3: LSTMCell, GRUCell, SimpleRNNCell (names, shapes, equations, gate
order), RNNBase.__init__ and _RNNBase.flatten_parameters.  A layer's parameters are those of its cells, ``0.cell_fw`` …;
the names ``weight_ih_l0`` … that the layer gives them too are not read: with ``proj_size`` they are laid over one tensor
too many, and each names another than it says.  The projection is [unit, hidden], torch's transposed.  A cell made without
biases stores zeros for them.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "python/paddle/nn/layer/rnn.py"


def _parts(where: str) -> tuple[Part, ...]:
    return (
        Part(f"{where}weight_ih", KERNEL, "(gate unit) feature"),
        Part(f"{where}weight_hh", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(f"{where}bias_ih", BIAS, "(gate unit)"),
        Part(f"{where}bias_hh", RECURRENT_BIAS, "(gate unit)"),
    )


def _projected(where: str) -> tuple[Part, ...]:
    return (*_parts(where), Part(f"{where}weight_ho", PROJECTION, "unit hidden", optional=True))


_STACK, _CELL = "{layer}.cell[_{fw|bw}].", ""
_ACTIVATION = Setting(
    "activation", ("activation",), {"tanh": "tanh", "relu": "relu"}, default="tanh",
    because="Paddle's default; a state dict does not hold the activation",
)  # fmt: skip

LAYOUTS = (
    Layout("paddle.LSTM", "lstm", "ifgo", _projected(_STACK), _SOURCE, proven="Paddle 3.3.1: 4e-07"),
    Layout("paddle.GRU", "gru", "rzn", _parts(_STACK), _SOURCE, proven="Paddle 3.3.1: 4e-07"),
    Layout("paddle.SimpleRNN", "rnn", "h", _parts(_STACK), _SOURCE, settings=(_ACTIVATION,), proven="Paddle 3.3.1: 4e-07"),
    Layout("paddle.LSTMCell", "lstm", "ifgo", _projected(_CELL), _SOURCE, like="torch.LSTMCell", proven="Paddle 3.3.1: 4e-07"),
    Layout("paddle.GRUCell", "gru", "rzn", _parts(_CELL), _SOURCE, like="torch.GRUCell", proven="Paddle 3.3.1: 4e-07"),
    Layout("paddle.SimpleRNNCell", "rnn", "h", _parts(_CELL), _SOURCE, like="torch.RNNCell", settings=(_ACTIVATION,), proven="Paddle 3.3.1: 4e-07"),
)  # fmt: skip
