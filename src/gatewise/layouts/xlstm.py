"""xLSTM's sLSTM cell: exponential gates, in heads that do not see each other; and mLSTM, which is only named.

Source: xlstm/blocks/slstm/cell.py, sLSTMCell_vanilla and sLSTMCell_cuda (2.0.6); xlstm/blocks/slstm/src/vanilla/*.py (the
equations); Beck et al. 2024.  Blocks i, f, z, o.  The cell takes the four gates' shares of the input, side by side, so
that its input has four times as many features as it has units.  The matrices are made of the stored heads
(``effective``), whose order differs between the backends.  A state dict does not hold ``function``: a cell made with
``function="lstm"`` has the same tensors.
"""

from __future__ import annotations

from ..weights import BIAS, KERNEL, RECURRENT_KERNEL
from ._layout import Layout, Part

_SOURCE = "xlstm/blocks/slstm/cell.py"
_FUNCTION = "a cell made with function='lstm' has the same tensors (xlstm.LSTM)"
_OTHER_ORDER = "the CUDA backend keeps its bias in another order, read from its source and never run; " + _FUNCTION


def _parts(backend: str, bias: str) -> tuple[Part, ...]:
    return (
        Part(f"{backend}.kernel", KERNEL, "(gate unit) feature"),
        Part(f"{backend}.recurrent_kernel", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part(bias, BIAS, "(gate unit)"),
    )


_VANILLA = _parts("slstm", "_bias_")
_CUDA = _parts("slstm_cuda", "slstm_cuda.bias")
_MLSTM = (
    Part("mlstm_cell.igate.weight", KERNEL, "unit feature", gates="i"),
    Part("mlstm_cell.igate.bias", BIAS, "unit", gates="i"),
    Part("mlstm_cell.fgate.weight", KERNEL, "unit feature", gates="f"),
    Part("mlstm_cell.fgate.bias", BIAS, "unit", gates="f"),
)

LAYOUTS = (
    Layout("xlstm.sLSTM", "slstm", "ifgo", _VANILLA, _SOURCE, writers=("torch",), doubt=_FUNCTION,
           proven="xlstm 2.0.6: 6e-07"),
    Layout("xlstm.LSTM", "lstm", "ifgo", _VANILLA, _SOURCE, writers=("torch",), unasked="never",
           proven="xlstm 2.0.6: 2e-07"),
    Layout("xlstm.sLSTM-cuda", "slstm", "ifgo", _CUDA, _SOURCE, writers=("torch",), doubt=_OTHER_ORDER),
    Layout("xlstm.LSTM-cuda", "lstm", "ifgo", _CUDA, _SOURCE, writers=("torch",), unasked="never"),
    Layout("xlstm.mLSTM", "mlstm", "if", _MLSTM, "xlstm/blocks/mlstm/cell.py, mLSTMCell", writers=("torch",),
           outside="its state is a matrix for each head, and nothing of it is fed back through weights"),
)  # fmt: skip
