"""Lasagne's rows of arrays without names: what Lasagne computed, and what is not taken for Lasagne's."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.errors import NotRepresentable
from gatewise.record import replace

FOLDER = FIXTURES / "lasagne" / "0.2.dev1"
FILES = recorded("lasagne", ".npz")
# case → every layer: layout, features, units
LAYERS = {
    "lstm": [("LSTM", 5, 4)], "lstm_square": [("LSTM", 3, 3)], "lstm_one_unit": [("LSTM", 3, 1)],
    "lstm_no_peepholes": [("LSTM", 5, 3)], "gru": [("GRU", 5, 4)], "gru_square": [("GRU", 3, 3)], "rnn": [("RNN", 5, 4)],
    "rnn_tanh": [("RNN", 3, 2)], "deep": [("LSTM", 4, 3), ("LSTM", 3, 2), ("GRU", 2, 4)], "backwards": [("LSTM", 4, 3)],
    "both": [("LSTM", 4, 3), ("LSTM", 4, 3)], "with_dense": [("GRU", 4, 3)],
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} is told by its shapes, with a doubt" for path in FILES])
def test_a_file(path):
    layers = gw.open(path).layers
    found = [(layer.layout, layer.spec.input_size, layer.spec.hidden_size) for layer in layers]
    assert found == [(f"lasagne.{kind}", features, units) for kind, features, units in LAYERS[path.stem]]
    assert all(not layer.sure and "--from" in layer.match.doubts[0][1] for layer in layers)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == LAYERS.keys()


@pytest.mark.parametrize(
    "case", [case for case, layers in LAYERS.items() if len(layers) == 1 and case not in ("backwards", "with_dense")]
)
def test_a_layer_computes_what_lasagne_recorded(case):
    path = FOLDER / f"{case}.npz"
    said = {"activation": "tanh"} if case == "rnn_tanh" else {}
    layer = gw.open(path, **said).only()
    assert error(layer, record_of(path)) <= claimed(layer)


def _run_all(layers, x):
    for layer in layers:
        x, _ = gw.run(layer, x)
    return x


def test_layers_that_follow_each_other_compute_what_lasagne_recorded():
    record = record_of(FOLDER / "deep.npz")
    y = _run_all(gw.open(FOLDER / "deep.npz").layers, record["x"])
    assert np.abs(y - record["y"]).max() <= 1e-14


def test_a_layer_between_dense_layers_is_found_where_it_stands():
    checkpoint, record = gw.open(FOLDER / "with_dense.npz"), record_of(FOLDER / "with_dense.npz")
    w, b, *_, w2, b2 = (tensor.array() for tensor in checkpoint.tensors.values())
    y, _ = gw.run(checkpoint.only(), np.maximum(record["x"] @ w + b, 0.0))
    assert np.abs(np.maximum(y @ w2 + b2, 0.0) - record["y"]).max() <= 1e-14


def test_what_reads_backwards_does_so_only_when_the_user_turns_time_around():
    """Nothing in the file tells ``backwards=True``."""
    record = record_of(FOLDER / "both.npz")
    forward, backward = gw.open(FOLDER / "both.npz").layers
    y, _ = gw.run(forward, record["x"])
    again, _ = gw.run(backward, record["x"][:, ::-1])
    assert np.abs(np.concatenate([y, again[:, ::-1]], -1) - record["y"]).max() <= 1e-14


# Traps.


def test_peepholes_are_on_unless_switched_off():
    assert set(gw.open(FOLDER / "lstm.npz").only()[0, "forward"].peephole) == {"i", "f", "o"}
    assert not gw.open(FOLDER / "lstm_no_peepholes.npz").only()[0, "forward"].peephole


def test_a_layer_starts_from_the_state_that_is_stored():
    path = FOLDER / "lstm.npz"
    layer, record = gw.open(path).only(), record_of(path)
    weights = layer[0, "forward"]
    zeros = np.zeros((1, 3, 4))
    y, _ = gw.run(layer, record["x"], (zeros, zeros))
    assert np.abs(y - record["y"]).max() > 0.01
    h0, c0 = (np.tile(weights.role(role)[""], (1, 3, 1)) for role in ("initial_hidden", "initial_cell"))
    y, _ = gw.run(layer, record["x"], (h0, c0))
    assert np.abs(y - record["y"]).max() <= 1e-14


def test_the_gru_writes_with_z_and_resets_after_with_its_bias_outside():
    path = FOLDER / "gru.npz"
    layer, record = gw.open(path).only(), record_of(path)
    assert layer.spec.bias == "single"
    for wrong in ({"update": "keeps"}, {"reset": "before"}):
        assert error(layer.replaced(dialect=replace(layer.dialect, **wrong)), record) > 0.01
    inside = layer[0, "forward"].with_roles(recurrent_bias=layer[0, "forward"].bias, bias=None)
    assert error(layer.replaced({(0, "forward"): inside}), record) > 0.01


def test_the_plain_layer_rectifies_and_says_that_this_is_assumed():
    layer = gw.open(FOLDER / "rnn.npz").only()
    assert layer.dialect.activation == "relu"
    assert "RecurrentLayer's default is rectify" in layer.assumed[0]


def test_a_conversion_wants_the_layout_said_and_says_what_becomes_of_the_start(tmp_path):
    path = FOLDER / "lstm_no_peepholes.npz"
    with pytest.raises(NotRepresentable, match=r'layout="lasagne\.LSTM" settles it'):
        gw.convert(path, tmp_path / "out.safetensors", to="torch.LSTM")
    done = gw.convert(path, tmp_path / "out.safetensors", to="torch.LSTM", layout="lasagne.LSTM")
    assert done.proof.same
    assert any("give it as h0 and c0" in change.what for change in done.changes)
    with pytest.raises(NotRepresentable, match="peephole"):
        gw.convert(FOLDER / "lstm.npz", tmp_path / "no.safetensors", to="torch.LSTM", layout="lasagne.LSTM")


FOREIGN = {
    "torch.nn.LSTM's parameters": [(12, 5), (12, 3), (12,), (12,)],
    "a square torch.nn.GRU's parameters": [(9, 3), (9, 3), (9,), (9,)],
    "keras.layers.LSTM's weights": [(5, 12), (3, 12), (12,)],
    "a dense net": [(5, 4), (4,), (4, 4), (4,), (4, 2), (2,)],
    "Chainer's per-gate matrices": [(3, 5)] * 4 + [(3, 3)] * 4 + [(3,)] * 8,
    "biases before their matrices": [(4,), (5, 4), (4, 4)] * 4,
    "a convolution": [(8, 3, 3, 3), (8,), (8,), (8,)],
}


@pytest.mark.parametrize("shapes", FOREIGN.values(), ids=FOREIGN.keys())
def test_arrays_without_names_that_are_not_lasagnes_are_not_read(tmp_path, shapes):
    path = tmp_path / "foreign.npz"
    np.savez(path, *(np.ones(shape, "f4") for shape in shapes))
    assert not gw.open(path).layers


def test_names_of_add_param_are_read_where_people_saved_by_name(tmp_path):
    arrays = list(np.load(FOLDER / "lstm_no_peepholes.npz").values())
    gates = ("ingate", "forgetgate", "cell", "outgate")
    names = [f"l1.{part}{gate}" for gate in gates for part in ("W_in_to_", "W_hid_to_", "b_")]
    path = tmp_path / "named.npz"
    np.savez(path, **dict(zip([*names, "l1.cell_init", "l1.hid_init"], arrays, strict=True)))
    layer = gw.open(path).only()
    assert (layer.name, layer.layout, layer.sure) == ("l1", "lasagne.LSTM", True)
    assert error(layer, record_of(FOLDER / "lstm_no_peepholes.npz")) <= 1e-14
