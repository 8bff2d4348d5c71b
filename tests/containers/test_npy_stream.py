"""Streams of .npy arrays, as Equinox saves a tree: read in their order, also behind a line of JSON, and written."""

from __future__ import annotations

import io
import json
import random

import numpy as np
import pytest
from filemakers import afresh
from test_safetensors import tensors_of

from gatewise.containers import npy_stream, open_tensors
from gatewise.errors import BrokenFile, GatewiseError, NotRepresentable

ARRAYS = [
    np.arange(6, dtype="f4").reshape(2, 3),
    np.asfortranarray(np.ones((3, 2))),
    np.array(0.5),
    np.zeros((0, 2), "i2"),
]


def stream(*arrays, head=b"") -> bytes:
    file = io.BytesIO()
    file.write(head)
    for array in arrays:
        np.save(file, array)
    return file.getvalue()


def opened(tmp_path, data):
    afresh(tmp_path / "x.eqx", data)
    return open_tensors(tmp_path / "x.eqx")


@pytest.mark.parametrize("head", [b"", json.dumps({"hidden": 4}).encode() + b"\n"], ids=["bare", "with a line of JSON"])
def test_arrays_are_called_by_their_place(tmp_path, head):
    tensors = opened(tmp_path, stream(*ARRAYS, head=head))
    assert tensors.container == "npy-stream"
    assert list(tensors) == ["0", "1", "2", "3"]
    for tensor, array in zip(tensors.values(), ARRAYS, strict=True):
        assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype.name)
        assert np.array_equal(tensor.array(), array)
    assert tensors.metadata.get("hyperparameters") == ({"hidden": 4} if head else None)


def test_one_array_alone_is_an_npy_file_unless_a_line_stands_before_it(tmp_path):
    assert opened(tmp_path, stream(ARRAYS[0])).container == "npy"
    assert opened(tmp_path, stream(ARRAYS[0], head=b"[1, 2]\n")).container == "npy-stream"


def test_a_line_that_is_no_json_is_told_and_does_not_matter(tmp_path):
    tensors = opened(tmp_path, stream(*ARRAYS, head=b"{hidden: 4}\n"))
    assert "not JSON" in tensors.notes[0]
    assert len(tensors) == 4


def test_nameless_elements_of_two_bytes_are_bfloat16(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3)
    tensors = opened(tmp_path, stream(array, array))
    assert tensors["1"].dtype == "bfloat16"
    assert np.array_equal(tensors["1"].array(), array)


def test_numpy_reads_what_is_written_in_the_same_order(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    arrays = {"b": ARRAYS[1], "a": ARRAYS[0], "h": np.ones(3, ml_dtypes.bfloat16), "n": ARRAYS[2]}
    npy_stream.write(tmp_path / "x.eqx", tensors_of(arrays))
    with open(tmp_path / "x.eqx", "rb") as file:
        for array in arrays.values():
            back = np.load(file)
            assert np.array_equal(back.view(array.dtype) if array.dtype.name == "bfloat16" else back, array)
        assert file.read() == b""
    assert [tensor.dtype for tensor in open_tensors(tmp_path / "x.eqx").values()] == [
        "float64",
        "float32",
        "bfloat16",
        "float64",
    ]
    with pytest.raises(NotRepresentable):
        npy_stream.write(tmp_path / "y.eqx", tensors_of({"a": np.ones(2, ml_dtypes.float8_e5m2)}))


def test_an_array_of_objects_is_refused_since_its_end_is_not_known(tmp_path):
    with pytest.raises(BrokenFile, match="pickle"):
        opened(tmp_path, stream(ARRAYS[0], ARRAYS[0], np.array([{}], object)))


def refusal(tmp_path, data):
    try:
        for tensor in opened(tmp_path, data).values():
            tensor.array()
    except GatewiseError as error:
        return str(error)
    return None


def test_cut_anywhere_or_with_a_bit_flipped_it_is_refused_in_words_or_harmless(tmp_path):
    data, dice = stream(*ARRAYS, head=b'{"a": 1}\n'), random.Random(0)
    trials = [data[:end] for end in range(1, len(data), 3)]
    for _ in range(300):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        trials.append(bytes(flipped))
    refused = [text for trial in trials if (text := refusal(tmp_path, trial))]
    assert len(refused) > len(data) // 4
    assert all(len(text) > 20 for text in refused)
