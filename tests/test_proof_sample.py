"""A proof that runs a sample of the units finds what the full one finds: mistakes of every kind, in cells of every kind.

A mistake counts as found when the sample's run differs, or the numbers do not all agree, in which case everything is run.
The last tests make sure that neither half does the other's work unseen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_layers import Recipe
from together import together

from gatewise.errors import UsageError
from gatewise.proof import Claim, Proof, _numbers, _sample, _ways, numbers, prove, prove_sample, proved
from gatewise.tensors import numpy_dtype
from gatewise.weights import PLAIN, Gates, Stack

Array = np.ndarray[Any, Any]
Mistake = Callable[[Stack], Iterator[Stack]]
LSTM, GRU = PLAIN["lstm"], PLAIN["gru"]
UNITS = 48
_RUN = {unit for layer in range(3) for unit in _sample._some(UNITS, layer).tolist()}
FAR = next(unit for unit in range(UNITS) if not {unit, unit + 1} & _RUN)  # it and the next are of no layer's sample

CELLS: dict[str, Recipe] = {
    "an LSTM of three layers in both directions": Recipe("lstm", UNITS, UNITS, layers=3, directions=2),
    "an LSTM with one bias": Recipe("lstm", UNITS, UNITS, layers=2, bias="single"),
    "an LSTM with peepholes": Recipe("lstm", 7, UNITS, peephole="ifo", dialect=replace(LSTM, forget_bias=1.0)),
    "an LSTM with full peepholes": Recipe("lstm", 7, UNITS, held={"kernel": "ifgo", "recurrent_kernel": "ifgo", "bias": "ifgo", "peephole_kernel": "ifo"}),
    "an LSTM with a projection and clips": Recipe("lstm", 9, UNITS, proj=32, layers=2, dialect=replace(LSTM, cell_clip=0.7, proj_clip=0.6)),
    "an LSTM with a square projection": Recipe("lstm", 9, UNITS, proj=UNITS, layers=2),
    "an LSTM whose input gate is coupled": Recipe("lstm", 9, UNITS, bias="single", dialect=replace(LSTM, coupled="i")),
    "an LSTM whose forget gate is coupled, with clipped inputs": Recipe("lstm", 9, UNITS, dialect=replace(LSTM, coupled="f", input_clip=0.8)),
    "a GRU of three layers in both directions": Recipe("gru", UNITS, UNITS, layers=3, directions=2),
    "a GRU that resets before": Recipe("gru", UNITS, UNITS, layers=2, bias="single", dialect=replace(GRU, reset="before")),
    "a GRU that writes": Recipe("gru", 9, UNITS, layers=2, dialect=replace(GRU, update="writes")),
    "an RNN in both directions": Recipe("rnn", UNITS, UNITS, layers=2, directions=2),
    "an MGU": Recipe("mgu", UNITS, UNITS, layers=2),
    "an MGU that resets after": Recipe("mgu", 9, UNITS, dialect=replace(PLAIN["mgu"], reset="after")),
    "a UGRNN": Recipe("ugrnn", UNITS, UNITS, layers=2, dialect=replace(PLAIN["ugrnn"], forget_bias=1.0)),
    "an sLSTM": Recipe("slstm", UNITS, UNITS, layers=2),
    "a layer that goes backwards": Recipe("lstm", 9, UNITS, dialect=replace(LSTM, go_backwards=True)),
    "two directions that are added": Recipe("lstm", 9, UNITS, directions=2, dialect=replace(LSTM, merge="sum")),
    "a layer of 17 units": Recipe("gru", 3, 17, layers=2),
}  # fmt: skip


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """These layers count as large."""
    monkeypatch.setattr(_ways, "WHOLE", 0)


# Mistakes: each gives the stacks that it makes of one, as many as there are ways to make it.


def _held(stack: Stack, place: tuple[int, str], role: str, arrays: Mapping[str, Array]) -> Stack:
    """The stack with one role of one layer and direction replaced."""
    return stack.replaced(
        dict(stack.cells) | {place: stack.cells[place].with_roles(**{role: Gates(role, makers(arrays))})}
    )


def makers(arrays: Mapping[str, Array]) -> dict[str, Callable[[], Array]]:
    return {gate: functools.partial(np.asarray, array) for gate, array in arrays.items()}


def _gates(stack: Stack, roles: tuple[str, ...]) -> Iterator[tuple[tuple[int, str], str, str, dict[str, Array]]]:
    """Every gate that is looked at: where, of which role, which, and the role's arrays."""
    for place, weights in stack:
        for role in roles:
            for gate in weights.role(role):
                if gate != stack.dialect.coupled:
                    yield place, role, gate, {name: array.copy() for name, array in weights.role(role).items()}


def _everywhere(change: Callable[[Array], Array | None], roles: tuple[str, ...]) -> Mistake:
    """A mistake in one gate of one role of one layer and direction, in each in turn."""

    def made(stack: Stack) -> Iterator[Stack]:
        for place, role, gate, arrays in _gates(stack, roles):
            value = change(arrays[gate].copy())
            if value is not None and not np.array_equal(value, arrays[gate]):
                yield _held(stack, place, role, arrays | {gate: value})

    return made


MATRICES = ("kernel", "recurrent_kernel", "peephole_kernel", "projection")
VECTORS = ("bias", "recurrent_bias", "peephole")


def _other_gate(roles: tuple[str, ...]) -> Mistake:
    def made(stack: Stack) -> Iterator[Stack]:
        for place, role, gate, arrays in _gates(stack, roles):
            if len(arrays) > 1:
                gates = list(arrays)
                yield _held(stack, place, role, arrays | {gate: arrays[gates[gates.index(gate) - 1]]})

    return made


def _transposed(array: Array) -> Array | None:
    return array.T if array.shape[0] == array.shape[1] else None


def _relabelled(array: Array) -> Array:
    return array.T.reshape(array.shape)


def _off(place: Callable[[Array], Any], by: float) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        array[place(array)] += by
        return array

    return change


def _first(array: Array) -> tuple[int, ...]:
    return (0,) * array.ndim


def _last(array: Array) -> tuple[int, ...]:
    return tuple(size - 1 for size in array.shape)


def _far(array: Array) -> Any:
    return (min(FAR, len(array) - 1), *(0,) * (array.ndim - 1))


def _places_change(
    pairs: Callable[[Stack], Iterator[tuple[tuple[int, str], tuple[int, str]]]],
) -> Mistake:
    def made(stack: Stack) -> Iterator[Stack]:
        for one, other in pairs(stack):
            if (stack.cells[one].feature, stack.cells[one].hidden) == (
                stack.cells[other].feature,
                stack.cells[other].hidden,
            ):
                yield stack.replaced(dict(stack.cells) | {one: stack.cells[other], other: stack.cells[one]})

    return made


def _directions(stack: Stack) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    if len(stack.directions) == 2:
        yield from (((layer, "forward"), (layer, "reverse")) for layer in range(stack.num_layers))


def _layers(stack: Stack) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    for layer in range(1, stack.num_layers):
        yield from (((layer - 1, direction), (layer, direction)) for direction in stack.directions)


def _roles_change(one: str, other: str) -> Mistake:
    def made(stack: Stack) -> Iterator[Stack]:
        for place, weights in stack:
            mine, theirs = weights.role(one), weights.role(other)
            if mine and theirs and all(mine[gate].shape == theirs[gate].shape for gate in mine):
                new = {one: theirs, other: mine}
                yield stack.replaced(dict(stack.cells) | {place: weights.with_roles(**new)})

    return made


def _merged_biases(stack: Stack) -> Iterator[Stack]:
    """Right for most gates, wrong for the n of a GRU that resets after."""
    if stack.dialect.reset != "after":
        return
    for place, weights in stack:
        if weights.recurrent_bias:
            total = {gate: weights.bias[gate] + weights.recurrent_bias[gate] for gate in weights.bias}
            merged = Gates("bias", makers(total))
            yield stack.replaced(dict(stack.cells) | {place: weights.with_roles(bias=merged, recurrent_bias=None)})


def _lost(role: str) -> Mistake:
    def made(stack: Stack) -> Iterator[Stack]:
        for place, weights in stack:
            if weights.role(role):
                yield _held(stack, place, role, {gate: 0 * array for gate, array in weights.role(role).items()})

    return made


def _units_change(stack: Stack) -> Iterator[Stack]:
    """Two neighbours that no sample runs, in the rows of one gate."""
    for place, weights in stack:
        for role in ("kernel", "recurrent_kernel", "bias"):
            if weights.unit > FAR + 1 and weights.role(role):
                gate = list(weights.role(role))[-1]
                order = np.arange(weights.unit)
                order[[FAR, FAR + 1]] = FAR + 1, FAR
                arrays = dict(weights.role(role))
                yield _held(stack, place, role, arrays | {gate: arrays[gate][order]})


def _said(**changes: Any) -> Mistake:
    """What the numbers mean, mistaken."""

    def made(stack: Stack) -> Iterator[Stack]:
        own = {field: getattr(stack.dialect, field) for field in changes}
        applies: Mapping[str, tuple[str, ...]] = {
            "reset": ("gru",), "update": ("gru", "ugrnn"), "forget_bias": ("lstm", "ugrnn", "slstm"), "cell_clip": ("lstm",),
            "output_activation": ("lstm",), "recurrent_activation": ("lstm", "gru", "mgu", "ugrnn"), "proj_clip": ("lstm",),
            "backwards_in_place": ("lstm",), "merge": ("lstm", "gru", "rnn"),
        }  # fmt: skip
        field = next(iter(changes))
        fits = stack.cell in applies.get(field, (stack.cell,)) and own != changes
        fits &= field != "proj_clip" or bool(stack.cells[0, "forward"].role("projection"))
        fits &= field != "merge" or (len(stack.directions) == 2 and stack.num_layers == 1)  # else nothing above it fits
        fits &= field != "backwards_in_place" or stack.dialect.go_backwards
        fits &= field != "forget_bias" or stack.dialect.coupled != "f"
        if fits:
            yield stack.replaced(dialect=replace(stack.dialect, **changes))

    return made


MISTAKES: dict[str, Mistake] = {
    "a gate has another gate's matrix": _other_gate(MATRICES),
    "a gate has another gate's vector": _other_gate(VECTORS),
    "a square matrix is transposed": _everywhere(_transposed, MATRICES),
    "a matrix is read in the other order": _everywhere(_relabelled, MATRICES),
    "a matrix is negated": _everywhere(np.negative, MATRICES),
    "a vector is negated": _everywhere(np.negative, VECTORS),
    "a matrix is rolled by one row": _everywhere(functools.partial(np.roll, shift=1, axis=0), MATRICES),
    "a matrix is rolled by one column": _everywhere(functools.partial(np.roll, shift=1, axis=1), MATRICES),
    "a vector is rolled by one": _everywhere(functools.partial(np.roll, shift=1), VECTORS),
    "the first number is off": _everywhere(_off(_first, 0.25), MATRICES + VECTORS),
    "the last number is off": _everywhere(_off(_last, 0.25), MATRICES + VECTORS),
    "one number of a unit that is not run is off": _everywhere(_off(_far, 0.25), MATRICES + VECTORS),
    "one number of a unit that is not run is none": _everywhere(_off(_far, np.nan), MATRICES + VECTORS),
    "two units that are not run change places": _units_change,
    "the two directions change places": _places_change(_directions),
    "two layers change places": _places_change(_layers),
    "the two kernels change places": _roles_change("kernel", "recurrent_kernel"),
    "the two biases of a GRU change places": lambda stack: _roles_change("bias", "recurrent_bias")(stack) if stack.dialect.reset == "after" else iter(()),
    "the two biases are merged where they must not be": _merged_biases,
    "the bias is lost": _lost("bias"),
    "the recurrent bias is lost": _lost("recurrent_bias"),
    "the peepholes are lost": _lost("peephole"),
    "the gates are hard sigmoids": _said(recurrent_activation="hard_sigmoid(0.2)"),
    "the activation is another": _said(activation="relu"),
    "the output's activation is another": _said(output_activation="linear"),
    "the reset gate acts before the product": _said(reset="before"),
    "the reset gate acts after the product": _said(reset="after"),
    "the update gate keeps": _said(update="keeps"),
    "the update gate writes": _said(update="writes"),
    "the forget bias is forgotten": _said(forget_bias=0.0),
    "a forget bias is added twice": _said(forget_bias=2.0),
    "the cell state is clipped": _said(cell_clip=0.3),
    "a clip of the projection is lost": _said(proj_clip=None),
    "the gates' inputs are clipped": _said(input_clip=0.2),
    "it goes backwards": _said(go_backwards=True),
    "it gives its outputs in the other order": _said(backwards_in_place=True),
    "its directions are averaged": _said(merge="ave"),
    "its directions are multiplied": _said(merge="mul"),
}  # fmt: skip


def _finds(prover: Callable[[Stack, Stack], Proof], stack: Stack, wrong: Stack) -> bool:
    try:
        return not prover(stack, wrong).same
    except UsageError:  # they cannot even be compared
        return True


def _sampled(stack: Stack, wrong: Stack) -> Proof:
    """What is done with a large layer: a sample, and everything where the numbers do not all agree."""
    (proof,) = proved([Claim(stack, wrong)])
    return proof


def _fulfilled(stack: Stack, wrong: Stack) -> Proof:
    """The file holds what was said, bit for bit, and what was said is wrong: within one dialect that is told without a run,
    of units that no sample runs too."""
    (proof,) = proved([Claim(stack, wrong, terms=lambda: (wrong, wrong))])
    return proof


def _some_of(made: Iterator[Stack]) -> list[Stack]:
    """No more than six of the ways to make a mistake, from the first to the last."""
    every = list(made)
    return every[:: 1 + len(every) // 6]


POSSIBLE = [
    (cell, mistake)
    for cell, recipe in CELLS.items()
    for stack in [recipe.stack]
    for mistake, makes in MISTAKES.items()
    if next(makes(stack), None) is not None
]


def _soon() -> set[tuple[str, str]]:
    """What the quick part looks at: every mistake in two of the cells that it can be made in, so that all cells have some."""
    cells = {mistake: [cell for cell, other in POSSIBLE if other == mistake] for mistake in MISTAKES}
    return {
        (cells[mistake][(number * 7 + step) % len(cells[mistake])], mistake)
        for number, mistake in enumerate(MISTAKES)
        for step in (0, 3)
    }


SOON = _soon()
IN_THE_RUN = [mistake for mistake in MISTAKES if "not run" not in mistake and "number" not in mistake]


def test_the_quick_part_makes_every_mistake_and_looks_at_every_cell() -> None:
    assert {cell for cell, _ in SOON} == set(CELLS)
    assert {mistake for _, mistake in SOON} == set(MISTAKES)


@together("cell, mistake", POSSIBLE, of=lambda case: case[0], said=" with ".join, slow=lambda case: case not in SOON)
def test_what_the_full_proof_finds_is_found(cell: str, mistake: str) -> None:
    stack = CELLS[cell].stack
    for wrong in _some_of(MISTAKES[mistake](stack)):
        if _finds(prove, stack, wrong):
            assert _finds(_sampled, stack, wrong), "by a sample"
            assert _finds(_fulfilled, stack, wrong), (
                "by the terms, where the file holds what was said and that was wrong"
            )
            assert mistake not in IN_THE_RUN or _finds(prove_sample, stack, wrong), "by the sample's run alone"


def test_a_change_that_is_right_is_not_run_whole() -> None:
    """Biases that are added up, and numbers that are stored as float16, are what can become of the source's."""
    stack = CELLS["an LSTM of three layers in both directions"].stack
    merged = {
        place: weights.with_roles(
            bias=Gates("bias", makers({gate: weights.bias[gate] + weights.recurrent_bias[gate] for gate in weights.bias})),
            recurrent_bias=None,
        )
        for place, weights in stack
    }  # fmt: skip
    coarser = {
        place: replace(weights, dtype="float16", roles={
            role: gates.mapped(lambda _, array: array.astype(np.float16)) for role, gates in weights.roles.items()
        })
        for place, weights in stack
    }  # fmt: skip
    for cells in (merged, coarser):
        said = stack.replaced(cells)
        (proof,) = proved([Claim(stack, said, 0.01, terms=functools.partial(lambda each: (each, each), said))])
        assert proof.same
        assert not proof.whole
        assert proof.numbers is not None
        assert proof.numbers.changed


def test_every_mistake_can_be_made_so_that_the_full_proof_finds_it() -> None:
    cells = {mistake: [cell for cell, other in POSSIBLE if other == mistake] for mistake in MISTAKES}
    for mistake, makes in MISTAKES.items():
        stacks = (CELLS[cell].stack for cell in cells[mistake])
        assert any(_finds(prove, stack, wrong) for stack in stacks for wrong in makes(stack)), mistake


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_is_found_where_nothing_is_wrong(cell: str) -> None:
    stack = CELLS[cell].stack
    proof = _sampled(stack, CELLS[cell].stack)
    assert (proof.same, proof.max_abs_error) == (True, 0)
    assert proof.numbers == (stack.parameters, 0, stack.parameters)
    assert proof.units is not None
    assert 0 < proof.units.run < proof.units.of == sum(weights.unit for _, weights in stack)


@pytest.mark.parametrize(
    "mistake", ["one number of a unit that is not run is off", "two units that are not run change places"]
)
def test_what_no_sample_runs_the_numbers_find(mistake: str) -> None:
    stack = CELLS["an LSTM of three layers in both directions"].stack
    wrong = next(MISTAKES[mistake](stack))
    assert prove_sample(stack, wrong).same
    found = numbers(stack, wrong)
    assert not found.all
    assert found.of - found.equal == (1 if "one number" in mistake else 2 * stack.cells[0, "forward"].feature)
    assert not _sampled(stack, wrong).same


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("turned", [False, True], ids=["as it lies", "turned round"])
def test_of_a_gate_with_other_numbers_those_are_counted(dtype: str, turned: bool) -> None:
    rows, columns = 700, 130
    array = np.random.default_rng(0).uniform(-1, 1, (rows, columns)).astype(numpy_dtype(dtype))
    other = array.copy(order="F" if turned else "C")
    places = [(0, 0), (255, 129), (256, 0), (699, 129), (511, 64)]
    for place in places:
        other[place] = 2
    assert _numbers._count(array, other, finite=True) == array.size - len(places)
    assert _numbers._count(array, other.astype(np.float64), finite=True) == array.size - len(places)
    array[3, 3] = other[3, 3] = np.nan
    assert _numbers._count(array, other, finite=True) == array.size - len(places) - 1, "nan is no number"
    assert _numbers._count(array, other, finite=False) == array.size - len(places)
    assert _numbers._count(array, other.astype(np.float64), finite=False) == array.size - len(places)
    assert _numbers._count(array, other[:-1], finite=True) == 0


def test_what_no_number_shows_the_run_finds() -> None:
    stack = CELLS["a GRU that writes"].stack
    wrong = next(MISTAKES["the update gate keeps"](stack))
    assert numbers(stack, wrong).all
    assert not prove_sample(stack, wrong).same


def test_a_sample_that_is_asked_for_says_which_numbers_agree_and_runs_no_more() -> None:
    stack = CELLS["an RNN in both directions"].stack
    wrong = next(MISTAKES["one number of a unit that is not run is off"](stack))
    (proof,) = proved([Claim(stack, wrong)], "sample")
    assert proof.same
    assert proof.numbers is not None
    assert not proof.numbers.all
    assert not proof.whole


@pytest.mark.parametrize("count", [17, 48, 700, 5_000])
def test_a_sample_holds_the_first_units_and_the_last(count: int) -> None:
    for seed in range(5):
        units = _sample._some(count, seed).tolist()
        assert units == sorted(set(units))
        assert units[:4] == [0, 1, 2, 3]
        assert units[-4:] == [count - 4, count - 3, count - 2, count - 1]
        assert len(units) > 8, "and some in between"
