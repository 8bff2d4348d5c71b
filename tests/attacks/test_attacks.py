"""Every exhibit is refused in words that help, or lies there like a stone: quickly, in little memory, without consequences."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from museum import MEGABYTES, SECONDS, Attack, families

QUICK = 16  # the quick part sees every sixteenth exhibit of a family, and ``make test`` all of them, on every Python
DEAR = {"floods": 20}  # but of these, most of which take half a second, every twentieth
SLOW = (pytest.mark.slow, pytest.mark.every_python)
EXHIBITS = [
    pytest.param(attack, id=f"{family}: {attack.title}", marks=SLOW if number % DEAR.get(family, QUICK) else ())
    for family, attacks in families().items()
    for number, attack in enumerate(attacks)
]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="children are forked, which Windows cannot")


class Guard:
    """The process of ``guard.py``; ``asked`` sends it one attack and gives its answer."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def asked(self, path: Path, deed: str, home: Path) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"path": str(path), "deed": deed, "home": str(home)}) + "\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    process = Guard()
    yield process
    process.close()


def _everything_below(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for place, _, files in os.walk(folder):
        for file in files:
            told = (Path(place) / file).lstat()
            found.add((str(Path(place) / file), told.st_size, told.st_mtime_ns))
    return found


_WORK, _TAKES = 1_000_000, 0.05  # steps of a loop, and the seconds they take where the limits were set


def _slowness() -> float:
    """How much longer a fixed piece of work takes here and now than where the limits were set; at least 1."""
    start = time.process_time()
    sum(number * number % 7 for number in range(_WORK))
    return max(1.0, (time.process_time() - start) / _TAKES)


@pytest.mark.parametrize("attack", EXHIBITS)
def test_an_attack_comes_to_nothing(attack: Attack, guard: Guard, tmp_path: Path) -> None:
    path = attack.place(tmp_path / "attack")
    before = _everything_below(tmp_path)
    told, allowed = guard.asked(path, attack.deed, tmp_path / "attack"), SECONDS
    if told["seconds"] > SECONDS:  # once more: the machine may be slow, or busy with something else
        before_it = _slowness()
        told = guard.asked(path, attack.deed, tmp_path / "attack")
        allowed = SECONDS * max(before_it, _slowness())
    assert not told["breaches"], told["breaches"]
    expected = attack.expected if isinstance(attack.expected, tuple) else (attack.expected,)
    names = [each.__name__ if each else "opened" for each in expected]
    assert set(names) & set(told["kinds"]), told["trace"] or told["message"] or told["outcome"]
    assert told["seconds"] <= allowed, f"{told['seconds']:.2f} seconds of processor time, {allowed:.2f} allowed"
    assert told["bytes"] <= MEGABYTES << 20, f"{told['bytes'] >> 20} MB"
    assert _everything_below(tmp_path) == before
    if told["outcome"] != "opened":
        _helps(told, path, attack)


def _helps(told: dict[str, Any], path: Path, attack: Attack) -> None:
    """The refusal names the file, and what to do next; it is a sentence and not a dump."""
    assert attack.says in told["message"], told["message"]
    if attack.deed == "read":
        assert told["path"] or told["where"], told["message"]  # an element that is read later knows its tensor alone
        said = told["path"] or str(path)
        assert str(path.parent) in said or said in str(path), said
        assert told["next"], f"no next step: {told['message']}"
    assert len(told["message"]) < 1_500, f"{len(told['message'])} characters"
    assert told["message"].isprintable() or "\n" in told["message"], repr(told["message"])


# Twins: the guard sees what it is there to see.


class Deed:
    """A pickle that makes a file; unpickled by Python itself, it does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_the_guard_sees_what_an_attack_would_do(tmp_path: Path) -> None:
    """The twin: the same hook over Python's own unpickler."""
    program = (
        "import sys, pickle, socket; sys.path[:0] = sys.argv[1:3]\n"
        "from auditing import Watch, Breach\n"
        "watch = Watch(); sys.addaudithook(watch); watch.whole = sys.argv[3]\n"
        "import os, subprocess, importlib\n"
        "deeds = {\n"
        " 'unpickling': lambda: pickle.loads(b'cos\\nsystem\\n(S\"true\"\\ntR.'),\n"
        " 'a shell': lambda: os.system('true'),\n"
        " 'a process': lambda: subprocess.Popen(['true']),\n"
        " 'writing': lambda: open(os.path.join(sys.argv[3], 'made'), 'w'),\n"
        " 'reading elsewhere': lambda: open('/etc/hostname'),\n"
        " 'listing elsewhere': lambda: os.listdir('/etc'),\n"
        " 'connecting': lambda: socket.socket().connect(('127.0.0.1', 9)),\n"
        " 'importing': lambda: importlib.import_module('pytest'),\n"
        " 'evaluating': lambda: exec_here('1 + 1'),\n"
        " 'renaming': lambda: os.rename('a', 'b'),\n"
        "}\n"
        "def exec_here(text): return eval(compile(text, 'x', 'eval'))\n"
        "for what, deed in deeds.items():\n"
        "    try: deed()\n"
        "    except Breach: continue\n"
        "    except Exception as error: print(what, repr(error))\n"
        "    else: print(what)\n"
    )
    here = Path(__file__).resolve()
    script = tmp_path / "deeds.py"
    script.write_text(program)
    ran = subprocess.run(
        [sys.executable, str(script), str(here.parents[1]), str(here.parents[2] / "src"), str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "", "these were not seen"
    assert not (tmp_path / "made").exists()


TWINS = {
    "too much memory": "bytearray(200 << 20)",
    "too much time": "sum(1 for _ in iter(lambda: time.process_time() > WORK, True))",
    "another exception": "1 / 0",
    "a crash": "os.kill(os.getpid(), 11)",
    "memory without end": "bytearray(4 << 30)",
}
WORK = 0.3  # seconds of processor time


@pytest.fixture(scope="module")
def weighed() -> dict[str, dict[str, Any]]:
    """What the guard tells of each twin: what an attack may not cost."""
    program = (
        f"import json, os, sys, time; sys.path.insert(0, sys.argv[1]); WORK = {WORK}\n"
        "import guard\n"
        "told = {}\n"
        "for name, code in json.loads(sys.argv[2]).items():\n"
        "    guard.DEEDS['bad'] = lambda path, tick: eval(code)\n"
        "    told[name] = guard._in_a_child({'deed': 'bad', 'path': 'x', 'home': '.'}, guard.Watch())\n"
        "print(json.dumps(told))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent), json.dumps(TWINS)], capture_output=True, text=True, check=True
    )  # fmt: skip
    told: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return told


@pytest.mark.parametrize("twin", TWINS)
def test_the_guard_weighs_and_times(twin: str, weighed: dict[str, dict[str, Any]]) -> None:
    told = weighed[twin]
    if twin == "too much memory":
        assert told["bytes"] > MEGABYTES << 20
    elif twin == "too much time":
        assert WORK / 2 < told["seconds"] < 3 * WORK
    else:
        assert told["outcome"] != "opened"
