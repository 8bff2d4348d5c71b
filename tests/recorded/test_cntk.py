"""CNTK's models: blocks by their own names, stabilizers folded where a product lets them, cuDNN's stack in one vector."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from damage import every_flip_is_harmless
from filemakers import afresh
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded
from together import in_thirds

import gatewise as gw
from gatewise.errors import GatewiseError
from gatewise.record import replace

FOLDER = FIXTURES / "cntk" / "2.7"
FILES = recorded("cntk", ".model")
# case → layout, features, units, projected to, layers, directions
SHAPES = {
    "lstm": ("LSTM", 5, 4, 0, 1, 1), "lstm_square": ("LSTM", 3, 3, 0, 1, 1), "lstm_one_unit": ("LSTM", 3, 1, 0, 1, 1),
    "lstm_peepholes": ("LSTM", 5, 3, 0, 1, 1), "lstm_projected": ("LSTM", 5, 4, 3, 1, 1), "lstm_relu": ("LSTM", 4, 3, 0, 1, 1),
    "lstm_stabilised": ("LSTM", 5, 4, 0, 1, 1), "lstm_everything_stabilised": ("LSTM", 5, 4, 3, 1, 1),
    "lstm_backwards": ("LSTM", 4, 3, 0, 1, 1), "gru": ("GRU", 5, 4, 0, 1, 1), "gru_square": ("GRU", 3, 3, 0, 1, 1),
    "rnn": ("RNNStep", 5, 4, 0, 1, 1), "rnn_tanh": ("RNNStep", 3, 2, 0, 1, 1), "rnn_relu_stabilised": ("RNNStep", 4, 3, 0, 1, 1),
    "stack_lstm": ("OptimizedRNNStack-lstm", 5, 4, 0, 1, 1), "stack_lstm_both": ("OptimizedRNNStack-lstm", 5, 3, 0, 1, 2),
    "stack_lstm_deep_both": ("OptimizedRNNStack-lstm", 4, 3, 0, 2, 2), "stack_tanh_deep": ("OptimizedRNNStack-tanh", 4, 3, 0, 2, 1),
    "stack_relu": ("OptimizedRNNStack-relu", 3, 3, 0, 1, 1),
}  # fmt: skip
OTHERS = {"gru_stabilised", "deep", "both", "lstm_started"}  # with a test of their own


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.stem not in OTHERS],
    ids=[f"{named(path)} computes what CNTK recorded" for path in FILES if path.stem not in OTHERS],
)
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    found = (spec.input_size, spec.hidden_size, spec.proj_size, spec.num_layers, spec.directions)
    assert (layer.layout.removeprefix("cntk."), *found) == SHAPES[path.stem]
    assert layer.sure
    assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys() | OTHERS


def test_the_users_name_of_a_block_is_the_layers():
    assert gw.open(FOLDER / "lstm_square.model").only().name == "enc"


def test_layers_that_follow_each_other_are_one_chain_and_stand_in_their_order():
    checkpoint, record = gw.open(FOLDER / "deep.model"), record_of(FOLDER / "deep.model")
    assert [layer.spec.input_size for layer in checkpoint.layers] == [4, 3]
    (stack,) = checkpoint.stacks()
    y, _ = gw.run(stack, record["x"])
    dense = {name.rpartition(".")[2]: tensor.array() for name, tensor in checkpoint.tensors.items()
             if tensor.shape in ((2, 5), (5,))}  # fmt: skip
    assert np.abs(np.tanh(y @ dense["W"] + dense["b"]) - record["y"]).max() <= 1e-6


def test_a_reverse_direction_is_told_and_gives_its_outputs_in_place():
    record = record_of(FOLDER / "both.model")
    forward, backward = gw.open(FOLDER / "both.model").layers
    assert not forward.dialect.go_backwards
    assert backward.dialect.go_backwards
    y = np.concatenate([gw.run(layer, record["x"])[0] for layer in (forward, backward)], -1)
    assert np.abs(y - record["y"]).max() <= claimed(forward)


def test_what_a_recurrence_starts_from_is_said_when_it_is_not_zero():
    checkpoint, record = gw.open(FOLDER / "lstm_started.model"), record_of(FOLDER / "lstm_started.model")
    assert len(checkpoint.tensors.notes) == 1
    assert "starts from 0.1, not from zero" in checkpoint.tensors.notes[0]
    start = np.full((1, 3, 3), 0.1)
    y, _ = gw.run(checkpoint.only(), record["x"], (start, start))
    assert np.abs(y - record["y"]).max() <= 1e-6
    assert not gw.open(FOLDER / "lstm.model").tensors.notes


# Traps.


@pytest.mark.parametrize(("case", "function"), [("rnn", "sigmoid"), ("rnn_tanh", "tanh"), ("lstm_relu", "relu")])
def test_the_activation_is_what_the_block_computes_and_nothing_is_assumed(case, function):
    layer = gw.open(FOLDER / f"{case}.model").only()
    assert layer.dialect.activation == function
    assert not layer.assumed


def test_a_stabilizer_scales_the_matrix_that_it_stands_before():
    checkpoint = gw.open(FOLDER / "lstm_stabilised.model")
    layer, record = checkpoint.only(), record_of(FOLDER / "lstm_stabilised.model")
    rows = {row["role"]: row for row in layer.as_dict()["tensors"]}
    assert "softplus" in rows["recurrent_kernel"]["made_from"]
    assert "made_from" not in rows["kernel"]
    plain = next(tensor for name, tensor in checkpoint.tensors.items() if name.endswith(".H")).array()
    unscaled = layer[0, "forward"].recurrent_kernel.mapped(lambda gate, _: plain[:, 4 * "igfo".index(gate) :][:, :4].T)
    wrong = layer.replaced({(0, "forward"): layer[0, "forward"].with_roles(recurrent_kernel=unscaled)})
    assert error(layer, record) < 1e-6 < 1e-3 < error(wrong, record)


def test_a_gru_with_a_stabilizer_keeps_a_scaled_state_and_is_outside():
    checkpoint = gw.open(FOLDER / "gru_stabilised.model")
    assert not checkpoint.layers
    assert [look.kind for look in checkpoint.recognised.outside] == ["cntk.GRU-stabilized"]


def test_the_gru_keeps_with_z_resets_before_and_has_its_third_matrix_apart():
    layer, record = gw.open(FOLDER / "gru.model").only(), record_of(FOLDER / "gru.model")
    assert (layer.dialect.reset, layer.dialect.update) == ("before", "keeps")
    for wrong in ({"update": "writes"}, {"reset": "after"}):
        assert error(layer.replaced(dialect=replace(layer.dialect, **wrong)), record) > 0.01


def test_the_stacks_gru_is_source_only():
    layer = gw.open(FOLDER / "stack_gru.model").only()
    assert (layer.spec.num_layers, layer.spec.directions, layer.spec.reset) == (2, 2, "after")
    assert not gw.layout(layer.layout).proven


def test_a_stack_becomes_torchs_with_all_its_layers(tmp_path):
    done = gw.convert(FOLDER / "stack_lstm_deep_both.model", tmp_path / "out.safetensors", to="torch.LSTM")
    assert done.proof.max_abs_error == 0.0
    assert gw.open(tmp_path / "out.safetensors").only().spec.num_layers == 2


# Cut and damaged files.


@in_thirds
def test_a_file_cut_anywhere_is_refused_or_lists_what_is_left(tmp_path, third):
    whole = (FOLDER / "stack_relu.model").read_bytes()
    path = tmp_path / "cut.model"
    for length in range(20, len(whole))[third::3]:
        afresh(path, whole[:length])
        with contextlib.suppress(GatewiseError):
            gw.open(path)


@pytest.mark.slow
def test_a_flipped_byte_is_refused_or_harmless(tmp_path):
    every_flip_is_harmless(tmp_path / "flipped.model", (FOLDER / "stack_relu.model").read_bytes(), 0x01, 0x40)
