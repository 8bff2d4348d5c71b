"""Everything that gatewise writes, as command lines over small files: a conversion into every format, repairs, flat vectors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filemakers import torch_arrays, torch_zip

from gatewise.containers import containers

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
ILL = FIXTURES / "torch/1.0.1/lstm_bi2.module.pt"
WELL = FIXTURES / "torch/2.13.0/lstm_bi2.module.pt"
OLD_KERAS = FIXTURES / "keras/keras-2.2.4_tf-1.10.1"


@dataclass(frozen=True)
class Deed:
    """A command line that reads ``inputs`` and writes ``outputs``, the named one last."""

    name: str
    words: tuple[str, ...]
    outputs: tuple[str, ...]
    prepare: Callable[[Path], None]
    inputs: tuple[str, ...] = ("model.pt",)

    def __str__(self) -> str:
        return self.name

    @property
    def pair(self) -> bool:
        return len(self.outputs) > 1


def _numbers(shape: tuple[int, ...], first: int) -> Any:
    """Numbers that are the same on every machine: one division each, and no generator of random ones."""
    count = int(np.prod(shape))
    return ((np.arange(first, first + count) * 7919 % 10007 - 5000) / 10007).astype("f4").reshape(shape)


ARRAYS = {name: _numbers(array.shape, 1000 * at) for at, (name, array) in enumerate(torch_arrays("lstm", 3, 4).items())}
HEAD = np.arange(6, dtype="f4").reshape(2, 3)


def _model(folder: Path) -> None:
    torch_zip(folder / "model.pt", {**ARRAYS, "head.weight": HEAD})


def _copied(source: Path) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        shutil.copyfile(source, folder / "model.pt")

    return prepare


def _model_and_vector(folder: Path) -> None:
    torch_zip(folder / "model.pt", ARRAYS)
    np.save(folder / "vector.npy", _numbers((144,), 7))


def _conversion(name: str, suffix: str, beside: tuple[str, ...]) -> Deed:
    outputs = (*(f"out{each}" for each in beside), f"out{suffix}")
    return Deed(f"convert to {name}", ("convert", "model.pt", "-o", outputs[-1], "--container", name), outputs, _model)


CONVERSIONS = tuple(_conversion(each.name, each.suffixes[0], each.beside) for each in containers() if each.write)
DEEDS = (
    *CONVERSIONS,
    Deed("convert unproved", (*CONVERSIONS[0].words, "--no-verify"), CONVERSIONS[0].outputs, _model),
    Deed("repair a module", ("repair", "model.pt", "-o", "out.pt"), ("out.pt",), _copied(ILL)),
    Deed("repair into safetensors", ("repair", "model.pt", "-o", "out.safetensors"), ("out.safetensors",), _copied(ILL)),
    Deed("repair a healthy file", ("repair", "model.pt", "-o", "out.pt"), ("out.pt",), _copied(WELL)),
    Deed(
        "repair an old Keras model", ("repair", "model.pt", "-o", "out.keras"), ("out.keras",),
        _copied(OLD_KERAS / "lstm.h5"),
    ),
    Deed("pack a flat vector", ("flat", "model.pt", "-o", "out.npy"), ("out.npy",), _model),
    Deed(
        "unpack a flat vector", ("flat", "model.pt", "--unpack", "vector.npy", "-o", "out.pt"), ("out.pt",),
        _model_and_vector, ("model.pt", "vector.npy"),
    ),
)  # fmt: skip
