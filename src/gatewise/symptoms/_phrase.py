"""The patterns: an error's own words with gaps.  A phrase is read like the message it matches.

    '{class}' object has no attribute '_flat_weights_names'

    {class}       one name               {name}     a dotted or slashed name
    {rnn}         a name with lstm, gru or rnn in it                 {a|b|c}    one of these
    {n}           a number               {x} {2x}   a number, and its double; {x} again is the same number
    {any}         up to 400 characters   {shape}    [4, 5] or (4, 5)
    <...>         the distinctive words: of a text that was cut off, at least half of them must be there

Upper and lower case are the same.  A text is compared in two forms (see _text.Form): *squeezed*, without any white space,
which undoes every wrapping; and *worded*, without quotes, for those who type the message in.  A phrase is
compiled only when its anchor, the distinctive words or else the longest literal, occurs in the text.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

GAPS = {
    "class": r"\w{1,80}?",
    "name": r"[\w.:/-]{1,200}?",
    "rnn": r"\w{0,80}?(?:lstm|gru|rnn)\w{0,80}?",
    "n": r"\d+",
    "any": r".{0,400}?",
    "shape": r"[\[(][\d,x× ?none]*[\])]",
}
_PIECES = re.compile(r"\{([^}]*)\}|<([^>]*)>")
_QUOTES = str.maketrans(dict.fromkeys('"`´‘’“”«»‚„′″', "'"))
_STOPS = r"[.,;:!?)\]]+(?=\s|$)|(?<=\s)[(\[]"
_INNER_STOPS = r"[.,;:!?)\]]+(?=\s)|(?<=\s)[(\[]"  # of a piece, whose end is not the text's
SHORTEST = 6  # so many distinctive characters of a cut-off phrase at least


def squeezed(text: str) -> str:
    """Lower case, one kind of quote, no white space."""
    return "".join(text.translate(_QUOTES).split()).casefold()


def worded(text: str) -> str:
    """Lower case words between single spaces; no quotes, no punctuation at the ends of words."""
    plain = text.translate(_QUOTES).replace("'", " ").casefold()
    return f" {' '.join(re.sub(_STOPS, ' ', plain).split())} "


class Piece(NamedTuple):
    """A part of a phrase: a gap's name, or literal text."""

    gap: str
    literal: str
    anchor: bool


@cache
def _pieces(phrase: str) -> tuple[Piece, ...]:
    pieces, end = [], 0
    for match in _PIECES.finditer(phrase):
        pieces.append(Piece("", phrase[end : match.start()], False))
        pieces.append(Piece(match[1] or "", match[2] or "", match[2] is not None))
        end = match.end()
    pieces.append(Piece("", phrase[end:], False))
    found = [piece for piece in pieces if piece.gap or piece.literal]
    if not any(piece.anchor for piece in found):
        longest = max(range(len(found)), key=lambda index: len(found[index].literal))
        found[longest] = found[longest]._replace(anchor=True)
    return tuple(found)


@cache
def anchor(phrase: str, words: bool) -> str:
    """The words that a text must contain before the phrase is worth compiling."""
    literal = next(piece.literal for piece in _pieces(phrase) if piece.anchor)
    return worded(literal).strip() if words else squeezed(literal)


@cache
def _compiled(phrase: str, words: bool) -> re.Pattern[str]:
    return re.compile(_regex(_pieces(phrase), words), re.DOTALL)


def _regex(pieces: tuple[Piece, ...], words: bool) -> str:
    known: set[str] = set()
    parts = []
    for piece in pieces:
        parts.append(_gap(piece.gap, known) if piece.gap else _literal(piece.literal, words))
    return "".join(parts)


def _literal(text: str, words: bool) -> str:
    if not words:
        return re.escape(squeezed(text))
    plain = text.translate(_QUOTES).replace("'", " ").casefold()
    return re.escape(re.sub(r"\s+", " ", re.sub(_INNER_STOPS, " ", plain)))


def _gap(name: str, known: set[str]) -> str:
    if name in GAPS:
        return GAPS[name]
    if "|" in name:
        return f"(?:{'|'.join(re.escape(squeezed(each)) for each in name.split('|'))})"
    if name in known:
        return rf"(?P={name})(?!\d)"
    known.add(name)
    return rf"(?P<{'twice_' + name[1:] if name[0] == '2' else name}>\d+)"


def found(phrase: str, text: str, words: bool) -> bool:
    """Whether the phrase occurs in a text of that form."""
    if anchor(phrase, words) not in text:
        return False
    if not words and len(_pieces(phrase)) == 1:
        return True
    return any(_numbers_fit(match) for match in _compiled(phrase, words).finditer(text))


def _numbers_fit(match: re.Match[str]) -> bool:
    values = match.groupdict()
    return all(int(values[name]) == 2 * int(values[name[6:]]) for name in values if name.startswith("twice_"))


def cut(phrase: str, text: str) -> float:
    """How much of the distinctive words a squeezed text that breaks off within the phrase still has: 0, or 0.5 to 1."""
    pieces = _pieces(phrase)
    at = next(index for index, piece in enumerate(pieces) if piece.anchor)
    literal = squeezed(pieces[at].literal)
    for length in range(len(literal), max(SHORTEST, len(literal) // 2) - 1, -1):
        if text.endswith(literal[:length]):
            head = _regex(pieces[:at], words=False) + re.escape(literal[:length]) + "$"
            return length / len(literal) if re.search(head, text) else 0.0
    return 0.0
