"""The layout language: what a phrase says, against an interpreter that knows nothing but the words' definition."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layers import stored
from together import in_turn, together

from gatewise.errors import PhraseError
from gatewise.layouts import Layout, Part, layouts, recognise
from gatewise.layouts._code import decode, encode
from gatewise.layouts._phrase import AXES, Equation, Phrase, Unsolvable, phrase, solve
from gatewise.weights import BIAS, KERNEL, PEEPHOLE, PROJECTION, RECURRENT_BIAS, RECURRENT_KERNEL, ROLE_AXES

# Phrases that no table uses yet, from the design.
PROMISED = {
    "TensorFlow 1's fused kernel": ("(feature + hidden) (gate unit)", KERNEL + RECURRENT_KERNEL),
    "ONNX's W": ("direction (gate unit) feature", KERNEL),
    "ONNX's B": ("direction (gate unit + gate unit)", BIAS + RECURRENT_BIAS),
    "ONNX's P": ("direction (gate unit)", PEEPHOLE),
    "Chainer's interleaved rows": ("(unit gate) feature", KERNEL),
    "Tesseract's bias column": ("unit feature + hidden + one", KERNEL + RECURRENT_KERNEL + BIAS),
    "Tesseract's, all gates": ("gate unit (feature + hidden + one)", KERNEL + RECURRENT_KERNEL + BIAS),
    "a projection, in × out": ("unit hidden", PROJECTION),
    "Keras's two bias rows": ("(one + one) (gate unit)", BIAS + RECURRENT_BIAS),
    "a matrix in one row": ("(gate unit hidden)", RECURRENT_KERNEL),
}
PHRASES = PROMISED | {
    f"{' + '.join(part.roles)}: {part.phrase}": (part.phrase, part.roles)  # what several tables say is tried once
    for layout in layouts()
    for part in layout.parts
    if not part.parsed.sections and not layout.outside
}
each_phrase = together("text, roles", PHRASES.values(), of=lambda case: case[1][0], said=lambda case: case[0])
all_sizes = st.fixed_dictionaries(
    {
        "gate": st.integers(1, 4), "unit": st.integers(1, 5), "feature": st.integers(1, 5), "hidden": st.integers(1, 5),
        "state": st.integers(1, 5), "direction": st.integers(1, 2), "one": st.just(1),
    }
)  # fmt: skip
few = settings(max_examples=12, deadline=None)


def meaning(parsed: Phrase, sizes: dict[str, int]) -> Iterator[tuple[tuple[int, ...], int | None, dict[str, int]]]:
    """Every stored index with the role and the coordinates that it means: the definition, element by element."""
    by_axis = []
    for axis in parsed.axes:
        places = []
        for number, segment in enumerate(axis):
            for coordinates in itertools.product(*(range(sizes[atom]) for atom in segment)):  # slowest first
                places.append((number if len(axis) > 1 else None, dict(zip(segment, coordinates, strict=True))))
        by_axis.append(list(enumerate(places)))
    for picked in itertools.product(*by_axis):
        roles = {role for _, (role, _) in picked if role is not None}
        coordinates = {atom: at for _, (_, where) in picked for atom, at in where.items()}
        if len(roles) <= 1:
            yield tuple(at for at, _ in picked), next(iter(roles), None), coordinates


@given(sizes=in_turn(all_sizes))
@few
@each_phrase
def test_a_cut_is_a_view_of_the_elements_that_the_phrase_means(text: str, roles: tuple[str, ...], sizes: dict) -> None:
    parsed = phrase(text)
    shape = parsed.shape(sizes)
    stored = np.arange(np.prod(shape)).reshape(shape)
    seen = []
    for index, role in enumerate(roles):
        atoms = {atom for _, segment in parsed.segments(index) for atom in segment}
        free = [atom for atom in ("gate", "direction") if atom in atoms]
        for at in itertools.product(*(range(sizes[atom]) for atom in free)):
            fixed = dict(zip(free, at, strict=True))
            view = parsed.cut(stored, index, sizes, fixed, ROLE_AXES[role])
            assert view.shape == tuple(sizes[axis] for axis in ROLE_AXES[role])
            assert np.shares_memory(view, stored)
            seen += view.ravel().tolist()
            for place, whose, where in meaning(parsed, sizes):
                if whose in (None, index) and all(where[atom] == fixed[atom] for atom in free):
                    assert view[tuple(where[axis] for axis in ROLE_AXES[role])] == stored[place]
    assert sorted(seen) == list(range(stored.size)), "each stored element exactly once"


@given(sizes=in_turn(all_sizes))
@few
@each_phrase
def test_a_shape_gives_back_any_one_size_that_made_it(text: str, roles: tuple[str, ...], sizes: dict) -> None:
    assert roles
    parsed = phrase(text)
    shape = parsed.shape(sizes)
    equations = [Equation(axis, length, "it", {}) for axis, length in zip(parsed.axes, shape, strict=True)]
    for hidden in parsed.atoms - {"one"}:
        known = {atom: size for atom, size in sizes.items() if atom != hidden}
        assert solve(equations, known)[hidden] == sizes[hidden]


@each_phrase
def test_a_shape_that_no_sizes_make_has_no_solution(text: str, roles: tuple[str, ...]) -> None:
    assert roles
    parsed = phrase(text)
    sizes = {"gate": 4, "unit": 7, "feature": 5, "hidden": 3, "state": 7, "direction": 2, "one": 1}
    shape = parsed.shape(sizes)
    for number in range(len(shape)):
        lengths = [length + (axis == number) for axis, length in enumerate(shape)]
        equations = [Equation(a, length, "axis", {}) for a, length in zip(parsed.axes, lengths, strict=True)]
        with pytest.raises(Unsolvable, match=f"axis is {lengths[number]} long; the other tensors want {shape[number]}"):
            solve(equations, sizes)


def test_a_size_that_stands_twice_in_a_product_is_solved_too() -> None:
    assert solve([Equation((("gate", "unit", "unit"),), 36, "it", {"gate": 4})], {})["unit"] == 3
    with pytest.raises(Unsolvable, match="no whole number of units fits"):
        solve([Equation((("gate", "unit", "unit"),), 40, "it", {"gate": 4})], {})


def test_sizes_that_no_equation_tells_are_left_out() -> None:
    assert solve([Equation((("feature",), ("hidden",)), 7, "it", {})], {"one": 1}) == {"one": 1}


def test_roles_end_to_end_leave_no_room_for_less_than_one() -> None:
    """feature + hidden = 4 with 4 hidden: no feature is left."""
    with pytest.raises(Unsolvable):
        solve([Equation((("feature",), ("hidden",)), 4, "it", {})], {"hidden": 4})


# Parsing.


@pytest.mark.parametrize(
    ("text", "axes"),
    {
        "unit": ((("unit",),),),
        "(gate unit) feature": ((("gate", "unit"),), (("feature",),)),
        "( unit   gate )feature": ((("unit", "gate"),), (("feature",),)),
        "feature + hidden + one": ((("feature",), ("hidden",), ("one",)),),
        "(feature + hidden) (gate unit)": ((("feature",), ("hidden",)), (("gate", "unit"),)),
        "unit feature+hidden": ((("unit",),), (("feature",), ("hidden",))),
        "(gate unit) + (gate unit)": ((("gate", "unit"), ("gate", "unit")),),
        "direction (gate unit + gate unit)": ((("direction",),), (("gate", "unit"), ("gate", "unit"))),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_phrase_is_read_as_axes_of_segments_of_atoms(text: str, axes: tuple) -> None:
    assert phrase(text).axes == axes
    assert phrase(text).roles == max(map(len, axes))


BAD = {
    "": "has no axes",
    "   ": "has no axes",
    "+ unit": "begins with +",
    "unit +": "has an empty place",
    "unit + + hidden": "has an empty place",
    "()": "has an empty place",
    "(gate unit": "has a parenthesis without its partner",
    "gate unit)": "has a parenthesis without its partner",
    "((gate unit) feature)": "or one inside another",
    "(unit unit) feature": "folds an axis into itself in '(unit unit)'",
    "units": "has no meaning for 'units'. Axes are gate, unit, feature, hidden, state, direction, one.",
    "(gates unit) feature": "has no meaning for 'gates'",
    "Unit feature": "has no meaning for 'Unit'",
    "unit, feature": "has no meaning for 'unit,'",
    "unit * feature": "has no meaning for '*'",
    "(feature + hidden) (gate unit + gate unit + gate unit)": "lays 2 and 3 roles end to end",
}


@pytest.mark.parametrize(("text", "says"), BAD.items(), ids=[text or "nothing" for text in BAD])
def test_a_bad_phrase_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(PhraseError) as refused:
        phrase(text)
    assert says in str(refused.value)
    assert f"phrase {text!r}" in str(refused.value)


@given(st.text(alphabet="gate unit()+ fhidden", max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_phrase_or_a_refusal(text: str) -> None:
    try:
        parsed = phrase(text)
    except PhraseError:
        return
    assert parsed.atoms <= set(AXES)
    assert len(parsed.shape(dict.fromkeys(AXES, 1))) == len(parsed.axes)


# What a table must make sense of.

_KERNELS = (Part("k", KERNEL, "(gate unit) feature"), Part("r", RECURRENT_KERNEL, "(gate unit) hidden"))
NONSENSE = {
    "a cell nobody knows": (("mamba", "ifgo", _KERNELS), "no cell is called 'mamba'; cells are lstm, gru, rnn"),
    "another cell's gates": (("gru", "ifgo", _KERNELS), "gates 'ifgo' are not those of gru, r z n"),
    "a gate twice": (("lstm", "iffo", _KERNELS), "gates 'iffo' are not those of lstm"),
    "a role nobody knows": (("rnn", "h", (*_KERNELS, Part("b", ("norm",), "unit"))), "there is no role 'norm'"),
    "fewer places than roles": (
        ("lstm", "ifgo", (*_KERNELS, Part("b", BIAS + RECURRENT_BIAS + PEEPHOLE, "gate unit + gate unit"))),
        "places 2 roles, 3 are named",
    ),
    "a kernel without features": (("rnn", "h", (Part("k", KERNEL, "unit hidden"),)), "a kernel has the axes"),
    "an axis twice": (("rnn", "h", (*_KERNELS, Part("b", BIAS, "unit unit"))), "has the axis unit twice for its bias"),
    "gates twice": (("gru", "rzn", (*_KERNELS, Part("b", BIAS, "gate (gate unit)"))), "has the axis gate twice"),
    "gates of another cell in one part": (
        ("gru", "rzn", (*_KERNELS, Part("b", BIAS, "(gate unit)", gates="ri"))),
        "has unknown gates ['i']",
    ),
    "no recurrent kernel": (("gru", "rzn", _KERNELS[:1]), "no part holds the recurrent_kernel of gate r"),
    "a kernel without one of its gates": (
        ("lstm", "ifgo", (Part("k", KERNEL, "(gate unit) feature", gates="ifg"), _KERNELS[1])),
        "no part holds the kernel of gate o",
    ),
    "two homes for one thing": (
        ("lstm", "ifgo", (*_KERNELS, Part("b", BIAS, "(gate unit)"), Part("c", BIAS, "unit", gates="f"))),
        "two parts hold the bias of gate f",
    ),
    "several gates where there is room for one": (
        ("lstm", "ifgo", (*_KERNELS, Part("b", BIAS, "unit"))),
        "'unit' has no place for the 4 gates of its bias",
    ),
    "a relabel nobody knows": (
        ("rnn", "h", (*_KERNELS, Part("b", BIAS, "unit", relabel="shuffle"))),
        "there is no relabel 'shuffle'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "says"), NONSENSE.values(), ids=NONSENSE.keys())
def test_a_table_that_makes_no_sense_is_refused_when_it_is_made(table: tuple, says: str) -> None:
    with pytest.raises(PhraseError) as refused:
        Layout("mine.Cell", table[0], table[1], table[2], "a test")
    assert says in str(refused.value)
    assert "mine.Cell" in str(refused.value)


# Roles that hold different gates.

FOUR_ROWS = {
    "end to end (OpenVINO)": ("direction (gate unit + unit)", (2, 16)),
    "as rows (ncnn)": ("direction (gate + one) unit", (2, 4, 4)),
}


@pytest.mark.parametrize(("text", "shape"), FOUR_ROWS.values(), ids=FOUR_ROWS.keys())
def test_one_tensor_holds_three_gates_of_one_role_and_one_of_another(text, shape):
    parts = (
        Part("W", KERNEL, "direction (gate unit) feature"),
        Part("R", RECURRENT_KERNEL, "direction (gate unit) hidden"),
        Part("B", BIAS + RECURRENT_BIAS, text, gates={"recurrent_bias": "n"}),
    )
    layout = Layout("mine.GRU", "gru", "zrn", parts, "a test")
    random = np.random.default_rng(0)
    arrays = {"W": random.random((2, 12, 5)), "R": random.random((2, 12, 4)), "B": random.random(shape)}
    tensors = stored(arrays)
    (match,) = recognise(tensors, (layout,)).matches
    stack, flat = decode(match, tensors), arrays["B"].reshape(2, 4, 4)
    for at, direction in enumerate(("forward", "reverse")):
        weights = stack[0, direction]
        assert list(weights.bias) == ["z", "r", "n"]
        assert list(weights.recurrent_bias) == ["n"]
        assert all(np.array_equal(weights.bias[gate], flat[at, row]) for row, gate in enumerate("zrn"))
        assert np.array_equal(weights.recurrent_bias["n"], flat[at, 3])
    again = {tensor.name: tensor.array() for tensor in encode(stack, layout, match.form)}
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())


def test_a_role_with_fewer_gates_than_the_axis_has_is_refused():
    parts = (
        Part("W", KERNEL, "(gate unit) feature"),
        Part("R", RECURRENT_KERNEL, "(gate unit) hidden"),
        Part("B", BIAS + RECURRENT_BIAS, "(gate unit + gate unit)", gates={"recurrent_bias": "n"}),
    )
    with pytest.raises(PhraseError, match="axis for 3 gates, its recurrent_bias 1"):
        Layout("mine.GRU", "gru", "zrn", parts, "a test")
