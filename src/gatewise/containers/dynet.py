"""DyNet's text files (``ParameterCollection.save``, ``dy.save``'s ``.data``): a header line and a line of numbers each.

    #Parameter# /vanilla-lstm-builder/_0 {16,5} 1281 ZERO_GRAD
    -6.08659625e-01 -3.35925519e-01 …

Source: dynet/io.cc, TextFileSaver and TextFileLoader (DyNet 2.2), dynet/dim.cc.  The header says how many bytes of
numbers follow, so that a file is listed without reading them; they lie in COLUMN-MAJOR order.  FULL_GRAD: as many
numbers again, the gradients.  Names are places: the collection's path and a running number.  DyNet 2.0's first files
lack the last word.  Not known here: the ``.meta`` pickle beside a ``.data``, and DyNet 1's boost archives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import BrokenFile
from ..record import record
from ..source import Source
from ..tensors import Declared, StoredTensor, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path

    from ..tensors import Array

# A builder's collection, and how many parameters each of its layers has (dynet/{lstm,gru,rnn}.cc, the constructors).
PER_LAYER = {
    "vanilla-lstm-builder": 3, "compact-vanilla-lstm-builder": 3, "lstm-builder": 11, "gru-builder": 9,
    "simple-rnn-builder": 3,
}  # fmt: skip
_WORDS = (b"#Parameter# ", b"#LookupParameter# ")
_HEADER = re.compile(
    rb"#(?:Lookup)?Parameter# (?P<name>[^ #]+) \{(?P<dims>[0-9,]*)(?:X(?P<batch>\d+))?\} (?P<bytes>\d{1,18})"
    rb"(?: (?P<grad>ZERO_GRAD|FULL_GRAD))?\r?"
)
_ITEM_BYTES = 2  # the shortest number with the space behind it
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


@record
class _Place:
    """One parameter: its name, its dimensions, and where its numbers stand."""

    name: str
    shape: tuple[int, ...]
    text: memoryview
    at: int


def claims(source: Source) -> bool:
    return bytes(source.data[: len(_WORDS[1])]).startswith(_WORDS)


def read(source: Source) -> Tensors:
    """Every parameter, in the file's order; a collection of the model is declared by its path and its own name."""
    places: dict[str, _Place] = {}
    notes = []
    for place in _places(source):
        if place.name in places:  # DyNet's loader takes the first, too
            notes.append(f"{place.name} is there twice; the first one is read.")
            continue
        places[place.name] = place
        source.limits.check("tensors", len(places), path=source.name, where=f"parameter {place.name}")
    return Tensors(
        [_tensor(place, source) for place in places.values()],
        path=source.name,
        container="dynet",
        bytes=source.size,
        declared=_declared(places),
        written_by=[WrittenBy("dynet", ">=2.0", "text of #Parameter# lines")],
        notes=notes,
    )


def _places(source: Source) -> Iterator[_Place]:
    cursor = source.cursor(where="DyNet parameter")
    while cursor.left:
        line = cursor.line(4096)
        found = _HEADER.fullmatch(line)
        if not found:
            raise cursor.fail(f"{line[:60]!r} is no line that announces a parameter.", next=_FETCH_AGAIN)
        name = found["name"].decode("utf-8", "replace")
        shape = tuple(int(size) for size in found["dims"].split(b",") if size)
        shape += (int(found["batch"]),) if found["batch"] else ()
        source.limits.check("rank", len(shape), path=source.name, where=f"parameter {name}")
        count = math.prod(shape)
        if count * _ITEM_BYTES > cursor.left + 1:
            raise cursor.fail(f"{name} announces {count:,} numbers, {cursor.left:,} bytes are left.", next=_FETCH_AGAIN)
        start = cursor.at
        announced = int(found["bytes"]) // (2 if found["grad"] == b"FULL_GRAD" else 1)
        _skip_line(cursor, announced)
        yield _Place(name, shape, cursor.data[start : cursor.at], start)
        if found["grad"] == b"FULL_GRAD":
            _skip_line(cursor, announced)


def _skip_line(cursor: Cursor, announced: int) -> None:
    """Past the numbers: as many bytes as announced, or, where nan and inf made them fewer, to the line's end."""
    end = cursor.at + announced
    if not (0 < announced <= cursor.left and cursor.data[end - 1] == 0x0A and _ends(cursor, end)):
        end = _line_end(cursor)
    cursor.take(end - cursor.at, "bytes of numbers")


def _ends(cursor: Cursor, end: int) -> bool:
    """Does a new line of the right kind, or the end, follow?"""
    return end == len(cursor.data) or cursor.data[end] in b"#+-0123456789ni"


def _line_end(cursor: Cursor) -> int:
    for start in range(cursor.at, len(cursor.data), 1 << 20):
        found = bytes(cursor.data[start : start + (1 << 20)]).find(b"\n")
        if found >= 0:
            return start + found + 1
    raise cursor.fail("a line of numbers has no end.", next=_FETCH_AGAIN)


def _tensor(place: _Place, source: Source) -> StoredTensor:
    def parsed() -> Array:
        import numpy as np

        words = bytes(place.text).split()
        try:
            numbers = np.array(words, np.float32)
        except ValueError:
            numbers = None
        if numbers is None or numbers.size != math.prod(place.shape):
            raise BrokenFile(
                f"{place.name} {list(place.shape)} wants {math.prod(place.shape):,} numbers; its line holds {len(words):,}"
                f"{'' if numbers is not None else ', and not all are numbers'}.",
                path=source.name, where=f"byte {place.at}", next=_FETCH_AGAIN,
            )  # fmt: skip
        array: Array = numbers.reshape(place.shape, order="F")
        array.flags.writeable = False
        return array

    return StoredTensor(place.name, "float32", place.shape, parsed, f"byte {place.at}")


# What a builder's parameters are to it: "layer/direction/position", the position within one layer.


def _declared(places: dict[str, _Place]) -> Iterator[Declared]:
    """The collections: ``/vanilla-lstm-builder_1`` is a ``dynet.vanilla-lstm-builder``, the second of its name.  A
    BiRNNBuilder's collection ``birnn`` holds builders of one layer each: forward, backward, forward, backward …"""
    follow = _following(list(places))
    own: dict[str, list[str]] = {}
    for name in places:
        own.setdefault(name.rpartition("/")[0], []).append(name)
    pairs: dict[str, list[str]] = {}
    for path in own:
        above = path.rpartition("/")[0]
        if _kind(above) == "birnn" and _kind(path) in PER_LAYER:
            pairs.setdefault(above, []).append(path)
    for path, names in own.items():
        if path.rpartition("/")[0] not in pairs and _kind(path):
            words = _words(names, PER_LAYER.get(_kind(path), 0), 0, "f", follow)
            yield Declared(path, f"dynet.{_kind(path)}", inputs=words)
    for above, paths in pairs.items():
        words = {}
        for at, path in enumerate(paths):
            words |= _words(own[path], PER_LAYER[_kind(path)], at // 2, "fb"[at % 2], follow)
        yield Declared(above, f"dynet.{_kind(paths[0])}", {"bidirectional": True}, inputs=words)


def _kind(path: str) -> str:
    return re.sub(r"_\d+$", "", path.rpartition("/")[2])


def _words(
    names: list[str], per_layer: int, first: int, direction: str, follow: dict[str, list[str]]
) -> dict[str, str]:
    words: dict[str, str] = {}
    for at, name in enumerate(names if per_layer else ()):
        layer = f"{first + at // per_layer}/{direction}"
        words[f"{layer}/{at % per_layer}"] = name
        for number, beside in enumerate(follow.get(name, ()) if at % per_layer == per_layer - 1 else ()):
            words[f"{layer}/outside/{number}"] = beside
    return words


def _following(names: list[str]) -> dict[str, list[str]]:
    """Parameters that follow one of a collection below theirs: there a builder with ``ln_lstm`` keeps its norms."""
    found: dict[str, list[str]] = {}
    last = ""
    for name in names:
        path = name.rpartition("/")[0]
        if last and last.rpartition("/")[0].rpartition("/")[0] == path:
            found.setdefault(last, []).append(name)
        else:
            last = name
    return found


def stands_for(path: Path) -> Path | None:
    """``dy.save("base", …)`` writes base.data and base.meta; the numbers are in the first."""
    if path.suffix == ".meta":
        return _if_ours(path.with_suffix(".data"))
    return None if path.exists() else _if_ours(path.with_name(f"{path.name}.data"))


def _if_ours(path: Path) -> Path | None:
    try:
        with open(path, "rb") as file:
            return path if file.read(len(_WORDS[1])).startswith(_WORDS) else None
    except OSError:
        return None


CONTAINERS = (
    Container(
        "dynet",
        title="DyNet text model",
        source="https://github.com/clab/dynet/blob/master/dynet/io.cc",
        claims=claims,
        read=read,
        stands_for=stands_for,
        magic=tuple((0, word) for word in _WORDS),
        rank=30,
    ),
)
