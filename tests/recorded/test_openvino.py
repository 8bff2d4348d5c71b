"""OpenVINO models: what its CPU plugin computed, gatewise computes from the .xml and the .bin.  The folder is walked."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh

import gatewise as gw
from gatewise.errors import GatewiseError

FOLDER = Path(__file__).parent.parent / "fixtures" / "openvino"
CASES = sorted(FOLDER.glob("*/*.xml"))
HERE = FOLDER / "2026.4.1"


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as found:
        return dict(found)


def largest(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(np.asarray(one, np.float64) - other).max())


def error(stack: gw.Stack, record: dict[str, np.ndarray]) -> float:
    """Each sample with its own length: what lies behind it is zero, and a reverse direction begins at its last step."""
    x, y = record["x"], record["y0"]
    states = [record[name] for name in ("h0", "c0") if name in record]
    if x.ndim == 2:  # a cell's single step
        _, final = gw.run(stack, x[:, None], tuple(state[None] for state in states))
        return max(largest(value[0], record[f"y{at}"]) for at, value in enumerate(final))
    turned = "layout" in record  # an imported ONNX model: [time, batch, …]
    x = x.transpose(1, 0, 2) if turned else x
    errors = []
    for sample, length in enumerate(record.get("lengths", record.get("seq", np.full(len(x), x.shape[1])))):
        given = tuple(state[sample : sample + 1].transpose(1, 0, 2) for state in states) or None
        ours, final = gw.run(stack, x[sample : sample + 1, :length], given)
        theirs = y[:, :, sample] if turned else y[sample]
        if theirs.ndim == 3:  # [direction, time, unit], of an imported ONNX model [time, direction, unit]
            theirs = theirs if turned else theirs.transpose(1, 0, 2)
            theirs = theirs.reshape(theirs.shape[0], -1)
        errors.append(largest(ours[0], theirs[:length]))
        errors.append(float(np.abs(theirs[length:]).max(initial=0.0)))
        for at, value in enumerate(final, 1):
            if f"y{at}" in record:
                last = record[f"y{at}"]
                errors.append(largest(value[:, 0], last[:, sample] if turned else last[sample]))
    return max(errors)


@pytest.mark.parametrize("path", CASES, ids=[f"{path.stem} computes what OpenVINO did" for path in CASES])
def test_a_model(path):
    (stack,) = gw.open(path).stacks()
    claimed = float(gw.layout(stack.layout).proven.rpartition(": ")[2])
    record = record_of(path)
    if path.name.startswith("onnx_"):
        record["layout"] = np.array("time")
    assert error(stack, record) <= claimed


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("lstm_one_unit", [(7, 1, 1)]),
        ("lstm_bidirectional", [(5, 4, 2)]),
        ("lstm_stack", [(3, 4, 1), (4, 4, 1), (4, 4, 1)]),
        ("gru_stack_both_ways", [(3, 4, 2), (8, 4, 2)]),
        ("cell_lstm", [(5, 4, 1)]),
    ],
)
def test_the_layers_of(name, sizes):
    checkpoint = gw.open(HERE / f"{name}.xml")
    specs = [layer.spec for layer in checkpoint.layers]
    assert [(spec.input_size, spec.hidden_size, spec.directions) for spec in specs] == sizes
    assert len(checkpoint.chains()) == 1


# Traps.


def test_half_precision_is_told_and_it_is_what_openvino_saves_unless_told_otherwise():
    (layer,) = gw.open(HERE / "lstm_half_precision.xml").layers
    assert layer.spec.dtype == "float16"
    assert layer[0, "forward"].kernel["f"].base is not None, "a view of the .bin, not a copy"


def test_the_fourth_row_of_a_grus_bias_is_the_hidden_one_of_n():
    path = HERE / "gru_after_forward.xml"
    (layer,) = gw.open(path).layers
    assert (layer.spec.reset, layer.spec.bias) == ("after", "double")
    weights = layer[0, "forward"]
    assert list(weights.recurrent_bias) == ["n"]
    folded = weights.with_roles(
        recurrent_bias=None, bias=weights.bias.mapped(lambda gate, b: b + weights.recurrent_bias.get(gate, 0.0))
    )
    wrong = layer.replaced({(0, "forward"): folded})
    assert error(wrong, record_of(path)) > 1e-2


@pytest.mark.parametrize("gates", ["ifgo", "iofg", "ifog"])
def test_the_gates_are_f_i_c_o_and_no_other_order(gates):
    path = HERE / "lstm_forward.xml"
    (layer,) = gw.open(path).layers
    order = dict(zip("figo", gates, strict=True))

    def misread(role):
        return lambda gate, _array: layer[0, "forward"].role(role)[order[gate]]

    weights = layer[0, "forward"]
    wrong = weights.with_roles(**{name: weights.role(name).mapped(misread(name)) for name in weights.roles})
    assert error(layer.replaced({(0, "forward"): wrong}), record_of(path)) > 1e-2


def test_a_lone_reverse_direction_begins_at_the_last_step_and_gives_its_outputs_in_the_inputs_order():
    path = HERE / "lstm_reverse.xml"
    (layer,) = gw.open(path).layers
    for wrong in ({"backwards_in_place": False}, {"go_backwards": False, "backwards_in_place": False}):
        assert error(layer.replaced(dialect=replace(layer.dialect, **wrong)), record_of(path)) > 1e-2


def test_an_imported_onnx_model_keeps_onnxs_order_and_turns_it_in_the_graph():
    checkpoint = gw.open(HERE / "onnx_lstm_bidirectional.xml")
    kernel = checkpoint.tensors[checkpoint.layers[0].match.tensors[0]]
    assert kernel.made_from == "Concat of W"
    assert not np.array_equal(kernel.array(), checkpoint.tensors["W"].array())


def test_the_weights_stand_for_their_graph():
    assert gw.open(HERE / "lstm_forward.bin").layers[0].layout == "openvino.LSTMSequence"


# What is wrong in a file is told.


@pytest.fixture
def copy(tmp_path) -> Path:
    for suffix in (".xml", ".bin"):
        shutil.copy(HERE / f"onnx_gru_lbr1_bidirectional{suffix}", tmp_path / f"model{suffix}")
    return tmp_path / "model.xml"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('<?xml version="1.0"?>', '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>', "document type"),
        ('<?xml version="1.0"?>', '<?xml version="1.0"?><?run this?>', "an instruction"),
        ('offset="0"', 'offset="99999"', "of the weights, which have"),
        ('offset="0"', 'offset="-4"', "of the weights, which have"),
        ('id="1"', 'id="0"', "two layers have the id 0"),
        ("</net>", "", "not sound XML"),
        ("<layers>", "<layer>", "outside of any graph"),
        ("<net ", "<nut ", "is XML text"),
    ],
)
def test_a_broken_graph_is_refused(copy, old, new, says):
    text = copy.read_text()
    assert old in text
    copy.write_text(text.replace(old, new, 1))
    with pytest.raises(GatewiseError, match=says):
        gw.open(copy)


def test_a_constant_whose_shape_is_not_its_bytes_is_refused(copy):
    text = copy.read_text()
    copy.write_text(re.sub(r'shape="2, 12, 5"', 'shape="2, 12, 6"', text, count=1))
    with pytest.raises(GatewiseError, match="is not 480 bytes"):
        gw.open(copy)


def test_a_computed_constant_that_is_not_what_the_graph_says_is_refused(copy):
    text = copy.read_text()
    at = text.index('type="Concat"')
    output = text.index("<output>", at)
    copy.write_text(text[:output] + text[output:].replace("<dim>16</dim>", "<dim>12</dim>", 1))
    with pytest.raises(GatewiseError):
        gw.open(copy).layers[0][0, "forward"].bias["z"]


def test_weights_that_are_cut_or_not_there_are_refused(copy):
    binary = copy.with_suffix(".bin")
    binary.write_bytes(binary.read_bytes()[:-20])
    with pytest.raises(GatewiseError, match="of the weights, which have"):
        gw.open(copy)
    binary.unlink()
    with pytest.raises(GatewiseError, match="not beside it"):
        gw.open(copy)


def test_a_graph_cut_anywhere_or_with_a_byte_flipped_is_refused_or_harmless(copy):
    text = copy.read_bytes()
    for cut in range(0, len(text), 997):
        afresh(copy, text[:cut])
        with pytest.raises(GatewiseError):
            gw.open(copy)
    for at in range(0, len(text), 331):
        afresh(copy, text[:at] + bytes([text[at] ^ 0x15]) + text[at + 1 :])
        try:
            gw.open(copy).gates()
        except GatewiseError:
            continue


def test_a_cycle_of_operators_is_no_constant(copy):
    text = copy.read_text()
    edges = re.findall(r'<edge from-layer="(\d+)" from-port="(\d+)" to-layer="(\d+)" to-port="(\d+)" />', text)
    concat = re.search(r'<layer id="(\d+)" name="[^"]*" type="Concat"', text)[1]
    old = next(edge for edge in edges if edge[2] == concat)
    line = '<edge from-layer="{}" from-port="{}" to-layer="{}" to-port="{}" />'
    copy.write_text(text.replace(line.format(*old), line.format(concat, 4, *old[2:])))
    assert gw.open(copy).layers == []
    assert "only when the model runs" in gw.open(copy).tensors.notes[0]
