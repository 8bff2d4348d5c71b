"""Flax's recurrent cells: linen (``flax.linen``) and NNX (``flax.nnx``).

Sources: flax/linen/recurrent.py and flax/nnx/nn/recurrent.py (0.12.8).  Linen gives each gate a Dense of its own, named
by side and gate: ``ii/kernel``, ``hf/bias``; ``x @ kernel``.  An LSTM's bias lies on the h side alone; a GRU's lies on the
x side, and n has a second one inside r.  linen's LSTMCell and OptimizedLSTMCell store the same.  NNX's LSTMCell calls
``if`` ``if_``; its other cells keep one kernel a side, ``dense_i`` and ``dense_h``, and its GRU has no second bias for n.
``nn.Bidirectional`` and ``nnx.Bidirectional`` keep their directions below ``forward_rnn/cell`` and ``backward_rnn/cell``; where
a cell was made in another module's compact method, its name there is all that a file tells (``LSTMCell_0``, ``LSTMCell_1``),
and every cell is a layer of its own.  A variable's value may have a name of its own (``kernel/value``: NNX by Orbax).
The carry of an LSTM is (c, h).
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_LINEN = "flax/linen/recurrent.py"
_NNX = "flax/nnx/nn/recurrent.py"
_LINEN_PROVEN = "Flax linen 0.12.8: 3e-07"
_NNX_PROVEN = "Flax nnx 0.12.8: 3e-07"


def _names(text: str) -> tuple[str, ...]:
    """A tree's path, and the same as people flatten it into one dict."""
    way = "[{forward|backward}_rnn/cell/]"
    return tuple(f"{way}{text}[/value]".replace("/", separator) for separator in "/.")


# jax.nn's functions; its hard_sigmoid is relu6(x + 3) / 6.
ACTIVATIONS = {
    "hard_sigmoid": "hard_sigmoid(1/6)",
    "soft_sign": "softsign",
    **{name: name for name in ("sigmoid", "tanh", "relu", "softplus", "elu", "selu", "silu")},
}
_WHY = "the file does not hold it; flax's default"
_GATES = Setting("recurrent_activation", ("gate_fn",), ACTIVATIONS, default="sigmoid", because=_WHY)
_ACTIVATION = Setting("activation", ("activation_fn",), ACTIVATIONS, default="tanh", because=_WHY)
_OUTPUT = Setting("output_activation", ("activation_fn",), ACTIVATIONS, default="tanh")
_SIMPLE = Setting(
    "activation", ("activation_fn",), ACTIVATIONS, default="tanh",
    because="the file holds neither it nor whether the cell is residual; flax's defaults: tanh, not residual",
)  # fmt: skip
_LSTM_SETTINGS, _GRU_SETTINGS = (_GATES, _ACTIVATION, _OUTPUT), (_GATES, _ACTIVATION)


def _each(side: str, role: tuple[str, ...], phrase: str, kind: str = "kernel", gates: str | None = None) -> Part:
    """A part for each gate: ``i{gate}/kernel``."""
    return Part(_names(f"{side}{{gate}}/{kind}"), role, phrase, gates=gates)


_BOTH_KERNELS = (_each("i", KERNEL, "feature unit"), _each("h", RECURRENT_KERNEL, "hidden unit"))
_DENSE = (
    Part(_names("dense_i/kernel"), KERNEL, "feature (gate unit)"),
    Part(_names("dense_h/kernel"), RECURRENT_KERNEL, "hidden (gate unit)"),
)

LAYOUTS = (
    Layout("flax.LSTMCell", "lstm", "ifgo", (*_BOTH_KERNELS, _each("h", BIAS, "unit", "bias")),
           _LINEN, settings=_LSTM_SETTINGS, written_as="flax.LSTMCell", separator="/", proven=_LINEN_PROVEN),
    Layout("flax.GRUCell", "gru", "rzn",
           (*_BOTH_KERNELS, _each("i", BIAS, "unit", "bias"), Part(_names("hn/bias"), RECURRENT_BIAS, "unit", gates="n")),
           _LINEN, settings=_GRU_SETTINGS, written_as="flax.GRUCell", separator="/", proven=_LINEN_PROVEN),
    Layout("flax.SimpleCell", "rnn", "h",
           (Part(_names("i/kernel"), KERNEL, "feature unit"), Part(_names("h/kernel"), RECURRENT_KERNEL, "hidden unit"),
            Part(_names("i/bias"), BIAS, "unit")),
           _LINEN, settings=(_SIMPLE,), written_as="flax.SimpleCell", separator="/", proven=_LINEN_PROVEN),
    Layout("flax.MGUCell", "mgu", "fn",
           (*_BOTH_KERNELS, _each("i", BIAS, "unit", "bias"),
            Part(_names("hn/bias"), RECURRENT_BIAS, "unit", gates="n", given={"reset": "after"})),
           _LINEN, dialect=replace(PLAIN["mgu"], reset="after"), settings=_GRU_SETTINGS, written_as="flax.MGUCell", separator="/",
           also=({"reset": None},), proven=_LINEN_PROVEN),
    Layout("flax.ConvLSTMCell", "convlstm", "igfo",
           (Part(_names("ih/kernel"), KERNEL, "feature (gate unit)"), Part(_names("ih/bias"), BIAS, "(gate unit)"),
            Part(_names("hh/kernel"), RECURRENT_KERNEL, "hidden (gate unit)"),
            Part(_names("hh/bias"), RECURRENT_BIAS, "(gate unit)")),
           _LINEN, separator="/", outside="its gates are convolutions, not matrices"),
    Layout("flax.nnx.LSTMCell", "lstm", "ifgo",
           (_each("i", KERNEL, "feature unit", gates="igo"), Part(_names("if_/kernel"), KERNEL, "feature unit", gates="f"),
            _each("h", RECURRENT_KERNEL, "hidden unit"), _each("h", BIAS, "unit", "bias")),
           _NNX, settings=_LSTM_SETTINGS, written_as="flax.nnx.LSTMCell", separator="/", proven=_NNX_PROVEN),
    Layout("flax.nnx.OptimizedLSTMCell", "lstm", "ifgo", (*_DENSE, Part(_names("dense_h/bias"), BIAS, "(gate unit)")),
           _NNX, settings=_LSTM_SETTINGS, written_as="flax.nnx.OptimizedLSTMCell", separator="/", proven=_NNX_PROVEN),
    Layout("flax.nnx.GRUCell", "gru", "rzn", (*_DENSE, Part(_names("dense_i/bias"), BIAS, "(gate unit)")),
           _NNX, settings=_GRU_SETTINGS, written_as="flax.nnx.GRUCell", separator="/", proven=_NNX_PROVEN),
    Layout("flax.nnx.SimpleCell", "rnn", "h", (*_DENSE, Part(_names("dense_i/bias"), BIAS, "(gate unit)")),
           _NNX, settings=(_SIMPLE,), written_as="flax.nnx.SimpleCell", separator="/", proven=_NNX_PROVEN),
)  # fmt: skip
