"""What is said of an object's meaning: what its class tells is not said otherwise, what is said is a value that exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError

VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "a word that is misspelled": ({"reset": "afte"}, "Did you mean after"),
    "a number that is a text": ({"forget_bias": "x"}, "must be a number"),
    "a number that is none": ({"forget_bias": float("nan")}, "finite"),
    "a way of joining that nobody has": ({"merge": "foo"}, "concat, sum, ave, mul, apart"),
    "a clip below zero": ({"cell_clip": -1}, "above 0"),
    "an activation that is misspelled": ({"activation": "tahn"}, "Did you mean tanh"),
    "an activation that is two": ({"recurrent_activation": "hard_sigmoid"}, "two hard sigmoids"),
    "a setting that is misspelled": ({"forgetbias": 1.0}, "Did you mean forget_bias"),
}


def tree(cell: str = "lstm") -> dict[str, Any]:
    rows = {"lstm": 4, "gru": 3}[cell] * 3
    return {
        "weight_ih_l0": np.zeros((rows, 2), np.float32), "weight_hh_l0": np.zeros((rows, 3), np.float32),
        "bias_ih_l0": np.zeros(rows, np.float32), "bias_hh_l0": np.zeros(rows, np.float32),
    }  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("layout", [None, "torch.LSTM"])
def test_what_is_said_of_an_object_is_a_value_that_exists(case: str, layout: str | None) -> None:
    said, told = VALUES[case]
    with pytest.raises(UsageError, match=told):
        gw.of(tree(), layout=layout, **said)


@pytest.mark.parametrize("case", VALUES)
def test_what_is_said_of_a_file_is_a_value_that_exists(case: str, tmp_path: Any) -> None:
    said, told = VALUES[case]
    path = tmp_path / "weights.npz"
    np.savez(path, **tree())
    with pytest.raises(UsageError, match=told):
        gw.open(path, **said)


def test_parameters_alone_take_what_is_said() -> None:
    assert gw.of(tree(), forget_bias=1.0).dialect.forget_bias == 1.0
    assert gw.of(tree("gru"), reset="after").dialect.reset == "after"


def test_what_says_nothing_of_the_cell_is_refused() -> None:
    with pytest.raises(UsageError, match="reset says something of a gru"):
        gw.of(tree(), reset="before")


@pytest.mark.framework("torch")
def test_a_torch_class_is_not_said_to_compute_something_else() -> None:
    import torch

    for module, said in (
        (torch.nn.LSTM(5, 7), {"forget_bias": 1.0}), (torch.nn.GRU(5, 7), {"reset": "before"}), (torch.nn.RNN(5, 7), {"activation": "relu"}),
        (torch.nn.LSTM(5, 7), {"recurrent_activation": "hard_sigmoid(0.2)"}), (torch.nn.LSTM(5, 7, bidirectional=True), {"merge": "sum"}),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="computes with"):
            gw.of(module, **said)
    assert gw.of(torch.nn.GRU(5, 7), reset="after").dialect.reset == "after"
    assert gw.of(torch.nn.LSTM(5, 7), cell_clip=float("inf"), forget_bias=0).cell == "lstm"


@pytest.mark.framework("keras")
def test_a_function_that_has_no_name_is_said_and_proved() -> None:
    import keras

    def built(**said: Any) -> Any:
        layer = keras.layers.LSTM(4, **said)
        layer.build((None, None, 3))
        return layer

    with pytest.raises(UsageError, match="activation = tanh"):
        gw.of(built(), activation="relu")
    own = built(activation=lambda x: keras.ops.tanh(x))
    assert gw.of(own, activation="tanh").dialect.activation == "tanh"
    with pytest.raises(ProofFailed):
        gw.of(own, activation="relu")
    assert gw.of(own, activation="relu", check=False).dialect.activation == "relu"
