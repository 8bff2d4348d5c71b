"""``gatewise formats``: the file formats that are read and written."""

from __future__ import annotations

from collections.abc import Iterator

from ._command import Answer, Command

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    """No options of its own."""
    del parser


def run(arguments: Namespace) -> Answer:
    from ..containers import containers

    del arguments
    known = [
        {
            "name": each.name,
            "title": each.title,
            "reads": True,
            "writes": each.write is not None,
            "suffixes": list(each.suffixes),
            "source": each.source,
        }
        for each in sorted(containers(), key=lambda each: each.name)
    ]
    return Answer({"formats": known}, lambda screen: _lines(screen, known))


def _lines(screen: Screen, known: list[dict[str, Any]]) -> Iterator[str]:
    from ._screen import Column, table

    columns = (
        Column("format"),
        Column("what it is", gives=True),
        Column(""),
        Column("suffix when writing", gives=True, spare=1),
    )
    rows = [
        (each["name"], each["title"], "read, written" if each["writes"] else "read", " ".join(each["suffixes"]))
        for each in known
    ]
    yield from table(screen, columns, rows)
    yield ""
    yield "A file's format is told by its bytes, never by its suffix."


COMMAND = Command(
    name="formats",
    help="the file formats that are read and written",
    example="gatewise formats --json",
    add_arguments=add_arguments,
    run=run,
)
