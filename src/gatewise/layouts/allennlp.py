"""AllenNLP's LstmCellWithProjection (ELMo) and AugmentedLSTM.

Source: allennlp/modules/lstm_cell_with_projection.py, allennlp/modules/augmented_lstm.py (0.9 to 2.10): ``__init__`` (names
and sizes) and ``forward`` (order i, f, g, o; then, in an AugmentedLSTM with its highway, two more blocks of x and one
of h).  The forget bias is stored.  ``memory_cell_clip_value`` and ``state_projection_clip_value`` are arguments, not in
the file (ELMo: 3.0).  Which cells of a stack read backwards is not in the file either, but for their names.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Layout, Part, Setting

_SOURCE = "allennlp/modules/lstm_cell_with_projection.py, augmented_lstm.py"
_NOT_HELD = "an argument of the cell, not in the file: ELMo's is 3.0"
_CLIPS = tuple(
    Setting(field, (name,), {None: None}, default=None, because=_NOT_HELD, free=True)
    for field, name in (("cell_clip", "memory_cell_clip_value"), ("proj_clip", "state_projection_clip_value"))
)
_PLAIN = (
    Part("input_linearity.weight", KERNEL, "(gate unit) feature"),
    Part("state_linearity.weight", RECURRENT_KERNEL, "(gate unit) hidden"),
    Part("input_linearity.bias", BIAS, "(gate unit)", optional=True),
    Part("state_linearity.bias", RECURRENT_BIAS, "(gate unit)", optional=True),
)
_PROJECTED = (*_PLAIN, Part("state_projection.weight", PROJECTION, "hidden unit"))
_HIGHWAY = (  # t: the highway's gate; c: x itself, carried
    Part("input_linearity.weight", KERNEL, "(gate unit) feature", gates="ifgotc"),
    Part("state_linearity.weight", RECURRENT_KERNEL, "(gate unit) hidden", gates="ifgot"),
    Part("input_linearity.bias", BIAS, "(gate unit)", optional=True, gates="ifgotc"),
    Part("state_linearity.bias", RECURRENT_BIAS, "(gate unit)", optional=True, gates="ifgot"),
)

LAYOUTS = (
    Layout("allennlp.LstmCellWithProjection", "lstm", "ifgo", _PROJECTED, _SOURCE, settings=_CLIPS, writers=("torch",)),
    Layout("allennlp.AugmentedLSTM", "lstm", "ifgo", _PLAIN, _SOURCE, writers=("torch",)),
    Layout("allennlp.AugmentedLSTM-highway", "lstm", "ifgotc", _HIGHWAY, _SOURCE, writers=("torch",),
           outside="its highway mixes the input itself into the output, which no plain LSTM does"),
)  # fmt: skip
