"""safetensors: what the library writes and reads, gatewise reads and writes; everything else is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import keras_helpers as helpers
import numpy as np
import pytest
from damage import all_read_or_refused
from filemakers import afresh
from hypothesis import given
from hypothesis import strategies as st
from together import in_thirds

from gatewise.containers import open_tensors, safetensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, NotRepresentable
from gatewise.tensors import StoredTensor, Strided, Tensors, numpy_dtype


def packed(header, body=b"", length=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def entry(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def opened(tmp_path, data, limits=None):
    (tmp_path / "x.safetensors").write_bytes(data)
    return open_tensors(tmp_path / "x.safetensors", *([limits] if limits else []))


def tensors_of(arrays, **more):
    stored = [StoredTensor(name, array.dtype.name, array.shape, lambda a=array: a) for name, array in arrays.items()]
    return Tensors(stored, **more)


def some_arrays():
    dice = np.random.default_rng(3)
    names = [name for name in safetensors.CODES if not name.startswith("float8")]
    return {name: dice.integers(0, 2, (3, 5)).astype(numpy_dtype(name)) for name in names}


def test_a_file_of_the_library_is_read_bit_for_bit(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    arrays = {name: array for name, array in some_arrays().items() if name not in ("bfloat16", "complex64")}
    library.save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "np"})
    tensors = open_tensors(tmp_path / "x.safetensors")
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {name: name for name in arrays}
    assert helpers.same_arrays([tensors[name].array() for name in arrays], arrays.values())
    assert tensors.written_by[0].framework == "numpy"


def test_the_library_reads_what_is_written(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    arrays = {name: array for name, array in some_arrays().items() if name not in ("bfloat16", "complex64")}
    arrays |= {"scalar": np.float32(3).reshape(()), "empty": np.zeros((0, 4), "f4"), "turned": arrays["float64"].T}
    safetensors.write(tmp_path / "x.safetensors", tensors_of(arrays, metadata={"format": "pt", "config": {}}))
    back = library.load_file(tmp_path / "x.safetensors")
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    assert list(open_tensors(tmp_path / "x.safetensors")) == list(arrays)
    assert open_tensors(tmp_path / "x.safetensors").metadata == {"format": "pt"}


@pytest.mark.framework
def test_torch_reads_what_is_written_also_where_widths_are_mixed(tmp_path):
    torch, library = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    arrays = {"odd": np.ones(3, "i1"), "half": np.ones(5, "f2"), **some_arrays()}
    safetensors.write(tmp_path / "x.safetensors", tensors_of(arrays))
    back = library.load_file(tmp_path / "x.safetensors")
    assert all(
        torch.equal(back[name].double(), torch.tensor(arrays[name].astype("f8")))
        for name in ("odd", "half", "bfloat16")
    )


def test_bfloat16_and_float8_come_as_ml_dtypes(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    kinds = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
    arrays = {name: np.linspace(-2, 2, 9).astype(getattr(ml_dtypes, name)) for name in kinds}
    safetensors.write(tmp_path / "x.safetensors", tensors_of(arrays))
    back = open_tensors(tmp_path / "x.safetensors")
    assert helpers.same_arrays([back[name].array() for name in arrays], arrays.values())


def test_a_big_endian_source_is_written_little_endian(tmp_path):
    tensor = StoredTensor("a", "float32", (2,), Strided(memoryview(np.array([1, 2], ">f4").tobytes()), big_endian=True))
    safetensors.write(tmp_path / "x.safetensors", Tensors([tensor]))
    assert (tmp_path / "x.safetensors").read_bytes()[-8:] == np.array([1, 2], "<f4").tobytes()


def test_the_same_tensors_give_the_same_bytes_and_the_header_ends_on_eight(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (first, second):
        safetensors.write(path, tensors_of(some_arrays(), metadata={"a": "b"}))
    assert first.read_bytes() == second.read_bytes()
    assert int.from_bytes(first.read_bytes()[:8], "little") % 8 == 0


def test_a_dtype_without_a_code_is_refused(tmp_path):
    with pytest.raises(NotRepresentable, match="complex128"):
        safetensors.write(tmp_path / "x", tensors_of({"a": np.zeros(1, "c16")}))


def test_tensors_are_views_and_read_only(tmp_path):
    tensor = opened(tmp_path, packed({"a": entry()}, bytes(8)))["a"]
    assert isinstance(tensor.data, Strided)
    assert not tensor.array().flags.writeable
    assert tensor.array().base is not None


def test_listing_does_not_import_numpy(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(packed({"a": entry()}, bytes(8)))
    code = (
        "import sys; from gatewise.source import Source; from gatewise.containers import safetensors;"
        f"t = safetensors.read(Source({str(tmp_path / 'x.safetensors')!r})); print(list(t), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['a'] False"


REFUSED = {
    "a header that runs past the file": (packed({"a": entry()}, length=10_000), "ends early"),
    "a header that is not JSON": (packed(b"{nonsense"), "not sound JSON"),
    "bytes that are not UTF-8": (packed(b'{"\xff": 1}'), "not sound JSON"),
    "NaN in the header": (packed(b'{"a": NaN}'), "not sound JSON"),
    "a header nested without end": (packed(b'{"a":' * 100_000), "not sound JSON"),
    "a name twice": (packed(b'{"a": 1, "a": 2}'), "twice"),
    "a key twice within an entry": (packed(b'{"a": {"dtype": "F32", "dtype": "F16"}}'), "twice"),
    "metadata that is no object": (packed({"__metadata__": []}), "__metadata__"),
    "metadata that is no string": (packed({"__metadata__": {"a": 1}}), "__metadata__"),
    "an entry that is no object": (packed({"a": 3}), "dtype, shape and data_offsets"),
    "an entry with a key too many": (packed({"a": {**entry(), "more": 1}}, bytes(8)), "nothing else"),
    "an unknown dtype": (packed({"a": entry("F7")}, bytes(8)), "F7"),
    "a dtype that is no string": (packed({"a": entry(["F32"])}, bytes(8)), "dtype"),
    "a negative size": (packed({"a": entry(shape=[-2])}, bytes(8)), "non-negative"),
    "a size that is true": (packed({"a": entry(shape=[True])}, bytes(8)), "non-negative"),
    "a size with a fraction": (packed({"a": entry(shape=[2.0])}, bytes(8)), "non-negative"),
    "three offsets": (packed({"a": {**entry(), "data_offsets": [0, 4, 8]}}, bytes(8)), "data_offsets"),
    "offsets that go backwards": (packed({"a": entry(begin=8, end=0)}, bytes(8)), "needs 8 bytes"),
    "a shape of another size": (packed({"a": entry(shape=[3])}, bytes(8)), "needs 12 bytes"),
    "a shape that overflows": (packed({"a": entry(shape=[1 << 62, 1 << 62])}, bytes(8)), "bytes"),
    "an overlap": (packed({"a": entry(), "b": entry(begin=4, end=12)}, bytes(12)), "overlaps"),
    "a hole": (packed({"a": entry(), "b": entry(begin=12, end=20)}, bytes(20)), "unused"),
    "bytes before the first": (packed({"a": entry(begin=4, end=12)}, bytes(12)), "unused"),
    "bytes behind the last": (packed({"a": entry()}, bytes(9)), "cover 8 bytes"),
    "missing bytes": (packed({"a": entry()}, bytes(7)), "cover 8 bytes"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, data, message):
    with pytest.raises(BrokenFile, match=message):
        opened(tmp_path, data)


def test_limits_hold_for_the_header_the_tensors_and_the_rank(tmp_path):
    data = packed({"a": entry(shape=[2, 1])}, bytes(8))
    for limits in (Limits(header_bytes=10), Limits(tensors=0), Limits(rank=1)):
        with pytest.raises(LimitExceeded):
            opened(tmp_path, data, limits)


def test_a_file_of_no_tensors_is_sound(tmp_path):
    assert list(opened(tmp_path, packed({}))) == []


@in_thirds
def test_a_damaged_file_is_refused_or_read_and_nothing_else(tmp_path, third):
    safetensors.write(tmp_path / "x", tensors_of(some_arrays()))
    all_read_or_refused(tmp_path / "y", (tmp_path / "x").read_bytes(), third, seed=5, count=400)


@given(st.binary(max_size=200))
def test_any_bytes_behind_a_brace_are_refused_or_read(tmp_path_factory, tail):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    afresh(path, packed(b"{" + tail))
    try:
        open_tensors(path)
    except GatewiseError as error:
        assert error.path  # noqa: PT017 - a refusal names its file
