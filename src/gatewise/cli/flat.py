"""``gatewise flat``: which stretch of the flat vector is which matrix; packing one, and going back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..errors import UsageError
from ._command import Answer, Command
from ._parse import add_dialect, add_file, add_verify, assumption, dialect

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Arguments, Namespace
    from ._screen import Screen

SELECTORS = {"role": "role", "gate": "gate", "layer_index": "layer", "direction": "direction"}


def add_arguments(parser: Arguments) -> None:
    add_file(parser, "file", "the checkpoint")
    parser.add_argument(
        "--order",
        metavar="ORDER",
        help="torch, cudnn, keras, mxnet, jax ..., a layout's name, or a TOML file with your own",
    )
    parser.add_argument("--layer", metavar="NAME", help="the recurrent layer, where there are several")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="write the packed vector (vector.npy); with --unpack, the new checkpoint"
    )
    parser.add_argument(
        "--unpack", metavar="VECTOR", help="a vector.npy of this order: OUT is the layer with the vector's numbers"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    add_verify(parser)
    group = parser.add_argument_group("only these rows")
    group.add_argument("--role", metavar="ROLE", help="kernel, recurrent_kernel, bias, recurrent_bias ...")
    group.add_argument("--gate", metavar="GATE", help="a gate's letter or name, or several letters: f, forget, if")
    group.add_argument("--layer-index", type=int, metavar="N", help="the layer's number in its stack; -1 is the last")
    group.add_argument("--direction", choices=("forward", "reverse"), help="one direction of a bidirectional layer")
    add_dialect(parser)


def run(arguments: Namespace) -> Answer:
    from ..flat._files import map_of

    _check(arguments)
    found = map_of(arguments.file, arguments.order, arguments.layer, **dialect(arguments))
    wanted = {word: getattr(arguments, name) for name, word in SELECTORS.items()}
    selected = found.flat.selected(**wanted) if _selecting(arguments) else None
    document: dict[str, Any] = dict(found.as_dict(selected))
    if arguments.unpack:
        proof, changes = found.write_back(arguments.unpack, arguments.output, arguments.force, arguments.verify)
        document["proof"] = proof.as_dict()
    else:
        changes = found.write_vector(arguments.output, arguments.force) if arguments.output else ()
    document["changes"] += [change.as_dict() for change in changes]
    if arguments.output:
        document["output"] = arguments.output

    def show(screen: Screen) -> Iterator[str]:
        yield from _lines(screen, document)

    return Answer(document, show)


def _check(arguments: Namespace) -> None:
    if arguments.unpack and not arguments.output:
        raise UsageError("--unpack writes a new checkpoint.", where="flat", next="Name it: -o OUT.")
    if arguments.output == "-" or arguments.unpack == "-":
        raise UsageError("vectors and checkpoints are files here, not pipes.", where="flat", next="Name the file.")
    if arguments.output and _selecting(arguments):
        raise UsageError(
            "a vector is written whole.", where="flat", next="Leave out --role, --gate, --layer-index and --direction."
        )


def _selecting(arguments: Namespace) -> bool:
    return any(getattr(arguments, name) is not None for name in SELECTORS)


def _lines(screen: Screen, document: Mapping[str, Any]) -> Iterator[str]:
    from ._proof import change_lines, proof_line
    from ._screen import BARE, visible

    name = visible(document["layer"] or BARE)
    order = "" if document["order"] == document["layout"] else f" in the order {visible(document['order'])}"
    yield f"{screen.paint(name, 'bold')} · {visible(document['layout'])}{order} · {document['size']:,} × {document['dtype']}"
    for text in document["assumed"]:
        yield from screen.wrap(assumption(text), "  ", first="")
    yield from change_lines(screen, document["changes"])
    if "proof" in document:
        yield from proof_line(screen, document["proof"], "proved", "not proved")
    if "output" in document:
        yield _written(screen, document["output"])
    else:
        yield from _table(screen, document)


def _written(screen: Screen, path: str) -> str:
    from pathlib import Path

    from ._screen import size, visible

    return f"wrote {screen.paint(visible(path), 'bold')} ({size(Path(path).stat().st_size)})"


def _table(screen: Screen, document: Mapping[str, Any]) -> Iterator[str]:
    from ._screen import Column, shape, table

    columns = (
        Column("offset", right=True), Column("size", right=True), Column("layer"), Column("role", gives=True), Column("gate"),
        Column("shape", right=True, spare=1), Column("lies", spare=2), Column("tensor", gives=True),
    )  # fmt: skip
    yield from table(
        screen,
        columns,
        [
            (
                f"{row['offset']:,}", f"{row['size']:,}", f"{row['layer']} {row['direction']}", row["role"], row["gate"],
                shape(row["shape"]), _lies(row), row["name"],
            )
            for row in document["rows"]
        ],
    )  # fmt: skip


def _lies(row: Mapping[str, Any]) -> str:
    """How a gate's elements lie that are not one stretch, row by row."""
    if row.get("relabel"):
        return f"as {row['relabel']}"
    return "" if row["contiguous"] else f"every {' × '.join(map(str, row['strides']))}"


COMMAND = Command(
    name="flat",
    help="which stretch of the flat vector is which gate of which matrix",
    example="gatewise flat model.pt --order cudnn -o vector.npy",
    add_arguments=add_arguments,
    run=run,
)
