"""CNTK's LSTM, GRU and RNNStep blocks, and OptimizedRNNStack, which is cuDNN's.

Source: bindings/python/cntk/layers/blocks.py, _RecurrentBlock (CNTK 2.7: which parameters, and the equations of ``lstm``,
``gru`` and ``rnn_step``); cntk/misc/optimized_rnnstack_converter.py (the stack's one vector: all matrices, then all biases).
``x @ W``.  RNNStep's own default is a sigmoid; what a block computes is in the file.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PEEPHOLE, PLAIN, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import INPUTS, Fact, Layout, Part, Setting

_SOURCE = "cntk/layers/blocks.py, _RecurrentBlock"
_STACK_SOURCE = "cntk/misc/optimized_rnnstack_converter.py"
_NAMES = {"Tanh": "tanh", "ReLU": "relu", "ELU": "elu", "Exp": "exponential", "Softplus": "softplus", "SELU": "selu"}


def _functions(gates: int, others: int) -> dict[str, str]:
    """What the functions that a block holds mean: so many sigmoids of its gates, and its activation elsewhere."""
    sigmoids = f"Sigmoid*{gates} " if gates else ""
    said = {f"{sigmoids}{name}*{others}": ours for name, ours in _NAMES.items()}
    return {**said, f"Sigmoid*{gates + others}": "sigmoid", sigmoids.strip(): "linear"}


def _settings(gates: int, others: int, *fields: str) -> tuple[Setting, ...]:
    backwards = (
        "go_backwards",
        "backwards_in_place",
    )  # a lone reverse direction gives its outputs in the input's order
    return (
        *(Setting(field, ("functions",), _functions(gates, others)) for field in fields),
        *(Setting(field, ("backwards",), {True: True, False: False}, default=False) for field in backwards),
    )


def _part(name: str, role: tuple[str, ...], phrase: str, gates: str | None = None, optional: bool = False) -> Part:
    return Part({INPUTS: name}, role, phrase, gates=gates, optional=optional)


_LSTM = (
    _part("W", KERNEL, "feature (gate unit)"),
    _part("H", RECURRENT_KERNEL, "hidden (gate unit)"),
    _part("b", BIAS, "(gate unit)"),
    *(_part(f"C{gate}", PEEPHOLE, "unit", gate, optional=True) for gate in "ifo"),
    _part("P", PROJECTION, "unit hidden", optional=True),
)
_GRU = (
    _part("W", KERNEL, "feature (gate unit)"),
    _part("H", RECURRENT_KERNEL, "hidden (gate unit)", "zr"),
    _part("H1", RECURRENT_KERNEL, "hidden unit", "n"),
    _part("b", BIAS, "(gate unit)"),
)
_RNN = (
    _part("W", KERNEL, "feature unit"),
    _part("H", RECURRENT_KERNEL, "hidden unit"),
    _part("b", BIAS, "unit"),
)
_STACK = (
    _part(
        "W",
        KERNEL + RECURRENT_KERNEL + BIAS + RECURRENT_BIAS,
        "[layer direction: (gate unit) feature + (gate unit) hidden] [layer direction: (gate unit) + (gate unit)]",
    ),
)
_STACK_FACTS = (
    Fact("unit", ("hiddenSize",)),
    Fact("layers", ("numLayers",)),
    Fact("directions", ("bidirectional",), {True: 2, False: 1}),
)


def _stack(name: str, cell: str, gates: str, op: str, proven: str, **dialect: str) -> Layout:
    return Layout(f"cntk.OptimizedRNNStack-{name}", cell, gates, _STACK, _STACK_SOURCE, facts=_STACK_FACTS, proven=proven,
                  dialect=replace(PLAIN[cell], **dialect), kinds=(f"cntk.OptimizedRNNStack.{op}",))  # fmt: skip


_PROVEN = "CNTK 2.7: 3e-07"

LAYOUTS = (
    Layout("cntk.LSTM", "lstm", "igfo", _LSTM, _SOURCE, kinds=("cntk.LSTM",), proven=_PROVEN,
           settings=_settings(3, 2, "activation", "output_activation")),
    Layout("cntk.GRU", "gru", "zrn", _GRU, _SOURCE, kinds=("cntk.GRU",), proven=_PROVEN,
           dialect=replace(PLAIN["gru"], reset="before"), settings=_settings(2, 1, "activation")),
    Layout("cntk.RNNStep", "rnn", "h", _RNN, _SOURCE, kinds=("cntk.RNNStep",), proven=_PROVEN,
           dialect=replace(PLAIN["rnn"], activation="sigmoid"), settings=_settings(0, 1, "activation")),
    Layout("cntk.GRU-stabilized", "gru", "zrn", _GRU, _SOURCE, kinds=("cntk.GRU.stabilized",),
           outside="its stabilizer also scales the state that the update gate keeps, which no plain GRU does"),
    _stack("lstm", "lstm", "ifgo", "lstm", _PROVEN),
    _stack("tanh", "rnn", "h", "rnnTanh", _PROVEN),
    _stack("relu", "rnn", "h", "rnnReLU", _PROVEN, activation="relu"),
    _stack("gru", "gru", "rzn", "gru", ""),
)  # fmt: skip
