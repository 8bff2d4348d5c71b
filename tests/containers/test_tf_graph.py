"""TensorFlow graphs and SavedModels, made byte by byte: what is wrong in one is told, or does not matter."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_help as tf
from filemakers import afresh

from gatewise.containers import open_tensors
from gatewise.containers._tf_cells import cells_of
from gatewise.containers._tf_graph import Graph, shortest
from gatewise.containers._tf_objects import paths_through
from gatewise.cursor import DEFAULT_LIMITS, Cursor
from gatewise.errors import ContainerError, GatewiseError, UnknownContainer

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tf"
FROZEN = FIXTURES / "tf-1.15.0" / "basic_lstm_frozen.pb"
META = FIXTURES / "tf-1.15.0" / "basic_lstm.ckpt.meta"
SAVED = FIXTURES / "tfkeras-2.15.1" / "lstm_savedmodel.tar.gz"


# Graphs made by hand.


def attr(name: str, value: bytes) -> tuple[int, bytes]:
    return (5, tf.message((1, name), (2, value)))


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    listed = [attr(key, value) for key, value in attributes.items()]
    return tf.message((1, name), (2, op), *((3, text) for text in inputs), *listed)


def constant(name: str, *values: float, shape: tuple[int, ...] = ()) -> bytes:
    raw = np.array(values, "f4").tobytes()
    tensor = tf.message((1, 1), (2, tf.shape_message(shape)), (4, raw))
    return node(name, "Const", value=tf.message((8, tensor)))


def lstm(*between: bytes, gate: str = "f_in", scope: str = "rnn/lstm_cell") -> list[bytes]:
    """The operations of one cell; ``between`` stands before the sigmoid of f, whose input is ``gate``."""
    return [
        node(f"{scope}/kernel", "VariableV2"),
        node("xh", "ConcatV2", "x", "h", "axis"),
        node("product", "MatMul", "xh", f"{scope}/kernel/read"),
        node(f"{scope}/kernel/read", "Identity", f"{scope}/kernel"),
        node("split", "Split", "axis", "product", num_split=tf.message((3, 4))),
        node("i", "Sigmoid", "split"),
        node("g", "Tanh", "split:1"),
        node("ig", "Mul", "i", "g"),
        *between,
        node("f", "Sigmoid", gate),
    ]


def told(nodes: list[bytes], scope: str = "rnn/lstm_cell"):
    raw = tf.message(*((1, each) for each in nodes))
    return cells_of(Graph(Cursor(raw, where="graph"), DEFAULT_LIMITS)).get(scope, {})


def test_a_constant_before_the_sigmoid_is_the_forget_bias():
    found = told(lstm(constant("one", 1.5), node("f_in", "Add", "split:2", "one")))
    assert found == {"forget_bias": 1.5, "activation": "tanh", "cell_clip": None, "proj_clip": None}


def test_no_addition_before_any_sigmoid_is_no_forget_bias():
    assert told(lstm(gate="split:2"))["forget_bias"] == 0.0


def test_a_vector_that_is_added_is_not_guessed_to_be_none():
    found = told(
        lstm(constant("one", 1, 1, shape=(2,)), node("f_in", "Add", "split:2", "one"), node("o", "Sigmoid", "split:3"))
    )
    assert found.get("forget_bias") in (0.0, None)


def test_clips_must_be_symmetric():
    def clipped(low: float) -> dict:
        clip = [
            node("fc", "Mul", "f", "c"), node("c_new", "Add", "fc", "ig"), constant("high", 3.0), constant("low", low),
            node("minimum", "Minimum", "c_new", "high"), node("clip", "Maximum", "minimum", "low"),
        ]  # fmt: skip
        return told([*lstm(gate="split:2"), *clip])

    assert clipped(-3.0)["cell_clip"] == 3.0
    assert clipped(0.0)["cell_clip"] is None


def test_block_operations_have_the_defaults_that_a_graph_may_omit():
    nodes = [node("s/kernel", "VarHandleOp"), node("cell", "LSTMBlockCell", "x", "c", "h", "s/kernel")]
    assert told(nodes, "s") == {
        "op": "LSTMBlockCell", "activation": "tanh", "forget_bias": 1.0, "cell_clip": 3.0, "use_peephole": False,
    }  # fmt: skip


def test_nodes_that_feed_themselves_end():
    nodes = [
        node("a", "Identity", "b"), node("b", "Identity", "a"), node("s", "Sigmoid", "a"), node("t", "Sigmoid", "t2"),
        node("t2", "Add", "t2", "t2"), node("m", "Maximum", "m", "m"), node("k", "LSTMBlockCell", *["k"] * 9),
    ]  # fmt: skip
    assert told(nodes, "") == {}


def test_a_number_is_said_with_the_digits_that_it_has():
    assert [shortest(float(np.float32(value))) for value in (0.3, 1.0, 1 / 3)] == [0.3, 1.0, 0.33333334]


# Files.


def test_a_frozen_graph_gives_its_constants_the_names_of_variables():
    tensors = open_tensors(FROZEN)
    assert sorted(tensors) == ["rnn/basic_lstm_cell/bias", "rnn/basic_lstm_cell/kernel"]
    assert not tensors["rnn/basic_lstm_cell/kernel"].array().flags.owndata


def test_a_graph_without_its_checkpoint_says_so(tmp_path):
    shutil.copy(META, tmp_path)
    tensors = open_tensors(tmp_path / META.name)
    assert tensors.container == "tf-graph"
    assert "basic_lstm.ckpt, which is not beside it" in tensors.notes[0]
    assert tensors.declared[0].settings["forget_bias"] == 1.0
    assert tensors.written_by[0].version == "1.15.0"


def test_a_broken_graph_beside_a_checkpoint_is_noted_and_the_weights_are_read(tmp_path):
    for path in META.parent.glob("basic_lstm.ckpt.*"):
        shutil.copy(path, tmp_path)
    meta = tmp_path / META.name
    meta.write_bytes(meta.read_bytes()[:2000])
    tensors = open_tensors(tmp_path / "basic_lstm.ckpt")
    assert len(tensors) == 2
    assert "basic_lstm.ckpt.meta beside the checkpoint cannot be read" in tensors.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("path", [FROZEN, META], ids=["a frozen graph", "a meta graph"])
def test_cut_or_with_a_bit_flipped_it_is_refused_or_harmless(path, tmp_path):
    whole = path.read_bytes()
    copy = tmp_path / "x.pb"
    for at in range(0, len(whole), 97):
        for raw in (whole[:at], whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]):
            afresh(copy, raw)
            try:
                for tensor in open_tensors(copy).values():
                    tensor.array()
            except GatewiseError:
                continue


def test_other_protocol_buffers_are_not_taken_for_graphs(tmp_path):
    (tmp_path / "x.pb").write_bytes(tf.message((1, tf.message((1, "a name"), (2, 7)))))
    with pytest.raises(UnknownContainer):
        open_tensors(tmp_path / "x.pb")


# Objects.


def test_objects_that_hold_one_another_have_one_path():
    children = ({"a": 1, "b": 2}, {"up": 0, "c": 3}, {"c": 3, "self": 2}, {"root": 0})
    assert paths_through(children) == {0: "", 1: "a", 3: "a/c", 2: "b"}


def test_a_list_of_keras_is_a_way_only_to_what_nothing_else_reaches():
    children = ({"variables": 1, "layer": 2}, {"0": 3, "1": 4}, {"kernel": 3}, {}, {})
    assert paths_through(children)[3] == "layer/kernel"
    assert paths_through(children)[4] == "variables/1"


def graph(*nodes: tuple[dict[str, int], tuple[str, str, str] | None]) -> bytes:
    rows = []
    for children, attribute in nodes:
        held = [(1, tf.message((1, number), (2, name))) for name, number in children.items()]
        if attribute:
            held.append((2, tf.message(*((place, text) for place, text in enumerate(attribute, 1)))))
        rows.append((1, tf.message(*held)))
    return tf.message(*rows)


SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


def objects(tmp_path, text: bytes) -> Path:
    return tf.checkpoint(tmp_path / "x", {f"variables/0{SUFFIX}": np.ones((2, 3), "f4")}, texts={KEY: text})


def test_a_tensor_is_called_by_its_path_through_objects(tmp_path):
    text = graph(
        ({"variables": 1, "top": 2}, None), ({"0": 3}, None), ({"kernel": 3, "me": 2}, None),
        ({}, ("VARIABLE_VALUE", "dense/kernel", f"variables/0{SUFFIX}")),
    )  # fmt: skip
    tensors = open_tensors(objects(tmp_path, text))
    assert list(tensors) == ["top/kernel"]
    assert [(declared.path, declared.name) for declared in tensors.declared] == [("top", "dense")]


BAD_GRAPHS = {
    "numbers past the end": graph(({"a": 99, "b": 1 << 40}, None)),
    "no nodes": b"",
    "a key that is not there": graph(({"a": 1}, None), ({}, ("VARIABLE_VALUE", "a", "elsewhere"))),
    "two variables at one path": graph(
        ({"a": 1}, None), ({}, ("VARIABLE_VALUE", "a", f"variables/0{SUFFIX}")), ({}, ("VARIABLE_VALUE", "a", "other"))
    ),
    "no names": graph(({"": 0}, ("", "", ""))),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_an_object_graph_with(name, tmp_path):
    tensors = open_tensors(objects(tmp_path, BAD_GRAPHS[name]))
    assert len(tensors) == 1
    assert np.array_equal(next(iter(tensors.values())).array(), np.ones((2, 3), "f4"))


def test_an_object_graph_that_is_cut_is_refused(tmp_path):
    text = graph(({"a": 1}, None), ({}, ("VARIABLE_VALUE", "a", f"variables/0{SUFFIX}")))
    with pytest.raises(ContainerError):
        open_tensors(objects(tmp_path, text[:-3]))


# SavedModels.


def unpacked(tmp_path) -> Path:
    shutil.unpack_archive(SAVED, tmp_path)
    return tmp_path / "lstm_savedmodel"


def test_a_directory_and_the_same_packed_are_one(tmp_path):
    folder = unpacked(tmp_path)
    for path in (folder, folder / "saved_model.pb"):
        packed, plain = open_tensors(SAVED), open_tensors(path)
        assert list(packed) == list(plain)
        assert packed.declared == plain.declared
        assert plain.container == "tf-saved-model"


def test_a_saved_model_without_its_data_file_names_it(tmp_path):
    folder = unpacked(tmp_path)
    (folder / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ContainerError, match=r"variables\.data-00000-of-00001 is missing"):
        open_tensors(folder)


@pytest.mark.parametrize("name", ["saved_model.pb", "keras_metadata.pb", "variables/variables.index"])
def test_a_saved_model_cut_in_one_file_is_refused_or_harmless(name, tmp_path):
    folder = unpacked(tmp_path)
    whole = (folder / name).read_bytes()
    for part in range(40):
        afresh(folder / name, whole[: len(whole) * part // 40])
        try:
            tensors = open_tensors(folder)
        except GatewiseError:
            continue
        assert len(tensors) in (0, 3)


def test_metadata_that_is_no_json_is_refused(tmp_path):
    folder = unpacked(tmp_path)
    rows = tf.message((1, tf.message((3, "root"), (4, "_tf_keras_network"), (5, "{broken"))))
    (folder / "keras_metadata.pb").write_bytes(rows)
    with pytest.raises(ContainerError, match="not sound JSON"):
        open_tensors(folder)
