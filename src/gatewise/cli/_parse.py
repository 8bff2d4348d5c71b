"""Command lines: words and options into a namespace.  What is wrong with one is a UsageError, as everywhere."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from ..errors import UsageError, nearest
from ._command import Command, command, command_names

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any, NoReturn

USAGE = "gatewise COMMAND ... [--json]"
DESCRIPTION = (
    "Reads, names, converts and proves the weights of recurrent layers of any framework, without the framework."
)
OVERRIDES = (
    "forget_bias", "reset", "update", "activation", "recurrent_activation", "cell_clip", "proj_clip", "merge", "units", "layers",
    "directions",
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of exiting, and knows what an unknown option may have meant."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-\S+)", message)
        options = [option for action in self._actions for option in action.option_strings]
        near = nearest(unknown[1].partition("=")[0], options, count=1) if unknown else ""
        message = message[:1].lower() + message[1:].rstrip(".") + "."
        raise UsageError(message, where=self.prog.partition(" ")[2], next=near or f"See `{self.prog} --help`.")


def parse(argv: Sequence[str]) -> tuple[Command | None, argparse.Namespace]:
    """The command that a command line calls, and its options.  None: the user asked what there is."""
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [argv[1], "--help"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        return None, argparse.Namespace(json=False)
    name = argv[0]
    if name not in command_names():
        raise _no_command(name)
    found = command(name)
    parser = _parser(found)
    arguments, rest = parser.parse_known_intermixed_args(argv[1:])
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return found, arguments


def overview() -> str:
    """What ``gatewise --help`` prints."""
    commands = [command(name) for name in command_names()]
    width = max(len(each.name) for each in commands)
    lines = [f"usage: {USAGE}", "", DESCRIPTION, "", "commands:"]
    lines += [f"  {each.name:<{width}}  {each.help}" for each in commands]
    return "\n".join([*lines, "", "`gatewise COMMAND --help` tells a command's options, with an example."])


def add_file(parser: argparse.ArgumentParser, name: str, help: str, **options: Any) -> None:
    """A file to read: a path, or ``-`` for what is piped in."""
    parser.add_argument(name, metavar=name.upper(), help=f"{help}; - reads what is piped in", **options)
    parser.set_defaults(pipeable=(*(parser.get_default("pipeable") or ()), name))


def add_dialect(parser: argparse.ArgumentParser) -> None:
    """What a file does not say and the user knows."""
    group = parser.add_argument_group("what the file does not say")
    group.add_argument(
        "--from", dest="layout", metavar="LAYOUT", help="the layout to read as: a name, or a TOML file with your own"
    )
    group.add_argument("--forget-bias", type=float, metavar="X", help="a forget bias that is added at run time")
    group.add_argument(
        "--reset", choices=("before", "after"), help="GRU: the reset gate acts before or after the matmul"
    )
    group.add_argument(
        "--update", choices=("keeps", "writes"), help="GRU: the update gate keeps the old state or writes the new one"
    )
    group.add_argument("--activation", metavar="NAME", help="of the candidate and the output: tanh, relu ...")
    group.add_argument("--recurrent-activation", metavar="NAME", help="of the gates: sigmoid, hard_sigmoid ...")
    group.add_argument("--cell-clip", type=float, metavar="X", help="LSTM: |c| is held below X (inf: it is not)")
    group.add_argument("--proj-clip", type=float, metavar="X", help="LSTM: |h| is held below X after the projection")
    group.add_argument(
        "--merge", choices=("concat", "sum", "ave", "mul"), help="how a bidirectional layer joins its two outputs"
    )
    group.add_argument("--units", type=int, metavar="N", help="of a flat buffer: units of each layer")
    group.add_argument("--layers", type=int, metavar="N", help="of a flat buffer: layers")
    group.add_argument("--directions", type=int, choices=(1, 2), help="of a flat buffer: directions")


def add_verify(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """How what is written or compared is proved.  ``optional``: it may also not be."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--verify", choices=("full", "sample"), default=True,
        help="run every unit, or a sample of them and compare all numbers (default: a sample of what is large)",
    )  # fmt: skip
    if optional:
        group.add_argument(
            "--no-verify", dest="verify", action="store_false", help="do not prove the result before writing it"
        )


def dialect(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of :func:`add_dialect` that were given, as the library's keywords."""
    given = {name: getattr(arguments, name) for name in ("layout", *OVERRIDES)}
    return {name: value for name, value in given.items() if value is not None}


def assumption(text: str) -> str:
    """What was taken for granted, with the option that says otherwise."""
    field = text.partition(" = ")[0]
    return f"assumed: {text}" + (f"; --{field.replace('_', '-')} says otherwise" if field in OVERRIDES else "")


def _no_command(name: str) -> UsageError:
    names = command_names()
    what = f"there is no option {name}" if name.startswith("-") else f"there is no command {name!r}"
    return UsageError(f"{what}.", next=nearest(name, names) or f"Commands: {', '.join(names)}.")


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
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else there")
    return parser
