"""Conversions between dialects: for all pairs of layouts exact, within the declared rounding, or refused by name; and
each row of the table of conventions, so that breaking the row breaks its test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_layers import Recipe, contents, same_contents, stored
from together import in_thirds, together

from gatewise.cell import run
from gatewise.conventions import EXACT, ONE_ROUNDING, Expressed, can_say, express
from gatewise.errors import NotRepresentable
from gatewise.layouts import Layout, Part, layout, layouts, recognise
from gatewise.layouts._code import decode, encode
from gatewise.proof import prove
from gatewise.tensors import Declared
from gatewise.weights import (
    BIAS,
    KERNEL,
    PEEPHOLE,
    PLAIN,
    PROJECTION,
    RECURRENT_BIAS,
    RECURRENT_KERNEL,
    Gates,
    Stack,
    hard_sigmoid_slope,
)  # fmt: skip

KERNELS = (Part("k", KERNEL, "(gate unit) feature"), Part("r", RECURRENT_KERNEL, "(gate unit) hidden"))
ONE_BIAS = Part("b", BIAS, "(gate unit)")
TWO_BIASES = Part("b", BIAS + RECURRENT_BIAS, "(gate unit + gate unit)")
ORDER = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}


def made(cell: str, *parts: Part, name: str = "other.Cell", **dialect: Any) -> Layout:
    """A layout that no framework has: two kernels, and what the test is about."""
    return Layout(name, cell, ORDER[cell], (*KERNELS, *parts), "a test", dialect=replace(PLAIN[cell], **dialect))


def through(stack: Stack, target: Layout) -> tuple[Stack, Expressed]:
    """Expressed, encoded, recognised and decoded again: what a reader of the written file sees."""
    said = express(stack, target)
    arrays = {tensor.name: tensor.array() for tensor in encode(said.stack, target, said.form)}
    operator = Declared("", target.kinds[0], inputs={name: name for name in arrays}) if target.own_naming else None
    tensors = stored(arrays, declared=[operator] if operator else [])
    (match,) = recognise(tensors, (target,), chosen=True).matches
    again = decode(match, tensors)
    return again.replaced(dialect=replace(said.stack.dialect)), said


def refused(stack: Stack, target: Layout) -> str:
    with pytest.raises(NotRepresentable) as error:
        express(stack, target)
    assert target.name in str(error.value)
    return str(error.value)


# Torch and Keras to each other, with the reasons of every refusal said beforehand.  All pairs are in test_pairs.py.

PLAIN_ONES = tuple(known for known in layouts() if known.framework in ("torch", "keras", "keras1"))


def recipes() -> list[Recipe]:
    found = []
    for known in PLAIN_ONES:
        for form in known.forms:
            roles = known.roles_given(form)
            optional = any(part.optional for part in known.parts_given(form) if "bias" in part.roles)
            biases = ["none"] * optional + ["double" if "recurrent_bias" in roles else "single"]
            for bias in biases:
                for directions in known.ways:
                    for proj in (0, 3) if "projection" in roles else (0,):
                        dialect = replace(known.meaning, **form)
                        for layers in (1, 3) if known.is_stack else (1,):
                            found.append(Recipe(
                                known.cell, layers=layers, directions=directions, bias=bias, proj=proj,
                                dialect=dialect,
                            ))  # fmt: skip
    return list(dict.fromkeys(found))


def words(recipe: Recipe) -> str:
    said = [f"{recipe.layers} layers", "both directions" if recipe.directions == 2 else "one direction"]
    said += [f"{recipe.bias} bias"] + ["projected"] * bool(recipe.proj)
    said += [f"{value}" for value in (recipe.dialect.recurrent_activation, recipe.dialect.reset) if value]
    return f"{recipe.cell}: {', '.join(said)}"


@pytest.mark.parametrize("target", PLAIN_ONES, ids=lambda known: f"to {known.name}")
@together("recipe", recipes(), of=lambda recipe: f"any {recipe.cell}", said=words)
def test_any_layer_is_the_same_function_in_any_layout_or_refused_by_name(recipe: Recipe, target: Layout) -> None:
    stack = recipe.stack
    if stack.num_layers > 1 and not target.is_stack:
        stack = stack.layer(0)
    if reasons := names_of_the_thing(stack, target):
        text = refused(stack, target)
        assert text.startswith(f"{target.name} cannot say this: ")
        assert any(reason in text for reason in reasons), text
        return
    again, said = through(stack, target)
    assert prove(stack, again).max_abs_error <= (2e-6 if ONE_ROUNDING in exactness(said) else 1e-14)  # of float64
    if set(exactness(said)) <= {EXACT}:
        back, home = through(again, first_that_says(stack))
        if "the rest stored as" in " ".join(change.what for change in said.changes):  # two biases, to be added up again
            assert exactness(home) == [ONE_ROUNDING]
            assert prove(stack, back).max_abs_error <= 2e-6
        else:
            assert_same_but_zero_biases(back, stack)


def exactness(said: Expressed) -> list[str]:
    return [change.exactness for change in said.changes]


def first_that_says(stack: Stack) -> Layout:
    """The layout that the recipe came from, or one as rich."""
    for known in PLAIN_ONES:
        try:
            said = express(stack, known)
        except NotRepresentable:
            continue
        if not said.changes and (known.is_stack or stack.num_layers == 1):
            return known
    raise AssertionError("no layout says it as it is")


def assert_same_but_zero_biases(back: Stack, stack: Stack) -> None:
    mine, theirs = contents(stack), contents(back)
    for key, array in mine.items():
        np.testing.assert_array_equal(theirs[key], array)
    for key in theirs.keys() - mine.keys():
        assert "bias" in key[2]
        assert not theirs[key].any()


def names_of_the_thing(stack: Stack, target: Layout) -> list[str]:
    """Why a pair cannot be the same function, from the facts alone; [] where it can."""
    dialect, why = stack.dialect, []
    if stack.cell != target.cell:
        return [{"lstm": "this is an LSTM", "gru": "this is a GRU", "rnn": "this is an RNN"}[stack.cell]]
    if target.outside:
        return ["only named"]
    roles = {role for form in target.forms for role in target.roles_given(form)}
    if len(stack.directions) not in target.ways:
        why.append("this layer reads in")
    if stack.spec.proj_size and "projection" not in roles:
        why.append("projection")
    if dialect.reset not in target.sayable("reset"):
        why.append("reset")
    for field in ("recurrent_activation", "activation", "output_activation"):
        said, possible = getattr(dialect, field), target.sayable(field)
        # Of two hard sigmoids one is the other of scaled gates: tests/test_hard_sigmoid.py.
        scaled = hard_sigmoid_slope(said or "") and any(hard_sigmoid_slope(str(value)) for value in possible)
        if said not in [None, *possible] and not scaled:
            why.append(said)
    return why


def test_the_pairs_are_not_all_refused() -> None:
    """The law above holds emptily where everything is refused; so count."""
    pairs = [(recipe, target) for recipe in recipes() for target in PLAIN_ONES]
    through_it = [1 for recipe, target in pairs if not names_of_the_thing(recipe.stack, target)]
    assert len(through_it) > len(pairs) / 8


@together("recipe", recipes(), of=lambda recipe: f"any {recipe.cell}", said=words)
def test_a_layout_that_says_it_as_it_is_gives_it_back_as_it_was(recipe: Recipe) -> None:
    again, said = through(recipe.stack, first_that_says(recipe.stack))
    assert said.changes == ()
    assert same_contents(again, recipe.stack)


# Two biases and one.


@pytest.mark.parametrize(
    ("cell", "dtype"), [(c, d) for c in ("lstm", "rnn") for d in ("float32", "float16", "bfloat16")]
)
def test_two_biases_become_one_in_one_rounding(cell: str, dtype: str) -> None:
    stack = Recipe(cell, dtype=dtype).stack
    again, said = through(stack, made(cell, ONE_BIAS))
    assert [change.as_dict() for change in said.changes] == [
        {"what": "biases: the two are added into one", "exactness": ONE_ROUNDING}
    ]
    old, new = stack[0, "forward"], again[0, "forward"]
    assert not new.recurrent_bias
    for gate in ORDER[cell]:
        wide = old.bias[gate].astype("f8") + old.recurrent_bias[gate].astype("f8")
        np.testing.assert_array_equal(
            new.bias[gate], wide.astype(old.bias[gate].dtype)
        )  # rounded once, from the true sum


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru"])
def test_one_bias_becomes_itself_and_zeros(cell: str) -> None:
    stack = Recipe(cell, bias="single").stack
    again, said = through(stack, made(cell, TWO_BIASES))
    assert [(change.what, change.exactness) for change in said.changes] == [
        ("biases: one → two: the bias, and zeros", EXACT)
    ]
    for gate in ORDER[cell]:
        np.testing.assert_array_equal(again[0, "forward"].bias[gate], stack[0, "forward"].bias[gate])
        assert not again[0, "forward"].recurrent_bias[gate].any()


def test_no_bias_becomes_zeros_where_biases_are_not_optional() -> None:
    stack = Recipe("lstm", bias="none").stack
    again, said = through(stack, made("lstm", TWO_BIASES))
    assert exactness(said) == [EXACT]
    assert not any(a.any() for key, a in contents(again).items() if "bias" in key[2])
    assert "has biases, and this layout has none" in refused(Recipe("lstm").stack, made("lstm"))


# GRU: the two biases of n.

FLAX_LIKE = (Part("b", BIAS, "(gate unit)"), Part("c", RECURRENT_BIAS, "unit", gates="n"))


def test_the_two_n_biases_of_a_reset_after_gru_are_never_merged() -> None:
    text = refused(Recipe("gru").stack, made("gru", ONE_BIAS))
    assert "no recurrent_bias for gate n" in text
    assert "this one is not zero" in text


def test_the_n_bias_of_the_hidden_side_may_go_when_it_is_zero_and_r_and_z_merge() -> None:
    stack = Recipe("gru", zero=frozenset({("recurrent_bias", "n")})).stack
    again, said = through(stack, made("gru", ONE_BIAS))
    assert exactness(said) == [ONE_ROUNDING]
    np.testing.assert_array_equal(again[0, "forward"].bias["n"], stack[0, "forward"].bias["n"])
    assert prove(stack, again).max_abs_error < 1e-6


def test_a_layout_with_a_second_bias_for_n_alone_takes_r_and_z_merged_and_n_apart() -> None:
    stack = Recipe("gru").stack
    again, said = through(stack, made("gru", *FLAX_LIKE))
    assert [change.what for change in said.changes] == ["biases: the two of gates r z are added into one"]
    old, new = stack[0, "forward"], again[0, "forward"]
    np.testing.assert_array_equal(new.bias["n"], old.bias["n"])
    np.testing.assert_array_equal(new.recurrent_bias["n"], old.recurrent_bias["n"])
    np.testing.assert_array_equal(
        new.bias["r"], (old.bias["r"].astype("f8") + old.recurrent_bias["r"].astype("f8")).astype("f4")
    )
    assert prove(stack, again).max_abs_error < 1e-6
    back, _ = through(again, layout("torch.GRU"))
    assert prove(again, back).max_abs_error == 0.0


def test_a_layout_with_the_hidden_side_bias_alone_refuses_the_input_sides_n() -> None:
    only_hidden = made("gru", Part("c", RECURRENT_BIAS, "(gate unit)"))
    assert "no bias for gate n" in refused(Recipe("gru").stack, only_hidden)
    stack = Recipe("gru", zero=frozenset({("bias", "n")})).stack
    again, _ = through(stack, only_hidden)
    assert prove(stack, again).max_abs_error < 1e-6


def test_a_reset_before_gru_may_merge_all_its_biases() -> None:
    dialect = replace(PLAIN["gru"], reset="before")
    stack = Recipe("gru", dialect=dialect).stack
    again, _ = through(stack, made("gru", ONE_BIAS, reset="before"))
    assert prove(stack, again).max_abs_error < 1e-6


def test_merging_the_n_biases_would_be_another_function() -> None:
    """The reason for the refusal, in numbers."""
    stack = Recipe("gru").stack
    weights = stack[0, "forward"]
    merged = weights.with_roles(
        bias=weights.bias.mapped(lambda gate, b: b + weights.recurrent_bias[gate]), recurrent_bias=None
    )
    assert prove(stack, stack.replaced({(0, "forward"): merged})).max_abs_error > 1e-2


# GRU: before and after, and which state the update gate keeps.


@pytest.mark.parametrize(("one", "other"), [("before", "after"), ("after", "before")])
def test_reset_before_and_after_are_two_functions_whatever_the_weights(one: str, other: str) -> None:
    stack = Recipe("gru", bias="none", dialect=replace(PLAIN["gru"], reset=one)).stack
    text = refused(stack, made("gru", reset=other))
    assert f"applies the reset gate {other} the recurrent product, this one {one} it" in text
    assert "another function" in text
    assert prove(stack, stack.replaced(dialect=replace(stack.dialect, reset=other))).max_abs_error > 1e-2


@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid(0.2)", "hard_sigmoid(1/6)"])
@pytest.mark.parametrize(("one", "other"), [("keeps", "writes"), ("writes", "keeps")])
def test_the_update_gate_is_turned_round_by_negating_all_of_z(one: str, other: str, activation: str) -> None:
    dialect = replace(PLAIN["gru"], update=one, recurrent_activation=activation)
    stack = Recipe("gru", layers=2, dialect=dialect).stack
    target = made("gru", TWO_BIASES, update=other, recurrent_activation=activation)
    said = express(stack, target)
    assert exactness(said) == [EXACT]
    assert "everything of z is negated" in said.changes[0].what
    for key, array in contents(stack).items():
        np.testing.assert_array_equal(contents(said.stack)[key], -array if key[3] == "z" else array)
    assert prove(stack, said.stack).max_abs_error < 1e-15
    back = express(said.stack, made("gru", TWO_BIASES, update=one, recurrent_activation=activation)).stack
    assert same_contents(back, stack)
    unchanged = stack.replaced(dialect=replace(dialect, update=other))
    assert prove(stack, unchanged).max_abs_error > 1e-2, "without the negation it is another function"


@pytest.mark.parametrize("activation", ["tanh", "relu", "softsign", "linear", "my own"])
def test_the_update_gate_of_another_activation_cannot_be_turned_round(activation: str) -> None:
    """1 - s(x) = s(-x) holds for the sigmoids only."""
    stack = Recipe("gru", dialect=replace(PLAIN["gru"], recurrent_activation=activation)).stack
    text = refused(stack, made("gru", TWO_BIASES, update="writes", recurrent_activation=activation))
    assert "update gate" in text
    assert activation in text


# Forget bias.


@pytest.mark.parametrize(("said", "there", "exact"), [(1.0, 0.0, EXACT), (2.0, 0.5, EXACT), (0.1, 0.0, ONE_ROUNDING)])
def test_a_forget_bias_beside_one_bias_becomes_the_second_one_which_rounds_nothing(
    said: float, there: float, exact: str
) -> None:
    stack = Recipe("lstm", bias="single", dialect=replace(PLAIN["lstm"], forget_bias=said)).stack
    again, how = through(stack, made("lstm", TWO_BIASES, forget_bias=there))
    assert [(change.what, change.exactness) for change in how.changes] == [
        (f"forget bias: {said:g} added at run time → {there:g}, the rest stored as f's recurrent bias", exact)
    ]
    for gate in "ifgo":
        mine = again[0, "forward"]
        np.testing.assert_array_equal(mine.bias[gate], stack[0, "forward"].bias[gate])
        np.testing.assert_array_equal(
            mine.recurrent_bias[gate], np.float32(said - there) * (gate == "f") + np.zeros(4, "f4")
        )
    assert prove(stack, again).max_abs_error <= (1e-14 if exact == EXACT else 1e-6)


@pytest.mark.parametrize("bias", ["none", "double"])
@pytest.mark.parametrize(("said", "there"), [(1.0, 0.0), (0.0, 1.0), (2.0, 0.5)])
def test_a_forget_bias_added_at_run_time_is_stored_and_the_other_way_round(
    said: float, there: float, bias: str
) -> None:
    stack = Recipe("lstm", bias=bias, dialect=replace(PLAIN["lstm"], forget_bias=said)).stack
    again, how = through(stack, made("lstm", TWO_BIASES, forget_bias=there))
    assert again.dialect.forget_bias == there
    assert ONE_ROUNDING in exactness(how)
    assert f"forget bias: {said:g} added at run time → {there:g}" in how.changes[0].what
    old = stack[0, "forward"].bias.get("f", np.zeros(4, "f4"))
    new = again[0, "forward"].bias["f"]
    np.testing.assert_array_equal(new, (old.astype("f8") + said - there).astype("f4"))
    assert prove(stack, again).max_abs_error < 1e-6
    for gate in "igo":
        np.testing.assert_array_equal(again[0, "forward"].bias[gate], stack[0, "forward"].bias.get(gate, 0 * old))


@pytest.mark.parametrize("added", [0.0, 1.0])
@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid(0.2)"])
@pytest.mark.parametrize(("gone", "kept"), ["if", "fi"])
def test_a_coupled_gate_gets_weights_of_its_own_by_negating_the_other(
    gone: str, kept: str, activation: str, added: float
) -> None:
    dialect = replace(PLAIN["lstm"], coupled=gone, recurrent_activation=activation, forget_bias=added)
    stack = Recipe("lstm", bias="single", peephole="ifo", dialect=dialect, dtype="float64").stack
    peephole = Part("p", PEEPHOLE, "(gate unit)", gates="ifo")
    for bias in (0.0, 1.0):
        target = made("lstm", ONE_BIAS, peephole, recurrent_activation=activation, forget_bias=bias)
        said = express(stack, target)
        assert said.stack.dialect.coupled is None
        assert prove(stack, said.stack).max_abs_error < 1e-12
        assert any(f"{gone} with weights of its own, those of {kept} negated" in change.what for change in said.changes)


def test_a_coupled_gate_of_another_activation_keeps_no_weights() -> None:
    dialect = replace(PLAIN["lstm"], coupled="i", recurrent_activation="relu")
    target = made("lstm", ONE_BIAS, recurrent_activation="relu")
    assert "these gates use relu" in refused(Recipe("lstm", bias="single", dialect=dialect).stack, target)


def test_a_forget_bias_has_nowhere_to_go_without_biases() -> None:
    stack = Recipe("lstm", bias="none", dialect=replace(PLAIN["lstm"], forget_bias=1.0)).stack
    assert "biases" in refused(stack, made("lstm"))


# Activations.


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_hard_sigmoid_is_no_sigmoid_whatever_the_weights(cell: str) -> None:
    stack = Recipe(cell, bias="none", dialect=replace(PLAIN[cell], recurrent_activation="hard_sigmoid(0.2)")).stack
    assert "the gates' activation is hard_sigmoid(0.2), and there it is sigmoid." in refused(stack, made(cell))
    assert "A hard sigmoid is clip(a x + 0.5)" in refused(stack, made(cell))


def test_two_hard_sigmoids_of_the_cell_state_are_told_apart() -> None:
    hard = "hard_sigmoid(0.2)"
    stack = Recipe("lstm", bias="none", dialect=replace(PLAIN["lstm"], activation=hard, output_activation=hard)).stack
    text = refused(stack, layout("keras.LSTM"))
    assert "Keras changed the slope of hard_sigmoid from 0.2 to 1/6 in version 3" in text


@pytest.mark.parametrize("field", ["activation", "output_activation"])
def test_another_activation_is_refused_by_its_name(field: str) -> None:
    stack = Recipe("lstm", bias="none", dialect=replace(PLAIN["lstm"], **{field: "relu"})).stack
    assert "is relu, and there it is tanh" in refused(stack, made("lstm"))


def test_one_setting_for_two_activations_refuses_what_differs() -> None:
    stack = Recipe("lstm", dialect=replace(PLAIN["lstm"], output_activation="relu")).stack
    assert "one setting, activation, says both" in refused(stack, layout("keras.LSTM"))


# What a target has no place for, and what a target does that the source does not.


def test_a_projection_is_refused_where_there_is_none_and_never_dropped() -> None:
    assert "a projection" in refused(Recipe("lstm", proj=3, bias="none").stack, made("lstm"))
    zero = Recipe("lstm", proj=3, bias="none", zero=frozenset({("projection", "_")})).stack
    assert "a projection" in refused(zero, made("lstm"))


def test_a_projection_that_a_target_cannot_be_without_is_not_made_up() -> None:
    target = made("lstm", Part("p", PROJECTION, "hidden unit"))
    assert "projection" in refused(Recipe("lstm", bias="none").stack, target)


def test_peepholes_are_refused_unless_all_zero() -> None:
    stack = Recipe("lstm", peephole="ifo", bias="none").stack
    assert "a peephole" in refused(stack, made("lstm"))
    zero = Recipe("lstm", peephole="ifo", bias="none", zero=frozenset(("peephole", gate) for gate in "ifo")).stack
    again, said = through(zero, made("lstm"))
    assert [(change.what, change.exactness) for change in said.changes] == [("peepholes: all zero, left out", EXACT)]
    assert prove(zero, again).max_abs_error == 0.0


def test_peepholes_of_gates_that_a_target_lacks_are_refused_and_those_it_asks_for_are_zeros() -> None:
    target = made("lstm", Part("p", PEEPHOLE, "(gate unit)", gates="io"))
    assert "a peephole for gate f" in refused(Recipe("lstm", peephole="ifo", bias="none").stack, target)
    stack = Recipe("lstm", bias="none").stack
    again, said = through(stack, target)
    assert [(change.what, change.exactness) for change in said.changes] == [("peepholes: none → zeros", EXACT)]
    assert prove(stack, again).max_abs_error == 0.0
    same, said = through(Recipe("lstm", peephole="io", bias="none").stack, target)
    assert said.changes == ()
    assert same_contents(same, Recipe("lstm", peephole="io", bias="none").stack)


@pytest.mark.parametrize("field", ["cell_clip", "input_clip", "proj_clip"])
def test_clipping_is_refused_where_there_is_none_and_where_only_the_target_does_it(field: str) -> None:
    plain, clipped = made("lstm"), made("lstm", **{field: 3.0})
    stack = Recipe("lstm", bias="none").stack
    source = stack.replaced(dialect=replace(stack.dialect, **{field: 3.0}))
    assert f"the source clips ({field} = 3.0)" in refused(source, plain)
    assert f"it clips ({field} = 3.0)" in refused(stack, clipped)
    assert f"the source clips ({field} = 2.0)" in refused(
        stack.replaced(dialect=replace(stack.dialect, **{field: 2.0})), clipped
    )
    assert express(source, clipped).changes == ()


def test_a_clip_at_infinity_says_nothing() -> None:
    stack = Recipe("lstm", bias="none").stack
    source = stack.replaced(dialect=replace(stack.dialect, cell_clip=float("inf")))
    assert express(source, made("lstm")).changes == ()
    assert express(stack, made("lstm", cell_clip=float("inf"))).changes == ()


# Direction, depth, sizes.


@pytest.mark.parametrize("merge", ["sum", "ave", "mul", "apart"])
def test_two_directions_joined_otherwise_are_refused_by_name(merge: str) -> None:
    stack = Recipe("lstm", directions=2, dialect=replace(PLAIN["lstm"], merge=merge)).stack
    assert f"joined by {merge}, there by concat" in refused(stack, layout("torch.LSTM"))
    assert express(stack, layout("keras.LSTM")).stack.dialect.merge == merge


def test_how_directions_are_joined_says_nothing_where_there_is_one() -> None:
    stack = Recipe("lstm", dialect=replace(PLAIN["lstm"], merge="sum")).stack
    assert express(stack, layout("torch.LSTM")).stack.dialect.merge == "concat"
    assert express(Recipe("lstm", bias="none").stack, made("lstm", merge="sum")).changes == ()


def test_a_layer_that_reads_backwards_is_refused_where_none_can() -> None:
    stack = Recipe("lstm", dialect=replace(PLAIN["lstm"], go_backwards=True)).stack
    assert "go_backwards" in refused(stack, layout("torch.LSTM"))
    assert express(stack, layout("keras.LSTM")).stack.dialect.go_backwards
    assert "in the input's order" in refused(stack, layout("onnx.LSTM"))


def test_a_lone_reverse_direction_in_place_is_said_by_onnx_and_is_not_keras_s_go_backwards() -> None:
    stack = Recipe("lstm", dialect=replace(PLAIN["lstm"], go_backwards=True, backwards_in_place=True)).stack
    assert express(stack, layout("onnx.LSTM")).stack.dialect.backwards_in_place
    assert "turned around" in refused(stack, layout("keras.LSTM"))
    assert "go_backwards" in refused(stack, layout("torch.LSTM"))


def of_two_sizes(one: Recipe, other: Recipe) -> Stack:
    return Stack(
        "lstm", {(0, "forward"): one.stack[0, "forward"], (1, "forward"): other.stack[0, "forward"]}, PLAIN["lstm"]
    )


def test_layers_are_never_written_over_each_other() -> None:
    said = express(Recipe("lstm", layers=2).stack, layout("keras.LSTM"))
    with pytest.raises(NotRepresentable, match=r"keras.LSTM holds one layer, and these are 2"):
        encode(said.stack, said.layout, said.form)


def test_layers_that_differ_in_size_are_no_stack_of_torchs() -> None:
    stack = of_two_sizes(Recipe("lstm", unit=4), Recipe("lstm", unit=6, feature=4))
    assert "same number of units" in refused(stack, layout("torch.LSTM"))
    projected = of_two_sizes(Recipe("lstm", unit=4, proj=3), Recipe("lstm", unit=4, proj=2, feature=3))
    assert "project to different sizes" in refused(projected, layout("torch.LSTM"))
    half = of_two_sizes(Recipe("lstm", unit=4, proj=3), Recipe("lstm", unit=4, feature=3))
    assert "only some of its layers" in refused(half, layout("torch.LSTM"))


def test_directions_that_differ_in_size_are_refused() -> None:
    cells = {
        (0, "forward"): Recipe("lstm").stack[0, "forward"],
        (0, "reverse"): Recipe("lstm", unit=6).stack[0, "forward"],
    }
    assert "differ in size" in refused(Stack("lstm", cells, PLAIN["lstm"]), layout("keras.LSTM"))


def test_layers_with_and_without_biases_become_one_stack_with_zeros() -> None:
    stack = of_two_sizes(Recipe("lstm"), Recipe("lstm", feature=4, bias="none"))
    again, _ = through(stack, layout("torch.LSTM"))
    assert prove(stack, again).max_abs_error == 0.0
    assert not again[1, "forward"].bias["i"].any()


# The whole.


def test_what_could_say_it_is_listed_for_a_refusal() -> None:
    names = [said.layout.name for said in can_say(Recipe("gru").stack)]
    assert {"torch.GRU", "keras.GRU", "keras.CuDNNGRU"} <= set(names)
    assert not any("LSTM" in name or name.startswith("keras1") for name in names)


@in_thirds
def test_expressing_twice_is_expressing_once(third: int) -> None:
    for stack in (recipe.stack for recipe in recipes()[third::3]):
        for target in layouts():
            try:
                once = express(stack, target)
            except NotRepresentable:
                continue
            twice = express(once.stack, target)
            assert twice.changes == ()
            assert same_contents(twice.stack, once.stack)


def test_expressing_leaves_the_source_as_it_was() -> None:
    stack = Recipe("gru", dialect=replace(PLAIN["gru"], update="writes")).stack
    before = {key: array.copy() for key, array in contents(stack).items()}
    express(stack, layout("torch.GRU"))
    assert all(np.array_equal(array, contents(stack)[key]) for key, array in before.items())
    assert stack.dialect.update == "writes"


def test_the_arithmetic_is_done_when_asked_for_and_not_before() -> None:
    def never() -> Any:
        raise AssertionError("read too early")

    weights = Recipe("lstm").stack[0, "forward"]
    lazy = weights.with_roles(
        **{role: Gates(role, dict.fromkeys(gates, never)) for role, gates in weights.roles.items()}
    )
    stack = Stack("lstm", {(0, "forward"): lazy}, replace(PLAIN["lstm"], forget_bias=1.0))
    said = express(stack, layout("torch.LSTM"))
    assert len(encode(said.stack, layout("torch.LSTM"), said.form)) == 4


def test_the_proof_behind_these_laws_sees_each_gate_of_each_role() -> None:
    """Were one number off anywhere, the run would differ; so the laws above cannot pass by accident."""
    for cell, proj, peephole in (("lstm", 3, "ifo"), ("gru", 0, ""), ("rnn", 0, "")):
        stack = Recipe(cell, layers=2, directions=2, proj=proj, peephole=peephole).stack
        for (layer, direction, role, gate), array in contents(stack).items():
            weights = stack[layer, direction]
            other = weights.role(role).mapped(lambda g, a, gate=gate: a + 0.01 if g == gate else a)
            changed = stack.replaced({**stack.cells, (layer, direction): weights.with_roles(**{role: other})})
            assert prove(stack, changed).max_abs_error > 1e-6, (role, gate, array.shape)
    assert run(stack, np.zeros((1, 1, 5)))[0].shape == (1, 1, 8)
