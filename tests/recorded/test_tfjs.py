"""TensorFlow.js models: what the library itself computed, gatewise computes from the files.  The folder is walked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.errors import GatewiseError
from gatewise.proof import prove_recorded

FOLDER = Path(__file__).parent.parent / "fixtures" / "tfjs"
CASES = sorted(path.parent for path in FOLDER.glob("*/*/model.json"))
LSTM = FOLDER / "4.22.0" / "lstm"


def record_of(case: Path) -> dict[str, np.ndarray]:
    with np.load(case.with_name(f"{case.name}_io.npz")) as found:
        return dict(found)


def only_stack(case: Path) -> gw.Stack:
    (stack,) = gw.open(case).stacks()
    return stack


@pytest.mark.parametrize("case", CASES, ids=[f"{case.name} computes what TensorFlow.js did" for case in CASES])
def test_a_model(case):
    stack = only_stack(case)
    claimed = float(gw.layout(stack.layout).proven.rpartition(": ")[2])
    assert prove_recorded(stack, record_of(case), tolerance=claimed).same


@pytest.mark.parametrize(
    ("case", "cell", "sizes"),
    [
        ("h1", "lstm", [(5, 1, 1)]),
        ("stacked_lstm", "lstm", [(5, 4, 1), (4, 3, 1)]),
        ("bidir_gru", "gru", [(5, 4, 2)]),
        ("cells", "lstm", [(5, 3, 1), (3, 2, 1)]),
        ("nested", "lstm", [(5, 3, 1), (3, 2, 1)]),
        ("simple_rnn", "rnn", [(5, 4, 1)]),
    ],
)
def test_the_layers_of(case, cell, sizes):
    layers = gw.open(LSTM.with_name(case)).layers
    specs = [layer.spec for layer in layers]
    assert [(spec.input_size, spec.hidden_size, spec.directions) for spec in specs] == sizes
    assert {layer.layout for layer in layers} == {
        {"lstm": "tfjs.LSTM", "gru": "tfjs.GRU", "rnn": "tfjs.SimpleRNN"}[cell]
    }


@pytest.mark.parametrize("wrong", [{"recurrent_activation": "sigmoid"}, {"recurrent_activation": "hard_sigmoid(1/6)"}])
def test_the_gates_are_old_keras_hard_sigmoids_and_nothing_else(wrong):
    stack = only_stack(LSTM)
    assert stack.dialect.recurrent_activation == "hard_sigmoid(0.2)"
    assert prove_recorded(stack.replaced(dialect=replace(stack.dialect, **wrong)), record_of(LSTM)).max_abs_error > 1e-3


def test_the_gru_resets_before_the_product():
    case = LSTM.with_name("gru")
    stack = only_stack(case)
    assert stack.dialect.reset == "before"
    after = replace(stack.dialect, reset="after")
    assert prove_recorded(stack.replaced(dialect=after), record_of(case)).max_abs_error > 1e-3


def test_a_file_without_a_config_says_what_it_assumes(tmp_path):
    model = json.loads((LSTM / "model.json").read_text())
    del model["modelTopology"]
    (tmp_path / "model.json").write_text(json.dumps(model))
    shutil.copy(LSTM / "weights.bin", tmp_path)
    (layer,) = gw.open(tmp_path).layers
    assert any("hard_sigmoid(0.2)" in text and "TensorFlow.js" in text for text in layer.assumed)


def test_a_converted_model_is_read_as_the_keras_that_it_was(tmp_path):
    """tensorflowjs_converter keeps Keras's config one level down, with Keras's version and names."""
    model = json.loads((LSTM / "model.json").read_text())
    topology = model["modelTopology"]
    config = topology["config"]["layers"][0]["config"]
    config |= {"name": "lstm", "recurrent_activation": "sigmoid"}
    model["modelTopology"] = {
        "keras_version": "2.15.0", "backend": "tensorflow",
        "model_config": {key: topology[key] for key in ("class_name", "config")},
    }  # fmt: skip
    model |= {"generatedBy": "keras v2.15.0", "convertedBy": "TensorFlow.js Converter v4.22.0"}
    for weight in model["weightsManifest"][0]["weights"]:
        weight["name"] = "lstm/lstm_cell/" + weight["name"].partition("/")[2]
    (tmp_path / "model.json").write_text(json.dumps(model))
    shutil.copy(LSTM / "weights.bin", tmp_path)
    (layer,) = gw.open(tmp_path).layers
    assert (layer.name, layer.layout, layer.dialect.recurrent_activation) == ("lstm", "keras.LSTM", "sigmoid")
    assert gw.open(tmp_path).written_by[0].version == "2.15.0"


def test_quantised_weights_say_how_they_were_made():
    tensors = gw.open(LSTM.with_name("lstm_uint8")).tensors
    assert all(tensor.made_from.startswith("uint8 × ") for tensor in tensors.values())
    assert all(tensor.dtype == "float32" for tensor in tensors.values())


def test_a_shard_stands_for_its_model():
    assert gw.open(LSTM / "weights.bin").layers[0].layout == "tfjs.LSTM"


# What is wrong in a file is told.


def changed(tmp_path: Path, change) -> Path:
    model = json.loads((LSTM / "model.json").read_text())
    change(model, model["weightsManifest"][0])
    (tmp_path / "model.json").write_text(json.dumps(model))
    shutil.copy(LSTM / "weights.bin", tmp_path)
    return tmp_path / "model.json"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _, group: group["weights"][0].update(shape=[9, 16]), "reach to byte"),
        (lambda _, group: group["weights"].pop(), "its shards hold 640"),
        (lambda _, group: group["weights"][1].update(name="lstm_LSTM1/kernel"), "the same name"),
        (lambda _, group: group["weights"][0].update(dtype="int4"), "is not one that gatewise knows"),
        (lambda _, group: group["weights"][0].update(shape=["a"]), "no list of sizes"),
        (lambda _, group: group["weights"][0].update(shape=[1] * 40), "rank"),
        (lambda _, group: group.update(paths=["other.bin"]), "is not there"),
        (lambda _, group: group.update(paths=["../weights.bin"]), "not there"),
        (lambda _, group: group.update(paths="weights.bin"), "no list of shards"),
        (lambda model, _: model.update(weightsManifest={}), "no list of weights"),
        (lambda _, group: group["weights"][0].update(dtype="float32", quantization={"dtype": "uint8"}), "without a scale"),
    ],
    ids=lambda value: value if isinstance(value, str) else "a change",
)  # fmt: skip
def test_a_broken_manifest_is_refused(tmp_path, change, says):
    with pytest.raises(GatewiseError, match=says):
        gw.open(changed(tmp_path, change))


@in_thirds
def test_a_model_cut_anywhere_or_with_a_byte_flipped_is_refused_or_harmless(tmp_path, third):
    text = (LSTM / "model.json").read_bytes()
    shutil.copy(LSTM / "weights.bin", tmp_path)
    path = tmp_path / "model.json"
    for cut in range(0, len(text), 23)[third::3]:
        afresh(path, text[:cut])
        with pytest.raises(GatewiseError):
            gw.open(path)
    for at in range(0, len(text), 11)[third::3]:
        afresh(path, text[:at] + bytes([text[at] ^ 0x15]) + text[at + 1 :])
        try:
            gw.open(path).inspect()
        except GatewiseError:
            continue


def test_a_shard_that_is_cut_is_refused(tmp_path):
    shutil.copy(LSTM / "model.json", tmp_path)
    (tmp_path / "weights.bin").write_bytes((LSTM / "weights.bin").read_bytes()[:-1])
    with pytest.raises(GatewiseError, match="its shards hold 639"):
        gw.open(tmp_path)
