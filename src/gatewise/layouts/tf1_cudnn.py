"""CudnnLSTM, CudnnGRU, CudnnRNNTanh and CudnnRNNRelu of TensorFlow 1's contrib: the canonical tensors and the opaque buffer.

Source: tensorflow/contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py 1.15.0, CudnnCompatibleLSTMCell, CudnnCompatibleGRUCell,
CudnnParamsFormatConverter and CudnnOpaqueParamsSaveable.  The saver writes the weights twice: in TensorFlow's own order
below ``cudnn_compatible_*_cell`` (the vanilla RNNs' below ``basic_rnn_cell``), and as cuDNN's buffer, ``opaque_kernel``.
The canonical LSTM has its two biases summed and adds nothing to f at run time; the GRU resets after the product and keeps
the candidate's two biases apart.
The buffer's order is NVIDIA's documented one: every layer's and direction's matrices, [out, in], then every bias.  A GPU
may have padded it: where the canonical tensors are there too, they are read.
"""

from __future__ import annotations

from ..record import replace
from ..weights import BIAS, KERNEL, PLAIN, RECURRENT_BIAS, RECURRENT_KERNEL
from ._layout import Fact, Layout, Part
from .tf1 import WRITERS, joint, under

_SOURCE = "tensorflow/contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py"
_LSTM, _GRU = ("cudnn_compatible_lstm_cell",), ("cudnn_compatible_gru_cell",)
_BUFFER = "[layer direction: (gate unit) feature + (gate unit) hidden] [layer direction: (gate unit) + (gate unit)]"
_FACTS = (
    Fact("unit", ("num_units",)),
    Fact("layers", ("num_layers",)),
    Fact("directions", ("direction",), {"unidirectional": 1, "bidirectional": 2}),
    Fact("feature", ("input_size",)),
)


def _opaque(scope: str) -> tuple[Part, ...]:
    return (Part(f"<{scope}[_*]>/opaque_kernel", KERNEL + RECURRENT_KERNEL + BIAS + RECURRENT_BIAS, _BUFFER),)


LAYOUTS = (
    Layout("tf1.CudnnCompatibleLSTMCell", "lstm", "igfo", joint(under(_LSTM, "kernel"), under(_LSTM, "bias")),
           f"{_SOURCE}, CudnnCompatibleLSTMCell", kinds=("tf1.CudnnCompatibleLSTMCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.15.0: 2e-07"),
    Layout("tf1.CudnnCompatibleGRUCell", "gru", "rzn",
           (*joint(under(_GRU, "gates/kernel"), under(_GRU, "gates/bias"), "rz"),
            Part(under(_GRU, "candidate/input_projection/kernel"), KERNEL, "feature unit", gates="n"),
            Part(under(_GRU, "candidate/input_projection/bias"), BIAS, "unit", gates="n"),
            Part(under(_GRU, "candidate/hidden_projection/kernel"), RECURRENT_KERNEL, "hidden unit", gates="n"),
            Part(under(_GRU, "candidate/hidden_projection/bias"), RECURRENT_BIAS, "unit", gates="n")),
           f"{_SOURCE}, CudnnCompatibleGRUCell", kinds=("tf1.CudnnCompatibleGRUCell",), separator="/", writers=WRITERS, reverse_settings="bw",
           proven="TensorFlow 1.15.0: 2e-07"),
    Layout("tf1.CudnnLSTM", "lstm", "ifgo", _opaque("cudnn_lstm"), _SOURCE, kinds=("tf1.CudnnLSTM",), facts=_FACTS,
           separator="/", writers=WRITERS, reverse_settings="bw"),
    Layout("tf1.CudnnGRU", "gru", "rzn", _opaque("cudnn_gru"), _SOURCE, kinds=("tf1.CudnnGRU",), facts=_FACTS,
           separator="/", writers=WRITERS, reverse_settings="bw"),
    Layout("tf1.CudnnRNNTanh", "rnn", "h", _opaque("cudnn_rnn_tanh"), _SOURCE, kinds=("tf1.CudnnRNNTanh",), facts=_FACTS,
           separator="/", writers=WRITERS, reverse_settings="bw"),
    Layout("tf1.CudnnRNNRelu", "rnn", "h", _opaque("cudnn_rnn_relu"), _SOURCE, kinds=("tf1.CudnnRNNRelu",), facts=_FACTS,
           dialect=replace(PLAIN["rnn"], activation="relu"), separator="/", writers=WRITERS, reverse_settings="bw"),
)  # fmt: skip
