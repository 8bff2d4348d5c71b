"""What must be explained, and what must not: laws over the tables, and texts as people paste them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pasted import VARIATIONS, Text, texts
from together import together

from gatewise.symptoms import Symptom, explain, symptoms

ROWS = symptoms()
BY_CODE = {row.code: row for row in ROWS}
ONLY_SUGGESTED = {row.code for row in ROWS if not row.says and not row.asks}
FILLED = {
    "class": "LSTM", "rnn": "GRU", "name": "encoder.rnn", "n": "3", "any": " some words ", "shape": "[4, 5]", "x": "21", "2x": "42",
}  # fmt: skip


def family(row: Symptom) -> str:
    return f"{row.family}xx"


def first(text: str) -> str:
    found = explain(text)
    return found.matches[0].symptom.code if found.matches else "nothing"


def same(code: str, other: str) -> bool:
    return code == other or code in BY_CODE[other].related or other in BY_CODE[code].related


def filled(phrase: str) -> str:
    """A text that the phrase describes."""
    text = re.sub(r"\{([^}]*)\}", lambda gap: FILLED[gap[1]] if gap[1] in FILLED else gap[1].split("|")[0], phrase)
    return text.replace("<", "").replace(">", "")


def explained_by(phrase: str, text: str) -> bool:
    from gatewise.symptoms._phrase import found, squeezed

    return found(phrase, squeezed(text), words=False)


PHRASES = [(row, phrase) for row in ROWS for phrase in row.says if not phrase.startswith("<[keys:")]
QUESTIONS = [row for row in ROWS if row.asks]
LINES = [pytest.param(text, id=str(text)) for text in texts("cases.txt")]


@together("row", ROWS, of=family, said=lambda row: row.code)
def test_its_own_title_is_explained(row: Symptom) -> None:
    found = explain(row.title)
    assert found.matches[0].symptom is row
    assert found.sure or row.code in ONLY_SUGGESTED


@together("row", ROWS, of=family, said=lambda row: row.code)
def test_its_code_is_explained(row: Symptom) -> None:
    assert explain(f" {row.code.lower()}\n").answer is row


@together("row, phrase", PHRASES, of=lambda case: family(case[0]), said=lambda case: f"{case[0].code} {case[1][:60]}")
def test_each_phrase_alone_is_explained(row: Symptom, phrase: str) -> None:
    text = f"RuntimeError: {filled(phrase)}" + (f"\nin {row.needs[0]}" if row.needs else "")
    found = explain(text)
    assert same(row.code, found.matches[0].symptom.code), found.matches
    assert found.sure


@together("row, phrase", PHRASES, of=lambda case: family(case[0]), said=lambda case: f"{case[0].code} {case[1][:60]}")
def test_each_phrase_without_its_distinctive_words_is_not(row: Symptom, phrase: str) -> None:
    """The near miss of each phrase: the same sentence about something else."""
    from gatewise.symptoms._phrase import _pieces

    distinctive = next(piece.literal for piece in _pieces(phrase) if piece.anchor)
    text = filled(phrase).replace(distinctive, " quux flibber ", 1)
    if any(explained_by(other, text) for other in row.says if other != phrase):
        return  # the sentence holds two phrases of the entry
    found = explain(f"RuntimeError: {text}")
    assert not (found.sure and found.matches[0].symptom is row), found.matches


@pytest.mark.slow
@pytest.mark.parametrize("variation", VARIATIONS.values(), ids=VARIATIONS)
@together("row", [row for row in ROWS if row.says], of=family, said=lambda row: row.code)
def test_a_pasted_error_survives_what_people_do_to_it(row: Symptom, variation: Callable[[str], str]) -> None:
    phrase = next((phrase for phrase in row.says if not phrase.startswith("<[keys:")), None)
    if phrase is None:
        return  # its text is a list of keys: see cases.txt
    text = f"RuntimeError: {filled(phrase)}" + (f"\nin {row.needs[0]}" if row.needs else "")
    found = explain(variation(text))
    assert same(row.code, found.matches[0].symptom.code)
    assert found.sure


@together("row", QUESTIONS, of=family, said=lambda row: row.code)
def test_a_question_about_another_field_is_not_answered(row: Symptom) -> None:
    """Each question with its technical words replaced by everyday ones."""
    text = re.sub(r"\w*[A-Z_.\d]\w*|\b(?:gate|bias|weight|layer|kernel)\w*", "garden", row.title)
    assert not explain(f"{text} of my garden").sure


@pytest.mark.parametrize("text", LINES)
def test_a_text_of_the_data_file(text: Text) -> None:
    found = explain(text.text)
    if text.codes:
        assert found.matches, "something"
        assert found.matches[0].symptom.code in text.codes
        assert found.sure
    else:
        assert not found.sure, found.matches


OTHER_CLASSES = ("GRU", "RNN", "RNNBase", "MyLSTM", "WeightDropLSTM", "BiGRUEncoder", "ScriptModule")


@pytest.mark.parametrize("name", OTHER_CLASSES)
@pytest.mark.parametrize("attribute", ["_flat_weights_names", "_flat_weights", "proj_size"])
def test_the_class_may_have_any_name(name: str, attribute: str) -> None:
    codes = {"_flat_weights_names": ("GW104",), "_flat_weights": ("GW105", "GW106"), "proj_size": ("GW107",)}[attribute]
    found = explain(f"AttributeError: '{name}' object has no attribute '{attribute}'")
    assert found.matches[0].symptom.code in codes
    assert found.sure


@pytest.mark.parametrize("end", [28, 33, 38])
def test_a_text_that_was_cut_off_leads_to_the_family(end: int) -> None:
    text = "AttributeError: " + "'LSTM' object has no attribute '_flat_weights_names'"[: end + 18]
    assert first(f"{text}…") in ("GW104", "GW105", "GW106")


def test_a_text_cut_before_its_distinctive_words_is_not_sure() -> None:
    assert not explain("AttributeError: 'LSTM' object has no attribute '_…").sure


OLD = "AttributeError: 'LSTM' object has no attribute '_flat_weights'"
OTHER = "KeyError: 'hidden'"
DURING = (
    "\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
)
CAUSE = (
    "\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n"
)


def test_the_last_exception_decides() -> None:
    assert first(f"{OTHER}{DURING}{OLD}") == "GW105"
    assert not explain(f"{OLD}{DURING}{OTHER}").sure
    assert first(f"{OLD}{DURING}{OTHER}") in ("GW105", "GW106"), "told as something near"


def test_an_exception_that_names_its_cause_is_explained_by_it() -> None:
    assert explain(f"{OLD}{CAUSE}RuntimeError: could not load the tagger").answer is BY_CODE["GW105"]


def test_a_wrapper_does_not_decide() -> None:
    text = f"{OLD}{DURING}subprocess.CalledProcessError: Command 'python a.py' returned non-zero exit status 1."
    assert explain(text).answer is BY_CODE["GW105"]


def test_a_warning_does_not_explain_an_error() -> None:
    warning = "UserWarning: RNN module weights are not part of single contiguous chunk of memory."
    assert explain(warning).answer is BY_CODE["GW401"]
    assert not explain(f"{warning}\n{OTHER}").sure


def test_nothing_is_explained_by_nothing() -> None:
    for text in ("", "   \n", "42", "?", "'", "{}", "\x00\x01"):
        assert explain(text).as_dict() == {"matches": [], "sure": False}


def test_the_document_is_the_contract_s() -> None:
    document = explain(OLD).as_dict()
    assert document["sure"] is True
    assert set(document["matches"][0]) >= {"code", "title", "cause", "fix", "versions", "sources", "confidence"}
    assert all(0 <= match["confidence"] <= 1 for match in document["matches"])
    assert document["matches"] == sorted(document["matches"], key=lambda match: -match["confidence"])


def test_the_shop_window_has_it() -> None:
    import gatewise as gw

    assert gw.explain(OLD).sure
