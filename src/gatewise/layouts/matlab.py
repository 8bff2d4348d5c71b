"""MATLAB's lstmLayer and gruLayer.  From memory, unverified: neither MATLAB nor its pages' tables of weights were at hand.

InputWeights, RecurrentWeights and Bias of a layer, gates i, f, g, o and r, z, n; gruLayer's default ResetGateMode,
after-multiplication, has its one bias outside r.  Read only where the user names the layout.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_PARTS = (
    Part("InputWeights", KERNEL, "(gate unit) feature"),
    Part("RecurrentWeights", RECURRENT_KERNEL, "(gate unit) hidden"),
    Part("Bias", BIAS, "(gate unit) one"),
)
_RESET = Setting(
    "reset", ("ResetGateMode",), {"after-multiplication": "after", "before-multiplication": "before"}, default="after",
    because="gruLayer's default, after-multiplication, from memory",
)  # fmt: skip
_SOURCE = "from memory: MATLAB's lstmLayer and gruLayer, unverified"

LAYOUTS = (
    Layout("matlab.lstmLayer", "lstm", "ifgo", _PARTS, _SOURCE, unasked="never"),
    Layout("matlab.gruLayer", "gru", "rzn", _PARTS, _SOURCE, settings=(_RESET,), unasked="never"),
)  # fmt: skip
