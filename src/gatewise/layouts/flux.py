"""Flux.jl's LSTMCell, GRUCell and RNNCell (Julia).  Source only: no Julia was run.

Source: FluxML/Flux.jl src/layers/recurrent.jl (0.16): ``Wi``, ``Wh`` and ``bias``, as Julia shapes them; ``chunk`` of the gates i, f,
c, o and r, z, n.  The GRU's one bias stands outside r; GRUv3Cell, which resets before, is not read.  Flux keeps models as JLD2 or BSON, which gatewise does not open:
these names are those of arrays that somebody wrote with NPZ.jl or the like.  Until 0.14 a Recur kept a state beside them.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "Flux.jl src/layers/recurrent.jl"


def _parts(bias: str) -> tuple[Part, ...]:
    return (
        Part("Wi", KERNEL, "(gate unit) feature"),
        Part("Wh", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(bias, BIAS, "(gate unit)", optional=True),
    )


LAYOUTS = (
    Layout("flux.LSTM", "lstm", "ifgo", _parts("bias"), _SOURCE),
    Layout("flux.GRU", "gru", "rzn", _parts("b"), _SOURCE),
    Layout("flux.RNN", "rnn", "h", _parts("bias"), _SOURCE),
)  # fmt: skip
