"""NNabla's files: what NNabla 1.39.0 computed; the layers of a stack that lie in one parameter."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.containers import open_tensors

FOLDER = FIXTURES / "nnabla" / "1.39.0"
FILES = recorded("nnabla", ".h5", ".nnp")
SHAPES = {
    "lstm_2_both": ("nnabla.lstm", 2, 2, "single"), "lstm_1": ("nnabla.lstm", 1, 1, "single"),
    "gru_3": ("nnabla.gru", 3, 1, "double"), "gru_1_both": ("nnabla.gru", 1, 2, "double"),
    "rnn_2_both": ("nnabla.rnn", 2, 2, "single"),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what NNabla recorded" for path in FILES])
def test_a_file(path):
    checkpoint = gw.open(path)
    layer = checkpoint.only()
    spec = layer.spec
    assert (layer.layout, spec.num_layers, spec.directions, spec.bias) == SHAPES[path.stem]
    assert (layer.name, spec.input_size, spec.hidden_size) == (path.stem.partition("_")[0], 5, 4)
    assert not checkpoint.inspect()["others"]
    assert error(layer, record_of(path), time_major=True) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


def test_the_layers_of_one_parameter_are_views_that_say_where_they_lie():
    tensors = open_tensors(FOLDER / "gru_3.h5")
    assert tensors["gru/weight_l2"].made_from == "gru/weight[1]"
    assert np.array_equal(tensors["gru/weight_l2"].array(), tensors["gru/weight"].array()[1])
    assert np.array_equal(tensors["gru/bias_l1"].array(), tensors["gru/bias"].array()[1])
    assert np.shares_memory(tensors["gru/bias_l1"].array(), tensors["gru/bias"].array())


def test_a_grus_fourth_row_of_biases_is_that_of_the_new_gates_hidden_side():
    layer = gw.open(FOLDER / "gru_3.h5").only()
    rows = layer.tensors["gru/bias"].array()[2, 0]
    weights = layer[2, "forward"]
    assert set(weights.recurrent_bias) == {"n"}
    assert np.array_equal(weights.recurrent_bias["n"], rows[3])
    assert np.array_equal(weights.bias["n"], rows[2])
    folded = layer.replaced(
        {
            place: each.with_roles(
                bias=each.bias.mapped(lambda gate, b, each=each: b + each.recurrent_bias["n"] if gate == "n" else b),
                recurrent_bias=None,
            )
            for place, each in layer.cells.items()
        }
    )
    assert error(folded, record_of(FOLDER / "gru_3.h5"), time_major=True) > 0.01


def test_an_hdf5_file_without_nnablas_attributes_is_a_plain_tree(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["gru/weight_l0"], file["gru/bias"] = np.zeros((1, 3, 4, 9), "f4"), np.zeros((1, 1, 4, 4), "f4")
    assert open_tensors(tmp_path / "x.h5").container == "hdf5"
