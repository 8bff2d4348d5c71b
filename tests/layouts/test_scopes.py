"""``<...>`` in a name template: what of a tensor's name is the layer's own path; and names that several tables fit."""

from __future__ import annotations

import numpy as np
import pytest
from random_layers import stored

from gatewise.errors import PhraseError
from gatewise.layouts import layout, layouts, recognise
from gatewise.layouts._names import template
from gatewise.tensors import WrittenBy

CELL = template("[{fw|bw}/]<lstm_cell[_*]>/kernel", ())


@pytest.mark.parametrize(
    ("name", "path", "direction"),
    [
        ("lstm_cell/kernel", "lstm_cell", "forward"),
        ("rnn/lstm_cell/kernel", "rnn/lstm_cell", "forward"),
        ("a.b/rnn/lstm_cell_2/kernel", "a.b/rnn/lstm_cell_2", "forward"),
        ("bidirectional_rnn/fw/lstm_cell/kernel", "bidirectional_rnn", "forward"),
        ("bidirectional_rnn/bw/lstm_cell/kernel", "bidirectional_rnn", "reverse"),
        ("fw/lstm_cell/kernel", "", "forward"),
        ("bidirectional_rnn/bw/multi_rnn_cell/cell_0/lstm_cell/kernel", "bidirectional_rnn/bw/multi_rnn_cell/cell_0/lstm_cell", "forward"),
    ],
)  # fmt: skip
def test_the_scope_of_a_cell_is_its_path_unless_a_direction_stands_before_it(name, path, direction):
    found = CELL.match(name)
    assert (found.path, found.direction) == (path, direction)


@pytest.mark.parametrize(
    "name", ["basic_lstm_cell/kernel", "cudnn_compatible_lstm_cell/kernel", "lstm_cell/kernel/Adam"]
)
def test_a_longer_word_is_another_cell(name):
    assert CELL.match(name) is None


def test_a_written_name_has_the_scope_without_its_marks():
    assert CELL.fill(0, "forward", None, 1) == "lstm_cell/kernel"
    assert CELL.fill(0, "reverse", None, 2) == "bw/lstm_cell/kernel"


@pytest.mark.parametrize("text", ["<a/kernel", "a>/kernel", "<a><b>/kernel", "<a[b>]/kernel", "<<a>>/kernel"])
def test_a_scope_that_is_not_whole_is_refused(text):
    with pytest.raises(PhraseError):
        template(text, ())


# Several tables.


def found_in(*names_and_shapes):
    arrays = {name: np.zeros(shape, "f4") for name, shape in names_and_shapes}
    return recognise(stored(arrays, written_by=[WrittenBy("tensorflow", "1.15.0", "a test")]), layouts())


def test_a_keras_layer_in_a_tensorflow_checkpoint_is_no_lstm_cell_with_a_kernel_and_a_bias():
    """Its kernel of 9 features and its bias alone would be an LSTMCell's of 5 features and 4 units."""
    (match,) = found_in(
        ("lstm/lstm_cell/kernel", (9, 16)), ("lstm/lstm_cell/recurrent_kernel", (4, 16)), ("lstm/lstm_cell/bias", (16,))
    ).matches
    assert match.layout.name == "keras.LSTM"
    assert match.sizes[0, "forward"]["feature"] == 9


def test_a_cell_that_the_user_named_is_found_by_its_place_and_is_unsure():
    names = ["rnn/multi_rnn_cell/cell_0/my_cell", "rnn/multi_rnn_cell/cell_1/my_cell"]
    matches = found_in(
        *((f"{name}/kernel", (6, 16)) for name in names), *((f"{name}/bias", (16,)) for name in names)
    ).matches
    assert [(match.name, match.layout.name, match.sure) for match in matches] == [
        (name, "tf1.LSTMCell", False) for name in names
    ]


def test_a_gru_of_any_name_is_told_by_its_gates_and_candidate():
    (match,) = found_in(
        ("rnn/mine/gates/kernel", (7, 8)), ("rnn/mine/gates/bias", (8,)),
        ("rnn/mine/candidate/kernel", (7, 4)), ("rnn/mine/candidate/bias", (4,)),
    ).matches  # fmt: skip
    assert (match.name, match.layout.name, match.sure) == ("rnn/mine", "tf1.GRUCell", True)


def test_a_dense_layer_whose_shape_would_do_is_no_cell():
    found = found_in(("rnn/dense/kernel", (12, 16)), ("rnn/dense/bias", (16,)), ("lstm/dense/kernel", (12, 16)))
    assert found.matches == ()


def test_cells_of_one_scope_are_told_apart_by_their_numbers():
    names = ["net/basic_lstm_cell", "net/basic_lstm_cell_1", "net/gru_cell"]
    found = found_in(
        (f"{names[0]}/kernel", (9, 16)), (f"{names[0]}/bias", (16,)), (f"{names[1]}/kernel", (8, 16)), (f"{names[1]}/bias", (16,)),
        (f"{names[2]}/gates/kernel", (7, 8)), (f"{names[2]}/gates/bias", (8,)),
        (f"{names[2]}/candidate/kernel", (7, 4)), (f"{names[2]}/candidate/bias", (4,)),
    )  # fmt: skip
    assert [match.name for match in found.matches] == names


def test_a_table_of_a_version_says_so_by_its_name():
    assert layout("tf1.LSTMBlockCell-0.12").settings[1].default == 3.0
    assert layout("tf1.LSTMBlockFusedCell").settings[1].default is None
