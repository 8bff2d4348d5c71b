"""The laws of the layout tables.  Every table, form, depth, direction, choice of biases and naming scheme is walked, so
a new layout is held to them by being there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_layers import (
    DTYPES,
    Case,
    Recipe,
    Sizes,
    contents,
    every_case,
    same_bits,
    same_contents,
    stored,
)
from together import Law, in_turn, together

from gatewise import pieces
from gatewise.layouts import Layout, Match, Part, Recognised, _encoded, built_in, layouts, layouts_for, recognise
from gatewise.layouts._code import decode, encode
from gatewise.layouts._layout import RESEMBLING, is_stream
from gatewise.tensors import Declared, Tensors
from gatewise.weights import BIAS, KERNEL, PLAIN, PROJECTION, RECURRENT_KERNEL

QUICK = {
    "torch.LSTM", "torch.GRU", "torch.LSTMCell", "keras.LSTM", "keras.GRU", "keras.CuDNNGRU", "tf1.BasicLSTMCell", "tf1.CudnnLSTM",
    "tf1.LSTMBlockCell-0.12", "tf1.CoupledInputForgetGateLSTMCell", "onnx.LSTM", "onnx.GRU", "onnx.RNN",
}  # fmt: skip
FEW = ("torch.GRU", "keras.LSTM", "onnx.GRU", "tf1.BasicLSTMCell")
CASES = every_case()
NAMED = every_case(namings=True)
# Layouts that are looked for in any file, and in any file or their own; the others only where the user names them.
ANYWHERE = [case for case in NAMED if case.layout.unasked == "everywhere"]
UNASKED = [case for case in NAMED if case.layout.unasked != "never"]
# Where input, units and gates are the same number, shapes tell least.
SQUARES = (Sizes(1, 1), Sizes(3, 3, 2), Sizes(4, 4, 3), Sizes(4, 3, 1), Sizes(3, 4, 2), Sizes(12, 3, 2), Sizes(1, 4, 3))
few = settings(max_examples=2, deadline=None)


def each(cases: Iterable[Case], costly: bool = False) -> Callable[[Law], Law]:
    """One test for each layout, over all its cases.  ``make test`` runs all of them; the quick part those of the
    best known, stacks as small and as large as they can be, and where a case costs many recognitions, a few layouts of one layer."""

    def slow(case: Case) -> bool:
        between = case.layout.is_stack and (case.layers > 1) != (case.directions > 1)
        return case.layers > 1 or case.layout.name not in FEW if costly else between or case.layout.name not in QUICK

    return together("case", cases, of=lambda case: case.layout.name, slow=slow)


@st.composite
def sizes(draw: st.DrawFn) -> Sizes:
    unit = draw(st.integers(2, 9))
    return Sizes(draw(st.integers(1, 9)), unit, draw(st.integers(1, unit - 1)))


def fitting(case: Case, size: Sizes) -> Sizes:
    """A projection makes the output smaller, in every framework that has one."""
    return size if size.proj < size.unit or "projection" not in case.extras else Sizes(size.feature, 2, 1)


def read(case: Case, tensors: Tensors) -> Match:
    """The only match of the case's own layout."""
    found = recognise(tensors, (case.layout,), chosen=True)
    assert len(found.matches) == 1, found.misfits
    return found.matches[0]


def among_all(tensors: Tensors) -> Recognised:
    """What a file is recognised as: every layout that it may hold is tried (test_index.py: none is left out)."""
    return recognise(tensors, layouts_for(tensors))


# (a) Encoding is decoding's inverse.


@each(CASES)
def test_what_is_decoded_and_encoded_again_is_the_same_bit_for_bit(case: Case) -> None:
    for dtype, size in [*((dtype, Sizes(5, 4, 3)) for dtype in DTYPES), *(("float32", size) for size in SQUARES)]:
        arrays = case.arrays(fitting(case, size), dtype, prefix="a.b.")
        tensors = case.offer(arrays, fitting(case, size), "a.b.")
        match = read(case, tensors)
        again = encode(decode(match, tensors), case.layout, match.form, prefix="a.b.", naming=case.naming)
        assert {tensor.name for tensor in again} == set(arrays)
        for tensor in again:
            assert tensor.shape == arrays[tensor.name].shape
            assert tensor.dtype == dtype
            assert same_bits(tensor.array(), arrays[tensor.name]), tensor.name


@each(CASES)
def test_a_tensor_that_is_made_in_pieces_of_any_size_is_the_one_that_is_made_whole(case: Case) -> None:
    tensors = case.offer(case.arrays(fitting(case, Sizes(5, 4, 3))), fitting(case, Sizes(5, 4, 3)))
    match = read(case, tensors)
    for dtype in ("float32", "float16"):
        again = encode(decode(match, tensors), case.layout, match.form, naming=case.naming, dtype=dtype)
        for size in (1, 50, 1 << 20):
            with patch.object(pieces, "PIECE", size), patch.object(_encoded, "PIECE", size):
                for tensor in again:
                    assert b"".join(map(bytes, tensor.pieces())) == tensor.array().tobytes(), tensor.name


@each([case for case in NAMED if case.naming and case.written])
def test_each_naming_scheme_that_can_be_written_is_written_as_it_was_read(case: Case) -> None:
    arrays = case.arrays(Sizes(5, 4, 3), prefix="a/b/")
    tensors = case.offer(arrays, Sizes(5, 4, 3), "a/b/")
    match = read(case, tensors)
    again = encode(decode(match, tensors), case.layout, match.form, prefix="a/b/", naming=case.naming)
    assert [(tensor.name, tensor.array().tobytes()) for tensor in again] == [
        (name, arrays[name].tobytes()) for name in (tensor.name for tensor in again)
    ]
    assert len(again) == len(arrays)


@given(size=in_turn(sizes()), seed=in_turn(st.integers(0, 99)))
@few
@each(CASES)
def test_what_is_encoded_and_decoded_again_is_the_same_stack(case: Case, size: Sizes, seed: int) -> None:
    held = {
        role: "_" if role == "projection" else "".join(gate for part in case.parts if role in part.roles
                                                       for gate in case.layout.gates_of(part, role))
        for part in case.parts for role in part.roles
    }  # fmt: skip
    stack = Recipe(
        case.layout.cell, size.feature, size.unit, case.layers, case.directions,
        proj=size.proj if "projection" in held else 0, dialect=case.layout.meaning, seed=seed, held=held,
    ).stack  # fmt: skip
    encoded = encode(stack, case.layout, case.form, naming=case.naming)
    tensors = case.offer({tensor.name: tensor.array() for tensor in encoded}, fitting(case, size))
    assert same_contents(decode(read(case, tensors), tensors), stack)


@each(CASES)
def test_the_tensors_of_a_stack_come_layer_by_layer_and_forward_before_reverse(case: Case) -> None:
    tensors = case.tensors(Sizes(5, 4, 3))
    match = read(case, tensors)
    names = [tensor.name for tensor in encode(decode(match, tensors), case.layout, match.form, naming=case.naming)]
    layer_of = {name: layer for name, _, _, layer in case.names(Sizes(5, 4, 3))}
    assert [layer_of[name] for name in names] == sorted(layer_of[name] for name in names)


# (b) Decoding copies nothing, hands out nothing that can be written, and leaves nothing out.


@given(size=in_turn(sizes()))
@example(size=Sizes(1, 1))
@example(size=Sizes(4, 4, 3))
@few
@each(CASES)
def test_views_cover_each_stored_element_exactly_once(case: Case, size: Sizes) -> None:
    arrays = case.arrays(fitting(case, size), "float64")
    tensors = case.offer(arrays, fitting(case, size))
    everything = np.concatenate([array.ravel() for array in arrays.values()])
    viewed = [view.ravel() for view in contents(decode(read(case, tensors), tensors)).values()]
    np.testing.assert_array_equal(np.sort(np.concatenate(viewed)), np.sort(everything))


@each(CASES)
def test_decoding_is_zero_copy_but_for_a_named_relabel_and_views_are_read_only(case: Case) -> None:
    arrays = case.arrays(Sizes(5, 4, 3))
    tensors = case.offer(arrays, Sizes(5, 4, 3))
    match = read(case, tensors)
    relabelled = {role for part in case.parts if part.relabel for role in part.roles}
    for (*_, role, gate), view in contents(decode(match, tensors)).items():
        assert not view.flags.writeable
        shared = any(np.shares_memory(view, array) for array in arrays.values())
        assert shared == (role not in relabelled), (role, gate)
    assert all(array.flags.writeable for array in arrays.values()), "the caller's own arrays stay as they were"


@each(CASES)
def test_no_element_is_read_before_a_gate_is_asked_for(case: Case) -> None:
    asked: list[str] = []
    arrays = case.arrays(Sizes(5, 4, 3))
    lazy = [
        type(tensor)(
            tensor.name, tensor.dtype, tensor.shape, lambda name=tensor.name: asked.append(name) or arrays[name]
        )
        for tensor in stored(arrays).values()
    ]
    tensors = case.offer(arrays, Sizes(5, 4, 3)).with_tensors(lazy)
    stack = decode(read(case, tensors), tensors)
    assert asked == []
    assert stack.parameters == sum(array.size for array in arrays.values())
    assert asked == []
    kernel = stack[0, "forward"].kernel
    _ = kernel[next(iter(kernel))]
    assert len(asked) == 1


# (c) Recognition.

WORDS = ("encoder", "model", "module", "_orig_mod", "lstm_1", "0", "rnns", "état", "a b", "kernel_net", "W")


def unrelated(separator: str) -> dict[str, np.ndarray]:
    return {
        separator.join(("fc", "weight")): np.zeros((3, 12), "f4"),
        separator.join(("fc", "bias")): np.zeros(3, "f4"),
        separator.join(("embedding", "embeddings")): np.zeros((12, 3), "f4"),
        "num_batches_tracked": np.zeros((), "i8"),
    }


def moments(arrays: dict[str, np.ndarray], prefix: str, style: str) -> dict[str, np.ndarray]:
    """Names under which optimizers keep a moment of each weight, shaped as the weight itself."""
    return {style.format(prefix=prefix, name=name[len(prefix) :]): array for name, array in arrays.items()}


def below(case: Case, prefix: str) -> str:
    """The prefix; with a layer's own name behind it where the table wants a word in that."""
    return f"{prefix}my_{case.layout.named}{case.layout.separator}" if case.layout.named else prefix


MOMENTS = {
    "as torch's functional optimizers do": ("exp_avg.{prefix}{name}", "exp_avg_sq.{prefix}{name}"),
    "below a key of their own": ("optimizer.state.exp_avg.{prefix}{name}", "optim.momentum_buffer.{prefix}{name}"),
    "as MindSpore's optimizers do": ("moment1.{prefix}{name}", "moments.{prefix}{name}"),
    "as tf.keras's Adam does": ("Adam/m/{prefix}{name}", "Adam/v/{prefix}{name}"),
    "as Keras 2's Adam does": ("training/Adam/{prefix}{name}/m", "training/Adam/{prefix}{name}/v"),
    "as TensorFlow 1's slots": ("{prefix}{name}/Adam", "{prefix}{name}/Adam_1"),
    "as a sharded optimizer does": ("optimizer.state.{prefix}{name}.exp_avg", "optimizer.state.{prefix}{name}.step"),
    "below the weight's path": ("optimizer/m/{prefix}{name}", "optimizer/v/{prefix}{name}"),
}


@given(words=in_turn(st.lists(st.sampled_from(WORDS), max_size=3)), size=in_turn(sizes()))
@example(words=[], size=Sizes(1, 1))
@example(words=["lstm"], size=Sizes(4, 4, 3))
@few
@each(UNASKED, costly=True)
def test_a_layer_is_recognised_under_any_path_beside_anything(case: Case, words: list[str], size: Sizes) -> None:
    size, separator = fitting(case, size), case.layout.separator
    prefix = below(case, separator.join([*words, ""]))
    arrays = case.arrays(size, prefix=prefix)
    beside = arrays if is_stream(case.naming) else {**unrelated(separator), **arrays}
    assert_only_right_readings(case, size, arrays, beside, prefix)


@each([case for case in UNASKED if case.layers == 1 and case.by_name], costly=True)
def test_optimizer_moments_are_never_taken_for_layers(case: Case) -> None:
    prefix = below(case, f"encoder{case.layout.separator}")
    arrays = case.arrays(Sizes(5, 4, 3), prefix=prefix)
    for styles in MOMENTS.values():
        beside = {name: array for style in styles for name, array in moments(arrays, prefix, style).items()}
        assert_only_right_readings(case, Sizes(5, 4, 3), arrays, {**beside, **arrays}, prefix)


@pytest.mark.parametrize(
    "path", ["optimizer", "meta.optimizer", "adam.lstm", "m", "velocity.rnn", "exp_avg_net", "optim.net"]
)
def test_a_layer_of_a_model_that_is_called_after_an_optimizer_is_still_a_layer(path: str) -> None:
    case = next(case for case in CASES if case.layout.name == "torch.GRU" and case.extras)
    arrays = case.arrays(Sizes(5, 4), prefix=f"{path}.")
    assert_only_right_readings(case, Sizes(5, 4), arrays, arrays)


@each([case for case in ANYWHERE if case.by_name])
def test_an_averaged_copy_is_a_layer_of_its_own_read_alike(case: Case) -> None:
    s = case.layout.separator
    arrays, copy = (case.arrays(Sizes(5, 4, 3), prefix=below(case, path)) for path in (f"net{s}", f"ema{s}net{s}"))
    found = among_all(stored({**arrays, **copy}, case.naming))
    if not found.matches:
        assert {name for doubt in found.ambiguous for name in doubt.tensors} <= {*arrays, *copy}
        assert found.ambiguous
        return
    assert [set(match.tensors) for match in found.matches] == [set(arrays), set(copy)]
    assert found.matches[0].layout is found.matches[1].layout
    assert found.matches[0].sizes == found.matches[1].sizes


def assert_only_right_readings(case: Case, size: Sizes, arrays: dict, beside: dict, prefix: str = "") -> None:
    """Exactly the layer with the right sizes; or two layouts named and none chosen.  A file that tells who wrote it
    leaves no doubt between frameworks, but for names that merely resemble."""
    for told in (False, True) if case.layout.unasked == "everywhere" else (True,):
        found = among_all(case.offer(beside, size, prefix, told))
        assert_right(case, size, arrays, found, told)


def assert_right(case: Case, size: Sizes, arrays: dict, found: Recognised, told: bool) -> None:
    if found.ambiguous:
        assert found.matches == ()
        assert all(case.layout.name in doubt.layouts for doubt in found.ambiguous)
        return
    assert [set(match.tensors) for match in found.matches] == [set(arrays)], (found.misfits, found.outside)
    match = found.matches[0]
    assert match.layout is case.layout or (not told and alike(match.layout, case.layout)), match.layout.name
    unsettled = any(None in setting.untold for setting in case.layout.settings)  # the offered file has no version
    doubtful = unsettled or (case.layout.doubt and not case.naming)  # a format's own names are nobody else's
    assert match.sure == (case.naming != RESEMBLING and (told or not is_stream(case.naming)) and not doubtful)
    assert len(match.sizes) == case.layers * case.directions
    for (layer, _), told in match.sizes.items():
        wanted = case.sizes_at(size, layer, case.parts[0])
        assert {axis: told[axis] for axis in ("unit", "feature", "hidden")} == {
            axis: wanted[axis] for axis in ("unit", "feature", "hidden")
        }
    for key, value in case.form.items():
        if case.extras:  # the form shows in the biases alone
            assert getattr(match.dialect, key) == value


def alike(one: Layout, other: Layout) -> bool:
    """Two frameworks' tables that say the same under the same names (torch's cells are also tinygrad's), or the second
    says that its names are the first's."""

    def said(layout: Layout) -> tuple:
        return (
            layout.cell,
            layout.gates,
            layout.meaning,
            [(part.texts(""), part.roles, part.phrase) for part in layout.parts],
        )

    return said(one) == said(other) or other.like == one.name


def test_a_layout_that_is_like_another_and_not_looked_for_beside_it_says_what_that_one_says() -> None:
    """Otherwise a file of its tensors, which does not tell whose it is, would be read as another function."""

    def said(layout: Layout) -> tuple:
        return layout.cell, layout.gates, layout.meaning

    def parts(layout: Layout) -> set[tuple]:
        return {(part.texts(""), part.roles, part.phrase, part.optional) for part in layout.parts}

    pairs = [(each, built_in(each.like)) for each in layouts() if each.like and each.unasked == "own files"]
    assert len(pairs) > 10
    for layout, other in pairs:
        assert said(layout) == said(other), layout.name
        assert parts(layout) <= parts(other), layout.name


# (d) A length that does not fit is a misfit, with a sentence.


def is_joint(case: Case) -> bool:
    """Does one axis hold the rows of x and those of h?"""
    return any(
        {"feature", "hidden"} <= {atom for segment in axis for atom in segment}
        for part in case.parts
        for axis in part.parsed.axes
    )


def lengths(case: Case, size: Sizes) -> list[tuple[str, int, bool]]:
    """(tensor, axis, is the axis free): every axis of every tensor.  Only the features of the first layer of a single
    direction are told by one tensor alone.  Left out is the width of a projection whose kernel holds rows of x and of
    h: another one is a layer of as many features less."""
    found = []
    once = sum("feature" in part.parsed.atoms for _, _, part, layer in case.names(size) if layer == 0) == 1
    for name, shape, part, layer in case.names(size, below(case, "")):
        for axis in range(len(shape)):
            atoms = {atom for segment in part.parsed.axes[axis] for atom in segment}
            if atoms == {"hidden"} and part.roles == PROJECTION and is_joint(case):
                continue
            found.append((name, axis, "feature" in atoms and layer == 0 and once))
    return found


@each([case for case in CASES if case.by_name and case.layout.unasked != "never"], costly=True)
@pytest.mark.parametrize("by", [-1, +1], ids=["one too short", "one too long"])
def test_a_wrong_length_in_any_one_tensor_is_a_misfit_with_a_sentence(case: Case, by: int) -> None:
    # Not 3 or 4 units: 3 × 4 rows are a GRU's as well as an LSTM's, so there one wrong length gives the other's shapes.
    for size in (Sizes(5, 6, 3), Sizes(2, 2, 1)):
        arrays = case.arrays(fitting(case, size), prefix=below(case, ""))
        for name, axis, free in lengths(case, fitting(case, size)):
            shape = list(arrays[name].shape)
            shape[axis] += by
            changed = {**arrays, name: np.zeros(shape, "f4")}
            found = among_all(case.offer(changed, fitting(case, size)))
            if free:
                features = [
                    match.sizes[0, "forward"]["feature"] for match in found.matches if match.layout is case.layout
                ]
                assert features == [size.feature + by]
                continue
            assert not any(m.layout is case.layout for m in found.matches), f"{name}: {arrays[name].shape} → {shape}"
            own = re.compile(rf"{re.escape(case.layout.name)}(?![\w-])")  # and not tf1.LSTMCell-1.0's
            sentences = [text for texts in found.misfits.values() for text in texts if own.search(text)]
            assert sentences, f"{name}: {shape}"
            for text in sentences:
                assert text.endswith(".")
                assert any(known in text for known in arrays), text


@each([case for case in CASES if case.layers > 1 and case.by_name])
def test_a_length_that_the_layer_below_contradicts_is_told_of_the_axis_that_is_wrong(case: Case) -> None:
    size = Sizes(5, 4, 3)
    arrays = case.arrays(size)
    told = {
        name: (shape, part) for name, shape, part, layer in case.names(size) if layer == 1 and "kernel" in part.roles
    }
    for name, (shape, part) in told.items():
        axis = next(n for n, axis in enumerate(part.parsed.axes) if any("feature" in segment for segment in axis))
        wrong = tuple(length + 7 * (n == axis) for n, length in enumerate(shape))
        # both directions, so that only the layer below contradicts
        changed = {n: np.zeros(wrong, "f4") if n in told else a for n, a in arrays.items()}
        (sentence,) = (t for ts in recognise(case.offer(changed, size), (case.layout,)).misfits.values() for t in ts)
        assert any(repr(other) in sentence for other in told), name
        assert f"is {wrong[axis]} long; the other tensors want {shape[axis]}" in sentence


@each([case for case in CASES if (case.extras or len(case.parts) > 1) and case.by_name])
def test_a_missing_tensor_is_a_misfit_or_leaves_a_part_that_is_optional_as_a_whole(case: Case) -> None:
    arrays = case.arrays(Sizes(5, 4, 3), prefix=below(case, ""))
    one_of = {name: part for name, _, part, _ in case.names(Sizes(5, 4, 3), below(case, ""))}
    for gone, part in one_of.items():
        left = {name: array for name, array in arrays.items() if name != gone}
        found = recognise(case.offer(left, Sizes(5, 4, 3)), (case.layout,))
        alone = sum(other is part for other in one_of.values()) == 1
        if part.optional and alone and "projection" not in part.roles:
            assert [set(match.tensors) for match in found.matches] == [set(left)]
        elif part.given and case.layout.also:  # its absence is another form
            assert not any(match.form == case.form for match in found.matches), gone
        elif not ("projection" in part.roles and is_joint(case)):  # then it is a layer of other sizes
            assert not any(set(match.tensors) == set(left) for match in found.matches), gone


# (e) What two layouts share.


@each([case for case in CASES if case.layout.unasked != "never"], costly=True)
def test_square_sizes_hide_nothing(case: Case) -> None:
    for size in (fitting(case, size) for size in SQUARES):
        arrays = case.arrays(size, prefix=below(case, "x."))
        assert_only_right_readings(case, size, arrays, arrays, "x.")


@pytest.mark.parametrize(
    "dtypes", list(itertools.permutations(["float16", "float32", "float64", "bfloat16"], 2)), ids=" and ".join
)
def test_tensors_of_two_dtypes_lose_nothing_when_encoded_again(dtypes: tuple[str, str]) -> None:
    """A half-precision kernel beside a single-precision bias must not narrow the bias."""
    case = next(case for case in CASES if case.layout.name == "torch.LSTM" and "biases" in case.extras)
    one, other = (case.arrays(Sizes(5, 4, 3), dtype, seed=seed) for seed, dtype in enumerate(dtypes))
    mixed = {name: one[name] if "weight" in name else other[name] for name in one}
    tensors = stored(mixed)
    match = read(case, tensors)
    for tensor in encode(decode(match, tensors), case.layout, match.form):
        np.testing.assert_array_equal(tensor.array().astype("f8"), mixed[tensor.name].astype("f8"))


# What is missing, and what two layouts claim.


def test_a_stack_with_a_layer_missing_or_a_reverse_direction_alone_is_told() -> None:
    case = next(c for c in CASES if c.layout.name == "torch.GRU" and c.layers == 3 and c.directions == 2 and c.extras)
    arrays = case.arrays(Sizes(5, 4))
    for gone, says in (("_l1", "layers [0, 2] are there, so one is missing"), ("_l0", "layers [1, 2] are there")):
        left = {name: array for name, array in arrays.items() if gone not in name}
        found = among_all(stored(left))
        assert found.matches == ()
        assert any(says in text for texts in found.misfits.values() for text in texts), gone
    reverse = {name: array for name, array in arrays.items() if name.endswith("_l0_reverse")}
    found = among_all(stored(reverse))
    assert found.matches == ()
    assert any("only the reverse direction is there" in text for texts in found.misfits.values() for text in texts)


def rival(name: str, gates: str, *parts: Part, kind: str = "", resembling: bool = False) -> Layout:
    def names(text: str) -> str | dict[str, str]:
        return {"": f"exact_{text}", RESEMBLING: f"*{text}"} if resembling else text

    kernels = (
        Part(names("kern"), KERNEL, "(gate unit) feature"),
        Part(names("rec"), RECURRENT_KERNEL, "(gate unit) hidden"),
    )
    return Layout(name, "lstm", gates, (*kernels, *parts), "a test", kinds=(kind,) if kind else ())


RIVALS = {"a.kern": np.zeros((16, 5), "f4"), "a.rec": np.zeros((16, 4), "f4"), "a.bias": np.zeros(16, "f4")}


@pytest.mark.parametrize("resembling", [False, True], ids=["by its names", "by names that resemble"])
def test_two_layouts_that_fit_equally_well_and_mean_another_are_both_named_and_none_is_chosen(resembling: bool) -> None:
    found = recognise(
        stored(RIVALS), [rival(f"mine.{gates}", gates, resembling=resembling) for gates in ("ifgo", "ofgi")]
    )
    assert found.matches == ()
    assert [(doubt.name, doubt.layouts) for doubt in found.ambiguous] == [("a", ("mine.ifgo", "mine.ofgi"))]


def test_two_layouts_that_mean_the_same_are_no_doubt() -> None:
    found = recognise(stored(RIVALS), [rival("one", "ifgo"), rival("other", "ifgo")])
    assert [match.layout.name for match in found.matches] == ["one"]
    assert found.ambiguous == ()


def test_the_layout_that_explains_more_tensors_wins() -> None:
    bias = Part("bias", BIAS, "(gate unit)")
    for order in (1, -1):
        found = recognise(stored(RIVALS), [rival("less", "ofgi"), rival("more", "ifgo", bias)][::order])
        assert [match.layout.name for match in found.matches] == ["more"]
        assert found.ambiguous == ()


def test_what_the_file_declares_outweighs_what_the_names_suggest() -> None:
    bias = Part("bias", BIAS, "(gate unit)")
    declared = [Declared("a", "my.LSTM")]
    for order in (1, -1):
        rivals = [rival("declared", "ofgi", kind="my.LSTM"), rival("more", "ifgo", bias, kind="other.LSTM")][::order]
        found = recognise(stored(RIVALS, declared=declared), rivals)
        assert [match.layout.name for match in found.matches] == ["declared"]
        assert "the file declares my.LSTM here" in found.matches[0].evidence


def test_a_stack_whose_directions_are_summed_reads_one_width_below() -> None:
    summed = Layout(
        "mine.Summed", "rnn", "h",
        (Part("k{layer}{|r}", KERNEL, "unit feature"), Part("r{layer}{|r}", RECURRENT_KERNEL, "unit hidden")),
        "a test", dialect=replace(PLAIN["rnn"], merge="sum"),
    )  # fmt: skip
    arrays = {f"k{n}{way}": np.zeros((4, 5 if n == 0 else 4), "f4") for n in (0, 1) for way in ("", "r")}
    arrays |= {f"r{n}{way}": np.zeros((4, 4), "f4") for n in (0, 1) for way in ("", "r")}
    (match,) = recognise(stored(arrays), (summed,)).matches
    assert match.sizes[1, "reverse"]["feature"] == 4
