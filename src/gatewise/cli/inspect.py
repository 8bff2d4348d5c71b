"""``gatewise inspect``: what is inside a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ._command import DONE, REFUSED, Answer, Command
from ._parse import add_dialect, add_files, assumption, dialect

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen

Row = Mapping[str, "Any"]
USUAL = ("tanh", "sigmoid", "concat", "keeps", "", None, False, 0, 0.0)  # a dialect's values that go without saying
TOLD_ELSEWHERE = ("hard_sigmoid_slope",)  # the activation's name has it: hard_sigmoid(0.2)
OTHERS = 3  # so many of the other tensors are named


def add_arguments(parser: Arguments) -> None:
    add_files(parser, "the checkpoint")
    parser.add_argument("--tensors", action="store_true", help="list every tensor, with its role and its gates")
    parser.add_argument("--gates", action="store_true", help="show each gate's matrix: shape, mean, spread, extremes")
    parser.add_argument("--layer", metavar="NAME", help="only this recurrent layer")
    add_dialect(parser)


def run(arguments: Namespace) -> Answer:
    from ._many import answered

    return answered(arguments.file, lambda path: _inspected(path, arguments), {DONE: "read", REFUSED: "refused"})


def _inspected(path: str, arguments: Namespace) -> Answer:
    from ..checkpoint import open

    checkpoint = open(path, **dialect(arguments))
    shown = arguments.tensors or arguments.json  # the text alone does not show a layer's tensors
    document: dict[str, Any] = dict(checkpoint.inspect(arguments.layer, tensors=shown))
    if arguments.gates:
        document["gates"] = list(checkpoint.gates(arguments.layer))

    def show(screen: Screen) -> Iterator[str]:
        yield from _head(screen, document)
        yield from _layers(screen, document["layers"], closely=arguments.layer is not None)
        if arguments.tensors:
            yield from _tensors(screen, document)
        if arguments.gates:
            yield from _gates(screen, document["gates"])
        yield from _rest(screen, document, named=arguments.tensors)

    return Answer(document, show)


def _head(screen: Screen, document: Row) -> Iterator[str]:
    from ._screen import size, visible

    name, facts = visible(str(document["path"])), f" · {document['container']} · {size(document['bytes'])}"
    yield screen.paint(name, "bold") + facts
    for writer in document["written_by"]:
        who = f"{writer['framework']} {writer['version']}".strip()
        yield from screen.wrap(f"written by {who}: {writer['because']}", "  ", first="")
    if not document["written_by"]:
        yield "written by: the file does not tell"


def _layers(screen: Screen, layers: Sequence[Row], closely: bool) -> Iterator[str]:
    from ._screen import Column, table

    yield ""
    if not layers:
        yield "no recurrent layer found"
        return
    columns = (
        Column("name", gives=True), Column("cell", spare=2), Column("layout", gives=True), Column("in → hidden", right=True),
        Column("layers", right=True), Column("dirs"), Column("bias", spare=1), Column("dtype"),
        Column("parameters", right=True),
    )  # fmt: skip
    yield from table(screen, columns, [_layer_row(layer) for layer in layers])
    yield from _about(screen, layers, closely)


def _layer_row(layer: Row) -> tuple[object, ...]:
    from ._screen import BARE

    hidden = layer["hidden_size"]
    hidden = " / ".join(map(str, hidden)) if isinstance(hidden, list | tuple) else str(hidden)
    if layer.get("proj_size"):
        hidden += f" → {layer['proj_size']}"
    return (
        layer["name"] or BARE, layer["cell"], layer["layout"], f"{layer['input_size']} → {hidden}", layer["num_layers"],
        "both" if layer["directions"] == 2 else "one", layer["bias"], layer["dtype"], f"{layer['parameters']:,}",
    )  # fmt: skip


def _about(screen: Screen, layers: Sequence[Row], closely: bool) -> Iterator[str]:
    """What the table has no column for.  What is true of several layers is said once."""
    from ._screen import BARE

    said: dict[str, list[str]] = {}
    for layer in layers:
        for line in _facts(layer, closely):
            said.setdefault(line, []).append(layer["name"] or BARE)
    for line, names in said.items():
        who = "every layer" if len(names) == len(layers) > 1 else ", ".join(dict.fromkeys(names))
        yield from screen.wrap(f"{who}  {line}", "    ", first="  ")


def _facts(layer: Row, closely: bool) -> Iterator[str]:
    """The unusual in a layer's dialect, what was assumed, and how we know."""
    dialect = {key: value for key, value in layer.get("dialect", {}).items() if key not in TOLD_ELSEWHERE}
    told = [f"{key.replace('_', ' ')} {value}" for key, value in dialect.items() if value not in USUAL]
    if told:
        yield f"reads as: {', '.join(told)}"
    yield from (assumption(text) for text in layer.get("assumed", ()))
    yield from (f"also at: {text}" for text in layer.get("also_at", ()))
    if closely or not layer.get("sure", True):
        yield from (f"because: {text}" for text in layer.get("evidence", ()))
    yield from (f"not sure: {text}" for text in layer.get("doubts", ()))


def _tensors(screen: Screen, document: Row) -> Iterator[str]:
    from ._screen import Column, shape, table

    columns = (
        Column("tensor", gives=True), Column("shape", right=True), Column("dtype", spare=2), Column("role", gives=True),
        Column("layer", right=True), Column("direction", spare=1), Column("gates"),
    )  # fmt: skip
    rows = [
        (each["tensor"], shape(each["shape"]), each.get("dtype", layer["dtype"]), _words(each.get("role")),
         each.get("layer"), each.get("direction"), _words(each.get("gates")))
        for layer in document["layers"] for each in layer["tensors"]
    ]  # fmt: skip
    rows += [
        (each["tensor"], shape(each["shape"]), each["dtype"], "", None, "", "") for each in document.get("others", ())
    ]
    yield ""
    yield from table(screen, columns, rows)


def _words(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _gates(screen: Screen, rows: Iterable[Row]) -> Iterator[str]:
    from ._gates import gate_tables
    from ._screen import Column

    figures = ("mean", "std", "min", "max")
    columns = [Column(figure, right=True) for figure in figures]
    yield ""
    yield from gate_tables(screen, rows, columns, lambda row: [f"{row[each]:.3g}" for each in figures])


def _rest(screen: Screen, document: Row, named: bool) -> Iterator[str]:
    from ._screen import BARE

    notes, outside, others = (document.get(key, ()) for key in ("notes", "outside", "others"))
    if notes or outside or (others and not named):
        yield ""
    for note in notes:
        yield from screen.wrap(f"note: {note}", "  ", first="")
    for each in outside:
        kind = f" ({each['kind']})" if each.get("kind") else ""
        yield from screen.wrap(f"outside: {each['name'] or BARE}{kind}: {each['why']}", "  ", first="")
    if others and not named:
        yield _summary(screen, others)


def _summary(screen: Screen, others: Sequence[Row]) -> str:
    """One line about the other tensors, with as many of their names as it holds."""
    from ._screen import count, shape, shorten, visible

    line = count(len(others), "other tensor")
    for index, each in enumerate(others[:OTHERS]):
        named = f"{', ' if index else ': '}{visible(str(each['tensor']))} {shape(each['shape'])}"
        if len(line + named) + 3 > screen.width:
            break
        line += named
    else:
        index = len(others[:OTHERS])
    return shorten(line + (" …" if index < len(others) else ""), screen.width)


COMMAND = Command(
    name="inspect",
    help="what is inside: who wrote it, every recurrent layer, the rest",
    example="gatewise inspect model.pt --gates",
    add_arguments=add_arguments,
    run=run,
)
