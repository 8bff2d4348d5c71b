"""Reads the data files of texts, and makes of one text what terminals, loggers and people make of it."""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Text:
    """A text of a data file: the codes that may come first (none: no sure answer), and where it is from."""

    codes: tuple[str, ...]
    origin: str
    text: str

    def __str__(self) -> str:
        return f"{' or '.join(self.codes) or 'none'}: {self.origin}"


def texts(name: str) -> list[Text]:
    """The blocks of a data file, each begun by ``@@@ CODES | where it is from``."""
    found = []
    for block in (HERE / name).read_text(encoding="utf-8").split("\n@@@ ")[1:]:
        head, _, text = block.partition("\n")
        codes, _, origin = head.partition(" | ")
        found.append(Text(tuple(code for code in codes.split() if code != "none"), origin, text))
    return found


PREFIX = "2024-03-05 12:34:56,789 ERROR    "
LOG = "\n".join(f"Epoch {n}/50  loss: {1 / (n + 1):.4f}  lr: 1e-3  batch 32  [{'=' * (n % 20)}>]" for n in range(60))
CODE = 'Traceback (most recent call last):\n  File "train.py", line 41, in <module>\n    main(args)\n'
VARIATIONS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "wrapped at 80 columns in the middle of words": lambda text: "\n".join(
        line[at : at + 80] for line in text.split("\n") for at in range(0, max(len(line), 1), 80)
    ),
    "wrapped at 100 columns and indented": lambda text: "\n".join(
        textwrap.fill(line, 100, subsequent_indent="    ", break_on_hyphens=False) for line in text.split("\n")
    ),
    "wrapped at 40 columns in the middle of words, indented": lambda text: "\n".join(
        ("        " if at else "") + line[at : at + 40]
        for line in text.split("\n")
        for at in range(0, max(len(line), 1), 40)
    ),
    "in colours": lambda text: "\n".join(f"\x1b[31m\x1b[1m{line}\x1b[0m" for line in text.split("\n")),
    "each line with a time stamp": lambda text: "\n".join(PREFIX + line for line in text.split("\n")),
    "each line as docker and kubectl print it": lambda text: "\n".join(
        f"2024-03-05T12:34:56.789012345Z {line}" for line in text.split("\n")
    ),
    "with curly quotes": lambda text: text.replace("'", "’").replace('"', "”"),
    "with backticks": lambda text: text.replace("'", "`"),
    "as HTML": lambda text: f"<pre><code>{html.escape(text)}</code></pre>",
    "as JSON": lambda text: json.dumps({"level": "error", "exc_info": text}),
    "in a Markdown fence": lambda text: f"I get this:\n\n```python\n{text}\n```\n\nAny ideas? Thanks!",
    "quoted in a mail": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "as pytest prints it": lambda text: "\n".join(f"E       {line}" for line in text.split("\n")),
    "at the end of a log": lambda text: f"{LOG}\n{text}",
    "at the end of a traceback": lambda text: f"{CODE}{text}",
    "with Windows' line ends": lambda text: text.replace("\n", "\r\n"),
    "on one line": lambda text: " ".join(text.split()),
    "in capitals": lambda text: text.upper(),
}
