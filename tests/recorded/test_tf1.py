"""TensorFlow 1's checkpoints, 0.12.1 to 1.15.0: what TensorFlow computed, what is named and left alone, and the traps.

The files are found by walking tests/fixtures/tf1.  A checkpoint holds neither forget bias, nor clips, nor activation:
``SAID`` is what the maker of a case knew and the file does not tell.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded_help import FIXTURES, claimed, named
from together import folder, together

import gatewise as gw
from gatewise.errors import GatewiseError
from gatewise.record import replace

FOLDER = FIXTURES / "tf1"
FILES = [path for path in sorted(FOLDER.glob("*/*.ckpt*")) if path.name.endswith((".ckpt", ".index"))]
SAID = {
    "basic_lstm_fb0": {"forget_bias": 0.0},
    "lstm_peep_proj_clips": {"cell_clip": 0.6, "proj_clip": 0.5},
    "basic_rnn_relu": {"activation": "relu"},
    "cudnn_rnn_relu_1layer_bidir": {"activation": "relu"},
}
BLOCKS_OF_LSTM_CELL = ("1.0.1", "1.2.1", "1.3.0")  # LSTMBlockCell clips and is called lstm_cell
OUTSIDE = {
    "layer_norm_lstm": "tf1.LayerNormBasicLSTMCell", "nas": "tf1.NASCell", "sru": "tf1.SRUCell", "indrnn": "tf1.IndRNNCell",
    "indygru": "tf1.IndyGRUCell", "indylstm": "tf1.IndyLSTMCell", "glstm": "tf1.GLSTMCell",
    "conv_lstm": "convolutional recurrent layer",
}  # fmt: skip
# Cell, input, units (of both directions where they differ), projection, directions of each layer.
SHAPES = {
    "basic_rnn": [("rnn", 4, 5, 0, 1)], "basic_rnn_relu": [("rnn", 4, 5, 0, 1)], "ugrnn": [("ugrnn", 4, 5, 0, 1)],
    "lstm_peep_proj_clips": [("lstm", 4, 6, 4, 1)], "lstm_proj": [("lstm", 4, 6, 4, 1)],
    "bidir_lstm": [("lstm", 4, [5, 2], 0, 2)], "bidir_gru": [("gru", 4, 3, 0, 2)],
    "multi_lstm": [("lstm", 4, 5, 0, 1), ("lstm", 5, 3, 0, 1)], "multi_gru": [("gru", 4, 5, 0, 1), ("gru", 5, 3, 0, 1)],
    "lstm_sharded": [("lstm", 4, 5, 0, 1), ("lstm", 5, 3, 0, 1)],
    "stack_bidir_lstm": [("lstm", 4, 5, 0, 2), ("lstm", 10, 4, 0, 2)],
    "towers_lstm": [("lstm", 4, 5, 0, 1), ("lstm", 5, 3, 0, 1)] * 2,
    "cudnn_lstm_1layer": [("lstm", 4, 5, 0, 1)],
    "cudnn_lstm_3layer": [("lstm", 4, 5, 0, 1), ("lstm", 5, 5, 0, 1), ("lstm", 5, 5, 0, 1)],
    "cudnn_lstm_2layer_bidir": [("lstm", 4, 5, 0, 2), ("lstm", 10, 5, 0, 2)],
    "cudnn_gru_2layer": [("gru", 4, 5, 0, 1), ("gru", 5, 5, 0, 1)],
    "cudnn_gru_2layer_bidir": [("gru", 4, 5, 0, 2), ("gru", 10, 5, 0, 2)],
    "cudnn_rnn_tanh_2layer": [("rnn", 4, 5, 0, 1), ("rnn", 5, 5, 0, 1)],
    "cudnn_rnn_relu_1layer_bidir": [("rnn", 4, 5, 0, 2)],
}  # fmt: skip


def case_of(path: Path) -> str:
    return path.name.partition(".")[0]


def record_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_name(f"{case_of(path)}.npz")) as found:
        return dict(found)


def said_of(path: Path) -> dict[str, object]:
    case, version = case_of(path), path.parent.name
    if case.startswith("lstm_block_") and "fused" not in case and version in BLOCKS_OF_LSTM_CELL:
        return {"cell_clip": 3.0}
    if case.startswith("lstm_block_fused") and version in BLOCKS_OF_LSTM_CELL[1:]:
        return {"cell_clip": 3.0}  # the names of 1.2 and 1.3 are those of 1.4, which no longer clipped
    if case == "lstm_block_clip" and version in ("1.4.1", "1.15.0"):
        return {"cell_clip": 0.4}
    return SAID.get(case, {})


def plain(checkpoint: gw.Checkpoint) -> list[gw.Layer]:
    """The layers without the averages that lie beside them."""
    return [layer for layer in checkpoint.layers if "ExponentialMovingAverage" not in layer.name]


def computed(layers: list[gw.Stack], record: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The layers one after another, from the recorded state; where a path has bw, a tower of its own read backwards."""
    back = [layer for layer in layers if "/bw/" in layer.name.lower()]
    ends = []
    for tower, turn in (([layer for layer in layers if layer not in back], 1), (back, -1)):
        y, final = record["x"][:, ::turn], ()
        state = tuple(record[name] for name in ("h0", "c0") if name in record) or None
        for layer in tower:
            y, final = gw.run(layer, y, state)
        ends += [(y[:, ::turn], final)] if tower else []
    result = {"y": np.concatenate([y for y, _ in ends], axis=2)}
    return result | dict(zip(("h_n", "c_n"), ends[0][1], strict=False))


def error(layers: list[gw.Stack], record: dict[str, np.ndarray]) -> float:
    values = computed(layers, record)
    compared = [name for name in ("y", "h_n", "c_n") if name in record]
    assert all(values[name].shape == record[name].shape for name in compared)
    return max(float(np.abs(values[name] - record[name]).max()) for name in compared)


@together("path", FILES, of=lambda path: f"the reference computes what TensorFlow {folder(path)} recorded", said=named)
def test_a_checkpoint(path):
    checkpoint = gw.open(path, **said_of(path))
    case = case_of(path)
    if case in OUTSIDE:
        assert not checkpoint.layers
        assert {look.kind for look in checkpoint.recognised.outside} == {OUTSIDE[case]}
        return
    layers = plain(checkpoint)
    found = [
        (layer.cell, s.input_size, s.hidden_size, s.proj_size, s.directions) for layer in layers for s in (layer.spec,)
    ]
    assert found == SHAPES.get(case, [("gru" if "gru" in case else "lstm", 4, 5, 0, 1)])
    assert checkpoint.recognised.outside == ()
    assert error(layers, record_of(path)) <= max(map(claimed, layers))


def test_every_version_and_every_case_is_there():
    versions = {path.parent.name for path in FILES}
    assert versions == {"0.12.1", "1.0.1", "1.2.1", "1.3.0", "1.4.1", "1.15.0"}
    assert len(FILES) > 110


# Names.


def opened(version: str, case: str, **said: object) -> gw.Checkpoint:
    (path,) = (p for p in FILES if p.parent.name == version and case_of(p) == case)
    return gw.open(path, **said)


def names(version: str, case: str) -> list[str]:
    return sorted(layer.name for layer in plain(opened(version, case)))


@pytest.mark.parametrize(
    ("version", "case", "wanted"),
    [
        ("0.12.1", "basic_lstm", ["RNN/BasicLSTMCell"]),
        ("1.0.1", "basic_lstm", ["rnn/basic_lstm_cell"]),
        ("1.15.0", "gru", ["rnn/gru_cell"]),
        ("1.15.0", "bidir_lstm", ["tagger/bidirectional_rnn"]),
        ("0.12.1", "bidir_lstm", ["tagger/BiRNN"]),
        ("1.15.0", "multi_lstm", [f"rnn/multi_rnn_cell/cell_{n}/lstm_cell" for n in (0, 1)]),
        ("0.12.1", "stack_bidir_lstm", [f"StackRNN/Layer{n}/BiRNN" for n in (0, 1)]),
        ("1.15.0", "stack_bidir_lstm", [f"stack_bidirectional_rnn/cell_{n}/bidirectional_rnn" for n in (0, 1)]),
        ("1.15.0", "lstm_sharded", ["a/rnn/lstm_cell", "b/rnn/lstm_cell"]),
        ("1.15.0", "train_adam_ema", ["encoder/rnn/basic_lstm_cell"]),
        ("1.15.0", "cudnn_gru_2layer", [f"model/rnn/multi_rnn_cell/cell_{n}/cudnn_compatible_gru_cell" for n in (0, 1)]),
    ],
)  # fmt: skip
def test_a_layer_is_called_by_the_scope_of_its_cell_or_of_both_directions(version, case, wanted):
    assert names(version, case) == wanted


def test_two_towers_are_layers_of_one_direction_and_not_directions_of_interleaved_layers():
    layers = opened("1.15.0", "towers_lstm").layers
    assert {layer.name: layer.spec.directions for layer in layers} == {
        f"bidirectional_rnn/{way}/multi_rnn_cell/cell_{n}/lstm_cell": 1 for way in ("bw", "fw") for n in (0, 1)
    }


def test_directions_of_different_sizes_are_listed_forward_first():
    layer = opened("1.15.0", "bidir_lstm").only()
    assert layer.spec.hidden_size == [5, 2]
    assert (layer[0, "forward"].unit, layer[0, "reverse"].unit) == (5, 2)


@pytest.mark.parametrize("version", ["0.12.1", "1.0.1", "1.2.1", "1.15.0"])
def test_neither_slots_of_the_optimizer_nor_averages_are_mixed_into_a_layer(version):
    checkpoint = opened(version, "train_adam_ema")
    assert any("Adam" in name for name in checkpoint.tensors)
    (own,) = plain(checkpoint)
    assert len(own.match.tensors) == 2
    assert not any("Adam" in name for layer in checkpoint.layers for name in layer.match.tensors)
    assert not any("ExponentialMovingAverage" in name for name in own.match.tensors)
    (average,) = (layer for layer in checkpoint.layers if layer.name != own.name)
    assert average.name == f"ExponentialMovingAverage/{own.name}"
    assert own[0, "forward"].parameters == average[0, "forward"].parameters
    assert np.abs(own[0, "forward"].kernel["f"] - average[0, "forward"].kernel["f"]).max() > 0


# What a checkpoint does not hold.


def assumed(layer: gw.Layer, field: str) -> bool:
    return any(text.startswith(f"{field} = ") for text in layer.assumed)


def test_the_forget_bias_is_not_in_the_file_and_is_said_to_be_assumed():
    layer, record = opened("1.15.0", "basic_lstm").only(), record_of(FOLDER / "1.15.0" / "basic_lstm.npz")
    assert layer.dialect.forget_bias == 1.0
    assert assumed(layer, "forget_bias")
    without = opened("1.15.0", "basic_lstm", forget_bias=0.0).only()
    assert not assumed(without, "forget_bias")
    assert error([layer], record) < 1e-6 < 1e-2 < error([without], record)


def test_the_same_file_with_another_forget_bias_looks_the_same():
    record = record_of(FOLDER / "1.15.0" / "basic_lstm_fb0.npz")
    assert error([opened("1.15.0", "basic_lstm_fb0").only()], record) > 1e-2
    assert error([opened("1.15.0", "basic_lstm_fb0", forget_bias=0.0).only()], record) < 1e-6


def test_cudnn_s_canonical_tensors_have_lstm_cell_s_shapes_and_no_forget_bias_is_added():
    layer, record = opened("1.15.0", "cudnn_lstm_1layer").only(), record_of(FOLDER / "1.15.0" / "cudnn_lstm_1layer.npz")
    assert layer.dialect.forget_bias == 0.0
    assert not assumed(layer, "forget_bias")
    added = layer.replaced(dialect=replace(layer.dialect, forget_bias=1.0))
    assert error([layer], record) < 1e-6 < 1e-2 < error([added], record)


@pytest.mark.parametrize("version", ["0.12.1", "1.0.1", "1.2.1", "1.3.0"])
@pytest.mark.parametrize("case", ["lstm_block_clip", "lstm_block_fused_clip"])
def test_before_1_4_the_block_cells_held_the_cell_state_within_3(version, case):
    path = next(p for p in FILES if p.parent.name == version and case_of(p) == case)
    record = record_of(path)
    assert np.abs(record["c_n"]).max() == 3.0
    layer = gw.open(path, **said_of(path)).only()
    assert error([layer], record) < 1e-6
    unclipped = layer.replaced(dialect=replace(layer.dialect, cell_clip=None))
    assert error([unclipped], record) > 0.1


@pytest.mark.parametrize("version", ["1.4.1", "1.15.0"])
def test_since_1_4_the_block_cells_do_not_clip(version):
    path = FOLDER / version / "lstm_block_fused_clip.ckpt.index"
    assert np.abs(record_of(path)["c_n"]).max() > 5
    assert error([gw.open(path, cell_clip=None).only()], record_of(path)) < 1e-6


def test_where_names_and_version_leave_the_clip_open_that_is_a_doubt():
    def doubts(version: str, case: str, **said: object) -> list[str]:
        return [field for field, _ in opened(version, case, **said).only().match.doubts]

    assert doubts("0.12.1", "lstm_block_clip") == []  # its own names: 3, for certain
    assert opened("0.12.1", "lstm_block_clip").only().dialect.cell_clip == 3.0
    assert doubts("1.0.1", "lstm_block_clip") == ["cell_clip"]  # LSTMCell or LSTMBlockCell
    assert doubts("1.0.1", "lstm_block_fused_clip") == []
    assert doubts("1.3.0", "lstm_block_fused_clip") == ["cell_clip"]  # 1.3 or 1.4
    assert doubts("1.15.0", "lstm_block_fused_clip") == []
    assert doubts("1.3.0", "lstm_block_fused_clip", cell_clip=3.0) == []


# Traps.


def swapped(layer: gw.Stack, one: str, other: str) -> gw.Stack:
    """The same numbers with two gates taken for each other."""
    turn = {one: other, other: one}
    cells = {}
    for place, weights in layer.cells.items():
        roles = {}
        for role, gates in weights.roles.items():
            arrays = {gate: gates[gate] for gate in gates}
            roles[role] = gates.mapped(lambda gate, _, arrays=arrays: arrays[turn.get(gate, gate)])
        cells[place] = weights.with_roles(**roles)
    return layer.replaced(cells)


@pytest.mark.parametrize(
    ("case", "one", "other"),
    [("basic_lstm", "g", "f"), ("basic_lstm", "f", "o"), ("gru", "r", "z"), ("ugrnn", "z", "n")],
    ids=["i,j,f,o is not i,f,j,o", "f comes before o", "r comes before u", "g comes before c"],
)
def test_another_order_of_gates_would_show(case, one, other):
    layer, record = opened("1.15.0", case).only(), record_of(FOLDER / "1.15.0" / f"{case}.npz")
    assert error([layer], record) < 1e-6 < 1e-2 < error([swapped(layer, one, other)], record)


def test_rows_of_x_come_before_rows_of_h():
    checkpoint = opened("1.15.0", "basic_lstm")
    kernel = checkpoint.tensors["rnn/basic_lstm_cell/kernel"].array()
    first = checkpoint.only()[0, "forward"]
    np.testing.assert_array_equal(first.kernel["f"], kernel[:4, 10:15].T)
    np.testing.assert_array_equal(first.recurrent_kernel["f"], kernel[4:, 10:15].T)


@pytest.mark.parametrize(
    "wrong", [{"reset": "after"}, {"update": "writes"}], ids=["reset after the product", "u writes the new state"]
)
def test_another_form_of_the_gru_would_show(wrong):
    layer, record = opened("1.15.0", "gru").only(), record_of(FOLDER / "1.15.0" / "gru.npz")
    assert (layer.dialect.reset, layer.dialect.update) == ("before", "keeps")
    misread = layer.replaced(dialect=replace(layer.dialect, **wrong))
    assert error([layer], record) < 1e-6 < 1e-2 < error([misread], record)


def test_cudnn_s_gru_resets_after_the_product_with_two_biases_of_the_candidate():
    layers = opened("1.15.0", "cudnn_gru_2layer").layers
    assert [layer.dialect.reset for layer in layers] == ["after", "after"]
    assert [list(layer[0, "forward"].recurrent_bias) for layer in layers] == [["n"], ["n"]]


def test_the_output_peephole_reads_the_new_cell_state():
    """Its share of the last step is w_o times the c that is returned, not the one before."""
    layer, record = opened("1.15.0", "lstm_peep").only(), record_of(FOLDER / "1.15.0" / "lstm_peep.npz")
    _, (_, c_n) = gw.run(layer, record["x"], (record["h0"], record["c0"]))
    _, (h_before, c_before) = gw.run(layer, record["x"][:, :-1], (record["h0"], record["c0"]))
    w = layer[0, "forward"]
    x = record["x"][:, -1].astype("f8")
    pre = x @ w.kernel["o"].T + h_before[0] @ w.recurrent_kernel["o"].T + w.bias["o"]

    def output(c: np.ndarray) -> np.ndarray:
        return np.tanh(c_n[0]) / (1 + np.exp(-(pre + w.peephole["o"] * c)))

    assert np.abs(output(c_n[0]) - record["y"][:, -1]).max() < 1e-6
    assert np.abs(output(c_before[0]) - record["y"][:, -1]).max() > 1e-3


def test_a_coupled_cell_has_no_input_gate_of_its_own():
    layer, record = opened("1.15.0", "coupled_peep").only(), record_of(FOLDER / "1.15.0" / "coupled_peep.npz")
    assert layer.dialect.coupled == "i"
    assert list(layer[0, "forward"].kernel) == ["g", "f", "o"]
    assert error([layer], record) < 1e-6


def test_a_layer_normalised_cell_is_named_and_without_its_scales_it_is_a_plain_one():
    assert not opened("1.15.0", "layer_norm_lstm").layers
    (look,) = opened("1.15.0", "layer_norm_lstm").recognised.outside
    assert look.name == "rnn/layer_norm_basic_lstm_cell"
    assert len(look.tensors) == 11
    assert opened("1.15.0", "layer_norm_lstm_without").only().layout == "tf1.BasicLSTMCell"


# cuDNN's buffer.

OPAQUE = {
    "cudnn_lstm_1layer": ("tf1.CudnnLSTM", 1, 1), "cudnn_lstm_3layer": ("tf1.CudnnLSTM", 3, 1),
    "cudnn_lstm_2layer_bidir": ("tf1.CudnnLSTM", 2, 2), "cudnn_gru_2layer": ("tf1.CudnnGRU", 2, 1),
    "cudnn_gru_2layer_bidir": ("tf1.CudnnGRU", 2, 2), "cudnn_rnn_tanh_2layer": ("tf1.CudnnRNNTanh", 2, 1),
    "cudnn_rnn_relu_1layer_bidir": ("tf1.CudnnRNNRelu", 1, 2),
}  # fmt: skip


@pytest.mark.parametrize("case", OPAQUE)
def test_the_opaque_buffer_holds_the_same_as_the_canonical_tensors(case):
    layout, layers, directions = OPAQUE[case]
    layer = opened("1.15.0", case, layout=layout, units=5, layers=layers, directions=directions).only()
    assert (layer.spec.num_layers, layer.spec.directions, layer.spec.input_size) == (layers, directions, 4)
    assert error([layer], record_of(FOLDER / "1.15.0" / f"{case}.npz")) < 1e-6


def test_the_opaque_buffer_alone_does_not_tell_its_sizes():
    with pytest.raises(GatewiseError, match=r"one flat buffer of 1,120 numbers.* say them with units=, layers="):
        opened("1.15.0", "cudnn_lstm_2layer_bidir", layout="tf1.CudnnLSTM").only()
    layers = opened("1.15.0", "cudnn_lstm_2layer_bidir").layers
    assert [layer.layout for layer in layers] == ["tf1.CudnnCompatibleLSTMCell"] * 2


# Elsewhere.


def test_elmo_s_hdf5_weights_are_tensorflow_0_12_s_lstm_cells(tmp_path):
    """bilm-tf and AllenNLP keep them under the names of the variables; the clips of 3 are in the options beside them."""
    import h5py

    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "elmo.hdf5", "w") as file:
        for way in (0, 1):
            group = file.create_group(f"RNN_{way}/RNN/MultiRNNCell/Cell0/LSTMCell")
            for name, shape in (("W_0", (8, 24)), ("B", (24,)), ("W_P_0", (6, 4))):
                group[name] = random.uniform(-1, 1, shape).astype("f4")
    layers = gw.open(tmp_path / "elmo.hdf5", cell_clip=3.0, proj_clip=3.0).layers
    assert [(layer.name, layer.layout) for layer in layers] == [
        (f"RNN_{way}/RNN/MultiRNNCell/Cell0/LSTMCell", "tf1.LSTMCell") for way in (0, 1)
    ]
    assert [(layer.spec.input_size, layer.spec.hidden_size, layer.spec.proj_size) for layer in layers] == [
        (4, 6, 4)
    ] * 2
    assert (layers[0].dialect.forget_bias, layers[0].dialect.cell_clip, layers[0].dialect.proj_clip) == (1.0, 3.0, 3.0)
