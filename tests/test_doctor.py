"""The doctor's own words: versions, targets, the command line, and that findings have codes that are documented."""

import json
from pathlib import Path

import pytest

from gatewise.ailments import SEVERITIES, Target, ailments
from gatewise.ailments._versions import contains, matters
from gatewise.cli import main
from gatewise.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures" / "torch"


@pytest.mark.parametrize(("specifier", "version", "inside"), [
    ("", (1, 0), True), (">=1.4,<2.0", (1, 13), True), (">=1.4,<2.0", (2, 0), False), (">=1.4,<2.0", (1, 3, 1), False),
    ("==1.8.*", (1, 8, 1), True), ("==1.8", (1, 8, 1), True), ("==1.8", (1, 9), False), (">=2.0", (), True),
    ("<2.0", (), False), ("!=2.3", (2, 3), False), (">=2", (2, 13, 0), True), ("<=1.10", (1, 9), True),
])  # fmt: skip
def test_versions_are_compared_as_numbers(specifier, version, inside):
    assert contains(specifier, version) is inside


def test_what_affects_another_framework_does_not_matter():
    assert not matters("keras>=3", Target("torch", (2, 13)))
    assert matters("", Target("torch"))


@pytest.mark.parametrize(("text", "shown"), [
    ("torch==2.13", "torch==2.13"), ("torch==2.13.0+cpu", "torch==2.13.0"), ("keras==3", "keras==3"), ("torch", "torch"),
])  # fmt: skip
def test_a_target_is_a_framework_and_a_version(text, shown):
    assert str(Target.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "jax==0.4", "torch==new", "2.13", "torch>=2"])
def test_another_target_is_refused(text):
    with pytest.raises(UsageError, match=r"torch==2\.13"):
        Target.parse(text)


def test_every_ailment_documents_its_codes():
    for ailment in ailments():
        assert ailment.codes, ailment.name
        assert all(
            code.startswith("GW") and len(code) == 5 and meaning.endswith(".")
            for code, meaning in ailment.codes.items()
        )


def test_the_exit_code_says_whether_anything_is_worse_than_a_note(capsys):
    assert main(["doctor", str(FIXTURES / "1.3.1/gru_bf.module.pt")]) == 1
    assert main(["doctor", str(FIXTURES / "2.13.0/gru_bf.module.pt")]) == 0
    assert main(["doctor", str(FIXTURES / "2.13.0/rnn_tanh.state.pt")]) == 0
    assert main(["doctor", str(FIXTURES / "nothing.pt")]) == 2
    capsys.readouterr()


def test_the_contract_of_the_json(capsys):
    main(["doctor", str(FIXTURES / "1.0.1/lstm_bi2.module.pt"), "--json", "--for", "torch==2.13"])
    document = json.loads(capsys.readouterr().out)
    assert {"path", "findings"} <= document.keys()
    for finding in document["findings"]:
        assert {"code", "severity", "where", "what", "why", "remedy", "affects"} <= finding.keys()
        assert finding["severity"] in SEVERITIES
    assert document["prediction"]["stage"] == "load"
    assert document["prediction"]["error"] == "AttributeError: 'LSTM' object has no attribute '_flat_weights'"
    assert document["fix"].endswith("--as module")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    main(["doctor", str(FIXTURES / "1.0.1/lstm_bi2.module.pt")])
    lines = capsys.readouterr().out.splitlines()
    prose = [line for line in lines if not line.startswith("fix:") and str(FIXTURES) not in line]
    assert max(map(len, prose)) <= width
    assert "\033" not in "".join(lines)


def test_ranges_that_end_alike_are_one_line(capsys):
    main(["doctor", str(FIXTURES / "1.3.1/lstm_bi2.module.pt")])
    text = capsys.readouterr().out
    assert "torch >=1.4,<1.8: loads, fails at the call" in text
    assert "ModuleAttributeError" not in text


def test_a_torch_finding_has_the_code_under_which_explain_knows_its_error():
    from gatewise.symptoms import symptoms

    known = {symptom.code for symptom in symptoms()} | {"GW612"}  # a class that is elsewhere is no error of its own
    assert {code for each in ailments() if each.name.startswith("torch_") for code in each.codes} <= known
