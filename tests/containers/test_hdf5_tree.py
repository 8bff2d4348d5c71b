"""Any HDF5 file as named tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from damage import damaged, read_or_refuse
from filemakers import afresh

from gatewise.containers import open_tensors
from gatewise.cursor import Limits
from gatewise.errors import LimitExceeded
from gatewise.tensors import Strided

h5py = pytest.importorskip("h5py")
CHAINER = Path(__file__).parents[1] / "fixtures" / "chainer" / "7.8.1" / "NStepRNNReLU_hdf5.h5"
ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def test_a_dataset_is_called_by_its_path_and_numbers_are_sorted_as_numbers(path):
    with h5py.File(path, "w") as file:
        for name in ("lstm/10/w", "lstm/2/w", "bias"):
            file[name] = ARRAY
        file["lstm/packed"] = ARRAY
    tensors = open_tensors(path)
    assert tensors.container == "hdf5"
    assert list(tensors) == ["bias", "lstm/2/w", "lstm/10/w", "lstm/packed"]
    assert isinstance(tensors["bias"].data, Strided)
    assert np.array_equal(tensors["lstm/10/w"].array(), ARRAY)


def test_what_chainer_saved_is_read_though_it_is_compressed():
    tensors = open_tensors(CHAINER)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "0/b0": (4,), "0/b1": (4,), "0/w0": (4, 5), "0/w1": (4, 4),
    }  # fmt: skip
    assert all(tensor.array().any() for tensor in tensors.values())


def test_texts_and_links_are_left_out_and_told_and_nothing_outside_is_opened(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = ARRAY
    with h5py.File(path, "w") as file:
        file["a"] = ARRAY
        file["text"] = "words"
        file["soft"] = h5py.SoftLink("/a")
        file["away"] = h5py.ExternalLink("other.h5", "/secret")
    tensors = open_tensors(path)
    assert list(tensors) == ["a"]
    assert sorted(note.split()[0] for note in tensors.notes) == ["away", "dataset", "soft"]


def test_a_keras_file_stays_keras(path):
    with h5py.File(path, "w") as file:
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    assert open_tensors(path).container == "keras-h5"


def test_limits_hold(path):
    with h5py.File(path, "w") as file:
        for index in range(9):
            file[f"g{index}/w"] = ARRAY
    with pytest.raises(LimitExceeded):
        open_tensors(path, Limits(tensors=8))


def test_a_damaged_file_is_refused_or_read_and_nothing_else(path, tmp_path):
    with h5py.File(path, "w") as file:
        file["lstm/w"] = ARRAY
        file.create_dataset("packed", data=ARRAY, compression="gzip")
    for data in damaged(path.read_bytes(), seed=5, count=120):
        afresh(tmp_path / "y", data)
        read_or_refuse(tmp_path / "y")
