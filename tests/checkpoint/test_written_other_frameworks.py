"""What is written for MXNet, Paddle and Chainer, and the lines that load it.

The lines were executed with MXNet 1.9.1, Chainer 7.8.1 and Paddle 3.3.1 (77 conversions, at most 3e-07 apart); here they are
held to their wording, and executed where Paddle is installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from random_layers import Recipe

import gatewise as gw
from gatewise.checkpoint.loading import Piece, load_code
from gatewise.conventions import express
from gatewise.layouts import layout
from gatewise.record import replace
from gatewise.weights import PLAIN

RELU = replace(PLAIN["rnn"], activation="relu")
LINES = {
    "mxnet.LSTM": (
        Recipe("lstm", layers=2, directions=2), "mxnet-params",
        ("import mxnet as mx\nfrom mxnet.gluon import rnn\n\n"
        "lstm = rnn.LSTM(4, num_layers=2, bidirectional=True, layout='NTC', input_size=5)\nlstm.load_parameters('x')\n"),
    ),
    "mxnet.LSTMCell": (
        Recipe("lstm", proj=3), "mxnet-params",
        ("import mxnet as mx\nfrom mxnet.gluon import contrib, rnn\n\n"
        "lstm = contrib.rnn.LSTMPCell(4, 3, input_size=5)\nlstm.load_parameters('x')\n"),
    ),
    "mxnet.RNN": (
        Recipe("rnn", dtype="float64"), "npz",
        ("import numpy\nimport mxnet as mx\nfrom mxnet.gluon import rnn\n\n"
        "arrays = {name: mx.nd.array(array, dtype=array.dtype) for name, array in numpy.load('x').items()}\n"
        "rnn_rnn = rnn.RNN(4, layout='NTC', activation='tanh', input_size=5)\nrnn_rnn.cast('float64')\n"
        "rnn_rnn.initialize()\nfor name, parameter in rnn_rnn._collect_params_with_prefix().items():\n"
        "    parameter.set_data(arrays[name])\n"),
    ),
    "paddle.LSTM": (
        Recipe("lstm", directions=2, proj=3), "paddle-params",
        ("import paddle\n\nstate = paddle.load('x')\n"
        "lstm = paddle.nn.LSTM(5, 4, direction='bidirect', proj_size=3)\nlstm.set_state_dict(state)\n"),
    ),
    "paddle.SimpleRNNCell": (
        Recipe("rnn", dialect=RELU), "safetensors",
        ("import paddle\nfrom safetensors.paddle import load_file\n\nstate = load_file('x')\n"
        "rnn = paddle.nn.SimpleRNNCell(5, 4, activation='relu')\nrnn.set_state_dict(state)\n"),
    ),
    "mindspore.GRU": (
        Recipe("gru", layers=2, bias="none"), "mindspore-ckpt",
        (
            "import mindspore\nfrom mindspore import nn\n\nparameters = mindspore.load_checkpoint('x')\n"
            "gru = nn.GRU(5, 4, num_layers=2, batch_first=True, has_bias=False)\n"
            "mindspore.load_param_into_net(gru, parameters)\n"
        ),
    ),
    "chainer.NStepBiRNN": (
        Recipe("rnn", layers=3, directions=2, dialect=RELU), "npz",
        ("import chainer\nimport chainer.links as links\n\n"
        "rnn = links.NStepBiRNNReLU(3, 5, 4, 0.0)\nchainer.serializers.load_npz('x', rnn)\n"),
    ),
    "chainer.LSTM": (
        Recipe("lstm", bias="single"), "npz",
        ("import chainer\nimport chainer.links as links\n\n"
        "lstm = links.LSTM(5, 4)\nchainer.serializers.load_npz('x', lstm)\n"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "case"), LINES.items(), ids=[f"{name} is loaded by these lines" for name in LINES])
def test_lines(name, case):
    recipe, container, lines = case
    said = express(recipe.stack, layout(name))
    assert load_code("x", container, [Piece("", layout(name), said.stack)]) == lines
    compile(lines, "lines", "exec")


def test_layers_with_names_are_taken_out_of_the_file_by_them():
    pieces = [Piece(name, layout("paddle.GRU"), Recipe("gru").stack) for name in ("encoder.rnn", "decoder")]
    lines = load_code("x", "paddle-params", pieces)
    assert "encoder_rnn.set_state_dict({key.removeprefix('encoder.rnn.'): value" in lines
    pieces = [replace_layout(piece, "mxnet.GRU") for piece in pieces]
    lines = load_code("x", "mxnet-params", pieces)
    assert "parameter.set_data(arrays['decoder.' + name])" in lines
    pieces = [replace_layout(piece, "chainer.NStepGRU") for piece in pieces]
    assert "load_npz('x', decoder, path='decoder/')" in load_code("x", "npz", pieces)


def replace_layout(piece: Piece, name: str) -> Piece:
    return Piece(piece.name, layout(name), piece.stack)


@pytest.mark.parametrize("suffix", [".params", ".pdparams"])
def test_a_layer_of_another_framework_becomes_a_bare_one_there(tmp_path, suffix):
    gw.save(Recipe("gru", layers=3, directions=2).stack, tmp_path / "x.pt", layout="torch.GRU")
    conversion = gw.convert(tmp_path / "x.pt", tmp_path / f"x{suffix}")
    assert conversion.proof.max_abs_error == 0.0
    assert gw.open(tmp_path / f"x{suffix}").only().name == ""


def test_both_directions_go_to_the_link_that_has_both(tmp_path):
    gw.save(Recipe("lstm", directions=2).stack, tmp_path / "x.pt", layout="torch.LSTM")
    assert gw.convert(tmp_path / "x.pt", tmp_path / "x.npz", to="chainer").units[0].target.name == "chainer.NStepBiLSTM"
    with pytest.raises(gw.errors.NotRepresentable, match="it has two directions, and this layer reads in one"):
        gw.save(Recipe("lstm").stack, tmp_path / "y.npz", layout="chainer.NStepBiLSTM")


def test_a_suffix_of_two_formats_is_that_of_the_framework_that_is_asked_for(tmp_path):
    gw.save(Recipe("gru").stack, tmp_path / "x.npz", layout="torch.GRU")
    for to, container in (("torch", "torch-zip"), ("mindspore", "mindspore-ckpt"), (None, "torch-zip")):
        assert gw.convert(tmp_path / "x.npz", tmp_path / "y.ckpt", to=to, force=True).container == container
    gw.convert(tmp_path / "x.npz", tmp_path / "y.ckpt", to="mindspore", force=True)
    assert gw.convert(tmp_path / "y.ckpt", tmp_path / "z.ckpt").container == "mindspore-ckpt"


@pytest.mark.framework("paddle")
@pytest.mark.parametrize(
    "recipe", [Recipe("lstm", layers=2, directions=2, proj=3), Recipe("gru", bias="none"), Recipe("rnn")]
)
def test_paddle_computes_the_same(tmp_path, recipe):
    paddle = pytest.importorskip("paddle")
    gw.save(recipe.stack.layer(0, ""), tmp_path / "x.pt", layout=f"torch.{recipe.cell.upper()}")
    conversion = gw.convert(tmp_path / "x.pt", tmp_path / "x.pdparams")
    scope: dict = {}
    exec(conversion.code, scope)
    stack = gw.open(tmp_path / "x.pt").only()
    x = np.random.default_rng(0).standard_normal((3, 7, 5)).astype("f4")
    assert np.abs(scope[recipe.cell](paddle.to_tensor(x))[0].numpy() - gw.run(stack, x)[0]).max() < 1e-6
