"""Chainer's recurrent links.

Sources: chainer/links/rnn/n_step_rnn.py and n_step_{lstm,gru,rnn}.py, lstm.py, peephole.py, gru.py, mgu.py and
chainer/functions/rnn/{lstm,n_step_lstm,n_step_gru}.py, all of 7.8.1.  NStep links keep one matrix for each gate, in
cuDNN's order (w0 to w3 on the input, w4 to w7 on the hidden state); the number before them counts layers and directions
together.  LSTM, StatelessLSTM and StatefulPeepholeLSTM *interleave*: row 4 j + k is unit j's a, i, f or o, where a is the
cell candidate.  A forget bias is an initial value: it is stored.  The peepholes are full matrices.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE_KERNEL, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_N_STEP = "chainer/links/rnn/n_step_rnn.py and chainer/functions/rnn/n_step_{lstm,gru,rnn}.py"
_PROVEN = "Chainer 7.8.1: 3e-07"
_PROVEN_RNN = "Chainer 7.8.1: 7e-07"  # a relu's outputs grow


def _n_step(place: str, gates: str) -> tuple[Part, ...]:
    """``0/w0``: one tensor for each gate, the input's before the hidden state's."""
    count = len(gates)
    return tuple(
        part
        for number, gate in enumerate(gates)
        for part in (
            Part(f"{place}/w{number}", KERNEL, "unit feature", gates=gate),
            Part(f"{place}/w{number + count}", RECURRENT_KERNEL, "unit hidden", gates=gate),
            Part(f"{place}/b{number}", BIAS, "unit", gates=gate),
            Part(f"{place}/b{number + count}", RECURRENT_BIAS, "unit", gates=gate),
        )
    )


_ONE_WAY, _BOTH_WAYS = "{layer}", "{place}"
_INTERLEAVED = (
    Part("upward/W", KERNEL, "(unit gate) feature"),
    Part("lateral/W", RECURRENT_KERNEL, "(unit gate) hidden"),
    Part("upward/b", BIAS, "(unit gate)", optional=True),
)
_PEEPHOLES = tuple(Part(f"peep_{gate}/W", PEEPHOLE_KERNEL, "unit state", gates=gate) for gate in "ifo")
_GRU = tuple(
    part
    for gate, tail in (("r", "_r"), ("z", "_z"), ("n", ""))
    for part in (
        Part(f"W{tail}/W", KERNEL, "unit feature", gates=gate),
        Part(f"U{tail}/W", RECURRENT_KERNEL, "unit hidden", gates=gate),
        Part(f"W{tail}/b", BIAS, "unit", gates=gate, optional=True),
        Part(f"U{tail}/b", RECURRENT_BIAS, "unit", gates=gate, optional=True),
    )
)
_MGU = tuple(
    part
    for gate, name in (("f", "W_f"), ("n", "W_h"))
    for part in (
        Part(f"{name}/W", RECURRENT_KERNEL + KERNEL, "unit hidden + feature", gates=gate),
        Part(f"{name}/b", BIAS, "unit", gates=gate, optional=True),
    )
)
_ACTIVATION = Setting(
    "activation", ("activation",), {"tanh": "tanh", "relu": "relu"}, default="tanh",
    because="the names of NStepRNNTanh and NStepRNNReLU are the same, and the file does not hold the class",
)  # fmt: skip


def _layout(name: str, cell: str, gates: str, parts: tuple[Part, ...], source: str, **more: object) -> Layout:
    return Layout(f"chainer.{name}", cell, gates, parts, source, separator="/", **more)  # type: ignore[arg-type]


LAYOUTS = (
    _layout("NStepLSTM", "lstm", "ifgo", _n_step(_ONE_WAY, "ifgo"), _N_STEP, proven=_PROVEN),
    _layout("NStepBiLSTM", "lstm", "ifgo", _n_step(_BOTH_WAYS, "ifgo"), _N_STEP, proven=_PROVEN),
    _layout("NStepGRU", "gru", "rzn", _n_step(_ONE_WAY, "rzn"), _N_STEP, proven=_PROVEN),
    _layout("NStepBiGRU", "gru", "rzn", _n_step(_BOTH_WAYS, "rzn"), _N_STEP, proven=_PROVEN),
    _layout("NStepRNN", "rnn", "h", _n_step(_ONE_WAY, "h"), _N_STEP, settings=(_ACTIVATION,), proven=_PROVEN_RNN),
    _layout("NStepBiRNN", "rnn", "h", _n_step(_BOTH_WAYS, "h"), _N_STEP, settings=(_ACTIVATION,), proven=_PROVEN_RNN),
    _layout("LSTM", "lstm", "gifo", _INTERLEAVED, "chainer/links/rnn/lstm.py; functions/rnn/lstm.py", proven=_PROVEN),
    _layout("PeepholeLSTM", "lstm", "gifo", (*_INTERLEAVED, *_PEEPHOLES), "chainer/links/rnn/peephole.py", proven=_PROVEN),
    _layout("GRU", "gru", "rzn", _GRU, "chainer/links/rnn/gru.py", proven=_PROVEN,
            dialect=replace(PLAIN["gru"], reset="before", update="writes"),
            note="while its state is None, Chainer leaves the U biases out of the first step: not the same as zeros"),
    _layout("MGU", "mgu", "fn", _MGU, "chainer/links/rnn/mgu.py", proven=_PROVEN,
            dialect=replace(PLAIN["mgu"], update="writes")),
)  # fmt: skip
