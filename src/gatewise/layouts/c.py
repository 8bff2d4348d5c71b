"""Weights in a C header, for microcontrollers and anything else that compiles: gatewise's own layout.

One array for each gate and role, row-major, out × in; one bias for each gate, and for a GRU that resets after the product
the hidden bias of n.  There are always biases, zeros where a layer has none, so that one program fits.  A run-time forget
bias is in bias_f, the update gate keeps the old state.  Source: ``containers/c_header``, which writes and explains it.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Fact, Layout, Part, Setting

_SOURCE = "gatewise containers/c_header.py"
_AT = "l{layer}{|_reverse}_"
_ACTIVATIONS = {
    name: name
    for name in ("sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "hard_sigmoid(0.2)", "hard_sigmoid(1/6)")
}


def _same(field: str, *values: object, default: object) -> Setting:
    """A choice that the header spells as gatewise does."""
    return Setting(field, (field,), {value: value for value in values}, default=default)


def _activation(field: str, default: str) -> Setting:
    return Setting(field, (field,), _ACTIVATIONS, default=default)


_CLIPS = tuple(Setting(field, (field,), {}, free=True) for field in ("cell_clip", "proj_clip"))
_INPUT_CLIP = Setting("input_clip", ("input_clip",), {}, free=True)
_MERGE = _same("merge", "concat", "sum", "ave", "mul", "apart", default="concat")
_COMMON = (_activation("activation", "tanh"), _INPUT_CLIP, _MERGE)
_GATES = (_activation("recurrent_activation", "sigmoid"), *_COMMON)
_FACTS = (
    Fact("unit", ("units",)), Fact("feature", ("inputs",)), Fact("layers", ("layers",)), Fact("directions", ("directions",)),
)  # fmt: skip
_PARTS = (
    Part({"c": f"{_AT}kernel_{{gate}}"}, KERNEL, "unit feature"),
    Part({"c": f"{_AT}recurrent_kernel_{{gate}}"}, RECURRENT_KERNEL, "unit hidden"),
    Part({"c": f"{_AT}bias_{{gate}}"}, BIAS, "unit"),
)

_PROVEN = "C99, compiled by cc: 1e-06"

LAYOUTS = (
    Layout("c.LSTM", "lstm", "ifgo",
           (*_PARTS, Part({"c": f"{_AT}peephole_{{gate}}"}, PEEPHOLE, "unit", optional=True, gates="ifo"),
            Part({"c": f"{_AT}projection"}, PROJECTION, "hidden unit", optional=True)),
           _SOURCE, settings=(*_GATES, _activation("output_activation", "tanh"), *_CLIPS), kinds=("c.LSTM",),
           written_as="c.LSTM", facts=_FACTS, proven=_PROVEN),
    Layout("c.GRU", "gru", "rzn",
           (*_PARTS, Part({"c": f"{_AT}recurrent_bias_{{gate}}"}, RECURRENT_BIAS, "unit", gates="n", given={"reset": "after"})),
           _SOURCE, dialect=replace(PLAIN["gru"]), settings=(*_GATES, _same("reset", "after", "before", default="after")),
           kinds=("c.GRU",), written_as="c.GRU", facts=_FACTS, also=({"reset": "before"},), proven=_PROVEN),
    Layout("c.RNN", "rnn", "h", _PARTS, _SOURCE, settings=_COMMON, kinds=("c.RNN",), written_as="c.RNN", facts=_FACTS, proven=_PROVEN),
)  # fmt: skip
