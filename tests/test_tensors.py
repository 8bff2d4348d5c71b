"""The waist's own words: which names lie under a path, elements in pieces."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewise.containers._supply import same_bytes
from gatewise.pieces import PIECE, Room, in_pieces
from gatewise.source import Source, give_back
from gatewise.tensors import StoredTensor, Strided, Tensors


def named(*names: str) -> Tensors:
    return Tensors([StoredTensor(name, "float32", (), lambda: None) for name in names])


@given(names=st.lists(st.text("ab._/-\uffff\U0001f40d", max_size=6), unique=True), path=st.text("ab._/-", max_size=4))
def test_under_a_path_is_what_goes_on_behind_a_mark_in_the_file_s_order(names: list[str], path: str) -> None:
    marks = ("", ".", "/", "_")
    below = [name for name in names if not path or (name.startswith(path) and name[len(path) :][:1] in marks)]
    assert named(*names).below(path) == below


def test_a_path_s_neighbours_are_not_under_it() -> None:
    tensors = named("rnn.10.w", "rnn.1.w", "rnn.1", "rnn.1/v", "rnn.1_b", "rnn.1-c", "rnn")
    assert tensors.below("rnn.1") == ["rnn.1.w", "rnn.1", "rnn.1/v", "rnn.1_b"]
    assert tensors.below("nowhere") == []


WHOLE = np.arange(700_000, dtype="<f4")
ARRAYS = {
    "in one piece": WHOLE[:10],
    "in several pieces": WHOLE,
    "a matrix": WHOLE.reshape(700, 1000),
    "a transposed matrix": WHOLE.reshape(700, 1000).T,
    "a part of a matrix": WHOLE.reshape(700, 1000)[3:600, 5:77],
    "reversed": WHOLE[::-1],
    "big-endian": WHOLE.astype(">f4").reshape(7, 100, 1000),
    "three axes, turned": WHOLE.reshape(7, 100, 1000).transpose(2, 0, 1),
    "one long row": WHOLE.astype(">f4").reshape(1, 1, -1),
    "a number": WHOLE[5].reshape(()),
    "another dtype": WHOLE.astype("f8").reshape(700, 1000),
    "empty": np.empty((0, 4), "f4"),
    "empty rows": np.empty((4, 0), ">f4"),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=list(ARRAYS))
def test_an_array_in_pieces_is_its_bytes_row_by_row(array: np.ndarray) -> None:
    found = [bytes(piece) for piece in in_pieces(array, np.dtype("<f4"))]
    assert b"".join(found) == array.astype("<f4").tobytes()
    assert max(map(len, found), default=0) <= PIECE


ALIKE = {
    "row by row": WHOLE.reshape(700, 1000),
    "column by column": np.asfortranarray(WHOLE.reshape(700, 1000)),
    "big-endian": WHOLE.astype(">f4").reshape(700, 1000),
    "another dtype": WHOLE.astype("f8").reshape(700, 1000),
    "a part of a matrix": np.pad(WHOLE.reshape(700, 1000), 3)[3:-3, 3:-3],
    "rows of another length": WHOLE.reshape(1000, 700),
}


@pytest.mark.parametrize("other", ALIKE.values(), ids=list(ALIKE))
@pytest.mark.parametrize("one", [ALIKE["row by row"], ALIKE["column by column"]], ids=["rows", "columns"])
def test_the_same_numbers_are_the_same_bytes_however_they_lie(one: np.ndarray, other: np.ndarray) -> None:
    """Pieces of one length are held against pieces of another, which are made in the same memory one after the other."""

    def pieces(array: np.ndarray) -> Iterator[memoryview]:
        return in_pieces(array, np.dtype("<f4"))

    assert same_bytes(pieces(one), pieces(other))
    for place in (262_143, -1):
        changed = np.copy(other, order="K")
        changed[np.unravel_index(place % changed.size, changed.shape)] += 0.5
        assert not same_bytes(pieces(one), pieces(changed))
    assert not same_bytes(pieces(one), pieces(other[:-1]))
    assert not same_bytes(pieces(one[:-1]), pieces(other))


@pytest.mark.parametrize("size", [0, 10, 5_000_001], ids=["of an empty file", "of a small file", "of a large file"])
def test_a_look_gives_the_bytes_that_lie_there(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(251)) * (size // 251) + bytes(range(size % 251)))
    source = Source(path)
    for start, end in (
        (0, 0),
        (0, 2),
        (0, size),
        (4_095, 8_193),
        (size - 3, size),
        (size - 3, size + 9),
        (size, size + 1),
    ):
        first = max(start, 0)
        assert source.look(first, end) == bytes(source.data[first:end])


def resident(path: Path) -> int:
    """KiB of a mapped file that count as this process's memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        int(next(line for line in lines if line.startswith("Rss:")).split()[1])
        for line in lines
        if line.endswith(str(path))
    )


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED") or not Path("/proc/self/smaps").exists(), reason="Linux tells")
def test_what_was_written_of_a_mapped_file_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(WHOLE.tobytes() * 4)
    source = Source(path)
    rows = StoredTensor("rows", "float32", (2_800, 1_000), Strided(source.data))
    columns = StoredTensor("columns", "float32", (1_000, 2_800), Strided(source.data, strides=(1, 1_000)))
    for tensor in (rows, columns):
        assert sum(map(len, tensor.pieces())) == source.size
        assert resident(path) <= 300
    whole = tensor.array()
    assert whole.max() == 699_999
    assert resident(path) > 10_000  # it is this measure that would tell
    give_back(whole[:, :1_400])
    give_back(np.ones(3))
    assert resident(path) > 3_000
    give_back(whole.T)
    assert resident(path) <= 300


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_somebody_changed_in_a_map_of_his_own_is_not_given_back(tmp_path: Path, mode: str) -> None:
    """A private map's changes are nowhere but in its pages."""
    path = tmp_path / "own.bin"
    np.zeros((3_000, 400), "<f4").tofile(path)
    held = np.memmap(path, "<f4", mode, shape=(3_000, 400))
    held[:] = np.arange(1_200_000, dtype="<f4").reshape(3_000, 400)
    give_back(held)
    assert list(in_pieces(held, np.dtype("<f4")))
    assert held[2_999, 399] == 1_199_999
    assert float(held.sum(dtype="f8")) == 1_200_000 * 1_199_999 / 2


def test_memory_for_pieces_is_used_again_by_as_many_as_use_it_at_once() -> None:
    with Room(1000) as one, Room(1000) as other:
        assert not np.shares_memory(one, other)
        first = {one.__array_interface__["data"][0], other.__array_interface__["data"][0]}
    with Room(1000) as one, Room(1000) as other:
        assert {one.__array_interface__["data"][0], other.__array_interface__["data"][0]} == first
