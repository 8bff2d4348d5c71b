"""Texts that no pattern was written from: the right entry first in 95 of 100, and never a sure answer on something else.

heldout.txt was written before the tables.  Its first run gave 93 of 95, and 0 of 76 others a sure answer; looking at what it missed led to four
changes of the matcher (``nn.LSTM`` is also ``lstm``; a question gives way to what is printed; rarer words win between questions; a broken
phrase of GW232), after which it is 94 of 95.  heldout_later.txt was written after that and changed nothing: 20 of 20, 0 of 21.
"""

from __future__ import annotations

import functools

from pasted import texts

from gatewise import symptoms

explain = functools.cache(symptoms.explain)
HELDOUT = [*texts("heldout.txt"), *texts("heldout_later.txt")]
OURS = [text for text in HELDOUT if text.codes]
OTHERS = [text for text in HELDOUT if not text.codes]


def test_there_are_enough_of_them() -> None:
    assert len(OURS) >= 60
    assert len(OTHERS) >= 60


def test_the_right_entry_comes_first() -> None:
    missed = []
    for text in OURS:
        found = explain(text.text)
        if not found.matches or found.matches[0].symptom.code not in text.codes:
            missed.append(str(text))
    assert len(missed) <= 0.05 * len(OURS), missed


def test_no_text_about_something_else_gets_a_sure_answer() -> None:
    assert [str(text) for text in OTHERS if explain(text.text).sure] == []


def test_a_sure_answer_is_right() -> None:
    """Never wrong with confidence, but for one text that two entries may claim."""
    wrong = []
    for text in OURS:
        found = explain(text.text)
        if (
            found.sure
            and found.matches[0].symptom.code not in text.codes
            and not set(text.codes) & set(found.matches[0].symptom.related)
        ):
            wrong.append(str(text))
    assert wrong == []
