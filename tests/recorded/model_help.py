"""Records of whole models: layers that follow each other by name, two directions apart, a linear layer between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from recorded_help import FIXTURES, claimed, error

import gatewise as gw

COARSE = {"bfloat16": 5e-2}  # the record is of float32 arithmetic on numbers that these files hold exactly or rounded


def files(framework: str, *suffixes: str) -> list[Path]:
    """The files and folders of a framework that have a record, by the place of their version."""
    found = sorted(path for path in (FIXTURES / framework).glob("*/*") if path.suffix in suffixes)
    return [path for path in found if record_path(path) is not None]


def record_path(path: Path) -> Path | None:
    """``case.run.npz``, else ``case.npz``; the parameters themselves may be ``case.params.npz``."""
    if path.suffix == ".npz" and not path.stem.endswith(".params"):
        return None
    names = (f"{path.stem}.run.npz", f"{path.stem.removesuffix('.params')}.npz")
    return next((found for name in names if (found := path.with_name(name)).exists()), None)


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(record_path(path)) as found:
        return dict(found)


def largest_error(path: Path, **said: str) -> tuple[float, float]:
    """(error, what the tables claim) of a file against its record."""
    checkpoint, record = gw.open(path, **said), record_of(path)
    if "order" not in record:
        layer = checkpoint.only()
        return error(layer, record), COARSE.get(layer.spec.dtype, claimed(layer))
    y = run_in_order(checkpoint, record)
    assert y.shape == record["y"].shape
    return float(np.abs(y - record["y"]).max()), 2e-6  # several layers, each within its claim


def run_in_order(checkpoint: gw.Checkpoint, record: dict[str, np.ndarray]) -> np.ndarray:
    x = np.asarray(record["x"], np.float64)
    for name in record["order"]:
        if name in ("dense", "linear"):
            x = x @ record["kernel"] + record["bias"]
            x = np.maximum(x, 0) if name == "dense" else x
        elif "|" in name:
            forward, backward = name.split("|")
            ahead, _ = gw.run(checkpoint[forward], x)
            back, _ = gw.run(checkpoint[backward], x[:, ::-1])
            x = np.concatenate([ahead, back[:, ::-1]], -1)
        else:
            x, _ = gw.run(checkpoint[name], x)
    return x
