"""Writes the page of symptoms from the tables: each error's own words as a heading, its cause, fix, versions and sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewise.symptoms import Symptom


def page() -> str:
    """The table of contents, then every entry, family by family."""
    from gatewise.symptoms import FAMILIES, symptoms

    families = [(family, list(rows)) for family, rows in groupby(symptoms(), key=lambda row: row.family)]
    lines = [f"{len(symptoms())} entries:", ""]
    lines += [f"* [{FAMILIES[family]}](#{family.lower()}) ({len(rows)})" for family, rows in families]
    for family, rows in families:
        lines += ["", f'<a id="{family.lower()}"></a>', "", f"## {FAMILIES[family]}", ""]
        lines += [f"* [{_heading(row)}](#{row.code.lower()})" for row in rows]
        for row in rows:
            lines += ["", *_entry(row)]
    return "\n".join(lines) + "\n"


def _entry(row: Symptom) -> Iterator[str]:
    yield from (f'<a id="{row.code.lower()}"></a>', "", f"### {_heading(row)}", "")
    yield f"`{row.code}` · **Versions.** {_prose(row.versions)}"
    yield from ("", f"**Cause.** {_prose(row.cause)}", "", "**Fix.**")
    for code, lines in row.steps:
        yield ""
        if code:
            yield from (f"```{'sh' if lines[0].startswith('gatewise ') else 'py'}", *lines, "```")
        else:
            yield _prose(" ".join(lines))
    if row.known:
        yield from ("", f"*{_prose(row.known)}*")
    if row.threads:
        links = (f"[{thread}]({source})" for thread, source in zip(row.threads, row.sources, strict=True))
        yield from ("", f"Sources: {', '.join(links)}")


def _heading(row: Symptom) -> str:
    """What a program prints is code; what people ask is a sentence."""
    if not row.says:
        return _prose(row.title)
    return f"`` {row.title} ``" if "`" in row.title else f"`{row.title}`"


def _prose(text: str) -> str:
    """The text with what Markdown would take for markup escaped, except between backticks."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([_<>\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
