"""Sonnet, DeepMind's library on TensorFlow: version 2 (dm-sonnet 2.0.2), and version 1 (1.36) under ``sonnet1``.

Source: sonnet/src/recurrent.py (2.0.2), _lstm_fn and GRU.__call__; sonnet/python/modules/gated_rnn.py and basic_rnn.py
(1.36).  Version 2 keeps input and recurrent kernels apart, i,f,g,o, and adds its forget bias when the bias is made, so it
is stored; version 1 is TensorFlow 1's order, one kernel over [x; h], with the forget bias added at run time.  Both GRUs reset
before the product, and z writes the new state.  Names of version 2 are attributes (``_w_i``), those of version 1 variables.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "sonnet/src/recurrent.py"
_SOURCE_1 = "sonnet/python/modules/{gated_rnn,basic_rnn}.py"
_WRITERS = ("sonnet", "tensorflow")
_GRU = replace(PLAIN["gru"], reset="before", update="writes")
_ACTIVATION = Setting(
    "activation", ("activation",), {name: name for name in ("tanh", "relu", "sigmoid")}, default="tanh",
    because="a checkpoint does not hold it; VanillaRNN's default",
)  # fmt: skip
_FORGET = Setting(
    "forget_bias", ("forget_bias",), {}, default=1.0, free=True,
    because="Sonnet 1 adds it at run time and a checkpoint does not hold it; its default",
)  # fmt: skip

_KERNELS = (
    Part("_w_i", KERNEL, "feature (gate unit)"),
    Part("_w_h", RECURRENT_KERNEL, "hidden (gate unit)"),
    Part("b", BIAS, "(gate unit)"),
)
_JOINT = (
    Part("w_gates", KERNEL + RECURRENT_KERNEL, "(feature + hidden) (gate unit)"),
    Part("b_gates", BIAS, "(gate unit)"),
)
_WHY_PEEPHOLES = (
    "its output peephole scales the cell state inside the last tanh and leaves the gate alone; gatewise names it"
)

LAYOUTS = (
    Layout("sonnet.LSTM", "lstm", "ifgo", (*_KERNELS, Part("projection", PROJECTION, "unit hidden", optional=True)),
           f"{_SOURCE}, LSTM", kinds=("sonnet.LSTM",), separator="/", writers=_WRITERS,
           proven="Sonnet 2.0.2: 2e-07"),
    Layout("sonnet.GRU", "gru", "zrn", _KERNELS, f"{_SOURCE}, GRU", dialect=_GRU, kinds=("sonnet.GRU",), separator="/",
           writers=_WRITERS,
           proven="Sonnet 2.0.2: 2e-07"),
    Layout("sonnet.VanillaRNN", "rnn", "h",
           (Part("_input_to_hidden/w", KERNEL, "feature unit"),
            Part("_hidden_to_hidden/w", RECURRENT_KERNEL, "hidden unit"),
            Part("_b", BIAS, "unit")),
           f"{_SOURCE}, VanillaRNN", settings=(_ACTIVATION,), kinds=("sonnet.VanillaRNN",), separator="/", writers=_WRITERS,
           proven="Sonnet 2.0.2: 3e-07"),
    Layout("sonnet1.LSTM", "lstm", "igfo", (*_JOINT, Part("w_h_projection", PROJECTION, "unit hidden", optional=True)),
           _SOURCE_1, dialect=replace(PLAIN["lstm"], forget_bias=1.0), settings=(_FORGET,), kinds=("sonnet1.LSTM",), separator="/", writers=_WRITERS,
           proven="Sonnet 1.36: 3e-07"),
    Layout("sonnet1.LSTM-peepholes", "lstm", "igfo", (*_JOINT, Part("w_{gate}_diag", PEEPHOLE, "unit", gates="ifo")),
           _SOURCE_1, settings=(_FORGET,), separator="/", writers=_WRITERS, outside=_WHY_PEEPHOLES),
    Layout("sonnet1.GRU", "gru", "zrn",
           (Part("w{gate}", KERNEL, "feature unit"), Part("u{gate}", RECURRENT_KERNEL, "hidden unit"), Part("b{gate}", BIAS, "unit")),
           _SOURCE_1, dialect=_GRU, kinds=("sonnet1.GRU",), spelled={"n": "h"}, separator="/", writers=_WRITERS,
           proven="Sonnet 1.36: 3e-07"),
    Layout("sonnet1.VanillaRNN", "rnn", "h",
           (Part("in_to_hidden/w", KERNEL, "feature unit"), Part("hidden_to_hidden/w", RECURRENT_KERNEL, "hidden unit"),
            Part("in_to_hidden/b", BIAS, "unit"), Part("hidden_to_hidden/b", RECURRENT_BIAS, "unit")),
           _SOURCE_1, settings=(_ACTIVATION,), kinds=("sonnet1.VanillaRNN",), separator="/", writers=_WRITERS,
           proven="Sonnet 1.36: 3e-07"),
)  # fmt: skip
