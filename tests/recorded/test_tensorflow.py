"""TensorFlow's and tf.keras's files: checkpoints of objects, SavedModels, frozen graphs.  Each is run by the reference
and held against what its own framework computed.  The folder is walked: a file added there is tested here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from together import folder, together

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
# TensorFlow 2.0 and 2.1 name variables as 1.x does and have the other default, so that the layer says that it is not sure.
UNSURE = {"tfkeras-2.1.4": {"recurrent_activation": "sigmoid"}}


def case_of(path: Path) -> str:
    return path.name.partition(".")[0].removesuffix("_savedmodel")


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_name(f"{case_of(path)}.npz")) as found:
        return dict(found)


def claimed(layers: list[gw.Layer]) -> float:
    return max(float(gw.layout(layer.layout).proven.rpartition(": ")[2]) for layer in layers)


def told(layer: gw.Layer, path: Path) -> gw.Stack:
    said = {} if "savedmodel" in path.name else TOLD.get(case_of(path), {})
    if path.parent.name in UNSURE and layer.cell != "rnn":
        assert not layer.sure
        said = UNSURE[path.parent.name]
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


@together(
    "path",
    KERAS,
    of=lambda path: f"the reference computes what {folder(path)} recorded",
    said=lambda path: f"{folder(path)}/{path.name}",
)
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


# What a graph beside a checkpoint tells.

GRAPHS = sorted(
    path for path in FIXTURES.glob("tf-*/*.ckpt.meta") if path.with_name(f"{path.name.partition('.')[0]}.npz").exists()
)
FACTS = {
    "fb": {"forget_bias": 0.3},
    "fb0": {"forget_bias": 0.0},
    "basic_lstm": {"forget_bias": 1.0},
    "clip": {"cell_clip": 0.25, "forget_bias": 1.0},
    "clipproj": {"cell_clip": 0.25, "proj_clip": 0.125, "forget_bias": 2.0},
    "proj": {"cell_clip": None, "proj_clip": 0.125},
    "relu": {"activation": "relu", "output_activation": "relu"},
    "swish": {"activation": "silu"},
    "gruelu": {"activation": "elu"},
    "rnnrelu": {"activation": "relu"},
    "blockclip": {"cell_clip": 0.5},
    "bidir": {"forget_bias": 0.5},
}


@pytest.mark.parametrize(
    "path", GRAPHS, ids=[f"{p.parent.name}/{p.name} computes what its session computed" for p in GRAPHS]
)
def test_a_checkpoint_with_its_graph(path):
    prefix = path.with_suffix("")
    checkpoint = gw.open(prefix)
    with np.load(path.with_name(f"{prefix.stem}.npz")) as record:
        x = y = np.asarray(record["x"], np.float64)
        wanted = [record[name] for name in sorted(record.files) if name.startswith(("y", "out/y"))]
        state = tuple(record[name][None] for name in ("h0", "c0") if name in record) or None
    for stack in checkpoint.stacks():
        y, _ = gw.run(stack, y, state)
    assert x.ndim == 3
    assert np.abs(y - np.concatenate(wanted, axis=-1)).max() <= 2e-7


@pytest.mark.parametrize("path", GRAPHS, ids=[f"{p.parent.name}/{p.name} says what its cell computes" for p in GRAPHS])
def test_nothing_is_assumed_where_a_graph_tells(path):
    case = path.name.partition(".")[0]
    checkpoint = gw.open(path)  # the graph stands for its checkpoint
    version = path.parent.name.removeprefix("tf-")
    assert [writer.version for writer in checkpoint.written_by] == [version]
    for layer in checkpoint.layers:
        assert all("ResidualWrapper" in text for text in layer.assumed)  # which no graph is asked about
        assert layer.sure
        for name, value in FACTS.get(case, {}).items():
            assert getattr(layer.dialect, name) == value, name


def test_cells_of_a_stack_have_their_own_forget_biases():
    layers = gw.open(FIXTURES / "tf-0.12.1" / "multi.ckpt").layers
    assert [layer.dialect.forget_bias for layer in layers] == [0.5, 0.25, 1.0]
    assert [layer.match.declared.after for layer in layers[1:]] == [
        (f"RNN/MultiRNNCell/Cell{level}/LSTMCell",) for level in (0, 1)
    ]


@pytest.mark.parametrize("version", ["tf-0.12.1", "tf-1.2.1"])
def test_block_cells_clipped_at_3_before_1_4_and_the_graph_says_so(version):
    layer = gw.open(FIXTURES / version / "block.ckpt").only()
    assert (layer.dialect.cell_clip, layer.dialect.forget_bias) == (3.0, 0.5)


def test_without_its_graph_the_forget_bias_is_said_to_be_assumed(tmp_path):
    for name in ("fb0.ckpt.index", "fb0.ckpt.data-00000-of-00001"):
        (tmp_path / name).write_bytes((FIXTURES / "tf-0.12.1" / name).read_bytes())
    layer = gw.open(tmp_path / "fb0.ckpt").only()
    assert any("forget_bias = 1.0" in sentence for sentence in layer.assumed)
    with np.load(FIXTURES / "tf-0.12.1" / "fb0.npz") as record:
        y, _ = gw.run(layer, record["x"])
        assert np.abs(y - record["y0"]).max() > 1e-2
        y, _ = gw.run(gw.open(tmp_path / "fb0.ckpt", forget_bias=0.0).only(), record["x"])
        assert np.abs(y - record["y0"]).max() < 2e-7


# Keras's layers in files without a config: their graphs tell which activations they have.

EXPORTS = sorted(path for path in FIXTURES.glob("tf-*/k*") if path.suffix in (".pb", ".gz", ".meta"))


@pytest.mark.parametrize(
    "path", EXPORTS, ids=[f"{p.parent.name}/{p.name} computes what Keras computed" for p in EXPORTS]
)
def test_a_graph_of_keras(path):
    layer = gw.open(path).only()
    case = path.name.partition(".")[0].partition("_")[0]
    assert (layer.spec.directions, layer.layout) == {
        "kgru": (1, "keras.GRU"), "kbi": (2, "keras.LSTM"), "krnn": (1, "keras.SimpleRNN"), "ksig": (1, "keras.LSTM"),
    }[case]  # fmt: skip
    assert layer.dialect.activation == {"krnn": "relu", "ksig": "softsign"}.get(case, "tanh")
    with np.load(path.with_name(f"{case}.npz")) as record:
        y, _ = gw.run(layer, record["x"])
        assert np.abs(y - record["y"]).max() <= claimed([layer])


def test_the_old_hard_sigmoid_is_seen_in_the_graph():
    layer = gw.open(FIXTURES / "tf-1.15.0" / "kgru_frozen.pb").only()
    assert layer.dialect.recurrent_activation == "hard_sigmoid(0.2)"
    assert not layer.assumed
    with np.load(FIXTURES / "tf-1.15.0" / "kgru.npz") as record:
        y, _ = gw.run(layer.replaced(dialect=replace(layer.dialect, recurrent_activation="sigmoid")), record["x"])
        assert np.abs(y - record["y"]).max() > 1e-2


# V1.


@pytest.mark.parametrize("version", ["tf-0.12.1", "tf-1.15.0"])
def test_a_checkpoint_of_the_old_format(version):
    path = FIXTURES / version / "lstm_v1.ckpt"
    checkpoint = gw.open(path)
    with np.load(path.with_suffix(".npz")) as record:
        y, _ = gw.run(checkpoint.only(), record["x"])
        assert np.abs(y - record["out/y"]).max() < 2e-7
        for name in ("global_step", "wide", "double", "flags"):
            assert np.array_equal(checkpoint.tensors[name].array(), record[f"w/{name}"])
            assert checkpoint.tensors[name].array().dtype == record[f"w/{name}"].dtype


# What Keras says in a SavedModel.


def test_a_saved_model_says_what_a_checkpoint_of_objects_must_assume():
    folder = FIXTURES / "tfkeras-2.15.1"
    told, untold = gw.open(folder / "lstm_savedmodel.tar.gz").only(), gw.open(folder / "lstm.tf").only()
    assert told.name == untold.name == "lstm"
    assert not told.assumed
    assert any("recurrent_activation" in sentence for sentence in untold.assumed)


def test_a_class_of_the_users_own_is_named_and_not_read():
    for version in ("tfkeras-2.3.4", "tfkeras-2.15.1"):
        checkpoint = gw.open(FIXTURES / version / "custom_ofgi_lstm_savedmodel.tar.gz")
        assert [(look.name, look.kind) for look in checkpoint.recognised.outside] == [("ofgi", "keras.OfgiLSTM")]


def test_layers_that_keras_cannot_rebuild_have_their_names():
    layers = gw.open(FIXTURES / "tfkeras-2.2.3" / "sub.tf").layers
    assert [(layer.name, layer.spec.directions, layer.spec.hidden_size) for layer in layers] == [
        ("sub/bidirectional_2", 2, 3), ("sub/lstm_2", 1, 6),
    ]  # fmt: skip


def test_stacked_cells_follow_one_another():
    layers = gw.open(FIXTURES / "tfkeras-2.3.4" / "rnn_stacked_cells.tf").layers
    assert [layer.name for layer in layers] == ["rnn/cells/0", "rnn/cells/1"]
    assert layers[1].match.declared.after == (layers[0].match.declared.path,)


def test_an_optimizers_slots_are_no_layers():
    checkpoint = gw.open(FIXTURES / "tfkeras-2.1.4" / "trained-1")
    slots = [name for name in checkpoint.tensors if ".OPTIMIZER_SLOT" in name]
    assert len(slots) == 6
    assert not set(slots).intersection(checkpoint.only().match.tensors)
