"""The law of all pairs: X → Y computes the same function, or is refused for a reason that is told; there and back is
where one was, wherever both ways are exact.  Every pair of layouts of one cell is walked, in every form, with every
choice of optional parts, at random sizes, depths and directions; the matrix in the documentation is of the same walk.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from random_layers import contents, same_bits
from together import together

from gatewise.conventions import EXACT, ONE_ROUNDING
from gatewise.conventions._terms import GIVEN_STATE
from gatewise.errors import NotRepresentable
from gatewise.layouts import Layout, layouts
from gatewise.pairs import PARTLY, REFUSED, Specimen, by_cell, choices, grid, pair, pairs_of, through
from gatewise.proof import prove
from gatewise.record import replace as changed

KNOWN = [layout for layout in layouts() if not layout.outside]
SINGLE, DOUBLE = 1e-6, 1e-12  # what a float32 and a float64 run may differ by


def specimens(source: Layout, target: Layout, seed: str) -> list[Specimen]:
    """One of random size for each form and each choice of parts; each setting somewhere away from its default."""
    draw = random.Random(f"{source.name} {target.name} {seed}")
    found = []
    for form, extras in choices(source):
        unit = draw.randint(2, 6)
        specimen = Specimen(
            source, form, extras, feature=draw.choice((1, unit, draw.randint(1, 7))), unit=unit, proj=draw.randint(1, unit - 1),
            layers=draw.choice((1, 3)) if source.is_stack and target.is_stack else 1,
            directions=draw.choice((1, 2)) if source.is_bidirectional and target.is_bidirectional else 1,
            dtype=draw.choice(("float32", "float64")), seed=draw.randint(0, 99),
        )  # fmt: skip
        said = specimen.stack().dialect
        for setting in source.settings:
            values = [value for value in setting.sayable() if setting.field not in form]
            if values and setting.field != "coupled" and draw.random() < 0.3:
                said = changed(said, **{setting.field: draw.choice(values)})
        if specimen.directions == 2:
            said = changed(said, go_backwards=False, backwards_in_place=False)
        if specimen.directions == 2 and specimen.layers > 1:
            said = changed(said, merge="concat")
        found.append(replace(specimen, dialect=said))
    return found


def each_source(words: str) -> pytest.MarkDecorator:
    """A test for each layout as the source.  All pairs take minutes; those from one come with the quick part."""
    usual = ("torch.GRU",)
    marked = [pytest.param(layout, marks=[pytest.mark.slow] * (layout.name not in usual)) for layout in KNOWN]
    return pytest.mark.parametrize("source", marked, ids=[f"{layout.name} {words}" for layout in KNOWN])


@each_source("to every other")
def test_any_layer_is_the_same_function_in_any_layout_or_is_refused_for_a_reason(source: Layout) -> None:
    for target in (other for other in KNOWN if other.cell == source.cell):
        for specimen in specimens(source, target, "pairs"):
            stack = specimen.stack()
            try:
                back, changes = through(stack, target)
            except NotRepresentable as refusal:
                told = refusal.message.partition(f"{target.name} cannot say this: ")
                assert told[0] == "" and len(told[2]) > 20, refusal.message  # noqa: PT017, PT018
                continue
            assert {change.exactness for change in changes} <= {EXACT, ONE_ROUNDING, GIVEN_STATE}
            allowed = (
                SINGLE if ONE_ROUNDING in {c.exactness for c in changes} and specimen.dtype == "float32" else DOUBLE
            )
            error = prove(stack, back).max_abs_error
            assert error <= allowed, f"{target.name}: {error} after {[change.what for change in changes]}, {specimen}"


@each_source("there and back")
def test_there_and_back_is_where_one_was_wherever_both_ways_change_no_number(source: Layout) -> None:
    for target in (other for other in KNOWN if other.cell == source.cell):
        for specimen in specimens(source, target, "back"):
            stack = specimen.stack()
            try:
                there, one = through(stack, target)
                back, other = through(there, source)
            except NotRepresentable:
                continue
            if one or other:  # a change that is exact may still move a zero bias: the function is what must be the same
                exact = ONE_ROUNDING not in {change.exactness for change in (*one, *other)}
                assert prove(stack, back).max_abs_error <= (DOUBLE if exact or specimen.dtype == "float64" else SINGLE)
                continue
            mine, theirs = contents(stack), contents(back)
            assert mine.keys() == theirs.keys(), target.name
            assert all(same_bits(np.ascontiguousarray(mine[key]), np.ascontiguousarray(theirs[key])) for key in mine)


@together(
    "layout",
    KNOWN,
    of=lambda layout: layout.cell,
    slow=lambda layout: layout.framework not in ("torch", "keras", "tf1"),
)
def test_every_layout_says_itself_exactly(layout: Layout) -> None:
    told = pair(layout, layout)
    assert (told.outcome, told.error, told.changes) == ("exact", 0.0, ()), told


def test_no_pair_is_silently_left_out_of_the_matrix() -> None:
    """A pair for each two layouts of one cell; who is refused or said in part says why; the grid shows each."""
    source = next(layout for layout in KNOWN if layout.name == "torch.GRU")
    found = list(pairs_of(source))
    assert {each.target for each in found} == {layout.name for layout in KNOWN if layout.cell == "gru"}
    for each in found:
        assert bool(each.reason) == (each.outcome in (PARTLY, REFUSED)), each
        assert (each.error is None) == (each.outcome == REFUSED)
    everything = [replace(one, source=layout.name) for layout in KNOWN for one in found if layout.cell == "gru"]
    ((cell, those),) = by_cell(everything)
    rows = [line for line in grid(those) if line.strip()[0].isdigit() and line.strip()[-1] in "=~+."]
    assert cell == "gru"
    assert len(rows) == len({each.target for each in found})
    assert all(len(row.split()[-1]) == len(rows) for row in rows)


def test_a_specimen_holds_each_role_and_gate_of_its_table_and_no_two_numbers_alike() -> None:
    for layout, (form, extras) in itertools.chain.from_iterable(
        zip(itertools.repeat(layout), choices(layout)) for layout in KNOWN
    ):
        arrays = contents(Specimen(layout, form, extras).stack())
        assert {role for _, _, role, _ in arrays} >= {"kernel", "recurrent_kernel"}, layout.name
        numbers = np.concatenate([array.ravel() for array in arrays.values()])
        assert len(np.unique(numbers)) == len(numbers)
