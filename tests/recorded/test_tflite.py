"""TFLite models: what LiteRT computed, gatewise computes from the file.  The folder is walked.

What is called ``outside_…`` has a cell that is not plain: it is named, with the reason, and not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.containers import open_tensors
from gatewise.errors import GatewiseError
from gatewise.proof import Proof, prove_recorded
from gatewise.weights import Gates

HERE = Path(__file__).parent.parent / "fixtures" / "tflite" / "2.3.0"
EVERY = sorted(HERE.parent.glob("*/*.tflite"))
CASES = [path for path in EVERY if not path.name.startswith("outside_")]


def proof(stack: gw.Stack, path: Path) -> Proof:
    with np.load(path.with_suffix(".npz")) as found:
        record = dict(found)
    if "step" in record:  # one step without a time axis
        record = {"x": record["x"][:, None], "y": record["y"][:, None]}
    return prove_recorded(stack, {key: record[key] for key in "xy"}, time_major="time_major" in record)


def only_stack(name: str) -> gw.Stack:
    (stack,) = gw.open(HERE / f"{name}.tflite").stacks()
    return stack


@pytest.mark.parametrize("path", CASES, ids=[f"{path.stem} computes what LiteRT did" for path in CASES])
def test_a_model(path):
    (stack,) = gw.open(path).stacks()
    claimed = float(gw.layout(stack.layout).proven.rpartition(": ")[2])
    assert proof(stack, path).max_abs_error <= claimed


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("lstm_one_unit", (7, 1, 0, 1, 1)),
        ("lstm_projection", (5, 6, 3, 1, 1)),
        ("lstm_stack", (5, 4, 0, 3, 1)),
        ("lstm_two_operators", (5, 4, 0, 1, 2)),
        ("lstm_two_operators_stack", (5, 4, 0, 2, 2)),
        ("rnn_bidirectional", (5, 4, 0, 1, 2)),
    ],
)
def test_the_sizes_of(name, sizes):
    spec = only_stack(name).spec
    assert (spec.input_size, spec.hidden_size, spec.proj_size, spec.num_layers, spec.directions) == sizes


# Traps.


def test_without_weights_of_the_input_gate_it_is_one_minus_the_forget_gate():
    path = HERE / "lstm_coupled.tflite"
    stack = only_stack("lstm_coupled")
    assert stack.dialect.coupled == "i"
    assert list(stack[0, "forward"].kernel) == ["f", "g", "o"]
    swapped = {"f": "i", "g": "g", "o": "o"}
    weights = stack[0, "forward"]
    other = weights.with_roles(
        **{
            role: Gates(role, {swapped[gate]: (lambda r=role, g=gate: weights.role(r)[g]) for gate in "fgo"})
            for role in weights.roles
        }
    )
    wrong = stack.replaced({(0, "forward"): other}, dialect=replace(stack.dialect, coupled="f"))
    assert proof(wrong, path).max_abs_error > 1e-2


@pytest.mark.parametrize(("name", "field"), [("lstm_clipped", "cell_clip"), ("lstm_projection", "proj_clip")])
def test_clips_are_read_from_the_operator(name, field):
    stack = only_stack(name)
    assert getattr(stack.dialect, field) is not None
    without = stack.replaced(dialect=replace(stack.dialect, **{field: None}))
    assert proof(without, HERE / f"{name}.tflite").max_abs_error > 1e-3


def test_what_keras_became_clips_its_cell_state_at_ten():
    assert only_stack("lstm").dialect.cell_clip == 10.0


def test_two_operators_of_which_one_reads_backwards_are_one_layer():
    checkpoint = gw.open(HERE / "bilstm.tflite")
    assert [layer.layout for layer in checkpoint.layers] == ["tflite.BidirectionalSequenceLSTM"]
    assert only_stack("lstm_two_operators_added").dialect.merge == "sum"


def test_a_reverse_operator_alone_says_in_which_order_it_gives_its_outputs():
    assert only_stack("lstm_go_backwards").dialect.backwards_in_place is False
    assert only_stack("lstm_reverse").dialect.backwards_in_place is True


def test_the_basic_kernels_blocks_are_i_g_f_o():
    stack = only_stack("lstm_basic_kernel")
    weights = stack[0, "forward"]
    order = dict(zip("igfo", "ifgo", strict=True))
    wrong = weights.with_roles(**{
        role: weights.role(role).mapped(lambda gate, _array, role=role: weights.role(role)[order[gate]])
        for role in weights.roles
    })  # fmt: skip
    assert proof(stack.replaced({(0, "forward"): wrong}), HERE / "lstm_basic_kernel.tflite").max_abs_error > 1e-2


def test_constants_behind_a_dequantize_are_what_comes_out_of_it():
    half = gw.open(HERE / "lstm_float16.tflite").layers[0]
    assert half.spec.dtype == "float16"
    integers = gw.open(HERE / "lstm_unpacked_int8.tflite")
    made = integers.tensors[integers.layers[0].match.tensors[0]]
    assert (made.dtype, made.made_from) == ("float32", "(int8 - zero point) × scale")


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("outside_int8", "tflite.Quantised", "does not dequantise"),
        ("outside_layer_norm", "tflite.LayerNormLSTM", "normalised"),
        ("outside_projection_bias", "tflite.ProjectionBiasLSTM", "projection has a bias"),
    ],
)
def test_a_cell_that_is_not_plain_is_named_and_not_read(name, kind, why):
    checkpoint = gw.open(HERE / f"{name}.tflite")
    assert checkpoint.layers == []
    (look,) = checkpoint.recognised.outside
    assert look.kind == kind
    assert why in look.why
    with pytest.raises(GatewiseError, match=why):
        checkpoint.require_layers()


# What is wrong in a file is told.


@in_thirds
def test_a_model_cut_anywhere_is_refused_or_harmless(tmp_path, third):
    data = (HERE / "lstm_two_operators.tflite").read_bytes()
    for cut in range(8, len(data), 13)[third::3]:
        afresh(tmp_path / "x.tflite", data[:cut])
        try:
            gw.open(tmp_path / "x.tflite").gates()
        except GatewiseError:
            continue


@in_thirds
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, third):
    data = bytearray((HERE / "lstm_coupled_peephole_projection.tflite").read_bytes())
    for at in range(0, len(data), 29)[third::3]:
        for flip in (0x01, 0x80, 0xFF):
            data[at] ^= flip
            afresh(tmp_path / "x.tflite", data)
            try:
                checkpoint = gw.open(tmp_path / "x.tflite")
                checkpoint.inspect()
            except GatewiseError:
                pass
            data[at] ^= flip


def test_a_tensor_is_a_view_of_the_file():
    tensors = open_tensors(HERE / "lstm_plain.tflite")
    array = next(iter(tensors.values())).array()
    assert not array.flags.owndata
    assert not array.flags.writeable
