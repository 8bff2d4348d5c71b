"""What is only named is not copied: memory that maps, rows, views and opened files take, whatever the weights' size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filemakers import safetensors, torch_arrays

import gatewise as gw

SMALL = 1 << 20  # bytes: far less than the weights below


def peak(work: Callable[[], Any]) -> int:
    work()  # what is made once is not counted
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 MB of weights."""
    return safetensors(
        tmp_path_factory.mktemp("flat") / "m.safetensors", torch_arrays(features=512, units=512, layers=2, directions=1)
    )


@pytest.mark.parametrize("order", ["torch", "cudnn", "onnx", "mxnet", "keras", "jax"])
def test_naming_takes_no_memory_of_the_weights(file: Path, order: str) -> None:
    vector = gw.flat(file, order).pack()
    assert vector.nbytes > 10 * SMALL

    def name() -> None:
        flat = gw.flat(file, order)
        assert flat.rows
        assert flat.unpack(vector)[1, "forward"].kernel["f"].shape == (512, 512)

    assert peak(name) < SMALL


def test_a_view_of_the_file_takes_none_and_reading_it_is_reading_the_file(file: Path) -> None:
    assert peak(lambda: gw.flat(file).vector) < SMALL
    assert gw.flat(file).is_view


@pytest.mark.parametrize("order", ["torch", "cudnn", "onnx", "keras"])
def test_packing_into_a_ready_buffer_makes_no_second_copy(file: Path, order: str) -> None:
    """Where the arithmetic of a change makes numbers (two biases into one), it does so vector by vector."""
    flat = gw.flat(file, order)
    out = np.empty(flat.size, np.float32)
    assert peak(lambda: flat.pack(out)) < SMALL


def test_the_measure_sees_a_copy(file: Path) -> None:
    assert peak(lambda: gw.flat(file, "cudnn").pack()) > 10 * SMALL
