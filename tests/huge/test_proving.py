"""Proving holds no file in memory, and a sample costs less than running everything: in processes of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from costs import MEGABYTE, cost_of, linux
from filemakers import torch_zip

pytestmark = linux
UNITS = 512  # the largest tensor is then 4 MiB
SMALL, LARGE = 2, 12  # layers: 17 and 101 MB
TENSOR = 4 * UNITS * UNITS * 4
SPARE = 24 * MEGABYTE  # large pages around what is looked at among it


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Layers that all have the same numbers, which nobody looks for."""
    folder = tmp_path_factory.mktemp("stacks")
    random = np.random.default_rng(0)
    shapes = {
        "weight_ih": (4 * UNITS, UNITS),
        "weight_hh": (4 * UNITS, UNITS),
        "bias_ih": (4 * UNITS,),
        "bias_hh": (4 * UNITS,),
    }
    arrays = {name: random.uniform(-0.1, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    return {
        layers: torch_zip(
            folder / f"{layers}.pt",
            {f"rnn{number:02d}.{name}_l0": array for number in range(layers) for name, array in arrays.items()},
        )
        for layers in (SMALL, LARGE)
    }


FULL = pytest.param("full", marks=pytest.mark.slow)


@pytest.mark.parametrize("way", ["sample", FULL])
@pytest.mark.parametrize("suffix", [".safetensors", pytest.param(".weights.h5", marks=pytest.mark.slow)])
def test_a_conversion_and_its_proof_hold_no_more_than_a_layer(
    suffix: str, way: str, stacks: dict[int, Path], tmp_path: Path
) -> None:
    small, large = (
        cost_of("convert", path, "-o", tmp_path / f"{layers}{suffix}", "--verify", way)["peak"]
        for layers, path in stacks.items()
    )
    assert large <= small + SPARE
    assert large <= 2 * TENSOR + 60 * MEGABYTE


@pytest.mark.parametrize("way", ["sample", FULL])
def test_comparing_two_files_holds_no_more_than_a_layer(way: str, stacks: dict[int, Path]) -> None:
    small, large = (cost_of("verify", path, path, "--verify", way)["peak"] for path in stacks.values())
    assert large <= small + SPARE


@pytest.mark.slow
def test_a_sample_takes_less_processor_time_than_everything_and_both_find_the_same(
    stacks: dict[int, Path], tmp_path: Path
) -> None:
    none, sample, full = (
        min(
            cost_of("convert", stacks[LARGE], "-o", tmp_path / f"{words[-1]}{turn}.npz", *words)["seconds"]
            for turn in range(2)
        )
        for words in (["--no-verify"], ["--verify", "sample"], ["--verify", "full"])
    )
    assert sample - none < 0.7 * (full - none)
