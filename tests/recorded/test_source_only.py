"""Tables that were read in source and never run: they are marked so, and they do not claim other people's files."""

from __future__ import annotations

import numpy as np
import pytest

import gatewise as gw
from gatewise.layouts import layouts

SOURCE_ONLY = ("burn", "marian", "flux", "dl4j", "kaldi", "matlab", "allennlp", "tesseract")
GATES = {
    "burn.Lstm": {f"rnn.{gate}_gate.{side}_transform.{what}": shape for gate in ("input", "forget", "cell", "output")
                  for side, features in (("input", 5), ("hidden", 3)) for what, shape in (("weight", (features, 3)), ("bias", (3,)))},
    "burn.Gru": {f"{gate}_gate.{side}_transform.{what}": shape for gate in ("reset", "update", "new")
                 for side, features in (("input", 5), ("hidden", 3)) for what, shape in (("weight", (features, 3)), ("bias", (3,)))},
    "marian.GRU": {"encoder_bi_W": (5, 6), "encoder_bi_Wx": (5, 3), "encoder_bi_U": (3, 6), "encoder_bi_Ux": (3, 3),
                   "encoder_bi_b": (1, 6), "encoder_bi_bx": (1, 3)},
    "flux.LSTM": {"rnn.Wi": (12, 5), "rnn.Wh": (12, 3), "rnn.bias": (12,)},
    "flux.GRU": {"rnn.Wi": (9, 5), "rnn.Wh": (9, 3), "rnn.b": (9,)},
    "dl4j.LSTM": {"1_W": (5, 12), "1_RW": (3, 12), "1_b": (1, 12)},
    "kaldi.fast-lstm": {"lstm1.W_all.LinearParams": (12, 8), "lstm1.W_all.BiasParams": (12,), "lstm1.lstm_nonlin.Params": (3, 3)},
}  # fmt: skip


def saved(tmp_path, shapes):
    random = np.random.default_rng(6)
    path = tmp_path / "model.npz"
    np.savez(path, **{name: random.standard_normal(shape).astype("f4") for name, shape in shapes.items()})
    return path


@pytest.mark.parametrize("name", GATES)
def test_names_as_the_source_has_them_are_read(tmp_path, name):
    layer = gw.open(saved(tmp_path, GATES[name])).only()
    assert (layer.layout, layer.spec.input_size, layer.spec.hidden_size) == (name, 5, 3)
    assert gw.layout(name).status == "source only"


def test_none_of_them_claims_to_be_proven():
    found = [layout for layout in layouts() if layout.framework in SOURCE_ONLY]
    assert {layout.framework for layout in found} == set(SOURCE_ONLY)
    assert not any(layout.proven for layout in found)


def test_what_is_known_from_memory_says_so_and_is_read_only_when_named(tmp_path):
    path = saved(tmp_path, {"InputWeights": (12, 5), "RecurrentWeights": (12, 3), "Bias": (12, 1)})
    assert not gw.open(path).layers
    assert gw.open(path, layout="matlab.lstmLayer").only().spec.hidden_size == 3
    assert "from memory" in gw.layout("matlab.lstmLayer").source


def test_marians_last_cell_is_a_doubt_and_its_normalised_one_outside(tmp_path):
    layer = gw.open(saved(tmp_path, GATES["marian.GRU"])).only()
    assert "final cell" in layer.match.doubts[0][1]
    checkpoint = gw.open(saved(tmp_path, GATES["marian.GRU"] | {"encoder_bi_gamma1": (1, 9)}))
    assert not checkpoint.layers
    assert [look.kind for look in checkpoint.recognised.outside] == ["marian.GRU-normalised"]


def test_dl4js_first_block_is_the_candidate_whatever_its_papers_call_it(tmp_path):
    path = saved(tmp_path, GATES["dl4j.LSTM"])
    layer = gw.open(path).only()
    kernel = np.load(path)["1_W"]
    np.testing.assert_array_equal(layer[0, "forward"].kernel["g"], kernel[:, :3].T)
    np.testing.assert_array_equal(layer[0, "forward"].kernel["i"], kernel[:, 9:].T)


@pytest.mark.parametrize("shapes", [
    {"fc1_W": (5, 12), "fc1_b": (1, 12), "fc2_W": (12, 3), "fc2_b": (1, 3)},
    {"decoder_att_W": (5, 12), "decoder_att_U": (3, 12), "decoder_att_b": (1, 12)},
    {"head.Wi": (4, 4), "head.bias": (4,)}, {"InputWeights": (3, 3)},
], ids=["dense layers", "an attention", "half a cell", "one matrix"])  # fmt: skip
def test_other_things_with_such_names_are_left_alone(tmp_path, shapes):
    assert not gw.open(saved(tmp_path, shapes)).layers
