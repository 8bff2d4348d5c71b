"""Reads plain command lines without argparse: known options, their values, and files.

argparse costs as much to import and to set up as opening a file does (gettext and locale come with it).  A command says
its options once, in argparse's own words, to whoever asks: here they are only noted, and a line that consists of them is
read.  Whatever is not plain (help, something unknown, missing or malformed, an abbreviation) is none of this module's: argparse
is asked, and says what is wrong.  A test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any


class NotPlain(Exception):
    """A line, or a command, that argparse is to read."""


class _Argument:
    """One argument as a command said it."""

    def __init__(self, names: tuple[str, ...], group: object, said: dict[str, Any]):
        self.option = names[0].startswith("-")
        long = next((name for name in names if name.startswith("--")), names[0])
        self.dest: str = said.pop("dest", None) or long.lstrip("-").replace("-", "_")
        action = said.pop("action", "store")
        if action not in ("store", "store_true", "store_false"):
            raise NotPlain
        self.constant: bool | None = None if action == "store" else action == "store_true"
        self.default: Any = said.pop("default", None if self.constant is None else not self.constant)
        self.convert: Callable[[str], Any] = said.pop("type", str)
        self.choices: Sequence[Any] | None = said.pop("choices", None)
        self.nargs: str | None = said.pop("nargs", None)
        self.required: bool = said.pop("required", False)
        self.group = group
        for told_to_people in ("help", "metavar"):
            said.pop(told_to_people, None)
        if said or self.nargs not in (None, "?", "*", "+") or (self.option and self.nargs):
            raise NotPlain

    def value(self, text: str) -> Any:
        try:
            value = self.convert(text)
        except (TypeError, ValueError):
            raise NotPlain from None
        if self.choices is not None and value not in self.choices:
            raise NotPlain
        return value


class Noted:
    """Stands in for an ArgumentParser while a command says its arguments."""

    def __init__(self) -> None:
        self._options: dict[str, _Argument] = {}
        self._places: list[_Argument] = []
        self._defaults: dict[str, Any] = {}
        self._group: object = None

    def add_argument(self, *names: str, **said: Any) -> None:
        argument = _Argument(names, self._group, said)
        if argument.option:
            self._options.update(dict.fromkeys(names, argument))
        else:
            self._places.append(argument)

    def add_argument_group(self, *_title: str) -> Noted:
        return self

    def add_mutually_exclusive_group(self) -> Noted:
        inside = Noted()
        inside._options, inside._places, inside._defaults, inside._group = (
            self._options, self._places, self._defaults, object(),
        )  # fmt: skip
        return inside

    def set_defaults(self, **values: Any) -> None:
        self._defaults.update(values)

    def get_default(self, name: str) -> Any:
        return self._defaults.get(name)

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """What a line says, by destination.  Raises NotPlain."""
        values: dict[str, Any] = {}
        for argument in (*self._options.values(), *self._places):
            values.setdefault(argument.dest, argument.default)
        values.update(self._defaults)
        given: list[str] = []
        groups: list[object] = []
        wanted = {option.dest for option in self._options.values() if option.required}
        rest = iter(words)
        for word in rest:
            if word == "-" or not word.startswith("-"):
                given.append(word)
                continue
            name, equals, text = word.partition("=")
            option = self._options.get(name)
            if option is None or option.group in groups:
                raise NotPlain
            groups += [] if option.group is None else [option.group]
            wanted.discard(option.dest)
            if option.constant is not None:
                if equals:
                    raise NotPlain
                values[option.dest] = option.constant
            else:
                values[option.dest] = option.value(text if equals else _plain(next(rest, "-")))
        if wanted:
            raise NotPlain
        return values | self._placed(given)

    def _placed(self, given: list[str]) -> dict[str, Any]:
        """The words without an option, by the arguments whose places they take."""
        values: dict[str, Any] = {}
        for index, place in enumerate(self._places):
            if place.nargs in ("*", "+"):
                if index + 1 < len(self._places) or (place.nargs == "+" and not given):
                    raise NotPlain
                values[place.dest] = [place.value(word) for word in given]
                given = []
            elif given:
                values[place.dest] = place.value(given.pop(0))
            elif place.nargs is None:
                raise NotPlain
        if given:
            raise NotPlain
        return values


def _plain(word: str) -> str:
    """A word that can only be an option's value."""
    if word.startswith("-"):
        raise NotPlain
    return word
