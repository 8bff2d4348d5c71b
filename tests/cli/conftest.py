from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
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
