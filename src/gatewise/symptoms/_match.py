"""How sure an entry is, and the best first.  Never wrong with confidence: what only resembles stays far below *sure*.

An entry's own words in the error that decides are nearly the whole of its confidence; words elsewhere support it.  In a
text that failed with another error, a match elsewhere is only told as something near.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ._phrase import anchor, cut, found, worded
from ._symptom import AHEAD, SURE, Explanation, Match, Symptom, tables
from ._text import Part, Pasted, pasted

SAYS, SUGGESTS, ASKS, RARE = 0.92, 0.55, 0.85, 0.08
AHEAD_OF_QUESTIONS = 0.02  # full marks for two questions: the rarer words win
TYPED = 0.97  # times: typed in without its quotes
ELSEWHERE = 0.55  # times: not in what decides
HINT, HINTS = 0.02, 3  # for each of so many hints, where the entry's own words stand
WEAK_HINT, WEAK_MOST = 0.1, 0.84  # for each hint, where they only suggest it; never sure by hints alone
LONG_QUESTION, LONG_TEXT = 60, 150  # words
SHOWN, LEAST, NEAR = 5, 0.25, 0.3
COMMON = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "has",
        "have",
        "how",
        "i",
        "in",
        "into",
        "is",
        "it",
        "its",
        "my",
        "no",
        "not",
        "object",
        "of",
        "on",
        "or",
        "so",
        "that",
        "the",
        "this",
        "to",
        "was",
        "what",
        "when",
        "which",
        "why",
        "with",
        "you",
        "file",
        "error",
        "model",
        "layer",
        "load",
        "loading",
        "use",
        "using",
        "torch",
        "keras",
        "tensorflow",
        "pytorch",
    ]
)
FIELD = (
    "lstm",
    "gru",
    "rnn",
    "recurrent",
    "weight_ih",
    "weight_hh",
    "state_dict",
    "cudnn",
    "reset_after",
    "flat_weights",
)


def explained(text: str) -> Explanation:
    """The explanation of a text that fits in memory.  A code of ours is explained by its own entry."""
    known = {row.code: row for row in tables()}.get(text.strip().upper())
    if known:
        return Explanation((Match(known, 1.0),), sure=True)
    whole = pasted(text)
    if not whole.squeezed:
        return Explanation()
    said = {row.code: _printed(row, whole) for row in tables()}
    damp = (
        ELSEWHERE if whole.printed or max(said.values()) >= SURE else 1.0
    )  # what is printed comes before what is asked
    asked = {row.code: damp * _asked(row, whole) if row.asks else 0.0 for row in tables()}
    scores = {code: max(said[code], asked[code]) for code in said}
    ranked = sorted((row for row in tables() if scores[row.code] >= LEAST), key=lambda row: -scores[row.code])
    if not ranked:
        return Explanation(tuple(_nearest(whole)))
    best = ranked[0]
    ahead = AHEAD if said[best.code] >= asked[best.code] else AHEAD_OF_QUESTIONS
    rivals = [row for row in ranked[1:] if scores[row.code] > scores[best.code] - ahead and not _same(best, row)]
    sure = scores[best.code] >= SURE and not rivals
    shown = [row for row in ranked if not sure or row is best or scores[row.code] >= scores[best.code] / 2][:SHOWN]
    return Explanation(tuple(Match(row, round(scores[row.code], 2)) for row in shown), sure)


def _same(one: Symptom, other: Symptom) -> bool:
    return one.code in other.related or other.code in one.related


def _printed(row: Symptom, whole: Pasted) -> float:
    """How likely it is by what is printed."""
    if any(_occurs(word, whole) for word in row.unless):
        return 0.0
    hints = sum(_occurs(word, whole) for word in row.hints)
    strong = row.says if not row.needs or any(_occurs(word, whole) for word in row.needs) else ()
    weak = row.suggests if strong or not row.needs else (*row.says, *row.suggests)
    hints += bool(strong and row.needs)
    certain = min(SAYS + HINT * min(hints, HINTS), 0.98) * _said(strong, whole)
    likely = min(SUGGESTS + WEAK_HINT * hints, WEAK_MOST) * _said(weak, whole)
    return max(certain, likely)


def _said(phrases: tuple[str, ...], whole: Pasted) -> float:
    """The best factor with which one of the phrases occurs: 1 in what decides, less elsewhere, when typed or cut off."""
    return max((_factor(phrase, whole) for phrase in phrases), default=0.0)


def _factor(phrase: str, whole: Pasted) -> float:
    if anchor(phrase, words=False) not in whole.squeezed and anchor(phrase, words=True) not in whole.worded:
        last = whole.decides[0] if whole.failed else whole.decides[-1]
        share = cut(phrase, last.squeezed)
        return 0.6 + 0.4 * share if share else 0.0
    if whole.failed:
        here = max((_in(phrase, part) for part in whole.decides), default=0.0)
        return here or ELSEWHERE * max((_in(phrase, part) for part in whole.parts), default=0.0)
    if found(phrase, whole.squeezed, words=False):
        return 1.0
    return TYPED if found(phrase, whole.worded, words=True) else 0.0


def _in(phrase: str, part: Part) -> float:
    if found(phrase, part.squeezed, words=False):
        return 1.0
    return TYPED if found(phrase, part.worded, words=True) else 0.0


def _occurs(word: str, whole: Pasted) -> bool:
    """Whether a word, or a phrase, stands anywhere in the text."""
    return found(word, whole.squeezed, words=False)


def _asked(row: Symptom, whole: Pasted) -> float:
    """A question: all of its groups of words in a short text, the better the rarer the rarest of them is in the tables."""
    if any(_occurs(word, whole) for word in row.unless):
        return 0.0
    best = 0.0
    for question in row.asks:
        groups = question.split()
        hits = [_first(group, whole.asked) for group in groups]
        share = sum(hit != "" for hit in hits) / len(groups)
        if share == 1.0:
            best = max(best, ASKS + RARE * max(1 / _rows_that_ask(hit) for hit in hits))
        elif share >= 0.6:
            best = max(best, 0.5 * share)
    words = whole.worded.count(" ")
    return best * (1.0 if words <= LONG_QUESTION else 0.9 if words <= LONG_TEXT else 0.5)


def _first(group: str, text: str) -> str:
    """The first of a group's words that the text has; each stands for all words that begin with it."""
    return next((word for word in group.split("|") if f" {word.replace('~', ' ')}" in text), "")


@cache
def _rows_that_ask(word: str) -> int:
    return sum(any(word in group.split("|") for question in row.asks for group in question.split()) for row in tables())


def _nearest(whole: Pasted) -> Iterator[Match]:
    """Entries that share words with a text of this field.  Of another field: none."""
    decisive = " ".join(part.worded for part in whole.decides)
    if not any(word in decisive for word in FIELD):
        return
    words = set(decisive.split()) - COMMON
    shares = {row.code: _share(words, row) for row in tables()}
    for row in sorted(tables(), key=lambda row: -shares[row.code])[:3]:
        if shares[row.code] >= NEAR:
            yield Match(row, round(0.3 * shares[row.code], 2))


def _share(words: set[str], row: Symptom) -> float:
    own = set(worded(row.title).split()) - COMMON
    return len(own & words) / len(own) if own else 0.0
