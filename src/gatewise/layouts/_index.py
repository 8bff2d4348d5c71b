"""What is known of each table before it is imported.  The rows are written by ``make docs``; do not edit them."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    module: str
    layouts: tuple[str, ...]
    clues: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # texts, kinds, streams: see ``_clues``


ROWS: tuple[Row, ...] = (
    Row('dynet', ('dynet.VanillaLSTM', 'dynet.CoupledLSTM', 'dynet.GRU', 'dynet.SimpleRNN', 'dynet.LayerNormLSTM'), ((), ('dynet.compact-vanilla-lstm-builder', 'dynet.gru-builder', 'dynet.lstm-builder', 'dynet.simple-rnn-builder', 'dynet.vanilla-lstm-builder'), ())),
    Row('keras', ('keras.LSTM', 'keras.GRU', 'keras.SimpleRNN', 'keras.CuDNNLSTM', 'keras.CuDNNGRU'), (('/vars/1', 'recurrent_kernel'), (), ())),
    Row('keras1', ('keras1.LSTM', 'keras1.LSTM-gpu', 'keras1.GRU', 'keras1.GRU-gpu', 'keras1.SimpleRNN'), (('W', 'W_', '_W', '_W_'), (), ())),
    Row('onnx', ('onnx.LSTM', 'onnx.GRU', 'onnx.RNN', 'onnx.DynamicQuantizeLSTM'), ((), ('com.microsoft.DynamicQuantizeLSTM', 'onnx.GRU', 'onnx.LSTM', 'onnx.RNN'), ())),
    Row('tfjs', ('tfjs.LSTM', 'tfjs.GRU', 'tfjs.SimpleRNN'), (('recurrent_kernel',), (), ())),
    Row('torch', ('torch.LSTM', 'torch.GRU', 'torch.RNN', 'torch.LSTMCell', 'torch.GRUCell', 'torch.RNNCell'), (('weight_ih', 'weight_ih_l', '~w_ih', '~w_ih_l'), (), ())),
)  # fmt: skip
MODULES = frozenset(row.module for row in ROWS)
