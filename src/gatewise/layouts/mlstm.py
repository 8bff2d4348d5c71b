"""The multiplicative LSTM, as openai/generating-reviews-discovering-sentiment keeps it: named, not read.

Source: Krause et al. 2016, eq. 14 to 18; that repository's encoder.py, ``mlstm``: wx, wh, wmx, wmh, b and, for their weight
norms, gx, gh, gmx, gmh.  ``wx``, ``wh`` and ``b`` alone fit plain LSTMs: the two others say what this is.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import Layout, Part

_PARTS = (
    Part("wx", KERNEL, "feature (gate unit)", gates="ifog"),
    Part("wh", RECURRENT_KERNEL, "hidden (gate unit)", gates="ifog"),
    Part("wmx", KERNEL, "feature unit", gates="m"),
    Part("wmh", RECURRENT_KERNEL, "hidden unit", gates="m"),
    Part("b", BIAS, "(gate unit)", gates="ifog", optional=True),
)

LAYOUTS = (
    Layout("mlstm.mLSTM", "mlstm", "ifogm", _PARTS, "generating-reviews-discovering-sentiment encoder.py, mlstm",
           outside="what is fed back is a product of x's and h's shares, which no plain LSTM has"),
)  # fmt: skip
