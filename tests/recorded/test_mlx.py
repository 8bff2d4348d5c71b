"""MLX's files: what MLX computed."""

from __future__ import annotations

import pytest
from model_help import FIXTURES, files, largest_error
from recorded_help import named

import gatewise as gw

FOLDER = FIXTURES / "mlx" / "0.32.4"
FILES = files("mlx", ".safetensors", ".npz")


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what MLX recorded" for path in FILES])
def test_a_file(path):
    said = {"activation": "relu"} if "relu" in path.name else {}
    found, claimed = largest_error(path, **said)
    assert found <= claimed


@pytest.mark.parametrize(
    ("name", "layout", "features", "units", "bias"),
    [
        ("LSTM.safetensors", "LSTM", 3, 4, "single"), ("LSTM_square.params.npz", "LSTM", 4, 4, "single"),
        ("LSTM_nobias.safetensors", "LSTM", 5, 3, "none"), ("GRU.safetensors", "GRU", 5, 3, "double"),
        ("GRU_nobias.safetensors", "GRU", 3, 4, "none"), ("RNN.safetensors", "RNN", 3, 4, "single"),
    ],
)  # fmt: skip
def test_a_layer_is_told(name, layout, features, units, bias):
    layer = gw.open(FOLDER / name).only()
    spec = layer.spec
    assert (layer.layout, spec.input_size, spec.hidden_size, spec.bias) == (f"mlx.{layout}", features, units, bias)


def test_the_layers_of_a_model_are_told_by_their_paths():
    layers = gw.open(FOLDER / "model.safetensors").layers
    assert {layer.name: layer.layout for layer in layers} == {
        "layers.0": "mlx.LSTM", "layers.1": "mlx.LSTM", "gru": "mlx.GRU",
    }  # fmt: skip


def test_the_metadata_that_mlx_leaves_empty_tells_who_wrote_the_file():
    assert gw.open(FOLDER / "LSTM.safetensors").written_by[0].framework == "mlx"
