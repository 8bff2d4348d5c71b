"""Ten gigabytes with holes for numbers, and a hundred thousand tensors: what is listed is not read, and takes its time once.

The makers write each format by hand, so that nothing is measured against itself.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import pytest
from costs import MEGABYTE, cost_of, linux
from filemakers import state_dict_pickle

from gatewise.containers import open_tensors

pytestmark = linux
Shapes = Mapping[str, tuple[int, ...]]
GIGABYTE = 1 << 30


def lstm(units: int) -> Shapes:
    matrix, bias = (4 * units, units), (4 * units,)
    return {"weight_ih_l0": matrix, "weight_hh_l0": matrix, "bias_ih_l0": bias, "bias_hh_l0": bias}


def safetensors(path: Path, shapes: Shapes) -> None:
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def torch_zip(path: Path, shapes: Shapes) -> None:
    described = {name: ("float32", shape) for name, shape in shapes.items()}
    with open(path, "wb") as file:
        directory = [_member(file, "data.pkl", state_dict_pickle(described)), _member(file, "version", b"3\n")]
        directory += [_member(file, f"data/{at}", 4 * math.prod(shape)) for at, shape in enumerate(shapes.values())]
        start, length = file.tell(), sum(map(len, directory))
        file.writelines(directory)
        end = file.tell()
        file.write(
            struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(directory), len(directory), length, start)
        )
        file.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
        file.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def _member(file: IO[bytes], name: str, content: bytes | int) -> bytes:
    """Writes a stored member, a hole where only its size is said.  Gives its entry of the directory."""
    raw, at = f"archive/{name}".encode(), file.tell()
    size = content if isinstance(content, int) else len(content)
    crc = 0 if isinstance(content, int) else zlib.crc32(content)
    wide = struct.pack("<HHQQ", 1, 16, size, size)
    everywhere = (0, 0, 0, 33, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(raw))
    file.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, *everywhere, len(wide)) + raw + wide)
    if isinstance(content, int):
        file.truncate(file.tell() + size)
        file.seek(0, 2)
    else:
        file.write(content)
    wide = struct.pack("<HHQQQ", 1, 24, size, size, at)
    return (
        struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, *everywhere, len(wide), 0, 0, 0, 0, 0xFFFFFFFF)
        + raw
        + wide
    )


def npy(path: Path, shapes: Shapes) -> None:
    (shape,) = shapes.values()
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * math.prod(shape))


def hdf5(path: Path, shapes: Shapes) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        for name, shape in shapes.items():
            file.create_dataset(name, shape, "<f4")


LARGE: dict[str, tuple[Callable[[Path, Shapes], None], Shapes]] = {
    "a torch zip": (
        torch_zip,
        {"embedding.weight": (1_600_000, 1_024), **lstm(8_192), "head.weight": (400_000, 1_024)},
    ),
    "safetensors": (
        safetensors,
        {"embedding.weight": (1_600_000, 1_024), **lstm(8_192), "head.weight": (400_000, 1_024)},
    ),
    "one array": (npy, {"": (2_621_440, 1_024)}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_ten_gigabytes_are_listed_without_being_read(kind: str, tmp_path: Path) -> None:
    make, shapes = LARGE[kind]
    path = tmp_path / "large"
    make(path, shapes)
    if path.stat().st_blocks * 512 > GIGABYTE // 8:
        path.unlink()
        pytest.skip("this file system has no holes: a file of 10 GB would really take 10 GB")
    assert path.stat().st_size >= 10_000_000_000
    assert {tensor.shape for tensor in open_tensors(path).values()} == set(shapes.values())
    cost = cost_of("inspect", path, "--tensors")
    assert cost["peak"] <= 30 * MEGABYTE
    assert "numpy" not in cost["modules"]


def test_one_matrix_of_ten_gigabytes_is_cut_into_gates_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    torch_zip(path, lstm(16_384))
    if path.stat().st_blocks * 512 > GIGABYTE // 8:
        path.unlink()
        pytest.skip("this file system has no holes")
    cost = cost_of("flat", path, "--order", "cudnn")
    assert cost["peak"] <= 60 * MEGABYTE


MANY: dict[str, Callable[[Path, Shapes], None]] = {"torch zip": torch_zip, "safetensors": safetensors, "HDF5": hdf5}


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("torch zip", 5_000),
        ("safetensors", 5_000),
        pytest.param("HDF5", 10_000, marks=pytest.mark.slow),
        *(pytest.param(kind, 100_000, marks=pytest.mark.long) for kind in MANY),
    ],
)
def test_ten_times_as_many_tensors_take_ten_times_as_long(kind: str, most: int, tmp_path: Path) -> None:
    costs = {}
    for count in (most // 10, most):
        path = tmp_path / f"{count}"
        MANY[kind](path, {**lstm(16), **{f"blocks.{number}.norm.weight": (8,) for number in range(count - 4)}})
        costs[count] = cost_of("inspect", path)
    few, many = costs.values()
    assert many["seconds"] <= 20 * few["seconds"], f"{few['seconds']:.2f} s, then {many['seconds']:.2f} s"
    assert many["peak"] <= few["peak"] + 0.9 * most * 6_000, f"{few['peak']:,} bytes, then {many['peak']:,}"
