"""Cases that are walked inside one test are held as if each were a test of its own: what fails is named, nothing is
passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from together import Law, groups_of, hold, in_turn, together

NUMBERS = (1, 2, 3, 4, 12, 13)


def over(law: Law) -> None:
    hold(law, [(f"number {number}", {"number": number}) for number in NUMBERS], {})


def test_a_failure_names_its_case_what_was_compared_and_the_others_that_fail() -> None:
    def even(number: int) -> None:
        assert number % 2 == 0

    with pytest.raises(AssertionError) as failed:
        over(even)
    assert str(failed.value).splitlines() == [
        "number 1: assert (1 % 2) == 0",
        "3 of 6 cases fail: number 1; number 3; number 13",
    ]


def test_a_single_failure_is_told_without_a_list() -> None:
    def small(number: int) -> None:
        assert number < 13, "too large"

    with pytest.raises(AssertionError, match=r"^number 13: too large\nassert 13 < 13$"):
        over(small)


def test_an_error_is_told_with_its_case_and_is_the_cause() -> None:
    def known(number: int) -> None:
        {1: 1, 2: 2, 3: 3, 4: 4, 12: 12}[number]

    with pytest.raises(AssertionError, match="number 13: KeyError: 13") as failed:
        over(known)
    assert isinstance(failed.value.__cause__, KeyError)


@pytest.mark.parametrize("outcome", [pytest.skip, pytest.fail])
def test_no_case_skips_those_behind_it(outcome: Law) -> None:
    held = []

    def law(number: int) -> None:
        held.append(number)
        if number == 2:
            outcome("for a reason")

    with pytest.raises(AssertionError, match=r"number 2: \w+: for a reason"):
        over(law)
    assert held == list(NUMBERS)


def test_of_many_failures_some_are_named_and_all_are_counted() -> None:
    def never(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(AssertionError) as failed:
        hold(never, [(str(number), {"number": number}) for number in range(100)], {})
    assert str(failed.value).endswith("100 of 100 cases fail: " + "; ".join(map(str, range(20))) + "; …")


@together("number, word", zip(NUMBERS, "abcdef", strict=True), of=lambda case: f"{len(str(case[0]))} digits")
def test_a_case_fills_the_arguments_that_are_named_beside_fixtures(number: int, word: str, tmp_path: Path) -> None:
    assert "abcdef"[NUMBERS.index(number)] == word
    assert tmp_path.exists()


def test_each_case_is_in_one_test_and_what_is_slow_apart() -> None:
    tests = groups_of(NUMBERS, of=lambda number: f"{len(str(number))} digits", slow=lambda number: number == 4)
    assert [(test.id, test.values[0], len(test.marks)) for test in tests] == [
        ("1 digits", [1, 2, 3], 0), ("1 digits (slow)", [4], 1), ("2 digits", [12, 13], 0),
    ]  # fmt: skip


def test_a_law_without_cases_is_no_law() -> None:
    with pytest.raises(AssertionError, match="holds of nothing"):
        together("number", [], of=str)


def test_what_hypothesis_draws_is_another_for_each_case() -> None:
    drawn: list[tuple[int, int]] = []

    @given(size=in_turn(st.integers(0, 1000)))
    @settings(max_examples=5, database=None)
    def every(size: list[int]) -> None:
        def law(number: int, size: int) -> None:
            drawn.append((number, size))

        hold(law, [(str(number), {"number": number}) for number in range(8)], {"size": size})

    every()
    assert [number for number, _ in drawn] == [*range(8)] * (len(drawn) // 8)
    assert len({size for _, size in drawn}) > len(drawn) // 8, "eight for each draw, and not one"


def test_hypothesis_is_told_the_first_case_that_fails_and_walks_no_others() -> None:
    held: set[int] = set()

    @given(size=st.integers(0, 9))
    @settings(max_examples=5, database=None)
    def every(size: int) -> None:
        def law(number: int, size: int) -> None:
            held.add(number)
            assert number + size < 2

        over(lambda number: law(number, size))

    with pytest.raises(AssertionError, match=r"^number 2: "):
        every()
    assert 13 not in held
