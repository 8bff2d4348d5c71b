"""Flax's files: what flax computed, and what of their names is told and not told."""

from __future__ import annotations

import numpy as np
import pytest
from model_help import FIXTURES, files, largest_error, record_of
from recorded_help import named

import gatewise as gw
from gatewise.errors import LayoutError

FOLDER = FIXTURES / "flax" / "0.12.8"
FILES = files("flax", ".msgpack", ".orbax")
# case → every layer: name, layout, features, units, directions
LAYERS = {
    "LSTMCell": [("params", "LSTMCell", 3, 4, 1)],
    "LSTMCell_one": [("params", "LSTMCell", 2, 1, 1)],
    "GRUCell": [("params", "GRUCell", 5, 3, 1)],
    "MGUCell": [("params", "MGUCell", 3, 4, 1)],
    "nnx_LSTMCell": [("", "nnx.LSTMCell", 3, 4, 1)],
    "nnx_OptimizedLSTMCell": [("", "nnx.OptimizedLSTMCell", 5, 3, 1)],
    "nnx_GRUCell": [("", "nnx.GRUCell", 5, 3, 1)],
    "nnx_SimpleCell": [("", "nnx.SimpleCell", 3, 4, 1)],
    "bidirectional": [("params", "LSTMCell", 5, 4, 2)],
    "compact": [
        ("params/GRUCell_0", "GRUCell", 5, 2, 1), ("params/LSTMCell_0", "LSTMCell", 5, 4, 1),
        ("params/LSTMCell_1", "LSTMCell", 4, 3, 1), ("params/LSTMCell_2", "LSTMCell", 4, 3, 1),
    ],
    "setup": [
        ("params/encoder", "LSTMCell", 5, 3, 2), ("params/layers_0/cell", "GRUCell", 6, 5, 1),
        ("params/layers_1/cell", "GRUCell", 5, 2, 1),
    ],
    "train_state": [
        ("params/encoder", "LSTMCell", 5, 3, 2), ("params/layers_0/cell", "GRUCell", 6, 5, 1),
        ("params/layers_1/cell", "GRUCell", 5, 2, 1),
    ],
    "nnx_bidirectional": [
        ("decoder/cell", "nnx.GRUCell", 8, 3, 1), ("encoder", "nnx.OptimizedLSTMCell", 5, 4, 2),
    ],
}  # fmt: skip


def path_of(case):
    return FOLDER / f"{case}.msgpack"


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what flax recorded" for path in FILES])
def test_a_file(path):
    found, claimed = largest_error(path)
    assert found <= claimed


@pytest.mark.parametrize("case", LAYERS)
def test_every_layer_is_told_and_nothing_else(case):
    layers = gw.open(path_of(case)).layers
    found = [
        (
            layer.name,
            layer.layout.removeprefix("flax."),
            layer.spec.input_size,
            layer.spec.hidden_size,
            layer.spec.directions,
        )
        for layer in sorted(layers, key=lambda layer: layer.name)
    ]
    assert found == LAYERS[case]


def test_an_lstm_s_bias_is_the_one_of_the_h_side_and_a_gru_has_two_for_n():
    assert gw.open(path_of("LSTMCell")).only().spec.bias == "single"
    weights = gw.open(path_of("GRUCell")).only()[0, "forward"]
    assert set(weights.recurrent_bias) == {"n"}
    assert set(weights.bias) == {"r", "z", "n"}


def test_the_carry_of_an_lstm_is_c_and_h():
    """Read as (h, c), the recorded run is another one."""
    layer, record = gw.open(path_of("LSTMCell")).only(), record_of(path_of("LSTMCell"))
    y, _ = gw.run(layer, record["x"], (record["c0"][None], record["h0"][None]))
    assert np.abs(y - record["y"]).max() > 0.01


def test_nnx_s_gru_cannot_say_linen_s_second_bias(tmp_path):
    with pytest.raises(gw.errors.NotRepresentable, match="recurrent_bias for gate n"):
        gw.convert(path_of("GRUCell"), tmp_path / "out.msgpack", to="flax.nnx.GRUCell")


def test_a_gated_unit_without_its_reset_gate_is_told_by_the_bias_that_is_not_there():
    assert gw.open(path_of("MGUCell")).only().dialect.reset == "after"
    assert gw.open(path_of("MGUCell_no_reset_gate")).only().dialect.reset is None


def test_what_a_file_does_not_hold_is_said_as_an_assumption():
    (assumed,) = gw.open(path_of("SimpleCell")).only().assumed
    assert "residual" in assumed


def test_a_convolutional_cell_is_named_and_never_read():
    checkpoint = gw.open(path_of("ConvLSTMCell"))
    assert [len(look.tensors) for look in checkpoint.recognised.outside] == [4]
    with pytest.raises(LayoutError, match="convolution"):
        checkpoint.only()


def test_optax_s_moments_are_no_layers():
    checkpoint = gw.open(path_of("train_state"))
    moments = [name for name in checkpoint.tensors if name.startswith("opt_state/1/0/mu/")]
    assert len(moments) == sum(name.startswith("params/") for name in checkpoint.tensors) > 40
    assert not any(name in layer.match.tensors for layer in checkpoint.layers for name in moments)


def test_cells_that_vmap_or_scan_laid_into_one_tensor_are_named_and_not_taken_for_convolutions(tmp_path):
    tensors = gw.open(path_of("LSTMCell")).tensors
    np.savez(tmp_path / "x.npz", **{name: np.stack([tensor.array()] * 3) for name, tensor in tensors.items()})
    (look,) = gw.open(tmp_path / "x.npz").recognised.outside
    assert look.kind == "flax.LSTMCell, several in one"
    assert "vmap" in look.why


def test_the_projections_of_an_attention_and_plain_convolutions_are_nothing_recurrent(tmp_path):
    shapes = {"query/kernel": (8, 2, 4), "query/bias": (2, 4), "out/kernel": (2, 4, 8), "Conv_0/kernel": (3, 3, 1, 16)}
    np.savez(tmp_path / "x.npz", **{f"params/{n}": np.ones(s) for n, s in {**shapes, "Conv_0/bias": (16,)}.items()})
    checkpoint = gw.open(tmp_path / "x.npz")
    assert (checkpoint.layers, checkpoint.recognised.outside) == ([], ())


@pytest.mark.parametrize("spelled", ["['params']['cell']['{}']['{}']", ".params['cell'].{}['{}']", "params.cell.{}.{}"])
def test_a_tree_flattened_by_the_names_that_jax_gives_is_read(tmp_path, spelled):
    tensors = gw.open(path_of("GRUCell")).tensors
    arrays = {spelled.format(*name.split("/")[1:]): tensor.array() for name, tensor in tensors.items()}
    np.savez(tmp_path / "x.npz", **arrays)
    layer = gw.open(tmp_path / "x.npz").only()
    assert (layer.name.replace(".", "/"), layer.layout) == ("params/cell", "flax.GRUCell")
