"""DyNet's files: what DyNet computed, what is named and left alone, and the traps of positions without names."""

from __future__ import annotations

import numpy as np
import pytest
from filemakers import afresh
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded
from together import in_thirds

import gatewise as gw
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded
from gatewise.record import replace

FOLDER = FIXTURES / "dynet" / "2.2"
FILES = recorded("dynet", ".model")
SHAPES = {
    "vanilla": ("lstm", 5, 4, 1, 1), "vanilla_square": ("lstm", 4, 4, 3, 1), "vanilla_one_unit": ("lstm", 3, 1, 2, 1),
    "compact": ("lstm", 6, 3, 2, 1), "coupled": ("lstm", 5, 3, 2, 1), "gru": ("gru", 5, 3, 3, 1), "rnn": ("rnn", 5, 2, 2, 1),
    "birnn_vanilla": ("lstm", 5, 3, 2, 2), "birnn_gru": ("gru", 3, 2, 1, 2),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what DyNet recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    assert (layer.cell, spec.input_size, spec.hidden_size, spec.num_layers, spec.directions) == SHAPES[path.stem]
    assert spec.bias == "single"
    assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


def test_a_whole_model_is_told_apart_by_its_collections():
    checkpoint = gw.open(FOLDER / "everything.model")
    assert [(layer.name, layer.layout, layer.spec.directions) for layer in checkpoint.layers] == [
        ("/vanilla-lstm-builder", "dynet.VanillaLSTM", 1),
        ("/birnn", "dynet.GRU", 2),
    ]
    outside = {look.name: look.kind for look in checkpoint.recognised.outside}
    assert outside == {
        "/vanilla-lstm-builder_1": "dynet.LayerNormLSTM",
        "/vanilla-lstm-builder_2": "dynet.vanilla-lstm-builder",  # SparseLSTM: masks between the weights
        "/fast-lstm-builder": "dynet.fast-lstm-builder",
    }


def test_a_key_before_the_names_changes_nothing():
    assert gw.open(FOLDER / "with_key.model").only().name == "/my/key/simple-rnn-builder"


def test_nan_and_inf_make_a_line_shorter_than_announced_and_are_read():
    layer = gw.open(FOLDER / "not_finite.model").only()
    matrix = layer[0, "forward"].recurrent_kernel["h"]
    assert np.isnan(matrix[0, 0])
    assert matrix[1, 0] == np.inf
    assert matrix[1, 1] == -np.inf
    assert np.isfinite(layer[0, "forward"].bias["h"]).all()


# Traps.


def test_the_forget_bias_is_added_at_run_time_and_said_to_be_assumed():
    layer = gw.open(FOLDER / "vanilla.model").only()
    assert layer.dialect.forget_bias == 1.0
    assert any("forget_bias = 1.0" in text for text in layer.assumed)
    without = gw.open(FOLDER / "vanilla.model", forget_bias=0.0).only()
    assert without.dialect.forget_bias == 0.0
    assert not without.assumed
    assert error(without, record_of(FOLDER / "vanilla.model")) > 0.01


def test_reading_the_numbers_row_by_row_would_be_another_matrix():
    layer = gw.open(FOLDER / "vanilla_square.model").only()
    swapped = layer.replaced(
        {place: w.with_roles(kernel=w.kernel.mapped(lambda _, a: a.T)) for place, w in layer.cells.items()}
    )
    record = record_of(FOLDER / "vanilla_square.model")
    assert error(layer, record) < 1e-6 < 0.01 < error(swapped, record)


def test_coupled_gates_are_one_minus_the_input_gate():
    layer = gw.open(FOLDER / "coupled.model").only()
    assert layer.dialect.coupled == "f"
    assert "f" not in layer[0, "forward"].kernel
    assert set(layer[0, "forward"].role("peephole_kernel")) == {"i", "o"}


def test_the_gru_writes_with_z_and_resets_before():
    layer = gw.open(FOLDER / "gru.model").only()
    record = record_of(FOLDER / "gru.model")
    for wrong in ({"update": "keeps"}, {"reset": "after"}):
        assert error(layer.replaced(dialect=replace(layer.dialect, **wrong)), record) > 0.01


# Files that are cut or damaged.


@in_thirds
def test_a_file_cut_anywhere_is_refused_or_lists_what_is_left(tmp_path, third):
    whole = (FOLDER / "rnn.model").read_bytes()
    for length in range(len(whole))[third::3]:
        path = tmp_path / "cut.model"
        afresh(path, whole[:length])
        try:
            tensors = gw.open(path).tensors
            for tensor in tensors.values():
                tensor.array()
        except GatewiseError:
            pass


def test_a_line_without_its_numbers_says_which(tmp_path):
    path = tmp_path / "short.model"
    path.write_bytes(b"#Parameter# /a/_0 {2,3} 33 ZERO_GRAD\n+1.0 +2.0 +3.0 +4.0 +5.0     \n")
    with pytest.raises(BrokenFile, match=r"/a/_0 \[2, 3\] wants 6 numbers; its line holds 5"):
        gw.open(path).tensors["/a/_0"].array()
    path.write_bytes(b"#Parameter# /a/_0 {1,2} 33 ZERO_GRAD\n+1.0 abc\n")
    with pytest.raises(BrokenFile, match="not all are numbers"):
        gw.open(path).tensors["/a/_0"].array()


@pytest.mark.parametrize(
    ("line", "error"),
    [(b"#Parameter# /a {999999999,9999999} 17 ZERO_GRAD", BrokenFile), (b"#Parameter# /a {2", BrokenFile),
     (b"#Parameter# /a {" + b"1," * 40 + b"1} 17 ZERO_GRAD", LimitExceeded), (b"#Parameter# /a", BrokenFile)],
    ids=["a count past the end", "a header cut short", "too many axes", "no dimensions"],
)  # fmt: skip
def test_a_header_that_promises_too_much_is_refused(tmp_path, line, error):
    path = tmp_path / "bad.model"
    path.write_bytes(line + b"\n+1.0 \n")
    with pytest.raises(error):
        gw.open(path)


def test_gradients_behind_the_numbers_are_stepped_over(tmp_path):
    path = tmp_path / "grad.model"
    path.write_bytes(b"#Parameter# /a/_0 {2} 66 FULL_GRAD\n" + (b"+1.00000000e+00 " * 2 + b"\n") * 2 + b"#Parameter# /a/_1 {1} 17 ZERO_GRAD\n+2.00000000e+00 \n")  # fmt: skip
    tensors = gw.open(path).tensors
    assert [tensor.array().tolist() for tensor in tensors.values()] == [[1.0, 1.0], [2.0]]
