"""Equinox's streams without names: what Equinox computed, also between the leaves of other modules."""

from __future__ import annotations

import numpy as np
import pytest
from model_help import FIXTURES, files, largest_error, record_of
from recorded_help import named

import gatewise as gw

FOLDER = FIXTURES / "equinox" / "0.13.8"
FILES = files("equinox", ".eqx", ".npz", ".pkl")


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Equinox recorded" for path in FILES])
def test_a_file(path):
    found, claimed = largest_error(path)
    assert found <= claimed


@pytest.mark.parametrize(
    ("case", "layout", "features", "units", "bias"),
    [
        ("LSTMCell", "LSTMCell", 3, 4, "single"), ("LSTMCell_square", "LSTMCell", 4, 4, "single"),
        ("LSTMCell_nobias", "LSTMCell", 5, 3, "none"), ("GRUCell", "GRUCell", 5, 3, "double"),
        ("GRUCell_nobias", "GRUCell", 4, 4, "none"),
    ],
)  # fmt: skip
def test_the_shapes_of_a_stream_tell_the_cell_its_sizes_and_its_biases(case, layout, features, units, bias):
    layer = gw.open(FOLDER / f"{case}.eqx").only()
    spec = layer.spec
    assert (layer.layout, spec.input_size, spec.hidden_size, spec.bias) == (f"equinox.{layout}", features, units, bias)
    assert layer.sure


def test_leaves_of_other_modules_shift_nothing_and_fake_nothing():
    checkpoint = gw.open(FOLDER / "model.eqx")
    assert [(layer.name, layer.layout, layer.spec.input_size, layer.spec.hidden_size) for layer in checkpoint.layers] == [
        ("at_3", "equinox.LSTMCell", 5, 4), ("at_8", "equinox.GRUCell", 4, 3),
    ]  # fmt: skip
    assert checkpoint.tensors.metadata["hyperparameters"] == {"hidden": 4, "features": 5}


def test_a_perceptron_is_no_layer():
    assert gw.open(FOLDER / "mlp.eqx").layers == []


def test_the_bias_of_n_lies_inside_the_reset_gate():
    """Added to the other one, as a single bias outside it, the recorded run is another one."""
    layer, record = gw.open(FOLDER / "GRUCell.eqx").only(), record_of(FOLDER / "GRUCell.eqx")
    weights = layer[0, "forward"]
    n = weights.bias["n"] + weights.recurrent_bias["n"]
    merged = gw.weights.Gates("bias", {"r": lambda: weights.bias["r"], "z": lambda: weights.bias["z"], "n": lambda: n})
    other = layer.replaced({(0, "forward"): weights.with_roles(bias=merged, recurrent_bias=None)})
    y, _ = gw.run(other, record["x"], (record["h0"][None],))
    assert np.abs(y - record["y"]).max() > 0.01


def test_named_fields_are_not_taken_for_a_torch_cell_without_biases():
    layer = gw.open(FOLDER / "named_GRUCell.params.npz").only()
    assert (layer.layout, layer.spec.bias, layer.name) == ("equinox.GRUCell", "double", "cell")
