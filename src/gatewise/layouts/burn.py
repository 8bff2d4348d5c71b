"""Burn's Lstm, BiLstm, Gru and BiGru (Rust).  Source only: no Rust was run.

Source: tracel-ai/burn crates/burn-nn/src/modules/rnn/{lstm,gru,gate_controller}.rs: a GateController for each gate, with an
input_transform and a hidden_transform, which are Linear layers (weight [in, out]).  ``input_forget`` (f = 1 - i), clip
and ``reset_after`` are of the configuration, not of the record.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "burn crates/burn-nn/src/modules/rnn/{}.rs"
_AT = "[{forward|reverse}.]{gate}_gate."
_PARTS = (
    Part(f"{_AT}input_transform.weight", KERNEL, "feature unit"),
    Part(f"{_AT}hidden_transform.weight", RECURRENT_KERNEL, "hidden unit"),
    Part(f"{_AT}input_transform.bias", BIAS, "unit", optional=True),
    Part(f"{_AT}hidden_transform.bias", RECURRENT_BIAS, "unit", optional=True),
)
_RESET = Setting(
    "reset", ("reset_after",), {True: "after", False: "before"}, default="after",
    because="GruConfig's default; the record does not hold reset_after",
)  # fmt: skip

LAYOUTS = (
    Layout("burn.Lstm", "lstm", "ifgo", _PARTS, _SOURCE.format("lstm"), spelled={"i": "input", "f": "forget", "g": "cell", "o": "output"}),
    Layout("burn.Gru", "gru", "rzn", _PARTS, _SOURCE.format("gru"), spelled={"r": "reset", "z": "update", "n": "new"},
           settings=(_RESET,)),
)  # fmt: skip
