"""Paddle's recurrent layers and cells.

Source: python/paddle/nn/layer/rnn.py of Paddle 3.3: LSTMCell, GRUCell, SimpleRNNCell (names, shapes, equations, gate
order), RNNBase.__init__ and _RNNBase.flatten_parameters.  A layer's parameters are those of its cells, ``0.cell_fw`` …;
the names ``weight_ih_l0`` … that the layer gives them too are not read: with ``proj_size`` they are laid over one tensor
too many, and each names another than it says.  The projection is [unit, hidden], torch's transposed.  A cell made without
biases stores zeros for them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "python/paddle/nn/layer/rnn.py"


Names = dict[str, "str | tuple[str, ...]"]


def _layer(name: str, own: str) -> Names:  # noqa: ARG001
    """In a state dict, and for the rnn operator of a graph."""
    text = f"{{layer}}.cell[_{{fw|bw}}].{name}"
    return {"": text, INPUTS: text}


def _cell(kind: str) -> Callable[[str, str], Names]:
    """In a state dict, and in files of Paddle's own tensors, which call a parameter as the graph does."""
    return lambda name, own: {"": (name, f"<*{kind}_cell_*>.{own}")}


def _parts(names: Callable[[str, str], Names]) -> tuple[Part, ...]:
    return (
        Part(names("weight_ih", "w_0"), KERNEL, "(gate unit) feature"),
        Part(names("weight_hh", "w_1"), RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(names("bias_ih", "b_0"), BIAS, "(gate unit)"),
        Part(names("bias_hh", "b_1"), RECURRENT_BIAS, "(gate unit)"),
    )


def _projected(names: Callable[[str, str], Names]) -> tuple[Part, ...]:
    return (*_parts(names), Part(names("weight_ho", "w_2"), PROJECTION, "unit hidden", optional=True))


_ACTIVATION = Setting(
    "activation", ("activation", "mode"), {"tanh": "tanh", "relu": "relu", "RNN_TANH": "tanh", "RNN_RELU": "relu"},
    default="tanh", because="Paddle's default; a state dict does not hold the activation",
)  # fmt: skip
_FACTS = (
    Fact("unit", ("hidden_size",)), Fact("feature", ("input_size",)), Fact("layers", ("num_layers",)),
    Fact("directions", ("is_bidirec",), {True: 2, False: 1}),
)  # fmt: skip
_PROVEN = "Paddle 3.3.1: 4e-07"

LAYOUTS = (
    Layout("paddle.LSTM", "lstm", "ifgo", _projected(_layer), _SOURCE, kinds=("paddle.rnn(LSTM)",), facts=_FACTS,
           proven=_PROVEN),
    Layout("paddle.GRU", "gru", "rzn", _parts(_layer), _SOURCE, kinds=("paddle.rnn(GRU)",), facts=_FACTS, proven=_PROVEN),
    Layout("paddle.SimpleRNN", "rnn", "h", _parts(_layer), _SOURCE, kinds=("paddle.rnn(RNN_TANH)", "paddle.rnn(RNN_RELU)"),
           facts=_FACTS, settings=(_ACTIVATION,), proven=_PROVEN),
    Layout("paddle.LSTMCell", "lstm", "ifgo", _projected(_cell("lstm")), _SOURCE, like="torch.LSTMCell", proven=_PROVEN),
    Layout("paddle.GRUCell", "gru", "rzn", _parts(_cell("gru")), _SOURCE, like="torch.GRUCell", proven=_PROVEN),
    Layout("paddle.SimpleRNNCell", "rnn", "h", _parts(_cell("simple_rnn")), _SOURCE, like="torch.RNNCell",
           settings=(_ACTIVATION,), proven=_PROVEN),
)  # fmt: skip
