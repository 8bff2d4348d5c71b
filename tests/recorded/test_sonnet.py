"""Sonnet's checkpoints, versions 1.36 and 2.0.2: what Sonnet computed, what is named and left alone, and the traps."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, named

import gatewise as gw
from gatewise.record import replace

FOLDER = FIXTURES / "sonnet"
FILES = sorted(FOLDER.glob("*/*.ckpt.index"))
SAID = {("1.36", "lstm_fb0"): {"forget_bias": 0.0}, ("2.0.2", "vanilla_rnn_relu"): {"activation": "relu"}}
OUTSIDE = {"lstm_peep", "lstm_layer_norm"}
SHAPES = {
    "lstm": [("lstm", 4, 5, 0)], "lstm_fb0": [("lstm", 4, 5, 0)], "lstm_proj": [("lstm", 4, 5, 3)], "gru": [("gru", 4, 5, 0)],
    "vanilla_rnn": [("rnn", 4, 5, 0)], "vanilla_rnn_relu": [("rnn", 4, 5, 0)],
    "deep_lstm": [("lstm", 4, 5, 0), ("lstm", 5, 3, 0)], "deep_gru": [("gru", 4, 5, 0), ("gru", 5, 2, 0)],
}  # fmt: skip


def opened(version, case, **said):
    return gw.open(FOLDER / version / f"{case}.ckpt.index", **said)


def record_of(version, case):
    with np.load(FOLDER / version / f"{case}.npz") as found:
        return dict(found)


def error(layers, record):
    y, final = record["x"], ()
    state = tuple(record[name] for name in ("h0", "c0") if name in record) or None
    for layer in layers:
        y, final = gw.run(layer, y, state)
    ends = [
        (y, record["y"]),
        *((value, record[n]) for n, value in zip(("h_n", "c_n"), final, strict=False) if n in record),
    ]
    assert all(one.shape == other.shape for one, other in ends)
    return max(float(np.abs(one - other).max()) for one, other in ends)


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what Sonnet recorded" for path in FILES])
def test_a_checkpoint(path):
    version, case = path.parent.name, path.name.partition(".")[0]
    checkpoint = opened(version, case, **SAID.get((version, case), {}))
    if case in OUTSIDE:
        assert not checkpoint.layers
        assert [look.name for look in checkpoint.recognised.outside] == ["lstm"]
        return
    specs = [(layer.cell, layer.spec) for layer in checkpoint.layers]
    assert [(cell, s.input_size, s.hidden_size, s.proj_size) for cell, s in specs] == SHAPES[case]
    assert error(checkpoint.layers, record_of(version, case)) <= max(map(claimed, checkpoint.layers))


def test_both_versions_are_there():
    assert {path.parent.name for path in FILES} == {"1.36", "2.0.2"}
    assert len(FILES) == 15


def test_layers_are_called_by_their_modules():
    assert [layer.name for layer in opened("2.0.2", "deep_gru").layers] == ["model/_layers/0", "model/_layers/1"]
    assert opened("1.36", "gru").only().name == "gru"


# Traps.


def test_version_2_stores_its_forget_bias_and_version_1_adds_it_at_run_time():
    for version, wanted in (("2.0.2", 0.0), ("1.36", 1.0)):
        layer, record = opened(version, "lstm").only(), record_of(version, "lstm")
        assert layer.dialect.forget_bias == wanted
        assert bool([text for text in layer.assumed if text.startswith("forget_bias")]) == bool(wanted)
        other = layer.replaced(dialect=replace(layer.dialect, forget_bias=1.0 - wanted))
        assert error([layer], record) < 1e-6 < 1e-2 < error([other], record)


@pytest.mark.parametrize("version", ["1.36", "2.0.2"])
@pytest.mark.parametrize(
    "wrong", [{"reset": "after"}, {"update": "keeps"}], ids=["reset after the product", "z keeps the old state"]
)
def test_another_form_of_the_gru_would_show(version, wrong):
    layer, record = opened(version, "gru").only(), record_of(version, "gru")
    misread = layer.replaced(dialect=replace(layer.dialect, **wrong))
    assert error([layer], record) < 1e-6 < 1e-2 < error([misread], record)


def test_version_1_has_tensorflow_s_order_and_version_2_torch_s():
    assert gw.layout("sonnet1.LSTM").gates == "igfo"
    assert gw.layout("sonnet.LSTM").gates == "ifgo"


def test_peepholes_of_version_1_scale_the_cell_state_inside_the_last_tanh_and_are_only_named():
    """Computed as sonnet/python/modules/gated_rnn.py does, to show that no gate of a plain LSTM says it."""
    checkpoint, record = opened("1.36", "lstm_peep"), record_of("1.36", "lstm_peep")
    (look,) = checkpoint.recognised.outside
    assert look.kind == "sonnet1.LSTM-peepholes"
    w = {name.rpartition("/")[2]: tensor.array().astype("f8") for name, tensor in checkpoint.tensors.items()}

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    h, c = record["h0"][0].astype("f8"), record["c0"][0].astype("f8")
    for x in record["x"].transpose(1, 0, 2):
        i, j, f, o = np.split(np.concatenate([x, h], 1) @ w["w_gates"] + w["b_gates"], 4, axis=1)
        c = sigmoid(f + w["w_f_diag"] * c + 1) * c + sigmoid(i + w["w_i_diag"] * c) * np.tanh(j)
        h = sigmoid(o) * np.tanh(c * (1 + w["w_o_diag"]))
    assert np.abs(h - record["h_n"][0]).max() < 1e-6
