"""What a reader does for a great many parts of one file, in time that grows as they do: names, chains, what is there twice.

A file's author decides how many parts have one name and how many layers stand at the end of one chain; looking at each
of them from the beginning takes hours for ten thousand.  Knows no format.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import TypeVar

    _Key = TypeVar("_Key", bound=Hashable)


class Names:
    """Gives each thing a name that no other has: its own, else its place's before it, else a number behind that."""

    def __init__(self, between: str = "#") -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}
        self._between = between

    def __call__(self, name: str, path: str = "") -> str:
        fresh = longer = name if name not in self._taken or not path else f"{path}/{name}"
        while fresh in self._taken:
            self._counts[longer] = self._counts.get(longer, 1) + 1
            fresh = f"{longer}{self._between}{self._counts[longer]}"
        self._taken.add(fresh)
        return fresh


def twice(names: Iterable[_Key]) -> _Key | None:
    """The first that is there a second time; None where all differ."""
    seen: set[_Key] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def end_of(start: _Key, step: Callable[[_Key], _Key | None], known: dict[_Key, _Key]) -> _Key:
    """Where a chain ends: the last for which ``step`` gives none.  A circle ends where it closes.  ``known`` is the
    caller's to keep: with it, chains that run together are walked once."""
    way: dict[_Key, None] = {}
    at = start
    while at not in known and at not in way:
        way[at] = None
        following = step(at)
        if following is None:
            break
        at = following
    end = known.get(at, at)
    known.update(dict.fromkeys(way, end))
    return end
