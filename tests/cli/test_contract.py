"""What scripts rely on: exit codes, one JSON document and nothing else, refusals in one clear message."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_fakes import REFUSALS, Library, Ran, layer

from gatewise.cli._command import command, command_names

Run = Callable[..., Ran]
COMMANDS = {
    "inspect": ["inspect", "model.pt", "--gates"],
    "convert": ["convert", "model.pt", "-o", "out.keras", "--to", "keras.LSTM", "--code"],
    "verify": ["verify", "model.pt", "other.pt"],
    "diff": ["diff", "model.pt", "other.pt"],
    "flat": ["flat", "model.pt", "--order", "cudnn"],
    "layouts": ["layouts"],
    "layouts NAME": ["layouts", "torch.LSTM"],
    "formats": ["formats"],
    "doctor": ["doctor", "model.pt", "--for", "torch==2.13"],
    "repair": ["repair", "model.pt", "-o", "new.pt", "--as", "module"],
    "explain": ["explain", "'LSTM' object has no attribute '_flat_weights_names'"],
}


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_command_of_the_folder_is_tested_here() -> None:
    assert {name.split()[0] for name in COMMANDS} == set(command_names())


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_json_is_one_document_and_nothing_else(gatewise: Run, words: list[str]) -> None:
    ran = gatewise(*words, "--json")
    assert isinstance(ran.json, dict)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_text_goes_to_standard_output_without_colour_when_piped(gatewise: Run, words: list[str]) -> None:
    ran = gatewise(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("\n")
    assert "\033" not in ran.out


@pytest.mark.parametrize("name", command_names())
def test_help_shows_an_example_that_parses(gatewise: Run, name: str) -> None:
    ran = gatewise(name, "--help")
    found = command(name)
    assert ran.code == 0
    assert found.example in ran.out
    assert "--json" in ran.out
    assert found.example.split()[:2] == ["gatewise", name]
    assert gatewise(*shlex.split(found.example)[1:]).code == 0


def test_the_overview_names_every_command(gatewise: Run) -> None:
    for ran in (gatewise(), gatewise("--help"), gatewise("help")):
        assert ran.code == 0
        assert all(f"\n  {name}" in ran.out for name in command_names())


def test_what_helps_fits_the_usual_terminal(gatewise: Run) -> None:
    told = [gatewise("--help").out, *(gatewise(name, "--help").out for name in command_names())]
    assert [line for text in told for line in text.splitlines() if len(line) > 80] == []


def test_a_file_may_begin_with_a_dash(gatewise: Run, library: Library) -> None:
    gatewise("inspect", "--", "-model.pt")
    gatewise("inspect", "--json", "--", "-model.pt", "--gates.pt")
    assert [call[1][0] for call in library.calls] == ["-model.pt", "-model.pt", "--gates.pt"]


def test_help_can_be_asked_for_in_either_order(gatewise: Run) -> None:
    assert gatewise("help", "inspect") == gatewise("inspect", "--help")


def test_the_version_is_told(gatewise: Run) -> None:
    assert gatewise("--version").out == f"gatewise {__import__('gatewise').__version__}\n"


BAD_USAGE = {
    "an unknown command names the nearest": (["inspekt"], "gatewise: there is no command 'inspekt'. Did you mean inspect?\n"),
    "an unknown option names the nearest": (
        ["inspect", "model.pt", "--tensor"], "gatewise: inspect: unrecognized arguments: --tensor. Did you mean --tensors?\n",
    ),
    "a missing file is named": (
        ["inspect"],
        "gatewise: inspect: the following arguments are required: FILE. For example: gatewise inspect model.pt --gates. See `gatewise inspect --help`.\n",
    ),
    "a missing output is named": (
        ["convert", "a.pt"],
        "gatewise: convert: the following arguments are required: -o/--output. For example: gatewise convert model.pt -o model.keras --to keras.LSTM --code. See `gatewise convert --help`.\n",
    ),
    "a verification wants one other thing": (
        ["verify", "a.pt"],
        "gatewise: verify: wants one thing to compare with. Name a second file, or a run with --recorded IO.npz.\n",
    ),
    "a verification does not want two other things": (
        ["verify", "a.pt", "b.pt", "--recorded", "io.npz"],
        "gatewise: verify: wants one thing to compare with. Name a second file, or a run with --recorded IO.npz.\n",
    ),
    "an output cannot be piped": (
        ["convert", "a.pt", "-o", "-"], "gatewise: convert: a checkpoint is written to a file, not to a pipe. Name it: -o OUT.\n",
    ),
    "a vector is not piped": (
        ["flat", "a.pt", "-o", "-"], "gatewise: flat: vectors and checkpoints are files here, not pipes. Name the file.\n",
    ),
    "what is unpacked has to go somewhere": (
        ["flat", "a.pt", "--unpack", "v.npy"], "gatewise: flat: --unpack writes a new checkpoint. Name it: -o OUT.\n",
    ),
    "a vector is written whole": (
        ["flat", "a.pt", "-o", "v.npy", "--gate", "f"],
        "gatewise: flat: a vector is written whole. Leave out --role, --gate, --layer-index and --direction.\n",
    ),
    "an unknown layout names the nearest": (
        ["layouts", "torch.LTSM"], "gatewise: no layout is called 'torch.LTSM'. Did you mean torch.LSTM?\n",
    ),
    "only one file can be piped in": (
        ["diff", "-", "-"], "gatewise: -: only one file can be piped in. Name the other one by its path.\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("words", "told"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage(gatewise: Run, words: list[str], told: str) -> None:
    ran = gatewise(*words)
    assert (ran.code, ran.out, ran.err) == (2, "", told)
    ran = gatewise(*words, "--json")
    assert ran.code == 2
    assert set(ran.json["error"]) == {"type", "message", "path", "where", "next"}


@pytest.mark.parametrize(("error", "told"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_message(gatewise: Run, library: Library, error: Exception, told: str) -> None:
    library.raises = error
    assert gatewise("inspect", "model.pt") == Ran(2, "", told)
    ran = gatewise("inspect", "model.pt", "--json")
    assert (ran.code, ran.err) == (2, told)
    assert ran.json == {"error": error.as_dict()}  # type: ignore[attr-defined]


def test_what_nobody_foresaw_is_one_sentence_that_asks_to_report_it(gatewise: Run, library: Library) -> None:
    library.raises = KeyError("weight_ih_l0")
    ran = gatewise("inspect", "model.pt")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "KeyError: 'weight_ih_l0'" in ran.err
    assert "Please report it" in ran.err
    assert gatewise("inspect", "model.pt", "--json").json["error"]["type"] == "KeyError"


def test_the_traceback_is_shown_when_asked_for(
    gatewise: Run, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWISE_DEBUG", "1")
    library.raises = KeyError("x")
    assert "Traceback" in gatewise("inspect", "model.pt").err


def test_a_full_disk_is_a_refusal_not_a_fault(gatewise: Run, library: Library) -> None:
    library.raises = OSError(28, "No space left on device", "out.keras")
    ran = gatewise("convert", "model.pt", "-o", "out.keras")
    assert (ran.code, ran.err) == (2, "gatewise: out.keras: the system refused: no space left on device.\n")


def test_ctrl_c_is_quiet(gatewise: Run, library: Library) -> None:
    library.raises = KeyboardInterrupt()
    assert gatewise("convert", "model.pt", "-o", "out.keras") == Ran(130, "", "")


def test_a_name_in_an_error_cannot_move_the_cursor(gatewise: Run, library: Library) -> None:
    library.raises = REFUSALS["a broken file"][0].__class__("tensor \x1b[2J is cut.", path="model.pt")
    assert "\x1b" not in gatewise("inspect", "model.pt").err


def test_a_difference_exits_with_one(gatewise: Run, library: Library) -> None:
    library.proof.update(same=False, max_abs_error="nan")
    ran = gatewise("verify", "a.pt", "b.pt")
    assert ran.code == 1
    assert "different: max |Δ| = nan over" in ran.out
    ran = gatewise("verify", "a.pt", "b.pt", "--json")
    assert ran.code == 1
    assert ran.json["proof"]["max_abs_error"] == "nan"
    library.differences["same"] = False
    assert gatewise("diff", "a.pt", "b.pt").code == 1


def test_a_number_that_json_does_not_have_is_a_text(gatewise: Run, library: Library) -> None:
    library.differences = {
        "same": False,
        "rows": [{"max_abs": float("inf")}],
        "only_in_a": [],
        "only_in_b": [],
        "meaning": [],
    }
    assert gatewise("diff", "a.pt", "b.pt", "--json").json["rows"] == [{"max_abs": "inf"}]


def test_a_file_can_be_piped_in(gatewise: Run, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"bytes of a model")))
    ran = gatewise("inspect", "-", "--json")
    name, (path, content), _ = library.calls[0]
    assert (name, content) == ("open", b"bytes of a model")
    assert ran.json["path"] == "-"
    assert not Path(path).exists(), "the temporary file is gone"


def test_a_refusal_of_what_is_piped_in_names_no_temporary_file(gatewise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))

    def refuse(path: str) -> None:
        raise REFUSALS["a broken file"][0].__class__("the file is empty.", path=path)

    monkeypatch.setattr(sys.modules["gatewise.checkpoint"], "open", refuse)
    assert gatewise("inspect", "-").err.startswith("gatewise: -: the file is empty. ")


def test_only_the_dialect_options_that_were_given_reach_the_library(gatewise: Run, library: Library) -> None:
    gatewise("inspect", "model.pt")
    gatewise("verify", "a", "b", "--from", "mine.toml", "--forget-bias", "1", "--reset", "before", "--activation", "relu",
             "--recurrent-activation", "hard_sigmoid")  # fmt: skip
    assert library.calls[0][2] == {}
    assert library.calls[1][2] == {
        "recorded": None, "layer": None, "tolerance": 1e-6, "time_major": False, "verify": True, "layout": "mine.toml", "forget_bias": 1.0,
        "reset": "before", "activation": "relu", "recurrent_activation": "hard_sigmoid",
    }  # fmt: skip


def test_convert_hands_over_all_it_was_told(gatewise: Run, library: Library) -> None:
    gatewise("convert", "m.pt", "-o", "o.h5", "--to", "keras.LSTM", "--layer", "a", "--container", "weights-h5", "--dtype",
             "float16", "--no-verify", "--force", "--batch-first")  # fmt: skip
    assert library.calls == [
        ("convert", ("m.pt", "o.h5"), {"to": "keras.LSTM", "layer": "a", "container": "weights-h5", "dtype": "float16",
                                       "verify": False, "force": True, "batch_first": True})
    ]  # fmt: skip


def test_how_it_is_proved_is_handed_over_and_any_other_word_refused(gatewise: Run, library: Library) -> None:
    for words, said in (
        ([], True),
        (["--verify", "full"], "full"),
        (["--verify", "sample"], "sample"),
        (["--no-verify"], False),
    ):
        gatewise("convert", "m.pt", "-o", "o.h5", *words)
        assert library.calls.pop()[2]["verify"] == said
    for words in (["--verify", "all"], ["--verify", "full", "--no-verify"]):
        ran = gatewise("convert", "m.pt", "-o", "o.h5", *words)
        assert (ran.code, ran.err.count("\n"), "verify" in ran.err, library.calls) == (2, 1, True, [])


def test_one_layer_can_be_asked_for(gatewise: Run, library: Library) -> None:
    library.document["layers"].append(layer("decoder.lstm"))
    assert [
        each["name"] for each in gatewise("inspect", "model.pt", "--layer", "decoder.lstm", "--json").json["layers"]
    ] == ["decoder.lstm"]


def _python(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatewise", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


@pytest.mark.skipif(os.name == "nt", reason="wants POSIX pipes")
def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "gatewise", "formats"]
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_an_old_terminal_gets_letters_it_can_show() -> None:
    ran = _python(["formats"], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_module_and_the_function_answer_alike(gatewise: Run) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "gatewise", "formats", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == gatewise("formats", "--json").json
