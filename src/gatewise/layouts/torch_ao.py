"""torch.ao.nn.quantizable.LSTM: the float layer that torch prepares for quantisation, before it is quantised.

Source: torch/ao/nn/quantizable/modules/rnn.py, LSTMCell.__init__ (igates, hgates: one Linear each, or with
``split_gates`` one for each gate) and LSTM.__init__ (``layers.{k}.layer_fw``, ``layer_bw``).  Gate order and equations are
torch.nn.LSTM's.  The observers beside the weights tell nothing of the function; what is quantised already is named
elsewhere.  torch 1.6 to 1.12 called the module torch.nn.quantizable.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Fact, Layout, Part

_SOURCE = "torch/ao/nn/quantizable/modules/rnn.py"
_LEVEL = "layers.{layer}.{layer_fw|layer_bw}.cell."
_SPELLED = {"i": "input", "f": "forget", "g": "cell", "o": "output"}
_FACTS = (
    Fact("unit", ("hidden_size",)),
    Fact("feature", ("input_size",)),
    Fact("layers", ("num_layers",)),
    Fact("directions", ("bidirectional",), {True: 2, False: 1}),
)


def _kinds(name: str) -> tuple[str, ...]:
    return tuple(f"{package}.quantizable.modules.rnn.{name}" for package in ("torch.ao.nn", "torch.nn"))


def _parts(level: str) -> tuple[Part, ...]:
    return (
        Part(f"{level}igates.weight", KERNEL, "(gate unit) feature"),
        Part(f"{level}hgates.weight", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(f"{level}igates.bias", BIAS, "(gate unit)", optional=True),
        Part(f"{level}hgates.bias", RECURRENT_BIAS, "(gate unit)", optional=True),
    )


def _split(level: str) -> tuple[Part, ...]:
    return (
        Part(f"{level}igates.{{gate}}.weight", KERNEL, "unit feature"),
        Part(f"{level}hgates.{{gate}}.weight", RECURRENT_KERNEL, "unit hidden"),
        Part(f"{level}igates.{{gate}}.bias", BIAS, "unit", optional=True),
        Part(f"{level}hgates.{{gate}}.bias", RECURRENT_BIAS, "unit", optional=True),
    )


LAYOUTS = (
    Layout("torch_ao.LSTM", "lstm", "ifgo", _parts(_LEVEL), _SOURCE, kinds=_kinds("LSTM"), facts=_FACTS,
           writers=("torch",), proven="torch 2.13.0: 2e-07"),
    Layout("torch_ao.LSTM-split", "lstm", "ifgo", _split(_LEVEL), _SOURCE, kinds=_kinds("LSTM"), facts=_FACTS,
           spelled=_SPELLED, writers=("torch",), proven="torch 2.13.0: 2e-07"),
    Layout("torch_ao.LSTMCell", "lstm", "ifgo", _parts(""), _SOURCE, kinds=_kinds("LSTMCell"), facts=_FACTS[:2],
           writers=("torch",), proven="torch 2.13.0: 2e-07"),
    Layout("torch_ao.LSTMCell-split", "lstm", "ifgo", _split(""), _SOURCE, kinds=_kinds("LSTMCell"), facts=_FACTS[:2],
           spelled=_SPELLED, writers=("torch",), proven="torch 2.13.0: 2e-07"),
)  # fmt: skip
