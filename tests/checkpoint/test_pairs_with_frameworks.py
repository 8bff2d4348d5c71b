"""torch ⇄ Keras through files, with the real frameworks as judges of outputs, states and bytes.

The written file is loaded exactly as ``--code`` says: the lines are executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framework_runs import as_float64, recurrent_layers, run_keras, run_torch, sequences
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gatewise as gw
from gatewise.cli import main

pytestmark = [
    pytest.mark.framework("torch", "keras"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras"),  # Keras meets a newer numpy
]
TOLERANCE = 1e-6
SPARING = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
TORCH_SUFFIXES = (".pt", ".safetensors", ".npz")
KERAS_SUFFIXES = (".keras", ".weights.h5")


# Random torch modules.


@st.composite
def torch_modules(draw: Any, dtypes: tuple[str, ...] = ("float32", "float64", "float16", "bfloat16"),
                  projection: bool = True) -> Any:  # fmt: skip
    """A module with random weights and random biases, of odd sizes."""
    import torch

    kind = draw(st.sampled_from(("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")))
    features, hidden = draw(st.integers(1, 11)), draw(st.integers(1, 13))
    options: dict[str, Any] = {"bias": draw(st.booleans())}
    if "RNN" in kind:
        options["nonlinearity"] = draw(st.sampled_from(("tanh", "relu")))
    if not kind.endswith("Cell"):
        options |= {"num_layers": draw(st.integers(1, 3)), "bidirectional": draw(st.booleans())}
        options["batch_first"] = draw(st.booleans())
    if projection and kind == "LSTM" and hidden > 1 and draw(st.booleans()):
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    dtype = getattr(torch, draw(st.sampled_from(dtypes)))
    torch.manual_seed(draw(st.integers(0, 2**31)))
    module = getattr(torch.nn, kind)(features, hidden, **options).to(dtype)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.5)
    return module.eval()


def _saved(module: Any, path: Path, whole: bool, prefix: str = "") -> dict[str, Any]:
    """Save a module, whole or as a state dict; what convert must be told that the file does not hold."""
    import torch

    if whole:
        torch.save(module, path)
        return {}
    torch.save({f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}, path)
    return {"activation": "relu"} if getattr(module, "nonlinearity", "tanh") == "relu" else {}


def _input_for(module: Any, seed: int) -> tuple[Any, Any, Any]:
    cells = getattr(module, "num_layers", 1) * (2 if getattr(module, "bidirectional", False) else 1)
    hidden = getattr(module, "proj_size", 0) or module.hidden_size
    return sequences(module.input_size, cells, hidden, module.hidden_size, seed)


def _loaded(conversion: Any) -> dict[str, Any]:
    """What the lines of ``--code`` leave behind."""
    scope: dict[str, Any] = {}
    exec(conversion.code, scope)  # the point of the test: these lines are what users run
    return scope


def _module(conversion: Any) -> Any:
    import torch

    (found,) = [value for value in _loaded(conversion).values() if isinstance(value, torch.nn.Module)]
    return found


def _assert_same_run(found: tuple[Any, list[Any]], wanted: tuple[Any, list[Any]], tolerance: float = TOLERANCE) -> None:
    for one, other in ((found[0], wanted[0]), *zip(found[1], wanted[1], strict=True)):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance


@pytest.mark.parametrize("suffix", TORCH_SUFFIXES)
@given(module=torch_modules(), whole=st.booleans(), prefix=st.sampled_from(("", "encoder.rnn.", "0.")))
@SPARING
def test_a_torch_module_in_another_format_is_the_same_module_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, module: Any, whole: bool, prefix: str
) -> None:
    import torch

    assume(suffix != ".npz" or next(module.parameters()).dtype != torch.bfloat16)
    folder = tmp_path_factory.mktemp("pair")
    said = _saved(module, folder / "in.pt", whole, prefix)
    conversion = gw.convert(folder / "in.pt", folder / f"out{suffix}", **said)
    assert conversion.proof is not None
    assert conversion.proof.max_abs_error == 0
    loaded = _module(conversion)
    assert type(loaded) is type(module)
    for (name, one), (other_name, other) in zip(loaded.state_dict().items(), module.state_dict().items(), strict=True):
        assert (name, one.dtype) == (other_name, other.dtype)
        assert torch.equal(one, other)
    run = _input_for(module, 1)
    loaded.batch_first = module.batch_first = True
    _assert_same_run(run_torch(loaded, *run), run_torch(module, *run), tolerance=0)


@pytest.mark.parametrize("suffix", KERAS_SUFFIXES)
@given(module=torch_modules(("float32", "float64"), projection=False), whole=st.booleans())
@SPARING
def test_keras_loads_a_torch_module_and_computes_the_same_outputs_and_states(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, module: Any, whole: bool
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    said = _saved(module, folder / "in.pt", whole)
    conversion = gw.convert(folder / "in.pt", folder / f"out{suffix}", **said)
    assert conversion.proof is not None
    assert conversion.proof.max_abs_error <= TOLERANCE
    model = _loaded(conversion)["model"]
    layers = recurrent_layers(model)
    x, h0, c0 = _input_for(module, 2)
    _assert_same_run(run_keras(layers, x, h0, c0), run_torch(module, x, h0, c0))
    zero = run_torch(module, x, 0 * h0, 0 * c0)[0]
    assert np.abs(as_float64(model(x.astype(model.compute_dtype))) - zero).max() <= TOLERANCE
    expected = str(next(module.parameters()).dtype).removeprefix("torch.")
    assert {weight.dtype for layer in layers for weight in layer.weights} == {expected}


@pytest.mark.parametrize("suffix", KERAS_SUFFIXES)
@given(module=torch_modules(("float16",), projection=False))
@settings(SPARING, max_examples=10)
def test_half_precision_keeps_its_kernels_and_rounds_the_sum_of_the_biases_once(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, module: Any
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    conversion = gw.convert(folder / "in.pt", folder / f"out{suffix}", **_saved(module, folder / "in.pt", False))
    layers = recurrent_layers(_loaded(conversion)["model"])
    assert conversion.proof is not None
    assert conversion.proof.same
    _assert_arrays_are_keras_s(layers, module)


@given(module=torch_modules(("float16", "bfloat16"), projection=False), suffix=st.sampled_from(KERAS_SUFFIXES))
@settings(SPARING, max_examples=15)
def test_a_narrow_module_widened_on_the_way_computes_what_the_widened_module_does(
    tmp_path_factory: pytest.TempPathFactory, module: Any, suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    said = _saved(module, folder / "in.pt", False)
    conversion = gw.convert(folder / "in.pt", folder / f"out{suffix}", dtype="float32", **said)
    assert {change.exactness for change in conversion.changes if "float32" in change.what} == {"exact"}
    run = _input_for(module, 3)
    layers = recurrent_layers(_loaded(conversion)["model"])
    _assert_same_run(run_keras(layers, *run), run_torch(module.float(), *run))


# Bit for bit.


def _in_keras_order(matrix: Any, gates: str, order: str) -> Any:
    blocks = dict(zip(gates, np.split(matrix, len(gates)), strict=True))
    return np.concatenate([blocks[gate] for gate in order])


def _assert_arrays_are_keras_s(layers: list[Any], module: Any) -> None:
    """Kernels bit for bit; biases the sums, rounded once to the stored dtype.  Written out by hand, on purpose."""
    kind = type(module).__name__.removesuffix("Cell")
    gates, order = {"LSTM": ("ifgo", "ifgo"), "GRU": ("rzn", "zrn"), "RNN": ("h", "h")}[kind]
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    for index, layer in enumerate(layers):
        directions = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
        for one, suffix in zip(directions, ("", "_reverse"), strict=False):
            tail = "" if type(module).__name__.endswith("Cell") else f"_l{index}{suffix}"
            kernel, recurrent, *bias = [weight.numpy() for weight in one.weights]
            assert np.array_equal(kernel, _in_keras_order(state[f"weight_ih{tail}"], gates, order).T)
            assert np.array_equal(recurrent, _in_keras_order(state[f"weight_hh{tail}"], gates, order).T)
            assert bool(bias) == module.bias
            if bias:
                ih, hh = (_in_keras_order(state[f"bias_{side}{tail}"], gates, order) for side in ("ih", "hh"))
                wanted = np.stack([ih, hh]) if kind == "GRU" else (ih.astype("f8") + hh).astype(ih.dtype)
                assert np.array_equal(bias[0], wanted)


@given(module=torch_modules(("float32", "float64"), projection=False), suffix=st.sampled_from(KERAS_SUFFIXES))
@SPARING
def test_torch_to_keras_and_back_keeps_the_kernels_and_sums_the_biases(
    tmp_path_factory: pytest.TempPathFactory, module: Any, suffix: str
) -> None:
    import torch

    folder = tmp_path_factory.mktemp("pair")
    there = gw.convert(folder / "in.pt", folder / f"mid{suffix}", **_saved(module, folder / "in.pt", False))
    _assert_arrays_are_keras_s(recurrent_layers(_loaded(there)["model"]), module)
    relu = {"activation": "relu"} if getattr(module, "nonlinearity", "") == "relu" and suffix == ".weights.h5" else {}
    reset = {"reset": "after"} if isinstance(module, (torch.nn.GRU, torch.nn.GRUCell)) and not module.bias else {}
    back = gw.convert(folder / f"mid{suffix}", folder / "back.pt", **relu, **reset)
    layers = [value for value in _loaded(back).values() if isinstance(value, torch.nn.Module)]
    state = {
        name.replace("_l0", f"_l{index}") if len(layers) > 1 else name: tensor
        for index, layer in enumerate(layers)
        for name, tensor in layer.state_dict().items()
    }
    cell = type(module).__name__.endswith("Cell")
    for name, before in module.state_dict().items():
        after = state[f"{name}_l0" if cell else name]
        assert after.dtype == before.dtype
        if "weight" in name or "GRU" in type(module).__name__:
            assert torch.equal(after, before), name
    if module.bias and "GRU" not in type(module).__name__:
        for name in [name for name in module.state_dict() if name.startswith("bias_ih")]:
            total = module.state_dict()[name].double() + module.state_dict()[name.replace("_ih", "_hh")].double()
            found = name + "_l0" if cell else name
            assert torch.equal(state[found], total.to(state[found].dtype))
            assert not state[found.replace("_ih", "_hh")].any()


def test_other_tensors_and_their_names_survive_between_torch_s_formats(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    model = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(9, 4),
            "encoder": torch.nn.LSTM(4, 5, 2, bidirectional=True),
            "norm": torch.nn.BatchNorm1d(10),
            "head": torch.nn.Linear(10, 3),
        }
    )
    before = model.state_dict() | {"mask": torch.tensor([True, False]), "step": torch.tensor(7)}
    before["half"] = torch.randn(3).to(torch.bfloat16)
    torch.save(before, tmp_path / "in.pt")
    gw.convert(tmp_path / "in.pt", tmp_path / "mid.safetensors")
    gw.convert(tmp_path / "mid.safetensors", tmp_path / "out.pt")
    for after in (load_file(tmp_path / "mid.safetensors"), torch.load(tmp_path / "out.pt", weights_only=True)):
        assert set(after) == set(before)
        for name, tensor in before.items():
            assert after[name].dtype == tensor.dtype
            assert torch.equal(after[name], tensor), name
    model.load_state_dict({k: v for k, v in after.items() if k in model.state_dict()})


# Keras models.


def _layer(keras: Any, kind: str, units: int, **options: Any) -> Any:
    class_name = {"GRU before": "GRU", "GRU after": "GRU"}.get(kind, kind)
    if class_name == "GRU":
        options["reset_after"] = kind == "GRU after"
    return getattr(keras.layers, class_name)(units, return_sequences=True, **options)


def _randomised(model: Any, seed: int) -> Any:
    """Every weight random, biases too, small enough for float32 to be judged at 1e-6."""
    random = np.random.default_rng(seed)
    model.set_weights([0.4 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    return model


@st.composite
def keras_models(draw: Any, kinds: tuple[str, ...] = ("LSTM", "GRU after", "SimpleRNN")) -> Any:
    """A stack, Sequential or Functional, perhaps with named layers, perhaps without biases."""
    import keras

    keras.utils.clear_session()
    kind, features = draw(st.sampled_from(kinds)), draw(st.integers(1, 6))
    bias, named, both = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    layers = []
    for index, units in enumerate(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))):
        options = {"name": f"my_{index}_layer"} if named else {}
        layer = _layer(keras, kind, units, use_bias=bias, **({} if both else options))
        layers.append(keras.layers.Bidirectional(layer, **options) if both else layer)
    first = keras.Input((None, features))
    if draw(st.booleans()):
        model = keras.Sequential([first, *layers])
    else:
        value = first
        for layer in layers:
            value = layer(value)
        model = keras.Model(first, value)
    return _randomised(model, draw(st.integers(0, 2**31)))


def _save_keras(model: Any, path: Path) -> None:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)


def _states_of(layers: list[Any]) -> tuple[int, list[int]]:
    units = []
    for layer in layers:
        inner = getattr(layer, "forward_layer", layer)
        units += [inner.units] * (2 if hasattr(layer, "forward_layer") else 1)
    return len(units), units


def _random_states(units: list[int]) -> tuple[list[Any], list[Any]]:
    random = np.random.default_rng(5)
    return tuple([random.standard_normal((3, size)) for size in units] for _ in range(2))  # type: ignore[return-value]


def _meaning(model: Any) -> dict[str, Any]:
    """A ``.weights.h5`` holds no config; what its shapes do not show must be said."""
    first = recurrent_layers(model)[0]
    inner = getattr(first, "forward_layer", first)
    return {"reset": "after" if inner.reset_after else "before"} if hasattr(inner, "reset_after") else {}


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
@given(model=keras_models())
@SPARING
def test_torch_loads_a_keras_model_and_computes_the_same_outputs_and_states(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, model: Any
) -> None:
    import torch

    folder = tmp_path_factory.mktemp("pair")
    _save_keras(model, folder / f"in{suffix}")
    layers = recurrent_layers(model)
    _, units = _states_of(layers)
    conversion = gw.convert(folder / f"in{suffix}", folder / "out.pt", to="torch", **_meaning(model))
    modules = [value for value in _loaded(conversion).values() if isinstance(value, torch.nn.Module)]
    features = model.input_shape[-1]
    x = np.random.default_rng(4).standard_normal((3, 7, features))
    h0, c0 = _random_states(units)
    wanted, wanted_states = _ragged_keras(layers, x, h0, c0)
    value, at, finals = x, 0, []
    for module in modules:
        count = module.num_layers * (2 if module.bidirectional else 1)
        value, final = run_torch(module, value, np.stack(h0[at : at + count]), np.stack(c0[at : at + count]))
        finals += [list(states) for states in zip(*final, strict=True)]
        at += count
    assert at == len(units)
    assert np.abs(value - wanted).max() <= TOLERANCE
    for mine, theirs in zip(finals, wanted_states, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert np.abs(one - other).max() <= TOLERANCE


def _ragged_keras(layers: list[Any], x: Any, h0: list[Any], c0: list[Any]) -> tuple[Any, list[list[Any]]]:
    """As run_keras, layer by layer: their sizes differ."""
    value, at, finals = x, 0, []
    for layer in layers:
        count = 2 if hasattr(layer, "forward_layer") else 1
        value, final = run_keras([layer], value, h0[at : at + count], c0[at : at + count])
        finals += [list(states) for states in zip(*final, strict=True)]
        at += count
    return value, finals


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
@given(model=keras_models(("LSTM", "GRU after", "SimpleRNN")), last=st.sampled_from(KERAS_SUFFIXES))
@settings(SPARING, max_examples=15)
def test_keras_to_torch_and_back_gives_identical_arrays(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, model: Any, last: str
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    _save_keras(model, folder / f"in{suffix}")
    gw.convert(folder / f"in{suffix}", folder / "mid.safetensors", to="torch", **_meaning(model))
    back = gw.convert(folder / "mid.safetensors", folder / f"out{last}")
    found = [weight for layer in recurrent_layers(_loaded(back)["model"]) for weight in layer.get_weights()]
    wanted = [weight for layer in recurrent_layers(model) for weight in layer.get_weights()]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
@given(model=keras_models(("LSTM", "GRU after", "GRU before", "SimpleRNN")), last=st.sampled_from(KERAS_SUFFIXES))
@settings(SPARING, max_examples=15)
def test_a_keras_model_written_anew_is_the_same_keras_model(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, model: Any, last: str
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    _save_keras(model, folder / f"in{suffix}")
    written = _loaded(gw.convert(folder / f"in{suffix}", folder / f"out{last}", **_meaning(model)))["model"]
    for one, other in zip(written.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    if suffix == ".weights.h5":
        return  # it does not tell which layer follows which, so each has an input of its own
    x = np.random.default_rng(6).standard_normal((3, 7, model.input_shape[-1])).astype("float32")
    assert np.abs(as_float64(written(x)) - as_float64(model(x))).max() <= TOLERANCE


def test_two_independent_chains_become_two_modules_with_the_same_outputs(tmp_path: Path) -> None:
    import keras
    import torch

    left, right = keras.Input((None, 4)), keras.Input((None, 3))
    ends = [
        keras.layers.LSTM(5, return_sequences=True, name="left_top")(
            keras.layers.LSTM(6, return_sequences=True, name="left_bottom")(left)
        ),
        keras.layers.GRU(7, return_sequences=True, name="right")(right),
    ]
    model = _randomised(keras.Model([left, right], ends), 8)
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"in{suffix}")
        conversion = gw.convert(tmp_path / f"in{suffix}", tmp_path / "out.safetensors", to="torch", force=True)
        scope = _loaded(conversion)
        found = {name: value for name, value in scope.items() if isinstance(value, torch.nn.Module)}
        assert set(found) == {"left_bottom", "left_top", "right"}
        x, z = (np.random.default_rng(9).standard_normal((3, 7, size)).astype("float32") for size in (4, 3))
        wanted = [as_float64(y) for y in model([x, z])]
        with torch.no_grad():
            top = found["left_top"](found["left_bottom"](torch.tensor(x))[0])[0].double().numpy()
            side = found["right"](torch.tensor(z))[0].double().numpy()
        assert np.abs(top - wanted[0]).max() <= TOLERANCE
        assert np.abs(side - wanted[1]).max() <= TOLERANCE


# What cannot be said.


def _refusals() -> dict[str, Any]:
    def keras_layer(kind: str, wrapped: bool = False, merge: str = "concat", **options: Any) -> Any:
        def make(folder: Path) -> tuple[Path, str]:
            import keras

            layer = getattr(keras.layers, kind)(4, return_sequences=True, **options)
            layer = keras.layers.Bidirectional(layer, merge_mode=merge) if wrapped else layer
            model = _randomised(keras.Sequential([keras.Input((None, 3)), layer]), 1)
            model.save(folder / "in.keras")
            return folder / "in.keras", "out.pt"

        return make

    def projection(folder: Path) -> tuple[Path, str]:
        import torch

        torch.save(torch.nn.LSTM(3, 5, proj_size=2), folder / "in.pt")
        return folder / "in.pt", "out.keras"

    return {
        "a GRU that resets before the product has no torch form": (keras_layer("GRU", reset_after=False), "reset gate"),
        "gates of hard_sigmoid have no torch form": (keras_layer("LSTM", recurrent_activation="hard_sigmoid"), "hard_sigmoid"),
        "a candidate of relu has no torch form": (keras_layer("LSTM", activation="relu"), "activation is relu"),
        "a simple layer of sigmoid has no torch form": (keras_layer("SimpleRNN", activation="sigmoid"), "activation is sigmoid"),
        "a GRU of softsign has no torch form": (keras_layer("GRU", activation="softsign"), "softsign"),
        "time read backwards has no torch form": (keras_layer("LSTM", go_backwards=True), "go_backwards"),
        "directions that are added have no torch form": (keras_layer("LSTM", True, "sum"), "joined by sum"),
        "directions that are averaged have no torch form": (keras_layer("GRU", True, "ave"), "joined by ave"),
        "a projection has no Keras form": (projection, "projection"),
    }  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), _refusals().values(), ids=_refusals())
def test_what_the_target_cannot_say_is_refused(
    tmp_path: Path, make: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["convert", str(path), "-o", str(tmp_path / out), "--json"]) == 2
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert error["type"] == "NotRepresentable"
    assert reason in error["message"]
    assert error["path"] == str(path)
    assert error["next"]
    assert sorted(tmp_path.iterdir()) == before


def test_zero_projections_and_relu_cells_are_not_refused_by_mistake(tmp_path: Path) -> None:
    """The twin of the refusals: their neighbours pass."""
    import keras
    import torch

    torch.save(torch.nn.RNN(3, 4, nonlinearity="relu"), tmp_path / "relu.pt")
    assert gw.convert(tmp_path / "relu.pt", tmp_path / "relu.keras").proof
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.SimpleRNN(4, activation="relu")])
    model.save(tmp_path / "in.keras")
    assert "nonlinearity='relu'" in gw.convert(tmp_path / "in.keras", tmp_path / "out.pt").code


def test_the_lines_that_load_a_file_stand_on_their_own(tmp_path: Path) -> None:
    """``--code`` is what a user pastes into a script: it must run in an interpreter of its own."""
    import os
    import subprocess
    import sys

    import torch

    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"
    }  # torch is compiled
    torch.save({"enc.0." + k: v for k, v in torch.nn.GRU(3, 4).state_dict().items()}, tmp_path / "in.pt")
    for suffix in TORCH_SUFFIXES:
        conversion = gw.convert(tmp_path / "in.pt", tmp_path / f'it\'s "quoted"{suffix}')
        subprocess.run([sys.executable, "-c", conversion.code], check=True, timeout=600, env=environment)
