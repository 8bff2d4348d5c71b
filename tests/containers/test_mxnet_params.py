"""MXNet's ``.params``: what MXNet 1.9.1 wrote, older and newer array headers, and everything broken."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused

from gatewise.containers import container, mxnet_params, open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, LimitExceeded, NotRepresentable
from gatewise.tensors import StoredTensor, Strided, Tensors

FIXTURES = Path(__file__).parents[1] / "fixtures" / "mxnet" / "1.9.1"
ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)
DEVICE = struct.pack("<ii", 1, 0)


def listed(*arrays: bytes, names: tuple[str, ...] = ("a",), told: int | None = None) -> bytes:
    texts = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in names)
    head = struct.pack("<QQQ", 0x112, 0, len(arrays))
    return head + b"".join(arrays) + struct.pack("<Q", len(names) if told is None else told) + texts


def version(magic: int, shape: tuple[int, ...] = ARRAY.shape, code: int = 0, body: bytes = ARRAY.tobytes()) -> bytes:
    """A dense array as each version of MXNet writes it; 0: before there were magics."""
    if magic == 0:
        head = struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    else:
        storage = struct.pack("<i", 0) if magic != mxnet_params.V1 else b""
        head = struct.pack("<I", magic) + storage + struct.pack(f"<i{len(shape)}q", len(shape), *shape)
    return head + DEVICE + struct.pack("<i", code) + body


def csr() -> bytes:
    """A sparse 4 × 3 array with two elements: two of values, five of row ends, two of columns."""
    shapes = struct.pack("<iq", 1, 2) + struct.pack("<iqq", 2, 4, 3)
    index = struct.pack("<iiq", 6, 1, 5) + struct.pack("<iiq", 6, 1, 2)
    elements = bytes(2 * 4) + bytes(5 * 8) + bytes(2 * 8)
    return struct.pack("<Ii", mxnet_params.V2, 2) + shapes + DEVICE + struct.pack("<i", 0) + index + elements


def opened(tmp_path, data, limits=None):
    (tmp_path / "x.params").write_bytes(data)
    return open_tensors(tmp_path / "x.params", *([limits] if limits else []))


@pytest.mark.parametrize("magic", [0, mxnet_params.V1, mxnet_params.V2, mxnet_params.V3], ids=["0", "1", "2", "3"])
def test_every_version_of_the_array_header_is_read(tmp_path, magic):
    tensors = opened(tmp_path, listed(version(magic), version(magic, (1,), 1, bytes(8)), names=("a", "b")))
    assert (tensors.container, list(tensors)) == ("mxnet-params", ["a", "b"])
    assert np.array_equal(tensors["a"].array(), ARRAY)
    assert (tensors["b"].dtype, tensors["b"].shape) == ("float64", (1,))
    assert isinstance(tensors["a"].data, Strided)


def test_what_mxnet_wrote_is_listed_under_its_own_names():
    tensors = open_tensors(FIXTURES / "fused_gru_1-0000.params")
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"arg:gru_parameters": (132,)}
    tensors = open_tensors(FIXTURES / "LSTM_2_both.params")
    assert next(iter(tensors)) == "_unfused.0.l_cell.i2h_weight"
    assert {tensor.dtype for tensor in tensors.values()} == {"float32"}


def test_the_graph_beside_the_file_tells_the_operators():
    tensors = open_tensors(FIXTURES / "fused_lstm_2_both-0000.params")
    (said,) = tensors.declared
    assert (said.path, said.kind, dict(said.inputs)) == (
        "lstm",
        "mxnet.RNN(lstm)",
        {"parameters": "arg:lstm_parameters"},
    )
    assert {said.settings[name] for name in ("num_layers", "state_size")} == {2, 4}
    assert said.settings["bidirectional"] is True
    (said,) = open_tensors(FIXTURES / "RNN_tanh_exported-0000.params").declared
    assert (said.kind, dict(said.inputs)) == ("mxnet.RNN(rnn_tanh)", {})
    assert said.path
    assert all(
        name.startswith(f"arg:{said.path}_") for name in open_tensors(FIXTURES / "RNN_tanh_exported-0000.params")
    )


@pytest.mark.parametrize(
    "graph", [b"{", b"[]", b'{"nodes": 3}', b'{"nodes": [{"op": "RNN", "name": "a", "inputs": [[7, 0, 0]]}]}', b"[" * 9999],
    ids=["cut", "a list", "no nodes", "an input that is not there", "nested without end"],
)  # fmt: skip
def test_a_graph_that_is_broken_is_told_and_the_arrays_are_read(tmp_path, graph):
    (tmp_path / "x-symbol.json").write_bytes(graph)
    tensors = opened(tmp_path, listed(version(mxnet_params.V2)))
    assert list(tensors) == ["a"]
    assert "cannot be read" in tensors.notes[0]


def test_a_graph_whose_nodes_feed_themselves_ends(tmp_path):
    nodes = [
        {"op": "Reshape", "name": "a", "inputs": [[0, 0, 0]]},
        {"op": "RNN", "name": "b", "inputs": [[0, 0, 0]] * 2},
    ]
    (tmp_path / "x-symbol.json").write_text(json.dumps({"nodes": nodes}))
    assert list(opened(tmp_path, listed(version(mxnet_params.V2)))) == ["a"]


def test_a_sparse_array_is_named_and_what_lies_behind_it_is_read(tmp_path):
    tensors = opened(tmp_path, listed(csr(), version(mxnet_params.V2), names=("embedding", "a")))
    assert np.array_equal(tensors["a"].array(), ARRAY)
    assert list(tensors) == ["a"]
    assert tensors.notes == ("embedding is a sparse array (csr), which is not read. It is left out.",)


def test_an_array_that_has_no_value_is_left_out_and_named(tmp_path):
    for magic, axes in ((mxnet_params.V2, 0), (mxnet_params.V3, -1)):
        none = struct.pack("<Iii", magic, 0, axes)
        tensors = opened(tmp_path, listed(none, version(magic), names=("none", "a")))
        assert list(tensors) == ["a"]
        assert "none was never given a value" in tensors.notes[0]


def test_numpys_scalar_has_no_axes(tmp_path):
    assert opened(tmp_path, listed(version(mxnet_params.V3, (), body=bytes(4))))["a"].shape == ()


def test_a_plain_list_has_numbers_for_names(tmp_path):
    assert list(opened(tmp_path, listed(*[version(mxnet_params.V2)] * 2, names=()))) == ["0", "1"]


REFUSED = {
    "more names than arrays": (listed(version(mxnet_params.V2), names=("a", "b")), "2 names for 1 arrays"),
    "a name twice": (listed(*[version(mxnet_params.V2)] * 2, names=("a", "a")), "two arrays are called 'a'"),
    "an unknown type": (listed(version(mxnet_params.V2, code=77)), "type number 77"),
    "a negative size": (listed(version(mxnet_params.V2, (-2, 3))), r"shape \[-2, 3\]"),
    "a negative number of axes": (listed(struct.pack("<Iii", mxnet_params.V2, 0, -3)), "-3 axes"),
    "an unknown storage": (listed(struct.pack("<Iii", mxnet_params.V2, 9, 1)), "storage type 9"),
    "elements that are not there": (listed(version(mxnet_params.V2, (1 << 40,))), "ends early"),
    "a size that overflows": (listed(version(mxnet_params.V2, (1 << 62, 1 << 62))), "ends early"),
    "a name that is not there": (listed(version(mxnet_params.V2))[:-1], "ends early"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, data, message):
    with pytest.raises(BrokenFile, match=message):
        opened(tmp_path, data)


def test_limits_hold_for_tensors_and_axes(tmp_path):
    for limits in (Limits(tensors=0), Limits(rank=1)):
        with pytest.raises(LimitExceeded):
            opened(tmp_path, listed(version(mxnet_params.V2)), limits)
    with pytest.raises(LimitExceeded):
        opened(tmp_path, listed(struct.pack("<Iii", mxnet_params.V2, 0, 1 << 30)))


@pytest.mark.slow
def test_a_file_cut_anywhere_or_damaged_is_refused_or_read_and_nothing_else(tmp_path):
    data = listed(version(mxnet_params.V2), csr(), version(0), names=("a", "b", "c"))
    for end in range(16, len(data)):
        with pytest.raises(BrokenFile):
            opened(tmp_path, data[:end])
    for third in range(3):
        all_read_or_refused(tmp_path / "y", data, third, seed=5, count=400)


def test_what_is_written_is_read_back_bit_for_bit(tmp_path):
    dice = np.random.default_rng(3)
    arrays = {name: dice.integers(0, 2, (3, 5)).astype(name) for name in mxnet_params._CODES if name != "bfloat16"}
    stored = [StoredTensor(name, name, array.shape, lambda a=array: a) for name, array in arrays.items()]
    mxnet_params.write(tmp_path / "x.params", Tensors(stored))
    back = open_tensors(tmp_path / "x.params")
    assert list(back) == list(arrays)
    assert helpers.same_arrays([back[name].array() for name in arrays], arrays.values())


def test_a_file_of_mxnet_is_written_back_byte_for_byte(tmp_path):
    for name in ("LSTM_2_both", "GRUCell", "unpacked_gru_1"):
        source = FIXTURES / f"{name}.params"
        mxnet_params.write(tmp_path / "x.params", open_tensors(source))
        assert (tmp_path / "x.params").read_bytes() == source.read_bytes(), name


@pytest.mark.parametrize(("dtype", "shape"), [("complex64", (2,)), ("float32", ()), ("float32", (0, 2))])
def test_what_mxnet_cannot_say_is_refused(tmp_path, dtype, shape):
    tensor = StoredTensor("a", dtype, shape, lambda: np.zeros(shape, dtype))
    with pytest.raises(NotRepresentable, match="'a'"):
        container("mxnet-params").write(tmp_path / "x.params", Tensors([tensor]))
