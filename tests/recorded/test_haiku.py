"""Haiku's parameters, pickled and as .npz: what haiku computed, and what is no recurrent core."""

from __future__ import annotations

import numpy as np
import pytest
from model_help import FIXTURES, files, largest_error, record_of
from recorded_help import named

import gatewise as gw
from gatewise.record import replace

FOLDER = FIXTURES / "haiku" / "0.0.17"
FILES = files("haiku", ".pkl", ".npz")


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what haiku recorded" for path in FILES])
def test_a_file(path):
    found, claimed = largest_error(path)
    assert found <= claimed


def test_every_core_of_a_deep_rnn_is_told_and_no_moment_of_an_optimizer():
    for case, prefix in (("deep.pkl", "params/"), ("deep_pair.pkl", "0/"), ("deep.params.npz", "")):
        layers = {layer.name: layer.layout for layer in gw.open(FOLDER / case).layers}
        names = {"lstm": "haiku.LSTM", "lstm_1": "haiku.LSTM", "gru": "haiku.GRU"}
        assert layers == {prefix + name: layout for name, layout in names.items()}


def test_one_is_added_to_the_forget_gate_at_run_time_and_not_stored():
    layer, record = gw.open(FOLDER / "LSTM.pkl").only(), record_of(FOLDER / "LSTM.pkl")
    assert layer.dialect.forget_bias == 1.0
    without = layer.replaced(dialect=replace(layer.dialect, forget_bias=0.0))
    y, _ = gw.run(without, record["x"], (record["h0"][None], record["c0"][None]))
    assert np.abs(y - record["y"]).max() > 0.01


def test_the_rows_of_an_lstm_are_those_of_x_and_then_those_of_h():
    layer = gw.open(FOLDER / "LSTM.pkl").only()
    w = layer.tensors["lstm/linear/w"].array()
    assert w.shape == (3 + 4, 16)
    assert np.array_equal(layer[0, "forward"].kernel["i"], w[:3, :4].T)
    assert np.array_equal(layer[0, "forward"].recurrent_kernel["g"], w[3:, 4:8].T)


def test_a_gru_resets_before_the_product_and_z_writes_the_new_state():
    dialect = gw.open(FOLDER / "GRU.pkl").only().dialect
    assert (dialect.reset, dialect.update) == ("before", "writes")


def test_a_vanilla_rnn_is_relu_and_its_second_bias_may_be_missing():
    assert gw.open(FOLDER / "VanillaRNN.pkl").only().dialect.activation == "relu"
    assert gw.open(FOLDER / "VanillaRNN.pkl").only().spec.bias == "double"
    assert gw.open(FOLDER / "VanillaRNN_single.pkl").only().spec.bias == "single"


def test_linears_that_are_no_core_are_not_read():
    """The widths of this perceptron fit an LSTM (20 → 16 = 4 × 4) and a VanillaRNN (4 → 4)."""
    checkpoint = gw.open(FOLDER / "mlp.pkl")
    assert len(checkpoint.tensors) == 6
    assert (checkpoint.layers, checkpoint.recognised.outside) == ([], ())


def test_a_core_of_another_name_is_read_when_the_user_says_what_it_is(tmp_path):
    arrays = {"encoder/linear/w": np.ones((7, 16), "f4"), "encoder/linear/b": np.ones(16, "f4")}
    np.savez(tmp_path / "x.npz", **arrays)
    assert gw.open(tmp_path / "x.npz").layers == []
    layer = gw.open(tmp_path / "x.npz", layout="haiku.LSTM").only()
    assert (layer.name, layer.spec.input_size, layer.spec.hidden_size) == ("encoder", 3, 4)


def test_a_convolutional_core_is_named_and_never_read():
    checkpoint = gw.open(FOLDER / "conv_lstm.pkl")
    assert checkpoint.layers == []
    assert [len(look.tensors) for look in checkpoint.recognised.outside] == [4]
