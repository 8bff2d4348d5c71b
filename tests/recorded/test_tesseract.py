"""Tesseract's networks, written here byte by byte as its own code writes them (src/lstm/*.cpp, ``Serialize``), and the
real English model where the corpus is there."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.errors import BrokenFile, GatewiseError

RANDOM = np.random.default_rng(27)


def network(
    kind: str, inputs: int, outputs: int, body: bytes, name: str = "", training: int = 0, flags: int = 0
) -> bytes:
    text = kind.encode()
    head = b"\0" + struct.pack("<I", len(text)) + text + bytes([training, 1])
    return head + struct.pack("<4i", flags, inputs, outputs, 0) + struct.pack("<I", len(name)) + name.encode() + body


def numbered(kind: int, rest: bytes) -> bytes:
    """As the first files tell the type: by its number."""
    size = struct.unpack("<I", rest[1:5])[0]
    return bytes([kind]) + rest[5 + size :]


def array(values: np.ndarray) -> bytes:
    return struct.pack("<2i", *values.shape) + bytes(values.itemsize) + values.tobytes()


def matrix(values: np.ndarray, form: str = "double", training: bool = False, adam: bool = False) -> bytes:
    doubles = array(values.astype("<f8"))
    floats = array(values.astype("<f4"))
    if form == "double":
        return bytes([128 | 4 * adam]) + doubles + (doubles * (2 if adam else 1) if training else b"")
    if form == "old float":
        return b"\0" + floats + (floats * 2 if training else b"")
    bytes_, scales = quantised(values)
    if form == "int8":
        return b"\x81" + array(bytes_) + struct.pack("<I", len(scales)) + scales.astype("<f8").tobytes()
    return b"\x01" + array(bytes_) + struct.pack("<I", len(scales)) + (scales / 127).astype("<f4").tobytes()


def quantised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scales = np.abs(values).max(1) / 127
    return np.rint(values / scales[:, None]).astype("i1"), scales


def weights(features: int, units: int, count: int = 4, more: int = 0) -> list[np.ndarray]:
    return [RANDOM.standard_normal((units, features + more + units + 1)) for _ in range(count)]


def lstm(
    features: int, gates: list[np.ndarray], name: str, kind: str = "LSTM", form: str = "double", **said: bool
) -> bytes:
    wide = gates[0].shape[1] - 1
    body = struct.pack("<i", wide) + b"".join(matrix(gate, form, **said) for gate in gates)
    return network(kind, features, len(gates[0]), body, name, training=int(said.get("training", False)))


def series(*inside: bytes, kind: str = "Series", flags: int = 0, behind: bytes = b"") -> bytes:
    return network(kind, 1, 1, struct.pack("<I", len(inside)) + b"".join(inside) + behind, kind, flags=flags)


def archive(lstm_component: bytes, version: bytes = b"5.3.0:test") -> bytes:
    parts = {0: b"config", 17: lstm_component, 21: b"unicharset", 23: version}
    at, offsets = 4 + 8 * 24, []
    for number in range(24):
        offsets.append(at if number in parts else -1)
        at += len(parts.get(number, b""))
    return struct.pack("<I24q", 24, *offsets) + b"".join(parts.values())


def saved(tmp_path: Path, data: bytes, name: str = "model.lstm") -> Path:
    return afresh(tmp_path / name, data)


def by_hand(gates: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """lstm.cpp, Forward: the four products over [x, h, 1], the state, held within 100, and what comes out."""
    c = h = np.zeros(len(gates[0]))
    outputs = []
    for step in x:
        g, i, f, o = (gate @ np.concatenate([step, h, [1.0]]) for gate in gates)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = np.clip(f * c + i * np.tanh(g), -100, 100)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


FORMS = ("double", "old float", "int8", "old int8")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("features", "units"), [(5, 4), (3, 3), (4, 1)])
def test_a_layer_computes_what_its_equations_say(tmp_path, form, features, units):
    gates = weights(features, units)
    path = saved(tmp_path, lstm(features, gates, "Lfx", form=form))
    layer = gw.open(path).only()
    spec = layer.spec
    assert (layer.layout, spec.input_size, spec.hidden_size, spec.bias) == ("tesseract.LSTM", features, units, "single")
    assert layer.dialect.cell_clip == 100.0
    if "int8" in form:
        gates = [bytes_ * scales[:, None] for bytes_, scales in map(quantised, gates)]
    x = RANDOM.standard_normal((7, features))
    y, _ = gw.run(layer, x[None])
    assert np.abs(y[0] - by_hand(gates, x)).max() <= (1e-6 if form.startswith("old") else 1e-12)


def test_a_quantised_matrix_says_what_it_was_made_from_and_keeps_its_bytes(tmp_path):
    tensors = gw.open(saved(tmp_path, lstm(3, weights(3, 2), "L", form="int8"))).tensors
    assert tensors["L/CI"].made_from == "bytes times the scale of their row"
    assert tensors["L/CI"].sources == ("L/CI:int8",)
    assert tensors["L/CI:int8"].dtype == "int8"


def whole() -> bytes:
    """``[1,36,0,1 Ct3,3,16 Mp3,3 Lfys48 Lfx96 Lrx96 O1c]`` in small."""
    return series(
        network("Input", 1, 1, bytes(20), "Input"),
        series(
            network("Convolve", 1, 9, bytes(8), "C"),
            network("Tanh", 9, 4, matrix(RANDOM.standard_normal((4, 10))), "T"),
        ),
        network("Maxpool", 4, 4, bytes(8), "M"),
        series(lstm(4, weights(4, 3), "Lfys3", "SummLSTM", "int8"), kind="XYTranspose"),
        lstm(3, weights(3, 5), "Lfx5", form="int8"),
        series(lstm(5, weights(5, 2), "Lrx2", form="int8"), kind="RTLReversed"),
        network("Softmax", 2, 7, matrix(RANDOM.standard_normal((7, 3)), "int8"), "Output"),
    )


@pytest.mark.parametrize("suffix", [".lstm", ".traineddata"])
def test_a_network_is_walked_and_its_layers_are_told(tmp_path, suffix):
    data = whole() + b"the rest of the recogniser"
    checkpoint = gw.open(saved(tmp_path, data if suffix == ".lstm" else archive(data), f"model{suffix}"))
    assert [(la.name, la.spec.input_size, la.spec.hidden_size, la.dialect.go_backwards) for la in checkpoint.layers] == [
        ("Lfys3", 4, 3, False), ("Lfx5", 3, 5, False), ("Lrx2", 5, 2, True),
    ]  # fmt: skip
    assert checkpoint.layers[2].match.declared.after == ("Lfx5",)
    assert checkpoint.layers[1].match.declared.after == ()  # a summary is not a sequence any more
    assert checkpoint.written_by[0].version == ("5.3.0" if suffix == ".traineddata" else ">=4.0")
    assert {"T/weights", "Output/weights"} <= set(checkpoint.tensors)


def test_what_training_keeps_beside_the_weights_is_stepped_over(tmp_path):
    for form, adam in (("double", False), ("double", True), ("old float", False)):
        first = lstm(3, weights(3, 2), "a", form=form, training=True, adam=adam) if adam else lstm(
            3, weights(3, 2), "a", form=form, training=True)  # fmt: skip
        data = series(first, lstm(2, weights(2, 4), "b"), flags=64, behind=struct.pack("<I2f", 2, 0.1, 0.1))
        assert [layer.name for layer in gw.open(saved(tmp_path, data)).layers] == ["a", "b"]


def test_types_told_by_number_and_names_used_twice(tmp_path):
    inside = [numbered(14, lstm(3, weights(3, 3), "LSTM")) for _ in range(2)]
    checkpoint = gw.open(saved(tmp_path, series(*inside)))
    assert [layer.name for layer in checkpoint.layers] == ["LSTM", "LSTM_2"]


def test_two_dimensions_and_fed_back_softmaxes_are_named_only(tmp_path):
    two = weights(3, 2, count=5, more=2)
    checkpoint = gw.open(saved(tmp_path, series(lstm(3, two, "2d"))))
    assert [look.kind for look in checkpoint.recognised.outside] == ["tesseract.LSTM-2D"]
    fed = weights(3, 2, more=5)
    inner = network("Softmax", 2, 5, matrix(RANDOM.standard_normal((5, 3))), "LSTM Softmax")
    body = struct.pack("<i", 3 + 5 + 2) + b"".join(map(matrix, fed)) + inner
    checkpoint = gw.open(saved(tmp_path, series(network("LSTMSoftmax", 3, 5, body, "fed"))))
    assert not checkpoint.layers
    assert [look.kind for look in checkpoint.recognised.outside] == ["tesseract.LSTM-softmax"]


def test_layers_beside_each_other_do_not_follow_each_other(tmp_path):
    both = series(lstm(3, weights(3, 3), "f"), series(lstm(3, weights(3, 3), "r"), kind="RTLReversed"), kind="Parallel")
    layers = gw.open(saved(tmp_path, series(lstm(2, weights(2, 3), "first"), both))).layers
    assert [layer.match.declared.after for layer in layers] == [(), (), ()]


# Cut and damaged files.


@in_thirds
def test_a_network_cut_anywhere_is_refused(tmp_path, third):
    data = series(lstm(2, weights(2, 1), "a", form="int8"), lstm(1, weights(1, 1), "b"))
    for length in range(len(data))[third::3]:
        with pytest.raises(GatewiseError):
            gw.open(saved(tmp_path, data[:length]))


@in_thirds
def test_a_flipped_byte_is_refused_or_harmless(tmp_path, third):
    data = archive(series(lstm(2, weights(2, 1), "a", form="int8")))
    for at in range(len(data))[third::3]:
        changed = bytearray(data)
        changed[at] ^= 0x81
        with contextlib.suppress(GatewiseError):
            for tensor in gw.open(saved(tmp_path, bytes(changed))).tensors.values():
                tensor.array()


def test_scales_that_are_not_one_for_each_row_are_refused(tmp_path):
    data = lstm(2, weights(2, 1), "a", form="int8")
    at = data.index(struct.pack("<I", 1) + data[-8:])
    with pytest.raises(BrokenFile, match="1 rows and 9 scales"):
        gw.open(
            saved(
                tmp_path,
                data.replace(struct.pack("<2i", 1, 4), struct.pack("<2i", 1, 4), 1)[:at]
                + b"\x09\0\0\0"
                + data[at + 4 :],
            )
        )


# The real model.


@pytest.mark.corpus
def test_the_english_model_has_four_quantised_layers():
    root = Path(os.environ.get("GATEWISE_CORPUS") or "")
    found = sorted(root.glob("**/eng.traineddata")) if os.environ.get("GATEWISE_CORPUS") else []
    if not found:
        pytest.skip("NOT IN THE CORPUS: eng.traineddata")
    checkpoint = gw.open(found[0])
    assert [(la.name, la.spec.input_size, la.spec.hidden_size, la.dialect.go_backwards) for la in checkpoint.layers] == [
        ("Lfys48", 16, 48, False), ("Lfx96", 48, 96, False), ("Lrx96", 96, 96, True), ("Lfx192", 96, 192, False),
    ]  # fmt: skip
    assert [checkpoint.tensors[f"{la.name}/CI"].shape for la in checkpoint.layers] == [
        (48, 65), (96, 145), (96, 193), (192, 289)
    ]  # fmt: skip
    assert all(checkpoint.tensors[f"{la.name}/GO:int8"].dtype == "int8" for la in checkpoint.layers)
