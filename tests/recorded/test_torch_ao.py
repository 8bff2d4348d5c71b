"""torch.ao.nn.quantizable's LSTM before quantisation, and what other libraries' torch modules call their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, error, named, record_of, recorded

import gatewise as gw
from gatewise.errors import NotRepresentable

FOLDER = FIXTURES / "torch_ao" / "2.13.0"
FILES = recorded("torch_ao", ".pt")
SHAPES = {
    "deep_both": ("LSTM", 5, 4, 2, 2, "double"), "deep_both_split": ("LSTM-split", 5, 3, 3, 2, "double"),
    "square_no_bias": ("LSTM", 3, 3, 2, 1, "none"), "one_unit_split": ("LSTM-split", 3, 1, 1, 1, "double"),
    "module": ("LSTM", 4, 3, 1, 1, "double"), "cell": ("LSTMCell", 5, 3, 1, 1, "double"),
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=[f"{named(path)} computes what torch recorded" for path in FILES])
def test_a_file(path):
    layer = gw.open(path).only()
    spec = layer.spec
    found = (spec.input_size, spec.hidden_size, spec.num_layers, spec.directions, spec.bias)
    assert (layer.layout.removeprefix("torch_ao."), *found) == SHAPES[path.stem]
    assert layer.sure
    assert error(layer, record_of(path)) <= claimed(layer)


def test_every_case_has_a_file():
    assert {path.stem for path in FILES} == SHAPES.keys()


def _saved(tmp_path: Path, shapes: dict[str, tuple[int, ...]], dtype: str = "f4") -> Path:
    random = np.random.default_rng(5)
    path = tmp_path / "model.npz"
    np.savez(path, **{name: random.standard_normal(shape).astype(dtype) for name, shape in shapes.items()})
    return path


def test_observers_beside_the_weights_change_nothing(tmp_path):
    cell = "encoder.layers.0.layer_fw.cell."
    path = _saved(tmp_path, {
        f"{cell}igates.weight": (12, 5), f"{cell}igates.bias": (12,), f"{cell}hgates.weight": (12, 3),
        f"{cell}hgates.bias": (12,), f"{cell}igates.weight_fake_quant.eps": (1,), f"{cell}igates.weight_fake_quant.min_val": (),
        f"{cell}input_gate.activation_post_process.scale": (1,), f"{cell}gates.activation_post_process.max_val": (),
    })  # fmt: skip
    layer = gw.open(path).only()
    assert (layer.name, layer.layout) == ("encoder", "torch_ao.LSTM")


def test_a_deep_bidirectional_layer_that_torch_built_wrong_is_not_read(tmp_path):
    """Built directly, its second layer takes as many features as one direction gives (torch 2.13)."""
    shapes = {}
    for level, features in ((0, 5), (1, 3)):
        for way in ("fw", "bw"):
            cell = f"layers.{level}.layer_{way}.cell."
            shapes |= {f"{cell}igates.weight": (12, features), f"{cell}hgates.weight": (12, 3)}
    checkpoint = gw.open(_saved(tmp_path, shapes))
    assert not any(layer.layout == "torch_ao.LSTM" for layer in checkpoint.layers)


# fairseq and AllenNLP.


def test_fairseqs_encoder_and_decoder_are_torchs(tmp_path):
    shapes = {f"encoder.lstm.{kind}_l{level}": shape for level, shapes in enumerate((
        {"weight_ih": (16, 5), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)},
        {"weight_ih": (16, 4), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)},
    )) for kind, shape in shapes.items()}  # fmt: skip
    for level, features in ((0, 9), (1, 4)):
        cell = f"decoder.layers.{level}."
        shapes |= {f"{cell}weight_ih": (16, features), f"{cell}weight_hh": (16, 4)}
        shapes |= {f"{cell}bias_ih": (16,), f"{cell}bias_hh": (16,)}
    layers = gw.open(_saved(tmp_path, shapes)).layers
    assert [(layer.name, layer.layout, layer.spec.input_size, layer.num_layers) for layer in layers] == [
        ("encoder.lstm", "torch.LSTM", 5, 2), ("decoder.layers.0", "torch.LSTMCell", 9, 1),
        ("decoder.layers.1", "torch.LSTMCell", 4, 1),
    ]  # fmt: skip


def test_elmos_cells_are_projected_and_their_clips_are_not_in_the_file(tmp_path):
    cell = "_elmo_lstm.backward_layer_0."
    path = _saved(tmp_path, {
        f"{cell}input_linearity.weight": (16, 5), f"{cell}state_linearity.weight": (16, 3),
        f"{cell}state_linearity.bias": (16,), f"{cell}state_projection.weight": (3, 4),
    })  # fmt: skip
    layer = gw.open(path).only()
    assert (layer.layout, layer.spec.hidden_size, layer.spec.proj_size) == ("allennlp.LstmCellWithProjection", 4, 3)
    assert len(layer.assumed) == 2
    assert "ELMo's is 3.0" in layer.assumed[0]
    assert not gw.layout(layer.layout).proven


def test_allennlps_highway_is_outside_and_without_it_the_cell_is_plain(tmp_path):
    plain = {"rnn.layer_0.input_linearity.weight": (16, 4), "rnn.layer_0.state_linearity.weight": (16, 4)}
    assert gw.open(_saved(tmp_path, plain)).only().layout == "allennlp.AugmentedLSTM"
    highway = {"rnn.layer_0.input_linearity.weight": (24, 4), "rnn.layer_0.state_linearity.weight": (20, 4),
               "rnn.layer_0.state_linearity.bias": (20,)}  # fmt: skip
    checkpoint = gw.open(_saved(tmp_path, highway))
    assert not checkpoint.layers
    assert [look.kind for look in checkpoint.recognised.outside] == ["allennlp.AugmentedLSTM-highway"]


def test_a_multiplicative_lstm_is_never_read_as_a_plain_one(tmp_path):
    """Corpus row 11's names: wx, wh and b alone would fit a plain LSTM."""
    shapes = {"wx": (5, 16), "wh": (4, 16), "wmx": (5, 4), "wmh": (4, 4), "b": (16,), "gx": (16,), "gh": (16,),
              "gmx": (4,), "gmh": (4,)}  # fmt: skip
    checkpoint = gw.open(_saved(tmp_path, {f"model/rnn/{name}": shape for name, shape in shapes.items()}))
    assert not checkpoint.layers
    assert [look.kind for look in checkpoint.recognised.outside] == ["mlstm.mLSTM"]
    with pytest.raises(Exception, match="product of x's and h's shares"):
        checkpoint.require_layers()


def test_a_conversion_keeps_the_function_and_says_that_two_biases_stay_two(tmp_path):
    done = gw.convert(FOLDER / "deep_both_split.pt", tmp_path / "plain.safetensors", to="torch.LSTM")
    assert done.proof.max_abs_error == 0.0
    with pytest.raises(NotRepresentable):
        gw.convert(FOLDER / "deep_both.pt", tmp_path / "cell.safetensors", to="torch_ao.LSTMCell")
