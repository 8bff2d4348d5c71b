"""Several files and folders in one command line: a block each, the worst exit code, and one file as it always was."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filemakers import safetensors, torch_arrays, torch_zip
from real_command import environment, gatewise


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A healthy model, one with a finding in a folder below, a broken one, and notes."""
    arrays = torch_arrays("lstm", 3, 4)
    folder = tmp_path / "models"
    (folder / "old").mkdir(parents=True)
    safetensors(folder / "good.safetensors", arrays)
    torch_zip(folder / "old" / "parallel.pt", {f"module.{name}": array for name, array in arrays.items()})
    (folder / "zero.pt").write_bytes(b"")
    (folder / "notes.txt").write_text("my models")
    (folder / "words.pkl").write_bytes(pickle.dumps({"the": 0, "of": 1}))
    return tmp_path


FILES = ["models/good.safetensors", "models/zero.pt", "models/old/parallel.pt"]


@pytest.mark.usefixtures("models")
def test_each_file_has_its_block_and_the_exit_code_is_the_worst(run: Any) -> None:
    ran = run("doctor", *FILES)
    assert (ran.code, ran.err) == (2, "")
    blocks = ran.out.split("\n\n")
    good, zero = blocks[0].split("\n")
    assert good == "models/good.safetensors: healthy"
    assert zero.startswith("models/zero.pt: the file is empty.")
    assert blocks[1].startswith("models/old/parallel.pt\nGW303 breaks")
    assert blocks[-2].endswith("\nmodels/old/parallel.pt: 1 breaks")
    assert blocks[-1] == "3 files: 1 healthy, 1 with findings, 1 refused\n"
    assert run("doctor", FILES[0], FILES[2]).code == 1
    assert run("doctor", FILES[0], FILES[0]).code == 0


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("command", ["doctor", "inspect"])
def test_one_file_is_answered_byte_for_byte_as_among_others(run: Any, command: str) -> None:
    """The document of one file is that file's; of several a list of those documents, or of what was refused."""
    for options in ([], ["--json"]):
        assert run(command, *options, FILES[0]).out in run(command, *options, FILES[0], FILES[0]).out or options
    alone = [run(command, path, "--json").json for path in FILES]
    together = run(command, *FILES, "--json")
    assert together.code == 2
    assert together.json == {
        "files": [{"path": path, **each} if "error" in each else each for path, each in zip(FILES, alone, strict=True)],
        "left_out": [],
    }
    named = run(command, "models/words.pkl", "models/good.safetensors", "--json").json
    assert named["files"][0]["error"]["type"] == "UnknownContainer", "who names a file hears of it"


@pytest.mark.usefixtures("models")
def test_a_folder_is_looked_through_and_what_is_no_model_is_told(run: Any) -> None:
    ran = run("doctor", "models")
    assert ran.code == 2
    assert ran.out.count("models/good.safetensors: healthy\n") == 1
    assert ran.out.endswith(
        "left out, for they are no models: models/notes.txt, models/words.pkl\n3 files: 1 healthy, 1 with findings, 1 refused\n"
    )
    document = run("doctor", "models", "--json").json
    assert [each["path"] for each in document["files"]] == [FILES[0], FILES[1], FILES[2]]
    assert document["left_out"] == ["models/notes.txt", "models/words.pkl"]
    both = run("doctor", "models/old", "models/good.safetensors", "--json").json["files"]
    assert [each["path"] for each in both] == [FILES[2], FILES[0]]


def test_a_folder_that_holds_no_model_is_refused_as_it_was(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for command in ("doctor", "inspect"):
        ran = run(command, "empty")
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("gatewise: empty: is a directory")
        assert run(command, "empty", "--json").json["error"]["path"] == "empty"


def test_what_is_odd_in_a_folder_stops_no_model_in_it(run: Any, models: Path) -> None:
    """Links to themselves, to nowhere and upwards; what is no file."""
    folder = models / "models"
    for name, target in (("self.pt", "self.pt"), ("nowhere.pt", "no such"), ("up", "..")):
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.pt")
    for command, told in (("doctor", "1 healthy, 1 with findings, 1 refused"), ("inspect", "2 read, 1 refused")):
        ran = run(command, "models")
        assert (ran.code, ran.err) == (2, "")
        assert ran.out.endswith(f"\n3 files: {told}\n")


def test_of_a_folder_that_may_not_be_read_the_folder_is_named(
    run: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a file that was looked for in it.  Root, as whom this may run, may read it all the same."""
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "old" and may(path, mode))
    assert models.exists()
    ran = run("convert", "models/old", "-o", "x.npz")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "gatewise: models/old: cannot be opened: permission denied. Check the path and who may read it.\n"


def test_a_folder_of_other_things_is_said_to_hold_no_model(run: Any, models: Path) -> None:
    (models / "words").mkdir()
    (models / "models/words.pkl").rename(models / "words/words.pkl")
    for command in ("doctor", "inspect"):
        ran = run(command, "words")
        assert ran.code == 2
        assert ran.out == "left out, for they are no models: words/words.pkl\n0 files: no model is there\n"


@pytest.mark.usefixtures("models")
def test_what_is_wrong_with_the_call_is_told_once(run: Any) -> None:
    ran = run("doctor", *FILES, "--for", "torhc")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("gatewise: cannot tell what 'torhc' asks for")
    assert "only one file can be piped in" in run("doctor", "-", "-").err


@pytest.mark.usefixtures("models")
def test_a_file_that_nobody_foresaw_stops_no_other(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewise import doctor

    real = doctor.examination

    def examination(path: str, target: str | None) -> Any:
        if "zero" in path:
            raise ZeroDivisionError("of all things")
        return real(path, target)

    monkeypatch.setattr(doctor, "examination", examination)
    ran = run("doctor", *FILES, "--json")
    assert ran.code == 2
    assert "ZeroDivisionError: of all things" in ran.json["files"][1]["error"]["message"]
    assert ran.json["files"][2]["findings"]


def test_what_is_piped_in_may_be_one_of_several(run: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (models / FILES[0]).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    ran = run("inspect", FILES[0], "-", "--json")
    assert ran.code == 0
    assert [each["path"] for each in ran.json["files"]] == [FILES[0], "-"]


def test_an_interrupt_while_python_still_imports_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import sys, types\n"
        "class Broken(types.ModuleType):\n"
        "    def __getattr__(self, name):\n        raise KeyboardInterrupt\n"
        "import gatewise.__main__\nsys.modules['gatewise.cli'] = Broken('gatewise.cli')\n"
        "sys.argv[1:] = ['formats']\nsys.exit(gatewise.__main__.main())\n"
    )
    ran = subprocess.run([sys.executable, "interrupted.py"], cwd=tmp_path, env=environment(), capture_output=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


def test_the_real_command_line_takes_a_folder(models: Path) -> None:
    ran = gatewise("doctor", "models", at=models)
    assert (ran.code, ran.err) == (2, "")
    assert "3 files: 1 healthy, 1 with findings, 1 refused" in ran.out
    assert gatewise("inspect", "models", "--json", at=models).json["left_out"] == [
        "models/notes.txt",
        "models/words.pkl",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_blocks_fit_the_screen(run: Any, models: Path, width: int) -> None:
    safetensors(models / "models" / "wide.safetensors", {f"{'n' * 60}.{n}": np.ones(3, "f4") for n in range(3)})
    for command in ("doctor", "inspect"):
        for line in run(command, "models", width=width).out.splitlines():
            copied = line.startswith("fix: ")  # a command, whole
            assert len(line) <= width or copied or " " not in line.strip(), line
