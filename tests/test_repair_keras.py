"""Repairing Keras files: what comes out loads in Keras 3 and computes what was recorded, every layer kept."""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from together import rarely

sys.path.insert(0, str(Path(__file__).parent / "ailments"))
import keras_cases as cases

import gatewise as gw
from gatewise.containers import open_draft, open_tensors
from gatewise.containers._keras_tree import counted_from, in_keras_order, leaves_of
from gatewise.errors import NotRepresentable, ProofFailed, WriteRefused

REPAIRABLE = [path for path in cases.MODELS if path not in cases.CUSTOM]
SUFFIXES = (".keras", ".h5")
OLD = cases.KERAS / "keras-2.2.4_tf-1.10.1"


# What is well stays as it is.


@pytest.mark.parametrize("path", [p for p in cases.KERAS_3 if p not in cases.CUSTOM], ids=cases.said)
def test_a_healthy_file_comes_back_as_the_same_bytes(path, tmp_path):
    done = gw.repair(path, tmp_path / path.name)
    assert done.healthy
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", rarely([*REPAIRABLE[::7], *cases.BARE[::3]], 3), ids=cases.said)
def test_healing_twice_is_healing_once(path, tmp_path):
    once, twice = tmp_path / f"once{path.suffix}", tmp_path / f"twice{path.suffix}"
    gw.repair(path, once)
    again = gw.repair(once, twice)
    assert again.healthy
    assert once.read_bytes() == twice.read_bytes()


def test_a_dry_run_writes_nothing_and_says_the_same(tmp_path):
    path = OLD / "lstm.h5"
    planned = gw.repair(path, tmp_path / "out.h5", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert [each.what for each in planned.applied] == [
        each.what for each in gw.repair(path, tmp_path / "out.h5").applied
    ]


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "out.keras").write_text("mine")
    with pytest.raises(WriteRefused):
        gw.repair(OLD / "lstm.h5", tmp_path / "out.keras")
    assert (tmp_path / "out.keras").read_text() == "mine"


# What was ill is well.


@pytest.mark.framework("keras")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("path", REPAIRABLE, ids=cases.said)
def test_the_repaired_model_loads_and_computes_what_was_recorded(path, suffix, tmp_path):
    out = tmp_path / f"repaired{suffix}"
    gw.repair(path, out)
    happened, gap = cases.outcome_in_keras(out, path)
    assert happened == "loads"
    assert gap is not None
    assert gap < 1e-6
    assert [finding.code for finding in gw.diagnose(out, target="keras==3") if finding.severity != "note"] == []


@pytest.mark.framework("keras")
@pytest.mark.parametrize("path", [path for path in REPAIRABLE if path.parent.name != "keras-3"][::4], ids=cases.said)
def test_every_layer_keeps_its_name_and_class(path, tmp_path):
    import keras

    gw.repair(path, tmp_path / "out.keras")
    model = keras.saving.load_model(tmp_path / "out.keras", compile=False)
    old = cases.config_of(path)
    names = [
        node["config"]["name"]
        for node in (old["config"] if isinstance(old["config"], list) else old["config"]["layers"])
    ]
    assert [layer.name for layer in model.layers if layer.name in names] == names


@pytest.mark.parametrize("path", cases.CUSTOM, ids=cases.said)
def test_a_class_of_the_users_own_is_refused_with_the_reason(path, tmp_path):
    with pytest.raises(NotRepresentable, match="OfgiLSTM"):
        gw.repair(path, tmp_path / "out.keras")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", rarely(cases.BARE, 3), ids=cases.said)
def test_bare_weights_keep_all_layers_and_what_needs_no_cure(path, tmp_path):
    gw.repair(path, tmp_path / "out.h5")
    old, new = open_tensors(path), open_tensors(tmp_path / "out.h5")
    assert list(new.metadata["groups"]) == list(old.metadata["groups"])
    assert {finding.code for finding in gw.diagnose(tmp_path / "out.h5")} <= {"GW216", "GW219"}
    for name in set(old) & set(new):
        assert new[name].shape == old[name].shape or "cudnn" in path.name


@pytest.mark.framework("keras")
def test_bare_weights_of_a_cudnn_layer_load_into_the_plain_one(tmp_path):
    import keras

    path = OLD / "cudnn_bidir_lstm.weights-only.h5"
    gw.repair(path, tmp_path / "out.h5")
    layer = keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True))
    model = keras.Sequential([keras.Input((4, 3)), layer])
    model.load_weights(tmp_path / "out.h5")
    assert cases.difference(model, path) < 1e-6


def test_what_trained_the_model_is_left_out_and_that_is_said(tmp_path):
    path = tmp_path / "compiled.h5"
    path.write_bytes((OLD / "lstm.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = json.dumps({"loss": "mse"})
    done = gw.repair(path, tmp_path / "out.keras")
    assert any("compiled" in each.what for each in done.applied)
    assert "training_config" not in json.dumps(cases.config_of(tmp_path / "out.keras"))


def test_a_wrong_repair_is_not_kept(tmp_path, monkeypatch):
    """The proof can fail: scale by something else, and the file must not appear."""
    from gatewise.conventions import _numbers

    right = _numbers._scaled
    monkeypatch.setattr(_numbers, "_scaled", lambda weights, gates, factor: right(weights, gates, factor * 1.1))
    with pytest.raises(ProofFailed, match="does not compute what it did"):
        gw.repair(OLD / "lstm.h5", tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []


# Models that the fixtures do not have, made with Keras itself.


def model_of_many(keras, seed):
    """Two inputs, shared and parallel layers of one class, a nested Sequential with batch norm, as last a nested model."""
    inside = keras.Input((4, 6))
    body = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(6, name="inner_dense")(inside))
    nested = keras.Model(inside, keras.layers.LSTM(6, return_sequences=True, name="inner")(body), name="nested")
    shared = keras.layers.GRU(6, return_sequences=True, name="shared")
    one, two = keras.Input((4, 6), name="one"), keras.Input((4, 6), name="two")
    left = keras.layers.LSTM(6, return_sequences=True, name="left")(shared(one))
    right = keras.layers.LSTM(6, return_sequences=True, name="right")(keras.layers.Dropout(0.5)(shared(two)))
    low = keras.layers.Concatenate()([left, right, two])
    dense = keras.layers.Dense(6, activation="tanh", name="dense")(low)
    frozen = keras.layers.LSTM(6, return_sequences=True, name="frozen", trainable=False)(dense)
    model = keras.Model([one, two], [nested(frozen), keras.layers.Dense(2, name="head")(nested(dense))])
    random = np.random.default_rng(seed)
    model.set_weights([random.uniform(0.2, 0.8, weight.shape).astype("float32") for weight in model.get_weights()])
    return model


@pytest.mark.framework("keras")
@pytest.mark.parametrize("given", SUFFIXES)
@pytest.mark.parametrize("wanted", SUFFIXES)
def test_a_model_of_many_layers_goes_between_the_formats(given, wanted, tmp_path):
    import keras

    model, random = model_of_many(keras, 4), np.random.default_rng(5)
    model.save(tmp_path / f"in{given}")
    draft = open_draft(tmp_path / f"in{given}")
    from gatewise.ailments._keras_renew import make_modern

    make_modern(draft, gw.open(tmp_path / f"in{given}"))
    draft.write(tmp_path / f"out{wanted}", {".keras": "keras-zip", ".h5": "keras-h5"}[wanted], "model")
    again = keras.saving.load_model(tmp_path / f"out{wanted}", compile=False)
    x = [random.standard_normal((2, 4, 6)).astype("float32") for _ in range(2)]
    for one, two in zip(model(x), again(x), strict=True):
        assert np.abs(np.asarray(one.detach()) - np.asarray(two.detach())).max() < 1e-6


@pytest.mark.framework("keras")
def test_the_order_of_layers_is_that_of_keras(tmp_path):
    import keras

    model = model_of_many(keras, 4)
    model.save(tmp_path / "in.keras")
    config = cases.config_of(tmp_path / "in.keras")
    shuffled = copy.deepcopy(config)
    shuffled["config"]["layers"].reverse()
    for root in (config, shuffled):
        assert [node["config"]["name"] for node in in_keras_order(root)] == [layer.name for layer in model.layers]


@pytest.mark.framework("keras")
def test_leaves_lie_where_keras_keeps_its_variables(tmp_path):
    import keras

    model_of_many(keras, 4).save(tmp_path / "in.keras")
    with zipfile.ZipFile(tmp_path / "in.keras") as archive, archive.open("model.weights.h5") as member:
        stored: set[str] = set()
        h5py.File(member, "r").visititems(
            lambda name, found: stored.add(name.rpartition("/vars/")[0]) if isinstance(found, h5py.Dataset) else None
        )
    paths = {leaf.path for leaf in leaves_of(cases.config_of(tmp_path / "in.keras"))}
    assert stored <= paths


def test_references_to_a_nested_model_are_counted_by_who_wrote_them():
    nested = {"class_name": "Model", "config": {"layers": []}, "name": "inner"}
    old = {"class_name": "Model", "config": {"layers": [nested], "output_layers": []}}
    new = {"class_name": "Functional", "module": "keras.src.models.functional", "config": {"layers": [nested]}}
    assert [counted_from(old, nested), counted_from(old, nested, as_output=True)] == [1, 1]
    nested["class_name"] = "Functional"
    assert [counted_from(new, nested), counted_from(new, nested, as_output=True)] == [0, 1]
    nested["class_name"] = "Sequential"
    assert [counted_from(new, nested), counted_from(new, nested, as_output=True)] == [0, 0]
