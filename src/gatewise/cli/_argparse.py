"""argparse, asked about command lines that are not plain: help, and whatever is wrong with them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from ..errors import UsageError, nearest
from ._command import Command, Namespace
from ._parse import add_json

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of exiting, and knows what an unknown option may have meant."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-\S+)", message)
        options = [option for action in self._actions for option in action.option_strings]
        near = nearest(unknown[1].partition("=")[0], options, count=1) if unknown else ""
        missing = message.startswith("the following arguments are required") and self.epilog
        example = f"For example: {self.epilog.partition(chr(10))[2].strip()}. " if missing and self.epilog else ""
        message = message[:1].lower() + message[1:].rstrip(".") + "."
        raise UsageError(message, where=self.prog.partition(" ")[2], next=near or f"{example}See `{self.prog} --help`.")


def read(found: Command, words: Sequence[str]) -> Namespace:
    """What the words after a command's name say.  Raises UsageError; SystemExit after help."""
    parser = _parser(found)
    # With options among the files argparse forgets what "--" said.
    arguments, rest = (parser.parse_known_args if "--" in words else parser.parse_known_intermixed_args)(words)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return Namespace(**vars(arguments))


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse's own, told the width: else it asks shutil, on every run, whose import costs more than our parser."""
    from ._screen import columns

    return argparse.RawDescriptionHelpFormatter(prog, width=(columns() or 80) - 2)


def _parser(found: Command) -> Parser:
    parser = Parser(
        prog=f"gatewise {found.name}",
        description=found.help[:1].upper() + found.help[1:] + ".",
        epilog=f"example:\n  {found.example}",
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    found.add_arguments(parser)
    add_json(parser)
    return parser
