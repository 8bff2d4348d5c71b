"""Chainer's files: what Chainer 7.8.1 computed, and its traps."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.layouts import layout, layouts, recognise
from gatewise.record import replace
from gatewise.tensors import StoredTensor, Tensors

FOLDER = FIXTURES / "chainer" / "7.8.1"
FILES = [path for path in recorded("chainer", ".npz", ".h5") if path.stem != "StatefulGRU_fresh"]
SHAPES = {
    "LSTM": ("chainer.LSTM", 1, 1, "single"), "StatelessLSTM": ("chainer.LSTM", 1, 1, "single"),
    "StatefulPeepholeLSTM": ("chainer.PeepholeLSTM", 1, 1, "single"), "StatefulGRU": ("chainer.GRU", 1, 1, "double"),
    "StatefulMGU": ("chainer.MGU", 1, 1, "single"), "NStepLSTM": ("chainer.NStepLSTM", 2, 1, "double"),
    "NStepBiLSTM": ("chainer.NStepBiLSTM", 2, 2, "double"), "NStepGRU": ("chainer.NStepGRU", 3, 1, "double"),
    "NStepBiGRU": ("chainer.NStepBiGRU", 1, 2, "double"), "NStepRNNTanh": ("chainer.NStepRNN", 2, 1, "double"),
    "NStepBiRNNReLU": ("chainer.NStepBiRNN", 2, 2, "double"), "NStepRNNReLU_hdf5": ("chainer.NStepRNN", 1, 1, "double"),
}  # fmt: skip


def opened(path, **said):
    return gw.open(path, **({"activation": "relu"} if "ReLU" in path.stem else {}), **said).only()


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Chainer recorded" for path in FILES])
def test_a_file(path):
    layer = opened(path)
    spec = layer.spec
    assert (layer.layout, spec.num_layers, spec.directions, spec.bias) == SHAPES[path.stem]
    assert (spec.input_size, spec.hidden_size) == (5, 4)
    assert error(layer, record_of(path), time_major=True) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


# Traps.


def test_the_rows_of_an_lstm_are_interleaved_and_blocks_would_be_wrong():
    path = FOLDER / "LSTM.npz"
    layer, kernel = opened(path), np.load(path)["upward/W"]
    assert np.array_equal(layer[0, "forward"].kernel["g"], kernel[0::4])
    assert np.array_equal(layer[0, "forward"].kernel["o"], kernel[3::4])
    known = layout("chainer.LSTM")
    parts = tuple(replace(part, phrase=part.phrase.replace("(unit gate)", "(gate unit)")) for part in known.parts)
    blocks = gw.open(path, replace(known, name="blocks", parts=parts)).only()
    assert error(blocks, record_of(path), time_major=True) > 0.1


def test_the_peepholes_are_full_matrices():
    layer = opened(FOLDER / "StatefulPeepholeLSTM.npz")
    assert {gate: array.shape for gate, array in layer[0, "forward"].role("peephole_kernel").items()} == {
        "i": (4, 4), "f": (4, 4), "o": (4, 4),
    }  # fmt: skip


def test_a_gru_writes_with_z_and_resets_before():
    path = FOLDER / "StatefulGRU.npz"
    layer = opened(path)
    for wrong in ({"update": "keeps"}, {"reset": "after"}):
        other = layer.replaced(dialect=replace(layer.dialect, **wrong))
        assert error(other, record_of(path), time_major=True) > 0.01


def test_a_gru_that_starts_from_no_state_leaves_out_its_u_biases_once_and_that_is_said():
    """No state is not a state of zeros: the first output differs, and with it those that follow."""
    path = FOLDER / "StatefulGRU_fresh.npz"
    layer, record = opened(path), record_of(path)
    assert "first step" in " ".join(layer.match.evidence)
    assert error(layer, record, time_major=True) > 0.01
    cells = {
        place: weights.with_roles(recurrent_bias=weights.recurrent_bias.mapped(lambda _, bias: bias * 0))
        for place, weights in layer.cells.items()
    }
    first, _ = gw.run(layer.replaced(cells=cells), record["x"].transpose(1, 0, 2)[:, :1])
    rest, _ = gw.run(layer, record["x"].transpose(1, 0, 2)[:, 1:], (first.transpose(1, 0, 2),))
    computed = np.concatenate([first, rest], axis=1).transpose(1, 0, 2)
    assert np.abs(computed - record["y"]).max() < 1e-6


def test_relu_and_tanh_have_the_same_names_so_tanh_is_said_to_be_assumed():
    layer = gw.open(FOLDER / "NStepBiRNNReLU.npz").only()
    assert "activation = tanh" in layer.assumed[0]
    assert error(layer, record_of(FOLDER / "NStepBiRNNReLU.npz"), time_major=True) > 0.01


def test_two_places_of_square_matrices_may_be_layers_or_directions_and_are_not_guessed():
    arrays = {f"{place}/{kind}{number}": (3, 3) for place in range(2) for kind in "w" for number in range(8)}
    arrays |= {f"{place}/b{number}": (3,) for place in range(2) for number in range(8)}
    stored = [
        StoredTensor(name, "float32", shape, lambda shape=shape: np.ones(shape)) for name, shape in arrays.items()
    ]
    found = recognise(Tensors(stored), layouts())
    assert not found.matches
    assert found.ambiguous[0].layouts == ("chainer.NStepLSTM", "chainer.NStepBiLSTM")
    for name, sizes in (("chainer.NStepLSTM", {0, 1}), ("chainer.NStepBiLSTM", {0})):
        (match,) = recognise(Tensors(stored), (layout(name),), chosen=True).matches
        assert {layer for layer, _ in match.sizes} == sizes


@pytest.mark.parametrize(
    "written", ["NStepBiLSTM", "NStepGRU", "LSTM", "StatefulPeepholeLSTM", "StatefulGRU", "StatefulMGU"]
)
def test_what_is_written_reads_back_as_the_same_layer(tmp_path, written):
    source = opened(FOLDER / f"{written}.npz")
    proof = gw.save(source, tmp_path / "x.npz")
    assert proof.max_abs_error == 0.0
    with np.load(FOLDER / f"{written}.npz") as old, np.load(tmp_path / "x.npz") as new:
        assert set(old) == set(new)
        assert all(np.array_equal(old[name], new[name]) for name in old)
