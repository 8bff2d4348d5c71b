"""``gatewise explain``: a pasted error, warning, traceback or question → cause, fix, versions, sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..errors import UsageError
from ._command import DIFFERS, DONE, Answer, Command

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..symptoms import Explanation, Match
    from ._command import Arguments, Namespace
    from ._screen import Screen

_LOGS = (".log", ".txt", ".out", ".err")  # words that end so are files, there or not
PIECE = 1 << 20  # characters read at once


def add_arguments(parser: Arguments) -> None:
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="*",
        help="the error, its traceback, a warning or a question; - (or nothing) reads what is piped in, "
        "and the name of a text file reads the file. Exit code 0: explained; 1: not sure, the nearest entries are shown",
    )


def run(arguments: Namespace) -> Answer:
    from ..symptoms import explain

    found = explain(_text(arguments.text))
    return Answer(found.as_dict(), lambda screen: _lines(screen, found), DONE if found.sure else DIFFERS)


def _text(words: list[str]) -> str:
    if words == ["-"] or (not words and not _terminal()):
        return _some(_digest(sys.stdin.buffer))
    if len(words) == 1 and not any(char.isspace() for char in words[0]):
        from pathlib import Path

        path = Path(words[0])
        if path.is_file():
            return _some(_file(path), path)
        if path.suffix in _LOGS:
            raise UsageError("there is no such file.", path=path, next="Check the path, or paste the error in quotes.")
    return _some(" ".join(words))


def _some(text: str, path: object = None) -> str:
    """The text, where there is any.  Raises UsageError."""
    if not text.strip():
        raise UsageError(
            "there is nothing to explain.", path=path, where=None if path else "explain",
            next="Paste the error in quotes, or pipe it in (... 2>&1 | gatewise explain -).",
        )  # fmt: skip
    return text


def _terminal() -> bool:
    isatty = getattr(sys.stdin, "isatty", None)
    return bool(isatty and isatty())


def _file(path: Path) -> str:
    with path.open("rb") as file:
        if b"\0" in file.read(4096):
            raise UsageError("is no text.", path=path, next=f"To see what is in a checkpoint: gatewise inspect {path}")
        file.seek(0)
        return _digest(file)


def _digest(stream: Any) -> str:
    """What tells in a stream of bytes: a log of any length is read once, and little of it is kept."""
    from ..symptoms import digest_lines

    return digest_lines(_decoded(stream))


def _decoded(stream: Any) -> Iterator[str]:
    """The lines of a stream.  A line that does not end (a progress bar) is handed out in pieces."""
    import codecs

    first: bytes = stream.read(4)
    encoding = "utf-16" if first[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # PowerShell's > writes UTF-16
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    rest, piece = "", first
    while piece:
        lines = (rest + decoder.decode(piece)).split("\n")
        rest = lines.pop()
        yield from lines
        if len(rest) > PIECE:
            yield rest
            rest = ""
        piece = stream.read(PIECE)
    yield rest + decoder.decode(b"", final=True)


_UNKNOWN = (
    "This is not a symptom that gatewise knows. It knows errors, warnings and questions about the weights of "
    "recurrent layers (LSTM, GRU, RNN): paste the last lines, from the one that names the error."
)


def _lines(screen: Screen, found: Explanation) -> Iterator[str]:
    if not found.matches:
        yield from screen.wrap(_UNKNOWN, "", first="")
        return
    if found.sure:
        yield from _whole(screen, found.matches[0])
        rest = found.matches[1:]
    else:
        yield "Not sure what this is. The nearest that is known:"
        rest = found.matches
    if rest:
        yield ""
        if found.sure:
            yield screen.paint("less likely:", "dim")
        for match in rest:
            yield from _short(screen, match)
    if not found.sure:
        yield ""
        yield from screen.wrap(f"To read one of them: gatewise explain {found.matches[0].symptom.code}")


def _short(screen: Screen, match: Match) -> list[str]:
    return screen.wrap(f"{match.symptom.code}  {match.symptom.title}", "         ", first="  ")


def _whole(screen: Screen, match: Match) -> Iterator[str]:
    it = match.symptom
    yield from (screen.paint(line, "bold") for line in screen.wrap(f"{it.code}  {it.title}", "       ", first=""))
    yield ""
    yield screen.paint("cause", "cyan")
    yield from screen.wrap(it.cause, "  ")
    yield ""
    yield screen.paint("fix", "cyan")
    yield from _fix(screen, match)
    yield ""
    yield screen.paint("versions", "cyan")
    yield from screen.wrap(it.versions, "  ")
    if it.known:
        yield from screen.wrap(it.known, "  ")
    if it.sources:
        yield ""
        yield screen.paint("sources", "cyan")
        yield from (f"  {source}" for source in it.sources)


def _fix(screen: Screen, match: Match) -> Iterator[str]:
    """Sentences are wrapped; code is left as it is, so that it can be copied."""
    for index, (code, lines) in enumerate(match.symptom.steps):
        if index:
            yield ""
        if code:
            yield from (screen.paint(f"    {line}".rstrip(), "green") for line in lines)
        else:
            yield from screen.wrap(" ".join(lines), "  ")


COMMAND = Command(
    name="explain",
    help="a pasted error, warning or question: cause, fix, versions, sources",
    example="gatewise explain \"'LSTM' object has no attribute '_flat_weights_names'\"",
    add_arguments=add_arguments,
    run=run,
)
