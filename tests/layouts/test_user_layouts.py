"""A user's own layouts, in TOML: a custom Keras layer reads and runs, and each mistake in a file has its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from filemakers import afresh
from random_layers import Sizes, every_case, same_bits, stored
from together import together

import gatewise as gw
from gatewise.conventions import express
from gatewise.errors import GatewiseError, LayoutError, PhraseError, UnknownLayout, UsageError
from gatewise.layouts import layout, recognise
from gatewise.layouts._code import decode, encode
from gatewise.proof import prove_recorded

FIXTURES = Path(__file__).parents[1] / "fixtures" / "keras"

# OfgiLSTM of tests/fixtures/keras/make.py: gates o f g i, transposed kernels, the biases as four rows, forget bias +2.
OFGI = """
name = "mine.OfgiLSTM"
cell = "lstm"
gates = "ofgi"
forget_bias = 2.0

[[parts]]
name = "{x}"
role = "kernel"
phrase = "(gate unit) feature"

[[parts]]
name = "{h}"
role = "recurrent_kernel"
phrase = "(gate unit) hidden"

[[parts]]
name = "{b}"
role = "bias"
phrase = "gate unit"
"""
PLAIN_NAMES = {"x": "gates_from_x[:0]", "h": "gates_from_h[:0]", "b": "beta[:0]"}
NUMBERED_NAMES = {"x": "vars/0", "h": "vars/1", "b": "vars/2"}  # .keras and .weights.h5 hold no names
RECORDED = sorted(path for path in FIXTURES.glob("*/custom_ofgi_lstm.*") if path.suffix in (".h5", ".keras"))


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        return str(afresh(path, text.encode()))

    return write


def ofgi(path: Path) -> str:
    names = NUMBERED_NAMES if path.name.endswith((".keras", ".weights.h5")) else PLAIN_NAMES
    text = OFGI
    for letter, name in names.items():
        text = text.replace("{" + letter + "}", name)
    return text


def test_the_files_of_the_custom_layer_are_there() -> None:
    assert {path.name for path in RECORDED} == {
        "custom_ofgi_lstm.h5", "custom_ofgi_lstm.keras", "custom_ofgi_lstm.weights.h5",
    }  # fmt: skip


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}, {path.name}")
def test_a_custom_keras_layer_runs_as_keras_ran_it(path: Path, toml) -> None:
    layer = gw.open(path, layout=toml(ofgi(path))).only()
    assert (layer.spec.input_size, layer.spec.hidden_size, layer.spec.bias) == (3, 5, "single")
    assert layer.dialect.forget_bias == 2.0
    recorded = np.load(path.parent / "custom_ofgi_lstm.npz")
    run = {"x": recorded["in/0"], "y": recorded["out/0"]}
    assert prove_recorded(layer, run).max_abs_error < 1e-6
    # The same file, misread in one word each, is another function: the record would show it.
    for wrong in (('gates = "ofgi"', 'gates = "ifgo"'), ("forget_bias = 2.0", "forget_bias = 1.0")):
        other = gw.open(path, layout=toml(ofgi(path).replace(*wrong))).only()
        assert prove_recorded(other, run).max_abs_error > 1e-3


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}, {path.name}")
def test_without_its_layout_a_custom_layer_is_never_read(path: Path) -> None:
    assert gw.open(path).layers == []


def test_a_custom_layer_becomes_a_torch_layer_with_its_forget_bias_stored(toml) -> None:
    path = RECORDED[0]
    layer = gw.open(path, layout=toml(ofgi(path))).only()
    arrays = layer.to("torch.LSTM")
    np.testing.assert_array_equal(arrays["bias_ih_l0"][5:10], layer[0, "forward"].bias["f"])
    np.testing.assert_array_equal(arrays["bias_hh_l0"][5:10], np.full(5, 2, "f4"))
    np.testing.assert_array_equal(arrays["bias_ih_l0"][:5], layer[0, "forward"].bias["i"])


def test_a_torch_layer_can_be_said_in_a_layout_of_ones_own(toml) -> None:
    case = next(case for case in every_case() if case.layout.name == "torch.LSTMCell" and case.extras)
    tensors = stored(case.arrays(Sizes(3, 4)))
    (match,) = recognise(tensors, (case.layout,)).matches
    mine = layout(toml(ofgi(Path("x.h5"))))
    said = express(decode(match, tensors), mine)
    out = {tensor.name: tensor.array() for tensor in encode(said.stack, mine, said.form)}
    assert out["beta"].shape == (4, 4)
    wide = [tensors[f"bias_{side}"].array().astype("f8")[4:8] for side in ("ih", "hh")]
    np.testing.assert_allclose(out["beta"][1], wide[0] + wide[1] - 2.0, rtol=3e-7)
    assert [change.exactness for change in said.changes] == ["exact up to one rounding"] * 2


SAYABLE = [  # TOML says one form at a time, and plain names
    case
    for case in every_case()
    if not case.naming and not case.form and case.by_name and not (case.layout.cell == "rnn" and case.directions == 2)
]


@together(
    "case",
    SAYABLE,
    of=lambda case: case.layout.cell,
    slow=lambda case: case.layout.framework not in ("torch", "keras", "tf1"),
)
def test_every_built_in_layout_can_be_said_in_toml(toml, case) -> None:
    """The words of a TOML file are the words of the tables: each table, rewritten, reads the same tensors alike."""
    lines = [f'name = "mine"\ncell = "{case.layout.cell}"\ngates = "{case.layout.gates}"']
    coupled = case.layout.meaning.coupled
    lines += [f'coupled = "{coupled}"'] if coupled else []
    spelled = [f"{gate} = '{text}'" for gate, text in case.layout.spelled.items()]
    lines += ["[spelled]", *spelled] if spelled else []
    for part in case.layout.parts:
        roles = ", ".join(f'"{role}"' for role in part.roles)
        lines.append(f"[[parts]]\nname = '{part.template_text('')}'\nrole = [{roles}]\nphrase = '{part.phrase}'")
        lines.append(f"optional = {str(part.optional).lower()}")
        lines += [f"relabel = '{part.relabel}'"] if part.relabel else []
        apart = part.gates if isinstance(part.gates, Mapping) else {}
        said = ", ".join(f"{role} = '{gates}'" for role, gates in apart.items())
        lines += [f"gates = {{{said}}}"] if said else [f"gates = '{part.gates}'"] if part.gates else []
    mine = layout(toml("\n".join(lines)))
    tensors = stored(case.arrays(Sizes(5, 4, 3)))
    stacks = [decode(recognise(tensors, (one,), chosen=True).matches[0], tensors) for one in (mine, case.layout)]
    for (_, one), (_, other) in zip(*stacks, strict=True):
        for role, gates in other.roles.items():
            assert all(same_bits(one.role(role)[gate], array) for gate, array in gates.items()), (case, role)


# Mistakes.

HEAD = 'cell = "lstm"\n'
PART = '[[parts]]\nname = "k"\nrole = "kernel"\nphrase = "(gate unit) feature"\n'
REST = '[[parts]]\nname = "r"\nrole = "recurrent_kernel"\nphrase = "(gate unit) hidden"\n'
GOOD = HEAD + PART + REST
MISTAKES = {
    "not TOML": ("cell = lstm", LayoutError, "is not TOML"),
    "an unknown key": ('colour = "red"\n' + GOOD, LayoutError, "a layout has no 'colour'. Its keys are cell, gates"),
    "no cell": (PART, LayoutError, "cell is None; it must be one of lstm, gru, rnn"),
    "an unknown cell": ('cell = "mamba"\n' + PART, LayoutError, "cell is 'mamba'; it must be one of lstm, gru, rnn"),
    "a cell that is no text": ("cell = ['lstm']\n" + PART, LayoutError, "cell is ['lstm']; it must be one of"),
    "no parts": (HEAD, LayoutError, "has no parts. Give each stored tensor as a [[parts]] table."),
    "parts that are no list": (HEAD + "parts = 3", LayoutError, "has no parts."),
    "a part that is no table": (HEAD + "parts = [3]", LayoutError, "part 1 is not a table"),
    "an unknown key in a part": (GOOD + "order = 3", LayoutError, "part 2 has an unknown key 'order'. Keys: gates, name"),
    "no role": (HEAD + PART.replace('role = "kernel"\n', ""), LayoutError, "part 1 has no role. Say role = \"kernel\""),
    "a role that is no text": (HEAD + PART.replace('"kernel"', "3"), LayoutError, "part 1 has no role"),
    "no role in the list": (HEAD + PART.replace('"kernel"', "[]"), LayoutError, "part 1 has no role"),
    "an unknown role": (HEAD + PART.replace('"kernel"', '"weights"'), PhraseError, "there is no role 'weights'"),
    "no name": (HEAD + PART.replace('name = "k"\n', ""), LayoutError, "part 1's name is None; it must be a text"),
    "no phrase": (HEAD + PART.replace('phrase = "(gate unit) feature"\n', ""), LayoutError, "part 1's phrase is None"),
    "a bad phrase": (GOOD.replace("(gate unit) feature", "(gate units) feature"), PhraseError, "no meaning for 'units'"),
    "a bad name": (GOOD.replace('"k"', '"k{"'), PhraseError, "name template 'k{' cannot be read"),
    "brackets that do not close": (GOOD.replace('"k"', '"k[:0"'), PhraseError, "name template 'k[:0' cannot be read"),
    "a name of wildcards only": (GOOD.replace('"k"', '"*"'), PhraseError, "name template '*' fits every name"),
    "brackets in brackets": (GOOD.replace('"k"', '"k[_[a]]"'), PhraseError, "name template 'k[_[a]]' cannot be read"),
    "a layer twice in a name": (GOOD.replace('"k"', '"{layer}k{layer}"'), PhraseError, "says the same thing twice"),
    "wrong gates": ('gates = "ifog!"\n' + GOOD, PhraseError, "gates 'ifog!' are not those of lstm, i f g o"),
    "gates that are no text": ("gates = 4\n" + GOOD, LayoutError, "gates is 4; it must be a text"),
    "gates of a part that are no text": (GOOD + "gates = 4", LayoutError, "part 2's gates is 4; it must be a text"),
    "a relabel that nobody knows": (GOOD + 'relabel = "x"', PhraseError, "there is no relabel 'x'. Known: cudnn."),
    "optional that is no truth": (GOOD + 'optional = "no"', LayoutError, "part 2's optional is 'no'; it must be true or"),
    "spelled that is no table": ('spelled = "c"\n' + GOOD, LayoutError, "spelled is 'c'; it must be a table of gate"),
    "spelled for another gate": ("spelled = {q = 'c'}\n" + GOOD, LayoutError, "spelled names the gate 'q'; gates are"),
    "two gates spelled alike": ("spelled = {i = 'c', f = 'c'}\n" + GOOD, LayoutError, "spelled gives two gates the same"),
    "a text where a number is wanted": ('forget_bias = "2"\n' + GOOD, LayoutError, "forget_bias is '2'; it must be a num"),
    "a truth where a number is wanted": ("cell_clip = true\n" + GOOD, LayoutError, "cell_clip is True; it must be a num"),
    "an activation that is no text": ("activation = 3\n" + GOOD, LayoutError, "activation is 3; it must be a text"),
    "hard_sigmoid without its slope": (
        'recurrent_activation = "hard_sigmoid"\n' + GOOD, LayoutError, "recurrent_activation is 'hard_sigmoid', and there are two hard sigmoids. Say hard_sigmoid(0.2)",
    ),
    "go_backwards that is no truth": ("go_backwards = 1\n" + GOOD, LayoutError, "go_backwards is 1; it must be one of True"),
    "a merge nobody knows": ('merge = "max"\n' + GOOD, LayoutError, "merge is 'max'; it must be one of concat, sum, ave"),
    "reset for an LSTM": ('reset = "after"\n' + GOOD, LayoutError, "reset says something of a gru or mgu, and this is a lstm"),
    "a forget bias for a GRU": (
        'forget_bias = 1.0\n' + GOOD.replace("lstm", "gru"), LayoutError, "forget_bias says something of a lstm",
    ),
    "a reset nobody knows": (
        'reset = "never"\n' + GOOD.replace("lstm", "gru"), LayoutError, "reset is 'never'; it must be one of after, before",
    ),
    "an update nobody knows": (
        'update = "both"\n' + GOOD.replace("lstm", "gru"), LayoutError, "update is 'both'; it must be one of keeps, writes",
    ),
    "a missing recurrent kernel": (HEAD + PART, PhraseError, "no part holds the recurrent_kernel of gate i"),
}  # fmt: skip


def test_what_the_mistakes_are_made_in_is_good(toml) -> None:
    assert layout(toml(GOOD)).name == "user.lstm"


@pytest.mark.parametrize(("text", "kind", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_a_layout_file_is_told_with_the_file_and_the_key(text: str, kind: type, says: str, toml) -> None:
    path = toml(text)
    with pytest.raises(GatewiseError) as refused:
        layout(path)
    assert type(refused.value) is kind
    assert refused.value.path == path
    assert says in str(refused.value)


def test_a_layout_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        layout(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        layout(str(tmp_path / "binary.toml"))
    with pytest.raises(UsageError, match="cannot be read"):
        layout(str(tmp_path) + "/.toml")


def test_a_name_that_no_layout_has_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownLayout, match=r"no layout is called 'torch.LTSM'. Did you mean .*torch.LSTM"):
        layout("torch.LTSM")
