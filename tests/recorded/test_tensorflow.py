"""TensorFlow's and tf.keras's files: checkpoints of objects, SavedModels, frozen graphs.  Each is run by the reference
and held against what its own framework computed.  The folder is walked: a file added there is tested here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gatewise as gw

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tf"
KERAS = sorted(
    path
    for path in FIXTURES.glob("tfkeras-*/*")
    if path.name.endswith((".tf.index", ".objckpt.index", "_savedmodel", "_savedmodel.tar.gz"))
)
# Checkpoints hold no settings.  What these models were made with, beside the defaults of their version.
TOLD = {
    "bidir_gru_sum": {"merge": "sum"},
    "gru_reset_after": {"recurrent_activation": "sigmoid"},
    "gru_reset_before": {"recurrent_activation": "sigmoid"},
}


def case_of(path: Path) -> str:
    return path.name.partition(".")[0].removesuffix("_savedmodel")


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_name(f"{case_of(path)}.npz")) as found:
        return dict(found)


def claimed(layers: list[gw.Layer]) -> float:
    return max(float(gw.layout(layer.layout).proven.rpartition(": ")[2]) for layer in layers)


def told(layer: gw.Layer, path: Path) -> gw.Stack:
    said = {} if "savedmodel" in path.name else TOLD.get(case_of(path), {})
    return layer.replaced(dialect=replace(layer.dialect, **said))


def computed(checkpoint: gw.Checkpoint, path: Path, record: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The model of make.py on its recorded inputs: the layers in their order, and a Dense layer behind where it has one."""
    x = np.asarray(record["in/0"], np.float64)
    shape = x.shape
    if x.ndim == 4:  # TimeDistributed over a further axis
        x = x.reshape(-1, *shape[2:])
    state = tuple(record[f"in/{n}"][None] for n in (1, 2)) if "in/1" in record else None
    final: tuple[np.ndarray, ...] = ()
    for layer in checkpoint.layers:
        x, final = gw.run(told(layer, path), x, state)
    dense = [record[name] for name in sorted(record) if name.startswith("w/") and is_dense(name)]
    if len(dense) == 2:
        x = x @ dense[0] + dense[1]
    if len(shape) == 4:
        x = x.reshape(*shape[:2], *x.shape[1:])
    return [x, *(value[0] for value in final)] if "out/1" in record else [x]


def is_dense(name: str) -> bool:
    return "dense" in name or ("time_distributed" in name and "lstm" not in name)


@pytest.mark.parametrize("path", KERAS, ids=[f"{p.parent.name}/{p.name} computes what Keras recorded" for p in KERAS])
def test_a_keras_model_of_tensorflow(path):
    checkpoint, record = gw.open(path), record_of(path)
    assert checkpoint.written_by[0].framework in ("tf.keras", "tensorflow")
    if case_of(path).startswith(("conv_lstm", "custom")):
        assert not checkpoint.layers
        return
    assert checkpoint.layers
    for number, value in enumerate(computed(checkpoint, path, record)):
        assert np.abs(value - record[f"out/{number}"]).max() <= claimed(checkpoint.layers)


def test_files_were_found():
    assert len(KERAS) > 50


FROZEN = ["basic_lstm_savedmodel", "basic_lstm_frozen.pb", "basic_lstm_savedmodel/saved_model.pb"]


@pytest.mark.parametrize("name", FROZEN, ids=[f"{name} computes what TensorFlow 1.15 recorded" for name in FROZEN])
def test_a_graph_with_its_weights(name):
    path = FIXTURES / "tf-1.15.0" / name
    layer = gw.open(path).only()
    with np.load(FIXTURES / "tf-1.15.0" / "basic_lstm_savedmodel.npz") as record:
        y, _ = gw.run(layer, record["x"])
        assert np.abs(y - record["out/y"]).max() < 1e-7
    assert layer.dialect.forget_bias == 1.0
    assert not any("forget_bias" in sentence for sentence in layer.assumed)
