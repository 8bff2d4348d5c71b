"""Haiku's recurrent cores.

Source: dm-haiku haiku/_src/recurrent.py (0.0.17).  An LSTM is one Linear over [x; h], ``lstm/linear``: gates i, g, f, o, and 1
is added to f at run time.  A GRU has ``w_i``, ``w_h`` and ``b``: gates z, r, a; reset before the product, and z writes the new
state.  VanillaRNN is two Linears, ReLU and not tanh; ``linear_1`` has a bias unless ``double_bias=False``.  Repeated cores
are ``lstm``, ``lstm_1``, …, also inside a DeepRNN.  ``linear`` is what any module's Linear is called, so an LSTM is known
by ``lstm`` in its own name, a VanillaRNN by ``rnn``.  Exports join module and parameter by ``/``, ``.``, or ``//``, which
AlphaFold's do.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "dm-haiku haiku/_src/recurrent.py"
_PROVEN = "dm-haiku 0.0.17: 2e-07"


def _names(module: str, parameter: str) -> tuple[str, ...]:
    return tuple(f"{module}{separator}{parameter}" for separator in ("/", ".", "//"))


_CONVOLUTION = "its gates are convolutions, not matrices"

LAYOUTS = (
    Layout("haiku.LSTM", "lstm", "igfo",
           (Part(_names("linear", "w"), KERNEL + RECURRENT_KERNEL, "(feature + hidden) (gate unit)"),
            Part(_names("linear", "b"), BIAS, "(gate unit)")),
           _SOURCE, dialect=replace(PLAIN["lstm"], forget_bias=1.0), written_as="haiku.LSTM", separator="/", named="lstm", proven=_PROVEN),
    Layout("haiku.GRU", "gru", "zrn",
           (Part("w_i", KERNEL, "feature (gate unit)"),
            Part("w_h", RECURRENT_KERNEL, "hidden (gate unit)"),
            Part("b", BIAS, "(gate unit)")),
           _SOURCE, dialect=replace(PLAIN["gru"], reset="before", update="writes"), written_as="haiku.GRU", separator="/", proven=_PROVEN),
    Layout("haiku.VanillaRNN", "rnn", "h",
           (Part(_names("linear", "w"), KERNEL, "feature unit"),
            Part(_names("linear", "b"), BIAS, "unit"),
            Part(_names("linear_1", "w"), RECURRENT_KERNEL, "hidden unit"),
            Part(_names("linear_1", "b"), RECURRENT_BIAS, "unit", optional=True)),
           _SOURCE, dialect=replace(PLAIN["rnn"], activation="relu"), written_as="haiku.VanillaRNN", separator="/", named="rnn", proven=_PROVEN),
    Layout("haiku.ConvLSTM", "convlstm", "igfo",
           (Part(_names("input_to_hidden", "w"), KERNEL, "feature (gate unit)"),
            Part(_names("input_to_hidden", "b"), BIAS, "(gate unit)", optional=True),
            Part(_names("hidden_to_hidden", "w"), RECURRENT_KERNEL, "hidden (gate unit)"),
            Part(_names("hidden_to_hidden", "b"), RECURRENT_BIAS, "(gate unit)", optional=True)),
           _SOURCE, separator="/", outside=_CONVOLUTION),
)  # fmt: skip
