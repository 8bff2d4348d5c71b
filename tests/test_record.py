"""Records behave as frozen dataclasses do, and cost nothing until dataclasses' own functions are asked for."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading

import pytest

from gatewise.record import field, lazy, record


@record
class Point:
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()
    notes: dict[str, int] = field(default_factory=dict, repr=False)
    cache: object = field(default=None, compare=False)

    @lazy
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


def test_nothing_can_be_changed_but_a_lazy_property_still_works():
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


class Slow:
    """Its property is computed until it may go."""

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    @lazy
    def value(self) -> list[int]:
        self.asked.set()
        assert self.go.wait(60)
        return []


def test_no_object_waits_for_another_ones_lazy_property():
    slow = Slow()
    thread = threading.Thread(target=lambda: slow.value, daemon=True)
    thread.start()
    assert slow.asked.wait(60)
    free = Slow()
    free.go.set()
    found = []
    second = threading.Thread(target=lambda: found.append(free.value), daemon=True)
    second.start()
    second.join(10)
    slow.go.set()
    thread.join(60)
    assert found == [[]]


def test_all_threads_get_the_lazy_value_that_was_found_first():
    slow, found = Slow(), []
    threads = [threading.Thread(target=lambda: found.append(slow.value), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    slow.go.set()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert found[0] is found[1]
