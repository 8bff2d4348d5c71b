"""ggml's files: torch's layers in GGUF, sizes turned round, and the rows of tensors that came before."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from filemakers import afresh
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded
from together import in_thirds

import gatewise as gw
from gatewise.errors import GatewiseError, LimitExceeded

FOLDER = FIXTURES / "ggml" / "gguf-0.19.0"
FILES = [path for path in recorded("ggml", ".gguf") if path.stem != "quantised"]
SHAPES = {"lstm": ("torch.LSTM", 5, 4, 2, 2), "gru": ("torch.GRU", 3, 3, 1, 1)}


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what torch recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    found = (layer.layout, spec.input_size, spec.hidden_size, spec.num_layers, spec.directions)
    assert (layer.name, *found) == ("enc", *SHAPES[path.stem])
    assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


def test_a_matrix_in_quantised_blocks_is_left_out_and_named():
    checkpoint = gw.open(FOLDER / "quantised.gguf")
    assert not checkpoint.layers
    assert "enc.weight_ih_l0 is kept in quantised blocks (ggml type 8)" in checkpoint.tensors.notes[0]
    assert "enc.weight_hh_l0" in checkpoint.tensors


def old(tensors: dict[str, np.ndarray]) -> bytes:
    """As whisper.cpp's convert-silero-vad-to-ggml.py writes."""
    kind = b"silero-16k"
    data = struct.pack("<I", 0x67676D6C) + struct.pack("<i", len(kind)) + kind + struct.pack("<3i", 6, 2, 0)
    data += struct.pack("<3i", 512, 64, 4) + struct.pack("<12i", *range(1, 13)) + struct.pack("<4i", 128, 128, 128, 1)
    for name, array in tensors.items():
        data += struct.pack("<3i", array.ndim, len(name), int(array.dtype == np.float16))
        data += struct.pack(f"<{array.ndim}i", *reversed(array.shape)) + name.encode() + array.tobytes()
    return data


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_silero_as_whisper_cpp_keeps_it_is_torchs_cell(tmp_path, dtype):
    random = np.random.default_rng(8)
    shapes = {"weight_ih": (12, 5), "weight_hh": (12, 3), "bias_ih": (12,), "bias_hh": (12,)}
    tensors = {"_model.stft.forward_basis_buffer": random.standard_normal((6, 1, 4)).astype("f2")}
    tensors |= {f"_model.decoder.rnn.{k}": random.standard_normal(s).astype(dtype) for k, s in shapes.items()}
    path = tmp_path / "silero.bin"
    path.write_bytes(old(tensors))
    checkpoint = gw.open(path)
    layer = checkpoint.only()
    assert (layer.name, layer.layout, layer.spec.input_size) == ("_model.decoder.rnn", "torch.LSTMCell", 5)
    for name, array in tensors.items():
        np.testing.assert_array_equal(checkpoint.tensors[name].array(), array)


# Cut and damaged files.


@in_thirds
def test_a_file_cut_anywhere_is_refused(tmp_path, third):
    whole = (FOLDER / "gru.gguf").read_bytes()
    end = len(whole) - 64  # what pads the last tensor may be missing
    for length in range(end)[third::3]:
        path = tmp_path / "cut.gguf"
        afresh(path, whole[:length])
        with pytest.raises(GatewiseError):
            gw.open(path)


@in_thirds
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, third):
    whole = (FOLDER / "gru.gguf").read_bytes()
    for at in range(500)[third::3]:
        changed = bytearray(whole)
        changed[at] ^= 0x81
        path = tmp_path / "flipped.gguf"
        afresh(path, changed)
        with contextlib.suppress(GatewiseError):
            for tensor in gw.open(path).tensors.values():
                tensor.array()


def test_a_count_of_tensors_past_reason_is_refused(tmp_path):
    path = tmp_path / "huge.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0))
    with pytest.raises(LimitExceeded):
        gw.open(path)
