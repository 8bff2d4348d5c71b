"""ncnn networks: what ncnn computed, gatewise computes from the .param and the .bin.  The folder is walked.

``surrounded_…`` has other layers around it, ``outside_…`` holds int8 weights, which are named and not read.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.errors import GatewiseError

HERE = Path(__file__).parent.parent / "fixtures" / "ncnn" / "1.0.20261020"
CASES = [
    path for path in sorted(HERE.parent.glob("*/*.param")) if not path.name.startswith(("outside_", "surrounded_"))
]


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as found:
        return dict(found)


def error(stack: gw.Stack, path: Path) -> float:
    record = record_of(path)
    y, _ = gw.run(stack, record["x"][None])
    assert y[0].shape == record["y"].shape
    return float(np.abs(y[0] - record["y"]).max())


def only_stack(name: str) -> gw.Stack:
    (stack,) = gw.open(HERE / f"{name}.param").stacks()
    return stack


@pytest.mark.parametrize("path", CASES, ids=[f"{path.stem} computes what ncnn did" for path in CASES])
def test_a_network(path):
    (stack,) = gw.open(path).stacks()
    claimed = float(gw.layout(stack.layout).proven.rpartition(": ")[2])
    assert error(stack, path) <= claimed


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("l_lstm_one_unit", (7, 1, 0, 1, 1)),
        ("l_lstm_projection", (5, 6, 2, 1, 1)),
        ("lstmp_dir2", (5, 4, 3, 1, 2)),
        ("l_gru_stack", (3, 4, 0, 3, 2)),
        ("l_rnn_1", (3, 5, 0, 1, 1)),
    ],
)
def test_the_sizes_of(name, sizes):
    spec = only_stack(name).spec
    assert (spec.input_size, spec.hidden_size, spec.proj_size, spec.num_layers, spec.directions) == sizes


def test_the_weights_of_other_layers_are_counted_off():
    path = HERE / "surrounded_lstm.param"
    checkpoint, record = gw.open(path), record_of(path)
    (layer,) = checkpoint.layers
    tensors = {name: tensor.array().astype("f8") for name, tensor in checkpoint.tensors.items()}
    x = record["x"] @ tensors["innerproduct0.weight"].reshape(4, 5).T + tensors["innerproduct0.bias"]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    x = x * tensors["layernorm1.gamma"] + tensors["layernorm1.beta"]
    x = np.where(x > 0, x, x * tensors["prelu2.slope"])
    y, _ = gw.run(layer, x[None])
    y = np.tanh(y[0]) @ tensors["innerproduct5.weight"].reshape(2, 3).T
    assert np.abs(y - record["y"]).max() < 1e-6


# Traps.


def test_direction_one_is_a_reverse_direction_alone_with_its_outputs_in_the_inputs_order():
    for name in ("l_lstm_1", "l_gru_1", "l_rnn_1"):
        stack = only_stack(name)
        assert len(stack.directions) == 1
        for wrong in ({"go_backwards": False, "backwards_in_place": False}, {"backwards_in_place": False}):
            other = stack.replaced(dialect=replace(stack.dialect, **wrong))
            assert error(other, HERE / f"{name}.param") > 1e-2


def test_the_fourth_row_of_a_grus_bias_is_the_hidden_one_of_n():
    stack = only_stack("l_gru_0")
    weights = stack[0, "forward"]
    assert list(weights.bias) == ["r", "z", "n"]
    assert list(weights.recurrent_bias) == ["n"]
    hidden = weights.recurrent_bias["n"]
    folded = weights.with_roles(
        recurrent_bias=None, bias=weights.bias.mapped(lambda gate, b: b + hidden if gate == "n" else b)
    )
    assert error(stack.replaced({(0, "forward"): folded}), HERE / "l_gru_0.param") > 1e-2


def test_the_gates_are_i_f_o_g_and_not_torchs():
    stack = only_stack("l_lstm_square")
    weights = stack[0, "forward"]
    swapped = dict(zip("ifog", "ifgo", strict=True))
    wrong = weights.with_roles(**{
        role: weights.role(role).mapped(lambda gate, _array, role=role: weights.role(role)[swapped[gate]])
        for role in weights.roles
    })  # fmt: skip
    assert error(stack.replaced({(0, "forward"): wrong}), HERE / "l_lstm_square.param") > 1e-2


def test_half_precision_is_a_view_and_a_table_is_opened():
    half = gw.open(HERE / "l_lstm_half.param").tensors["lstm0.weight_xc"]
    assert half.dtype == "float16"
    assert not half.array().flags.owndata
    table = gw.open(HERE / "l_lstm_table.param").tensors["lstm0.weight_xc"]
    assert (table.dtype, table.made_from) == ("float32", "a table of 256 numbers")


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_int8_weights_are_named_and_not_read(kind):
    checkpoint = gw.open(HERE / f"outside_{kind}_int8.param")
    assert checkpoint.layers == []
    (look,) = checkpoint.recognised.outside
    assert "does not dequantise" in look.why


def test_the_weights_stand_for_their_text():
    assert gw.open(HERE / "lstm_dir0.bin").layers[0].layout == "ncnn.LSTM"


# What is wrong in a file is told.


@pytest.fixture
def copy(tmp_path) -> Path:
    for suffix in (".param", ".bin"):
        shutil.copy(HERE / f"surrounded_lstm{suffix}", tmp_path / f"net{suffix}")
    return tmp_path / "net.param"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("7 7", "8 8", "announces 8 layers and lists 7"),
        ("7 7", "seven", "its second line"),
        ("7 7", "7 -7", "its second line"),
        ("LSTM lstm3 1 1", "LSTM lstm3 1 9", "names fewer than its 10 blobs"),
        ("LSTM lstm3 1 1", "LSTM lstm3 one 1", "is no layer"),
        ("LSTM lstm3", "nn.LSTM lstm3", "which is PNNX's"),
        ("0=3 1=48", "0=3 1=49999", "the file ends early"),
        ("0=3 1=48", "0=-3 1=48", "it has no units"),
        ("0=3 1=48", "0=x 1=48", "no whole number"),
        ("0=3 1=48", "0 1=48", "is no parameter"),
        ("InnerProduct innerproduct5", "Unheard innerproduct5", "bytes are left behind"),
    ],
)
def test_a_broken_text_is_refused(copy, old, new, says):
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new, 1))
    with pytest.raises(GatewiseError, match=says):
        gw.open(copy)


def test_weights_cut_anywhere_are_refused(copy):
    data = copy.with_suffix(".bin").read_bytes()
    for cut in range(0, len(data), 7):
        afresh(copy.with_suffix(".bin"), data[:cut])
        with pytest.raises(GatewiseError):
            gw.open(copy)
    copy.with_suffix(".bin").unlink()
    with pytest.raises(GatewiseError, match="not beside it"):
        gw.open(copy)


@in_thirds
def test_a_flipped_byte_is_refused_or_harmless(copy, third):
    text = copy.read_bytes()
    for at in range(8, len(text))[third::3]:
        afresh(copy, text[:at] + bytes([text[at] ^ 0x15]) + text[at + 1 :])
        try:
            gw.open(copy).gates()
        except GatewiseError:
            continue
