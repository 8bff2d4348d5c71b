"""Many cases of one law as a few tests: a law that thousands of cases are held to is one test for each table, and what
fails is told by the case's name.

A test costs pytest milliseconds, twice where two workers collect, and most cases of a law cost less: so tests are made
of tables, and cases are walked inside.  No case stops those behind it: all that fail are named.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

Law = Callable[..., None]
FAILED = (Exception, pytest.fail.Exception, pytest.skip.Exception)  # to skip one case would be to skip those behind it
SHOWN = 20
THIRDS = ((1, "the next third"), (2, "the last third"))


def together(
    names: str,
    cases: Iterable[Any],
    of: Callable[[Any], str],
    said: Callable[[Any], str] = str,
    slow: Callable[[Any], bool] = lambda _: False,
) -> Callable[[Law], Law]:
    """The law over all cases that are ``of`` the same, as one test.

    ``names`` are the law's arguments that a case fills, as in ``parametrize``; ``said`` is what a failure calls a case.
    A case that is ``slow`` is not in the quick part.  Fixtures are made once for all cases of a test.
    """
    tests = groups_of(cases, of, slow)
    filled = [name.strip() for name in names.split(",")]

    def decorate(law: Law) -> Law:
        @functools.wraps(law)
        def over_all(*, cases: list[Any], **given: Any) -> None:
            __tracebackhide__ = True
            hold(law, [(said(case), _arguments(filled, case)) for case in cases], given)

        others = [given for name, given in inspect.signature(law).parameters.items() if name not in filled]
        kind = inspect.Parameter.KEYWORD_ONLY
        over_all.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [given.replace(kind=kind) for given in others] + [inspect.Parameter("cases", kind)]
        )
        return pytest.mark.parametrize("cases", tests)(over_all)

    return decorate


in_thirds = pytest.mark.parametrize(
    "third",
    [pytest.param(0, id="a third"), *(pytest.param(n, id=name, marks=pytest.mark.slow) for n, name in THIRDS)],
)  # of hundreds of damages that are all alike: the quick part does every third, ``make test`` the others too


def rarely(cases: Iterable[Any], every: int) -> list[Any]:
    """Of values that are all alike, as ``parametrize`` takes them, every so many; the others wait for ``make test``."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow] * bool(number % every))
        for number, case in enumerate(cases)
    ]


def groups_of(cases: Iterable[Any], of: Callable[[Any], str], slow: Callable[[Any], bool]) -> list[Any]:
    """The tests: what pytest calls each, its cases, its marks."""
    groups: dict[tuple[str, bool], Group] = {}
    for case in cases:
        groups.setdefault((of(case), slow(case)), Group()).append(case)
    assert groups, "a law without cases holds of nothing"
    return [
        pytest.param(group, id=name + " (slow)" * (late and (name, False) in groups), marks=[pytest.mark.slow] * late)
        for (name, late), group in groups.items()
    ]


def folder(path: Path) -> str:
    """The folder of a fixture: the version that wrote it."""
    return path.parent.name


class Group(list[Any]):
    """The cases of one test, which pytest and hypothesis need not print."""

    def __repr__(self) -> str:
        return f"{len(self)} cases"


class InTurn(list[Any]):
    """Values that the cases take in turn, so that not all meet the same one."""


def in_turn(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What hypothesis draws for a law's argument, drawn anew for each of eight cases in a row."""
    return st.lists(strategy, min_size=8, max_size=8).map(InTurn)


def _arguments(names: list[str], case: Any) -> dict[str, Any]:
    return dict(zip(names, case if len(names) > 1 else (case,), strict=True))


def hold(law: Law, cases: list[tuple[str, dict[str, Any]]], given: dict[str, Any]) -> None:
    """Every case held to the law; the first failure is raised as it is, with its case's name and those of the others."""
    __tracebackhide__ = True
    failures: list[tuple[str, BaseException]] = []
    for number, (name, arguments) in enumerate(cases):
        drawn = {
            key: value[number % len(value)] if isinstance(value, InTurn) else value for key, value in given.items()
        }
        try:
            law(**arguments, **drawn)
        except FAILED as error:
            failures.append((name, error))
            if hypothesis.currently_in_test_context():  # it runs what fails again and again: one case is enough
                break
    if failures:
        raise told(failures, len(cases))


def told(failures: list[tuple[str, BaseException]], count: int) -> AssertionError:
    (name, error), *others = failures
    others_too = [other for other, _ in others[: SHOWN - 1]] + ["…"] * (len(failures) > SHOWN)
    more = f"\n{len(failures)} of {count} cases fail: {name}; {'; '.join(others_too)}" if others else ""
    if type(error) is AssertionError:  # pytest's own words on what was compared are its text
        error.args = (f"{name}: {error}{more}",)
        return error
    other = AssertionError(f"{name}: {type(error).__name__}: {error}{more}")
    other.__cause__ = error
    return other
