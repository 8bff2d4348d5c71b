"""What decides whether a change is good is itself tested: .ci/run, and the skips of frameworks that are not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="wants a POSIX shell")

RUNS = {
    "passes when tests passed": ("==== 3 passed, 1 skipped in 0.10s ====", 0, True),
    "passes when tests passed quietly": ("312 passed in 61.20s (0:01:01)", 0, True),
    "fails when a test failed": ("==== 1 failed, 3 passed in 0.10s ====", 2, False),
    "fails when no test ran and pytest says so by its exit code": ("==== no tests ran in 0.01s ====", 2, False),
    "fails when no test ran and nobody says so": ("==== no tests ran in 0.01s ====", 0, False),
    "fails when every test was skipped": ("==== 10 skipped in 0.01s ====", 0, False),
    "fails when pytest never came to its end": ("Segmentation fault", 0, False),
}


@pytest.mark.parametrize(("closing", "status", "passes"), RUNS.values(), ids=RUNS)
def test_ci(tmp_path: Path, closing: str, status: int, passes: bool) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(f"#!/bin/sh\n[ \"$1\" = test ] || exit 9\necho '{closing}'\nexit {status}\n")
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{make.parent}:{os.environ['PATH']}"}
    ran = subprocess.run([tmp_path / ".ci/run"], env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode == 0) is passes, ran.stdout + ran.stderr
    if " in " in closing:
        assert f"pytest: {closing}" in ran.stdout


def test_ci_calls_the_words_of_the_readme() -> None:
    assert "\nmake test\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\nmake test " in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_a_framework_that_could_not_be_installed_is_a_loud_skip_with_its_reason(tmp_path: Path) -> None:
    for name in ("conftest.py", "auditing.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / name)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    framework: x\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.framework('torch')\n"
        "def test_torch(): raise SystemError\n"
        "@pytest.mark.framework('keras')\n"
        "def test_keras(): pass\n"
    )
    report = tmp_path / "frameworks.json"
    report.write_text(
        json.dumps({
            "torch": {"installed": False, "reason": "ERROR: No matching distribution found for torch"},
            "keras": {"installed": True, "reason": ""},
        })
    )  # fmt: skip
    environment = {**os.environ, "GATEWISE_FRAMEWORKS": str(report)}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "NOT COMPARED WITH" in ran.stdout
    assert "torch: ERROR: No matching distribution found for torch  (1 test skipped)" in ran.stdout
    assert "1 passed, 1 skipped" in ran.stdout
