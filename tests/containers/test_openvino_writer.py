"""OpenVINO models that gatewise writes: OpenVINO runs them and gives the reference's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_layers import Recipe

import gatewise as gw
from gatewise.errors import GatewiseError, NotRepresentable, WriteRefused

FIXTURES = Path(__file__).parent.parent / "fixtures"
CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
SHAPES = [(1, 1), (3, 1), (1, 2), (3, 2)]


def saved(path: Path, stack: gw.Stack) -> gw.proof.Proof:
    return gw.save(stack, path, f"openvino.{CELLS[stack.cell]}Sequence")


def run(path: Path, stack: gw.Stack) -> float:
    """OpenVINO's run against the reference's, from states that are not zero."""
    import openvino

    random = np.random.default_rng(3)
    x = random.standard_normal((3, 7, stack.spec.input_size))
    ways, depth, unit = len(stack.directions), stack.num_layers, stack.spec.hidden_size
    state = tuple(random.standard_normal((depth * ways, 3, unit)) for _ in range(2 if stack.cell == "lstm" else 1))
    y, final = gw.run(stack, x, state)
    given, wanted = {"x": x}, {"y": y}
    for letter, start, last in zip("hc", state, final, strict=False):
        for layer in range(depth):
            own, tail = slice(layer * ways, (layer + 1) * ways), f"_{layer}" if layer else ""
            given[f"{letter}0{tail}"] = start[own].transpose(1, 0, 2)
            wanted[f"{letter}_n{tail}"] = last[own].transpose(1, 0, 2)
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model({name: value.astype(np.float32) for name, value in given.items()})
    outputs = {each.any_name: found[each] for each in model.outputs}
    assert outputs.keys() == wanted.keys()
    return max(float(np.abs(outputs[name] - value).max()) for name, value in wanted.items())


@pytest.mark.framework("openvino")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "directions"), SHAPES)
def test_openvino_runs_what_is_written(tmp_path, cell, layers, directions):
    stack = Recipe(cell, feature=5, unit=4, layers=layers, directions=directions, bias="single").stack
    saved(tmp_path / "model.xml", stack)
    assert run(tmp_path / "model.xml", stack) < 1e-6


@pytest.mark.framework("openvino")
@pytest.mark.parametrize(
    "changes",
    [
        {"reset": "before"}, {"reset": "after"}, {"input_clip": 0.5}, {"activation": "relu"},
        {"go_backwards": True, "backwards_in_place": True},
    ],
    ids=str,
)  # fmt: skip
def test_openvino_runs_every_choice_that_it_has(tmp_path, changes):
    stack = Recipe("gru", bias="single" if changes.get("reset") == "before" else "double").stack
    stack = stack.replaced(dialect=replace(stack.dialect, **changes))
    saved(tmp_path / "model.xml", stack)
    assert run(tmp_path / "model.xml", stack) < 1e-6


@pytest.mark.framework("openvino")
def test_half_precision_stays_half_in_the_file(tmp_path):
    stack = Recipe("lstm", bias="single", dtype="float16").stack
    saved(tmp_path / "model.xml", stack)
    assert gw.open(tmp_path / "model.xml").layers[0].spec.dtype == "float16"
    assert run(tmp_path / "model.xml", stack) < 1e-6


@pytest.mark.framework("openvino")
def test_a_torch_file_becomes_a_model_and_the_printed_lines_run_it(tmp_path):
    source = next(iter(sorted((FIXTURES / "torch" / "2.13.0").glob("lstm_bi2.state.pt"))))
    done = gw.convert(source, tmp_path / "model.xml")
    assert done.proof.same
    assert run(tmp_path / "model.xml", gw.open(source).layers[0]) < 1e-6
    space: dict = {}
    exec(done.code, space)
    assert space["outputs"]["y"].shape[:2] == (3, 7)


@pytest.mark.framework("openvino")
def test_layers_apart_have_inputs_of_their_own(tmp_path):
    import openvino

    arrays = {}
    for name, cell in (("one", "lstm"), ("two", "gru")):
        gw.save(Recipe(cell, bias="double").stack, tmp_path / f"{name}.safetensors", f"torch.{CELLS[cell]}")
        for key, tensor in gw.open(tmp_path / f"{name}.safetensors").tensors.items():
            arrays[f"{name}.{key.removeprefix('layer.')}"] = tensor.array()
    np.savez(tmp_path / "both.npz", **arrays)
    gw.convert(tmp_path / "both.npz", tmp_path / "model.xml")
    model = openvino.Core().compile_model(tmp_path / "model.xml", "CPU")
    assert {each.any_name for each in model.inputs} == {"one/x", "one/h0", "one/c0", "two/x", "two/h0"}
    assert {each.any_name for each in model.outputs} == {"one/y", "one/h_n", "one/c_n", "two/y", "two/h_n"}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "directions"), SHAPES)
def test_what_is_written_is_read_bit_for_bit(tmp_path, cell, layers, directions):
    stack = Recipe(cell, layers=layers, directions=directions, bias="single").stack
    stack = stack.replaced(dialect=replace(stack.dialect, reset="before")) if cell == "gru" else stack
    proof = saved(tmp_path / "model.xml", stack)
    assert proof.max_abs_error == 0
    (back,) = gw.open(tmp_path / "model.xml").stacks()
    for place, weights in stack:
        for role, gates in weights.roles.items():
            for gate, array in gates.items():
                np.testing.assert_array_equal(back[place].role(role)[gate], array)


def test_the_same_layer_gives_the_same_bytes_and_nothing_is_left_beside(tmp_path):
    stack = Recipe("lstm", bias="single").stack
    for name in ("a", "b"):
        saved(tmp_path / f"{name}.xml", stack)
    for suffix in (".xml", ".bin"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml", "b.bin", "b.xml"]


def test_weights_that_are_there_are_not_replaced_unasked(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"mine")
    with pytest.raises(WriteRefused, match="exists already"):
        saved(tmp_path / "model.xml", Recipe("lstm", bias="single").stack)
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]
    assert (tmp_path / "model.bin").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        (Recipe("lstm", bias="single", dtype="float64").stack, "float32 only"),
        (Recipe("lstm", bias="single", proj=2).stack, "projection"),
        (Recipe("lstm", bias="single", peephole="ifo").stack, "peephole"),
    ],
)
def test_what_openvino_cannot_run_is_refused_and_nothing_is_left(tmp_path, stack, says):
    with pytest.raises(GatewiseError, match=says):
        saved(tmp_path / "model.xml", stack)
    assert list(tmp_path.iterdir()) == []


def test_an_activation_that_its_plugin_does_not_run_is_refused(tmp_path):
    stack = Recipe("rnn", bias="single").stack
    other = stack.replaced(dialect=replace(stack.dialect, activation="hard_sigmoid(0.2)"))
    with pytest.raises(NotRepresentable, match="runs no hardsigmoid"):
        saved(tmp_path / "model.xml", other)
    assert list(tmp_path.iterdir()) == []
