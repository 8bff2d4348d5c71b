"""Lasagne's LSTMLayer, GRULayer and RecurrentLayer, as ``np.savez(path, *get_all_param_values(net))`` keeps them: a row
of arrays without names (arr_0, arr_1 …) in the order in which the layers add their parameters.

Source: lasagne/layers/recurrent.py (0.2.dev1): the constructors (``add_param``: which, in which order) and ``step`` (the
equations).  ``x @ W``.  Peepholes are on unless switched off; the state that a layer starts from is stored even where
it is not learned.  Names where people saved them by name: those of ``add_param``.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, INITIAL_CELL, INITIAL_HIDDEN, KERNEL, PEEPHOLE, PLAIN, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "lasagne/layers/recurrent.py"


def _called(name: str) -> dict[str, str]:
    return {"": name, "#arr": "#"}


def _gate(gate: str, name: str) -> tuple[Part, ...]:
    return (
        Part(_called(f"W_in_to_{name}"), KERNEL, "feature unit", gates=gate),
        Part(_called(f"W_hid_to_{name}"), RECURRENT_KERNEL, "hidden unit", gates=gate),
        Part(_called(f"b_{name}"), BIAS, "unit", gates=gate),
    )


def _peephole(gate: str, name: str) -> Part:
    return Part(_called(f"W_cell_to_{name}"), PEEPHOLE, "unit", gates=gate, optional=True)


# The starting states are always there (but where a layer gives them) and are what tells these rows from other ones.
_HID_INIT = Part(_called("hid_init"), INITIAL_HIDDEN, "one hidden")
_LSTM = (
    *_gate("i", "ingate"),
    *_gate("f", "forgetgate"),
    *_gate("g", "cell"),
    *_gate("o", "outgate"),
    _peephole("i", "ingate"),
    _peephole("f", "forgetgate"),
    _peephole("o", "outgate"),
    Part(_called("cell_init"), INITIAL_CELL, "one unit"),
    _HID_INIT,
)
_GRU = (*_gate("z", "updategate"), *_gate("r", "resetgate"), *_gate("n", "hidden_update"), _HID_INIT)
_RECURRENT = (
    _HID_INIT,
    Part(_called("input_to_hidden.W"), KERNEL, "feature unit"),
    Part(_called("input_to_hidden.b"), BIAS, "unit"),
    Part(_called("hidden_to_hidden.W"), RECURRENT_KERNEL, "hidden unit"),
)
_NONLINEARITY = Setting(
    "activation",
    ("nonlinearity",),
    {"rectify": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "identity": "linear"},
    default="relu",
    because="RecurrentLayer's default is rectify; the file does not hold the nonlinearity",
)

LAYOUTS = (
    Layout("lasagne.LSTM", "lstm", "ifgo", _LSTM, _SOURCE, kinds=("lasagne.LSTMLayer",),
           proven="Lasagne 0.2.dev1: 1e-14"),
    Layout("lasagne.GRU", "gru", "zrn", _GRU, _SOURCE, dialect=replace(PLAIN["gru"], update="writes"),
           kinds=("lasagne.GRULayer",), proven="Lasagne 0.2.dev1: 1e-14"),
    Layout("lasagne.RNN", "rnn", "h", _RECURRENT, _SOURCE, dialect=replace(PLAIN["rnn"], activation="relu"),
           settings=(_NONLINEARITY,), kinds=("lasagne.RecurrentLayer",), proven="Lasagne 0.2.dev1: 1e-14"),
)  # fmt: skip
