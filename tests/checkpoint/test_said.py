"""What a file does not hold: it is said where something was taken for granted, what the user says is obeyed, and what
the output does hold is not called missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from filemakers import npz, torch_arrays

import gatewise as gw
from gatewise.errors import NotRepresentable, UsageError

FIXTURES = Path(__file__).parents[1] / "fixtures"
SUM = FIXTURES / "keras" / "keras-3" / "bidir_gru_sum.keras"
CORE_ML = FIXTURES / "coreml" / "9.0" / "unilstm.mlmodel"  # its clip is Core ML's default, 50000
RELU = FIXTURES / "haiku" / "0.0.17" / "VanillaRNN.pkl"
TANH = FIXTURES / "chainer" / "7.8.1" / "NStepRNNTanh.npz"


def not_held(conversion: gw.Conversion) -> list[str]:
    return [change.what for change in conversion.changes if change.what.startswith("not in the file")]


def test_how_directions_are_joined_is_assumed_where_a_file_has_no_config(tmp_path: Path) -> None:
    out = tmp_path / "bare.safetensors"
    assert "merge_mode = sum" in not_held(gw.convert(SUM, out))[0]
    (layer,) = gw.open(out).layers
    assert layer.dialect.merge == "concat"
    assert any(text.startswith("merge = concat (") for text in layer.assumed)
    (layer,) = gw.open(out, merge="sum").layers
    assert layer.dialect.merge == "sum"
    assert not any(text.startswith("merge") for text in layer.assumed)


def test_a_layer_of_one_direction_joins_nothing() -> None:
    for path, said in ((RELU, {}), (FIXTURES / "keras" / "keras-3" / "gru.keras", {"merge": "sum"})):
        (layer,) = gw.open(path, **said).layers
        assert layer.dialect.merge == "concat"
        assert not any(text.startswith("merge") for text in layer.assumed)


def test_outputs_of_two_widths_are_a_refusal_that_says_what_to_say(tmp_path: Path) -> None:
    out = tmp_path / "bare.safetensors"
    gw.convert(SUM, out)
    with pytest.raises(UsageError, match="concat, the other by sum") as caught:
        gw.verify(out, SUM)
    assert "--merge" in str(caught.value.next)
    assert gw.verify(out, SUM, merge="sum").same


def test_a_clip_that_never_bites_is_left_out_when_the_user_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRepresentable, match="clips") as caught:
        gw.convert(CORE_ML, tmp_path / "a.onnx", "onnx.LSTM")
    assert "--cell-clip inf" in str(caught.value.next)
    for name in ("a.onnx", "a.h"):
        conversion = gw.convert(CORE_ML, tmp_path / name, cell_clip=float("inf"))
        assert conversion.proof is not None
        assert conversion.proof.same
        assert gw.open(tmp_path / name).layers[0].dialect.cell_clip is None


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.h", "a.keras"])
def test_what_a_graph_or_a_config_holds_is_not_called_missing(tmp_path: Path, name: str) -> None:
    assert not_held(gw.convert(RELU, tmp_path / name)) == []
    assert gw.open(tmp_path / name).layers[0].dialect.activation == "relu"


def test_an_activation_other_than_the_one_that_a_reader_takes_is_called_missing(tmp_path: Path) -> None:
    said = not_held(gw.convert(TANH, tmp_path / "a.params", "mxnet.RNN"))  # gluon's RNN is a relu unless told
    assert len(said) == 1
    assert "activation = tanh" in said[0]
    assert not_held(gw.convert(TANH, tmp_path / "a.pt", "torch.RNN")) == []


def test_a_conversion_says_what_was_assumed(tmp_path: Path) -> None:
    conversion = gw.convert(TANH, tmp_path / "a.pt", "torch.RNN")
    assert conversion.as_dict()["layers"][0]["assumed"] == list(gw.open(TANH).layers[0].assumed) != []
    told = gw.convert(TANH, tmp_path / "b.pt", "torch.RNN", activation="relu")
    assert told.as_dict()["layers"][0]["assumed"] == []


@pytest.mark.parametrize("said", [{}, {"forget_bias": 0.0}])
def test_a_forget_bias_that_is_added_at_run_time_is_compared_with_a_stored_one(
    tmp_path: Path, said: dict[str, float]
) -> None:
    source = FIXTURES / "tf1" / "1.15.0" / "basic_lstm.ckpt"  # 1 is added at run time unless told otherwise
    for name, to in (("a.pt", "torch.LSTM"), ("a.safetensors", "mlx.LSTM")):
        out = tmp_path / name
        gw.convert(source, out, to, **said)
        found = gw.diff(source, out)
        assert found["same"] == (not said)
        worst = max(found["rows"], key=lambda row: row["max_abs"])
        if said:
            assert (worst["role"], worst["gate"]) == ("bias", "f")
            assert worst["max_abs"] == pytest.approx(1.0, abs=1e-6)


def test_equal_numbers_of_another_meaning_are_a_difference(tmp_path: Path) -> None:
    arrays = torch_arrays("rnn", 3, 4)
    one, other = npz(tmp_path / "a.npz", arrays), npz(tmp_path / "b.npz", arrays)
    assert gw.diff(one, other)["same"]
    relu = tmp_path / "relu.onnx"
    gw.convert(one, relu, to="onnx.RNN", activation="relu")
    told = gw.diff(one, relu)
    assert not told["same"]
    assert [(row["field"], row["a"], row["b"]) for row in told["meaning"]] == [("activation", "tanh", "relu")]
    assert all(row["max_abs"] == 0 for row in told["rows"])


def test_moving_averages_are_offered_and_not_converted_along(tmp_path: Path) -> None:
    path = FIXTURES / "tf1" / "1.15.0" / "train_adam_ema.ckpt"
    names = [layer.name for layer in gw.open(path).layers]
    assert len(names) == 2
    done = gw.convert(path, tmp_path / "plain.pt", to="torch.LSTM")
    assert len(gw.open(tmp_path / "plain.pt").layers) == 1
    assert any("moving averages" in change.what for change in done.changes)
    gw.convert(path, tmp_path / "average.pt", to="torch.LSTM", layer=names[1])
    assert not gw.diff(tmp_path / "plain.pt", tmp_path / "average.pt")["same"]


def test_that_stacked_cells_feed_each_other_directly_is_said(tmp_path: Path) -> None:
    path = FIXTURES / "tf1" / "1.15.0" / "multi_gru.ckpt"
    done = gw.convert(path, tmp_path / "out.keras", to="keras.GRU")
    assert any("ResidualWrapper" in text for each in done.as_dict()["layers"] for text in each["assumed"])


@pytest.mark.framework("onnx")
def test_a_graph_that_starts_from_numbers_of_its_own_says_so(tmp_path: Path) -> None:
    import numpy as np
    import onnx

    def noted(value: float) -> bool:
        model = onnx.load(FIXTURES / "onnx" / "onnx-1.23.2" / "lstm_forward.onnx")
        (node,) = (node for node in model.graph.node if node.op_type == "LSTM")
        node.input.extend([""] * (7 - len(node.input)))
        units = next(each.i for each in node.attribute if each.name == "hidden_size")
        for index, name in ((5, "own_h"), (6, "own_c")):
            node.input[index] = name
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((1, 2, units), value, "f4"), name))
        onnx.save(model, tmp_path / "own.onnx")
        return any("starts from states" in note for note in gw.open(tmp_path / "own.onnx").tensors.notes)

    assert noted(0.5)
    assert not noted(0.0)
