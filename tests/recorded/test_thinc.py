"""Thinc's models: one vector of all matrices, a starting state whose halves are swapped, PyTorch's files inside."""

from __future__ import annotations

import numpy as np
import pytest
from damage import every_flip_is_harmless
from filemakers import afresh
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded
from together import in_thirds

import gatewise as gw
from gatewise.errors import BrokenFile, GatewiseError
from gatewise.weights import Gates

FOLDER = FIXTURES / "thinc" / "9.1.1"
FILES = recorded("thinc", ".thinc")
SHAPES = {
    "lstm": (5, 4, 1, 1), "square": (3, 3, 1, 1), "one_unit": (3, 1, 1, 1), "both": (4, 3, 1, 2), "deep": (5, 3, 3, 1),
    "deep_both": (3, 2, 2, 2), "between": (4, 3, 1, 1), "pytorch": (5, 3, 2, 2),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Thinc recorded" for path in FILES])
def test_a_file(path):
    checkpoint, record = gw.open(path), record_of(path)
    layer = checkpoint.only()
    spec = layer.spec
    assert (spec.input_size, spec.hidden_size, spec.num_layers, spec.directions) == SHAPES[path.stem]
    assert layer.layout == ("torch.LSTM" if path.stem == "pytorch" else "thinc.LSTM")
    assert layer.sure
    if path.stem == "between":  # a Linear before it and one behind
        w, b, *_, w2, b2 = (tensor.array() for tensor in checkpoint.tensors.values())
        y, _ = gw.run(layer, record["x"] @ w.T + b)
        assert np.abs(y @ w2.T + b2 - record["y"]).max() <= 1e-6
        return
    assert error(layer, record) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


# Traps.


def test_hc0_has_c_first_though_it_is_handed_over_as_h_first():
    layer, record = gw.open(FOLDER / "deep_both.thinc").only(), record_of(FOLDER / "deep_both.thinc")
    stored = gw.open(FOLDER / "deep_both.thinc").tensors["lstm/HC0"].array()
    np.testing.assert_array_equal(layer[1, "reverse"].role("initial_cell")[""], stored[0, 1, 1])
    np.testing.assert_array_equal(layer[1, "reverse"].role("initial_hidden")[""], stored[1, 1, 1])

    def swapped(weights):
        cell, hidden = weights.role("initial_cell")[""], weights.role("initial_hidden")[""]
        return weights.with_roles(
            initial_cell=Gates("initial_cell", {"": lambda: hidden}),
            initial_hidden=Gates("initial_hidden", {"": lambda: cell}),
        )

    other = layer.replaced({place: swapped(weights) for place, weights in layer.cells.items()})
    assert error(other, record) > 0.01


def test_the_vector_holds_each_layers_biases_beside_its_matrices():
    """All matrices first and all biases last, cuDNN's order, has the same length."""
    tensor = gw.open(FOLDER / "lstm.thinc").tensors["lstm/LSTM"].array()
    weights = gw.open(FOLDER / "lstm.thinc").only()[0, "forward"]
    np.testing.assert_array_equal(tensor[: 4 * 4 * 5].reshape(4, 4, 5)[0], weights.kernel["f"])
    np.testing.assert_array_equal(tensor[4 * 4 * 5 : 4 * 4 * 5 + 4], weights.bias["f"])
    np.testing.assert_array_equal(tensor[-4:], weights.recurrent_bias["g"])


def test_sizes_that_the_vector_does_not_fill_are_a_misfit(tmp_path):
    raw = (FOLDER / "lstm.thinc").read_bytes()
    for wrong in (b"\xa5depth\x02", b"\xa5depth\xce\x7f\xff\xff\xff"):
        path = tmp_path / "model"
        path.write_bytes(raw.replace(b"\xa5depth\x01", wrong))
        checkpoint = gw.open(path)
        assert not checkpoint.layers
        assert any("numbers" in text for texts in checkpoint.recognised.misfits.values() for text in texts)


def test_a_conversion_says_that_the_start_is_not_stored_there(tmp_path):
    done = gw.convert(FOLDER / "deep_both.thinc", tmp_path / "out.safetensors", to="torch.LSTM")
    assert done.proof.same
    assert any("give it as h0 and c0" in change.what for change in done.changes)


# Cut and damaged files.


@pytest.mark.parametrize("case", ["one_unit", "pytorch"])
@in_thirds
def test_a_file_cut_anywhere_is_refused(tmp_path, case, third):
    whole = (FOLDER / f"{case}.thinc").read_bytes()
    path = tmp_path / "cut"
    for length in range(7, len(whole), 1 if len(whole) < 1000 else 13)[third::3]:
        afresh(path, whole[:length])
        with pytest.raises(GatewiseError):
            gw.open(path)


@pytest.mark.slow
def test_a_flipped_byte_is_refused_or_harmless(tmp_path):
    every_flip_is_harmless(tmp_path / "flipped", (FOLDER / "one_unit.thinc").read_bytes(), 0x01, 0x80)


def test_an_array_whose_bytes_are_not_its_shapes_is_refused(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(
        (FOLDER / "lstm.thinc").read_bytes().replace(b"\xc4\x05shape\x91\xcc\xb0", b"\xc4\x05shape\x91\xcc\xb1")
    )
    with pytest.raises(BrokenFile, match=r"lstm/LSTM \[177\] of float32 has 704 bytes"):
        gw.open(path)
