"""A bias that a layout has no name for is not left behind in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from filemakers import safetensors

import gatewise as gw
from gatewise.errors import NotRepresentable

SHAPES = {"rnn.Wx": (16, 3), "rnn.Wh": (16, 4), "rnn.b": (16,)}  # MLX's LSTM has Wx, Wh and ``bias``


def made(path: Path, **others: tuple[int, ...]) -> Path:
    rng = np.random.default_rng(0)
    shapes = {**SHAPES, **{f"rnn.{name}": shape for name, shape in others.items()}}
    return safetensors(path, {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()})


def test_a_bias_of_another_name_makes_a_layer_unsure_and_is_not_dropped_unasked(tmp_path: Path) -> None:
    path = made(tmp_path / "a.safetensors")
    (layer,) = gw.open(path).layers
    assert (layer.layout, layer.sure) == ("mlx.LSTM", False)
    with pytest.raises(NotRepresentable, match=r"rnn\.b' beside its weights may be its bias"):
        gw.convert(path, tmp_path / "a.pt", "torch.LSTM")
    assert gw.open(path, "mlx.LSTM").layers[0].sure


def test_what_is_no_bias_says_nothing(tmp_path: Path) -> None:
    (with_bias,) = gw.open(made(tmp_path / "a.safetensors", bias=(16,))).layers
    assert with_bias.sure
    rng = np.random.default_rng(0)
    bare = {name: rng.normal(size=SHAPES[name]).astype("f4") for name in ("rnn.Wx", "rnn.Wh")}
    others = {"rnn.beta": (16,), "rnn.bias_of": (5,), "rnn.head.b": (16,), "b": (16,)}
    bare |= {name: np.ones(shape, "f4") for name, shape in others.items()}
    (layer,) = gw.open(safetensors(tmp_path / "b.safetensors", bare)).layers
    assert layer.sure


def test_bare_letters_are_nobody_s_names_for_sure(tmp_path: Path) -> None:
    arrays = {"W": (3, 16), "U": (4, 16), "b": (16,)}
    path = safetensors(tmp_path / "a.safetensors", {name: np.ones(shape, "f4") for name, shape in arrays.items()})
    (layer,) = gw.open(path).layers
    assert (layer.layout, layer.sure) == ("keras1.LSTM-gpu", False)
    weights = Path(__file__).parents[1] / "fixtures" / "keras" / "keras-1.2.2_theano" / "lstm_gpu.h5"
    assert gw.open(weights).layers[0].sure
