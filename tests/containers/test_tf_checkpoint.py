"""TensorFlow checkpoints, V2 and V1: real ones bit for bit, made ones in every shape, broken ones with a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tf_help as tf
from filemakers import afresh
from hypothesis import given
from hypothesis import strategies as st
from together import in_thirds

from gatewise.containers import open_tensors
from gatewise.containers._crc32c import crc32c
from gatewise.containers._snappy import decompressed
from gatewise.cursor import DEFAULT_LIMITS, Limits
from gatewise.errors import BrokenFile, ContainerError, GatewiseError, LimitExceeded, UsageError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tf"
DICE = np.random.default_rng(5)
SOME = {
    "rnn/lstm_cell/kernel": DICE.normal(size=(8, 20)).astype("f4"),
    "rnn/lstm_cell/bias": DICE.normal(size=20).astype("f4"),
    "global_step": np.array(7, "i8"),
    "half": np.arange(6, dtype="f2").reshape(2, 3),
    "empty": np.zeros((0, 4), "f4"),
}
REAL = sorted(
    path
    for name in ("basic_lstm", "lstm_sharded", "lstm_partitioned")
    for path in FIXTURES.glob(f"tf-*/{name}.ckpt.index")
)


def same(tensors, arrays):
    assert sorted(tensors) == sorted(arrays)
    for name, array in arrays.items():
        found = tensors[name].array()
        assert found.dtype == array.dtype
        assert np.array_equal(found, array), name


# Real files.


@pytest.mark.parametrize("path", REAL, ids=[f"{p.parent.name}/{p.name} holds what its session held" for p in REAL])
def test_a_real_checkpoint(path):
    tensors = open_tensors(path)
    with np.load(path.with_name(path.name.replace(".ckpt.index", ".npz"))) as record:
        kept = {name.removeprefix("w/"): record[name] for name in record.files if name.startswith("w/")}
    assert tensors.container == "tf-checkpoint"
    same(tensors, wholes(kept))


def wholes(kept):
    """A session holds a partitioned variable as ``kernel/part_0``, ``kernel/part_1`` …: its file holds ``kernel``."""
    made = {name: array for name, array in kept.items() if "/part_" not in name}
    for name in {name.rpartition("/")[0] for name in kept if "/part_" in name}:
        pieces = [
            kept[f"{name}/part_{number}"] for number in range(sum(each.startswith(f"{name}/part_") for each in kept))
        ]
        made[name] = np.concatenate(pieces)
    return made


def test_partitioned_variables_are_joined_when_asked_for():
    tensors = open_tensors(FIXTURES / "tf-1.15.0" / "lstm_partitioned.ckpt.index")
    assert "slices" in tensors["p/rnn/lstm_cell/kernel"].where
    assert not tensors["p/rnn/lstm_cell/kernel"].array().flags.writeable


def test_a_tensor_is_a_view_of_its_data_file():
    kernel = open_tensors(FIXTURES / "tf-1.15.0" / "basic_lstm.ckpt.index")["rnn/basic_lstm_cell/kernel"]
    assert not kernel.array().flags.owndata
    assert kernel.identity is not None


# Which file.

NAMES = ["x.ckpt", "x.ckpt.index", "x.ckpt.data-00000-of-00001", "x.ckpt.meta", "."]


@pytest.mark.parametrize("name", NAMES, ids=[f"{name} means the checkpoint" for name in NAMES])
def test_all_names_of_a_checkpoint(name, tmp_path):
    tf.checkpoint(tmp_path / "x.ckpt", SOME)
    (tmp_path / "x.ckpt.meta").write_bytes(tf.message((1, tf.message((5, "1.15.0")))))
    same(open_tensors(tmp_path / name), SOME)


def test_a_directory_means_the_checkpoint_that_its_state_file_names(tmp_path):
    tf.checkpoint(tmp_path / "x.ckpt-1", {"a": np.ones(2, "f4")})
    tf.checkpoint(tmp_path / "x.ckpt-2", {"b": np.ones(2, "f4")})
    with pytest.raises(UsageError, match="holds 2 checkpoints") as refused:
        open_tensors(tmp_path)
    assert "x.ckpt-1, x.ckpt-2" in str(refused.value)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/home/me/run/x.ckpt-2"\n')
    assert list(open_tensors(tmp_path)) == ["b"]


def test_a_packed_directory_is_read_without_unpacking_it(tmp_path):
    (tmp_path / "run").mkdir()
    tf.checkpoint(tmp_path / "run" / "x.ckpt", SOME)
    packed = shutil.make_archive(str(tmp_path / "run"), "gztar", tmp_path, "run")
    same(open_tensors(packed), SOME)


# Made files.


@pytest.mark.parametrize("per_block", [1, 2, 1000], ids="{} entries in a block".format)
def test_many_blocks(per_block, tmp_path):
    arrays = {f"scope/layer_{number:03d}/kernel": np.full((2, 2), number, "f4") for number in range(100)}
    same(open_tensors(tf.checkpoint(tmp_path / "x", arrays, per_block=per_block)), arrays)


def test_big_endian_data_is_read_as_such(tmp_path):
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    entries = {b"": tf.header(big=True), b"a": tf.entry(1, (2, 3), 0, 24)}
    index = tf.written(tmp_path / "x", entries, array.tobytes())
    assert np.array_equal(open_tensors(index)["a"].array(), array)


def test_tensors_of_strings_are_left_out_with_a_note(tmp_path):
    tensors = open_tensors(tf.checkpoint(tmp_path / "x", SOME, texts={"vocabulary": b"abc"}))
    same(tensors, SOME)
    assert tensors.notes == ("1 tensors hold no numbers and are left out, the first is vocabulary.",)


@pytest.mark.parametrize("axis", [0, 1], ids="sliced along axis {}".format)
def test_slices_along_an_axis(axis, tmp_path):
    array = DICE.normal(size=(6, 9)).astype("f4")
    index = sliced(tmp_path, array, [_place(axis, start, 3) for start in range(0, array.shape[axis], 3)])
    same(open_tensors(index), {"a": array})


def _place(axis, start, size):
    return [(start, size) if each == axis else (0, -1) for each in range(2)]


def sliced(tmp_path, array, places):
    """A checkpoint of one partitioned variable called ``a``."""
    entries = {b"": tf.header(), b"a": tf.entry(1, array.shape, 0, 0, slices=map(tf.slice_message, places))}
    data = b""
    for place in places:
        piece = array[tuple(slice(start, None if size < 0 else start + size) for start, size in place)]
        entries[tf.slice_key(b"a", tf.slice_place(place))] = tf.entry(1, piece.shape, len(data), piece.nbytes)
        data += np.ascontiguousarray(piece).tobytes()
    return tf.written(tmp_path / "x", entries, data)


def test_v1_holds_the_same_in_one_file(tmp_path):
    arrays = {name: array for name, array in SOME.items() if array.dtype != "f2"}
    arrays |= {"double": np.ones((2, 2)), "flags": np.array([True, False]), "count": np.array([-3, 5], "i4")}
    path = tf.v1_checkpoint(tmp_path / "model.ckpt", arrays)
    same(open_tensors(path), arrays)
    assert not open_tensors(path)["rnn/lstm_cell/kernel"].array().flags.owndata


# Checksums and snappy.


def test_the_checksum_is_the_one_of_rfc_3720():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@given(st.binary(max_size=3000))
def test_folding_gives_what_going_byte_by_byte_gives(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    assert crc32c(data) == state ^ 0xFFFFFFFF


def packed(plain: bytes) -> bytes:
    """Snappy with one literal and a copy of it where that fits: not small, but sound."""
    half = len(plain) // 2
    if half and plain == plain[:half] * 2 and half <= 64:
        return (
            tf.varint(len(plain))
            + bytes([(half - 1) << 2])
            + plain[:half]
            + bytes([(half - 1) << 2 | 2])
            + half.to_bytes(2, "little")
        )
    return tf.varint(len(plain)) + bytes([61 << 2]) + (len(plain) - 1).to_bytes(2, "little") + plain


def test_compressed_blocks_are_opened(tmp_path):
    same(open_tensors(tf.checkpoint(tmp_path / "x", SOME, pack=packed)), SOME)


def opened(data: bytes) -> bytes:
    return bytes(decompressed(memoryview(data), DEFAULT_LIMITS, path="x", where="block"))


@given(st.binary(min_size=1, max_size=64), st.integers(1, 40))
def test_a_copy_may_overlap_what_it_makes(text, more):
    length = min(len(text) * more, 64)
    data = tf.varint(len(text) + length) + bytes([(len(text) - 1) << 2]) + text
    data += bytes([(length - 1) << 2 | 2]) + len(text).to_bytes(2, "little")
    assert opened(data) == (text * 65)[: len(text) + length]


BOMBS = {
    "a block that announces gigabytes": (tf.varint(1 << 33) + b"\0a", LimitExceeded),
    "a block that announces more than snappy can pack": (tf.varint(10_000) + b"\0a", BrokenFile),
    "a copy from before the beginning": (tf.varint(8) + b"\0a" + b"\x1e\x05\x00", BrokenFile),
    "a copy from nowhere": (tf.varint(8) + b"\0a" + b"\x1e\x00\x00", BrokenFile),
    "a literal past the end": (tf.varint(8) + b"\x1cab", BrokenFile),
    "more than was announced": (tf.varint(1) + b"\x04abc", BrokenFile),
    "less than was announced": (tf.varint(9) + b"\x04ab", BrokenFile),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_compressed_block_is_bounded(name):
    data, refusal = BOMBS[name]
    with pytest.raises(refusal):
        opened(data)


# Broken files.


def refused(index: Path, match: str, limits: Limits = DEFAULT_LIMITS) -> GatewiseError:
    with pytest.raises(ContainerError, match=match) as refusal:
        open_tensors(index, limits)
    assert refusal.value.path is not None
    return refusal.value


def test_a_missing_data_file_is_named(tmp_path):
    index = tf.checkpoint(tmp_path / "x.ckpt", SOME)
    (tmp_path / "x.ckpt.data-00000-of-00001").unlink()
    refused(index, r"data file x.ckpt.data-00000-of-00001 is missing; it holds 5 of its tensors")


def test_a_cut_data_file_is_refused_when_it_is_opened(tmp_path):
    index = tf.checkpoint(tmp_path / "x.ckpt", SOME)
    data = tmp_path / "x.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    refused(index, r"which has 100")


def test_a_wrong_checksum_is_refused(tmp_path):
    index = tf.checkpoint(tmp_path / "x.ckpt", SOME)
    raw = bytearray(index.read_bytes())
    raw[30] ^= 1
    index.write_bytes(raw)
    refused(index, "checksum")


BAD_ENTRIES = {
    "an offset past the data file": (tf.entry(1, (2,), 1000, 8), "which has 8"),
    "a negative offset": (tf.entry(1, (2,), -8, 8), "bytes -8 to 0"),
    "a size that its shape does not give": (tf.entry(1, (3,), 0, 8), "needs 12 bytes"),
    "a shard that does not exist": (tf.entry(1, (2,), 0, 8, shard=4), "data file 4 of 1"),
    "a negative shard": (tf.entry(1, (2,), 0, 8, shard=-1), "data file -1 of 1"),
    "a size of minus one": (tf.entry(1, (-1,), 0, 8), "without a shape"),
    "more axes than any tensor has": (tf.entry(1, (1,) * 40, 0, 8), "40 rank"),
    "a wire type that there is not": (b"\x0f", "wire type"),
    "slices that are not there": (tf.entry(1, (2,), 0, 0, slices=[tf.slice_message([(0, 2)])]), "not in the index"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_an_entry_with(name, tmp_path):
    value, match = BAD_ENTRIES[name]
    refused(tf.written(tmp_path / "x", {b"": tf.header(), b"a": value}, bytes(8)), match)


BAD_SLICES = {
    "overlapping slices": ([_place(0, 0, 4), _place(0, 3, 2)], "overlap"),
    "slices with a hole": ([_place(0, 0, 3), _place(0, 4, 2)], "hold 45 elements"),
    "a slice past the end": ([_place(0, 0, 3), _place(0, 3, 4)], "has a slice"),
    "slices that overlap along two axes": ([[(0, 3), (0, 6)], [(2, 2), (0, 9)], [(4, 2), (0, 9)]], "overlap"),
}


@pytest.mark.parametrize("name", BAD_SLICES)
def test_a_partitioned_variable_with(name, tmp_path):
    places, match = BAD_SLICES[name]
    refused(sliced(tmp_path, np.zeros((6, 9), "f4"), places), match)


def test_blocks_that_go_in_circles_are_refused(tmp_path):
    first = tf.sealed(tf.block([(b"", tf.header()), (b"a", tf.entry(1, (2,), 0, 8))]))
    handle = tf.varint(0) + tf.varint(len(first) - 5)
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(8))
    (tmp_path / "x.index").write_bytes(tf.finished(first, [(b"a", handle), (b"b", handle)]))
    refused(tmp_path / "x.index", "does not lie behind the one before it")


def test_keys_out_of_order_are_refused(tmp_path):
    first = tf.sealed(tf.block([(b"", tf.header()), (b"b", b""), (b"a", b"")], restart=1))
    (tmp_path / "x.index").write_bytes(tf.finished(first, [(b"b", tf.varint(0) + tf.varint(len(first) - 5))]))
    refused(tmp_path / "x.index", "not sorted")


def test_a_table_of_somebody_else_is_no_checkpoint(tmp_path):
    (tmp_path / "x.ldb").write_bytes(tf.table({b"aaaa": b"1", b"bbbb": b"2"}))
    with pytest.raises(ContainerError, match=r"ldb"):
        open_tensors(tmp_path / "x.ldb")


@in_thirds
@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_cut_anywhere_it_is_refused(kind, third, tmp_path):
    arrays = {name: array for name, array in SOME.items() if array.dtype != "f2"}
    path = tf.v1_checkpoint(tmp_path / "x", arrays) if kind == "v1" else tf.checkpoint(tmp_path / "x", arrays)
    whole = path.read_bytes()
    for size in range(len(whole))[third::3]:
        afresh(path, whole[:size])
        with pytest.raises(ContainerError):
            open_tensors(path)


@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_one_flipped_bit_is_refused_or_harmless(kind, tmp_path):
    arrays = {"rnn/kernel": SOME["rnn/lstm_cell/kernel"][:2, :2], "step": SOME["global_step"]}
    path = tf.v1_checkpoint(tmp_path / "x", arrays) if kind == "v1" else tf.checkpoint(tmp_path / "x", arrays)
    whole = path.read_bytes()
    for at in range(len(whole)):
        raw = bytearray(whole)
        raw[at] ^= 1 << at % 8
        afresh(path, raw)
        try:
            tensors = open_tensors(path)
        except GatewiseError:
            continue
        same(tensors, arrays)
