"""``gatewise doctor``: what will break, be slow, be unsafe or give wrong numbers, and on which versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._command import DIFFERS, DONE, REFUSED, Answer, Command
from ._parse import add_files

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    add_files(parser, "the checkpoint to examine; nothing in it is run")
    parser.add_argument(
        "--for", dest="target", metavar="TARGET", help="what happens in this version: torch==2.13, keras==3"
    )


def run(arguments: Namespace) -> Answer:
    from ._many import answered

    def check() -> None:
        from ..ailments import Target

        if arguments.target:
            Target.parse(arguments.target)

    words = {DONE: "healthy", DIFFERS: "with findings", REFUSED: "refused"}
    return answered(arguments.file, lambda path: _examined(path, arguments.target), words, check)


def _examined(path: str, target: str | None) -> Answer:
    from ..doctor import examination

    found = examination(path, target)
    document: dict[str, Any] = found.as_dict()
    return Answer(document, lambda screen: _lines(screen, document), DONE if found.healthy else DIFFERS)


def _lines(screen: Screen, document: Mapping[str, Any]) -> Iterator[str]:
    from ._findings import counted, finding_lines
    from ._screen import visible

    findings = document["findings"]
    yield from finding_lines(screen, findings)
    if document["for"]:
        told = document["prediction"]
        what = told["outcome"] + (f": {told['error']}" if told["error"] else "")
        yield from screen.wrap(f"in {document['for']}: {what}", "  ")
    if "fix" in document:
        yield f"fix: {screen.paint(visible(document['fix']), 'bold')}"
    well = screen.paint("healthy", "green")
    summary = counted(findings)
    yield (
        f"{visible(document['path'])}: {f'{well} ({summary})' if summary else well}"
        if document["healthy"]
        else (f"{visible(document['path'])}: {summary}")
    )


COMMAND = Command(
    name="doctor",
    help="what will break, be slow, unsafe or wrong, and in which versions",
    example="gatewise doctor model.pt --for torch==2.13",
    add_arguments=add_arguments,
    run=run,
)
