"""``gatewise diff``: gate by gate, which numbers differ between two files, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ._command import DIFFERS, DONE, Answer, Command
from ._parse import add_dialect, add_file, dialect

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    add_file(parser, "a", "a checkpoint")
    add_file(parser, "b", "another one")
    parser.add_argument("--layer", metavar="NAME", help="only this recurrent layer")
    add_dialect(parser)


def run(arguments: Namespace) -> Answer:
    from ..checkpoint import diff

    document: dict[str, Any] = dict(diff(arguments.a, arguments.b, layer=arguments.layer, **dialect(arguments)))

    def show(screen: Screen) -> Iterator[str]:
        yield from _lines(screen, document, arguments.a, arguments.b)

    return Answer(document, show, DONE if document["same"] else DIFFERS)


def _lines(screen: Screen, document: Mapping[str, Any], a: str, b: str) -> Iterator[str]:
    from ._gates import gate_tables
    from ._screen import BARE, Column, count

    rows, differing = document["rows"], [row for row in document["rows"] if _differs(row)]
    columns = (Column("max |Δ|", right=True), Column("at", right=True, spare=1))
    yield from gate_tables(screen, differing, columns, lambda row: (_figure(row["max_abs"]), _index(row.get("where"))))
    for path, only in ((a, document["only_in_a"]), (b, document["only_in_b"])):
        for name in _gathered(only):
            yield from screen.wrap(f"only in {path}: {name or BARE}", "  ", first="")
    for each in document["meaning"]:
        text = f"{each['name'] or BARE}: {each['field'].replace('_', ' ')} is {each['a']} in {a}, {each['b']} in {b}"
        yield from screen.wrap(text, "  ", first="")
    if document["same"]:
        yield f"{screen.paint('same', 'green')}: {count(len(rows), 'gate matrix', 'gate matrices')} equal"
    else:
        yield f"{screen.paint('different', 'red')}: {len(differing):,} of {count(len(rows), 'gate matrix', 'gate matrices')}"


def _gathered(names: Sequence[str]) -> Iterator[str]:
    """Layers, and the gates of one role in one line: ``layer 0 reverse kernel i f g o``."""
    import re

    roles: dict[str, list[str]] = {}
    for name in names:
        of_role = re.fullmatch(r"(.*layer \d+ (?:forward|reverse) \w+) (\w)", name)
        roles.setdefault(of_role[1] if of_role else name, []).extend(of_role[2] if of_role else ())
    yield from (" ".join((role, *gates)) for role, gates in roles.items())


def _differs(row: Mapping[str, Any]) -> bool:
    return bool(row["max_abs"] != 0)  # a NaN differs, and so does a shape that cannot be compared (None)


def _figure(value: float | None) -> str:
    return "shapes differ" if value is None else f"{value:.3g}"


def _index(where: Any) -> str:
    return f"[{', '.join(map(str, where))}]" if isinstance(where, list | tuple) else str(where or "")


COMMAND = Command(
    name="diff",
    help="gate by gate: which differ between two files, and by how much",
    example="gatewise diff epoch1.pt epoch2.pt",
    add_arguments=add_arguments,
    run=run,
)
