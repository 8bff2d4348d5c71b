"""The other cells of TensorFlow 1's contrib: coupled gates and UGRNN, which run; and those whose cell is not plain.

Source: tensorflow/contrib/rnn/python/ops/rnn_cell.py of 0.12.1 to 1.15.0.  Layer normalisation (per gate, and of the cell
state that is carried on), NASCell, SRUCell, the IndRNN family, GLSTMCell, IntersectionRNNCell, MinimalRNNCell and the
convolutional cells are named, with their gates where these have a meaning, and are neither run nor converted.
Not known here: PhasedLSTMCell, GridLSTMCell, TimeFreqLSTMCell, CFNCell, NTMCell, the attention wrappers.
"""

from __future__ import annotations

from ..record import replace
from ..weights import (
    BIAS,
    KERNEL,
    NORM_OFFSET,
    NORM_SCALE,
    PLAIN,
    RECURRENT_BIAS,
    RECURRENT_DIAGONAL,
    RECURRENT_KERNEL,
)
from ._layout import Layout, Part
from .tf1 import (
    BOTH,
    FORGETS,
    JOINT,
    OUTPUT,
    PROJ_CLIP,
    WRITERS,
    Names,
    activation,
    forget_bias,
    joint,
    peepholes,
    projection,
    under,
)

_SOURCE = "tensorflow/contrib/rnn/python/ops/rnn_cell.py"
_COUPLED = ("coupled_input_forget_gate_lstm_cell", "CoupledInputForgetGateLSTMCell")
_NORMED = ("layer_norm_basic_lstm_cell", "layer_norm_lstm_cell", "LayerNormBasicLSTMCell")
_SPELLED = {"i": "input", "g": "transform", "f": "forget", "o": "output", "c": "state"}
_WHY_NORMED = "it normalises each gate and the cell state that it carries on; gatewise names it and does not run it"
_WHY_DIAGONAL = (
    "each unit sees only its own last output (a vector, no recurrent matrix); gatewise names it and does not run it"
)
_CONVOLUTIONS = ("conv_1d_lstm_cell", "conv_2d_lstm_cell", "conv_3d_lstm_cell", "conv_lstm_cell")

_COUPLED_PARTS = (
    *joint(under(_COUPLED, "W_0"), under(_COUPLED, "B")),
    *peepholes({"f": under(_COUPLED, "W_F_diag"), "o": under(_COUPLED, "W_O_diag")}),
    projection(under(_COUPLED, "W_P_0")),
)


def _norms(scopes: Names, gates: str) -> tuple[Part, ...]:
    return (
        Part(under(scopes, "{gate}/gamma"), NORM_SCALE, "unit", gates=gates),
        Part(under(scopes, "{gate}/beta"), NORM_OFFSET, "unit", gates=gates),
    )


def _diagonal(cell: str, input_kernel: str, leaf: str = "", gates: str | None = None) -> tuple[Part, ...]:
    """A kernel of the input, a diagonal of the last output, a bias."""
    return (
        Part(under((cell,), leaf + input_kernel), KERNEL, "feature (gate unit)", gates=gates),
        Part(under((cell,), f"{leaf}kernel_u"), RECURRENT_DIAGONAL, "one (gate unit)", gates=gates),
        Part(under((cell,), f"{leaf}bias"), BIAS, "(gate unit)", gates=gates),
    )


def _outside(name: str, cell: str, gates: str, parts: tuple[Part, ...], why: str, spelled: dict[str, str] | None = None) -> Layout:  # fmt: skip
    return Layout(f"tf1.{name}", cell, gates, parts, f"{_SOURCE}, {name}", kinds=(f"tf1.{name}",), separator="/",
                  writers=WRITERS, reverse_settings="bw", outside=why, spelled=spelled or {})  # fmt: skip


LAYOUTS = (
    Layout("tf1.CoupledInputForgetGateLSTMCell", "lstm", "gfo", _COUPLED_PARTS, f"{_SOURCE}, CoupledInputForgetGateLSTMCell",
           dialect=replace(FORGETS, coupled="i"),
           settings=(forget_bias("CoupledInputForgetGateLSTMCell"), PROJ_CLIP, activation("CoupledInputForgetGateLSTMCell"), OUTPUT),
           kinds=("tf1.CoupledInputForgetGateLSTMCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 0.12.1 to 1.15.0: 2e-07"),
    Layout("tf1.UGRNNCell", "ugrnn", "zn", joint(under(("ugrnn_cell",), "kernel"), under(("ugrnn_cell",), "bias")),
           f"{_SOURCE}, UGRNNCell", dialect=replace(PLAIN["ugrnn"], forget_bias=1.0),
           settings=(forget_bias("UGRNNCell"), activation("UGRNNCell")), kinds=("tf1.UGRNNCell",),
           separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.2.1 and 1.15.0: 2e-07"),
    _outside("LayerNormBasicLSTMCell", "lstm", "igfoc",
             (Part((*under(_NORMED[:2], "kernel"), *under(_NORMED[:1], "weights"), *under(_NORMED[2:], "linear/weights")),
                   BOTH, JOINT, gates="igfo"),
              Part(under(_NORMED[1:2], "bias"), BIAS, "(gate unit)", optional=True, gates="igfo"),
              *peepholes({gate: under(_NORMED[1:2], f"w_{gate}_diag") for gate in "ifo"}),
              projection(under(_NORMED[1:2], "projection/kernel")), *_norms(_NORMED, "igfoc")), _WHY_NORMED, _SPELLED),
    _outside("CoupledInputForgetGateLSTMCell-normalised", "lstm", "gfoc",
             tuple(replace(part, gates=part.gates or "gfo") for part in _COUPLED_PARTS) + _norms(_COUPLED, "gfoc"), _WHY_NORMED, _SPELLED),
    _outside("NASCell", "nas", "01234567",
             (Part(under(("nas_cell",), "kernel"), KERNEL, "feature (gate unit)"),
              Part(under(("nas_cell",), "recurrent_kernel"), RECURRENT_KERNEL, "hidden (gate unit)"),
              Part(under(("nas_cell",), "bias"), RECURRENT_BIAS, "(gate unit)", optional=True),
              projection(under(("nas_cell",), "projection_weights"))),
             "its eight branches are joined by a tree that a search found (Zoph & Le 2017), not by gates"),
    _outside("SRUCell", "sru", "nfrx",
             (Part(under(("sru_cell",), "kernel"), KERNEL, "feature (gate unit)"),
              Part(under(("sru_cell",), "bias"), BIAS, "(gate unit)", gates="fr")),
             "its gates do not see the last output (n candidate, f forget, r reset, x the highway); gatewise names it and does not run it"),
    _outside("IndRNNCell", "rnn", "h", _diagonal("ind_rnn_cell", "kernel_w"), _WHY_DIAGONAL),
    _outside("IndyGRUCell", "gru", "rzn",
             (*_diagonal("indy_gru_cell", "kernel_w", "gates/", "rz"), *_diagonal("indy_gru_cell", "kernel", "candidate/", "n")),
             _WHY_DIAGONAL),
    _outside("IndyLSTMCell", "lstm", "igfo", _diagonal("indy_lstm_cell", "kernel_w"), _WHY_DIAGONAL),
    _outside("GLSTMCell", "lstm", "igfo", (Part(under(("glstm_cell[_*]/group*",), "kernel"), BOTH, JOINT),),
             "input and units are cut into groups with a kernel each; this is one of them, and the biases are shared"),
    _outside("IntersectionRNNCell", "irnn", "gnhy",
             joint(under(("intersection_rnn_cell",), "kernel"), under(("intersection_rnn_cell",), "bias")),
             "it passes on a second value through depth (Collins et al. 2017); gatewise names it and does not run it"),
    # Its rows are the input's, then twice the units'; what stands for the features here is a row of units too many.
    _outside("MinimalRNNCell", "minimalrnn", "u",
             joint(under(("minimal_rnn_cell",), "kernel"), under(("minimal_rnn_cell",), "bias"), phrase="(feature + hidden) unit"),
             "its input is embedded by a product of its own before the gate; gatewise names it and does not run it"),
    # Kernels with more than two axes: recognised by name, and told by their axes to be convolutions.
    _outside("ConvLSTMCell", "lstm", "igfo", joint(under(_CONVOLUTIONS, "kernel"), under(_CONVOLUTIONS, "biases")),
             "its gates are convolutions, not matrices; gatewise names it and does not convert it"),
)  # fmt: skip
