"""The tables keep their own rules: codes, families, sources, words."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from together import together

from gatewise.cli._command import command_names
from gatewise.symptoms import FAMILIES, Symptom, symptoms
from gatewise.symptoms import _symptom as rules

HERE = Path(__file__).resolve().parent
ROWS = symptoms()
CODES = {row.code for row in ROWS}
SOURCES = frozenset(
    (HERE / "sources.txt").read_text().split()
)  # every thread of the collection that the tables were made from
COLLECTED: dict[str, str] = json.loads((HERE / "rows.json").read_text())  # its rows, and the entry that answers each
COMING = {"doctor", "repair"}  # being built
every_row = together("row", ROWS, of=lambda row: f"{row.family}xx", said=lambda row: row.code)


def test_codes_are_given_once() -> None:
    assert [code for code, count in Counter(row.code for row in ROWS).items() if count > 1] == []


@every_row
def test_a_code_belongs_to_a_family_that_is_documented(row: Symptom) -> None:
    assert re.fullmatch(r"GW[1-7]\d\d", row.code)
    assert row.family in FAMILIES
    assert f"{row.family}xx" in (rules.__doc__ or "")


@every_row
def test_a_row_tells_cause_fix_and_versions(row: Symptom) -> None:
    for told in (row.title, row.cause, row.fix, row.versions):
        assert told.strip() == told or told is row.fix
        assert told.strip()
    assert row.cause.endswith((".", ")")), "a sentence"
    assert row.says or row.suggests or row.asks, "something to be known by"
    assert row.threads or row.tried, "a source, or a trial"


@every_row
def test_every_source_is_one_that_was_collected(row: Symptom) -> None:
    assert set(row.sources) <= SOURCES
    assert len(set(row.threads)) == len(row.threads)


@every_row
def test_a_phrase_marks_its_distinctive_words_once(row: Symptom) -> None:
    for phrase in (*row.says, *row.suggests, *row.needs, *row.hints, *row.unless):
        assert (phrase.count("<"), phrase.count(">")) in ((0, 0), (1, 1)), phrase
        assert phrase.count("{") == phrase.count("}"), phrase


@every_row
def test_related_codes_exist(row: Symptom) -> None:
    assert set(row.related) <= CODES


@every_row
def test_other_entries_named_in_the_text_exist(row: Symptom) -> None:
    named = set(re.findall(r"GW\d\d\d", row.cause + row.fix + row.versions))
    assert named <= CODES


@every_row
def test_commands_of_ours_that_a_fix_names_exist(row: Symptom) -> None:
    named = set(re.findall(r"gatewise ([a-z]+) ", row.fix.replace("import gatewise as", "")))
    assert named <= {*command_names(), *COMING}


@every_row
def test_nobody_is_told_to_mend_after_loading_what_torch_2_does_not_load(row: Symptom) -> None:
    if "_flat_weights" not in row.title or not row.says:
        return
    if "module._flat_weights_names = " in row.fix:
        assert "1.4 to 1.13" in row.fix + row.versions
    if "raised in torch.load" in row.title:
        assert "module._flat_weights_names = " not in row.fix


def test_every_row_of_the_collection_has_an_entry() -> None:
    assert {name: code for name, code in COLLECTED.items() if code not in CODES} == {}


def test_every_code_that_the_doctor_prints_can_be_explained() -> None:
    """``gatewise explain GW701`` of a finding: ``explain`` and ``doctor`` share their codes."""
    from gatewise.ailments import ailments

    printed = {code: ailment.name for ailment in ailments() for code in ailment.codes}
    assert {code: name for code, name in printed.items() if code not in CODES} == {}
    assert len(printed) > 50


def test_the_sources_say_what_a_thread_is() -> None:
    row = Symptom("GW199", "t", "c.", "f", "v", threads=("a/b#1", "discuss.pytorch.org/t/1"))
    assert row.sources == ("https://github.com/a/b/issues/1", "https://discuss.pytorch.org/t/1")


def test_a_fix_is_tidied_whatever_its_indentation() -> None:
    fix = "\n        One\n        sentence.\n\n            code()\n\n            more(\n                deep)\n\nAnother.\n\n    shared()\n"
    row = Symptom("GW199", "t", "c.", fix, "v")
    assert row.fix == "One sentence.\n\n    code()\n\n    more(\n        deep)\n\nAnother.\n\n    shared()"
    assert row.steps == [
        (False, ["One sentence."]), (True, ["code()", "", "more(", "    deep)"]), (False, ["Another."]), (True, ["shared()"]),
    ]  # fmt: skip


@every_row
def test_python_in_a_fix_is_python(row: Symptom) -> None:
    for code, lines in row.steps:
        text = "\n".join(lines)
        if code and not re.match(r"gatewise |\w+ *\(FILE|i, f|pre = ", text) and "gatewise " not in text:
            compile(text, row.code, "exec")
