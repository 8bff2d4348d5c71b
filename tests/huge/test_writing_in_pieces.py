"""What is written is never held: every format, repairs, flat vectors, in processes of their own.

Each writes a model of some size, and one of a tenth of it with tensors as large: the peak may differ by little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from costs import MEGABYTE, cost_of, held, linux
from filemakers import torch_zip

pytestmark = linux
UNITS = 256  # a matrix of an LSTM is then 1 MiB
SMALL, LARGE = 2, 24  # layers: 4.2 and 50 MB
# What many layers take besides their numbers, large pages around what is looked at among it; a writer that held the file
# would take 46 more.
SPARE = 24 * MEGABYTE


def lstm(layers: int, prefix: str = "", units: int = UNITS) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((4 * units, units), np.float32) / 16
    bias = np.zeros(4 * units, np.float32)
    return {
        f"{prefix}{name}_l{layer}": array
        for layer in range(layers)
        for name, array in (("weight_ih", matrix), ("weight_hh", matrix), ("bias_ih", bias), ("bias_hh", bias))
    }


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("stacks")
    return {layers: torch_zip(folder / f"{layers}.pt", lstm(layers)) for layers in (SMALL, LARGE)}


def peaks(commands: Iterator[list[str | Path]]) -> tuple[int, int]:
    small, large = (cost_of(*words)["peak"] for words in commands)
    return small, large


SOON = (".pt", ".safetensors", ".keras")  # of each way to write one: a zip, bytes end to end, HDF5
LATER = (".onnx", ".npz", ".weights.h5", ".h5", ".xml", ".pdparams", ".params", ".pkl", ".msgpack", ".eqx")


@pytest.mark.parametrize("suffix", [*SOON, *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in LATER)])
def test_no_writer_holds_the_file(suffix: str, stacks: dict[int, Path], tmp_path: Path) -> None:
    outputs = {layers: tmp_path / f"{layers}{suffix}" for layers in stacks}
    small, large = peaks(["convert", path, "-o", outputs[layers], "--no-verify"] for layers, path in stacks.items())
    written = sum(each.stat().st_size for each in tmp_path.iterdir() if each.stem.startswith(str(LARGE)))
    assert written >= 45 * MEGABYTE
    assert large <= small + SPARE, f"{small:,} for {SMALL} layers, {large:,} for {LARGE}"
    assert large <= 2 * MEGABYTE + 60 * MEGABYTE


def test_the_measure_sees_a_file_that_is_held(stacks: dict[int, Path]) -> None:
    small, large = map(held, stacks.values())
    assert large > small + 1.5 * SPARE


def test_a_repair_holds_no_more_than_pieces_of_the_file_nor_does_the_proof(tmp_path: Path) -> None:
    paths = {layers: torch_zip(tmp_path / f"{layers}.pt", lstm(layers, "module.rnn.")) for layers in (SMALL, LARGE)}
    small, large = peaks(["repair", path, "-o", path.with_name(f"out-{path.name}")] for path in paths.values())
    assert (tmp_path / f"out-{LARGE}.pt").stat().st_size > 45 * MEGABYTE
    assert large <= small + SPARE


@pytest.mark.parametrize(
    "command",
    [
        "convert",
        "doctor",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("convert to float16", "verify", "diff", "inspect")),
    ],
)
def test_what_is_read_to_the_end_is_not_held_either(command: str, stacks: dict[int, Path], tmp_path: Path) -> None:
    words: dict[str, Callable[[Path], list[str | Path]]] = {
        "convert": lambda path: ["convert", path, "-o", tmp_path / f"{path.stem}.keras"],
        "convert to float16": lambda path: ["convert", path, "-o", tmp_path / f"{path.stem}.pt", "--dtype", "float16"],
        "doctor": lambda path: ["doctor", path],
        "verify": lambda path: ["verify", path, path],
        "diff": lambda path: ["diff", path, path],
        "inspect": lambda path: ["inspect", path, "--gates"],
    }
    small, large = peaks(words[command](path) for path in stacks.values())
    assert large <= small + SPARE


@pytest.mark.parametrize("order", ["torch", pytest.param("cudnn", marks=pytest.mark.slow)])
def test_a_flat_vector_is_written_without_being_held(order: str, stacks: dict[int, Path], tmp_path: Path) -> None:
    small, large = peaks(
        ["flat", path, "--order", order, "-o", tmp_path / f"{layers}.npy"] for layers, path in stacks.items()
    )
    assert np.load(tmp_path / f"{LARGE}.npy", mmap_mode="r").nbytes > 45 * MEGABYTE
    assert large <= small + SPARE


def test_a_conversion_imports_the_tables_of_its_two_frameworks_and_the_formats_of_its_two_files(
    stacks: dict[int, Path], tmp_path: Path
) -> None:
    found = cost_of("convert", stacks[SMALL], "-o", tmp_path / "x.keras", "--no-verify")["modules"]
    tables = [name for name in found if name.startswith("gatewise.layouts.") and "._" not in name]
    formats = [name for name in found if name.startswith("gatewise.containers.") and "._" not in name]
    assert len(tables) <= 20, tables
    assert len(formats) <= 8, formats


@pytest.mark.long
def test_two_gigabytes_take_no_more_memory_than_fifty_megabytes(stacks: dict[int, Path], tmp_path: Path) -> None:
    """Real pages: 60 layers of 1,024 units are 2.0 GB, their matrices 16.8 MB each."""
    path = torch_zip(tmp_path / "large.pt", lstm(60, units=1_024))
    for suffix in (".safetensors", ".weights.h5", ".keras"):
        out = tmp_path / f"large{suffix}"
        small = cost_of("convert", stacks[LARGE], "-o", tmp_path / f"small{suffix}")
        large = cost_of("convert", path, "-o", out)
        assert out.stat().st_size > 2_000_000_000
        out.unlink()
        assert large["peak"] <= 2 * 16 * MEGABYTE + 60 * MEGABYTE  # proof and all
        assert large["seconds"] <= 64 * small["seconds"]
