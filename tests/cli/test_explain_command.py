"""``gatewise explain``: where the text comes from, what is printed, how it exits."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_fakes import Ran

Run = Callable[..., Ran]
ERROR = "'LSTM' object has no attribute '_flat_weights_names'"
UNKNOWN = "AttributeError: 'LSTM' object has no attribute 'foo'"


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes, terminal: bool = False) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: terminal))


def test_what_is_sure_is_told_whole(gatewise: Run) -> None:
    ran = gatewise("explain", ERROR)
    assert (ran.code, ran.err) == (0, "")
    for told in (
        "GW104",
        "\ncause\n",
        "\nfix\n",
        "\nversions\n",
        "\nsources\n",
        "https://github.com/flairNLP/flair/issues/1360",
    ):
        assert told in ran.out


def test_commands_and_code_can_be_copied(gatewise: Run) -> None:
    lines = gatewise("explain", ERROR, width=60).out.splitlines()
    assert "    gatewise repair OLD.pt -o NEW.pt --as state-dict   # loads with weights_only=True" in lines, (
        "never wrapped"
    )
    assert '        model = torch.load("OLD.pt", weights_only=False)' in lines
    assert all(len(line) <= 60 for line in lines if not line.startswith("    ") and "https://" not in line)


def test_what_is_not_sure_exits_with_one_and_names_the_nearest(gatewise: Run) -> None:
    ran = gatewise("explain", UNKNOWN)
    assert ran.code == 1
    assert ran.out.startswith("Not sure what this is.")
    assert "gatewise explain GW" in ran.out
    assert "cause" not in ran.out, "no cause is invented"


def test_what_is_of_another_field_gets_no_entry(gatewise: Run) -> None:
    ran = gatewise("explain", "KeyError: 'x'")
    assert ran.code == 1
    assert "not a symptom that gatewise knows" in ran.out
    assert gatewise("explain", "KeyError: 'x'", "--json").json == {"matches": [], "sure": False}


def test_what_is_unknown_is_told_within_the_terminals_width(gatewise: Run) -> None:
    assert max(map(len, gatewise("explain", "KeyError: 'x'", width=60).out.splitlines())) <= 60


def test_words_need_no_quotes(gatewise: Run) -> None:
    assert "GW107" in gatewise("explain", "LSTM", "object", "has", "no", "attribute", "proj_size").out


def test_a_code_is_told(gatewise: Run) -> None:
    ran = gatewise("explain", "gw401")
    assert ran.code == 0
    assert ran.out.startswith("GW401")


@pytest.mark.parametrize("words", [["-"], []], ids=["-", "nothing"])
def test_what_is_piped_in_is_read(gatewise: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    pipe(monkeypatch, f"epoch 1\nAttributeError: {ERROR}\n".encode())
    assert gatewise("explain", *words, "--json").json["matches"][0]["code"] == "GW104"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_any_encoding_is_read(gatewise: Run, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    pipe(monkeypatch, f"C:\\Users\\Jürgen> python a.py\r\nAttributeError: {ERROR}\r\n".encode(encoding))
    assert gatewise("explain", "-").code == 0


def test_a_line_without_an_end_is_read(gatewise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"#" * 5_000_000 + f"\n{ERROR}".encode())
    assert gatewise("explain", "-").code == 0


def test_at_a_terminal_nothing_is_waited_for(gatewise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"", terminal=True)
    ran = gatewise("explain")
    assert (ran.code, ran.out) == (2, "")
    assert (
        ran.err
        == "gatewise: explain: there is nothing to explain. Paste the error in quotes, or pipe it in (... 2>&1 | gatewise explain -).\n"
    )


def test_the_name_of_a_log_reads_the_log(gatewise: Run, tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(f"epoch 1\nAttributeError: {ERROR}\n")
    assert gatewise("explain", str(path)).code == 0


def test_a_checkpoint_is_not_explained(gatewise: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK\x03\x04\0\0\0\0")
    ran = gatewise("explain", str(path))
    assert ran.code == 2
    assert f"gatewise inspect {path}" in ran.err


def test_a_pasted_escape_is_not_printed(gatewise: Run) -> None:
    assert "\x1b" not in gatewise("explain", f"\x1b[31m{UNKNOWN}\x1b[0m").out
