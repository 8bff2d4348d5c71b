"""What people paste: error text → cause → fix.  Answers with a known symptom, or says that it does not know.

    _symptom     what an entry of the tables is; the families of codes
    _phrase      the patterns: an error's own words with gaps, compiled when their anchor occurs in the text
    _text        pasted text made comparable: colours, quotes, log prefixes, wrapped lines; errors told apart from the rest
    _keys        the lists of a state dict's missing and unexpected keys, read for what they have in common
    _match       how sure an entry is, and the best first
    <family>.py  the knowledge: tables only, every row with its sources

The folder is walked: a file without a leading underscore that holds ``SYMPTOMS`` is a table, and nothing else needs to know.
This room imports no framework and reads no file: the text is all it has.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import UsageError
from ._symptom import FAMILIES, Explanation, Match, Symptom


def explain(text: str) -> Explanation:
    """The cause and fix of a pasted error, warning or question, or the nearest entries when it is not known for sure.

    ``text`` is whatever was pasted: a message, a whole traceback, a log.  Of a long log the errors, the warnings and
    the end are looked at.  Raises UsageError for what is no text.
    """
    from ._match import explained
    from ._text import digest

    if not isinstance(text, str):
        raise UsageError(f"{text!r:.60} is no text.", next="Give what was printed: gw.explain(str(error)).")
    return explained(digest(text))


def digest_lines(lines: Iterable[str]) -> str:
    """What tells in any number of lines, read once, in bounded memory: for logs that do not fit."""
    from ._text import digest_lines

    return digest_lines(lines)


def symptoms() -> tuple[Symptom, ...]:
    """Every known symptom, ordered by code."""
    from ._symptom import tables

    return tables()


__all__ = ["FAMILIES", "Explanation", "Match", "Symptom", "digest_lines", "explain", "symptoms"]
