"""DyNet's builders: VanillaLSTM, CompactVanillaLSTM, CoupledLSTM (once LSTMBuilder), GRU, SimpleRNN.

Source: dynet/lstm.cc, dynet/gru.cc, dynet/rnn.cc (DyNet 2.2): the constructors (which parameters, in which order) and
``add_input_impl`` (the equations).  Parameters have no names, only places; the container says which layer, direction
and place each one has.  The forget bias is an argument of the constructor, added at run time and never stored.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, NORM_OFFSET, NORM_SCALE, PEEPHOLE_KERNEL, PLAIN, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_LSTM_SOURCE = "dynet/lstm.cc, VanillaLSTMBuilder and CompactVanillaLSTMBuilder"
_COUPLED_SOURCE = "dynet/lstm.cc, CoupledLSTMBuilder"
_FORGET_BIAS = Setting(
    "forget_bias",
    ("forget_bias",),
    {1.0: 1.0},
    default=1.0,
    because="VanillaLSTMBuilder's default, added at run time; the file does not hold it",
    free=True,
)
_FACTS = (Fact("directions", ("bidirectional",), {True: 2}),)


def _at(place: int | str) -> dict[str, str]:
    """The part at one place of every layer."""
    return {INPUTS: f"{{layer}}/{{f|b}}/{place}"}


def _gate(gate: str, first: int, bias: int) -> tuple[Part, ...]:
    """x, h and bias of one gate."""
    return (
        Part(_at(first), KERNEL, "unit feature", gates=gate),
        Part(_at(first + 1), RECURRENT_KERNEL, "unit hidden", gates=gate),
        Part(_at(bias), BIAS, "unit", gates=gate),
    )


_VANILLA = (
    Part(_at(0), KERNEL, "(gate unit) feature"),
    Part(_at(1), RECURRENT_KERNEL, "(gate unit) hidden"),
    Part(_at(2), BIAS, "(gate unit)"),
)
_NORMALISED = (  # of h's share, of x's share, of the cell state on its way out
    *_VANILLA,
    *(
        Part(_at(f"outside/{place}"), (NORM_SCALE, NORM_OFFSET)[place % 2], "(gate unit)" if place < 4 else "unit")
        for place in range(6)
    ),
)
_COUPLED = (
    *_gate("i", 0, 3),
    Part(_at(2), PEEPHOLE_KERNEL, "unit state", gates="i"),
    *_gate("o", 4, 7),
    Part(_at(6), PEEPHOLE_KERNEL, "unit state", gates="o"),
    *_gate("g", 8, 10),
)
_GRU = (*_gate("z", 0, 2), *_gate("r", 3, 5), *_gate("n", 6, 8))

LAYOUTS = (
    Layout("dynet.VanillaLSTM", "lstm", "ifog", _VANILLA, _LSTM_SOURCE, dialect=replace(PLAIN["lstm"], forget_bias=1.0),
           settings=(_FORGET_BIAS,), kinds=("dynet.vanilla-lstm-builder", "dynet.compact-vanilla-lstm-builder"),
           facts=_FACTS, proven="DyNet 2.2: 2e-07"),
    Layout("dynet.CoupledLSTM", "lstm", "iog", _COUPLED, _COUPLED_SOURCE, dialect=replace(PLAIN["lstm"], coupled="f"),
           kinds=("dynet.lstm-builder",), facts=_FACTS, proven="DyNet 2.2: 2e-07"),
    Layout("dynet.GRU", "gru", "zrn", _GRU, "dynet/gru.cc, GRUBuilder",
           dialect=replace(PLAIN["gru"], reset="before", update="writes"), kinds=("dynet.gru-builder",), facts=_FACTS,
           proven="DyNet 2.2: 2e-07"),
    Layout("dynet.SimpleRNN", "rnn", "h", _gate("h", 0, 2), "dynet/rnn.cc, SimpleRNNBuilder",
           kinds=("dynet.simple-rnn-builder",), facts=_FACTS, proven="DyNet 2.2: 2e-07"),
    Layout("dynet.LayerNormLSTM", "lstm", "ifog", _NORMALISED, _LSTM_SOURCE + ", ln_lstm", dialect=replace(PLAIN["lstm"], forget_bias=1.0),
           kinds=("dynet.vanilla-lstm-builder",), facts=_FACTS,
           outside="it was built with ln_lstm: layer normalisation inside the step, which gatewise does not run"),
)  # fmt: skip
