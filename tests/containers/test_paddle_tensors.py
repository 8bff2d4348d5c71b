"""Paddle's own tensors: alone, one after another with the graph beside them, in folders; and everything broken."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from damage import all_read_or_refused
from filemakers import afresh
from together import in_thirds

from gatewise.containers import open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded
from gatewise.tensors import Strided

FIXTURES = Path(__file__).parents[1] / "fixtures" / "paddle" / "3.3.1"
ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)
RAW = ARRAY.tobytes()


def tensor(dims=(2, 3), kind=5, body=RAW, levels=(), version=0) -> bytes:
    description = b"\x08" + bytes([kind]) + b"".join(b"\x10" + bytes([size]) for size in dims)
    head = struct.pack("<IQ", version, len(levels)) + b"".join(struct.pack("<Q", len(each)) + each for each in levels)
    return head + struct.pack("<Ii", version, len(description)) + description + body


def opened(tmp_path, data, limits=None):
    (tmp_path / "x.pdiparams").write_bytes(data)
    return open_tensors(tmp_path / "x.pdiparams", *([limits] if limits else []))


def test_one_tensor_is_called_like_its_file_and_several_by_numbers(tmp_path):
    tensors = opened(tmp_path, tensor())
    assert (tensors.container, list(tensors)) == ("paddle-tensors", ["x.pdiparams"])
    assert np.array_equal(tensors["x.pdiparams"].array(), ARRAY)
    assert isinstance(tensors["x.pdiparams"].data, Strided)
    tensors = opened(tmp_path, tensor() + tensor((2,), 6, bytes(16)) + tensor(levels=(bytes(16),)))
    assert {name: (each.dtype, each.shape) for name, each in tensors.items()} == {
        "0": ("float32", (2, 3)), "1": ("float64", (2,)), "2": ("float32", (2, 3)),
    }  # fmt: skip
    assert "have no names" in tensors.notes[0]


def test_the_graph_names_them_and_tells_the_operators():
    for name, mode in (("exported_pir", "LSTM"), ("exported_old", "GRU")):
        tensors = open_tensors(FIXTURES / f"{name}.pdiparams")
        (said,) = tensors.declared
        assert said.kind == f"paddle.rnn({mode})"
        assert len(said.inputs) == 16
        assert set(said.inputs.values()) <= set(tensors)
        assert said.inputs["1.cell_bw.bias_hh"].endswith(".b_1")


def test_a_graph_that_is_broken_or_another_models_is_told(tmp_path):
    (tmp_path / "x.json").write_bytes(b'{"program": {"regions": []}}')
    assert "cannot be read" in opened(tmp_path, tensor() * 2).notes[0]
    (tmp_path / "x.json").write_bytes((FIXTURES / "exported_pir.json").read_bytes())
    assert "parameters, and here are 2" in opened(tmp_path, tensor() * 2).notes[0]


def test_a_folder_of_tensors_has_the_files_names_also_when_it_is_packed(tmp_path):
    whole = open_tensors(FIXTURES / "tensors_lstm_cell")
    assert sorted(whole) == ["lstm_cell_0.b_0", "lstm_cell_0.b_1", "lstm_cell_0.w_0", "lstm_cell_0.w_1"]
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as packed:
        packed.add(FIXTURES / "tensors_lstm_cell", "model")
    assert sorted(open_tensors(tmp_path / "x.tar.gz")) == [f"model/{name}" for name in sorted(whole)]


def test_a_folder_with_other_files_beside_the_tensors_is_read_and_these_are_told(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(tensor())
    (tmp_path / "notes.txt").write_bytes(b"words")
    (tmp_path / "zzz").write_bytes(b"words")
    tensors = open_tensors(tmp_path)
    assert list(tensors) == ["a", "b", "c"]
    assert tensors.notes == ("zzz is no tensor of Paddle's and is not read.",)


REFUSED = {
    "an unknown version behind": (tensor() + tensor(version=1), "version is not 0"),
    "too many levels": (tensor() + struct.pack("<IQ", 0, 99), "99 levels"),
    "a description without end": (tensor() + bytes(16) + struct.pack("<i", 1 << 20), "description has 1,048,576"),
    "an unknown type": (tensor(kind=99), "type 99"),
    "elements that are not there": (tensor(body=RAW[:-1]), "ends early"),
    "a size that overflows": (tensor(dims=(127,) * 30), "ends early"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, data, message):
    with pytest.raises(BrokenFile, match=message):
        opened(tmp_path, data)


def test_limits_hold(tmp_path):
    for limits in (Limits(tensors=1), Limits(rank=1)):
        with pytest.raises(LimitExceeded):
            opened(tmp_path, tensor() * 2, limits)


def test_zeros_are_no_tensor(tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(GatewiseError):
        open_tensors(tmp_path / "x")


@pytest.mark.parametrize("name", ["exported_old.pdiparams", "exported_old.pdmodel", "exported_pir.json"])
@in_thirds
def test_a_damaged_file_or_graph_is_refused_or_read_and_nothing_else(tmp_path, name, third):
    stem = name.partition(".")[0]
    for path in FIXTURES.glob(f"{stem}.*"):
        afresh(tmp_path / path.name, path.read_bytes())
    weights = tmp_path / f"{stem}.pdiparams"
    all_read_or_refused(tmp_path / name, (FIXTURES / name).read_bytes(), third, seed=5, count=150, opened=weights)
