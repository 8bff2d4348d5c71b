"""``gatewise convert``: one framework's file into another's, with the proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..errors import UsageError
from ._command import Answer, Command
from ._parse import add_dialect, add_file, add_verify, assumption, dialect

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen


def add_arguments(parser: Arguments) -> None:
    add_file(parser, "file", "the checkpoint to read")
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help="the file to write; its suffix tells the format"
    )
    parser.add_argument(
        "--to", metavar="LAYOUT", help="the layout to write: torch.LSTM, keras.LSTM ... (`gatewise layouts`)"
    )
    parser.add_argument("--layer", metavar="NAME", help="only this recurrent layer")
    parser.add_argument(
        "--container", metavar="FORMAT", help="the format to write, whatever the suffix (`gatewise formats`)"
    )
    parser.add_argument("--dtype", metavar="DTYPE", help="store as float32, float16 ... (default: as the source does)")
    parser.add_argument("--batch-first", action="store_true", help="ONNX: the graph takes x as [batch, time, feature]")
    add_verify(parser, optional=True)
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument("--code", action="store_true", help="also print the lines that load OUT in its framework")
    add_dialect(parser)


def run(arguments: Namespace) -> Answer:
    from ..checkpoint import convert
    from ._progress import Progress

    if arguments.output == "-":
        raise UsageError("a checkpoint is written to a file, not to a pipe.", where="convert", next="Name it: -o OUT.")
    with Progress() as progress:
        conversion = convert(
            arguments.file,
            arguments.output,
            to=arguments.to,
            layer=arguments.layer,
            container=arguments.container,
            dtype=arguments.dtype,
            verify=arguments.verify,
            force=arguments.force,
            batch_first=arguments.batch_first,
            progress=progress,
            **dialect(arguments),
        )
    document: dict[str, Any] = dict(conversion.as_dict())
    if arguments.code:
        document["code"] = conversion.code

    def show(screen: Screen) -> Iterator[str]:
        yield from _lines(screen, document)
        if arguments.code:
            yield from ("", conversion.code.rstrip())

    return Answer(document, show)


def _lines(screen: Screen, document: Mapping[str, Any]) -> Iterator[str]:
    from ._proof import change_lines, proof_line
    from ._screen import BARE, Column, table

    yield from table(
        screen,
        (Column("layer", gives=True), Column("from", gives=True), Column("to", gives=True)),
        [(each["name"] or BARE, each.get("from"), each.get("to") or each.get("layout")) for each in document["layers"]],
    )
    for text in dict.fromkeys(text for each in document["layers"] for text in each.get("assumed", ())):
        yield from screen.wrap(assumption(text), "  ", first="")
    yield from change_lines(screen, document["changes"])
    if document["proof"]:
        yield from proof_line(screen, document["proof"], "proved", "not proved")
    else:
        yield screen.paint("not proved: --no-verify", "yellow")
    yield from _outputs(screen, document["outputs"])


def _outputs(screen: Screen, outputs: Sequence[Any]) -> Iterator[str]:
    from pathlib import Path

    from ._screen import size, visible

    for each in outputs:
        path = str(each["path"] if isinstance(each, Mapping) else each)
        yield f"wrote {screen.paint(visible(path), 'bold')} ({size(Path(path).stat().st_size)})"


COMMAND = Command(
    name="convert",
    help="one framework's file into another's, proved before it is written",
    example="gatewise convert model.pt -o model.keras --to keras.LSTM --code",
    add_arguments=add_arguments,
    run=run,
)
