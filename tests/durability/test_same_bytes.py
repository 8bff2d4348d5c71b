"""The same input gives the same bytes: in another process, under other settings, on another Python, on another machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from real_process import environment
from together import rarely

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden.json"
SETTINGS = (
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "40", "USER": "one"},
    {
        "PYTHONHASHSEED": "4711",
        "TZ": "Asia/Kathmandu",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "",
        "USER": "other",
        "HOME": "/",
    },
)


def digests(number: int, folder: Path, *words: str) -> dict[str, str]:
    """What ``digests.py`` prints in a process with the settings of that number, which lives in that folder."""

    def masked() -> None:
        os.umask((0o022, 0o077)[number])

    ran = subprocess.run(
        [sys.executable, HERE / "digests.py", *words], cwd=folder, env={**environment(), **SETTINGS[number]},
        capture_output=True, text=True, check=False, preexec_fn=masked if os.name == "posix" else None,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@pytest.mark.parametrize("number", rarely(range(len(SETTINGS)), 2))
def test_a_process_writes_what_every_machine_writes(number: int, tmp_path: Path) -> None:
    """``golden.json`` was made by ``digests.py``, at another time.  Where a difference is meant (another version of a
    format), renew it."""
    golden = json.loads(GOLDEN.read_text())
    assert differences(digests(number, (tmp_path, HERE)[number]), golden) == []
    assert len(golden) > 20


@pytest.mark.long
def test_every_fixture_in_one_of_the_formats_is_the_same_bytes_twice(tmp_path: Path) -> None:
    one, other = digests(0, tmp_path, "FIXTURES"), digests(1, HERE, "FIXTURES")
    assert differences(one, other) == []
    assert len(one) > 50


def test_a_difference_would_be_noticed() -> None:
    """The twin."""
    golden = json.loads(GOLDEN.read_text())
    first = next(iter(golden))
    assert differences(golden, {**golden, first: "0" * 64}) == [first]
    assert differences(golden, {name: value for name, value in golden.items() if name != first}) == [first]
