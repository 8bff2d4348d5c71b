"""MindSpore's ``.ckpt``: parameters whole and in slices, the checksum behind, and everything broken."""

from __future__ import annotations

from pathlib import Path

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from together import in_thirds

from gatewise.containers import mindspore_ckpt, open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, NotRepresentable
from gatewise.tensors import StoredTensor, Strided, Tensors, numpy_dtype

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mindspore" / "2.10.0"
ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)
_field, _varint = mindspore_ckpt._field, mindspore_ckpt._varint


RAW = ARRAY.tobytes()


def entry(name="a", dims=ARRAY.shape, kind="Float32", content=RAW) -> bytes:
    tensor = b"".join(b"\x08" + _varint(size) for size in dims) + _field(2, kind.encode()) + _field(3, content)
    return _field(1, _field(1, name.encode()) + _field(2, tensor))


def opened(tmp_path, data, limits=None):
    (tmp_path / "x.ckpt").write_bytes(data)
    return open_tensors(tmp_path / "x.ckpt", *([limits] if limits else []))


def test_parameters_are_views_of_the_file(tmp_path):
    tensors = opened(tmp_path, entry() + entry("b", (2,), "Float64", bytes(16)))
    assert (tensors.container, list(tensors)) == ("mindspore-ckpt", ["a", "b"])
    assert np.array_equal(tensors["a"].array(), ARRAY)
    assert isinstance(tensors["a"].data, Strided)
    assert tensors["b"].dtype == "float64"
    assert [writer.framework for writer in tensors.written_by] == ["mindspore"]


def test_a_shape_of_one_zero_is_a_scalars(tmp_path):
    assert opened(tmp_path, entry(dims=(0,), content=bytes(4)))["a"].shape == ()


def test_slices_of_one_name_that_follow_each_other_are_one_parameter(tmp_path):
    raw = ARRAY.tobytes()
    tensors = opened(tmp_path, entry(content=raw[:10]) + entry(content=raw[10:]) + entry("b"))
    assert list(tensors) == ["a", "b"]
    assert np.array_equal(tensors["a"].array(), ARRAY)


def test_a_checksum_behind_the_parameters_is_none_of_them(tmp_path):
    data = entry() + b"crc_num" + (1234567).to_bytes(10, "big")
    assert list(opened(tmp_path, data)) == ["a"]
    assert (FIXTURES / "LSTM_inside.ckpt").read_bytes()[-17:-10] == b"crc_num"


def test_texts_and_maps_are_left_out_and_named(tmp_path):
    text = entry("step_info", (1,), "str", "words".encode("utf-32-le"))
    table = _field(1, _field(1, b"table") + _field(3, b""))
    tensors = opened(tmp_path, text + entry() + table)
    assert list(tensors) == ["a"]
    assert [note.split()[0] for note in tensors.notes] == ["step_info", "table"]


REFUSED = {
    "another field": (entry() + b"\x10\x01", "a field 2"),
    "too few bytes": (entry(content=ARRAY.tobytes()[:-1]), "has 23 bytes"),
    "too many bytes": (entry(content=ARRAY.tobytes() + b"1"), "has 25 bytes"),
    "a negative size": (entry(dims=((1 << 64) - 2, 3)), "has 24 bytes"),
    "a name twice": (entry() + entry("b") + entry(), "two parameters are called 'a'"),
    "no value": (entry() + _field(1, _field(1, b"b")), "no name or no value"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, data, message):
    with pytest.raises(BrokenFile, match=message):
        opened(tmp_path, data)


def test_limits_hold(tmp_path):
    for limits in (Limits(tensors=0), Limits(rank=1)):
        with pytest.raises(LimitExceeded):
            opened(tmp_path, entry(), limits)


def test_other_protocol_buffers_are_not_claimed(tmp_path):
    (tmp_path / "x").write_bytes(_field(1, _field(1, b"name") + _field(2, _field(2, b"words"))))
    with pytest.raises(GatewiseError):
        open_tensors(tmp_path / "x")


@in_thirds
def test_a_file_cut_anywhere_or_damaged_is_refused_or_read_and_nothing_else(tmp_path, third):
    data = (FIXTURES / "GRUCell.ckpt").read_bytes()
    all_read_or_refused(tmp_path / "y", data, third, seed=5, count=400)


def test_a_file_of_mindspore_is_written_back_byte_for_byte(tmp_path):
    for name in ("LSTM_2_both", "GRUCell"):
        mindspore_ckpt.write(tmp_path / "x.ckpt", open_tensors(FIXTURES / f"{name}.ckpt"))
        assert (tmp_path / "x.ckpt").read_bytes() == (FIXTURES / f"{name}.ckpt").read_bytes()


def test_what_is_written_is_read_back_bit_for_bit_in_slices_too(tmp_path, monkeypatch):
    monkeypatch.setattr(mindspore_ckpt, "_SLICE", 16)
    dice = np.random.default_rng(3)
    arrays = {name: dice.integers(0, 2, (3, 5)).astype(numpy_dtype(name)) for name in mindspore_ckpt._CODES}
    arrays["scalar"] = np.array(3, "f4")
    stored = [StoredTensor(name, array.dtype.name, array.shape, lambda a=array: a) for name, array in arrays.items()]
    mindspore_ckpt.write(tmp_path / "x.ckpt", Tensors(stored))
    back = open_tensors(tmp_path / "x.ckpt")
    assert helpers.same_arrays([back[name].array() for name in arrays], arrays.values())
    with pytest.raises(NotRepresentable, match="complex64"):
        mindspore_ckpt.write(tmp_path / "y", Tensors([StoredTensor("a", "complex64", (1,), lambda: np.zeros(1))]))
