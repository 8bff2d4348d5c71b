from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import real_command
from cli_fakes import Library, Ran, layouts_module

from gatewise.cli import main


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library behind the command line, replaced by one whose answers the test chooses."""
    fake = Library()
    monkeypatch.setitem(sys.modules, "gatewise.checkpoint", fake.module())
    monkeypatch.setitem(sys.modules, "gatewise.doctor", fake.doctor())
    monkeypatch.setitem(sys.modules, "gatewise.flat._files", fake.flat_files())
    monkeypatch.setitem(sys.modules, "gatewise.layouts", layouts_module())
    return fake


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., real_command.Ran]:
    """The command line in this process, for the many cases: the same function that ``python -m gatewise`` calls.

    That a process of its own does the same, from its imports to its exit code, is shown for each command with
    ``real_command.gatewise``."""

    def here(*words: str | Path, at: Path = tmp_path, width: int | None = None) -> real_command.Ran:
        monkeypatch.chdir(at)
        for name in ("COLUMNS", "GATEWISE_DEBUG", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        if width:
            monkeypatch.setenv("COLUMNS", str(width))
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return real_command.Ran(code, printed.out, printed.err)

    return here


@pytest.fixture
def gatewise(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    library: Library,  # noqa: ARG001  (asked for so that no command line meets the real one)
) -> Callable[..., Ran]:
    """Run a command line against the fake library: ``gatewise("inspect", "model.pt", width=120)``."""

    def run(*words: str, width: int = 80) -> Ran:
        monkeypatch.setenv("COLUMNS", str(width))
        code = main(list(words))
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run
