"""The Python interface of the public contract, on files that neither gatewise nor a framework wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import keras_arrays, keras_h5, npz, safetensors, torch_arrays, torch_legacy, torch_zip

import gatewise as gw
from gatewise.errors import LayoutError, NotRepresentable, UnknownLayout, UsageError, WriteRefused

MAKERS: dict[str, Callable[..., Path]] = {
    "a.pt": torch_zip, "old.pt": torch_legacy, "a.safetensors": safetensors, "a.npz": npz,
}  # fmt: skip


def two(tmp_path: Path) -> gw.Checkpoint:
    """An encoder of two layers and both directions, a decoder, and a tensor of neither."""
    arrays = torch_arrays("lstm", 3, 4, 2, 2, prefix="model.encoder.lstm.", seed=1)
    arrays |= torch_arrays("gru", 8, 5, prefix="model.decoder.gru.", seed=2)
    return gw.open(safetensors(tmp_path / "two.safetensors", {**arrays, "head.weight": np.ones((2, 5), "f4")}))


# Layers by name.


@pytest.mark.parametrize("name", MAKERS)
def test_every_format_shows_the_same_layer_and_the_same_numbers(tmp_path: Path, name: str) -> None:
    arrays = torch_arrays("lstm", 3, 5, 2, 2, prefix="rnn.")
    checkpoint = gw.open(MAKERS[name](tmp_path / name, arrays))
    (layer,) = checkpoint.layers
    assert (layer.name, layer.layout, layer.num_layers, layer.directions) == (
        "rnn",
        "torch.LSTM",
        2,
        ("forward", "reverse"),
    )
    for index, direction, tail in ((0, "forward", "_l0"), (1, "reverse", "_l1_reverse")):
        weights = layer[index, direction]
        for number, gate in enumerate("ifgo"):
            rows = slice(5 * number, 5 * number + 5)
            assert np.array_equal(weights.kernel[gate], arrays[f"rnn.weight_ih{tail}"][rows])
            assert np.array_equal(weights.recurrent_kernel[gate], arrays[f"rnn.weight_hh{tail}"][rows])
            assert np.array_equal(weights.bias[gate], arrays[f"rnn.bias_ih{tail}"][rows])
            assert np.array_equal(weights.recurrent_bias[gate], arrays[f"rnn.bias_hh{tail}"][rows])


def test_a_gate_is_a_read_only_view_of_unit_by_feature(tmp_path: Path) -> None:
    view = two(tmp_path)["model.encoder.lstm"][0, "forward"].kernel["f"]
    assert view.shape == (4, 3)
    assert not view.flags.writeable
    assert view.base is not None, "a view, not a copy"
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1.0


def test_keras_s_gates_are_unit_by_feature_too(tmp_path: Path) -> None:
    arrays = keras_arrays(3, 4)
    layer = gw.open(keras_h5(tmp_path / "k.h5", {"lstm_1": arrays}))["lstm_1"]
    assert np.array_equal(layer[0, "forward"].kernel["g"], arrays["kernel"][:, 8:12].T)


@pytest.mark.filterwarnings("error")
def test_gates_of_numbers_that_are_none_are_told_without_a_warning(tmp_path: Path) -> None:
    arrays = torch_arrays("lstm", 3, 4)
    next(iter(arrays.values())).flat[:3] = np.inf, -np.inf, np.nan
    rows = gw.open(safetensors(tmp_path / "m.safetensors", arrays)).gates()
    assert np.isnan(rows[0]["mean"])
    assert np.isfinite(rows[-1]["mean"])


def test_layers_come_in_the_file_s_order(tmp_path: Path) -> None:
    checkpoint = two(tmp_path)
    assert [layer.name for layer in checkpoint.layers] == ["model.encoder.lstm", "model.decoder.gru"]
    assert [layer.name for layer in checkpoint] == ["model.encoder.lstm", "model.decoder.gru"]
    assert len(checkpoint) == 2
    assert "head.weight" in checkpoint.tensors


@pytest.mark.parametrize("name", ["model.encoder.lstm", "encoder.lstm", "lstm"])
def test_a_layer_answers_to_its_name_and_to_the_end_of_its_path(tmp_path: Path, name: str) -> None:
    assert two(tmp_path)[name].name == "model.encoder.lstm"


@pytest.mark.parametrize("name", ["coder.lstm", "model", "", "stm"])
def test_part_of_a_word_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no recurrent layer is called"):
        two(tmp_path)[name]


def test_an_unknown_name_is_answered_with_the_nearest_and_with_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        two(tmp_path)["model.encoder.lstn"]
    assert told.value.path == str(tmp_path / "two.safetensors")
    assert told.value.next is not None
    assert "Did you mean model.encoder.lstm" in told.value.next
    assert "model.decoder.gru" in told.value.next


def test_an_ending_that_two_layers_share_is_ambiguous(tmp_path: Path) -> None:
    arrays = torch_arrays(prefix="a.rnn.") | torch_arrays(prefix="b.rnn.", seed=1)
    checkpoint = gw.open(npz(tmp_path / "a.npz", arrays))
    with pytest.raises(UsageError, match="several recurrent layers are called 'rnn'") as told:
        checkpoint["rnn"]
    assert "a.rnn, b.rnn" in str(told.value)


def test_a_bare_layer_is_called_by_the_empty_name(tmp_path: Path) -> None:
    checkpoint = gw.open(npz(tmp_path / "bare.npz", torch_arrays()))
    assert checkpoint[""].name == ""
    assert checkpoint.only() is checkpoint.layers[0]


def test_two_layers_and_none_named_is_a_refusal_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several recurrent layers") as told:
        two(tmp_path).only()
    assert "model.encoder.lstm, model.decoder.gru" in str(told.value)
    npz(tmp_path / "io.npz", {"x": np.zeros((3, 7, 3)), "y": np.zeros((3, 7, 8))})
    with pytest.raises(UsageError, match="several recurrent layers"):
        gw.verify(tmp_path / "two.safetensors", recorded=tmp_path / "io.npz")


def test_of_ten_thousand_layers_a_refusal_names_a_few(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for index in range(300):
        arrays |= torch_arrays("rnn", 1, 1, prefix=f"block.{index}.rnn.", bias=False)
    with pytest.raises(UsageError) as told:
        gw.open(safetensors(tmp_path / "many.safetensors", arrays)).only()
    assert len(str(told.value)) < 400
    assert "292 more" in str(told.value)


# Wrong words, told kindly.


def test_a_wrong_gate_is_told_the_gates(tmp_path: Path) -> None:
    kernel = two(tmp_path)["decoder.gru"][0, "forward"].kernel
    assert list(kernel) == ["r", "z", "n"]
    with pytest.raises(UsageError, match="kernel has no gate 'f'") as told:
        kernel["f"]
    assert "r (reset), z (update), n (new)" in str(told.value)


def test_a_role_that_is_not_there_is_said_to_be_absent(tmp_path: Path) -> None:
    weights = gw.open(npz(tmp_path / "a.npz", torch_arrays(bias=False)))[""][0, "forward"]
    assert not weights.bias
    assert weights.projection is None
    with pytest.raises(UsageError, match="this layer has no bias"):
        weights.bias["f"]


def test_a_wrong_layer_or_direction_is_told_what_there_is(tmp_path: Path) -> None:
    lstm = two(tmp_path)["encoder.lstm"]
    with pytest.raises(UsageError, match="there is no layer 2") as told:
        lstm[2, "forward"]
    assert "0 to 1" in str(told.value)
    with pytest.raises(UsageError, match="there is no direction 'backward'"):
        lstm[0, "backward"]
    with pytest.raises(UsageError, match="there is no direction 'reverse'"):
        two(tmp_path)["decoder.gru"][0, "reverse"]
    assert lstm[-1, "forward"].feature == 8


def test_an_unknown_option_of_open_is_told_the_nearest(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", torch_arrays())
    with pytest.raises(UsageError, match="forget_bias"):
        gw.open(path, forgot_bias=1.0)


# Into other layouts, and into files.


def test_to_gives_keras_s_own_names_shapes_and_numbers(tmp_path: Path) -> None:
    arrays = torch_arrays("lstm", 3, 4)
    got = gw.open(npz(tmp_path / "a.npz", arrays))[""].to("keras.LSTM")
    assert list(got) == ["kernel", "recurrent_kernel", "bias"]
    assert np.array_equal(got["kernel"], arrays["weight_ih_l0"].T)
    assert np.array_equal(got["recurrent_kernel"], arrays["weight_hh_l0"].T)
    total = (arrays["bias_ih_l0"].astype("f8") + arrays["bias_hh_l0"]).astype("f4")
    assert np.array_equal(got["bias"], total)
    assert {array.dtype.name for array in got.values()} == {"float32"}


def test_to_refuses_another_cell_and_an_unknown_name(tmp_path: Path) -> None:
    layer = gw.open(npz(tmp_path / "a.npz", torch_arrays()))[""]
    with pytest.raises(NotRepresentable):
        layer.to("torch.GRU")
    with pytest.raises(UnknownLayout, match=r"Did you mean keras\.LSTM"):
        layer.to("keras.LTSM")


def test_a_stack_into_a_layout_of_single_layers_is_numbered(tmp_path: Path) -> None:
    layer = gw.open(npz(tmp_path / "a.npz", torch_arrays("gru", 3, 4, layers=2)))[""]
    assert [name for name in layer.to("keras.GRU") if "kernel" in name] == [
        "0/kernel", "0/recurrent_kernel", "1/kernel", "1/recurrent_kernel"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["out.safetensors", "out.pt", "out.npz", "out.keras", "out.weights.h5"])
def test_save_writes_one_layer_that_is_proved(tmp_path: Path, name: str) -> None:
    lstm = two(tmp_path)["encoder.lstm"]
    proof = gw.save(lstm, tmp_path / name)
    assert proof.same
    assert gw.verify(tmp_path / "two.safetensors", tmp_path / name, layer="encoder.lstm").same
    with pytest.raises(WriteRefused, match="exists already"):
        gw.save(lstm, tmp_path / name)
    assert gw.save(lstm, tmp_path / name, force=True).same


def test_save_takes_the_layout_by_name(tmp_path: Path) -> None:
    layer = gw.open(keras_h5(tmp_path / "k.h5", {"lstm_1": keras_arrays()}))["lstm_1"]
    gw.save(layer, tmp_path / "out.safetensors", layout="torch.LSTM")
    assert gw.open(tmp_path / "out.safetensors").layers[0].layout == "torch.LSTM"


def test_save_takes_a_stack_that_is_in_no_file(tmp_path: Path) -> None:
    lower = two(tmp_path)["encoder.lstm"].layer(0, "first")
    gw.save(lower, tmp_path / "first.safetensors")
    assert gw.open(tmp_path / "first.safetensors").layers[0].num_layers == 1


# Running.


def test_run_gives_torch_s_shapes_and_starts_from_zeros(tmp_path: Path) -> None:
    lstm = two(tmp_path)["encoder.lstm"]
    x = np.random.default_rng(0).standard_normal((3, 7, 3))
    y, (h, c) = gw.run(lstm, x)
    assert (y.shape, h.shape, c.shape) == ((3, 7, 8), (4, 3, 4), (4, 3, 4))
    assert (y.dtype, h.dtype) == (np.float64, np.float64)
    again, _ = gw.run(lstm, x, (np.zeros((4, 3, 4)), np.zeros((4, 3, 4))))
    assert np.array_equal(y, again)
    assert np.array_equal(y[:, -1, :4], h[2])
    assert np.array_equal(y[:, 0, 4:], h[3])


@pytest.mark.parametrize(
    ("x", "state", "told"),
    [
        ((7, 3), None, "batch of sequences"),
        ((3, 7, 4), None, "x has 4 features; the layer takes 3"),
        ((3, 7, 3), ((4, 3, 4),), "takes 2 initial state"),
        ((3, 7, 3), ((4, 3, 5), (4, 3, 4)), r"h0\[0\] has shape"),
        ((3, 7, 3), ((2, 3, 4), (2, 3, 4)), r"h0 holds 2 state\(s\); this stack has 4"),
        ((3, 7, 3), ((4, 3, 4), (5, 3, 4)), r"c0 holds 5 state\(s\)"),
    ],
    ids=["no batch", "other features", "a state too few", "other units", "too few layers' states", "too many"],
)
def test_run_says_which_shape_is_wrong(tmp_path: Path, x: Any, state: Any, told: str) -> None:
    given = None if state is None else tuple(np.zeros(shape) for shape in state)
    with pytest.raises(UsageError, match=told):
        gw.run(two(tmp_path)["encoder.lstm"], np.zeros(x), given)


# Verifying with recorded runs.


def recorded(tmp_path: Path, name: str = "encoder.lstm") -> dict[str, Any]:
    layer = two(tmp_path)[name]
    random = np.random.default_rng(3)
    cells, spec = len(layer.cells), layer.spec
    x = random.standard_normal((2, 5, spec.input_size))
    h0, c0 = (random.standard_normal((cells, 2, spec.hidden_size)) for _ in range(2))
    y, (h_n, c_n) = gw.run(layer, x, (h0, c0))
    return {"x": x, "h0": h0, "c0": c0, "y": y, "h_n": h_n, "c_n": c_n}


def _verify(tmp_path: Path, run: dict[str, Any], layer: str = "encoder.lstm", **options: Any) -> gw.Proof:
    path = npz(tmp_path / "io.npz", run)
    return gw.verify(tmp_path / "two.safetensors", recorded=path, layer=layer, **options)


def _only(run: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: run[name] for name in names}


VARIANTS: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]] = {
    "all of it": lambda run: (run, {}),
    "time first": lambda run: ({**run, "x": run["x"].swapaxes(0, 1), "y": run["y"].swapaxes(0, 1)}, {"time_major": True}),
    "states spelled hn and cn": lambda run: (
        {**_only(run, "x", "h0", "c0", "y"), "hn": run["h_n"], "cn": run["c_n"]}, {}
    ),
    "outputs only": lambda run: (_only(run, "x", "h0", "c0", "y"), {}),
    "final states only": lambda run: (_only(run, "x", "h0", "c0", "h_n", "c_n"), {}),
    "torch's y[:, -1]": lambda run: ({**_only(run, "x", "h0", "c0"), "y": run["y"][:, -1]}, {}),
    "Keras's last outputs": lambda run: (
        {**_only(run, "x", "h0", "c0"), "y": np.concatenate([run["h_n"][2], run["h_n"][3]], -1)}, {}
    ),
    "float32 numbers": lambda run: ({name: array.astype("f4") for name, array in run.items()}, {}),
}  # fmt: skip


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_a_recorded_run_is_understood_with(tmp_path: Path, change: Any) -> None:
    run, options = change(recorded(tmp_path))
    proof = _verify(tmp_path, run, **options)
    assert proof.same
    assert (proof.time, proof.batch, proof.against) == (5, 2, "recorded")
    for name, array in list(run.items()):
        if name not in ("x", "h0", "c0"):
            spoiled = array.copy()
            spoiled.flat[0] += 1e-3
            assert not _verify(tmp_path, {**run, name: spoiled}, **options).same, f"a wrong {name} is seen"


def test_a_recorded_run_without_states_starts_from_zeros(tmp_path: Path) -> None:
    run = recorded(tmp_path)
    y, (h_n, _) = gw.run(two(tmp_path)["encoder.lstm"], run["x"])
    assert _verify(tmp_path, {"x": run["x"], "y": y, "h_n": h_n}).same
    assert not _verify(tmp_path, _only(run, "x", "y")).same, "the states matter"


WRONG: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "no x": (lambda run: _only(run, "y"), "has no x"),
    "no outputs": (lambda run: _only(run, "x", "h0", "c0"), "has no outputs"),
    "h0 without c0": (lambda run: _only(run, "x", "y", "h0"), "has h0 but no c0"),
    "c0 without h0": (lambda run: _only(run, "x", "y", "c0"), "has c0 but no h0"),
    "states of another depth": (lambda run: {**run, "h0": run["h0"][:2]}, "recorded h0 has shape"),
    "states without their first axis": (lambda run: {**run, "h0": run["h0"][0]}, "recorded h0 has shape"),
    "other features": (lambda run: {**run, "x": run["x"][..., :2]}, "x has 2 features"),
    "a y of another width": (lambda run: {**run, "y": run["y"][..., :3]}, "recorded y has shape"),
    "a last step of another width": (lambda run: {**run, "y": run["y"][:, -1, :3]}, "recorded y has shape"),
    "a y of another length": (lambda run: {**run, "y": run["y"][:, :3]}, "time_major=True"),
    "final states of another size": (lambda run: {**run, "h_n": run["h_n"][..., :3]}, "recorded h_n has shape"),
    "final states in one flat axis": (lambda run: {**run, "c_n": run["c_n"].ravel()}, "recorded c_n has shape"),
}


@pytest.mark.parametrize(("change", "told"), WRONG.values(), ids=WRONG)
def test_a_recorded_run_is_refused_with(tmp_path: Path, change: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        _verify(tmp_path, change(recorded(tmp_path)))


def test_a_recorded_nan_is_never_the_same(tmp_path: Path) -> None:
    run = recorded(tmp_path)
    run["c_n"][0, 0, 0] = np.nan
    assert not _verify(tmp_path, run).same


# Verifying and comparing files.


def test_nan_in_any_of_several_layers_is_never_the_same(tmp_path: Path) -> None:
    arrays = torch_arrays(prefix="a.") | torch_arrays("gru", prefix="b.")
    good = safetensors(tmp_path / "good.safetensors", arrays)
    for name in arrays:
        spoiled = {**arrays, name: arrays[name].copy()}
        spoiled[name].flat[0] = np.nan
        bad = safetensors(tmp_path / "bad.safetensors", spoiled)
        for one, other in ((good, bad), (bad, good), (bad, bad)):
            assert not gw.verify(one, other).same, name
    assert gw.verify(good, good).same


def test_verify_holds_layers_of_one_name_against_each_other(tmp_path: Path) -> None:
    first, second = torch_arrays(prefix="a."), torch_arrays(prefix="b.", seed=9)
    one = safetensors(tmp_path / "one.safetensors", first | second)
    other = safetensors(tmp_path / "other.safetensors", second | first)
    assert gw.verify(one, other).same
    swapped = {
        name.replace("b.", "c.").replace("a.", "b.").replace("c.", "a."): array
        for name, array in {**first, **second}.items()
    }
    assert not gw.verify(one, safetensors(tmp_path / "swapped.safetensors", swapped)).same


def test_files_with_unequal_numbers_of_layers_are_not_compared_by_guess(tmp_path: Path) -> None:
    one = safetensors(tmp_path / "one.safetensors", torch_arrays(prefix="a.") | torch_arrays(prefix="b."))
    other = safetensors(tmp_path / "other.safetensors", torch_arrays(prefix="a."))
    with pytest.raises(UsageError, match="has 2 recurrent layer"):
        gw.verify(one, other)
    assert gw.verify(one, other, layer="a").same


@pytest.mark.parametrize("name", ["out.keras", "out.weights.h5", "out.safetensors"])
def test_a_stack_is_the_same_as_the_layers_it_was_taken_apart_into(tmp_path: Path, name: str) -> None:
    path = npz(tmp_path / "a.npz", torch_arrays("gru", 3, 4, layers=3, directions=2))
    gw.convert(path, tmp_path / name, to="keras.GRU")
    for one, other in ((path, tmp_path / name), (tmp_path / name, path)):
        assert gw.verify(one, other, reset="after").same
    moved = npz(tmp_path / "b.npz", torch_arrays("gru", 3, 4, layers=3, directions=2, seed=1))
    assert not gw.verify(moved, tmp_path / name, reset="after").same


def test_diff_says_which_gate_and_where(tmp_path: Path) -> None:
    arrays = torch_arrays("lstm", 3, 4, 2, prefix="rnn.")
    changed = {name: array.copy() for name, array in arrays.items()}
    changed["rnn.weight_hh_l1"][5, 2] += 0.25  # row 5 of 4 units: gate f, unit 1
    one, other = (safetensors(tmp_path / f"{n}.safetensors", each) for n, each in (("a", arrays), ("b", changed)))
    assert gw.diff(one, one)["same"] is True
    found = gw.diff(one, other)
    assert found["same"] is False
    (row,) = [row for row in found["rows"] if row["max_abs"]]
    assert (row["layer"], row["direction"], row["role"], row["gate"], row["where"]) == (
        1, "forward", "recurrent_kernel", "f", [1, 2]
    )  # fmt: skip
    assert row["max_abs"] == pytest.approx(0.25)


def test_diff_across_frameworks_compares_meanings(tmp_path: Path) -> None:
    arrays = torch_arrays("lstm", 3, 4)
    torch_file = npz(tmp_path / "t.npz", arrays)
    keras = {
        "kernel": arrays["weight_ih_l0"].T, "recurrent_kernel": arrays["weight_hh_l0"].T,
        "bias": (arrays["bias_ih_l0"].astype("f8") + arrays["bias_hh_l0"]).astype("f4"),
    }  # fmt: skip
    keras_file = keras_h5(tmp_path / "k.h5", {"lstm_1": keras})
    for pair in ((torch_file, keras_file), (keras_file, torch_file)):
        found = gw.diff(*pair)
        assert found["same"], found
        assert (found["only_in_a"], found["only_in_b"]) == ([], [])
    keras["bias"][6] += 1
    found = gw.diff(torch_file, keras_h5(tmp_path / "k2.h5", {"lstm_1": keras}))
    assert [(row["role"], row["gate"]) for row in found["rows"] if row["max_abs"]] == [("bias", "f")]


# What a file is, beside its layers.


def test_twins_on_one_storage_are_one_layer(tmp_path: Path) -> None:
    state, module = torch_arrays(prefix="state_dict.rnn."), torch_arrays(prefix="rnn.")
    shared = {name: f"state_dict.{name}" for name in module}
    (layer,) = gw.open(torch_zip(tmp_path / "a.pt", state | module, shared=shared)).layers
    assert (layer.name, layer.also_at) == ("state_dict.rnn", ("rnn",))
    checkpoint = gw.open(tmp_path / "a.pt")
    assert checkpoint["rnn"].name == "state_dict.rnn"
    assert checkpoint.inspect()["others"] == []


def test_equal_names_on_storages_of_their_own_are_two_layers(tmp_path: Path) -> None:
    arrays = torch_arrays(prefix="state_dict.rnn.") | torch_arrays(prefix="rnn.")
    assert len(gw.open(torch_zip(tmp_path / "a.pt", arrays)).layers) == 2


def test_tied_layers_are_two(tmp_path: Path) -> None:
    arrays = torch_arrays(prefix="encoder.rnn.") | torch_arrays(prefix="decoder.rnn.")
    shared = {name: name.replace("decoder", "encoder") for name in arrays if name.startswith("decoder")}
    layers = gw.open(torch_zip(tmp_path / "a.pt", arrays, shared=shared)).layers
    assert [(layer.name, layer.also_at) for layer in layers] == [("encoder.rnn", ()), ("decoder.rnn", ())]


@pytest.mark.parametrize(
    ("prefix", "said"),
    [("module.rnn.", "DataParallel"), ("_orig_mod.rnn.", "torch.compile"), ("module._orig_mod.rnn.", "torch.compile")],
    ids=["DataParallel's", "torch.compile's", "both"],
)
def test_a_wrapper_s_prefix_needs_not_be_said_and_is_explained(tmp_path: Path, prefix: str, said: str) -> None:
    checkpoint = gw.open(torch_zip(tmp_path / "a.pt", torch_arrays(prefix=prefix)))
    layer = checkpoint["rnn"]
    assert any(said in text for text in layer.as_dict()["evidence"])


def test_an_optimizer_s_moments_are_no_layers(tmp_path: Path) -> None:
    moments = {
        f"optimizer.state.{index}.{name}": np.ones((16, 4), "f4")
        for index in range(4)
        for name in ("exp_avg", "exp_avg_sq")
    }
    checkpoint = gw.open(torch_zip(tmp_path / "optimizer.pt", moments))
    assert checkpoint.layers == []
    assert len(checkpoint.inspect()["others"]) == 8
    with pytest.raises(UsageError, match="no recurrent layer that gatewise knows"):
        checkpoint.only()


def test_a_model_without_recurrent_layers_opens_and_says_so(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "a.safetensors", {"fc.weight": np.ones((3, 4), "f4"), "fc.bias": np.ones(3, "f4")})
    checkpoint = gw.open(path)
    assert len(checkpoint) == 0
    assert [each["tensor"] for each in checkpoint.inspect()["others"]] == ["fc.weight", "fc.bias"]
    with pytest.raises(UsageError, match="no recurrent layer"):
        gw.convert(path, tmp_path / "out.keras")
    assert not (tmp_path / "out.keras").exists()


def test_tensors_that_nearly_are_a_layer_are_told_what_is_wrong(tmp_path: Path) -> None:
    arrays = torch_arrays("lstm", 3, 4)
    del arrays["weight_hh_l0"]
    checkpoint = gw.open(npz(tmp_path / "a.npz", arrays))
    with pytest.raises((UsageError, LayoutError), match="weight_hh"):
        checkpoint.only()


@pytest.mark.parametrize("maker", [torch_zip, torch_legacy], ids=["zip", "legacy"])
def test_tensors_of_a_gpu_open_without_one(tmp_path: Path, maker: Any) -> None:
    arrays = torch_arrays("gru", 3, 4, prefix="rnn.")
    layer = gw.open(maker(tmp_path / "cuda.pt", arrays, device="cuda:3"))["rnn"]
    assert np.array_equal(layer[0, "forward"].kernel["z"], arrays["rnn.weight_ih_l0"][4:8])


def test_what_the_user_says_of_a_file_is_taken(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", torch_arrays("rnn"))
    assert gw.open(path)[""].assumed, "a state dict does not hold the nonlinearity"
    layer = gw.open(path, activation="relu")[""]
    assert (layer.dialect.activation, layer.assumed) == ("relu", ())
    with pytest.raises(UsageError, match="two hard sigmoids"):
        gw.open(npz(tmp_path / "b.npz", torch_arrays("lstm")), recurrent_activation="hard_sigmoid")


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """Garbage where the numbers are harms nothing until they are looked at."""
    path = torch_zip(tmp_path / "a.pt", torch_arrays(prefix="rnn."))
    checkpoint = gw.open(path)
    assert repr(checkpoint).startswith("<Checkpoint")
    assert checkpoint.inspect()["layers"][0]["parameters"] == 4 * 4 * (3 + 4 + 2)


@pytest.mark.parametrize("given", [3, None, 2.5, ["a.pt"]])
def test_what_is_no_path_and_no_text_is_refused_in_words(given):
    with pytest.raises(UsageError, match="is no path"):
        gw.open(given)
    with pytest.raises(UsageError, match="is no text"):
        gw.explain(given)
