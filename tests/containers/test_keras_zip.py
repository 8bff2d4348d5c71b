"""``.keras``: recorded weights in the model's order, what the config declares, refusals; and files that Keras loads."""

from __future__ import annotations

import json
import os
import zipfile

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from together import folder, in_thirds, together

from gatewise.containers import _keras_names, open_tensors
from gatewise.errors import BrokenFile, GatewiseError, UnknownContainer
from gatewise.tensors import Strided

ZIPS = [path for path in helpers.files("keras") if path.read_bytes()[:2] == b"PK"]


def brief(case):
    return [(d.path, d.kind, d.name, d.after) for d in open_tensors(helpers.KERAS / case).declared]


@together("path", ZIPS, of=folder, said=helpers.said)
def test_weights_are_those_recorded_in_the_models_order(path):
    tensors = open_tensors(path)
    assert (tensors.container, tensors.naming) == ("keras-zip", "keras-vars")
    assert helpers.same_arrays([tensor.array() for tensor in tensors.values()], helpers.recorded(path))
    assert all(isinstance(tensor.data, Strided) for tensor in tensors.values())


@together("path", ZIPS, of=folder, said=helpers.said)
def test_every_tensor_belongs_to_a_declared_layer(path):
    tensors = open_tensors(path)
    prefixes = [f"{d.path}/" for d in tensors.declared]
    assert all(name.startswith(tuple(prefixes)) for name in tensors)
    assert all(any(name.startswith(prefix) for name in tensors) for prefix in prefixes)
    assert tensors.notes == ()


BIDIRECTIONAL = "layers/functional/layers/bidirectional"
CELL = "layers/rnn/cell/cells/lstm_cell"
DECLARED = {
    "keras-3/stacked_lstm.keras": [
        ("layers/lstm", "keras.LSTM", "lstm", ()),
        ("layers/lstm_1", "keras.LSTM", "lstm_1", ("layers/lstm",)),
        ("layers/dense", "keras.Dense", "dense", ("layers/lstm_1",)),
    ],
    "keras-3/nested_encoder.keras": [
        (BIDIRECTIONAL, "keras.LSTM", "encoder/bidirectional", ()),
        ("layers/lstm", "keras.LSTM", "top", (BIDIRECTIONAL,)),
    ],
    "tfkeras-2.15.1/nested_encoder.keras": [
        (BIDIRECTIONAL, "keras.LSTM", "encoder/bidirectional", ()),
        ("layers/lstm", "keras.LSTM", "top", (BIDIRECTIONAL,)),
    ],
    "keras-3/rnn_gru_cell.keras": [("layers/rnn", "keras.GRUCell", "rnn", ())],
    "keras-3/rnn_stacked_cells.keras": [
        (CELL, "keras.LSTMCell", "rnn/cells/0", ()),
        (f"{CELL}_1", "keras.LSTMCell", "rnn/cells/1", (CELL,)),
    ],
    "keras-3/time_distributed_lstm.keras": [("layers/time_distributed/layer", "keras.LSTM", "time_distributed", ())],
    "tfkeras-2.15.1/time_distributed.keras": [
        ("layers/lstm", "keras.LSTM", "lstm", ()),
        ("layers/time_distributed/layer", "keras.Dense", "time_distributed", ("layers/lstm",)),
    ],
    "keras-3/conv_lstm2d.keras": [("layers/conv_lstm2d", "keras.ConvLSTM2D", "conv_lstm2d", ())],
    "keras-3/custom_ofgi_lstm.keras": [("layers/ofgi_lstm", "keras.OfgiLSTM", "ofgi", ())],
    "keras-3/lstm_states.keras": [("layers/lstm", "keras.LSTM", "dec_lstm", ())],
}


@pytest.mark.parametrize(("case", "expected"), DECLARED.items(), ids=DECLARED)
def test_layers_are_declared_where_their_weights_are(case, expected):
    assert brief(case) == expected


def test_both_directions_of_a_bidirectional_tell_their_settings():
    [found] = open_tensors(helpers.KERAS / "keras-3/bidir_gru_sum.keras").declared
    assert (found.settings["wrapper"], found.settings["merge_mode"], found.version) == (
        "Bidirectional",
        "sum",
        "3.15.1",
    )
    assert (found.settings["go_backwards"], found.settings["backward_layer"]["go_backwards"]) == (False, True)


@pytest.mark.parametrize(
    ("case", "expected"),
    [("keras-3/lstm.keras", ("keras", "3.15.1")), ("tfkeras-2.15.1/lstm.keras", ("tf.keras", "2.15.0"))],
    ids=["keras", "tf.keras"],
)
def test_who_wrote_it_stands_in_the_metadata(case, expected):
    [found] = open_tensors(helpers.KERAS / case).written_by
    assert (found.framework, found.version) == expected


def remade(path, out, compression=zipfile.ZIP_STORED, **changes):
    """The archive with members changed (None: left out)."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", compression) as new:
        members = {name: old.read(name) for name in old.namelist()} | {
            k.replace("_", "."): v for k, v in changes.items()
        }
        for name, data in members.items():
            if data is not None:
                new.writestr(name, data)
    return out


LSTM = helpers.KERAS / "keras-3" / "lstm.keras"


def test_a_deflated_archive_is_read_too(tmp_path):
    path = remade(LSTM, tmp_path / "x.keras", zipfile.ZIP_DEFLATED)
    assert helpers.same_arrays([t.array() for t in open_tensors(path).values()], helpers.recorded(LSTM))


def test_an_archive_without_metadata_is_read_and_its_writer_is_not_known(tmp_path):
    tensors = open_tensors(remade(LSTM, tmp_path / "x.keras", metadata_json=None))
    assert tensors.written_by[0].version == ""
    assert len(tensors) == 3


def test_an_archive_without_config_is_not_claimed(tmp_path):
    with pytest.raises(UnknownContainer):
        open_tensors(remade(LSTM, tmp_path / "x.keras", config_json=None))


def test_weights_in_another_member_are_refused_by_name(tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json", "model.weights.npz"):
            archive.writestr(name, "{}")
    with pytest.raises(BrokenFile, match=r"model\.weights\.npz"):
        open_tensors(path)


@pytest.mark.parametrize("config", [b"", b"[]", b"\xff", b'{"a":' * 50_000], ids=["empty", "a list", "no text", "deep"])
def test_a_broken_config_is_refused(tmp_path, config):
    with pytest.raises(BrokenFile, match="config"):
        open_tensors(remade(LSTM, tmp_path / "x.keras", config_json=config))


def test_a_config_of_a_subclassed_model_leaves_the_names_that_the_weights_have(tmp_path):
    tensors = open_tensors(remade(LSTM, tmp_path / "x.keras", config_json=b'{"class_name": "Mine", "config": {}}'))
    assert any("subclass" in note for note in tensors.notes)
    assert ("layers/lstm", "", "lstm") in [(d.path, d.kind, d.name) for d in tensors.declared]


def test_a_name_that_the_weights_record_otherwise_is_not_believed(tmp_path):
    with zipfile.ZipFile(LSTM) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][1]["config"]["name"] = config["config"]["layers"][1]["name"] = "someone_else"
    tensors = open_tensors(remade(LSTM, tmp_path / "x.keras", config_json=json.dumps(config).encode()))
    assert [d.path for d in tensors.declared if d.kind == "keras.LSTM"] == []
    assert ("layers/lstm", "lstm") in [(d.path, d.name) for d in tensors.declared]


def test_class_names_become_group_names_as_in_the_recorded_files():
    spelled = {"LSTM": "lstm", "ConvLSTM2D": "conv_lstm2d", "OfgiLSTM": "ofgi_lstm", "SimpleRNN": "simple_rnn"}
    assert {name: _keras_names.snake_case(name) for name in spelled} == spelled
    assert _keras_names.old_snake_case("ConvLSTM2D") == "conv_lst_m2d"


@in_thirds
@pytest.mark.parametrize("case", ["keras-3/nested_encoder.keras", "tfkeras-2.15.1/lstm.keras"])
def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path, case, third):
    all_read_or_refused(tmp_path / "x.keras", (helpers.KERAS / case).read_bytes(), third, seed=13, count=150)


# Writing, proved by Keras itself.


@pytest.fixture(scope="module")
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


L = helpers.layer
MODELS = {
    "an LSTM": [L("a", "LSTM", 5, 3)],
    "an LSTM without bias": [L("a", "LSTM", 5, 3, use_bias=False)],
    "an LSTM with hard_sigmoid and relu": [L("a", "LSTM", 5, 3, recurrent_activation="hard_sigmoid", activation="relu")],
    "an LSTM that goes backwards": [L("a", "LSTM", 5, 3, go_backwards=True)],
    "a GRU with reset after": [L("a", "GRU", 5, 3, reset_after=True)],
    "a GRU with reset before": [L("a", "GRU", 5, 3, reset_after=False)],
    "a SimpleRNN": [L("a", "SimpleRNN", 5, 3, activation="relu")],
    "a bidirectional LSTM": [L("a", "LSTM", 5, 3, bidirectional=True)],
    "a bidirectional GRU with reset before, summed": [
        L("a", "GRU", 5, 3, bidirectional=True, reset_after=False, merge_mode="sum")
    ],
    "a bidirectional SimpleRNN without bias": [L("a", "SimpleRNN", 5, 3, bidirectional=True, use_bias=False)],
    "a bidirectional LSTM whose forward layer goes backwards": [
        L("a", "LSTM", 5, 3, bidirectional=True, go_backwards=True, merge_mode="ave")
    ],
    "a stack of all": [
        L("enc/a", "LSTM", 5, 3),
        L("b", "LSTM", 4, 5, after=("enc/a",), seed=1),
        L("c", "GRU", 4, 4, after=("b",), bidirectional=True, seed=2),
        L("d", "SimpleRNN", 4, 8, after=("c",), bidirectional=True, seed=3),
        L("e", "GRU", 2, 8, after=("d",), reset_after=False, seed=4),
    ],
    "two models side by side": [
        L("a1", "LSTM", 5, 3), L("a2", "LSTM", 4, 5, after=("a1",), seed=1), L("b1", "LSTM", 6, 2, seed=2),
        L("c1", "LSTM", 7, 2, seed=3), L("c2", "GRU", 4, 7, after=("c1",), seed=4),
        L("c3", "LSTM", 4, 4, after=("c2",), seed=5), L("a3", "LSTM", 3, 5, after=("a1",), seed=6),
    ],
    "an LSTM in float64": [L("a", "LSTM", 5, 3, dtype="float64")],
    "a float16 GRU over a float32 LSTM": [
        L("a", "LSTM", 5, 3), L("b", "GRU", 4, 5, dtype="float16", bidirectional=True, after=("a",))
    ],
}  # fmt: skip


def weights_of(layer):
    return [np.asarray(weight.numpy() if hasattr(weight, "numpy") else weight) for weight in layer.weights]


def built(keras, declared):
    """The layer that a user would write by hand for what is declared."""
    s = dict(declared.settings)
    wrapper, merge, _ = s.pop("wrapper", None), s.pop("merge_mode", None), s.pop("input_size")
    kind = getattr(keras.layers, declared.kind.removeprefix("keras."))
    forward = kind(**s, return_sequences=True)
    if not wrapper:
        return forward
    backward = kind(**{**s, "go_backwards": not s.get("go_backwards", False)}, return_sequences=True)
    return keras.layers.Bidirectional(forward, merge_mode=merge, backward_layer=backward)


@pytest.mark.framework
@pytest.mark.parametrize("layers", MODELS.values(), ids=MODELS)
def test_keras_loads_a_written_model_with_equal_weights(tmp_path, keras, layers):
    tensors = helpers.model(*layers)
    helpers.write(tmp_path / "x.keras", "keras-zip", tensors)
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    found = {layer.name: layer for layer in loaded.layers if layer.weights}
    # The declared have no names here, so Keras's are those of the groups; order tells which is which.
    read = open_tensors(tmp_path / "x.keras")
    assert [d.name for d in read.declared] == list(found)
    ours = {np.asarray(stored[0].array()).tobytes(): stored for _, stored in layers}
    for layer in found.values():
        stored = ours.pop(weights_of(layer)[0].tobytes())
        assert helpers.same_arrays([tensor.array() for tensor in stored], weights_of(layer))
    assert not ours


@pytest.mark.framework
@pytest.mark.parametrize("name", [name for name in MODELS if "side" not in name and "float" not in name])
def test_a_written_model_computes_what_the_model_built_by_hand_computes(tmp_path, keras, name):
    """load_model of the .keras, and load_weights of the .weights.h5 into a model of the user's own: same outputs."""
    layers = MODELS[name]
    tensors = helpers.model(*layers)
    helpers.write(tmp_path / "x.keras", "keras-zip", tensors)
    helpers.write(tmp_path / "x.weights.h5", "keras-weights-h5", tensors)
    size = layers[0][0].settings["input_size"]
    byhand = keras.Sequential([keras.Input((None, size)), *(built(keras, declared) for declared, _ in layers)])
    byhand.load_weights(tmp_path / "x.weights.h5")
    assert helpers.same_arrays([t.array() for t in tensors.values()], byhand.get_weights())
    x = np.random.default_rng(0).normal(size=(3, 7, size)).astype("float32")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), byhand.predict(x, verbose=0))


def a_knotty_model(keras):
    """Functions between layers, a shared nested model, wrapped models and wrapped wrappers, cells of mixed classes."""
    layers, ops = keras.layers, keras.ops
    x = keras.Input((6, 3), name="x")
    first = layers.LSTM(4, return_sequences=True, name="first")(x)
    second = layers.GRU(4, return_sequences=True, name="second")(x)
    summed = layers.Add(name="sum")([ops.tanh(ops.add(first, second)), first])
    inner = keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.LSTM(4, return_sequences=True, name="in1"),
            layers.Dropout(0.1),
            layers.Bidirectional(layers.GRU(2, return_sequences=True), name="in2"),
        ],
        name="nested",
    )
    deep_input = keras.Input((4,))
    deep = keras.Model(deep_input, layers.Dense(5, name="deep")(deep_input), name="model")
    timed = layers.TimeDistributed(deep, name="timed")(inner(inner(summed)))
    cells = layers.StackedRNNCells([layers.GRUCell(3), layers.LSTMCell(4), layers.GRUCell(2)])
    stacked = layers.RNN(cells, return_sequences=True, name="cells")(timed)
    last = layers.LSTM(3, name="last")(stacked)
    both = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2)), name="both")(ops.expand_dims(timed, 2))
    return keras.Model(x, [last, both])


@pytest.mark.framework
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_knotty_model_of_real_keras_is_read_in_order_and_every_layer_is_found(tmp_path, keras, suffix):
    model = a_knotty_model(keras)
    model.save(tmp_path / f"x{suffix}")
    tensors = open_tensors(tmp_path / f"x{suffix}")
    assert helpers.same_arrays([tensor.array() for tensor in tensors.values()], model.get_weights())
    assert all(name.startswith(tuple(f"{d.path}/" for d in tensors.declared)) for name in tensors)
    by_place = {d.path: d.name for d in tensors.declared}
    links = {by_place[d.path]: [by_place.get(path, "?") for path in d.after] for d in tensors.declared}
    assert links == {
        "first": [], "second": [], "nested/in1": ["?", "nested/in2"], "nested/in2": ["nested/in1"],
        "timed/deep": ["nested/in2"], "cells/cells/0": ["timed/deep"], "cells/cells/1": ["cells/cells/0"],
        "cells/cells/2": ["cells/cells/1"], "last": ["cells/cells/2"], "both": ["?"],
    }  # fmt: skip
    wrapped = {
        d.name: (d.settings["wrapper"], d.settings.get("outer_wrapper"))
        for d in tensors.declared
        if "wrapper" in d.settings
    }
    assert wrapped == {
        "nested/in2": ("Bidirectional", None), "timed/deep": ("TimeDistributed", None),
        "both": ("Bidirectional", "TimeDistributed"),
    }  # fmt: skip


@pytest.mark.parametrize("layers", MODELS.values(), ids=MODELS)
def test_a_written_model_reads_back_and_is_the_same_twice(tmp_path, layers):
    tensors = helpers.model(*layers)
    first = helpers.write(tmp_path / "x.keras", "keras-zip", tensors)
    assert first == helpers.write(tmp_path / "y.keras", "keras-zip", tensors)
    back = open_tensors(tmp_path / "x.keras")
    assert len(back) == len(tensors)
    assert sorted(t.array().tobytes() for t in back.values()) == sorted(t.array().tobytes() for t in tensors.values())
    kinds = {d.kind: 0 for d in tensors.declared}
    assert {d.kind: 0 for d in back.declared} == kinds
    assert all(d.settings["units"] for d in back.declared)


def test_a_stack_keeps_its_order_and_its_links(tmp_path):
    helpers.write(tmp_path / "x.keras", "keras-zip", helpers.model(*MODELS["a stack of all"]))
    back = open_tensors(tmp_path / "x.keras").declared
    assert [d.path for d in back] == [
        "layers/lstm", "layers/lstm_1", "layers/bidirectional", "layers/bidirectional_1", "layers/gru",
    ]  # fmt: skip
    assert [d.after for d in back] == [(), *((d.path,) for d in back[:-1])]


def test_the_users_names_are_kept_as_far_as_keras_allows(tmp_path):
    from dataclasses import replace

    declared, tensors = L("a", "LSTM", 5, 3)
    path = tmp_path / "x.keras"
    helpers.write(path, "keras-zip", helpers.model((replace(declared, name="encoder/lstm"), tensors)))
    assert [d.name for d in open_tensors(path).declared] == ["encoder_lstm"]


def test_a_refusal_leaves_no_traceback_for_a_layer_that_does_not_say_its_input(tmp_path):
    declared, tensors = L("a", "LSTM", 5, None)
    with pytest.raises(GatewiseError, match="takes in is not told"):
        helpers.write(tmp_path / "x.keras", "keras-zip", helpers.model((declared, [tensors[1]])))
