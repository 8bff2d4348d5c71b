"""TensorFlow 1's recurrent cells (tf.nn.rnn_cell, tf.contrib.rnn): the plain ones, and those that two others imitate.

Source: tensorflow/python/ops/rnn_cell_impl.py and tensorflow/contrib/rnn/python/ops/{core_rnn_cell_impl,rnn_cell,lstm_ops,
gru_ops}.py of 0.12.1, 1.0.1, 1.2.1, 1.3.0, 1.4.1 and 1.15.0.  One kernel [x; h] × gates in the order i, j, f, o (j is the
candidate) or r, u; ``x @ kernel``; one bias.  To f the cell adds ``forget_bias`` at run time, which no checkpoint holds.
GRUs reset before the product, and u keeps the old state.  Names changed with the versions: 0.12 had ``Matrix`` and
``Bias`` or ``W_0`` and ``B``, 1.0 and 1.1 ``weights`` and ``biases``, 1.2 and later ``kernel`` and ``bias``.  The cell's
scope is the layer's path; where it stands right below fw and bw (FW and BW in 0.12), both are one layer.
Other cells of contrib are in ``tf1_contrib``, CudnnLSTM and its like in ``tf1_cudnn``.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, PROJECTION, RECURRENT_KERNEL
from ._layout import RESEMBLING, Layout, Part, Setting, Since

_CORE = "tensorflow/python/ops/rnn_cell_impl.py"
_BLOCK = "tensorflow/contrib/rnn/python/ops/lstm_ops.py"
WRITERS = ("tensorflow",)
BOTH = KERNEL + RECURRENT_KERNEL
JOINT = "(feature + hidden) (gate unit)"  # rows of x, then rows of h
_SILENT = "a checkpoint does not hold it"

Names = tuple[str, ...]


def under(scopes: Names, leaf: str) -> Names:
    """One tensor's name below each of these scopes.  0.12 wrote its scopes, and FW and BW, with capitals."""
    return tuple(f"[{'{FW|BW}' if scope[0].isupper() else '{fw|bw}'}/]<{scope}[_*]>/{leaf}" for scope in scopes)


def _block_gru(leaf: str) -> Names:
    """GRUBlockCell kept its capitals until 1.4, below fw and bw as below FW and BW."""
    return (*under(("gru_cell",), leaf), f"{{fw|bw}}/GRUBlockCell[_*]/{leaf}", *under(("GRUBlockCell",), leaf))


def renamed(scope: str, old: str, leaf: str = "") -> tuple[Names, Names]:
    """Kernel and bias as they were called since 1.2, in 1.0 and in 0.12, below ``leaf`` of the cell's scope."""
    kernel = (
        *under((scope,), f"{leaf}kernel"),
        *under((scope,), f"{leaf}weights"),
        *under((old,), f"{leaf.title()}Linear/Matrix"),
    )
    bias = (
        *under((scope,), f"{leaf}bias"),
        *under((scope,), f"{leaf}biases"),
        *under((old,), f"{leaf.title()}Linear/Bias"),
    )
    return kernel, bias


def joint(
    kernel: Names | dict[str, Names], bias: Names | dict[str, Names], gates: str | None = None, phrase: str = JOINT
) -> tuple[Part, ...]:
    """One kernel over x and h, and one bias."""
    alone = phrase.endswith(") unit")
    return (Part(kernel, BOTH, phrase, gates=gates), Part(bias, BIAS, "unit" if alone else "(gate unit)", gates=gates))


def peepholes(names: dict[str, Names]) -> tuple[Part, ...]:
    """A vector for each of these gates; i and f read the old cell state, o the new one."""
    return tuple(Part(name, PEEPHOLE, "unit", optional=True, gates=gate) for gate, name in names.items())


def projection(name: Names) -> Part:
    return Part(name, PROJECTION, "unit hidden", optional=True)


# What a layer may choose, and no checkpoint holds.

_FUNCTIONS = {name: name for name in ("tanh", "relu", "sigmoid", "linear", "elu", "selu", "softplus", "softsign")}


def forget_bias(cell: str) -> Setting:
    return Setting(
        "forget_bias",
        ("forget_bias",),
        {},
        default=1.0,
        because=f"{cell}'s default, added at run time; {_SILENT}",
        free=True,
    )


def activation(cell: str) -> Setting:
    return Setting("activation", ("activation",), _FUNCTIONS, default="tanh", because=f"{cell}'s default; {_SILENT}")


OUTPUT = Setting("output_activation", ("activation",), _FUNCTIONS)
PROJ_CLIP = Setting(
    "proj_clip", ("proj_clip",), {}, because=f"no clip is the default; {_SILENT}", free=True, role="projection"
)
_NO_CLIP = Setting("cell_clip", ("cell_clip",), {}, because=f"LSTMCell's default; {_SILENT}", free=True)
# The block cells held the cell state within ±3 until 1.3 (measured 0.12.1 to 1.3.0; 1.4.1 and 1.15.0 do not), and have
# had LSTMCell's names since 1.0.
_EITHER = Setting(
    "cell_clip", ("cell_clip",), {}, free=True, untold=(None, "1.0.0", "1.0.1", "1.1.0"),
    because="LSTMCell's default; LSTMBlockCell, whose variables had the same names, held the cell state within 3",
)  # fmt: skip
_PERHAPS = replace(
    _NO_CLIP, untold=("1.2.0", "1.2.1", "1.3.0"),
    because=f"LSTMCell's default; {_SILENT}; LSTMBlockCell, named alike, held the cell state within 3 before TensorFlow 1.4",
)  # fmt: skip
_CLIP_3 = Setting(
    "cell_clip", ("cell_clip",), {}, default=3.0, because="what the block cells did before TensorFlow 1.4", free=True
)
_CLIP_SINCE = Setting(
    "cell_clip", ("cell_clip",), {}, default=Since((1, 4), then=None, before=3.0), free=True, untold=(None,),
    because="the block cells held the cell state within 3 before TensorFlow 1.4, and do not since",
)  # fmt: skip
_CLIP_NONE = Setting("cell_clip", ("cell_clip",), {}, because=f"no clip is the default; {_SILENT}", free=True)

# Names.

_BASIC, _BASIC_BIAS = renamed("basic_lstm_cell", "BasicLSTMCell")
# LayerNormBasicLSTMCell(layer_norm=False) computes what BasicLSTMCell does.
_BASIC = (*_BASIC, *under(("layer_norm_basic_lstm_cell",), "kernel"), *under(("layer_norm_basic_lstm_cell",), "weights"),
          *under(("LayerNormBasicLSTMCell",), "linear/weights"))  # fmt: skip
_BASIC_BIAS = (*_BASIC_BIAS, *under(("layer_norm_basic_lstm_cell",), "bias"), *under(("layer_norm_basic_lstm_cell",), "biases"),
               *under(("LayerNormBasicLSTMCell",), "linear/b"))  # fmt: skip
_LSTM, _OLD_LSTM = ("lstm_cell",), ("LSTMCell",)
_DIAGONALS = {gate: f"w_{gate}_diag" for gate in "ifo"}
_CAPITALS = {gate: f"W_{gate.upper()}_diag" for gate in "ifo"}


def _own(leaf: str) -> tuple[str, ...]:
    """A cell that the user named: nothing but its place among TensorFlow's own scopes tells that it is one."""
    return (f"bidirectional_rnn/{{fw|bw}}/*/{leaf}", f"<multi_rnn_cell/cell_*/*>/{leaf}")


_RNN, _RNN_BIAS = renamed("basic_rnn_cell", "BasicRNNCell")
_GATES, _GATES_BIAS = renamed("gru_cell", "GRUCell", "gates/")
_NEW, _NEW_BIAS = renamed("gru_cell", "GRUCell", "candidate/")


def _any_gru(names: Names, leaf: str) -> Names:
    """Gates and a candidate apart are a GRUCell's, whatever the user called it; GRUBlockCellV2 has them too."""
    return (*names, f"[{{fw|bw}}/]<*>/{leaf}")


_GRU = replace(PLAIN["gru"], reset="before")
FORGETS = replace(PLAIN["lstm"], forget_bias=1.0)

LAYOUTS = (
    Layout("tf1.BasicRNNCell", "rnn", "h",
           joint({"": _RNN, RESEMBLING: _own("kernel")}, {"": _RNN_BIAS, RESEMBLING: _own("bias")}, phrase="(feature + hidden) unit"),
           f"{_CORE}, BasicRNNCell", settings=(activation("BasicRNNCell"),), kinds=("tf1.BasicRNNCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 4e-07"),
    Layout("tf1.BasicLSTMCell", "lstm", "igfo", joint(_BASIC, _BASIC_BIAS), f"{_CORE}, BasicLSTMCell",
           dialect=FORGETS,
           settings=(forget_bias("BasicLSTMCell"), activation("BasicLSTMCell"), OUTPUT), kinds=("tf1.BasicLSTMCell",),
           separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 5e-07"),
    Layout("tf1.LSTMCell", "lstm", "igfo",
           (*joint({"": (*under(_LSTM, "kernel"), *under(_OLD_LSTM, "W_0")), RESEMBLING: _own("kernel")},
                   {"": (*under(_LSTM, "bias"), *under(_OLD_LSTM, "B")), RESEMBLING: _own("bias")}),
            *peepholes({gate: (*under(_LSTM, new), *under(_OLD_LSTM, _CAPITALS[gate])) for gate, new in _DIAGONALS.items()}),
            projection((*under(_LSTM, "projection/kernel"), *under(_OLD_LSTM, "W_P_0")))),
           f"{_CORE}, LSTMCell; {_BLOCK}, LSTMBlockCell",
           dialect=FORGETS,
           settings=(forget_bias("LSTMCell"), _PERHAPS, PROJ_CLIP, activation("LSTMCell"), OUTPUT),
           kinds=("tf1.LSTMCell", "tf1.LSTMBlockCell"), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 5e-07"),
    Layout("tf1.LSTMCell-1.0", "lstm", "igfo",
           (*joint(under(_LSTM, "weights"), under(_LSTM, "biases")),
            *peepholes({gate: under(_LSTM, name) for gate, name in _DIAGONALS.items()}),
            projection(under(_LSTM, "projection/weights"))),
           "tensorflow 1.0.1 contrib/rnn/python/ops/core_rnn_cell_impl.py, LSTMCell, and lstm_ops.py, LSTMBlockCell",
           dialect=FORGETS,
           settings=(forget_bias("LSTMCell"), _EITHER, PROJ_CLIP, activation("LSTMCell"), OUTPUT),
           kinds=("tf1.LSTMCell", "tf1.LSTMBlockCell"), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.0.1: 5e-07"),
    Layout("tf1.LSTMBlockFusedCell", "lstm", "igfo",
           (*joint(under(("lstm_fused_cell",), "kernel"), under(("lstm_fused_cell",), "bias")),
            *peepholes({gate: under(("lstm_fused_cell",), name) for gate, name in _DIAGONALS.items()})),
           f"{_BLOCK}, LSTMBlockFusedCell", dialect=FORGETS,
           settings=(forget_bias("LSTMBlockFusedCell"), _CLIP_NONE),
           kinds=("tf1.LSTMBlockFusedCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.15.0: 8e-07"),
    Layout("tf1.LSTMBlockFusedCell-1.2", "lstm", "igfo",
           (*joint(under(("lstm_block_wrapper",), "kernel"), under(("lstm_block_wrapper",), "bias")),
            *peepholes({gate: under(("lstm_block_wrapper",), name) for gate, name in _DIAGONALS.items()})),
           f"tensorflow 1.2.1 to 1.4.1 {_BLOCK}, LSTMBlockFusedCell", dialect=FORGETS,
           settings=(forget_bias("LSTMBlockFusedCell"), _CLIP_SINCE),
           kinds=("tf1.LSTMBlockFusedCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.2.1 to 1.4.1: 4e-07"),
    Layout("tf1.LSTMBlockCell-0.12", "lstm", "igfo",
           (*joint((*under(("LSTMBlockCell",), "W"), *under(("LSTMBlockFusedCell",), "W_0"), *under(("lstm_block_wrapper",), "weights")),
                   (*under(("LSTMBlockCell",), "b"), *under(("LSTMBlockFusedCell",), "B"), *under(("lstm_block_wrapper",), "biases"))),
            *peepholes({gate: (*under(("LSTMBlockCell",), f"wc{gate}"), *under(("LSTMBlockFusedCell",), _CAPITALS[gate]),
                               *under(("lstm_block_wrapper",), new)) for gate, new in _DIAGONALS.items()})),
           f"tensorflow 0.12.1 and 1.0.1 {_BLOCK}, LSTMBlockCell, LSTMBlockFusedCell",
           dialect=replace(FORGETS, cell_clip=3.0),
           settings=(forget_bias("LSTMBlockCell"), _CLIP_3), kinds=("tf1.LSTMBlockCell", "tf1.LSTMBlockFusedCell"),
           separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 and 1.0.1: 1e-06"),
    Layout("tf1.GRUCell", "gru", "rzn",
           (*joint(_any_gru(_GATES, "gates/kernel"), _any_gru(_GATES_BIAS, "gates/bias"), "rz"),
            *joint(_any_gru(_NEW, "candidate/kernel"), _any_gru(_NEW_BIAS, "candidate/bias"), "n", "(feature + hidden) unit")),
           f"{_CORE}, GRUCell; tensorflow/contrib/rnn/python/ops/gru_ops.py, GRUBlockCellV2", dialect=_GRU,
           settings=(activation("GRUCell"),), kinds=("tf1.GRUCell", "tf1.GRUBlockCellV2"), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 2e-07"),
    Layout("tf1.GRUBlockCell", "gru", "rzn",
           (*joint(_block_gru("w_ru"), _block_gru("b_ru"), "rz"),
            *joint(_block_gru("w_c"), _block_gru("b_c"), "n", "(feature + hidden) unit")),
           "tensorflow/contrib/rnn/python/ops/gru_ops.py, GRUBlockCell", dialect=_GRU, kinds=("tf1.GRUBlockCell",),
           separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 1e-07"),
)  # fmt: skip
