"""SavedModels and TensorFlow checkpoints are told by their names, with what Keras 3 says to them."""

from __future__ import annotations

import pytest

import gatewise as gw
from gatewise.doctor import prediction
from gatewise.errors import GatewiseError


def saved_model(folder):
    (folder / "model").mkdir()
    (folder / "model" / "saved_model.pb").write_bytes(b"")
    return folder / "model"


def checkpoint(folder, asked=""):
    (folder / "a.ckpt.index").write_bytes(b"\0" * 64)
    (folder / "a.ckpt.data-00000-of-00001").write_bytes(b"\0" * 64)
    return folder / f"a.ckpt{asked}"


MADE = {
    "a SavedModel": saved_model,
    "a checkpoint's name": checkpoint,
    "a checkpoint's index": lambda folder: checkpoint(folder, ".index"),
    "a checkpoint's data": lambda folder: checkpoint(folder, ".data-00000-of-00001"),
}


def test_another_folder_is_refused_as_before(tmp_path):
    with pytest.raises(GatewiseError, match="directory"):
        gw.diagnose(tmp_path)


def test_a_file_that_is_not_there_is_refused_as_before(tmp_path):
    with pytest.raises(GatewiseError):
        gw.diagnose(tmp_path / "a.ckpt")


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_it_is_told(tmp_path, make):
    [finding] = gw.diagnose(make(tmp_path))
    assert (finding.code, finding.severity, finding.remedy) == ("GW207", "breaks", None)


@pytest.mark.framework("keras")
@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_keras_3_says_what_is_predicted(tmp_path, make):
    import keras

    path = make(tmp_path)
    with pytest.raises(ValueError) as refused:
        keras.saving.load_model(str(path))
    told = prediction(gw.diagnose(path), "keras==3.15").error
    assert f"ValueError: {refused.value}".startswith(told)
