"""ONNX models that gatewise writes: complete graphs that onnxruntime runs, from any source.

onnx's own checker judges the form, onnxruntime the numbers: against the reference run of the source, and against what
torch and Keras recorded in the fixtures.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_layers import Recipe

import gatewise as gw
from gatewise.cell import run
from gatewise.containers import _onnx_write, open_tensors
from gatewise.errors import NotRepresentable, UsageError
from gatewise.tensors import StoredTensor, Tensors
from gatewise.weights import PLAIN, Stack

FIXTURES = Path(__file__).parent.parent / "fixtures"
LSTM, GRU, RNN = PLAIN["lstm"], PLAIN["gru"], PLAIN["rnn"]
KINDS = {"lstm": "onnx.LSTM", "gru": "onnx.GRU", "rnn": "onnx.RNN"}


def session_of(path: Path) -> Any:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def outputs_of(path: Path, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = session_of(path)
    found = session.run(None, {name: value.astype(np.float32) for name, value in given.items()})
    return dict(zip([each.name for each in session.get_outputs()], found, strict=True))


def random_run(stack: Stack, seed: int = 1) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    random = np.random.default_rng(seed)
    count, unit = len(stack.cells), stack[0, "forward"].unit
    states = [random.standard_normal((count, 3, unit)) for _ in range(2 if stack.cell == "lstm" else 1)]
    return random.standard_normal((3, 7, stack[0, "forward"].feature)), tuple(states)


def assert_runs_as(stack: Stack, path: Path, batch_first: bool = False) -> None:
    """The whole file, with initial states, against the reference."""
    x, states = random_run(stack)
    fed = {"x": x if batch_first else x.transpose(1, 0, 2)} | dict(zip(("h0", "c0"), states, strict=False))
    found = outputs_of(path, fed)
    y, last = run(stack, x, states)
    got = found["y"] if batch_first else found["y"].transpose(1, 0, 2)
    assert np.abs(got - y).max() < 1e-6
    for name, value in zip(("h_n", "c_n"), last, strict=False):
        assert np.abs(found[name] - value).max() < 1e-6


PLAIN_ONES = [
    Recipe(cell, layers=layers, directions=ways, bias=bias, dialect=dialect)
    for (cell, dialect), layers, ways, bias in itertools.product(
        [("lstm", None), ("gru", GRU), ("gru", replace(GRU, reset="before")), ("rnn", RNN), ("rnn", replace(RNN, activation="relu"))],
        (1, 3), (1, 2), ("none", "single", "double"),
    )
]  # fmt: skip
OTHERS = {
    "one unit": Recipe("lstm", unit=1, feature=1, layers=2),
    "as many features as units": Recipe("gru", unit=4, feature=4, directions=2, layers=2),
    "peepholes": Recipe("lstm", peephole="ifo", directions=2),
    "a clip": Recipe("lstm", dialect=replace(LSTM, input_clip=0.3)),
    "a clip of a GRU": Recipe("gru", dialect=replace(GRU, input_clip=0.3), layers=2),
    "one gate for two": Recipe("lstm", dialect=replace(LSTM, coupled="f"), layers=2, directions=2),
    "old Keras's hard sigmoid": Recipe("lstm", dialect=replace(LSTM, recurrent_activation="hard_sigmoid(0.2)"), directions=2),
    "today's Keras's": Recipe("gru", dialect=replace(GRU, reset="before", recurrent_activation="hard_sigmoid(1/6)")),
    "three activations": Recipe(
        "lstm", dialect=replace(LSTM, recurrent_activation="hard_sigmoid(0.2)", activation="softsign", output_activation="elu"),
        directions=2,
    ),
    "no activation": Recipe("rnn", dialect=replace(RNN, activation="linear"), unit=3),
    "only the reverse direction": Recipe("lstm", dialect=replace(LSTM, go_backwards=True, backwards_in_place=True), layers=2),
    "half precision": Recipe("lstm", dtype="float16", layers=2),
    "bfloat16": Recipe("gru", dtype="bfloat16"),
}  # fmt: skip


def words(recipe: Recipe) -> str:
    said = (recipe.dialect or LSTM).reset or (recipe.dialect or LSTM).activation
    return f"{recipe.cell} {said} {recipe.layers} layers {recipe.directions} directions {recipe.bias} bias"


def stack_of(recipe: Recipe) -> Stack:
    """The recipe's stack with weights half as large, so that a relu does not grow past what 1e-6 means."""
    stack = recipe.stack
    halves = {
        place: weights.with_roles(
            **{
                role: gates.mapped(lambda _, array: array * array.dtype.type(0.5))
                for role, gates in weights.roles.items()
            }
        )
        for place, weights in stack.cells.items()
    }
    return stack.replaced(cells=halves)


def written(recipe: Recipe, folder: Path) -> Path:
    path = folder / "model.onnx"
    assert gw.save(stack_of(recipe), path, KINDS[recipe.cell]).same
    return path


@pytest.mark.framework("onnx", "onnxruntime")
@pytest.mark.parametrize("recipe", PLAIN_ONES, ids=words)
def test_onnxruntime_computes_what_the_source_does(tmp_path: Path, recipe: Recipe) -> None:
    assert_runs_as(stack_of(recipe), written(recipe, tmp_path))


@pytest.mark.framework("onnx", "onnxruntime")
@pytest.mark.parametrize("recipe", OTHERS.values(), ids=OTHERS)
def test_onnxruntime_computes_what_a_source_with_something_special_does(tmp_path: Path, recipe: Recipe) -> None:
    assert_runs_as(stack_of(recipe), written(recipe, tmp_path))


# From files of other frameworks.

TORCH = [
    path
    for path in sorted((FIXTURES / "torch").glob("*/*.state.pt"))
    if path.name.split("_")[0] in ("lstm", "gru", "rnn") and path.parent.name in ("1.0.1", "1.13.1", "2.13.0")
    if not any(word in path.name for word in ("proj", "float16", "float64"))
]


def recorded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_name(f"{path.name.partition('.')[0]}.npz")) as found:
        return dict(found)


@pytest.mark.framework("onnx", "onnxruntime")
@pytest.mark.parametrize("path", TORCH, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_torch_file_becomes_a_model_that_computes_what_torch_did(tmp_path: Path, path: Path) -> None:
    layer, record = gw.open(path).only(), recorded(path)
    batch_first = "_bf" in path.name
    said = {"activation": "relu"} if layer.cell == "rnn" and "relu" in path.name else {}
    gw.convert(path, tmp_path / "out.onnx", batch_first=batch_first, **said)
    states = {name: record[name] for name in ("h0", "c0") if name in record}
    found = outputs_of(tmp_path / "out.onnx", {"x": record["x"], **states})
    assert np.abs(found["y"] - record["y"]).max() < 1e-6
    for ours, theirs in (("h_n", "hn"), ("c_n", "cn")):
        if theirs in record:
            assert np.abs(found[ours] - record[theirs]).max() < 1e-6


KERAS = sorted({*(FIXTURES / "keras").glob("keras-3*/*.keras"), *(FIXTURES / "keras").glob("tfkeras-2.15.1/*.h5")})


@pytest.mark.framework("onnx", "onnxruntime")
@pytest.mark.parametrize("path", KERAS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_keras_model_becomes_a_model_that_computes_the_same_or_is_refused_with_the_reason(
    tmp_path: Path, path: Path
) -> None:
    checkpoint = gw.open(path)
    if len(checkpoint.layers) != 1:
        return
    try:
        gw.convert(path, tmp_path / "out.onnx", dtype="float32")
    except NotRepresentable as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "cannot say this" in refused or "cannot be converted unasked" in refused
        return
    assert_runs_as(checkpoint.only(), tmp_path / "out.onnx")


# Several layers.


def two_layers(folder: Path, suffix: str = ".npz") -> Path:
    """An encoder and a decoder that do not follow one another, in torch's layout."""
    path = folder / f"two{suffix}"
    arrays = {
        f"{name}.{tensor}": array
        for name, recipe in (("encoder", Recipe("lstm", layers=2)), ("decoder", Recipe("gru", unit=6, seed=5)))
        for tensor, array in gw_arrays(recipe).items()
    }
    np.savez(path, **arrays)
    return path


def gw_arrays(recipe: Recipe) -> dict[str, np.ndarray]:
    from gatewise.checkpoint._unit import arrays

    return arrays(recipe.stack, gw.layout("torch.LSTM" if recipe.cell == "lstm" else "torch.GRU"))


def test_layers_that_do_not_feed_one_another_have_inputs_of_their_own(tmp_path: Path) -> None:
    gw.convert(two_layers(tmp_path), tmp_path / "out.onnx")
    again = gw.open(tmp_path / "out.onnx")
    assert [layer.name for layer in again.layers] == ["encoder", "encoder_1", "decoder"]
    assert [stack.num_layers for stack in again.stacks()] == [2, 1]


@pytest.mark.framework("onnx", "onnxruntime")
def test_two_groups_of_layers_run_side_by_side(tmp_path: Path) -> None:
    source = two_layers(tmp_path)
    gw.convert(source, tmp_path / "out.onnx")
    fed, wanted = {}, {}
    for stack in gw.open(source).stacks():
        x, states = random_run(stack)
        fed |= {f"{stack.name}/x": x.transpose(1, 0, 2), f"{stack.name}/h0": states[0]}
        fed |= {f"{stack.name}/c0": states[1]} if stack.cell == "lstm" else {}
        y, last = run(stack, x, states)
        wanted |= {f"{stack.name}/y": y.transpose(1, 0, 2), f"{stack.name}/h_n": last[0]}
    found = outputs_of(tmp_path / "out.onnx", fed)
    for name, value in wanted.items():
        assert np.abs(found[name] - value).max() < 1e-6


@pytest.mark.framework("onnx", "onnxruntime")
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
def test_layers_of_different_sizes_feed_one_another_and_each_has_its_states(tmp_path: Path, batch_first: bool) -> None:
    narrow, wide = Recipe("lstm", unit=3, directions=2), Recipe("lstm", unit=6, feature=6, seed=3)
    declared, tensors = [], []
    for name, recipe, after in (("narrow", narrow, ()), ("wide", wide, ("narrow",))):
        from gatewise.layouts._code import declared_as, encode

        layout = gw.layout("onnx.LSTM")
        tensors += encode(recipe.stack, layout, {}, prefix=f"{name}/", naming="inputs")
        declared.append(declared_as(recipe.stack, layout, name, name, after, f"{name}/"))
    path = tmp_path / "out.onnx"
    _onnx_write.write(path, Tensors(tensors, declared=declared, metadata={"batch_first": batch_first}))
    assert gw.open(path).layers[1].match.declared.after == ("narrow",)
    x, first = random_run(narrow.stack)
    _, second = random_run(wide.stack, 2)
    middle, last1 = run(narrow.stack, x, first)
    y, last2 = run(wide.stack, middle, second)
    fed = {"narrow/x": x if batch_first else x.transpose(1, 0, 2)}
    fed |= {
        f"{name}/{s}0": v
        for name, both in (("narrow", first), ("wide", second))
        for s, v in zip("hc", both, strict=True)
    }
    found = outputs_of(path, fed)
    assert set(found) == {"narrow/h_n", "narrow/c_n", "wide/y", "wide/h_n", "wide/c_n"}
    got = found["wide/y"] if batch_first else found["wide/y"].transpose(1, 0, 2)
    assert np.abs(got - y).max() < 1e-6
    assert np.abs(found["narrow/c_n"] - last1[1]).max() < 1e-6
    assert np.abs(found["wide/h_n"] - last2[0]).max() < 1e-6


# The file.


@pytest.mark.parametrize("recipe", [PLAIN_ONES[0], PLAIN_ONES[11], *OTHERS.values()], ids=["one", "another", *OTHERS])
def test_what_is_written_is_read_back_as_it_was(tmp_path: Path, recipe: Recipe) -> None:
    (stack,) = gw.open(written(recipe, tmp_path)).stacks()
    assert (stack.num_layers, len(stack.directions)) == (recipe.layers, recipe.directions)
    assert stack.dialect == recipe.stack.dialect


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    recipe = PLAIN_ONES[-1]
    one, other = (tmp_path / name for name in ("one", "other"))
    for folder in (one, other):
        folder.mkdir()
        written(recipe, folder)
    assert (one / "model.onnx").read_bytes() == (other / "model.onnx").read_bytes()


def test_batch_first_changes_the_graph_and_not_the_layer(tmp_path: Path) -> None:
    source = two_layers(tmp_path)
    gw.convert(source, tmp_path / "out.onnx", layer="encoder", batch_first=True)
    (stack,) = gw.open(tmp_path / "out.onnx").stacks()
    assert stack.num_layers == 2
    with pytest.raises(UsageError, match="says nothing of batch_first=True"):
        gw.convert(source, tmp_path / "out.safetensors", batch_first=True)


def test_a_projection_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NotRepresentable, match="has a projection, and this layout has no place for one"):
        gw.save(Recipe("lstm", proj=3).stack, tmp_path / "out.onnx", "onnx.LSTM")
    assert not (tmp_path / "out.onnx").exists()


def test_double_precision_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NotRepresentable, match="in float32 only") as told:
        gw.save(Recipe("lstm", dtype="float64").stack, tmp_path / "out.onnx", "onnx.LSTM")
    assert 'dtype="float32"' in str(told.value)


def test_more_than_one_protocol_buffer_holds_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    def never() -> Any:
        raise AssertionError("a weight was read")

    from gatewise.tensors import Declared

    tensors = [StoredTensor(f"big/{word}", "float32", (1, 65536, 16384), never) for word in "WR"]
    said = Declared("big", "onnx.LSTM", {
        "input_size": 16384, "hidden_size": 16384, "direction": "forward",
        **{f"activations[{n}]": name for n, name in enumerate(("Sigmoid", "Tanh", "Tanh"))},
    }, inputs={"W": "big/W", "R": "big/R"})  # fmt: skip
    with pytest.raises(NotRepresentable, match="less than 2 GiB"):
        _onnx_write.write(tmp_path / "out.onnx", Tensors(tensors, declared=[said]))


def test_weights_are_written_one_by_one(tmp_path: Path) -> None:
    """When one is asked for, those before are in the file already."""
    asked = []
    path = tmp_path / "out.onnx"
    source = open_tensors(written(Recipe("lstm", unit=512, feature=512), tmp_path).rename(tmp_path / "source.onnx"))
    (said,) = source.declared

    def watched(tensor: StoredTensor) -> StoredTensor:
        def read() -> Any:
            asked.append((tensor.name, path.stat().st_size))
            return tensor.array()

        return replace_data(tensor, read)

    settings = {
        **said.settings,
        "input_size": 512,
        **{f"activations[{n}]": name for n, name in enumerate(("Sigmoid", "Tanh", "Tanh"))},
    }
    from gatewise.record import replace as with_fields

    declared = [with_fields(said, settings=settings)]
    _onnx_write.write(path, Tensors([watched(t) for t in source.values()], declared=declared))
    sizes = [size for _, size in asked]
    assert [name for name, _ in asked] == [f"{said.path}/{word}" for word in "WRB"]
    assert sizes[1] > 4_000_000
    assert sizes[2] > 8_000_000


def replace_data(tensor: StoredTensor, read: Any) -> StoredTensor:
    from gatewise.record import replace as with_fields

    return with_fields(tensor, data=read)


@pytest.mark.framework("onnx", "onnxruntime")
def test_the_lines_of_code_run_the_file(tmp_path: Path) -> None:
    conversion = gw.convert(two_layers(tmp_path), tmp_path / "out.onnx", batch_first=True)
    names: dict[str, Any] = {}
    exec(conversion.code, names)
    assert {name: value.shape for name, value in names["outputs"].items()} == {
        "encoder/y": (3, 7, 4), "encoder/h_n": (2, 3, 4), "encoder/c_n": (2, 3, 4), "decoder/y": (3, 7, 6),
        "decoder/h_n": (1, 3, 6),
    }  # fmt: skip


def test_an_operator_s_layer_becomes_torch_s_in_a_file_of_named_tensors(tmp_path: Path) -> None:
    source = written(PLAIN_ONES[10], tmp_path)
    conversion = gw.convert(source, tmp_path / "out.safetensors")
    assert conversion.units[0].target.name == "torch.LSTM"
    assert gw.open(tmp_path / "out.safetensors").only().spec.num_layers == PLAIN_ONES[10].layers
    with pytest.raises(UsageError, match=r"onnx\.LSTM gives them none of its own"):
        gw.convert(source, tmp_path / "other.safetensors", to="onnx.LSTM")
