"""``gatewise layouts``: how each framework stores each cell, as the tables say it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UnknownLayout, nearest
from ._command import Answer, Command

if TYPE_CHECKING:
    from ._screen import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="one layout, with its phrases, its dialect and its source"
    )


def run(arguments: argparse.Namespace) -> Answer:
    from ..layouts import layouts

    known = [_document(layout) for layout in layouts()]
    if arguments.name is None:
        return Answer({"layouts": known}, lambda screen: _list(screen, known))
    by_name = {layout["name"]: layout for layout in known}
    if arguments.name in by_name:
        return Answer(by_name[arguments.name], lambda screen: _one(screen, by_name[arguments.name]))
    raise UnknownLayout(
        f"no layout is called {arguments.name!r}.",
        next=nearest(arguments.name, by_name) or "`gatewise layouts` lists them.",
    )


def _document(layout: Any) -> dict[str, Any]:
    return {
        "name": layout.name,
        "cell": layout.cell,
        "gates": layout.gates,
        "parts": [
            {"name": _name(part.name), "roles": list(part.roles), "phrase": part.phrase, "optional": part.optional}
            for part in layout.parts
        ],
        "source": layout.source,
        "proven": layout.proven,
        "status": layout.status,
        "dialect": layout.meaning.as_dict(),
    }


def _name(name: str | Mapping[str, str]) -> str | dict[str, str]:
    """A part's name template; by naming scheme where containers have their own."""
    return name if isinstance(name, str) else dict(name)


def _plain_name(name: str | Mapping[str, str]) -> str:
    """The template under the framework's own naming, which is the empty one."""
    return name if isinstance(name, str) else name.get("") or next(iter(name.values()))


def _list(screen: Screen, known: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    from ._screen import Column, table

    columns = (
        Column("layout", gives=True), Column("cell"), Column("gates"), Column("parts", right=True), Column("status", gives=True),
        Column("proven", gives=True, spare=1),
    )  # fmt: skip
    rows = [
        (each["name"], each["cell"], each["gates"], len(each["parts"]), each["status"], each["proven"])
        for each in known
    ]
    yield from table(screen, columns, rows)
    yield ""
    yield "`gatewise layouts NAME` shows one: its phrases, its dialect, its source"


def _one(screen: Screen, layout: Mapping[str, Any]) -> Iterator[str]:
    from ._screen import Column, table

    yield f"{screen.paint(layout['name'], 'bold')} · {layout['cell']} · gates {layout['gates']}"
    yield ""
    columns = (
        Column("tensor", gives=True),
        Column("role", gives=True),
        Column("phrase", gives=True),
        Column("", spare=1),
    )
    rows = [
        (_plain_name(part["name"]), " + ".join(part["roles"]), part["phrase"], "optional" if part["optional"] else "")
        for part in layout["parts"]
    ]
    yield from table(screen, columns, rows)
    yield ""
    named = [part["name"] for part in layout["parts"] if isinstance(part["name"], dict)]
    schemes = dict.fromkeys(scheme for names in named for scheme in names if scheme[:1].isalpha())
    if schemes:
        yield from screen.wrap(f"named otherwise: {', '.join(schemes)} (--json shows how)", "  ", first="")
    told = [
        f"{key.replace('_', ' ')} {value}" for key, value in layout["dialect"].items() if value not in (None, "", False)
    ]
    for what, text in (("dialect", ", ".join(told)), ("status", layout["status"]), ("proven", layout["proven"]),
                       ("source", layout["source"])):  # fmt: skip
        if text:
            yield from screen.wrap(f"{what}: {text}", "  ", first="")


COMMAND = Command(
    name="layouts",
    help="the layouts that are known, with phrases, sources and what is proven",
    example="gatewise layouts torch.LSTM",
    add_arguments=add_arguments,
    run=run,
)
