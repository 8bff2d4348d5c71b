"""Every real file of the fixtures, run by the reference cells and held against what its own framework computed.

The files are found by walking tests/fixtures; a file added there is tested here.  What has no plain recurrent layer
(convolutional, quantised, a custom class) must be named as such and must not be read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from together import folder, together

import gatewise as gw

FIXTURES = Path(__file__).parent / "fixtures"
TOLERANCE = 1e-5
COARSE = {"float16": 1e-2, "bfloat16": 5e-2}  # the record is of the float32 module; these files hold it rounded

TORCH = [
    path
    for path in sorted((FIXTURES / "torch").glob("*/*"))
    if path.suffix in (".pt", ".ckpt", ".tar", ".ts") and path.with_name(f"{path.name.partition('.')[0]}.npz").exists()
]
KERAS = [
    path
    for path in sorted((FIXTURES / "keras").glob("*/*"))
    if path.suffix in (".h5", ".keras") and path.with_name(f"{path.name.partition('.')[0]}.npz").exists()
]


def claimed(layer: gw.Layer) -> float:
    """The figure that the layout's table, and with it the README, claims: ``Keras 1.2.2: 1e-07``."""
    figure = float(gw.layout(layer.layout).proven.rpartition(": ")[2])
    assert figure <= TOLERANCE
    return COARSE.get(layer.spec.dtype, figure)


def named(path: Path) -> str:
    return "/".join(path.parts[-3:])


def record_of(path: Path) -> dict[str, np.ndarray]:
    """The record that lies beside a file.  Quantised models and checkpoints saved after a training step have their
    own; that of the step was kept once, since every version from 1.3 on makes the same one."""
    if path.name in ("tagger.ckpt", "tagger.checkpoint.pth.tar"):
        path = FIXTURES / "torch" / "1.13.1" / "tagger_ckpt.npz"
    special = path.with_name(".".join(path.name.split(".")[:2]) + ".npz")
    with np.load(special if special.exists() else path.with_name(f"{path.name.partition('.')[0]}.npz")) as found:
        return dict(found)


def told(layer: gw.Layer, path: Path) -> gw.Stack:
    """A state dict does not hold torch.nn.RNN's activation: the file's name does."""
    if layer.cell == "rnn" and layer.assumed and "relu" in path.name:
        return layer.replaced(dialect=replace(layer.dialect, activation="relu"))
    return layer


def largest(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())


# torch.


def torch_errors(stack: gw.Stack, record: dict[str, np.ndarray], batch_first: bool) -> list[float]:
    """Against the given state and against the default one, outputs and final states."""
    if "h1" in record:  # a cell's single step
        state = tuple(record[name][None] for name in ("h0", "c0") if name in record)
        _, final = gw.run(stack, record["x"][:, None], state)
        wanted = [record[name] for name in ("h1", "c1") if name in record]
        return [largest(value[0], want) for value, want in zip(final, wanted, strict=True)]
    turn = (lambda array: array) if batch_first else (lambda array: array.transpose(1, 0, 2))
    errors = []
    for suffix in ("", "_zero") if "y_zero" in record else ("",):
        given = tuple(record[name] for name in ("h0", "c0") if name in record)
        state = None if suffix else given or None
        y, final = gw.run(stack, turn(record["x"]), state)
        errors.append(largest(y, turn(record[f"y{suffix}"])))
        errors += [
            largest(value, record[f"{name}{suffix}"])
            for name, value in zip(("hn", "cn"), final, strict=False)
            if f"{name}{suffix}" in record
        ]
    return errors


def tagger_errors(checkpoint: gw.Checkpoint, record: dict[str, np.ndarray]) -> list[float]:
    """legacy_tagger.py: an embedding, a bidirectional LSTM, a linear layer."""
    (layer,) = checkpoint.layers
    prefix = layer.name.removesuffix("lstm")
    embed, weight, bias = (
        checkpoint.tensors[prefix + name].array() for name in ("embed.weight", "out.weight", "out.bias")
    )
    y, _ = gw.run(layer, embed[record["tokens"]])
    return [largest(y @ weight.T + bias, record["logits"])]


@together("path", TORCH, of=lambda path: f"the reference computes what torch {folder(path)} recorded", said=named)
def test_a_torch_file(path):
    checkpoint, record = gw.open(path), record_of(path)
    if ".qdyn_" in path.name:
        assert not checkpoint.layers
        return
    assert len(checkpoint.layers) == 1
    layer = checkpoint.layers[0]
    if "logits" in record:
        errors = tagger_errors(checkpoint, record)
    else:
        if path.name.startswith("seq_gru"):  # a Linear(5, 5) in front
            weight, bias = (checkpoint.tensors[f"0.{name}"].array() for name in ("weight", "bias"))
            record["x"] = np.asarray(record["x"], np.float64) @ weight.T + bias
        errors = torch_errors(told(layer, path), record, batch_first="_bf" in path.name)
    assert max(errors) <= claimed(layer)


# Keras.


def keras_run(checkpoint: gw.Checkpoint, record: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The model of make.py on its recorded inputs: the layers in their order, and a Dense layer behind where it has one."""
    x = np.asarray(record["in/0"], np.float64)
    shape = x.shape
    if x.ndim == 4:  # TimeDistributed over a further axis
        x = x.reshape(-1, *shape[2:])
    state = tuple(record[f"in/{n}"][None] for n in (1, 2)) if "in/1" in record else None
    final: tuple[np.ndarray, ...] = ()
    for layer in checkpoint.layers:
        x, final = gw.run(layer, x, state)
    dense = [record[name] for name in sorted(record) if name.startswith("w/") and "lstm" not in name.partition("|")[2]]
    if len(dense) == 2:
        x = x @ dense[0] + dense[1]
    if len(shape) == 4:
        x = x.reshape(*shape[:2], *x.shape[1:])
    return [x, *(value[0] for value in final)] if "out/1" in record else [x]


@together("path", KERAS, of=lambda path: f"the reference computes what {folder(path)} recorded", said=named)
def test_a_keras_file(path):
    checkpoint, record = gw.open(path), record_of(path)
    case = path.name.partition(".")[0]
    if case.startswith(("conv_lstm", "custom")):
        assert not checkpoint.layers
        assert len(checkpoint.recognised.outside) == 1
        return
    for number, computed in enumerate(keras_run(checkpoint, record)):
        wanted = record[f"out/{number}"]
        computed = computed[:, -1] if wanted.ndim == computed.ndim - 1 else computed
        assert largest(computed, wanted) <= max(map(claimed, checkpoint.layers))


def test_files_were_found():
    assert len(TORCH) > 150
    assert len(KERAS) > 150
