"""haste's layers in torch's files: names that are Keras's, in another order."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.errors import NotRepresentable

FOLDER = FIXTURES / "haste" / "ceba32e"
FILES = recorded("haste", ".pt")
READ = {"lstm": ("LSTM", 5, 4), "lstm_square": ("LSTM", 3, 3), "lstm_one_unit": ("LSTM", 3, 1), "gru": ("GRU", 5, 4),
        "gru_square": ("GRU", 3, 3), "zoneout_lstm": ("LSTM", 5, 4)}  # fmt: skip
NAMED = {"layer_norm_lstm": "LayerNormLSTM", "layer_norm_gru": "LayerNormGRU", "indrnn": "IndRNN"}


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} is read, or named" for path in FILES])
def test_a_file(path):
    checkpoint = gw.open(path)
    if path.stem in NAMED:
        assert not checkpoint.layers
        assert [look.kind for look in checkpoint.recognised.outside] == [f"haste.{NAMED[path.stem]}"]
        return
    layer = checkpoint.only()
    assert (layer.layout.removeprefix("haste."), layer.spec.input_size, layer.spec.hidden_size) == READ[path.stem]
    if path.stem != "zoneout_lstm":
        assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == READ.keys() | NAMED.keys()


def test_zoneout_is_not_in_the_file_and_changes_what_is_computed_so_the_layout_is_wanted_said(tmp_path):
    layer = gw.open(FOLDER / "zoneout_lstm.pt").only()
    assert error(layer, record_of(FOLDER / "zoneout_lstm.pt")) > 0.1
    assert "zoneout is not in the file" in layer.match.doubts[0][1]
    with pytest.raises(NotRepresentable, match=r'layout="haste\.LSTM" settles it'):
        gw.convert(FOLDER / "zoneout_lstm.pt", tmp_path / "no.safetensors", to="torch.LSTM")
    assert gw.convert(FOLDER / "lstm.pt", tmp_path / "yes.safetensors", to="torch.LSTM", layout="haste.LSTM").proof.same


def test_the_same_names_outside_torchs_files_are_keras(tmp_path):
    arrays = {name: tensor.array() for name, tensor in gw.open(FOLDER / "lstm.pt").tensors.items()}
    np.savez(tmp_path / "keras.npz", **arrays)
    assert gw.open(tmp_path / "keras.npz").only().layout == "keras.LSTM"


@pytest.mark.framework("torch")
def test_keras_names_in_a_torch_file_stay_keras(tmp_path):
    """Keras 3 on torch gives its variables' paths, with slashes, as names of a state dict."""
    import torch

    state = {f"_torch_params.model/enc/lstm_cell/{name}": tensor for name, tensor in
             torch.load(FOLDER / "lstm.pt").items()}  # fmt: skip
    torch.save(state, tmp_path / "keras.pt")
    assert gw.open(tmp_path / "keras.pt").only().layout == "keras.LSTM"
