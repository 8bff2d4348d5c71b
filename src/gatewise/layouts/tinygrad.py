"""tinygrad's LSTMCell: torch.nn.LSTMCell's names, shapes, gate order and two biases.

Source: tinygrad/nn/__init__.py, LSTMCell (0.14.0).  A file cannot tell the two apart, and they mean the same; it is then read as
torch's.  There is no GRU and no RNN.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part

_OWN = "own files"  # in anybody else's the same tensors are read as torch's, whose names and shapes these are

LAYOUTS = (
    Layout("tinygrad.LSTMCell", "lstm", "ifgo",
           (Part("weight_ih", KERNEL, "(gate unit) feature"), Part("weight_hh", RECURRENT_KERNEL, "(gate unit) hidden"),
            Part("bias_ih", BIAS, "(gate unit)", optional=True), Part("bias_hh", RECURRENT_BIAS, "(gate unit)", optional=True)),
           "tinygrad/nn/__init__.py, LSTMCell", like="torch.LSTMCell", unasked=_OWN, proven="tinygrad 0.14.0: 2e-07"),
)  # fmt: skip
