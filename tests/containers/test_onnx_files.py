"""ONNX files: what is listed under which name, what is declared of recurrent nodes, and what is refused."""

from __future__ import annotations

import random
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import onnx_help as make
import pytest
from clock import seconds

import gatewise as gw
from gatewise.containers import container, open_tensors
from gatewise.cursor import Limits
from gatewise.errors import BrokenFile, GatewiseError, LimitExceeded, UsageError
from gatewise.source import Source
from gatewise.tensors import Tensors

FIXTURES = Path(__file__).parent.parent / "fixtures" / "onnx"
MODELS = sorted(FIXTURES.glob("*/*.onnx"))


def opened(folder: Path, content: bytes) -> Tensors:
    return open_tensors(make.saved(folder, content))


def test_there_are_fixtures() -> None:
    assert len(MODELS) > 30


# Tensors.


def test_tensors_keep_the_file_s_names_shapes_and_elements(tmp_path: Path) -> None:
    nodes, tensors = make.lstm()
    found = opened(tmp_path, make.model(make.graph(nodes, tensors, ["X"])))
    assert found.container == "onnx"
    assert {name: tensor.shape for name, tensor in found.items()} == {"W": (1, 16, 5), "R": (1, 16, 4), "B": (1, 32)}
    np.testing.assert_array_equal(found["W"].array(), np.random.default_rng(1).standard_normal((1, 16, 5)).astype("f4"))


TYPED = {
    "float_data, packed": (1, "<f4", [1.5, -2.0, 3.25], lambda v: make.piece(4, v.tobytes())),
    "float_data, not packed": (1, "<f4", [1.5, -2.0, 3.25], lambda v: b"".join(b"\x25" + e.tobytes() for e in v)),
    "double_data": (11, "<f8", [1.5, -2.0, 1e-9], lambda v: make.piece(10, v.tobytes())),
    "int32_data": (6, "<i4", [1, -2, 1 << 30], lambda v: make.piece(5, b"".join(map(make.encoded_varint, v.tolist())))),
    "int8 in int32_data": (3, "i1", [1, -2, 127], lambda v: make.piece(5, b"".join(map(make.encoded_varint, v.tolist())))),
    "int64_data": (7, "<i8", [1, -2, 1 << 60], lambda v: make.piece(7, b"".join(map(make.encoded_varint, v.tolist())))),
    "int64_data, not packed": (7, "<i8", [1, -2, 300], lambda v: b"".join(make.number(7, e) for e in v.tolist())),
    "uint64_data": (13, "<u8", [1, 1 << 63, 5], lambda v: make.piece(11, b"".join(map(make.encoded_varint, v.tolist())))),
    "float16 as bits in int32_data": (
        10, "<f2", [1.5, -2.0, 0.1], lambda v: make.piece(5, b"".join(map(make.encoded_varint, v.view("<u2").tolist()))),
    ),
    "raw float16": (10, "<f2", [1.5, -2.0, 0.1], lambda v: make.piece(9, v.tobytes())),
    "raw bool": (9, "?", [True, False, True], lambda v: make.piece(9, v.tobytes())),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "dtype", "values", "stored"), TYPED.values(), ids=TYPED)
def test_every_way_of_storing_elements_gives_the_same_numbers(tmp_path, kind, dtype, values, stored) -> None:
    wanted = np.array(values, dtype)
    found = opened(tmp_path, make.model(make.graph([], [make.tensor("t", [3], kind=kind, more=stored(wanted))])))
    np.testing.assert_array_equal(found["t"].array(), wanted)


def test_bfloat16_is_read_by_its_bits(tmp_path: Path) -> None:
    found = opened(tmp_path, make.model(make.graph([], [make.tensor("t", [2], b"\x80\x3f\x00\xc0", 16)])))
    assert found["t"].dtype == "bfloat16"
    assert found["t"].array().astype("f4").tolist() == [1.0, -2.0]


def test_what_has_no_plain_numbers_is_left_with_a_note(tmp_path: Path) -> None:
    strings = make.tensor("words", [1], kind=8, more=make.piece(6, "a"))
    sparse = make.piece(15, make.piece(1, make.floats("sparse", (2,))) + make.number(3, 9) + make.number(3, 4))
    found = opened(
        tmp_path, make.model(make.graph([], [strings, make.tensor("nibbles", [2], b"\x12", 22)], more=sparse))
    )
    assert list(found) == []
    assert any("strings" in note for note in found.notes)
    assert any("int4" in note for note in found.notes)
    assert any("'sparse' (9 × 4) is sparse" in note for note in found.notes)


def test_constants_are_tensors_and_axes_are_not(tmp_path: Path) -> None:
    nodes = [
        make.node("Constant", [], ["weight"], value=("t", make.floats("", (3, 2)))),
        make.node("Constant", [], ["axes"], value=("t", make.longs("", [0, 1]))),
        make.node("Constant", [], ["list"]) + make.piece(
            5, make.piece(1, "value_floats") + b"\x3d\x00\x00\x80\x3f" + b"\x3d\x00\x00\x00\x40" + make.number(20, 6)
        ),
    ]  # fmt: skip
    found = opened(tmp_path, make.model(make.graph(nodes)))
    assert list(found) == ["weight", "list"]
    assert found["list"].array().tolist() == [1.0, 2.0]


def test_two_branches_may_use_one_name_and_their_tensors_stay_apart(tmp_path: Path) -> None:
    def branch(seed: int) -> bytes:
        return make.graph([make.node("Identity", ["w"], ["out"])], [make.floats("w", (2,), seed)])

    chosen = make.node("If", ["c"], ["y"], "choice", then_branch=("g", branch(1)), else_branch=("g", branch(2)))
    found = opened(tmp_path, make.model(make.graph([chosen], inputs=["c"])))
    assert list(found) == ["w", "choice/else_branch/w"]
    assert found["w"].array().tolist() != found["choice/else_branch/w"].array().tolist()


# Recurrent nodes.


def test_a_node_is_declared_with_its_inputs_attributes_and_name(tmp_path: Path) -> None:
    nodes, tensors = make.lstm(ways=2)
    (said,) = opened(tmp_path, make.model(make.graph(nodes, tensors, ["X"]))).declared
    assert (said.kind, said.name) == ("onnx.LSTM", "lstm")
    assert said.inputs == {"W": "W", "R": "R", "B": "B"}
    assert said.settings == {"hidden_size": 4, "direction": "bidirectional", "opset": 17}


def test_activations_are_told_one_by_one_and_their_parameters_are_used_up_in_order(tmp_path: Path) -> None:
    names = ["HardSigmoid", "tanh", "LeakyRelu", "HardSigmoid", "Tanh", "Elu"]
    raw = make.piece(1, "activations") + b"".join(make.piece(9, name) for name in names) + make.number(20, 8)
    alphas = (
        make.piece(1, "activation_alpha")
        + b"".join(b"\x3d" + np.float32(a).tobytes() for a in (0.25, 0.3))
        + make.number(20, 6)
    )
    nodes, tensors = make.lstm(ways=2)
    nodes[0] += make.piece(5, raw) + make.piece(5, alphas)
    (said,) = opened(tmp_path, make.model(make.graph(nodes, tensors, ["X"]))).declared
    own = {key: value for key, value in said.settings.items() if key.startswith("activations")}
    assert own == {"activations[0]": "hard_sigmoid(0.25)", "activations[1]": "Tanh", "activations[2]": "LeakyRelu(0.3)"}
    assert said.settings["reverse"] == {
        "activations[0]": "hard_sigmoid(0.2)", "activations[1]": "Tanh", "activations[2]": "Elu(1)",
    }  # fmt: skip


def turned(inner: str = "w", out: str = "W") -> tuple[list[bytes], list[bytes]]:
    """Torch's blocks i f g o turned to i o f c, as torch's exporter does it."""
    cuts = {"i": (0, 4), "o": (12, 16), "fg": (4, 12)}
    tensors = [make.longs("axes", [0])]
    nodes = []
    for gate, (start, end) in cuts.items():
        tensors += [make.longs(f"start {gate}", [start]), make.longs(f"end {gate}", [end])]
        nodes.append(make.node("Slice", [inner, f"start {gate}", f"end {gate}", "axes"], [f"{inner} {gate}"]))
    nodes.append(make.node("Concat", [f"{inner} {gate}" for gate in cuts], [f"{inner} joined"], axis=0))
    nodes.append(make.node("Unsqueeze", [f"{inner} joined", "axes"], [out]))
    return nodes, tensors


def test_weights_that_the_graph_turns_round_are_found_and_computed_when_asked(tmp_path: Path) -> None:
    nodes, tensors = turned()
    nodes.append(make.node("LSTM", ["X", "W", "R"], ["Y"], "lstm", hidden_size=4))
    stored = [make.floats("w", (16, 5), 1), make.floats("R", (1, 16, 4), 2)]
    found = opened(tmp_path, make.model(make.graph(nodes, [*stored, *tensors], ["X"])))
    (said,) = found.declared
    made = found[said.inputs["W"]]
    assert (made.shape, made.dtype, made.sources) == ((1, 16, 5), "float32", ("w",))
    assert made.made_from == "Slice, Concat, Unsqueeze of w"
    w = found["w"].array()
    np.testing.assert_array_equal(made.array(), np.concatenate([w[:4], w[12:], w[4:12]])[None])


def test_one_set_of_weights_in_two_branches_is_one_set_of_tensors(tmp_path: Path) -> None:
    def branch(name: str) -> bytes:
        nodes, _ = turned(out=f"W {name}")
        return make.graph([*nodes, make.node("LSTM", ["X", f"W {name}", "R"], ["Y"], name, hidden_size=4)])

    _, numbers = turned()
    stored = [make.floats("w", (16, 5), 1), make.floats("R", (1, 16, 4), 2), *numbers]
    chosen = make.node("If", ["c"], ["y"], "if", then_branch=("g", branch("one")), else_branch=("g", branch("two")))
    found = opened(tmp_path, make.model(make.graph([chosen], stored, ["c", "X"])))
    one, two = found.declared
    assert (one.name, two.name) == ("one", "two")
    assert one.inputs == two.inputs


def test_a_function_s_node_is_declared_once_for_each_call_with_the_call_s_weights(tmp_path: Path) -> None:
    inner = make.function(
        "Layer", ["x", "w", "r"], ["y"], [make.node("LSTM", ["x", "w", "r"], ["y"], "inner", hidden_size=4)]
    )
    calls = [
        make.node("Layer", ["X", "W1", "R1"], ["mid"], "first", "own"),
        make.node("Layer", ["mid", "W2", "R2"], ["Y"], "second", "own"),
    ]
    stored = [make.floats(name, (1, 16, size)) for name, size in (("W1", 5), ("R1", 4), ("W2", 4), ("R2", 4))]
    found = opened(tmp_path, make.model(make.graph(calls, stored, ["X"]), functions=[inner]))
    assert [(said.name, said.inputs) for said in found.declared] == [
        ("inner", {"W": "W1", "R": "R1"}), ("second/inner", {"W": "W2", "R": "R2"}),
    ]  # fmt: skip


def test_weights_that_only_a_run_knows_are_said_to_be_so(tmp_path: Path) -> None:
    found = opened(
        tmp_path, make.model(make.graph([make.node("GRU", ["X", "W", "R"], ["Y"], "gru")], inputs=["X", "W", "R"]))
    )
    assert any("'gru' (onnx.GRU) is given W and R only when the model runs" in note for note in found.notes)


def test_weights_unpacked_from_int8_are_declared_as_quantised(tmp_path: Path) -> None:
    nodes = [
        make.node("DequantizeLinear", ["w", "scale", "zero"], ["W"]),
        make.node("LSTM", ["X", "W", "R"], ["Y"], "lstm", hidden_size=4),
    ]
    stored = [
        make.tensor("w", [1, 16, 5], bytes(80), 3),
        make.floats("scale", ()),
        make.tensor("zero", [], b"\0", 3),
        make.floats("R", (1, 16, 4)),
    ]
    (said,) = opened(tmp_path, make.model(make.graph(nodes, stored, ["X"]))).declared
    assert said.kind == "quantized onnx.LSTM"
    assert said.inputs == {"W": "w", "R": "R"}


FOLLOWING = {
    "through Squeeze": (1, [("Squeeze", {"axes": [1]})], True),
    "through Transpose and Reshape": (2, [("Transpose", {"perm": [0, 2, 1, 3]}), ("Reshape", {"shape": [0, 0, -1]})], True),
    "two transposes that undo each other": (
        1, [("Squeeze", {"axes": [1]}), ("Transpose", {"perm": [1, 0, 2]}), ("Transpose", {"perm": [1, 0, 2]})], True,
    ),
    "with time and batch exchanged": (1, [("Squeeze", {"axes": [1]}), ("Transpose", {"perm": [1, 0, 2]})], False),
    "with the directions not brought together": (2, [("Reshape", {"shape": [0, 0, -1]})], False),
    "through a computation": (1, [("Squeeze", {"axes": [1]}), ("Relu", {})], False),
}  # fmt: skip


@pytest.mark.parametrize(("ways", "between", "follows"), FOLLOWING.values(), ids=FOLLOWING)
def test_a_layer_follows_another_only_through_shapes_that_keep_its_sequence(tmp_path, ways, between, follows) -> None:
    direction = {"direction": "bidirectional"} if ways == 2 else {}
    nodes = [make.node("LSTM", ["X", "W", "R"], ["Y"], "first", hidden_size=4, **direction)]
    name = "Y"
    for index, (op, attributes) in enumerate(between):
        nodes.append(make.node(op, [name], [f"v{index}"], **attributes))
        name = f"v{index}"
    nodes.append(make.node("LSTM", [name, "W2", "R"], ["Z"], "second", hidden_size=4, **direction))
    stored = [make.floats("W", (ways, 16, 5)), make.floats("R", (ways, 16, 4)), make.floats("W2", (ways, 16, 4 * ways))]
    _, second = opened(tmp_path, make.model(make.graph(nodes, stored, ["X"]), opset=11)).declared
    assert second.after == (("first",) if follows else ())


def test_layers_come_in_the_graph_s_order_whatever_the_order_of_their_weights(tmp_path: Path) -> None:
    """tf2onnx writes the last layer's weights first."""
    nodes = [
        make.node("LSTM", ["X", "W", "R"], ["Y"], "first", hidden_size=4),
        make.node("Squeeze", ["Y", "one"], ["mid"]),
        make.node("LSTM", ["mid", "W2", "R2"], ["Z"], "second", hidden_size=4),
    ]
    shapes = {"W2": (1, 16, 4), "R2": (1, 16, 4), "W": (1, 16, 5), "R": (1, 16, 4)}
    stored = [make.longs("one", [1]), *(make.floats(name, shape) for name, shape in shapes.items())]
    checkpoint = gw.open(make.saved(tmp_path, make.model(make.graph(nodes, stored, ["X"]))))
    assert [layer.name for layer in checkpoint.layers] == ["first", "second"]
    (stack,) = checkpoint.stacks()
    assert (stack.num_layers, stack.spec.input_size) == (2, 5)


# A folder, or a packed one.


def test_a_folder_with_one_model_is_that_model_with_the_data_beside_it(tmp_path: Path) -> None:
    inner = tmp_path / "zoo" / "lstm"
    inner.mkdir(parents=True)
    (inner / "w.bin").write_bytes(bytes(24))
    make.saved(inner, make.model(make.graph([], [make.external("w", (2, 3), location="w.bin")])))
    with tarfile.open(tmp_path / "zoo.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "zoo", "zoo")
    for path in (tmp_path / "zoo", tmp_path / "zoo.tar.gz"):
        assert open_tensors(path)["w"].array().shape == (2, 3)
    make.saved(inner, make.model(make.graph()), "other.onnx")
    with pytest.raises(GatewiseError, match="is a directory"):
        open_tensors(tmp_path / "zoo")


# External data.


def test_external_data_beside_the_model_is_mapped_and_its_file_stands_for_the_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx.data").write_bytes(b"pad!" + np.arange(6, dtype="<f4").tobytes())
    path = make.saved(
        tmp_path,
        make.model(make.graph([], [make.external("w", (2, 3), location="model.onnx.data", offset=4, length=24)])),
    )
    assert open_tensors(path)["w"].array().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert list(open_tensors(tmp_path / "model.onnx.data")) == ["w"]


def test_missing_external_data_leaves_the_shapes_and_says_which_file_is_missing(tmp_path: Path) -> None:
    found = opened(tmp_path, make.model(make.graph([], [make.external("w", (2, 3), location="weights.bin")])))
    assert found["w"].shape == (2, 3)
    assert any("weights.bin" in note for note in found.notes)
    with pytest.raises(UsageError, match=r"weights\.bin, which is not beside the model"):
        found["w"].array()


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "a/../../secret", "C:/secret", "..\\secret"])
def test_external_data_outside_the_model_s_folder_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(24))
    inner = tmp_path / "model"
    inner.mkdir()
    with pytest.raises(UsageError, match="opens nothing outside"):
        opened(inner, make.model(make.graph([], [make.external("w", (2, 3), location=location)])))


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(24))
    inner = tmp_path / "model"
    inner.mkdir()
    (inner / "weights.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="leads out"):
        opened(inner, make.model(make.graph([], [make.external("w", (2, 3), location="weights.bin")])))


@pytest.mark.parametrize(
    "said", [{"offset": 8}, {"length": 20}, {"offset": "-4"}, {"offset": "1e3"}, {"length": 1 << 62}], ids=str
)
def test_external_data_that_reaches_past_its_file_is_refused(tmp_path: Path, said: dict[str, object]) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(24))
    with pytest.raises(BrokenFile):
        opened(tmp_path, make.model(make.graph([], [make.external("w", (2, 3), location="weights.bin", **said)])))


# Attacks.


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [FIXTURES / "onnx-1.23.2" / "rnn_relu_bidirectional.onnx", FIXTURES / "onnx-1.23.2" / "lstm_external.onnx"],
    ids=lambda path: path.name,
)
def test_a_file_cut_anywhere_is_refused_with_a_sentence(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    refused = 0
    for end in range(len(whole) - 1):
        try:
            opened(tmp_path, whole[:end])
        except GatewiseError:
            refused += 1
    assert refused > len(whole) * 0.9  # a cut between two fields leaves a smaller model


@pytest.mark.slow
def test_a_flipped_bit_is_refused_or_harmless(tmp_path: Path) -> None:
    whole = bytearray((FIXTURES / "onnx-1.23.2" / "gru_float_data.onnx").read_bytes())
    chosen, refused = random.Random(0), 0
    for _ in range(800):
        at, bit = chosen.randrange(min(len(whole), 4000)), 1 << chosen.randrange(8)
        whole[at] ^= bit
        try:
            for tensor in opened(tmp_path, bytes(whole)).values():
                tensor.array()
        except GatewiseError:
            refused += 1
        whole[at] ^= bit
    assert refused


def test_elements_that_are_fewer_or_more_than_the_shape_asks_for_are_refused(tmp_path: Path) -> None:
    for raw in (b"", bytes(20), bytes(28)):
        with pytest.raises(BrokenFile, match="want 24"):
            opened(tmp_path, make.model(make.graph([], [make.tensor("w", (2, 3), raw)])))
    with pytest.raises(BrokenFile, match="only 2 bytes of numbers"):
        opened(
            tmp_path, make.model(make.graph([], [make.tensor("w", (1 << 40,), kind=6, more=make.piece(5, b"\1\1"))]))
        )
    short = opened(
        tmp_path, make.model(make.graph([], [make.tensor("w", (2,), kind=6, more=make.piece(5, b"\x80\1"))]))
    )
    with pytest.raises(BrokenFile, match="want 8"):
        short["w"].array()


def test_a_packed_field_that_lies_about_its_length_is_refused(tmp_path: Path) -> None:
    lying = make.encoded_varint(4 << 3 | 2) + make.encoded_varint(1 << 40) + bytes(8)
    with pytest.raises(BrokenFile):
        opened(tmp_path, make.model(make.graph([], [make.tensor("w", (2,), more=lying)])))


def test_graphs_within_graphs_are_followed_to_a_limit(tmp_path: Path) -> None:
    content = make.graph()
    for depth in range(400):
        content = make.graph([make.node("If", ["c"], [f"y{depth}"], then_branch=("g", content))])
    with pytest.raises(LimitExceeded, match="nesting"):
        opened(tmp_path, make.model(content))


def test_a_function_that_calls_itself_is_refused_and_so_are_calls_without_end(tmp_path: Path) -> None:
    inner = make.node("LSTM", ["x", "w", "r"], ["y"], "lstm")
    itself = make.function("F", ["x", "w", "r"], ["y"], [inner, make.node("F", ["x", "w", "r"], ["z"], "again", "own")])
    call = make.node("F", ["X", "W", "R"], ["Y"], "call", "own")
    with pytest.raises(LimitExceeded):
        opened(tmp_path, make.model(make.graph([call]), functions=[itself]))
    many = [make.function("F0", ["x", "w", "r"], ["y"], [inner])]
    for level in range(1, 30):
        calls = [make.node(f"F{level - 1}", ["x", "w", "r"], [f"y{n}"], f"call{n}", "own") for n in range(2)]
        many.append(make.function(f"F{level}", ["x", "w", "r"], ["y0"], calls))
    with pytest.raises(LimitExceeded):
        opened(
            tmp_path, make.model(make.graph([make.node("F29", ["X", "W", "R"], ["Y"], "top", "own")]), functions=many)
        )


def test_more_nodes_than_any_model_has_are_refused(tmp_path: Path) -> None:
    few = Limits(members=1000)
    nodes = b"\x0a\x00" * 600
    branch = make.node("If", ["c"], ["y"], then_branch=("g", nodes), else_branch=("g", nodes))
    for content in (nodes * 2, make.graph([branch])):
        with pytest.raises(LimitExceeded):
            open_tensors(make.saved(tmp_path, make.model(content)), few)
    functions = [make.piece(1, name) + b"\x3a\x00" * 600 for name in ("F", "G")]
    with pytest.raises(LimitExceeded):
        open_tensors(make.saved(tmp_path, make.model(make.graph(), functions=functions)), few)


def test_names_that_all_are_alike_cost_no_more_than_others(tmp_path: Path) -> None:
    def cost(names: list[str]) -> float:
        model = make.model(make.graph([], [make.floats(name, (1,)) for name in names]))
        return min(seconds(lambda: found.append(opened(tmp_path, model))) for _ in range(3))

    found: list[Tensors] = []
    others, alike = cost([f"w{number}" for number in range(3_000)]), cost(["w"] * 3_000)
    assert [len(tensors) for tensors in found] == [3_000] * 6
    assert alike < 5 * others


def recurrent_on(nodes: list[bytes], tensors: list[bytes] = [], weight: str = "W") -> bytes:  # noqa: B006
    taking = make.node("LSTM", ["X", weight, "R"], ["Y"], "lstm", hidden_size=4)
    return make.model(make.graph([*nodes, taking], [*tensors, make.floats("R", (1, 16, 4))], ["X"]))


def test_a_cycle_of_constants_is_no_constant(tmp_path: Path) -> None:
    content = recurrent_on([make.node("Identity", ["b"], ["W"]), make.node("Identity", ["W"], ["b"])])
    assert any("is given W only when" in note for note in opened(tmp_path, content).notes)


def test_a_chain_longer_than_any_exporter_s_is_not_followed(tmp_path: Path) -> None:
    chain = [make.node("Identity", ["w" if n == 0 else f"v{n - 1}"], [f"v{n}"]) for n in range(3000)]
    content = recurrent_on(chain, [make.floats("w", (1, 16, 5))], "v2999")
    assert any("is given W only when" in note for note in opened(tmp_path, content).notes)


BOMBS = {
    "Concat doubles and doubles": [make.node("Concat", [f"v{n}", f"v{n}"], [f"v{n + 1}"], axis=1) for n in range(40)],
    "Expand": [make.node("Expand", ["v0", "huge"], ["v40"])],
    "ConstantOfShape": [make.node("ConstantOfShape", ["huge"], ["v40"])],
}


@pytest.mark.parametrize("nodes", BOMBS.values(), ids=BOMBS)
def test_a_weight_that_grows_past_the_file_s_own_size_is_refused_before_it_is_made(tmp_path: Path, nodes) -> None:
    stored = [make.floats("v0", (1, 16, 1)), make.longs("huge", [1, 16, 1 << 40])]

    def refused() -> None:
        with pytest.raises(LimitExceeded, match="makes a weight of"):
            opened(tmp_path, recurrent_on(nodes, stored, "v40"))

    assert seconds(refused) < 5


def test_parameters_that_do_not_fit_are_no_constant(tmp_path: Path) -> None:
    stored = [make.floats("w", (16, 5)), make.longs("a", [7]), make.longs("b", [0]), make.longs("c", [1])]
    for bad in (
        make.node("Unsqueeze", ["w", "a"], ["W"]),
        make.node("Slice", ["w", "b", "c", "a"], ["W"]),
        make.node("Slice", ["w", "b", "c", "b", "b"], ["W"]),
        make.node("Transpose", ["w"], ["W"], perm=[0, 0]),
        make.node("Reshape", ["w", "a"], ["W"]),
        make.node("Concat", ["w", "a"], ["W"], axis=0),
        make.node("Concat", ["w", "w"], ["W"], axis=5),
        make.node("Gather", ["w", "a"], ["W"], axis=1),
        make.node("Squeeze", ["w", "a"], ["W"]),
        make.node("Split", ["w"], ["W"], axis="x"),
        make.node("Cast", ["w"], ["W"], to=99),
        make.node("Unsqueeze", [], ["W"]),
        make.node("Neg", ["w"], ["W"], domain="other"),
    ):
        assert any("is given W only when" in note for note in opened(tmp_path, recurrent_on([bad], stored)).notes)


# Only what is one is taken for one.

OTHERS = {
    "a SavedModel": make.number(1, 1) + make.piece(2, make.piece(1, "x")),
    "a Core ML model": make.number(1, 4) + make.piece(2, "") + make.piece(500, ""),
    "an IR version of zero": make.number(1, 0) + make.piece(7, make.graph()),
    "text": b"\x08 is not a model, only text that begins so",
    "nothing": b"\x08\x08",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_other_files_that_begin_alike_are_not_taken_for_onnx(tmp_path: Path, content: bytes) -> None:
    assert not container("onnx").claims(Source(make.saved(tmp_path, content)))


def test_opening_reads_headers_only(tmp_path: Path) -> None:
    nodes, tensors = make.lstm(units=512, features=512, ways=2)
    path = make.saved(tmp_path, make.model(make.graph(nodes, tensors, ["X"])))
    open_tensors(path)  # modules that are imported the first time are not the file's
    tracemalloc.start()
    open_tensors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 100


def test_a_quantised_lstm_is_named_with_its_sizes_and_its_gates_shown(tmp_path: Path) -> None:
    given = ["X", "W", "R", "B", "", "", "", "", "Ws", "Wz", "Rs", "Rz"]
    node = make.node("DynamicQuantizeLSTM", given, ["Y"], "quantised", "com.microsoft", hidden_size=4)
    whole = [make.tensor("W", [1, 5, 16], bytes(range(80)), 3), make.tensor("R", [1, 4, 16], bytes(64), 3)]
    scales = [
        make.floats("Ws", (1,)),
        make.tensor("Wz", [1], b"\0", 3),
        make.floats("Rs", (1,)),
        make.tensor("Rz", [1], b"\0", 3),
    ]
    path = make.saved(tmp_path, make.model(make.graph([node], [*whole, make.floats("B", (1, 32)), *scales], ["X"])))
    checkpoint = gw.open(path)
    assert checkpoint.layers == []
    (row,) = checkpoint.inspect()["outside"]
    assert (row["name"], row["layout"], row["dtype"]) == ("quantised", "onnx.DynamicQuantizeLSTM", "int8")
    assert (row["input_size"], row["hidden_size"]) == (5, 4)
    assert {gate["gate"] for gate in checkpoint.gates()} == set("ifgo")
    with pytest.raises(GatewiseError, match="does not dequantise"):
        gw.convert(path, tmp_path / "out.safetensors")


def test_recurrent_operators_that_no_table_reads_are_named_with_their_tensors(tmp_path: Path) -> None:
    attention = make.node("AttnLSTM", ["X", "W", "R"], ["Y"], "attention", "com.microsoft", hidden_size=4)
    unpacked = make.node("DequantizeLinear", ["w", "scale"], ["W2"])
    quantised = make.node("GRU", ["X", "W2", "R"], ["Z"], "packed", hidden_size=4)
    stored = [make.floats("W", (1, 16, 5)), make.floats("R", (1, 16, 4)), make.floats("scale", ())]
    stored.append(make.tensor("w", [1, 12, 5], bytes(60), 3))
    path = make.saved(tmp_path, make.model(make.graph([attention, unpacked, quantised], stored, ["X"])))
    rows = {row["name"]: row for row in gw.open(path).inspect()["outside"]}
    assert rows["attention"]["kind"] == "com.microsoft.AttnLSTM"
    assert rows["attention"]["tensors"] == ["W", "R"]
    assert rows["packed"]["kind"] == "quantized onnx.GRU"
    assert "quantised" in rows["packed"]["why"]


def test_torch_s_names_beside_an_operator_that_takes_them_turned_are_not_a_second_layer(tmp_path: Path) -> None:
    nodes, numbers = turned("rnn.weight_ih", "W")
    more, _ = turned("rnn.weight_hh", "R")
    nodes = [*nodes, *more, make.node("LSTM", ["X", "W", "R"], ["Y"], "lstm", hidden_size=4)]
    stored = [make.floats("rnn.weight_ih", (16, 5), 1), make.floats("rnn.weight_hh", (16, 4), 2)]
    (layer,) = gw.open(make.saved(tmp_path, make.model(make.graph(nodes, [*stored, *numbers], ["X"])))).layers
    assert (layer.name, layer.layout) == ("lstm", "onnx.LSTM")


@pytest.mark.parametrize(("op", "attribute"), [("Loop", "body"), ("Scan", "body"), ("If", "then_branch")])
def test_a_node_inside_a_body_sees_the_weights_outside(tmp_path: Path, op: str, attribute: str) -> None:
    nodes, tensors = make.lstm()
    around = make.node(op, ["n"], ["Y"], "around", **{attribute: ("g", make.graph(nodes, inputs=["X"]))})
    (layer,) = gw.open(make.saved(tmp_path, make.model(make.graph([around], tensors, ["n"])))).layers
    assert (layer.name, layer.spec.input_size, layer.spec.bias) == ("lstm", 5, "double")


def test_an_input_of_a_body_hides_a_weight_of_its_name_outside(tmp_path: Path) -> None:
    nodes, tensors = make.lstm()
    around = make.node("Loop", ["n"], ["Y"], "around", body=("g", make.graph(nodes, inputs=["X", "W"])))
    checkpoint = gw.open(make.saved(tmp_path, make.model(make.graph([around], tensors, ["n"]))))
    assert checkpoint.layers == []
    assert any("is given W only when the model runs" in note for note in checkpoint.tensors.notes)


def test_a_cell_that_the_exporter_took_apart_is_told_by_torch_s_names(tmp_path: Path) -> None:
    nodes = [
        make.node("Gemm", ["x", "decoder.rnn.weight_ih", "decoder.rnn.bias_ih"], ["a"], transB=1),
        make.node("Gemm", ["h", "decoder.rnn.weight_hh", "decoder.rnn.bias_hh"], ["b"], transB=1),
    ]
    shapes = {"weight_ih": (16, 5), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}
    stored = [make.floats(f"decoder.rnn.{name}", shape) for name, shape in shapes.items()]
    path = make.saved(tmp_path, make.piece(2, "pytorch") + make.model(make.graph(nodes, stored, ["x", "h"])))
    content = path.read_bytes()
    path.write_bytes(content[9:11] + content[:9] + content[11:])  # the IR version comes first
    (layer,) = gw.open(path).layers
    assert (layer.name, layer.layout, layer.sure) == ("decoder.rnn", "torch.LSTMCell", True)


def test_one_set_of_weights_is_one_layer_with_its_other_place_and_two_sets_are_two(tmp_path: Path) -> None:
    nodes, tensors = make.lstm()
    again = make.node("LSTM", ["X2", "W", "R", "B"], ["Y2"], "again", hidden_size=4)
    turned_round = make.node("LSTM", ["X2", "W", "R", "B"], ["Y3"], "reversed", hidden_size=4, direction="reverse")
    other = make.node("LSTM", ["X2", "W", "R2", "B"], ["Y4"], "other", hidden_size=4)
    stored = [*tensors, make.floats("R2", (1, 16, 4), 9)]
    path = make.saved(tmp_path, make.model(make.graph([*nodes, again, turned_round, other], stored, ["X", "X2"])))
    found = gw.open(path).layers
    assert [(layer.name, layer.also_at) for layer in found] == [("lstm", ("again",)), ("reversed", ()), ("other", ())]
