"""The recorded Keras files (tests/fixtures/keras, made by its make.py and make_keras1.py), and layers to write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gatewise.containers import container
from gatewise.tensors import Declared, StoredTensor, Tensors

KERAS = Path(__file__).parents[1] / "fixtures" / "keras"
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def files(*suffixes: str) -> list[Path]:
    found = [path for path in sorted(KERAS.glob("*/*")) if path.name.partition(".")[2] in suffixes]
    assert found, f"no fixtures with {suffixes}"
    return found


def said(path: Path) -> str:
    """A readable id: keras-3/lstm.keras."""
    return f"{path.parent.name}/{path.name}"


def recorded(path: Path) -> list[np.ndarray]:
    """What ``get_weights()`` returned when the file was made, in its order."""
    with np.load(path.parent / f"{path.name.partition('.')[0]}.npz") as archive:
        return [archive[name] for name in archive.files if name.startswith("w/")]


def same_arrays(ours, theirs) -> bool:
    ours, theirs = list(ours), list(theirs)
    return len(ours) == len(theirs) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(ours, theirs, strict=True)
    )


def layer(path, kind, units, size, *, after=(), dtype="float32", bidirectional=False, seed=0, **settings):
    """(Declared, its tensors) of one recurrent layer with random weights, as a caller of the writers makes them."""
    dice = np.random.default_rng(seed)
    width = GATES[kind] * units
    shapes = [(size or 1, width), (units, width)]
    if settings.get("use_bias", True):
        shapes.append((2, width) if kind == "GRU" and settings.get("reset_after", True) else (width,))
    tensors = []
    for direction in ["forward_layer/", "backward_layer/"] if bidirectional else [""]:
        for index, shape in enumerate(shapes):
            array = dice.uniform(-0.5, 0.5, shape).astype(dtype)
            name = f"{path}/{direction}cell/vars/{index}"
            tensors.append(StoredTensor(name, dtype, shape, lambda array=array: array))
    if bidirectional:
        settings = {"wrapper": "Bidirectional", "merge_mode": "concat", **settings}
    return Declared(path, f"keras.{kind}", {"units": units, "input_size": size, **settings}, after=after), tensors


def model(*layers) -> Tensors:
    return Tensors(
        [tensor for _, tensors in layers for tensor in tensors],
        naming="keras-vars",
        declared=[declared for declared, _ in layers],
    )


def write(path: Path, name: str, tensors: Tensors) -> bytes:
    container(name).write(path, tensors)
    return path.read_bytes()
