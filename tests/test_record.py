"""Records behave as frozen dataclasses do, and cost nothing until dataclasses' own functions are asked for."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from functools import cached_property

import pytest

from gatewise.record import field, record


@record
class Point:
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()
    notes: dict[str, int] = field(default_factory=dict, repr=False)
    cache: object = field(default=None, compare=False)

    @cached_property
    def both(self) -> int:
        return self.x + self.y


@record(eq=False)
class Thing:
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("nameless")


def test_values_are_given_by_place_or_by_name_and_the_rest_have_defaults():
    point = Point(1, tags=("a",))
    assert (point.x, point.y, point.tags, point.notes, point.cache) == (1, 2, ("a",), {}, None)
    assert Point(1).notes is not Point(1).notes


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, 2, (), {}, None, 6), {}), ((1,), {"x": 2}), ((1,), {"z": 2})],
    ids=["one is missing", "too many", "one twice", "an unknown one"],
)
def test_a_wrong_call_is_a_type_error(values, named):
    with pytest.raises(TypeError):
        Point(*values, **named)


def test_nothing_can_be_changed_but_a_cached_property_still_works():
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 3
    with pytest.raises(AttributeError):
        del point.x
    assert point.both == 3
    assert point == Point(1)


def test_equality_and_hash_are_of_the_compared_values():
    assert Point(1, cache=1) == Point(1, cache=2)
    assert Point(1) != Point(2)
    assert Point(1) != 1
    assert hash(dataclasses.replace(Point(1), notes=())) == hash(dataclasses.replace(Point(1), notes=()))
    assert Thing("a") != Thing("a")
    assert len({Thing("a"), Thing("a")}) == 2


def test_it_shows_its_values():
    assert repr(Point(1)) == "Point(x=1, y=2, tags=(), cache=None)"


def test_post_init_is_called():
    with pytest.raises(ValueError, match="nameless"):
        Thing("")


def test_dataclasses_own_functions_work():
    assert dataclasses.is_dataclass(Point)
    assert [found.name for found in dataclasses.fields(Point)] == ["x", "y", "tags", "notes", "cache"]
    assert dataclasses.replace(Point(1, notes={"a": 1}), y=5) == Point(1, 5, notes={"a": 1})


def test_inspect_does_not_import_dataclasses():
    code = "import sys, gatewise.checkpoint._open; print('dataclasses' in sys.modules, 'inspect' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
