"""Core ML models: there is no runtime outside of Apple's systems, so every gate is held against what the builder of
coremltools was given, list by list, and every flag against its meaning in the format's own comments."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from together import in_thirds

import gatewise as gw
from gatewise.errors import GatewiseError

HERE = Path(__file__).parent.parent / "fixtures" / "coreml" / "9.0"
OURS = {"lstm": dict(zip("ifoz", "ifog", strict=True)), "gru": dict(zip("zro", "zrn", strict=True)), "rnn": {"o": "h"}}
ROLES = {"w": "kernel", "r": "recurrent_kernel", "b": "bias", "p": "peephole"}


def only_layer(name: str) -> gw.Layer:
    (layer,) = gw.open(HERE / f"{name}.mlmodel").layers
    return layer


def arrays_of(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / f"{name}.npz") as found:
        return dict(found)


@pytest.mark.parametrize("name", ["bilstm", "lstm_coupled_reverse", "gru_sigmoid", "gru_half", "rnn"])
def test_every_gate_is_the_list_that_the_builder_was_given(name):
    layer, arrays = only_layer(name), arrays_of(name)
    for key, value in arrays.items():
        what, gate, *back = key.split("_")
        weights = layer[0, "reverse" if back else "forward"]
        found = weights.role(ROLES[what])[OURS[layer.cell][gate]]
        np.testing.assert_allclose(found, value, rtol=1e-3 if "half" in name else 0, err_msg=key)
    assert layer.parameters == sum(value.size for value in arrays.values())


def test_the_files_made_earlier_too():
    told = arrays_of("weights")
    lstm, gru = only_layer("unilstm")[0, "forward"], only_layer("gru")[0, "forward"]
    for at, gate in enumerate("ifog"):
        for role, key in (("kernel", "lstm_Wx"), ("recurrent_kernel", "lstm_Wh"), ("bias", "lstm_b")):
            np.testing.assert_array_equal(lstm.role(role)[gate], np.split(told[key], 4)[at])
    for at, gate in enumerate("ifo"):
        np.testing.assert_array_equal(lstm.peephole[gate], told["peep"][at])
    for at, gate in enumerate("zrn"):
        for role, key in (("kernel", "gru_Wx"), ("recurrent_kernel", "gru_Wh"), ("bias", "gru_b")):
            np.testing.assert_array_equal(gru.role(role)[gate], np.split(told[key], 3)[at])


def test_the_flags_mean_what_the_format_says():
    assert only_layer("unilstm").dialect.forget_bias == 1.0
    assert only_layer("bilstm").dialect.forget_bias == 0.0
    assert only_layer("bilstm").dialect.cell_clip == 7.5
    turned = only_layer("lstm_coupled_reverse").dialect
    assert (turned.coupled, turned.go_backwards, turned.backwards_in_place) == ("f", True, False)
    assert turned.cell_clip == 50.0, "0, which is not written, stands for 50"
    assert only_layer("gru").dialect.reset == "before"
    assert only_layer("rnn").dialect.activation == "relu"


def test_a_hard_sigmoid_without_numbers_is_said_to_be_assumed():
    assert only_layer("gru").dialect.recurrent_activation == "hard_sigmoid(0.2)"
    assert "is assumed" in gw.open(HERE / "gru.mlmodel").tensors.notes[0]


def test_a_weight_is_a_view_of_the_file():
    tensors = gw.open(HERE / "gru_sigmoid.mlmodel").tensors
    assert all(not tensor.array().flags.owndata for tensor in tensors.values())
    assert only_layer("gru_half").spec.dtype == "float16"


def test_quantised_weights_are_named_and_not_read():
    checkpoint = gw.open(HERE / "outside_gru_8_bits.mlmodel")
    assert checkpoint.layers == []
    (look,) = checkpoint.recognised.outside
    assert (look.kind, "quantised" in look.why) == ("quantized coreml.GRU", True)


def test_a_coupled_gate_computes_and_a_run_time_bias_counts():
    for name in ("unilstm", "lstm_coupled_reverse"):
        layer = only_layer(name)
        y, _ = gw.run(layer, np.ones((1, 3, layer.spec.input_size)))
        assert np.isfinite(y).all()


@in_thirds
def test_a_model_cut_or_with_a_byte_flipped_is_refused_or_harmless(tmp_path, third):
    data = bytearray((HERE / "bilstm.mlmodel").read_bytes())
    path = tmp_path / "x.mlmodel"
    for cut in range(3, len(data), 53)[third::3]:
        afresh(path, data[:cut])
        with pytest.raises(GatewiseError):
            gw.open(path).only()
    for at in range(0, len(data), 9)[third::3]:
        data[at] ^= 0x55
        afresh(path, data)
        with contextlib.suppress(GatewiseError):
            gw.open(path).gates()
        data[at] ^= 0x55


# ML Programs.

PROGRAMS = {"lstm": "ifog", "gru": "rnz", "rnn": "h"}
WORDS = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel", "bias": "bias", "peephole": "peephole"}


@pytest.mark.parametrize("name", ["mil_lstm_stack", "mil_bilstm", "mil_gru", "mil_rnn"])
def test_every_gate_of_a_program_is_where_the_operations_page_says(name):
    checkpoint, arrays = gw.open(HERE / f"{name}.mlpackage"), arrays_of(name)
    for key, value in arrays.items():
        word, _, at = key.rpartition("_")
        layer = checkpoint.layers[int(at)]
        order = PROGRAMS[layer.cell] if "peephole" not in word else "ifo"
        weights = layer[0, "reverse" if word.endswith("_back") else "forward"]
        for gate, block in zip(order, np.split(value, len(order)), strict=True):
            np.testing.assert_array_equal(weights.role(WORDS[word.removesuffix("_back")])[gate], block)


def test_a_program_says_what_follows_what_its_clip_and_its_direction():
    assert len(gw.open(HERE / "mil_lstm_stack.mlpackage").chains()) == 1
    (both,) = gw.open(HERE / "mil_bilstm.mlpackage").layers
    assert (both.dialect.cell_clip, len(both.directions)) == (2.5, 2)
    (turned,) = gw.open(HERE / "mil_rnn.mlpackage").layers
    assert (turned.dialect.go_backwards, turned.dialect.activation) == (True, "relu")
    (gru,) = gw.open(HERE / "mil_gru.mlpackage").layers
    assert gru.dialect.reset == "before"
    assert any("nothing was run" in text for text in gru.assumed)


@in_thirds
def test_a_programs_weights_that_are_cut_or_not_there_are_refused(tmp_path, third):
    copy = tmp_path / "x.mlpackage"
    shutil.copytree(HERE / "mil_gru.mlpackage", copy)
    weights = copy / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    data = weights.read_bytes()
    for cut in range(0, len(data), 71)[third::3]:
        afresh(weights, data[:cut])
        with pytest.raises(GatewiseError):
            gw.open(copy).gates()
    for at in range(0, len(data), 9)[third::3]:
        afresh(weights, data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        with contextlib.suppress(GatewiseError):
            gw.open(copy).gates()
    weights.unlink()
    with pytest.raises(GatewiseError, match="are not there"):
        gw.open(copy)


@in_thirds
def test_a_program_with_a_byte_flipped_is_refused_or_harmless(tmp_path, third):
    copy = tmp_path / "x.mlpackage"
    shutil.copytree(HERE / "mil_rnn.mlpackage", copy)
    model = copy / "Data" / "com.apple.CoreML" / "model.mlmodel"
    data = bytearray(model.read_bytes())
    for at in range(0, len(data), 17)[third::3]:
        data[at] ^= 0x55
        afresh(model, data)
        with contextlib.suppress(GatewiseError):
            gw.open(copy).gates()
        data[at] ^= 0x55
