"""Equinox's recurrent cells.

Source: equinox/nn/_rnn.py (0.13.8).  The tensors are the dataclass's fields; an ``.eqx`` file holds them in the fields' order and
without names: weight_ih, weight_hh, bias, and the GRU's bias_n, which lies inside r.  ``weight @ input``; an LSTM's gates
are i, f, g, o with a single bias, a GRU's r, z, n, reset after the product.  ``use_bias=False`` leaves the biases out.
The state of an LSTM is (h, c).
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "equinox/nn/_rnn.py"
_PROVEN = "Equinox 0.13.8: 3e-07"


def _field(name: str) -> dict[str, str]:
    return {"": name, "#eqx": "#"}


_WEIGHTS = (
    Part(_field("weight_ih"), KERNEL, "(gate unit) feature"),
    Part(_field("weight_hh"), RECURRENT_KERNEL, "(gate unit) hidden"),
    Part(_field("bias"), BIAS, "(gate unit)", optional=True),
)

LAYOUTS = (
    Layout("equinox.LSTMCell", "lstm", "ifgo", _WEIGHTS, _SOURCE, like="torch.LSTMCell", proven=_PROVEN),
    Layout("equinox.GRUCell", "gru", "rzn",
           (*_WEIGHTS, Part(_field("bias_n"), RECURRENT_BIAS, "unit", gates="n", optional=True)),
           _SOURCE, like="torch.GRUCell", proven=_PROVEN),
)  # fmt: skip
