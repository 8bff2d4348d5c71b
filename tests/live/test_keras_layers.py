"""Keras's layers in memory, beside the laws: paths in models, what is told, memory, runs that change nothing, training, files.

Everything here runs on every backend and on tf.keras 2: in `make test` on torch's, jax's and numpy's (the last two in processes
of their own), in `make tf-keras` on TensorFlow.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers.keras import FEATURES, UNITS, built, filled, gradients
from makers.keras import the_keras as keras

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError

pytestmark = pytest.mark.framework("keras")
BACKEND = os.environ.get("KERAS_BACKEND", "torch")
ROOT = Path(__file__).parents[2]
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras on numpy does not train")


def is_old() -> bool:
    return bool(keras().__version__.startswith("2."))


def lstm(**said: Any) -> Any:
    return built(keras().layers.LSTM(UNITS, **said))


def values(layer: Any) -> list[np.ndarray]:
    return [np.array(each) for each in layer.get_weights()]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Paths.


def test_layers_are_named_by_their_paths() -> None:
    layers = keras().layers
    inner = keras().Sequential([layers.Input((None, 4)), layers.GRU(3, return_sequences=True, name="gru")], name="inner")  # fmt: skip
    x = layers.Input((7, 4))
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(inner(x))
    y = layers.TimeDistributed(layers.Reshape((2, 2)))(y)
    y = layers.TimeDistributed(layers.SimpleRNN(3), name="each")(y)
    y = layers.LSTM(2, name="backward_lstm", go_backwards=True)(y)
    model = keras().Model(x, y)
    found = gw.of(model)
    assert [live.name for live in found] == ["inner/gru", "both", "each", "backward_lstm"]
    assert [live.layout for live in found] == ["keras.GRU", "keras.LSTM", "keras.SimpleRNN", "keras.LSTM"]
    assert [len(live.directions) for live in found] == [1, 2, 1, 1]
    assert set(found["both"].holder.weights) == {f"both/{way}_layer/{name}" for way in ("forward", "backward") for name in ("kernel", "recurrent_kernel", "bias")}  # fmt: skip
    assert found["gru"] is found.layers[0]


def test_in_a_model_of_attributes_a_made_up_name_is_the_attributes() -> None:
    class Model(keras().Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            layers = keras().layers
            self.encoder = layers.LSTM(3, return_sequences=True)
            self.blocks = [layers.GRU(3, return_sequences=True), layers.GRU(3, return_sequences=True)]
            self.decoder = layers.LSTM(3, name="said")
            self.again = self.encoder

        def call(self, x: Any) -> Any:
            for layer in (self.encoder, *self.blocks, self.decoder):
                x = layer(x)
            return x

    model = Model()
    model(np.zeros((2, 7, 4), np.float32))
    assert sorted(live.name for live in gw.of(model)) == ["blocks/0", "blocks/1", "encoder", "said"]


def test_cells_under_cells_are_layers_of_their_own() -> None:
    layers = keras().layers
    deep = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], name="deep")
    model = keras().Sequential([layers.Input((7, 4)), deep])
    found = gw.of(model)
    assert [(live.name, live.layout, live.spec.hidden_size) for live in found] == [("deep/cells/0", "keras.LSTM", 3), ("deep/cells/1", "keras.GRU", 2)]  # fmt: skip


def test_two_directions_of_different_meaning_are_two_layers() -> None:
    layers = keras().layers
    back = layers.LSTM(3, go_backwards=True, activation="relu", return_sequences=True)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True), backward_layer=back)
    found = gw.of(built(both))
    assert [live.name for live in found] == ["forward_layer", "backward_layer"]
    assert [live.dialect.activation for live in found] == ["tanh", "relu"]
    assert all(live.prove().same for live in found)


# What is told.


def _own_direction() -> Any:
    """A recurrent layer of the user's own that goes backwards."""

    class Sums(keras().layers.Layer):
        go_backwards, return_sequences, return_state, stateful, supports_masking = True, True, False, False, False

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], UNITS), name="w")
            self.built = True

        def call(self, x: Any, **_said: Any) -> Any:
            return x @ self.w

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], UNITS)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "go_backwards": True, "return_sequences": True}

    return Sums()


def test_a_direction_that_no_layout_describes_is_not_left_out_unsaid() -> None:
    """The forward layer alone was given, as if it were all there is."""
    layers = keras().layers
    if is_old():
        pytest.skip("tf.keras 2 asks more of a layer of one's own before it takes it for a direction")
    both = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True), backward_layer=_own_direction(), name="both")
    built(both)
    with pytest.warns(
        UserWarning, match="is left out: backward_layer is a Sums, and no layout says how it computes.*layout="
    ):
        live = gw.of(both)
    assert live.name == "forward_layer"
    with pytest.warns(UserWarning, match="left out: backward_layer"):
        gw.set_forget_bias(both, 1.0)
    with pytest.raises(UsageError, match="backward_layer cannot be read: backward_layer is a Sums"):
        gw.of(both, "backward_layer")


def test_cells_and_layers_that_no_layout_describes_are_named_beside_those_that_one_does() -> None:
    layers = keras().layers

    class Cell(layers.Layer):
        units = state_size = output_size = UNITS

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1], UNITS), name="w")
            self.built = True

        def call(self, x: Any, states: Any, training: bool = False) -> Any:  # noqa: ARG002
            return keras().activations.tanh(x @ self.w + states[0]), [states[0]]

    model = keras().Sequential([
        layers.Input((7, FEATURES)), layers.LSTM(UNITS, return_sequences=True, name="plain"),
        layers.RNN(Cell(), return_sequences=True, name="own"), layers.RNN([layers.GRUCell(UNITS), Cell()], return_sequences=True, name="deep"),
        layers.Reshape((7, 1, UNITS, 1)), layers.ConvLSTM2D(2, (1, 1), name="images"),
    ])  # fmt: skip
    with pytest.warns(UserWarning, match="what gatewise cannot read is left out") as told:
        found = gw.of(model)
    assert [live.name for live in found] == ["plain", "deep/cells/0"]
    assert [re.findall(r"([\w/]+) is a (\w+),", str(each.message)) for each in told] == [
        [("own", "RNN"), ("deep/cells/1", "Cell"), ("images", "ConvLSTM2D")]
    ]
    assert told[0].filename == __file__, "the warning points at the caller"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gw.of(model, "plain").name == "plain"
    with pytest.raises(UsageError, match="can read: it is a ConvLSTM2D, and no layout says"):
        gw.of(model.get_layer("images"))


def test_a_layer_that_is_not_built_is_told_with_what_builds_it() -> None:
    layers = keras().layers
    with pytest.raises(UsageError, match=r"the Keras layer 'mine' has no weights yet: it is not built\. .* layer\.build\(\(None, None, features\)\)"):  # fmt: skip
        gw.of(layers.LSTM(3, name="mine"))
    with pytest.raises(UsageError, match=r"'lstm_of_mine' has no weights yet.* Call the model once"):
        gw.of(keras().Sequential([layers.LSTM(3, name="lstm_of_mine"), layers.Dense(2)]))
    with pytest.raises(UsageError, match="holds no recurrent layer that gatewise knows"):
        gw.of(keras().layers.Dense(2))


def test_a_function_of_the_users_own_is_not_taken_for_its_namesake() -> None:
    def tanh(x: Any) -> Any:
        return x

    live = gw.of(lstm(activation=tanh))
    assert live.dialect.activation.startswith("function ")
    assert live.dialect.recurrent_activation == "sigmoid"
    assert live[0, "forward"].kernel["f"].shape == (UNITS, FEATURES)
    with pytest.raises(
        gw.GatewiseError, match=r"the activation 'function .*tanh' is not one that gatewise can compute"
    ):
        live.prove()
    with pytest.raises(ProofFailed):
        gw.of(lstm(activation=tanh), activation="tanh").prove()
    assert gw.of(lstm(activation=tanh), activation="linear").prove().same


@pytest.mark.parametrize("name", ["relu", "softsign", "elu", "selu", "softplus", "linear", "swish", "hard_sigmoid"])
def test_activations_by_name_and_by_function(name: str) -> None:
    for said in (name, getattr(keras().activations, name)):
        live = gw.of(lstm(activation=said, recurrent_activation="hard_sigmoid"))
        assert live.dialect.recurrent_activation == ("hard_sigmoid(0.2)" if is_old() else "hard_sigmoid(1/6)")
        assert live.prove().same


def test_a_class_that_computes_otherwise_is_not_believed() -> None:
    class Doubled(keras().layers.LSTMCell):  # type: ignore[misc]
        def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
            h, states = super().call(inputs, states, training=training)
            return 2 * h, states

    cell = Doubled(UNITS)
    cell.build((None, FEATURES))
    with pytest.raises(ProofFailed, match=r"computes something else than keras\.LSTM"):
        gw.of(filled(cell))

    class Renamed(keras().layers.LSTM):  # type: ignore[misc]
        pass

    assert gw.of(built(Renamed(UNITS))).prove().same


# Memory and runs.


def test_views_lie_in_the_variables_own_memory_or_are_copies_that_say_so() -> None:
    layer = lstm()
    view = gw.of(layer)[0, "forward"].kernel["f"]
    if BACKEND in ("torch", "numpy") and not is_old():
        view[...] = 0.25
        assert (values(layer)[0][:, UNITS : 2 * UNITS] == 0.25).all()
    else:
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0.25


def test_a_run_changes_nothing_of_the_layer() -> None:
    layers = keras().layers
    layer = layers.Bidirectional(
        layers.LSTM(UNITS, stateful=True, dropout=0.5, recurrent_dropout=0.5, activity_regularizer="l2")
    )
    layer(np.ones((2, 4, FEATURES), np.float32))
    for _ in range(2):
        layer(np.ones((2, 4, FEATURES), np.float32), training=True)
    held = [
        *layer.variables,
        *(each for way in (layer.forward_layer, layer.backward_layer) for each in (way.states or ())),
    ]
    before, attributes = [np.array(_numpy(each)) for each in held], _attributes(layer)
    losses = [float(_numpy(each)) for each in layer.losses]
    live = gw.of(layer)
    assert live.prove().same
    assert same([np.array(_numpy(each)) for each in held], before)
    assert _attributes(layer) == attributes
    assert [float(_numpy(each)) for each in layer.losses] == losses


def _numpy(variable: Any) -> Any:
    return variable.numpy() if is_old() else keras().ops.convert_to_numpy(variable)


def _attributes(layer: Any) -> list[Any]:
    """Every attribute of a layer and what is in it, by identity; plain values as they are."""
    found: list[Any] = []
    for each in layer._flatten_layers():
        for name, value in sorted(vars(each).items()):
            plain = isinstance(value, int | float | str | bool | type(None))
            found.append(
                (each.name, name, value if plain else id(value), len(value) if isinstance(value, list | dict) else 0)
            )
    return found


def test_units_pruned_of_one_direction_leave_the_sum_to_the_other() -> None:
    layers = keras().layers
    for merge in ("sum", "ave"):
        live = gw.of(built(layers.Bidirectional(layers.GRU(UNITS, return_sequences=True), merge_mode=merge)))
        gw.prune_units(live, [1, 3], direction="reverse")
        x = np.random.default_rng(0).standard_normal((2, 7, FEATURES))
        forward = gw.run(gw.Stack("gru", {(0, "forward"): live[0, "forward"]}, live.dialect), x)[0]
        found = live.run(x)[0]
        np.testing.assert_allclose(found[:, :, [1, 3]], forward[:, :, [1, 3]] / (2 if merge == "ave" else 1), atol=1e-6)
        assert live.prove().same
    with pytest.raises(UsageError, match="multiplies its two directions"):
        gw.prune_units(built(layers.Bidirectional(layers.GRU(UNITS), merge_mode="mul")), [1], direction="reverse")


# Round trips and files.


def test_get_weights_and_set_weights_and_the_names_see_the_same() -> None:
    layer = built(keras().layers.Bidirectional(keras().layers.GRU(UNITS)))
    live = gw.of(layer)
    live[0, "reverse"].bias["z"] = 0.5
    told = values(layer)
    assert sum(int((each == 0.5).sum()) for each in told) == UNITS
    layer.set_weights([each + 1.0 for each in told])
    np.testing.assert_array_equal(live[0, "reverse"].bias["z"], np.full(UNITS, 1.5, np.float32))
    assert live.prove().same
    layer.set_weights(told)
    np.testing.assert_array_equal(live[0, "reverse"].bias["z"], np.full(UNITS, 0.5, np.float32))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_what_was_written_is_saved_and_loaded(tmp_path: Path, suffix: str) -> None:
    def made() -> Any:
        layers = keras().layers
        return keras().Sequential([layers.Input((7, FEATURES)), layers.LSTM(UNITS, name="one"), layers.Dense(1)])

    model = filled(made())
    gw.of(model)[0, "forward"].recurrent_kernel["o"] = np.eye(UNITS)
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
        again = keras().models.load_model(path)
    else:
        model.save_weights(path)
        again = made()
        again.load_weights(path)
    assert same(values(again), values(model))
    np.testing.assert_array_equal(gw.of(again)[0, "forward"].recurrent_kernel["o"], np.eye(UNITS, dtype=np.float32))
    stored = gw.open(path).layers[0][0, "forward"]
    for (role, held), (_, theirs) in zip(gw.of(model)[0, "forward"].roles.items(), stored.roles.items(), strict=True):
        for gate in held:
            np.testing.assert_array_equal(held[gate], theirs[gate], err_msg=f"{role} {gate}")


# Training.


def _trained(model: Any) -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 8, 7, FEATURES)).astype(np.float32)
    model.compile(optimizer="adam", loss="mse")
    model.fit(x, y[:, 0, :1], epochs=1, batch_size=4, verbose=0)


def _model(**said: Any) -> Any:
    layers = keras().layers
    return filled(keras().Sequential([layers.Input((7, FEATURES)), layers.LSTM(UNITS, **said), layers.Dense(1)]))


@trains
def test_a_model_trains_on_after_writing() -> None:
    model = _model()
    live = gw.of(model)
    live[0, "forward"].bias["f"] = 1.0
    before = values(model)
    _trained(model)
    assert all((a != b).all() for a, b in zip(values(model), before, strict=True))
    assert live.prove().same
    live[0, "forward"].bias["f"] = 1.0
    _trained(model)
    assert live.prove().same


@trains
def test_what_is_frozen_stays_and_the_rest_trains() -> None:
    model = _model()
    if is_old():
        with pytest.raises(
            UsageError,
            match=r"cannot be frozen by itself: tf\.keras 2 freezes whole layers\. Set layer\.trainable = False",
        ):
            gw.freeze(model, role="recurrent_kernel")
        model.layers[0].trainable = False
    else:
        assert gw.freeze(model, role="recurrent_kernel") is model
    with pytest.raises(UsageError, match="trains it whole or not at all"):
        gw.freeze(_model(), role="recurrent_kernel", gate="f")
    frozen = [weight.frozen for weight in gw.of(model).holder.weights.values()]
    assert frozen == ([True, True, True] if is_old() else [False, True, False])
    before = values(model)
    order = [each.shape for each in before]
    _trained(model)
    kept = [np.array_equal(a, b) for a, b in zip(values(model), before, strict=True)]
    assert kept == [*frozen, False, False]
    assert [each.shape for each in values(model)] == order
    if not is_old():
        gw.unfreeze(model, role="recurrent_kernel")
        _trained(model)
        assert not np.array_equal(values(model)[1], before[1])


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
def test_a_penalty_within_a_compiled_step() -> None:
    import tensorflow as tf

    model = _model()

    @tf.function
    def step() -> Any:
        return gw.select(model, role="recurrent_kernel", gate="f").l2()

    kernel = gw.of(model)[0, "forward"].recurrent_kernel["f"]
    assert float(step()) == pytest.approx(float((kernel**2).sum()), rel=1e-5)
    gw.of(model)[0, "forward"].recurrent_kernel["f"] = 2 * kernel
    assert float(step()) == pytest.approx(4 * float((kernel**2).sum()), rel=1e-5)

    @tf.function
    def read() -> Any:
        return gw.of(model)[0, "forward"].recurrent_kernel["f"]

    with pytest.raises(Exception, match="TensorFlow is not executing eagerly"):  # TensorFlow makes it its own
        read()


@trains
def test_a_regularizer_on_a_selection_hits_exactly_its_elements_and_leaves_the_one_that_was_there() -> None:
    model = _model(recurrent_regularizer="l2")
    x = np.zeros((1, 7, FEATURES), np.float32)
    model(x)
    theirs = [float(_numpy(each)) for each in model.losses]
    before = gradients(model, lambda given: sum(given.losses))
    assert gw.select(model, role="recurrent_kernel", gate="f").regularize(l1=0.5, l2=0.25) is model
    gw.select(model, role="bias", gate="io").regularize(l2=2.0)
    live = gw.of(model)[0, "forward"]
    kernel, biases = live.recurrent_kernel["f"], np.stack([live.bias[gate] for gate in "io"])
    model(x)
    added = 0.5 * np.abs(kernel).sum() + 0.25 * (kernel**2).sum() + 2.0 * (biases**2).sum()
    assert sum(float(_numpy(each)) for each in model.losses) == pytest.approx(sum(theirs) + added, rel=1e-5)
    wanted = [np.array(each) for each in before]
    wanted[1][:, UNITS : 2 * UNITS] += (0.5 * np.sign(kernel) + 0.5 * kernel).T
    wanted[2][:UNITS] += 4.0 * biases[0]
    wanted[2][3 * UNITS :] += 4.0 * biases[1]
    for found, each in zip(gradients(model, lambda given: sum(given.losses)), wanted, strict=True):
        np.testing.assert_allclose(found, each, rtol=1e-5, atol=1e-8)
    _trained(model)


# Layers of the user's own.


def own() -> Any:
    import keras_custom

    return keras_custom


@pytest.mark.parametrize("whole", [True, False], ids=["every step", "the last step"])
def test_a_layer_with_names_and_an_order_of_its_own(whole: bool) -> None:
    layer = own().made(own().Plain(UNITS, whole=whole))
    live = gw.of(layer, layout=own().layout())
    assert live.prove().same
    assert live.parameters == sum(each.size for each in values(layer))
    gw.set_forget_bias(live, 1.0)
    assert (values(layer)[2][:UNITS] == 1.0).all()
    assert live.prove().same


def test_a_wrong_order_of_gates_is_refused() -> None:
    layer = own().made(own().Plain(UNITS))
    for gates in ("ifog", "ifgo", "figo"):
        with pytest.raises(ProofFailed, match=r"computes something else than mine\.LSTM .* \(called as layer\(x"):
            gw.of(layer, layout=own().layout(gates))
    assert gw.of(layer, layout=own().layout("ifog"), check=False).layout == "mine.LSTM"


def test_a_layer_that_takes_states_is_proved_with_them_and_left_as_it_was() -> None:
    layer = own().made(own().Stateful(UNITS))
    before = values(layer)
    live = gw.of(layer, layout=own().layout())
    assert live.prove().compared == ("y", "h_n", "c_n")
    assert same(values(layer), before)


def test_a_weight_is_found_by_its_variable_or_by_its_attribute() -> None:
    names = ("input_to_all", "old_to_all", "shift")
    layer = own().made(own().Plain(UNITS, names=names))
    by_name = gw.of(layer, layout=own().layout(w=names[0], u=names[1], b=names[2]))
    by_attribute = gw.of(layer, layout=own().layout())
    np.testing.assert_array_equal(by_name[0, "forward"].kernel["g"], by_attribute[0, "forward"].kernel["g"])
    unnamed = own().made(own().Plain(UNITS, names=(None, None, None)))
    assert list(gw.of(unnamed, layout=own().layout()).holder.weights) == ["W", "U", "b"]


def test_a_layout_that_does_not_fit_is_told_with_what_there_is() -> None:
    layer = own().made(own().Plain(UNITS))
    with pytest.raises(
        UsageError, match=re.escape("does not hold what mine.FusedLSTM describes (both, offset)")
    ) as told:
        gw.of(layer, layout=own().FUSED)
    assert "It holds W [3, 20], U [5, 20], b [20]" in str(told.value)
    with pytest.raises(UsageError, match="has no weights yet: it is not built"):
        gw.of(own().Plain(UNITS), layout=own().layout())


def test_a_described_cell_is_found_wherever_it_runs() -> None:
    layers = keras().layers
    cell = own().FusedCell(UNITS)
    cell.build((None, FEATURES))
    assert gw.of(filled(cell)).prove().compared == ("y", "h_n", "c_n")
    for backwards in (False, True):
        layer = own().made(layers.RNN(own().FusedCell(UNITS), go_backwards=backwards))
        live = gw.of(layer)
        assert live.subject is layer
        assert live.dialect.go_backwards is backwards
    both = gw.of(own().made(layers.Bidirectional(layers.RNN(own().FusedCell(UNITS)))))
    assert [live.name for live in both] == ["forward_layer", "backward_layer"]
    deep = gw.of(own().made(layers.RNN([own().FusedCell(UNITS), layers.LSTMCell(4)])))
    assert [live.layout for live in deep] == ["mine.FusedLSTM", "keras.LSTM"]


def test_a_layout_chooses_its_layer_in_a_model() -> None:
    layers = keras().layers
    mine = own().Plain(UNITS, name="mine")
    model = keras().Sequential([layers.Input((7, FEATURES)), mine, layers.LSTM(4), layers.Dense(1)])
    live = gw.of(model, layout=own().layout())
    assert (live.name, live.subject) == ("mine", mine)
    x = np.ones((2, 7, FEATURES), np.float32)
    before = _numpy(model(x))
    live[0, "forward"].kernel["o"] = 0.0
    assert not np.array_equal(_numpy(model(x)), before)


def test_a_call_of_the_users_own() -> None:
    layer = own().made(own().Stateful(UNITS))
    live = gw.of(layer, layout=own().layout(), run=lambda layer, x, state: layer(x, [each[0] for each in state]))
    assert "run(layer, x, state)" in live.prove().against


# The other backends, each in a process of its own.


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch" or "GATEWISE_KERAS_INNER" in os.environ, reason="this is that process")
@pytest.mark.parametrize("backend", ["jax", "numpy"])
def test_all_of_this_on_another_backend(backend: str) -> None:
    if backend == "jax":
        pytest.importorskip("jax")
    files = ["tests/live/test_keras_layers.py", "tests/live/test_live_laws.py", "tests/edit"]
    few = "test_keras_layers or (keras and (kinds or mixed_bfloat16))"  # jax steps slowly
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "-k", few, *files],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend, "GATEWISE_KERAS_INNER": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = [int(count) for count in re.findall(r"(\d+) passed", done.stdout)]
    assert sum(passed) > 60, done.stdout[-500:]
