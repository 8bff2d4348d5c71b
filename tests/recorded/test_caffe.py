"""Caffe's nets, written here field by field as caffe.proto says: the LSTM's blobs by their places."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.errors import BrokenFile, GatewiseError

RANDOM = np.random.default_rng(29)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def blob(values: np.ndarray, doubles: bool = False, old: bool = False) -> bytes:
    if old:
        sizes = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(varint(n << 3) + varint(size) for n, size in enumerate(sizes, 1))
    else:
        shape = field(7, field(1, b"".join(map(varint, values.shape))))
    return shape + (field(8, values.astype("<f8").tobytes()) if doubles else field(5, values.astype("<f4").tobytes()))


def layer(name: str, kind: str, bottoms: list[str], tops: list[str], blobs: list[bytes]) -> bytes:
    body = field(1, name.encode()) + field(2, kind.encode())
    body += b"".join(field(3, each.encode()) for each in bottoms) + b"".join(field(4, each.encode()) for each in tops)
    return field(100, body + b"".join(field(7, each) for each in blobs))


def arrays(features: int, units: int) -> list[np.ndarray]:
    return [RANDOM.standard_normal(shape) for shape in ((4 * units, features), (4 * units,), (4 * units, units))]


def net(**said: bool) -> tuple[bytes, list[np.ndarray]]:
    first, second = arrays(5, 4), arrays(4, 3)
    data = field(1, b"net") + layer("embed", "Embed", ["words"], ["x"], [blob(RANDOM.standard_normal((9, 5)), **said)])
    data += layer("lstm1", "LSTM", ["x", "cont"], ["h1"], [blob(each, **said) for each in first])
    data += layer("lstm2", "LSTM", ["h1", "cont"], ["h2"], [blob(each, **said) for each in second])
    return data, first


def saved(tmp_path, data):
    return afresh(tmp_path / "net.caffemodel", data)


@pytest.mark.parametrize("said", [{}, {"doubles": True}, {"old": True}], ids=["floats", "doubles", "four old sizes"])
def test_its_lstms_are_read_by_their_blobs_places(tmp_path, said):
    data, (kernel, bias, recurrent) = net(**said)
    layers = gw.open(saved(tmp_path, data)).layers
    assert [(each.name, each.layout, each.spec.input_size, each.spec.hidden_size) for each in layers] == [
        ("lstm1", "caffe.LSTM", 5, 4), ("lstm2", "caffe.LSTM", 4, 3),
    ]  # fmt: skip
    assert layers[1].match.declared.after == ("lstm1",)
    weights = layers[0][0, "forward"]
    for number, gate in enumerate("ifog"):
        rows = slice(4 * number, 4 * number + 4)
        np.testing.assert_allclose(weights.kernel[gate], kernel[rows], rtol=1e-6)
        np.testing.assert_allclose(weights.recurrent_kernel[gate], recurrent[rows], rtol=1e-6)
        np.testing.assert_allclose(weights.bias[gate], bias[rows], rtol=1e-6)
    assert gw.layout("caffe.LSTM").status == "source only"


def test_a_static_input_is_outside_and_other_recurrent_layers_are_named(tmp_path):
    kernel, bias, recurrent = arrays(5, 4)
    static = [blob(kernel), blob(bias), blob(RANDOM.standard_normal((16, 2))), blob(recurrent)]
    plain = [blob(RANDOM.standard_normal(shape)) for shape in ((3, 5), (3,), (3, 3), (2, 3), (2,))]
    data = layer("a", "LSTM", [], [], static) + layer("b", "RNN", [], [], plain)
    checkpoint = gw.open(saved(tmp_path, data))
    assert not checkpoint.layers
    assert {look.name for look in checkpoint.recognised.outside} == {"a", "b"}


@in_thirds
def test_a_file_cut_anywhere_is_refused_or_lists_what_is_left(tmp_path, third):
    data, _ = net()
    for length in range(0, len(data), 3)[third::3]:
        with contextlib.suppress(GatewiseError):
            gw.open(saved(tmp_path, data[:length]))


def test_a_blob_whose_numbers_do_not_fill_its_shape_is_refused(tmp_path):
    wrong = field(7, field(1, varint(7))) + field(5, bytes(12))
    with pytest.raises(BrokenFile, match=r"a/0 \[7\] of float32 has 12 bytes"):
        gw.open(saved(tmp_path, layer("a", "LSTM", [], [], [wrong])))
