"""flax's MessagePack trees: read lazily and within bounds, written byte for byte as flax writes them."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from test_safetensors import tensors_of

from gatewise.containers import flax_msgpack, open_tensors
from gatewise.containers._msgpack import Extension, Reader, packed
from gatewise.cursor import DEFAULT_LIMITS, Cursor, Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, NotRepresentable

FOLDER = Path(__file__).parents[1] / "fixtures" / "flax" / "0.12.8"


def value_of(data, limits=DEFAULT_LIMITS):
    return Reader(Cursor(data), limits).value()


def opened(tmp_path, data):
    (tmp_path / "x.msgpack").write_bytes(data)
    return open_tensors(tmp_path / "x.msgpack")


def array_of(shape, dtype, raw, code=1):
    inside = b"\x93" + bytes([0x90 | len(shape)]) + b"".join(map(packed, shape)) + packed(dtype)
    inside += b"\xc4" + bytes([len(raw)]) + raw
    return b"\xc7" + bytes([len(inside), code]) + inside


VALUES = {
    "constants": (b"\x93\xc0\xc2\xc3", [None, False, True]),
    "small integers": (b"\x92\x7f\xe0", [127, -32]),
    "unsigned integers": (
        b"\x94\xcc\xff\xcd\x01\x00\xce\x00\x01\x00\x00\xcf" + b"\xff" * 8,
        [255, 256, 65536, 2**64 - 1],
    ),
    "signed integers": (b"\x94\xd0\x80\xd1\x80\x00\xd2" + b"\xff" * 4 + b"\xd3" + b"\xff" * 8, [-128, -32768, -1, -1]),
    "floats": (b"\x92\xca\x3f\x80\x00\x00\xcb" + struct.pack(">d", 0.1), [1.0, 0.1]),
    "texts": (b"\x94\xa1a\xd9\x01b\xda\x00\x01c\xdb\x00\x00\x00\x01d", ["a", "b", "c", "d"]),
    "maps and lists": (b"\xde\x00\x01\xa1a\xdc\x00\x01\x81\xa1b\x90", {"a": [{"b": []}]}),
}


@pytest.mark.parametrize(("data", "value"), VALUES.values(), ids=VALUES)
def test_every_spelling_is_read(data, value):
    assert value_of(data) == value


def test_binary_data_and_extensions_stay_views_and_a_text_that_is_none_is_bytes():
    found = value_of(b"\x95\xc4\x01a\xc5\x00\x01b\xd4\x05x\xc7\x02\xffyz\xa1\xff")
    assert [bytes(part) for part in (*found[:2], found[4])] == [b"a", b"b", b"\xff"]
    assert found[2:4] == [Extension(5, memoryview(b"x"), 10), Extension(-1, memoryview(b"yz"), 14)]


@pytest.mark.parametrize(
    "value", [0, 127, 128, 255, 256, 2**16, 2**32, 2**64 - 1, -1, -32, -33, -129, -(2**31), None, True, 0.5, "é" * 40]
)
def test_what_is_packed_is_read_back(value):
    assert value_of(packed(value)) == value


BROKEN = {
    "a code that is none": b"\xc1",
    "a list of more values than there are bytes": b"\xdd\xff\xff\xff\xff\x00",
    "a key twice": b"\x82\xa1a\x00\xa1a\x00",
    "a key that is a map": b"\x81\x80\x00",
    "a text that is cut": b"\xd9\x05ab",
    "a head that is cut": b"\xce\x00",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_format_is_refused(data):
    with pytest.raises(BrokenFile):
        value_of(data)


def test_depth_and_number_of_values_are_bounded():
    with pytest.raises(LimitExceeded, match="nesting"):
        value_of(b"\x91" * 300 + b"\xc0")
    with pytest.raises(LimitExceeded, match="objects"):
        value_of(b"\x9f" + b"\xc0" * 15, Limits(objects=10))


# flax.


def test_scalars_chunks_and_unknown_dtypes(tmp_path):
    one, two = (array_of([2], "float32", np.full(2, value, "f4").tobytes()) for value in (1, 2))
    chunked = (
        b"\x83" + packed("__msgpack_chunked_array__") + b"\xc3" + packed("shape") + b"\x82" + packed("0") + b"\x02"
    )
    chunked += packed("1") + b"\x02" + packed("chunks") + b"\x82" + packed("0") + one + packed("1") + two
    data = b"\x84" + packed("a") + one + packed("s") + array_of([], "int32", b"\x05\0\0\0", 3)
    data += packed("odd") + array_of([1], "int4", b"\0") + packed("big") + chunked
    tensors = opened(tmp_path, data)
    assert tensors.container == "flax-msgpack"
    assert {name: tensor.array().tolist() for name, tensor in tensors.items()} == {
        "a": [1, 1], "s": 5, "big": [[1, 1], [2, 2]],
    }  # fmt: skip
    assert "int4" in tensors.notes[0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x81" + packed("a") + array_of([3], "float32", b"\0" * 8), "8 bytes of elements"),
        (b"\x81" + packed("a") + array_of([-1], "float32", b""), "shape"),
        (b"\x81" + packed("a") + array_of([1] * 9, "float32", b"\0" * 4)[:-1], "ends early"),
    ],
    ids=["elements that do not fill the shape", "a negative axis", "cut"],
)
def test_a_wrong_array_is_refused(tmp_path, data, says):
    with pytest.raises(GatewiseError, match=says):
        opened(tmp_path, data)


def test_a_real_file_is_a_view_of_its_bytes_and_is_written_back_byte_for_byte(tmp_path):
    for path in sorted(FOLDER.glob("*.msgpack")):
        tensors = open_tensors(path)
        assert all(tensor.identity is not None for tensor in tensors.values())
        if path.stem == "train_state":
            continue  # it holds numbers that are no arrays
        flax_msgpack.write(tmp_path / "x.msgpack", tensors)
        assert (tmp_path / "x.msgpack").read_bytes() == path.read_bytes(), path.name


def test_names_that_would_be_an_array_and_a_branch_are_refused(tmp_path):
    for names in (("a", "a/b"), ("a/b", "a")):
        with pytest.raises(NotRepresentable):
            flax_msgpack.write(tmp_path / "x", tensors_of({name: np.ones(1) for name in names}))


def refusal(tmp_path, data):
    try:
        for tensor in opened(tmp_path, data).values():
            tensor.array()
    except GatewiseError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_cut_anywhere_or_with_a_bit_flipped_it_is_refused_in_words_or_harmless(tmp_path):
    data, dice = (FOLDER / "LSTMCell.msgpack").read_bytes(), random.Random(0)
    trials = [data[:end] for end in range(1, len(data), 3)]
    for _ in range(400):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        trials.append(bytes(flipped))
    refused = [text for trial in trials if (text := refusal(tmp_path, trial))]
    assert len(refused) > len(data) // 4
    assert not [text for text in refused if "well-formed" in text]


def test_other_messagepack_is_not_claimed(tmp_path):
    for data in (b"\x81\xa1a\x01", b"\x81\xa1a\xc7\x01\x05x", b"\x80", b"\x92\x01\x02"):
        with pytest.raises(GatewiseError, match=r"no format that gatewise reads|text file"):
            opened(tmp_path, data)


@pytest.mark.framework("flax")
def test_flax_restores_what_is_written_also_in_chunks(tmp_path, monkeypatch):
    serialization = pytest.importorskip("flax.serialization")
    rng = np.random.default_rng(0)
    arrays = {
        "params/a/kernel": rng.normal(size=(3, 5)).astype("f4"),
        "params/b": np.arange(7),
        "s": np.float32(3).reshape(()),
    }
    flax_msgpack.write(tmp_path / "x", tensors_of(arrays))
    tree = serialization.msgpack_restore((tmp_path / "x").read_bytes())
    assert np.array_equal(tree["params"]["a"]["kernel"], arrays["params/a/kernel"])
    for module, name in ((serialization, "MAX_CHUNK_SIZE"), (flax_msgpack, "_CHUNK_BYTES")):
        monkeypatch.setattr(module, name, 16)
    flax_msgpack.write(tmp_path / "y", tensors_of(arrays))
    assert (tmp_path / "y").read_bytes() == serialization.msgpack_serialize(tree)
    assert same(open_tensors(tmp_path / "y"), arrays)


def same(tensors, arrays):
    return list(tensors) == list(arrays) and all(np.array_equal(tensors[n].array(), a) for n, a in arrays.items())
