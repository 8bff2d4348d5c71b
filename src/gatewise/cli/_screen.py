"""What text looks like: tables fitted to the terminal, colour where it is seen, sizes that people read.

Everything that comes from a file goes through :func:`visible`: a tensor's name must not repaint the terminal.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import TextIO

GAP = "  "
BARE = "(bare)"  # a layer that is the whole file has no name
ENDLESS = 1_000_000  # columns of a pipe
PROSE = 120  # sentences are not wider than this, whatever the screen
NARROWEST = 8  # a shortened cell keeps at least so many characters
TELLING = 32  # names up to this length are shown whole while there is a spare column to leave out
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PLAIN = str.maketrans({
    "×": "x", "…": "~", "→": ">", "·": "-", "Δ": "d", "≤": "<", "⇄": "~", "σ": "s", "█": "#", "░": ".", "—": "-",
})  # fmt: skip


@record
class Screen:
    """Where text goes: its width, whether it shows colour, and what it can encode."""

    width: int = 80
    colour: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """The screen behind a stream.  A pipe has no colour and, unless COLUMNS says so, no end: who pipes wants whole names."""
        terminal = stream.isatty()
        width = columns() or (80 if terminal else ENDLESS)
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(max(width, 40), colour, getattr(stream, "encoding", None) or "utf-8")

    def paint(self, text: str, style: str) -> str:
        return f"\033[{_STYLES[style]}m{text}\033[0m" if self.colour and text else text

    def encodable(self, text: str) -> str:
        """The text as this screen can show it: an old terminal gets x for × rather than a crash."""
        try:
            text.encode(self.encoding)
        except (UnicodeEncodeError, LookupError):
            return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode()
        return text

    def wrap(self, text: str, indent: str = "", first: str | None = None) -> list[str]:
        """A sentence in as many lines as it needs, those after the first indented."""
        shown, width, start = visible(text), min(self.width, PROSE), indent if first is None else first
        if (
            shown == shown.strip() and 0 < len(start + shown) <= width
        ):  # as most: textwrap costs a millisecond to import
            return [start + shown]
        import re
        import textwrap

        return textwrap.wrap(
            re.sub(r"\S{1000,}", lambda found: shorten(found[0], PROSE), shown),  # no honest name is so long
            width,
            initial_indent=start,
            subsequent_indent=indent,
            break_on_hyphens=False,
        ) or [""]


def columns() -> int:
    """The width that COLUMNS or the terminal tells; 0 where neither does.  As shutil.get_terminal_size, which costs an
    import of every compression there is."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 0
    except (OSError, ValueError):
        return 0


@record
class Column:
    """A column of a table.

    ``right``   numbers stand at the right
    ``gives``   its cells may be shortened in the middle when the table is too wide
    ``spare``   it may be left out altogether when shortening is not enough; the highest goes first
    """

    title: str
    right: bool = False
    gives: bool = False
    spare: int = 0


def table(screen: Screen, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> list[str]:
    """Aligned lines, none wider than the screen: a column that says nothing in any row is left out."""
    cells = [[visible("" if cell is None else str(cell)) for cell in row] for row in rows]
    shown = [index for index in range(len(columns)) if any(row[index] for row in cells)]
    texts = {index: [columns[index].title, *(row[index] for row in cells)] for index in shown}
    natural = {index: max(map(_width, each)) for index, each in texts.items()}
    widths = _fit(screen.width, columns, natural)
    titles = _line([shorten(columns[index].title, width) for index, width in widths.items()], columns, widths)
    short = [
        texts[index][1:] if natural[index] <= width else _apart(texts[index][1:], width)
        for index, width in widths.items()
    ]
    lines = [_line(row, columns, widths) for row in zip(*short, strict=True)]
    return [screen.paint(titles, "dim"), *lines] if lines else []


def _fit(width: int, columns: Sequence[Column], natural: dict[int, int]) -> dict[int, int]:
    """Column index → width.  First the columns that give become narrower, then spare ones go."""
    natural = dict(natural)
    while True:
        widths = _shrink(width, columns, natural)
        spares = [index for index in natural if columns[index].spare]
        if not spares or (_total(widths) <= width and _readable(widths, natural)):
            return widths if _total(widths) <= width else _squeeze(width, widths)
        del natural[max(spares, key=lambda index: columns[index].spare)]


def _readable(widths: dict[int, int], natural: dict[int, int]) -> bool:
    """A spare column goes before a name loses so much of itself that it no longer tells anything."""
    return all(widths[index] >= min(natural[index], TELLING) for index in widths)


def _shrink(width: int, columns: Sequence[Column], natural: dict[int, int]) -> dict[int, int]:
    widths = {index: min(size, width) if columns[index].gives else size for index, size in natural.items()}
    giving = [index for index in widths if columns[index].gives and widths[index] > NARROWEST]
    while giving and _total(widths) > width:
        widest = max(giving, key=lambda index: widths[index])
        widths[widest] -= 1
        giving = [index for index in giving if widths[index] > NARROWEST]
    return widths


def _squeeze(width: int, widths: dict[int, int]) -> dict[int, int]:
    """The last resort on a very narrow screen: every column gives, and those that find no room go."""
    kept = dict(widths)
    while _total(kept) > width:
        widest = max(kept, key=lambda index: kept[index])
        if kept[widest] > 4:
            kept[widest] -= 1
        else:
            kept.popitem()
    return kept


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * max(len(widths) - 1, 0)


def _apart(texts: list[str], width: int) -> list[str]:
    """A column's texts shortened such that different ones stay different: where the middle would take what tells paths
    apart, the parts that all of them share go instead (``…/fw/…/cell_0/…``)."""
    short = [shorten(text, width) for text in texts]
    if len(set(short)) == len(set(texts)):
        return short
    counts = Counter(short)
    alike = {text for text, cut in zip(texts, short, strict=True) if counts[cut] > 1}
    paths = {text: text.split("/") for text in alike}
    depth = min(len(path) for path in paths.values())
    shared = {at for at in range(depth) if len({path[at] for path in paths.values()}) == 1}

    def telling(text: str) -> str:
        parts = ["…" if at in shared else part for at, part in enumerate(paths[text])]
        return "/".join(part for at, part in enumerate(parts) if part != "…" or at == 0 or parts[at - 1] != "…")

    return [shorten(telling(text), width) if text in alike else cut for text, cut in zip(texts, short, strict=True)]


def _line(texts: Sequence[str], columns: Sequence[Column], widths: dict[int, int]) -> str:
    fitted = []
    for text, (index, width) in zip(texts, widths.items(), strict=True):
        space = " " * (width - _width(text))
        fitted.append(space + text if columns[index].right else text + space)
    return GAP.join(fitted).rstrip()


def shorten(text: str, width: int) -> str:
    """The text, or its beginning and end around an ellipsis: names differ at both ends."""
    if _width(text) <= width:
        return text
    head, tail = width // 2, (width - 1) // 2
    while head + tail and _width(text[:head]) + 1 + _width(text[len(text) - tail :]) > width:
        head, tail = (head - 1, tail) if head >= tail else (head, tail - 1)
    return text[:head] + "…" + text[len(text) - tail :]


def _width(text: str) -> int:
    """Columns on the screen: East Asian wide characters take two, combining marks none."""
    if text.isascii() or text.translate(_PLAIN).isascii():  # without our own signs, each of which takes one
        return len(text)
    import unicodedata

    odd = {char for char in set(text) if char > "\x7f"}  # few, however long the text is
    wide = sum(text.count(char) for char in odd if unicodedata.east_asian_width(char) in "WF")
    return len(text) + wide - sum(text.count(char) for char in odd if unicodedata.combining(char))


def visible(text: str, keep: str = "") -> str:
    """Control and formatting characters escaped, so that no name from a file can move the cursor or hide."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def shape(sizes: Iterable[int]) -> str:
    """``64 × 8``; a scalar is ``scalar``."""
    return " × ".join(str(size) for size in sizes) or "scalar"


def size(count: int) -> str:
    """Bytes for people: ``12.3 kB``."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def count(number: int, what: str, many: str | None = None) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"
