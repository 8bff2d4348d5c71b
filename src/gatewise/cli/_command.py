"""What a command is, and where they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace

from .. import folders
from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from ._screen import Screen
    from ._words import Noted

    Arguments = argparse.ArgumentParser | Noted  # whoever a command says its arguments to

DONE, DIFFERS, REFUSED = 0, 1, 2
Namespace = SimpleNamespace  # what a command line said, by name


@record
class Answer:
    """What a command found: the same thing for programs (``document``) and for people (``show``).

    ``show`` makes the lines of text, fitted to a screen; it is called only when text is wanted.
    """

    document: Mapping[str, Any]
    show: Callable[[Screen], Iterable[str]]
    code: int = DONE


@record
class Command:
    """One command.  ``help`` is its line in the list of commands, ``example`` stands under its ``--help``."""

    name: str
    help: str
    example: str
    add_arguments: Callable[[Arguments], None]
    run: Callable[[Namespace], Answer]


def command_names() -> list[str]:
    """The commands there are: the files of this folder without a leading underscore.  Imports none of them."""
    return list(folders.modules(__package__))


def command(name: str) -> Command:
    """Import one command's file."""
    found: Command = folders.module(f"{__package__}.{name}").COMMAND
    return found
