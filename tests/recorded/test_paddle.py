"""Paddle's files: what Paddle 3.3.1 computed, and its traps."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.tensors import StoredTensor, Tensors

FOLDER = FIXTURES / "paddle" / "3.3.1"
FILES = recorded("paddle", ".pdparams")
SHAPES = {
    "GRUCell": ("paddle.GRUCell", 1, 1), "GRU_2": ("paddle.GRU", 2, 1),
    "LSTMCell": ("paddle.LSTMCell", 1, 1), "LSTMCell_projected": ("paddle.LSTMCell", 1, 1), "LSTM_1": ("paddle.LSTM", 1, 1),
    "LSTM_2_both": ("paddle.LSTM", 2, 2), "LSTM_copied": ("paddle.LSTM", 1, 1), "LSTM_inside": ("paddle.LSTM", 1, 2),
    "LSTM_projected_2_both": ("paddle.LSTM", 2, 2), "LSTM_protocol_2": ("paddle.LSTM", 1, 1),
    "SimpleRNNCell": ("paddle.SimpleRNNCell", 1, 1), "SimpleRNN_1_both": ("paddle.SimpleRNN", 1, 2),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Paddle recorded" for path in FILES])
def test_a_file(path):
    checkpoint = gw.open(path)
    layer = checkpoint.only()
    spec = layer.spec
    assert (layer.layout, spec.num_layers, spec.directions) == SHAPES[path.stem]
    assert (spec.input_size, spec.hidden_size) == (5, 4)
    assert spec.proj_size == (3 if "projected" in path.stem else 0)
    assert spec.bias == "double"
    assert layer.name == ("model.encoder" if path.stem == "LSTM_inside" else "")
    assert not checkpoint.inspect()["others"]
    assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


# Traps.


def test_the_layers_own_names_are_shifted_where_it_projects_and_are_not_read():
    path = FOLDER / "LSTM_projected_2_both.pdparams"
    raw = pickle.loads(path.read_bytes())
    assert raw["weight_hh_l1"].shape == raw["0.cell_bw.weight_ho"].shape != raw["1.cell_fw.weight_hh"].shape
    assert len(gw.open(path).layers) == 1
    names = [row["tensor"] for row in gw.open(path).only().as_dict()["tensors"]]
    assert all(".cell" in name for name in names)


def test_the_projection_is_the_transposed_of_torchs():
    layer = gw.open(FOLDER / "LSTM_projected_2_both.pdparams").only()
    stored = layer.tensors["0.cell_fw.weight_ho"].array()
    assert stored.shape == (4, 3)
    assert np.array_equal(layer[0, "forward"].projection, stored.T)


def test_the_activation_of_a_simple_rnn_is_said_to_be_assumed():
    path = FOLDER / "SimpleRNN_1_both.pdparams"
    assert "activation = tanh" in gw.open(path).only().assumed[0]
    assert error(gw.open(path, activation="relu").only(), record_of(path)) > 0.01


def test_the_same_names_without_a_word_of_paddle_are_torchs():
    arrays = pickle.loads((FOLDER / "LSTMCell.pdparams").read_bytes())
    stored = [StoredTensor(k, "float32", v.shape, lambda v=v: v) for k, v in arrays.items() if "@@" not in k]
    from gatewise.layouts import layouts, recognise

    (match,) = recognise(Tensors(stored), layouts()).matches
    assert match.layout.name == "torch.LSTMCell"


@pytest.mark.parametrize("written", ["LSTM_2_both", "LSTM_projected_2_both", "GRU_2", "SimpleRNNCell", "LSTM_inside"])
def test_what_is_written_reads_back_as_the_same_layer(tmp_path, written):
    source = gw.open(FOLDER / f"{written}.pdparams").only()
    proof = gw.save(source, tmp_path / "x.pdparams")
    assert proof.max_abs_error == 0.0


# Files of Paddle's own tensors.


@pytest.mark.parametrize(
    ("name", "layer_name", "layout", "shape"),
    [
        ("exported_pir.pdiparams", "LSTM", "paddle.LSTM", (2, 2)),
        ("exported_old.pdiparams", "rnn", "paddle.GRU", (2, 2)),
        ("exported_pir.json", "LSTM", "paddle.LSTM", (2, 2)),
        ("exported_old.pdmodel", "rnn", "paddle.GRU", (2, 2)),
        ("exported_old", "rnn", "paddle.GRU", (2, 2)),
        ("tensors_lstm_cell", "lstm_cell_0", "paddle.LSTMCell", (1, 1)),
    ],
    ids=["parameters with Paddle 3's graph", "with the graph of 1 and 2", "that graph", "the older graph", "a prefix",
         "a folder of tensors"],
)  # fmt: skip
def test_tensors_are_the_layers_that_the_graph_or_their_names_tell(name, layer_name, layout, shape):
    layer = gw.open(FOLDER / name).only()
    assert (layer.name, layer.layout) == (layer_name, layout)
    assert (layer.spec.num_layers, layer.spec.directions) == shape
    with np.load(FOLDER / f"{name.partition('.')[0]}.npz") as record:
        assert error(layer, dict(record)) <= claimed(layer)
