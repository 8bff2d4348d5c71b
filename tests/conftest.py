"""What every test shares: frameworks that are not there are skipped loudly, with the reason, and listed at the end.

A test that compares with real frameworks names them: ``@pytest.mark.framework("torch", "keras")``.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import sys
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

# How fast a shared machine happens to be decides on no test; what must be fast has a test of its own that says so.
hypothesis.settings.register_profile("gatewise", deadline=None)
hypothesis.settings.load_profile("gatewise")
os.environ.setdefault("KERAS_BACKEND", "torch")
_ABSENT = "framework not installed: "


@functools.cache
def _report() -> dict[str, dict[str, object]]:
    """What tools/setup_env.py wrote down when it installed the frameworks; empty in an environment made otherwise."""
    path = Path(os.environ.get("GATEWISE_FRAMEWORKS") or Path(sys.prefix) / "gatewise-frameworks.json")
    return json.loads(path.read_text()) if path.exists() else {}


@functools.cache
def why_absent(framework: str) -> str | None:
    """Why a framework cannot be compared with, or None when it can."""
    told = _report().get(framework)
    if told is not None:
        return None if told["installed"] else str(told["reason"])
    if importlib.util.find_spec(framework) is not None:
        return None
    return "this environment was made without it (`make test` installs it)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("framework"):
        for framework in marker.args:
            reason = why_absent(framework)
            if reason is not None:
                pytest.skip(f"{_ABSENT}{framework}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every framework that was not compared with, why, and how many tests that cost."""
    missed: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if _ABSENT in text:
            missed[text.split(_ABSENT, 1)[1]] += 1
    if missed:
        terminalreporter.section("NOT COMPARED WITH", sep="!", red=True, bold=True)
        for text, count in sorted(missed.items()):
            terminalreporter.line(f"{text}  ({count} test{'s' if count > 1 else ''} skipped)")
