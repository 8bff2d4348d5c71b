"""haste_pytorch's LSTM and GRU, and its layer-norm layers, which are only named.

Source: lmnt-com/haste frameworks/pytorch/{lstm,gru,layer_norm_lstm,layer_norm_gru,indrnn}.py: the constructors (names,
shapes, "i,g,f,o gate layout") and ``LSTMScript``, ``GRUScript`` (the equations).  ``x @ kernel``.  The forget bias is stored.
``zoneout`` is no parameter: with it the layer computes something else, at inference too.  Its names are Keras's, so
they are looked for in torch's files only, and the layout is wanted said.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, NORM_OFFSET, NORM_SCALE, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "haste frameworks/pytorch/{}.py"
_KERNELS = (
    Part("kernel", KERNEL, "feature (gate unit)"),
    Part("recurrent_kernel", RECURRENT_KERNEL, "hidden (gate unit)"),
    Part("bias", BIAS, "(gate unit)"),
)
_SECOND = Part("recurrent_bias", RECURRENT_BIAS, "(gate unit)")
_NORMS = Part("gamma", NORM_SCALE, "direction (gate unit)")  # one row for x's share, one for h's
_OF_STATE = (Part("gamma_h", NORM_SCALE, "unit", gates="o"), Part("beta_h", NORM_OFFSET, "unit", gates="o"))
_DOUBT = "people's own torch modules call their weights so too, in other orders, and zoneout is not in the file"
_NORMALISES = "it normalises inside the step (LayerNorm), which gatewise does not run"
_INDEPENDENT = (
    Part("kernel", KERNEL, "feature unit"),
    Part("recurrent_scale", RECURRENT_KERNEL, "unit"),
    Part("bias", BIAS, "unit"),
)

LAYOUTS = (
    Layout("haste.LSTM", "lstm", "igfo", _KERNELS, _SOURCE.format("lstm"), writers=("torch",), unasked="own files",
           paths="[^/]*", doubt=_DOUBT, proven="haste ceba32e: 2e-07"),
    Layout("haste.GRU", "gru", "zrn", (*_KERNELS, _SECOND), _SOURCE.format("gru"), writers=("torch",), unasked="own files",
           paths="[^/]*", doubt=_DOUBT, proven="haste ceba32e: 2e-07"),
    Layout("haste.LayerNormLSTM", "lstm", "igfo", (*_KERNELS, _NORMS, *_OF_STATE), _SOURCE.format("layer_norm_lstm"),
           writers=("torch",), unasked="own files", outside=_NORMALISES),
    Layout("haste.LayerNormGRU", "gru", "zrn", (*_KERNELS, _SECOND, _NORMS), _SOURCE.format("layer_norm_gru"),
           writers=("torch",), unasked="own files", outside=_NORMALISES),
    Layout("haste.IndRNN", "indrnn", "h", _INDEPENDENT, _SOURCE.format("indrnn"), writers=("torch",), unasked="own files",
           outside="each unit sees its own last state only: its recurrent weights are a vector"),
)  # fmt: skip
