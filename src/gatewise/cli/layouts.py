"""``gatewise layouts``: how each framework stores each cell, as the tables say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import UnknownLayout, instead
from ._command import Answer, Command

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..pairs import Pair
    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="one layout, with its phrases, its dialect and its source; or a framework, for those of its own",
    )
    parser.add_argument(
        "--matrix", action="store_true", help="what can be said of each layout in each other one, computed now"
    )


def run(arguments: Namespace) -> Answer:
    from ..layouts import layouts

    if arguments.matrix:
        return _matrix(arguments.name)
    known = [_document(layout) for layout in layouts()]
    if arguments.name is None:
        return Answer({"layouts": known}, lambda screen: _list(screen, known))
    own = [layout for layout in known if layout["name"].partition(".")[0] == arguments.name]
    if own:
        return Answer({"layouts": own}, lambda screen: _list(screen, own))
    by_name = {layout["name"]: layout for layout in known}
    if arguments.name in by_name:
        return Answer(by_name[arguments.name], lambda screen: _one(screen, by_name[arguments.name]))
    raise UnknownLayout(
        f"no layout is called {arguments.name!r}.",
        next=instead(arguments.name, by_name, all="`gatewise layouts`"),
    )


def _matrix(name: str | None) -> Answer:
    from ..layouts import layout
    from ..pairs import pairs_of
    from ._progress import Progress

    source = layout(name) if name else None
    with Progress() as progress:
        found = list(pairs_of(source, progress))
    document = {"pairs": [each.as_dict() for each in found]}
    return Answer(document, lambda screen: _grids(found) if source is None else _partners(screen, found))


def _grids(found: Sequence[Pair]) -> Iterator[str]:
    from ..pairs import LEGEND, by_cell, grid

    for cell, those in by_cell(found):
        yield f"{cell}: rows are sources, columns targets by their number"
        yield from grid(those)
        yield ""
    yield LEGEND
    yield "`gatewise layouts NAME --matrix` says why"


def _partners(screen: Screen, found: Sequence[Pair]) -> Iterator[str]:
    from ._screen import Column, table

    columns = (Column("to", gives=True), Column("outcome"), Column("max |Δ|", right=True), Column("", gives=True))
    rows = [
        (each.target, each.outcome, "" if each.error is None else f"{each.error:.1e}", each.reason or "; ".join(each.changes))
        for each in found
    ]  # fmt: skip
    yield from table(screen, columns, rows)


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


def _name(name: Any) -> str | list[str] | dict[str, Any]:
    """A part's name template; several where any of them is met; by naming scheme where containers have their own."""
    if isinstance(name, Mapping):
        return {scheme: _name(each) for scheme, each in name.items()}
    return name if isinstance(name, str) else list(name)


def _plain_name(name: Any) -> str:
    """The template under the framework's own naming, which is the empty one; the first of several."""
    if isinstance(name, Mapping):
        return _plain_name(name.get("") or next(iter(name.values())))
    return name if isinstance(name, str) else _plain_name(name[0])


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
