"""Every ONNX model of the fixtures, run by the reference cells and held against what onnxruntime computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import NotRepresentable
from gatewise.proof import prove_recorded

FIXTURES = Path(__file__).parent.parent / "fixtures" / "onnx"
# What gatewise names and does not run: activations that no reference cell has, directions with activations of their own.
NOT_RUN = ("lstm_other_activations", "lstm_offset_hard_sigmoid", "rnn_directions_differ")
MODELS = [path for path in sorted(FIXTURES.glob("*/*.onnx")) if path.stem not in NOT_RUN]


def record_of(name: str) -> dict[str, np.ndarray]:
    (path,) = FIXTURES.glob(f"*/{name}.npz")
    with np.load(path) as found:
        return dict(found)


def layer_of(name: str) -> gw.Layer:
    (path,) = FIXTURES.glob(f"*/{name}.onnx")
    return gw.open(path).only()


def claimed(layer: gw.Layer) -> float:
    return float(gw.layout(layer.layout).proven.rpartition(": ")[2])


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_s_layer_computes_what_onnxruntime_did(path: Path) -> None:
    layer, recorded = gw.open(path).only(), record_of(path.stem)
    assert layer.name == f"{path.stem}_node"
    assert layer.sure
    assert layer.assumed == ()
    lengths = recorded.pop("lengths", None)
    runs = [recorded] if lengths is None else [_alone(recorded, n, length) for n, length in enumerate(lengths)]
    for run in runs:
        assert prove_recorded(layer, run).max_abs_error <= claimed(layer)


def _alone(recorded: dict[str, np.ndarray], index: int, length: int) -> dict[str, np.ndarray]:
    """One sequence of a batch at its own length: what lies behind it was never looked at, in either direction."""
    one = {key: value[:, index : index + 1] for key, value in recorded.items() if key not in ("x", "y")}
    assert not recorded["y"][index, length:].any()
    return one | {key: recorded[key][index : index + 1, :length] for key in ("x", "y")}


# Traps: for each the reading that would load cleanly and give wrong numbers.


def error_with(name: str, **changed: object) -> float:
    layer = layer_of(name)
    return prove_recorded(layer.replaced(dialect=replace(layer.dialect, **changed)), record_of(name)).max_abs_error


def test_input_forget_means_f_is_1_minus_i_and_not_i_is_1_minus_f() -> None:
    assert layer_of("lstm_input_forget").dialect.coupled == "f"
    assert error_with("lstm_input_forget", coupled="i") > 0.05
    assert error_with("lstm_input_forget", coupled=None) > 0.05


def test_layout_1_changes_the_order_of_input_and_output_and_no_weight() -> None:
    layer = layer_of("lstm_layout")
    assert (layer.spec.input_size, layer.spec.hidden_size, layer.spec.directions) == (5, 4, 2)
    assert layer.match.declared.settings["layout"] == 1


def test_the_reset_gate_is_before_the_product_unless_linear_before_reset_says_after() -> None:
    assert layer_of("gru_before_forward").dialect.reset == "before"
    assert layer_of("gru_after_forward").dialect.reset == "after"
    assert error_with("gru_before_forward", reset="after") > 0.01
    assert error_with("gru_after_forward", reset="before") > 0.01


def test_a_lone_reverse_direction_gives_its_outputs_in_the_input_s_order() -> None:
    for name in ("lstm_reverse", "gru_after_reverse", "rnn_reverse"):
        assert layer_of(name).dialect.go_backwards
        assert error_with(name, backwards_in_place=False) > 0.05
        assert error_with(name, go_backwards=False) > 0.05


def test_clip_holds_what_goes_into_the_gates_with_the_peepholes_share() -> None:
    assert layer_of("lstm_clip_peephole").dialect.input_clip == 0.5
    assert error_with("lstm_clip_peephole", input_clip=None) > 0.05
    assert error_with("lstm_clip_peephole", input_clip=None, cell_clip=0.5) > 0.05


def test_onnx_s_hard_sigmoid_is_not_today_s_keras_s() -> None:
    assert layer_of("lstm_hard_sigmoid").dialect.recurrent_activation == "hard_sigmoid(0.2)"
    assert layer_of("lstm_hard_sigmoid_keras3").dialect.recurrent_activation == "hard_sigmoid(1/6)"
    assert layer_of("lstm_hard_sigmoid_quarter").dialect.recurrent_activation == "hard_sigmoid(0.25)"
    assert error_with("lstm_hard_sigmoid", recurrent_activation="hard_sigmoid(1/6)") > 0.005


def test_the_blocks_are_i_o_f_g_and_the_peepholes_i_o_f() -> None:
    layer, recorded = layer_of("lstm_peephole"), record_of("lstm_peephole")
    for role, gates in (("kernel", "fo"), ("peephole", "fo"), ("bias", "ig")):
        held = layer[0, "forward"].role(role)
        swapped = {gates[0]: gates[1], gates[1]: gates[0]}
        wrong = held.mapped(lambda gate, _, held=held, swapped=swapped: held[swapped.get(gate, gate)])
        stack = layer.replaced(cells={(0, "forward"): layer[0, "forward"].with_roles(**{role: wrong})})
        assert prove_recorded(stack, recorded).max_abs_error > 0.005, role


# What is named and not run.


@pytest.mark.parametrize("name", NOT_RUN[:2])
def test_an_activation_that_no_reference_cell_has_is_refused_by_its_own_name(name: str) -> None:
    with pytest.raises(NotRepresentable, match=r"LeakyRelu\(0\.3\)|HardSigmoid\(0\.25, 0\.4\)"):
        prove_recorded(layer_of(name), record_of(name))


def test_directions_with_activations_of_their_own_are_named_and_left() -> None:
    (path,) = FIXTURES.glob("*/rnn_directions_differ.onnx")
    checkpoint = gw.open(path)
    assert checkpoint.layers == []
    (found,) = checkpoint.recognised.outside
    assert "its two directions differ in activation" in found.why
