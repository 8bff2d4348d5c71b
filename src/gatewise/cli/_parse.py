"""Command lines: words and options into a namespace.  What is wrong with one is a UsageError, as everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError, instead
from ._command import Command, Namespace, command, command_names
from ._words import Noted, NotPlain

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments

USAGE = "gatewise COMMAND ... [--json]"
DESCRIPTION = (
    "Reads, names, converts and proves the weights of recurrent layers of any\nframework, without the framework."
)
OVERRIDES = (
    "forget_bias", "reset", "update", "activation", "recurrent_activation", "cell_clip", "proj_clip", "merge", "units", "layers",
    "directions",
)  # fmt: skip


def parse(argv: Sequence[str]) -> tuple[Command | None, Namespace]:
    """The command that a command line calls, and its options.  None: the user asked what there is."""
    if argv[:1] == ["help"] and len(argv) > 1:
        argv = [argv[1], "--help"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        return None, Namespace(json=False)
    name = argv[0]
    if name not in command_names():
        raise _no_command(name)
    found = command(name)
    try:
        noted = Noted()
        found.add_arguments(noted)
        add_json(noted)
        return found, Namespace(**noted.read(argv[1:]))
    except NotPlain:
        from ._argparse import read

        return found, read(found, argv[1:])


def overview() -> str:
    """What ``gatewise --help`` prints."""
    commands = [command(name) for name in command_names()]
    width = max(len(each.name) for each in commands)
    lines = [f"usage: {USAGE}", "", DESCRIPTION, "", "commands:"]
    lines += [f"  {each.name:<{width}}  {each.help}" for each in commands]
    return "\n".join([*lines, "", "`gatewise COMMAND --help` tells a command's options, with an example."])


def add_json(parser: Arguments) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else there")


def add_file(parser: Arguments, name: str, help: str, **options: Any) -> None:
    """A file to read: a path, or ``-`` for what is piped in."""
    parser.add_argument(name, metavar=name.upper(), help=f"{help}; - reads what is piped in", **options)
    parser.set_defaults(pipeable=(*(parser.get_default("pipeable") or ()), name))


def add_files(parser: Arguments, help: str) -> None:
    """Files to read, one or several, and folders of them (see ``_many``)."""
    add_file(parser, "file", f"{help}; several, and folders, whose models are looked for, give a block each", nargs="+")


def add_dialect(parser: Arguments) -> None:
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


def add_verify(parser: Arguments, optional: bool = False) -> None:
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


def dialect(arguments: Namespace) -> dict[str, Any]:
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
    return UsageError(f"{what}.", next=instead(name, names, all="`gatewise --help`"))
