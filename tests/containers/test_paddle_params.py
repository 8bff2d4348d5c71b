"""Paddle's ``.pdparams``: what Paddle 3.3.1 wrote, trees and tables as it writes them, and everything broken."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from together import in_thirds

from gatewise.containers import open_tensors, paddle_params
from gatewise.errors import BrokenFile, NotRepresentable
from gatewise.tensors import StoredTensor, Tensors, numpy_dtype

FIXTURES = Path(__file__).parents[1] / "fixtures" / "paddle" / "3.3.1"
TABLE = "StructuredToParameterName@@"
ARRAY = np.arange(6, dtype="<f4").reshape(2, 3)


def opened(tmp_path, tree, protocol=4):
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(tree, protocol))
    return open_tensors(tmp_path / "x.pdparams")


def state(**arrays):
    return {**arrays, TABLE: dict.fromkeys(arrays, "linear_0.w_0")}


class Outside:
    """A tensor outside a state dict, as paddle.save pickles it: tuple((name, array)), or eval of an array."""

    def __init__(self, name, array):
        self.name, self.array = name, array

    def __reduce__(self):
        if self.name is None:
            return eval, ("data", {"data": self.array})
        return tuple, ((self.name, self.array),)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_state_dict_is_read_in_every_protocol(tmp_path, protocol):
    tensors = opened(tmp_path, state(weight=ARRAY, steps=np.array(3)), protocol)
    assert tensors.container == "paddle-params"
    assert [writer.framework for writer in tensors.written_by] == ["paddle"]
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"weight": (2, 3), "steps": ()}
    assert np.array_equal(tensors["weight"].array(), ARRAY)


def test_tensors_of_a_tree_are_called_by_their_path_and_nothing_is_called(tmp_path):
    tree = {"model": {"a.weight": Outside("w", ARRAY)}, "list": [Outside(None, ARRAY), 3], "epoch": 7}
    tensors = opened(tmp_path, tree)
    assert list(tensors) == ["model.a.weight", "list.0"]
    assert np.array_equal(tensors["list.0"].array(), ARRAY)


def test_two_names_of_one_parameter_share_its_elements(tmp_path):
    tensors = opened(tmp_path, {"a.weight": ARRAY, "b.weight": ARRAY, TABLE: {"a.weight": "w", "b.weight": "w"}})
    assert tensors["a.weight"].identity == tensors["b.weight"].identity
    tensors = opened(tmp_path, {"a.weight": ARRAY, "b.weight": ARRAY, TABLE: {"a.weight": "w", "b.weight": "v"}})
    assert tensors["a.weight"].identity != tensors["b.weight"].identity


@pytest.mark.parametrize("name", ["LSTM_projected_2_both", "LSTM_copied", "LSTM_inside", "LSTM_protocol_2"])
def test_second_names_of_what_lies_in_cells_are_left_out_and_told(name):
    """With projections they are wrong: weight_hh_l1 is the projection of layer 0."""
    tensors = open_tensors(FIXTURES / f"{name}.pdparams")
    assert tensors
    assert all(".cell" in tensor for tensor in tensors)
    assert any("second name(s)" in note for note in tensors.notes)


def test_names_that_end_alike_are_kept_where_there_are_no_cells(tmp_path):
    assert list(opened(tmp_path, state(weight_ih_l0=ARRAY, weight_hh_l0=ARRAY))) == ["weight_ih_l0", "weight_hh_l0"]


def test_slices_of_a_large_array_are_put_together(tmp_path):
    slices = {"w@@.0": ARRAY.ravel()[:4], "w@@.1": ARRAY.ravel()[4:]}
    table = {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.1"]}}
    tensors = opened(tmp_path, {"b": ARRAY[0], **slices, "UnpackBigParamInfor@@": table}, 2)
    assert list(tensors) == ["b", "w"]
    assert np.array_equal(tensors["w"].array(), ARRAY)


@pytest.mark.parametrize(
    "table",
    [
        {"w": {"OriginShape": (2, 4), "slices": ["w@@.0"]}},
        {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.9"]}},
        {"w": {"OriginShape": "23", "slices": ["w@@.0"]}},
        {"w": {"OriginShape": (2, 3)}},
        {"w": 3},
        {"w": {"OriginShape": (2, 3), "slices": ["square"]}},
    ],
    ids=["another size", "one is missing", "a shape that is none", "no slices", "no table", "not flat"],
)
def test_slices_that_do_not_make_the_array_are_refused(tmp_path, table):
    tree = {"w@@.0": ARRAY.ravel(), "square": ARRAY, "UnpackBigParamInfor@@": table}
    with pytest.raises(BrokenFile, match=r"slices|was cut|flat pieces"):
        opened(tmp_path, tree, 2)


def test_uint16_is_how_paddle_keeps_bfloat16(tmp_path):
    tensor = opened(tmp_path, state(weight=np.array([0x3F80, 0xC000], "<u2")))["weight"]
    assert tensor.dtype == "bfloat16"
    assert tensor.array().astype("f4").tolist() == [1.0, -2.0]


def test_what_is_no_array_of_numbers_is_left_out_and_named(tmp_path):
    tensors = opened(tmp_path, state(text=np.array(["a"]), weight=ARRAY))
    assert list(tensors) == ["weight"]
    assert tensors.notes == ("text is no array of numbers and is left out.",)


def test_a_pickle_that_is_not_paddles_is_another_formats(tmp_path):
    assert opened(tmp_path, {"weight": ARRAY}).container == "pickle"


@in_thirds
def test_a_file_cut_anywhere_or_damaged_is_refused_or_read_and_nothing_else(tmp_path, third):
    data = (FIXTURES / "GRUCell.pdparams").read_bytes()
    all_read_or_refused(tmp_path / "y", data, third, seed=5, count=400)


def test_what_is_written_is_what_pickle_and_gatewise_read(tmp_path):
    dice = np.random.default_rng(3)
    names = ("float64", "float32", "float16", "int64", "int8", "bool", "uint8")
    arrays = {name: dice.integers(0, 2, (3, 5)).astype(name) for name in names}
    arrays |= {"scalar": np.array(3, "f4"), "turned": arrays["float64"].T, "many": np.zeros((1,) * 9 + (300,), "f4")}
    stored = [StoredTensor(name, array.dtype.name, array.shape, lambda a=array: a) for name, array in arrays.items()]
    paddle_params.write(tmp_path / "x.pdparams", Tensors(stored))
    raw = (tmp_path / "x.pdparams").read_bytes()
    tree = pickle.loads(raw)
    assert tree.pop(TABLE) == {name: name for name in arrays}
    assert helpers.same_arrays(tree.values(), arrays.values())
    back = open_tensors(tmp_path / "x.pdparams")
    assert helpers.same_arrays([back[name].array() for name in arrays], arrays.values())
    assert {opcode.name for opcode, _, _ in pickletools.genops(raw)} & {"REDUCE", "BUILD"}


def test_bfloat16_is_written_as_paddle_reads_it(tmp_path):
    array = np.array([1.0, -2.0], "f4").astype(numpy_dtype("bfloat16"))
    paddle_params.write(tmp_path / "x.pdparams", Tensors([StoredTensor("a", "bfloat16", (2,), lambda: array)]))
    assert pickle.loads((tmp_path / "x.pdparams").read_bytes())["a"].tolist() == [0x3F80, 0xC000]
    assert open_tensors(tmp_path / "x.pdparams")["a"].dtype == "bfloat16"


def test_a_dtype_that_paddle_has_not_is_refused(tmp_path):
    tensor = StoredTensor("a", "float8_e5m2", (2,), lambda: np.zeros(2))
    with pytest.raises(NotRepresentable, match="float8_e5m2"):
        paddle_params.write(tmp_path / "x", Tensors([tensor]))
