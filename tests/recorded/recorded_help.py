"""Fixture files of the smaller frameworks: found by walking, run by the reference, held against their records."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import gatewise as gw
from gatewise.proof import prove_recorded

FIXTURES = Path(__file__).parents[1] / "fixtures"


def recorded(framework: str, *suffixes: str) -> list[Path]:
    """The framework's files that have a record beside them."""
    return [
        path
        for path in sorted((FIXTURES / framework).glob("*/*"))
        if path.suffix in suffixes and record_path(path).exists()
    ]


def record_path(path: Path) -> Path:
    """``case.npz`` beside ``case.model``; ``case_io.npz`` beside ``case.npz``."""
    return path.with_name(f"{path.stem}_io.npz") if path.suffix == ".npz" else path.with_suffix(".npz")


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(record_path(path)) as found:
        return dict(found)


def named(path: Path) -> str:
    return "/".join(path.parts[-3:])


def claimed(layer: gw.Layer) -> float:
    """The figure that the layout's table claims: ``DyNet 2.2: 2e-07``."""
    return float(gw.layout(layer.layout).proven.rpartition(": ")[2])


def error(layer: gw.Stack, record: dict[str, np.ndarray], **said: bool) -> float:
    return prove_recorded(layer, record, **said).max_abs_error
