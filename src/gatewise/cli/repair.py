"""``gatewise repair``: every remedy applied to a new file, proved before it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import UsageError
from ._command import Answer, Command
from ._parse import add_file

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    add_file(parser, "file", "the checkpoint to repair; it is never changed")
    parser.add_argument("-o", "--output", metavar="OUT", help="the file to write; its suffix tells the format")
    parser.add_argument(
        "--as", dest="form", choices=("module", "state-dict"),
        help="what a torch pickle becomes: a whole module, or its state dict (default: what it is)",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and write nothing")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def run(arguments: Namespace) -> Answer:
    from ..doctor import repair

    if arguments.output == "-":
        raise UsageError("a checkpoint is written to a file, not to a pipe.", where="repair", next="Name it: -o OUT.")
    if arguments.output is None and not arguments.dry_run:
        raise UsageError("a repaired file is a new file.", path=arguments.file, next="Name it: -o OUT.")
    done = repair(arguments.file, arguments.output, arguments.form, dry_run=arguments.dry_run, force=arguments.force)
    document: dict[str, Any] = done.as_dict()
    return Answer(document, lambda screen: _lines(screen, document))


def _lines(screen: Screen, document: Mapping[str, Any]) -> Iterator[str]:
    from ._findings import finding_lines
    from ._screen import visible

    for each in document["remedies"]:
        where = f"{each['code']} {each['where'] or '(the file itself)'}: " if each["code"] else ""
        yield from screen.wrap(f"{where}{each['what']} ({each['exactness']})", "  ", "")
    if document["nothing_to_do"]:
        yield screen.paint("nothing to do", "green")
    if document["left"]:
        yield ""
        yield from finding_lines(screen, document["left"])
    if document["dry_run"]:
        yield "dry run: nothing was written"
    elif document["output"]:
        yield from _wrote(screen, visible(document["output"]), document)


def _wrote(screen: Screen, output: str, document: Mapping[str, Any]) -> Iterator[str]:
    from pathlib import Path

    from ._screen import size

    how = "the same bytes" if document["nothing_to_do"] else f"{document['container']}, {document['as']}"
    yield f"wrote {screen.paint(output, 'bold')} ({size(Path(document['output']).stat().st_size)}; {how})"


COMMAND = Command(
    name="repair",
    help="applies the remedies to a new file and says each one",
    example="gatewise repair old.pt -o new.pt --as module",
    add_arguments=add_arguments,
    run=run,
)
