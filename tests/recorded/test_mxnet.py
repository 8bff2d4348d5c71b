"""MXNet's files: what MXNet 1.9.1 computed, under each of the names that it gives the same weights, and its traps."""

from __future__ import annotations

import re

import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.errors import GatewiseError

FOLDER = FIXTURES / "mxnet" / "1.9.1"
FILES = recorded("mxnet", ".params")
SHAPES = {
    "GRUCell": ("mxnet.GRUCell", 1, 1), "GRU_1": ("mxnet.GRU", 1, 1), "GRU_1_both_collected": ("mxnet.GRU", 1, 2),
    "LSTMCell": ("mxnet.LSTMCell", 1, 1), "LSTMPCell": ("mxnet.LSTMCell", 1, 1), "LSTM_2_both": ("mxnet.LSTM", 2, 2),
    "LSTM_2_exported-0000": ("mxnet.LSTM", 2, 1), "LSTM_3_collected": ("mxnet.LSTM", 3, 1),
    "RNNCell": ("mxnet.RNNCell", 1, 1), "RNN_relu_2": ("mxnet.RNN", 2, 1), "RNN_tanh_exported-0000": ("mxnet.RNN", 1, 2),
    "fused_gru_1-0000": ("mxnet.fused_gru", 1, 1), "fused_lstm_2_both-0000": ("mxnet.fused_lstm", 2, 2),
    "fused_rnn_relu_1_both-0000": ("mxnet.fused_rnn", 1, 2), "unpacked_gru_1": ("mxnet.unpacked_gru", 1, 1),
    "unpacked_lstm_2_both": ("mxnet.unpacked_lstm", 2, 2),
}  # fmt: skip
NAMES = {
    "LSTM_3_collected": r"lstm\d+", "LSTM_2_exported-0000": r"lstm\d+", "RNN_tanh_exported-0000": r"rnn\d+",
    "fused_gru_1-0000": "gru", "unpacked_lstm_2_both": "lstm", "LSTM_2_both": "",
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what MXNet recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    assert (layer.layout, spec.num_layers, spec.directions) == SHAPES[path.stem]
    assert (spec.input_size, spec.hidden_size, spec.bias) == (5, 4, "double")
    assert spec.proj_size == (3 if path.stem == "LSTMPCell" else 0)
    assert re.fullmatch(NAMES.get(path.stem, ".*"), layer.name)
    assert error(layer, record_of(path), time_major=True) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


# Traps.


def test_the_layers_default_is_relu_and_the_cells_is_tanh_and_both_are_said_to_be_assumed():
    layer, cell = (gw.open(FOLDER / f"{name}.params").only() for name in ("RNN_relu_2", "RNNCell"))
    assert (layer.dialect.activation, cell.dialect.activation) == ("relu", "tanh")
    for found in (layer, cell):
        assert any(text.startswith("activation = ") for text in found.assumed)
    for name, wrong in (("RNN_relu_2", "tanh"), ("RNNCell", "relu")):
        said = gw.open(FOLDER / f"{name}.params", activation=wrong).only()
        assert not said.assumed
        assert error(said, record_of(FOLDER / f"{name}.params"), time_major=True) > 0.01


def test_a_graph_beside_the_file_tells_the_activation():
    layer = gw.open(FOLDER / "RNN_tanh_exported-0000.params").only()
    assert layer.dialect.activation == "tanh"
    assert not layer.assumed
    assert layer.match.declared.kind == "mxnet.RNN(rnn_tanh)"


def test_a_vector_without_its_graph_asks_for_the_sizes_and_takes_them(tmp_path):
    (tmp_path / "lstm.params").write_bytes((FOLDER / "fused_lstm_2_both-0000.params").read_bytes())
    with pytest.raises(GatewiseError, match="units=, layers="):
        gw.open(tmp_path / "lstm.params").only()
    assert "--from mxnet.fused_lstm" in gw.open(tmp_path / "lstm.params").tensors.notes[0]
    layer = gw.open(tmp_path / "lstm.params", "mxnet.fused_lstm", units=4, layers=2, directions=2).only()
    record = record_of(FOLDER / "fused_lstm_2_both-0000.params")
    assert error(layer, record, time_major=True) <= claimed(layer)


def test_in_the_vector_every_matrix_lies_before_every_bias():
    """Thinc's order, biases behind each layer's matrices, fits as well and is wrong."""
    layer = gw.open(FOLDER / "fused_gru_1-0000.params").only()
    vector = layer.tensors["arg:gru_parameters"].array()
    weights = layer[0, "forward"]
    assert (weights.bias["r"] == vector[12 * 5 + 12 * 4 :][:4]).all()
    assert (weights.recurrent_bias["n"] == vector[-4:]).all()


def test_mx_rnn_calls_the_new_gate_o_and_the_cell_candidate_c():
    layer = gw.open(FOLDER / "unpacked_gru_1.params").only()
    rows = {row["tensor"]: row["gates"] for row in layer.as_dict()["tensors"]}
    assert rows["arg:gru_l0_i2h_o_weight"] == "n"
    layer = gw.open(FOLDER / "unpacked_lstm_2_both.params").only()
    rows = {row["tensor"]: (row["gates"], row["direction"]) for row in layer.as_dict()["tensors"]}
    assert rows["arg:lstm_r1_i2h_c_weight"] == ("g", "reverse")
