"""The flat map by example: orders, views, selectors, and what it says to wrong use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import safetensors, torch_arrays, torch_zip

import gatewise as gw
from gatewise.errors import NotRepresentable, UnknownLayout, UsageError
from gatewise.flat import ORDERS
from gatewise.layouts import layout
from gatewise.pairs import Specimen, choices
from gatewise.weights import Stack

FIXTURES = Path(__file__).parents[1] / "fixtures"


def random(name: str = "torch.LSTM", layers: int = 2, directions: int = 2, **sizes: Any) -> Stack:
    """A random layer of a layout, with its biases."""
    found = layout(name)
    form, extras = next((form, extras) for form, extras in choices(found) if "projection" not in extras)
    return Specimen(found, form, extras, layers=layers, directions=directions, **sizes).stack()


# Orders.


@pytest.mark.parametrize("order", ORDERS, ids=[f"{order} can say an LSTM of torch" for order in ORDERS])
def test_every_order_of_the_table_packs_and_unpacks(order: str) -> None:
    flat = gw.flat(random(), order)
    vector = np.arange(flat.size, dtype=np.float32)
    again = np.concatenate([array.reshape(-1) for array in flat.unpack(vector).values()])
    np.testing.assert_array_equal(again, vector)
    assert flat.pack().shape == (flat.size,)


def test_torch_lists_cell_by_cell_and_cudnn_every_matrix_before_every_bias() -> None:
    stack = random(layers=2, directions=1)
    names = gw.flat(stack, "torch").names
    assert names[:5] == ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l1")
    names = gw.flat(stack, "cudnn").names
    assert names == (
        "weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1",
        "bias_ih_l0", "bias_hh_l0", "bias_ih_l1", "bias_hh_l1",
    )  # fmt: skip


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layers", [1, 3], ids=["one layer", "three layers"])
@pytest.mark.parametrize("directions", [1, 2], ids=["one direction", "both directions"])
def test_cudnns_order_is_that_of_mxnets_fused_vector_and_of_tensorflows_opaque_buffer(
    cell: str, layers: int, directions: int
) -> None:
    stack = random(f"torch.{cell}", layers=layers, directions=directions)
    vectors = [gw.flat(stack, order).pack() for order in ("cudnn", "mxnet", "tf1_cudnn")]
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_keras_lists_the_forward_layers_weights_before_the_backward_ones() -> None:
    flat = gw.flat(random("keras.LSTM", layers=1))
    assert [tensor.rpartition("/")[2] for tensor in flat.names] == ["kernel", "recurrent_kernel", "bias"] * 2
    assert [row.direction for row in flat.rows] == ["forward"] * 12 + ["reverse"] * 12


def test_parameter_trees_are_sorted_by_their_keys() -> None:
    names = gw.flat(random("flax.LSTMCell", layers=1, directions=1)).names
    assert list(names) == sorted(names)


def test_a_flat_phrase_of_the_users_own_is_an_order(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine.vector"\ncell = "lstm"\ngates = "ofgi"\n[[parts]]\nname = "all"\n'
        'role = ["bias", "kernel", "recurrent_kernel"]\n'
        'phrase = "[layer direction: (gate unit) + (gate unit) feature + hidden (gate unit)]"\n'
    )
    stack = random(layers=2, directions=1)
    flat = gw.flat(stack, file)
    assert (flat.order, flat.names) == (str(file), ("all",))
    assert [row.gate for row in flat.rows[:4]] == list("ofgi")
    assert [change.what for change in flat.changes] == ["biases: the two are added into one"]
    cell = stack[0, "forward"]
    np.testing.assert_array_equal(flat.vector[:4], cell.bias["o"] + cell.recurrent_bias["o"])
    back = flat.unpack(flat.vector)[1, "forward"].recurrent_kernel["f"]
    np.testing.assert_array_equal(back, stack[1, "forward"].recurrent_kernel["f"])


def test_layers_that_a_layout_stores_apart_come_one_after_another_under_their_numbers() -> None:
    flat = gw.flat(random(layers=11, directions=1), "keras")
    assert [name.partition("/")[0] for name in flat.names] == [str(layer) for layer in range(11) for _ in range(3)]
    assert flat.stack.num_layers == 11


def test_what_a_layout_cannot_say_is_refused_with_the_reason() -> None:
    with pytest.raises(NotRepresentable, match=r"reset gate after .* this one before it\. That is another function"):
        gw.flat(random("keras.GRU", layers=1, directions=1), "cudnn")
    with pytest.raises(NotRepresentable, match="one direction"):
        gw.flat(random("torch.LSTM"), "torch.LSTMCell")


def test_an_unknown_order_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no order 'cudn'.*Did you mean cudnn"):
        gw.flat(random(), "cudn")
    with pytest.raises(UnknownLayout, match=r"torch\.LSTN"):
        gw.flat(random(), "torch.LSTN")


# Views.


def test_neighbours_in_a_mapped_file_are_one_view_and_nothing_is_copied(tmp_path: Path) -> None:
    file = safetensors(tmp_path / "m.safetensors", torch_arrays())
    flat = gw.flat(file, "torch")
    assert flat.is_view
    assert not flat.vector.flags.writeable
    assert np.shares_memory(flat.vector, flat.subject[0, "forward"].kernel["i"])
    np.testing.assert_array_equal(flat.vector, flat.pack())


def test_what_lies_in_another_order_is_packed_once_and_read_only(tmp_path: Path) -> None:
    flat = gw.flat(torch_zip(tmp_path / "m.pt", torch_arrays(layers=2)), "cudnn")
    assert not flat.is_view
    assert flat.vector is flat.vector
    assert not flat.vector.flags.writeable
    assert flat.pack().flags.writeable


FUSED = sorted(FIXTURES.glob("mxnet/1.9.1/fused_*.params"))


@pytest.mark.parametrize("file", FUSED, ids=[f"{file.stem} of MXNet" for file in FUSED])
@pytest.mark.parametrize("order", [None, "cudnn", "mxnet"], ids=["as it is", "as cudnn's", "as mxnet's"])
def test_a_recorded_fused_vector_is_cudnns_order_and_its_own_view(file: Path, order: str | None) -> None:
    checkpoint = gw.open(file)
    flat = gw.flat(checkpoint, order)
    (name,) = checkpoint.only().match.tensors
    assert flat.is_view
    assert flat.changes == ()
    assert np.shares_memory(flat.vector, checkpoint.tensors[name].array())
    np.testing.assert_array_equal(flat.vector, checkpoint.tensors[name].array())


# Selectors.


def test_selected_indices_are_gate_by_gate_and_ascend_in_torchs_order() -> None:
    flat = gw.flat(random(), "torch")
    where = flat.where(role="recurrent_kernel", gate="f", layer=-1)
    assert where.shape == (2 * 4 * 4,)
    assert (np.diff(where) > 0).all()
    assert flat.mask(role="recurrent_kernel", gate="f", layer=-1).sum() == len(where)
    spans = flat.slices(role="recurrent_kernel", gate="f", layer=-1)
    np.testing.assert_array_equal(np.concatenate([np.r_[span] for span in spans]), where)


def test_slices_are_the_fewest_and_scattered_gates_are_refused() -> None:
    flat = gw.flat(random(layers=1, directions=1), "torch")
    assert flat.slices() == (slice(0, flat.size),)
    assert flat.slices(role="kernel") == (slice(0, 48),)
    keras = gw.flat(random(layers=1, directions=1), "keras")
    assert keras.slices(role="kernel") == (slice(0, 48),)
    with pytest.raises(UsageError, match=r"scattered in 'kernel.*where\(\) or mask\(\)"):
        keras.slices(role="kernel", gate="f")


@pytest.mark.parametrize(
    ("said", "message"),
    [({"gate": "q"}, "no gate 'q'"), ({"role": "kernal"}, "Did you mean kernel"), ({"layer": 2}, "no layer 2"),
     ({"role": "projection"}, "matches nothing"), ({"direction": "backward"}, "no direction 'backward'")],
    ids=["an unknown gate", "a misspelt role", "a layer that is not there", "a role that it lacks", "an unknown direction"],
)  # fmt: skip
def test_a_wrong_selector_is_told(said: dict[str, Any], message: str) -> None:
    flat = gw.flat(random())
    for ask in (flat.where, flat.mask, flat.slices):
        with pytest.raises(UsageError, match=message):
            ask(**said)


# Vectors that do not fit.


@pytest.mark.parametrize(
    ("vector", "message"),
    [(np.zeros(3, np.float32), "has 736 elements; this one has shape"), (np.zeros((2, 368), np.float32), r"reshape\(-1\)"),
     (np.zeros(736, np.int64), "holds int64"), (np.zeros(1472, np.float32)[::2], "has gaps"), ([0.0] * 736, "an object of list is no vector")],
    ids=["another length", "two axes", "whole numbers", "a vector with gaps", "a list"],
)  # fmt: skip
def test_a_vector_that_does_not_fit_is_told_kindly(vector: Any, message: str) -> None:
    flat = gw.flat(random())
    assert flat.size == 736
    for ask in (flat.unpack, flat.pack):
        with pytest.raises(UsageError, match=message):
            ask(vector)


def test_a_read_only_buffer_and_a_file_are_not_written() -> None:
    flat = gw.flat(random())
    out = np.zeros(flat.size, np.float32)
    out.flags.writeable = False
    with pytest.raises(UsageError, match="read-only"):
        flat.pack(out)
    with pytest.raises(UsageError, match="nothing in memory to write into"):
        flat.load(flat.pack())
    with pytest.raises(UsageError, match=r"no tensor is called 'weight_ih_l9'.*weight_ih_l0"):
        flat.unpack(flat.pack())["weight_ih_l9"]


def test_of_several_layers_one_must_be_named(tmp_path: Path) -> None:
    file = torch_zip(tmp_path / "m.pt", torch_arrays(prefix="a.") | torch_arrays(prefix="b."))
    with pytest.raises(UsageError, match="several recurrent layers"):
        gw.flat(file)
    assert gw.flat(file, layer="b").subject.name == "b"
    with pytest.raises(UsageError, match="this is the layer 'a' alone"):
        gw.flat(gw.open(file)["a"], layer="b")


# The name.


def test_the_function_keeps_its_name_whoever_imports_the_module_first() -> None:
    code = "import gatewise as gw, gatewise.flat, gatewise.layouts; assert callable(gw.flat), gw.flat; gw.layouts()"
    subprocess.run([sys.executable, "-c", code], check=True)
