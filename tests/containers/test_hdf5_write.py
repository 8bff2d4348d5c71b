"""The HDF5 that gatewise writes itself: libhdf5 finds everything, may change it, and the bytes are as many as planned."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from gatewise.containers._hdf5_write import Folder, Plan
from gatewise.errors import NotRepresentable
from gatewise.tensors import StoredTensor

DTYPES = ("float32", "float64", "float16", "int32", "uint8", "int64", "bool", "uint16", "int8", "uint64")


def stored(array: np.ndarray) -> StoredTensor:
    return StoredTensor("x", array.dtype.name, array.shape, lambda: array)


def array_of(number: int) -> np.ndarray:
    """One of every dtype and of several shapes: empty, a number, a column, a row."""
    row = np.arange(number % 7 + 1)
    row = row % 2 if number % len(DTYPES) == 6 else row
    shaped = {0: row.reshape(-1, 1), 3: row[:1].reshape(()), 4: row[:0]}.get(number % 11, row)
    return shaped.astype(DTYPES[number % len(DTYPES)])


def tree(count: int) -> tuple[Folder, dict[str, np.ndarray]]:
    root, arrays = Folder(), {}
    root.at("vars").attributes["name"] = "modèle"
    root.attributes.update(long="x" * 100_000, none="", texts=["a", "", "bé"], empty=[])
    for number in range(count):
        name = f"layers/{number}/{number % 3}"
        arrays[name] = array_of(number)
        root.put(name, stored(arrays[name]))
        root.at(f"layers/{number}").attributes["name"] = f"layer {number}"
    return root, arrays


def written(path: Path, root: Folder) -> Path:
    plan = Plan(root)
    path.write_bytes(b"".join(map(bytes, plan.pieces())))
    assert path.stat().st_size == plan.size
    return path


# 8 names fill a symbol node, 256 a B-tree node: 300 need two levels, 9,000 three.
@pytest.mark.parametrize("count", [0, 1, 8, 9, 256, 257, 300, pytest.param(9_000, marks=pytest.mark.slow)])
def test_libhdf5_finds_every_group_every_text_and_every_element(count: int, tmp_path: Path) -> None:
    root, arrays = tree(count)
    with h5py.File(written(tmp_path / "x.h5", root)) as file:
        found: dict[str, np.ndarray] = {}
        file.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
            assert found[name].tobytes() == array.tobytes()
        assert file["vars"].attrs["name"] == "modèle"
        assert file.attrs["long"] == "x" * 100_000
        assert file.attrs["none"] == ""
        assert list(file.attrs["texts"]) == ["a", "", "bé"]
        assert file.attrs["empty"].shape == (0,)
        for number in range(0, count, 97):
            assert file[f"layers/{number}"].attrs["name"] == f"layer {number}"
        assert f"layers/{count}" not in file


def test_libhdf5_may_change_what_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "x.h5", tree(300)[0])
    with h5py.File(path, "r+") as file:
        for number in range(50):
            file["layers"].create_dataset(f"new {number}", data=np.ones(3))
        del file["layers/5"]
        file["vars"].attrs["name"] = "other"
    with h5py.File(path) as file:
        assert len(file["layers"]) == 349
        assert file["layers/new 49"][()].sum() == 3
        assert file["vars"].attrs["name"] == "other"
        assert file["layers/7/1"][()].tobytes() == array_of(7).tobytes()


def test_a_text_that_libhdf5_overwrites_is_no_other_attributes(tmp_path: Path) -> None:
    """It frees the old text's place in the heap without asking whether somebody else uses it."""
    root = Folder({"backend": "tensorflow", "names": ["tensorflow", "a", "a"]})
    root.at("model_weights").attributes["backend"] = "tensorflow"
    path = written(tmp_path / "x.h5", root)
    with h5py.File(path, "r+") as file:
        file.attrs.modify("backend", "a backend with a longer name " * 9)
    with h5py.File(path) as file:
        assert file["model_weights"].attrs["backend"] == "tensorflow"
        assert list(file.attrs["names"]) == ["tensorflow", "a", "a"]


def test_more_texts_than_one_collection_numbers(tmp_path: Path) -> None:
    root = Folder()
    texts = [f"text {number}" for number in range(70_000)]
    for start in range(0, len(texts), 3_000):
        root.at(f"{start}").attributes["names"] = texts[start : start + 3_000]
    with h5py.File(written(tmp_path / "x.h5", root)) as file:
        assert [text for start in range(0, len(texts), 3_000) for text in file[f"{start}"].attrs["names"]] == texts


def test_what_hdf5_cannot_hold_is_refused_in_words() -> None:
    root = Folder()
    root.put("a/b", stored(np.ones(3)))
    with pytest.raises(NotRepresentable, match="two tensors would lie at 'a/b'"):
        root.put("a/b", stored(np.ones(3)))
    with pytest.raises(NotRepresentable, match="would be a group too"):
        root.put("a/b/c", stored(np.ones(3)))
    root.put("c", stored(np.ones(3, np.complex64)))
    with pytest.raises(NotRepresentable, match="complex64, which HDF5 has no word for"):
        Plan(root)
    with pytest.raises(NotRepresentable, match="5,000 texts, more than HDF5 holds in one"):
        Plan(Folder({"names": ["x"] * 5_000}))


@pytest.mark.parametrize("name", ["", ".", "a//b", "/a", "a/", "a/./b"])
def test_a_name_that_no_path_leads_to_is_refused(name: str) -> None:
    with pytest.raises(NotRepresentable, match="a part of it is empty or a dot"):
        Folder().put(name, stored(np.ones(3)))


@pytest.mark.parametrize("text", ["a\0b", "half a pair: \ud800"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(NotRepresentable, match="HDF5 cannot hold"):
        Plan(Folder({"name": text}))
    with pytest.raises(NotRepresentable, match="HDF5 cannot hold"):
        Plan(Folder({}, {text: Folder()}))
