"""MXNet's recurrent layers: gluon's layers and cells, the RNN operator's vector, and mx.rnn's unpacked gates.

Sources: python/mxnet/gluon/rnn/rnn_layer.py and rnn_cell.py, gluon/contrib/rnn/rnn_cell.py (LSTMPCell), python/mxnet/rnn/
rnn_cell.py (FusedRNNCell._slice_weights), src/operator/rnn-inl.h and rnn_impl.h, all of 1.9.1.  Orders i,f,c,o and r,z,o,
where mx.rnn calls the new gate o.  A layer's parameters are called ``lstm0_l0_i2h_weight`` in graphs and in what
``collect_params().save`` writes, ``_unfused.0.l_cell.i2h_weight`` in what ``save_parameters`` writes.  The operator's vector
holds every matrix, layer by layer and direction by direction, then every bias (cuDNN's order).  A forget bias of
``mx.rnn.LSTMCell`` is an initializer: it is stored.  MXNet 2's layers keep the vector, as rnn_param (source only).
"""

from __future__ import annotations

from collections.abc import Callable

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_LAYERS = "python/mxnet/gluon/rnn/rnn_layer.py"
_CELLS = "python/mxnet/gluon/rnn/rnn_cell.py"
_FUSED = "src/operator/rnn-inl.h and rnn_impl.h; python/mxnet/rnn/rnn_cell.py, FusedRNNCell"
_PROVEN = "MXNet 1.9.1: 4e-07"
_PROVEN_RNN = "MXNet 1.9.1: 3e-06"  # a relu's outputs grow

Names = Callable[[str], "tuple[str, ...]"]


def _layer(name: str) -> tuple[str, ...]:
    return f"_unfused.{{layer}}.[{{l|r}}_cell.]{name}", f"[arg:][{{block}}_]{{l|r}}{{layer}}_{name}"


def _cell(name: str) -> tuple[str, ...]:
    return f"[{{l|r}}_cell.]{name}", f"[arg:]{{block}}_{name}"


def _gate(name: str) -> tuple[str, ...]:
    side, kind = name.split("_")
    return (f"[arg:][{{block}}_]{{l|r}}{{layer}}_{side}_{{gate}}_{kind}",)


def _parts(names: Names, gates: str = "(gate unit)") -> tuple[Part, ...]:
    return (
        Part(names("i2h_weight"), KERNEL, f"{gates} feature"),
        Part(names("h2h_weight"), RECURRENT_KERNEL, f"{gates} hidden"),
        Part(names("i2h_bias"), BIAS, gates),
        Part(names("h2h_bias"), RECURRENT_BIAS, gates),
    )


def _projected(names: Names) -> tuple[Part, ...]:
    return (*_parts(names), Part(names("h2r_weight"), PROJECTION, "hidden unit", optional=True))


_VECTOR = (
    Part({INPUTS: "parameters", "": ("[arg:][{block}_]parameters", "rnn_param")},
         KERNEL + RECURRENT_KERNEL + BIAS + RECURRENT_BIAS,
         "[layer direction: (gate unit) feature + (gate unit) hidden] [layer direction: (gate unit) + (gate unit)]"),
)  # fmt: skip
_FACTS = (
    Fact("unit", ("state_size",)), Fact("layers", ("num_layers",)),
    Fact("directions", ("bidirectional",), {True: 2, False: 1}),
)  # fmt: skip
_ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "rnn_relu": "relu", "rnn_tanh": "tanh"}


def _activation(default: str, because: str) -> Setting:
    return Setting("activation", ("activation", "mode"), _ACTIVATIONS, default=default, because=because)


_RELU = _activation("relu", "gluon.rnn.RNN's default, another than RNNCell's; the parameters do not hold it")
_TANH = _activation("tanh", "RNNCell's default, another than gluon.rnn.RNN's; the parameters do not hold it")
_MODES = {cell: (f"mxnet.RNN({cell})",) for cell in ("lstm", "gru")} | {
    "rnn": ("mxnet.RNN(rnn_relu)", "mxnet.RNN(rnn_tanh)")
}

LAYOUTS = (
    Layout("mxnet.LSTM", "lstm", "ifgo", _projected(_layer), _LAYERS, kinds=_MODES["lstm"], facts=_FACTS, proven=_PROVEN),
    Layout("mxnet.GRU", "gru", "rzn", _parts(_layer), _LAYERS, kinds=_MODES["gru"], facts=_FACTS, proven=_PROVEN),
    Layout("mxnet.RNN", "rnn", "h", _parts(_layer), _LAYERS, kinds=_MODES["rnn"], facts=_FACTS, settings=(_RELU,),
           proven=_PROVEN),
    Layout("mxnet.LSTMCell", "lstm", "ifgo", _projected(_cell), _CELLS, like="mxnet.LSTM", proven=_PROVEN),
    Layout("mxnet.GRUCell", "gru", "rzn", _parts(_cell), _CELLS, like="mxnet.GRU", proven=_PROVEN),
    Layout("mxnet.RNNCell", "rnn", "h", _parts(_cell), _CELLS, settings=(_TANH,), like="mxnet.RNN", proven=_PROVEN),
    Layout("mxnet.fused_lstm", "lstm", "ifgo", _VECTOR, _FUSED, separator="_", kinds=_MODES["lstm"], facts=_FACTS, proven=_PROVEN),
    Layout("mxnet.fused_gru", "gru", "rzn", _VECTOR, _FUSED, separator="_", kinds=_MODES["gru"], facts=_FACTS, proven=_PROVEN),
    Layout("mxnet.fused_rnn", "rnn", "h", _VECTOR, _FUSED, separator="_", kinds=_MODES["rnn"], facts=_FACTS, settings=(_RELU,),
           proven=_PROVEN_RNN),
    Layout("mxnet.unpacked_lstm", "lstm", "ifgo", _parts(_gate, "unit"), _FUSED, separator="_", spelled={"g": "c"}, proven=_PROVEN),
    Layout("mxnet.unpacked_gru", "gru", "rzn", _parts(_gate, "unit"), _FUSED, separator="_", spelled={"n": "o"}, proven=_PROVEN),
)  # fmt: skip
