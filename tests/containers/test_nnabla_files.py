"""NNabla's ``.h5`` and ``.nnp``: damaged ones are refused or read; odd ones are plain trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from damage import all_read_or_refused
from together import in_thirds

from gatewise.containers import open_tensors

h5py = pytest.importorskip("h5py")
FIXTURES = Path(__file__).parents[1] / "fixtures" / "nnabla" / "1.39.0"


def stored(path, **arrays):
    with h5py.File(path, "w") as file:
        for index, (name, array) in enumerate(arrays.items()):
            dataset = file.create_dataset(name.replace("__", "/"), data=array, compression="gzip")
            dataset.attrs["index"], dataset.attrs["need_grad"] = index, True
    return open_tensors(path)


def test_layers_of_packed_parameters_open_when_asked_for(tmp_path):
    others = np.arange(2 * 4 * 12, dtype="f4").reshape(2, 1, 4, 12)
    tensors = stored(tmp_path / "x.h5", rnn__weight_l0=np.zeros((1, 4, 9), "f4"), rnn__weight=others)
    assert tensors.container == "nnabla-h5"
    assert np.array_equal(tensors["rnn/weight_l2"].array(), others[1])
    assert tensors["rnn/weight_l2"].sources == ("rnn/weight",)


def test_a_weight_without_a_first_layer_beside_it_is_left_as_it_is(tmp_path):
    tensors = stored(tmp_path / "x.h5", conv__weight=np.zeros((3, 3), "f4"), conv__bias=np.zeros(3, "f4"))
    assert sorted(tensors) == ["conv/bias", "conv/weight"]


@pytest.mark.parametrize("name", ["lstm_1.h5", "gru_1_both.nnp"])
@in_thirds
def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path, name, third):
    all_read_or_refused(tmp_path / "y", (FIXTURES / name).read_bytes(), third, seed=5, count=120)
