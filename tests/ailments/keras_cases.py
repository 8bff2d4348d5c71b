"""The recorded Keras models, what real Keras 3 does with a file, and small models to make ill."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import gatewise as gw

KERAS = Path(__file__).parents[1] / "fixtures" / "keras"
FILES = [p for p in sorted(KERAS.glob("*/*")) if p.suffix in (".h5", ".keras") and ".weights.h5" not in p.name]
MODELS = [p for p in FILES if "weights-only" not in p.name]
BARE = [p for p in FILES if "weights-only" in p.name]
KERAS_3 = [p for p in MODELS if p.parent.name == "keras-3"]
CUSTOM = [p for p in MODELS if p.name.startswith("custom")]
SILENT = (  # Keras 2.2.4 files that Keras 3 loads without a word and computes otherwise
    "conv_lstm2d", "gru", "lstm", "lstm_go_backwards", "lstm_nobias", "stacked_lstm",
)  # fmt: skip


diagnosed = functools.cache(gw.diagnose)  # of the recorded files, which several tests ask for


def said(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def record(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(inputs, outputs) recorded with the framework that wrote the file."""
    with np.load(path.parent / f"{path.name.partition('.')[0]}.npz") as archive:
        names = sorted(archive.files)
        return [archive[n] for n in names if n.startswith("in/")], [archive[n] for n in names if n.startswith("out/")]


def outcome_in_keras(path: Path, recorded: Path | None = None) -> tuple[str, float | None]:
    """What the installed Keras does: ("loads", largest difference from the record) or ("TypeError: …", None)."""
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        return f"{type(error).__name__}: {error}", None
    return "loads", difference(model, recorded or path)


def difference(model: Any, path: Path) -> float:
    inputs, outputs = record(path)
    given = model(inputs if len(inputs) > 1 else inputs[0])
    given = given if isinstance(given, (list, tuple)) else [given]
    assert len(given) == len(outputs)
    return max(float(np.abs(np.asarray(one.detach()) - two).max()) for one, two in zip(given, outputs, strict=True))


def config_of(path: Path) -> dict[str, Any]:
    from gatewise.containers import open_tensors

    return open_tensors(path).metadata["config"]


def with_config(source: Path, out: Path, config: dict[str, Any]) -> Path:
    """A copy of a ``.h5`` with another config."""
    out.write_bytes(source.read_bytes())
    with h5py.File(out, "r+") as file:
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
    return out
