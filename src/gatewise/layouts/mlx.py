"""MLX's recurrent layers.

Source: mlx/nn/layers/recurrent.py (0.32.4).  A file holds the modules' attributes by their paths: ``x @ W.T``; an LSTM has a single
bias, gates i, f, g, o; a GRU's second bias ``bhn`` lies inside r; gates r, z, n, reset after the product.  One layer, one
direction each; ``bias=False`` leaves the biases out.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "mlx/nn/layers/recurrent.py"
_PROVEN = "MLX 0.32.4: 3e-07"
_NONLINEARITY = Setting(
    "activation", ("nonlinearity",), {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid"},
    default="tanh", because="the file does not hold it; mlx.nn.RNN's default",
)  # fmt: skip
_WEIGHTS = (Part("Wx", KERNEL, "(gate unit) feature"), Part("Wh", RECURRENT_KERNEL, "(gate unit) hidden"))

LAYOUTS = (
    Layout("mlx.LSTM", "lstm", "ifgo", (*_WEIGHTS, Part("bias", BIAS, "(gate unit)", optional=True)), _SOURCE,
           proven=_PROVEN),
    Layout("mlx.GRU", "gru", "rzn",
           (*_WEIGHTS, Part("b", BIAS, "(gate unit)", optional=True),
            Part("bhn", RECURRENT_BIAS, "unit", gates="n", optional=True)),
           _SOURCE, proven=_PROVEN),
    Layout("mlx.RNN", "rnn", "h",
           (Part("Wxh", KERNEL, "unit feature"), Part("Whh", RECURRENT_KERNEL, "unit hidden"),
            Part("bias", BIAS, "unit", optional=True)),
           _SOURCE, settings=(_NONLINEARITY,), proven=_PROVEN),
)  # fmt: skip
