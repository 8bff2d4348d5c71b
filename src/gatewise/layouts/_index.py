"""What is known of each table before it is imported.  The rows are written by ``make docs``; do not edit them."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    module: str
    layouts: tuple[str, ...]
    clues: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # texts, kinds, streams: see ``_clues``


ROWS: tuple[Row, ...] = (
    Row('allennlp', ('allennlp.LstmCellWithProjection', 'allennlp.AugmentedLSTM', 'allennlp.AugmentedLSTM-highway'), (('input_linearity.weight', 'state_projection.weight'), (), ())),
    Row('dynet', ('dynet.VanillaLSTM', 'dynet.CoupledLSTM', 'dynet.GRU', 'dynet.SimpleRNN', 'dynet.LayerNormLSTM'), ((), ('dynet.compact-vanilla-lstm-builder', 'dynet.gru-builder', 'dynet.lstm-builder', 'dynet.simple-rnn-builder', 'dynet.vanilla-lstm-builder'), ())),
    Row('haste', ('haste.LSTM', 'haste.GRU', 'haste.LayerNormLSTM', 'haste.LayerNormGRU', 'haste.IndRNN'), (('recurrent_kernel', 'recurrent_scale'), (), ())),
    Row('keras', ('keras.LSTM', 'keras.GRU', 'keras.SimpleRNN', 'keras.CuDNNLSTM', 'keras.CuDNNGRU'), (('/vars/1', 'recurrent_kernel'), (), ())),
    Row('keras1', ('keras1.LSTM', 'keras1.LSTM-gpu', 'keras1.GRU', 'keras1.GRU-gpu', 'keras1.SimpleRNN'), (('W', 'W_', '_W', '_W_'), (), ())),
    Row('lasagne', ('lasagne.LSTM', 'lasagne.GRU', 'lasagne.RNN'), (('W_hid_to_forgetgate', 'W_hid_to_hidden_update', 'hidden_to_hidden.W'), (), ('#arr',))),
    Row('mlstm', ('mlstm.mLSTM',), (('wmx',), (), ())),
    Row('onnx', ('onnx.LSTM', 'onnx.GRU', 'onnx.RNN', 'onnx.DynamicQuantizeLSTM'), ((), ('com.microsoft.DynamicQuantizeLSTM', 'onnx.GRU', 'onnx.LSTM', 'onnx.RNN'), ())),
    Row('sonnet', ('sonnet.LSTM', 'sonnet.GRU', 'sonnet.VanillaRNN', 'sonnet1.LSTM', 'sonnet1.LSTM-peepholes', 'sonnet1.GRU', 'sonnet1.VanillaRNN'), (('_hidden_to_hidden/w', '_w_i', 'hidden_to_hidden/w', 'w', 'w_gates', 'w_i'), (), ())),
    Row('tf1', ('tf1.BasicRNNCell', 'tf1.BasicLSTMCell', 'tf1.LSTMCell', 'tf1.LSTMCell-1.0', 'tf1.LSTMBlockFusedCell', 'tf1.LSTMBlockFusedCell-1.2', 'tf1.LSTMBlockCell-0.12', 'tf1.GRUCell', 'tf1.GRUBlockCell'), (('/Candidate/Linear/Matrix', '/GRUBlockCell', '/Linear/Matrix', '/candidate/kernel', '/candidate/weights', 'GRUBlockCell', 'LSTMBlockCell', 'LSTMBlockFusedCell', 'LSTMCell', 'LayerNormBasicLSTMCell', 'basic_lstm_cell', 'basic_rnn_cell', 'gru_cell', 'layer_norm_basic_lstm_cell', 'lstm_block_wrapper', 'lstm_cell', 'lstm_fused_cell', '~bidirectional_rnn/', '~multi_rnn_cell/cell_'), (), ())),
    Row('tf1_contrib', ('tf1.CoupledInputForgetGateLSTMCell', 'tf1.UGRNNCell', 'tf1.LayerNormBasicLSTMCell', 'tf1.CoupledInputForgetGateLSTMCell-normalised', 'tf1.NASCell', 'tf1.SRUCell', 'tf1.IndRNNCell', 'tf1.IndyGRUCell', 'tf1.IndyLSTMCell', 'tf1.GLSTMCell', 'tf1.IntersectionRNNCell', 'tf1.MinimalRNNCell', 'tf1.ConvLSTMCell'), (('/candidate/kernel_u', '/recurrent_kernel', 'CoupledInputForgetGateLSTMCell', 'LayerNormBasicLSTMCell', 'conv_1d_lstm_cell', 'conv_2d_lstm_cell', 'conv_3d_lstm_cell', 'conv_lstm_cell', 'coupled_input_forget_gate_lstm_cell', 'glstm_cell', 'ind_rnn_cell', 'indy_lstm_cell', 'intersection_rnn_cell', 'layer_norm_basic_lstm_cell', 'layer_norm_lstm_cell', 'minimal_rnn_cell', 'sru_cell', 'ugrnn_cell'), (), ())),
    Row('tf1_cudnn', ('tf1.CudnnCompatibleLSTMCell', 'tf1.CudnnCompatibleGRUCell', 'tf1.CudnnLSTM', 'tf1.CudnnGRU', 'tf1.CudnnRNNTanh', 'tf1.CudnnRNNRelu'), (('/candidate/hidden_projection/kernel', '/opaque_kernel', 'cudnn_compatible_lstm_cell', 'cudnn_rnn_relu', 'cudnn_rnn_tanh'), (), ())),
    Row('tfjs', ('tfjs.LSTM', 'tfjs.GRU', 'tfjs.SimpleRNN'), (('recurrent_kernel',), (), ())),
    Row('torch', ('torch.LSTM', 'torch.GRU', 'torch.RNN', 'torch.LSTMCell', 'torch.GRUCell', 'torch.RNNCell'), (('weight_ih', 'weight_ih_l', '~w_ih', '~w_ih_l'), (), ())),
    Row('torch_ao', ('torch_ao.LSTM', 'torch_ao.LSTM-split', 'torch_ao.LSTMCell', 'torch_ao.LSTMCell-split'), (('.cell.igates.', '.cell.igates.weight', 'igates.', 'igates.weight'), (), ())),
    Row('xlstm', ('xlstm.sLSTM', 'xlstm.LSTM', 'xlstm.sLSTM-cuda', 'xlstm.LSTM-cuda', 'xlstm.mLSTM'), (('mlstm_cell.igate.weight', 'slstm.recurrent_kernel', 'slstm_cuda.recurrent_kernel'), (), ())),
)  # fmt: skip
MODULES = frozenset(row.module for row in ROWS)
