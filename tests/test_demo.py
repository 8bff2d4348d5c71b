"""`make demo` does the main job, and says so by its exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402


def test_the_demo_proves_every_file_against_what_torch_1_0_1_computed(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "tools/demo.py", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    errors = [float(error) for error in re.findall(r"^same: max \|Δ\| = (\S+)", ran.stdout, re.MULTILINE)]
    assert len(errors) == 4
    assert max(errors) < 1e-6
    assert "written by torch" in ran.stdout


def test_the_demo_fails_when_a_step_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "STEPS", (("A file that is not there:", "inspect {out}/no-such-file.pt"),))
    assert demo.main(str(tmp_path / "out")) == 1
    assert "FAILED: A file that is not there:" in capfd.readouterr().out
