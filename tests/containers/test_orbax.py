"""Orbax folders: zarr of both versions, plain and in OCDBT; chunks, shards, and what of a folder is missing or broken."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh

import gatewise as gw
from gatewise.containers import _zstd, open_tensors
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded

FOLDER = Path(__file__).parents[1] / "fixtures" / "flax" / "0.12.8"
KINDS = ("ocdbt", "zarr", "zarr3", "nnx_state")


def v2(shape, chunks, **more):
    said = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<f4", "order": "C", "fill_value": None}
    return json.dumps({**said, "compressor": None, "filters": None, "dimension_separator": ".", **more})


def v3(shape, chunk, codecs, **more):
    grid = {"name": "regular", "configuration": {"chunk_shape": chunk}}
    said = {"zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "float32", "chunk_grid": grid}
    return json.dumps({**said, "chunk_key_encoding": {"name": "default"}, "fill_value": 0.5, "codecs": codecs, **more})


def folder_of(tmp_path, files):
    for name, content in files.items():
        path = tmp_path / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path / "x"


ARRAY = np.arange(15, dtype="<f4").reshape(5, 3)


def pieces(array, step, big=False):
    """Chunks by place, each whole: the edge is filled up."""
    counts = [-(-size // by) for size, by in zip(array.shape, step, strict=True)]
    whole = np.zeros([count * by for count, by in zip(counts, step, strict=True)], "f4")
    whole[tuple(slice(0, size) for size in array.shape)] = array
    for row in range(counts[0]):
        for column in range(counts[1]):
            part = whole[row * step[0] : (row + 1) * step[0], column * step[1] : (column + 1) * step[1]]
            yield (row, column), np.ascontiguousarray(part, ">f4" if big else "<f4")


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_folder_shows_its_tensors_by_their_paths(kind):
    tensors = open_tensors(FOLDER / f"{kind}.orbax")
    assert tensors.container == "orbax"
    assert tensors.written_by[0].framework == "orbax"
    names = set(tensors)
    assert any(name.endswith(("cell/hn/bias", "cell/dense_i/bias/value")) for name in names)
    assert not any("ocdbt" in name or "." in name for name in names)


@pytest.mark.parametrize("kind", ["zarr", "ocdbt"])
def test_without_the_compiled_library_the_numbers_are_the_same(monkeypatch, kind):
    one = {name: tensor.array().copy() for name, tensor in open_tensors(FOLDER / f"{kind}.orbax").items()}
    monkeypatch.setattr(_zstd, "_by_library", lambda _raw, _most: None)
    two = {name: tensor.array() for name, tensor in open_tensors(FOLDER / f"{kind}.orbax").items()}
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_moment_of_optax_in_a_store_is_no_layer():
    checkpoint = gw.open(FOLDER / "ocdbt.orbax")
    assert [layer.name for layer in checkpoint.layers] == [
        "params/encoder",
        "params/layers_0/cell",
        "params/layers_1/cell",
    ]


@pytest.mark.parametrize("packing", ["none", "zlib", "gzip"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_version_2_in_several_chunks(tmp_path, packing, order):
    packed = {"none": bytes, "zlib": zlib.compress, "gzip": gzip.compress}[packing]
    files = {"a.b/.zarray": v2([5, 3], [2, 2], order=order, compressor=None if packing == "none" else {"id": packing})}
    files |= {f"a.b/{r}.{c}": packed(part.tobytes(order)) for (r, c), part in pieces(ARRAY, (2, 2))}
    tensors = open_tensors(folder_of(tmp_path, files))
    assert list(tensors) == ["a/b"]
    assert np.array_equal(tensors["a/b"].array(), ARRAY)


def test_one_plain_chunk_is_a_view_and_a_missing_one_is_filled(tmp_path):
    files = {"a/.zarray": v2([5, 3], [5, 3]), "a/0.0": ARRAY.tobytes(), "b/.zarray": v2([5, 3], [2, 3], fill_value=7)}
    files |= {"b/1.0": ARRAY[2:4].tobytes(), "s/.zarray": v2([], [], dtype=">i8"), "s/0": (5).to_bytes(8, "big")}
    tensors = open_tensors(folder_of(tmp_path, files))
    assert tensors["a"].identity is not None
    assert np.array_equal(tensors["a"].array(), ARRAY)
    assert tensors["b"].array().tolist() == [[7] * 3, [7] * 3, *ARRAY[2:4].tolist(), [7] * 3]
    assert tensors["s"].array() == 5


def test_version_3_turned_big_endian_and_in_shards(tmp_path):
    codecs = [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "big"}},
    ]
    files = {"t/zarr.json": v3([5, 3], [2, 2], codecs)}
    files |= {f"t/c/{r}/{c}": part.tobytes("F") for (r, c), part in pieces(ARRAY, (2, 2), big=True)}
    index, body = [], b""
    for number, (_, part) in enumerate(pieces(ARRAY, (2, 3))):
        index += [len(body), part.nbytes] if number != 1 else [2**64 - 1] * 2
        body += part.tobytes() if number != 1 else b""
    inner = {
        "chunk_shape": [2, 3],
        "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
    }
    files["s/zarr.json"] = v3([5, 3], [6, 3], [{"name": "sharding_indexed", "configuration": inner}])
    files["s/c/0/0"] = body + np.array(index, "<u8").tobytes() + b"\0\0\0\0"
    tensors = open_tensors(folder_of(tmp_path, files))
    assert np.array_equal(tensors["t"].array(), ARRAY)
    assert tensors["s"].array().tolist() == [*ARRAY[:2].tolist(), [0.5] * 3, [0.5] * 3, *ARRAY[4:].tolist()]


UNREAD = {
    "blosc": v2([2], [2], compressor={"id": "blosc"}),
    "filters": v2([2], [2], filters=[{"id": "delta"}]),
    "text": v2([2], [2], dtype="<U4"),
    "an irregular grid": v3([2], [2], [], chunk_grid={"name": "rectilinear"}),
}


@pytest.mark.parametrize("said", UNREAD.values(), ids=UNREAD)
def test_what_is_not_read_is_left_out_with_a_note(tmp_path, said):
    name = "zarr.json" if 'zarr_format": 3' in said else ".zarray"
    tensors = open_tensors(folder_of(tmp_path, {f"a/{name}": said, "b/.zarray": v2([1], [1]), "b/0": b"\0\0\0\0"}))
    assert list(tensors) == ["b"]
    assert "array 'a'" in tensors.notes[0]


BROKEN = {
    "no JSON": "{",
    "a negative size": v2([-1], [1]),
    "chunks of another rank": v2([2, 2], [2]),
    "no object": "[]",
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_a_wrong_description_is_refused(tmp_path, said):
    with pytest.raises(BrokenFile, match="not a sound description"):
        open_tensors(folder_of(tmp_path, {"a/.zarray": said}))


def test_a_chunk_of_another_length_is_refused(tmp_path):
    tensors = open_tensors(folder_of(tmp_path, {"a/.zarray": v2([2, 2], [1, 2]), "a/0.0": b"123"}))
    with pytest.raises(BrokenFile, match="3 bytes where 8 belong"):
        tensors["a"].array()


def test_of_a_manager_s_steps_the_last_is_read_and_its_items_have_names(tmp_path):
    for step in (5, 10):
        for item in ("state", "ema"):
            shutil.copytree(FOLDER / "zarr.orbax", tmp_path / "run" / str(step) / item)
    tensors = open_tensors(tmp_path / "run")
    assert "steps 5, 10" in tensors.notes[0]
    assert {name.partition("/params")[0] for name in tensors if "params" in name} == {"10/state", "10/ema"}


def test_a_store_without_its_data_files_says_which_is_missing(tmp_path):
    shutil.copytree(FOLDER / "ocdbt.orbax", tmp_path / "x")
    shutil.rmtree(tmp_path / "x" / "d")
    with pytest.raises(BrokenFile, match="refers to d/"):
        open_tensors(tmp_path / "x")


def refusal(folder):
    try:
        for tensor in open_tensors(folder).values():
            tensor.array()
    except GatewiseError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_a_store_with_a_bit_flipped_or_cut_is_refused_in_words_or_harmless(tmp_path):
    shutil.copytree(FOLDER / "ocdbt.orbax", tmp_path / "x")
    dice, files = random.Random(0), [tmp_path / "x" / "manifest.ocdbt", *(tmp_path / "x" / "d").iterdir()]
    for path in files:
        whole = path.read_bytes()
        for _ in range(40):
            changed = bytearray(whole)
            changed[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
            afresh(path, changed if dice.random() < 0.7 else whole[: dice.randrange(len(whole))])
            text = refusal(tmp_path / "x")
            assert text is None or len(text) > 20
        afresh(path, whole)
    assert refusal(tmp_path / "x") is None


# Zstandard.

PLAIN = {
    "nothing": b"",
    "one byte over and over": b"a" * 5000,
    "a repeated text": b"weight_ih_l0 bias_hh_l0 " * 400,
    "numbers": np.arange(9000, dtype="<i4").tobytes(),
    "noise": np.random.default_rng(0).bytes(3000),
    "letters": bytes(random.Random(1).choices(b"abcdefgh \n", weights=[9, 5, 3, 2, 1, 1, 1, 1, 6, 1], k=140_000)),
}


@pytest.mark.framework("zstandard")
@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("level", [-5, 1, 3, 9, 19])
def test_every_frame_of_the_library_is_read_without_it(monkeypatch, plain, level):
    library = pytest.importorskip("zstandard")
    monkeypatch.setattr(_zstd, "_by_library", lambda _raw, _most: None)
    for more in ({}, {"write_checksum": True}, {"write_content_size": False}):
        packed = library.ZstdCompressor(level=level, **more).compress(plain)
        assert _zstd.decompress(packed, len(plain), "a test") == plain


def test_a_frame_may_not_open_to_more_than_was_announced(monkeypatch):
    monkeypatch.setattr(_zstd, "_by_library", lambda _raw, _most: None)
    bomb = b"\x28\xb5\x2f\xfd\x00\x58" + (1 | 1 << 1 | 100_000 << 3).to_bytes(3, "little") + b"\0"
    assert len(_zstd.decompress(bomb, 100_000, "a test")) == 100_000
    with pytest.raises(LimitExceeded):
        _zstd.decompress(bomb, 99_999, "a test")


def test_a_broken_frame_is_refused(monkeypatch):
    monkeypatch.setattr(_zstd, "_by_library", lambda _raw, _most: None)
    whole = (FOLDER / "zarr.orbax" / "params.cell.hn.kernel" / "0.0").read_bytes()
    for raw in (b"nonsense", whole[:-1], whole[:9], b"\x28\xb5\x2f\xfd\x03" + whole[5:]):
        with pytest.raises(GatewiseError):
            _zstd.decompress(raw, 1000, "a test")
