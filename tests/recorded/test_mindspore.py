"""MindSpore's files: what MindSpore 2.10.0 computed.  Its tanh on a CPU is an approximation, so nearer than the figures
of the table it is not: RNNs of more layers and units were 1.3e-04 apart, GRUs 7e-06, LSTMs 3e-07."""

from __future__ import annotations

import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw

FOLDER = FIXTURES / "mindspore" / "2.10.0"
FILES = recorded("mindspore", ".ckpt")
SHAPES = {
    "LSTM_2_both": ("mindspore.LSTM", 2, 2), "LSTM_inside": ("mindspore.LSTM", 1, 1), "GRU_1": ("mindspore.GRU", 1, 1),
    "RNN_2": ("mindspore.RNN", 2, 1), "LSTMCell": ("mindspore.LSTMCell", 1, 1), "GRUCell": ("mindspore.GRUCell", 1, 1),
    "RNNCell": ("mindspore.RNNCell", 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what MindSpore recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    assert (layer.layout, spec.num_layers, spec.directions) == SHAPES[path.stem]
    assert (spec.input_size, spec.hidden_size, spec.bias) == (5, 4, "double")
    assert layer.name == ("network.encoder" if path.stem == "LSTM_inside" else "")
    assert error(layer, record_of(path), time_major=True) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


def test_the_gru_resets_after_and_another_reading_is_wrong_by_more_than_its_tanh():
    from gatewise.record import replace

    layer = gw.open(FOLDER / "GRU_1.ckpt").only()
    other = layer.replaced(dialect=replace(layer.dialect, reset="before"))
    assert error(other, record_of(FOLDER / "GRU_1.ckpt"), time_major=True) > 0.01


@pytest.mark.parametrize("written", ["LSTM_2_both", "LSTM_inside", "RNNCell"])
def test_what_is_written_is_what_mindspore_wrote(tmp_path, written):
    source = gw.open(FOLDER / f"{written}.ckpt").only()
    assert gw.save(source, tmp_path / "x.ckpt").max_abs_error == 0.0
    back = gw.open(tmp_path / "x.ckpt")
    assert set(back.tensors) == set(gw.open(FOLDER / f"{written}.ckpt").tensors)
