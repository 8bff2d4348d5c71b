"""Tesseract's LSTM layers.

Source: src/lstm/lstm.cpp, ``Forward`` (the equations; the cell state is held within 100) and ``DeSerialize`` (order of the
matrices); src/lstm/weightmatrix.cpp, ``MatrixDotVector`` (the bias is the last column).  Each gate has a matrix of its own over x
and h.  A quantised network also rounds what goes in, x and h, to bytes: its own outputs differ from those computed here.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting


def _gate(name: str, gate: str) -> Part:
    return Part({INPUTS: name}, KERNEL + RECURRENT_KERNEL + BIAS, "unit feature + hidden + one", gates=gate)


_PARTS = (_gate("CI", "g"), _gate("GI", "i"), _gate("GF1", "f"), _gate("GO", "o"))
_BACKWARDS = tuple(  # "RTLReversed" turns what goes in and what comes out
    Setting(field, ("backwards",), {True: True, False: False}, default=False)
    for field in ("go_backwards", "backwards_in_place")
)
_SOURCE = "tesseract src/lstm/lstm.cpp"
_DIALECT = replace(PLAIN["lstm"], cell_clip=100.0)
_TWO_WAYS = Part({INPUTS: "GFS"}, KERNEL, "unit feature", gates="s")
_LOOSE = tuple(Part({INPUTS: name}, KERNEL, "unit feature", gates=gate)
               for name, gate in (("CI", "g"), ("GI", "i"), ("GF1", "f"), ("GO", "o")))  # fmt: skip

LAYOUTS = (
    Layout("tesseract.LSTM", "lstm", "gifo", _PARTS, _SOURCE, dialect=_DIALECT, settings=_BACKWARDS, kinds=("tesseract.LSTM",),
           facts=(Fact("unit", ("ns",)), Fact("feature", ("ni",)))),
    Layout("tesseract.LSTM-2D", "lstm", "gifos", (*_LOOSE, _TWO_WAYS), _SOURCE, kinds=("tesseract.LSTM2D",),
           outside="it reads in two dimensions, with a forget gate for each"),
    Layout("tesseract.LSTM-softmax", "lstm", "gifo", _LOOSE, _SOURCE, kinds=("tesseract.LSTMSoftmax", "tesseract.LSTMBinarySoftmax"),
           outside="the softmax of its outputs is fed back beside them"),
)  # fmt: skip
