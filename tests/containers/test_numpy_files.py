"""numpy's files: what numpy writes is read as numpy reads it, and the other way round; pickles stay shut."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from together import folder, in_thirds, together

from gatewise.containers import numpy_files, open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, ContainerError, LimitExceeded, NotRepresentable, UnknownContainer
from gatewise.tensors import StoredTensor, Strided, Tensors

ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)),
    "big_endian": np.arange(5, dtype=">i4"),
    "big_endian_fortran": np.asfortranarray(np.arange(6, dtype=">f8").reshape(2, 3)),
    "scalar": np.array(2.5, "f2"),
    "empty": np.zeros((0, 3), "u1"),
    "flags": np.array([True, False]),
    "complex": np.array([1 + 2j], "c8"),
    "folder/name": np.array([1, 2], "u8"),
}


def npy(header: str, body=b"", version=1) -> bytes:
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode("latin-1") + body


def zipped(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_an_npz_is_read_as_numpy_reads_it(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    tensors = open_tensors(tmp_path / "x.npz")
    assert list(tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        found = tensors[name].array()
        assert tensors[name].dtype == array.dtype.newbyteorder("=").name
        assert found.shape == array.shape
        assert np.array_equal(found, array)
        assert not (found.size and found.flags.writeable)


@together("path", helpers.files("npz"), of=folder, said=helpers.said)
def test_recorded_npz_files_are_read_bit_for_bit(path):
    tensors = open_tensors(path)
    with np.load(path) as archive:
        assert list(tensors) == archive.files
        assert helpers.same_arrays([t.array() for t in tensors.values()], [archive[name] for name in archive.files])


@pytest.mark.parametrize("name", [name for name in ARRAYS if "/" not in name])
def test_an_npy_is_one_tensor_called_like_the_file(tmp_path, name):
    np.save(tmp_path / f"{name}.npy", ARRAYS[name])
    tensors = open_tensors(tmp_path / f"{name}.npy")
    assert list(tensors) == [name]
    assert np.array_equal(tensors[name].array(), ARRAYS[name])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_header_are_read(tmp_path, version):
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array(file, ARRAYS["plain"], version=version)
    assert np.array_equal(open_tensors(tmp_path / "x.npy")["x"].array(), ARRAYS["plain"])


def test_the_long_integers_of_python_2_are_read(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }", bytes(8)))
    assert open_tensors(tmp_path / "x.npy")["x"].shape == (2, 1)


def test_fortran_order_is_a_view_with_strides(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["fortran"])
    tensor = open_tensors(tmp_path / "x.npy")["x"]
    assert isinstance(tensor.data, Strided)
    assert tensor.data.strides == (1, 2, 6)


def test_what_follows_an_array_is_noted(tmp_path):
    with open(tmp_path / "x.npy", "wb") as file:
        np.save(file, ARRAYS["plain"])
        file.write(b"something")
    assert "not read" in open_tensors(tmp_path / "x.npy").notes[0]


def test_pickled_objects_are_left_out_of_an_npz_and_refused_as_an_npy(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "x.npz", good=ARRAYS["plain"], bad=objects, words=np.array(["a"]), when=np.zeros(1, "M8[s]"))
    tensors = open_tensors(tmp_path / "x.npz")
    assert list(tensors) == ["good"]
    assert "pickle" in tensors.notes[0]
    assert len(tensors.notes) == 3
    np.save(tmp_path / "y.npy", objects)
    with pytest.raises(BrokenFile, match="pickle"):
        open_tensors(tmp_path / "y.npy")


def test_bfloat16_which_numpy_saves_without_a_name_is_explained(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    np.save(tmp_path / "x.npy", np.zeros(3, ml_dtypes.bfloat16))
    with pytest.raises(BrokenFile, match="bfloat16"):
        open_tensors(tmp_path / "x.npy")


def test_structured_arrays_are_left_out(tmp_path):
    np.savez(tmp_path / "x.npz", records=np.zeros(2, [("a", "f4"), ("b", "i4")]), good=ARRAYS["plain"])
    assert list(open_tensors(tmp_path / "x.npz")) == ["good"]


def test_a_zip_with_another_member_is_not_claimed(tmp_path):
    with pytest.raises(UnknownContainer):
        open_tensors(zipped(tmp_path / "x.npz", {"a.npy": b"", "readme.txt": b""}))


HEADERS = {
    "code": "{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}",
    "an expression as shape": "{'descr': '<f4', 'fortran_order': False, 'shape': (10**9,)}",
    "a negative size": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    "no shape": "{'descr': '<f4', 'fortran_order': False}",
    "nothing": "",
    "a list": "['descr']",
    "text behind": "{'descr': '<f4', 'fortran_order': False, 'shape': ()} + 1",
    "an order that is no truth": "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
    "a shape larger than the file": "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}",
    "a size of too many digits": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_numpy_never_writes_is_refused_alone_and_in_a_zip(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(npy(header, bytes(4)))
    for path in (tmp_path / "x.npy", zipped(tmp_path / "x.npz", {"x.npy": npy(header, bytes(4))})):
        with pytest.raises(ContainerError):
            open_tensors(path)


def test_an_unknown_version_and_a_long_header_are_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy("", version=9))
    with pytest.raises(BrokenFile, match="version 9"):
        open_tensors(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(npy(" " * 100_000, version=2))
    with pytest.raises(LimitExceeded):
        open_tensors(tmp_path / "x.npy")


def test_limits_hold_for_tensors_and_rank(tmp_path):
    np.savez(tmp_path / "x.npz", ARRAYS["plain"])
    for limits in (Limits(tensors=0), Limits(rank=1)):
        with pytest.raises(LimitExceeded):
            open_tensors(tmp_path / "x.npz", limits)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("change", [-1, 1], ids=["a byte too few", "a byte too many"])
def test_a_member_of_another_size_than_its_header_says_is_refused(tmp_path, compression, change):
    data = io.BytesIO()
    np.save(data, ARRAYS["plain"])
    wrong = data.getvalue()[:-1] if change < 0 else data.getvalue() + b"\0"
    with pytest.raises(BrokenFile, match="announces 48 bytes"):
        open_tensors(zipped(tmp_path / "x.npz", {"x.npy": wrong}, compression))


@in_thirds
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path, save, third):
    save(tmp_path / "x.npz", **ARRAYS)
    all_read_or_refused(tmp_path / "y.npz", (tmp_path / "x.npz").read_bytes(), third, seed=11, count=300)


def test_numpy_reads_what_is_written_and_the_bytes_are_the_same_twice(tmp_path):
    stored = [
        StoredTensor(name, array.dtype.newbyteorder("=").name, array.shape, lambda a=array: a)
        for name, array in ARRAYS.items()
    ]
    for name in ("a.npz", "b.npz"):
        numpy_files.write_npz(tmp_path / name, Tensors(stored))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as back:
        assert back.files == list(ARRAYS)
        assert all(
            back[name].shape == array.shape and np.array_equal(back[name], array) for name, array in ARRAYS.items()
        )
    assert all(isinstance(tensor.data.buffer, memoryview) for tensor in open_tensors(tmp_path / "a.npz").values())


def test_bfloat16_cannot_be_written(tmp_path):
    with pytest.raises(NotRepresentable, match="safetensors"):
        numpy_files.write_npz(tmp_path / "x.npz", Tensors([StoredTensor("a", "bfloat16", (1,), lambda: None)]))


def test_listing_does_not_import_numpy(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **ARRAYS)
    code = (
        "import sys; from gatewise.source import Source; from gatewise.containers import numpy_files;"
        f"t = numpy_files.read_npz(Source({str(tmp_path / 'x.npz')!r})); print(len(t), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{len(ARRAYS)} False"
