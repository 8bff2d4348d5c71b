"""Whatever happens while a file is written, at whatever instant: afterwards there is the old file or the new one, whole,
the input is as it was, and nothing else is there but what the next write removes.

``points.py`` says what an instant is.  ``make test`` takes some; ``make long`` takes all, of everything that is written.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deeds import DEEDS, Deed
from points_server import Server
from real_process import environment

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork() there is nobody to kill")
OLD = b"the old file, which is precious"
DISK = ("ENOSPC", "EDQUOT", "EIO", "EROFS")
ALL = pytest.mark.parametrize("deed", DEEDS, ids=str)
OVER = pytest.mark.parametrize("over", [False, True], ids=["a new file", "over an old one"])
Content = dict[str, bytes]


@dataclass
class Trial:
    """One deed in one folder, again and again; with ``over`` there is an old file each time, and --force."""

    server: Server
    deed: Deed
    folder: Path
    over: bool

    def __post_init__(self) -> None:
        self.deed.prepare(self.folder)
        self.inputs = self.content()
        self.old = {self.deed.outputs[-1]: OLD} if self.over else {}
        self.words = (*self.deed.words, *(("--force",) if self.over else ()))
        done = self.again()
        assert done["code"] == 0, done["err"]
        self.new, self.points = self.outputs(), done["points"]
        assert set(self.new) == set(self.deed.outputs)

    def content(self) -> Content:
        return {entry.name: entry.read_bytes() for entry in self.folder.iterdir()}

    def outputs(self) -> Content:
        return {name: data for name, data in self.content().items() if name not in self.inputs}

    def again(self, what: str = "nothing", at: int = -1) -> dict[str, Any]:
        for name in self.outputs():
            (self.folder / name).unlink()
        for name, data in self.old.items():
            (self.folder / name).write_bytes(data)
        return self.server(self.folder, self.words, what, at)

    def instants(self, quick: bool, *, after: bool = False) -> list[int]:
        """The points to try.  A call that one place makes over and over is tried at first, at last and in between."""
        chosen: list[int] = []
        places = Counter(self.points)
        met: Counter[str] = Counter()
        for at, point in enumerate(self.points):
            met[point] += 1
            if not after and point.startswith("after") and at < len(self.points) - 1:
                continue  # the same as before the next one
            if met[point] in (1, 2, places[point]) or met[point] % 10 == 0:
                chosen.append(at)
        if not quick:
            return chosen
        naming = [at for at in chosen if "_write.py" in self.points[at] or "pathlib" in self.points[at]]
        return naming if self.deed.name in WHOLE else chosen[len(chosen) % 5 :: max(1, len(chosen) // 5)]

    def check(self, at: int, *, killed: bool = False) -> None:
        """The old files or the new ones."""
        told = f"{self.deed} at {at}, {self.points[at]}"
        content = self.content()
        assert {name: content[name] for name in self.inputs} == self.inputs, told
        outputs = {
            name: data for name, data in self.outputs().items() if not (killed and name.startswith(".gatewise-"))
        }
        allowed = [self.old, self.new]
        if killed and self.deed.pair:  # the weights have their name, the graph not yet
            allowed.append({self.deed.outputs[0]: self.new[self.deed.outputs[0]]})
        assert outputs in allowed, f"{told}: {sorted(self.outputs())}"


def killed(trial: Trial, quick: bool) -> None:
    for at in trial.instants(quick):
        assert trial.again("kill", at)["code"] == -signal.SIGKILL
        trial.check(at, killed=True)
        for name in set(trial.outputs()) & set(trial.deed.outputs) if trial.deed.pair else ():
            (trial.folder / name).unlink()
        done = trial.server(trial.folder, (*trial.deed.words, "--force"))
        assert (done["code"], trial.outputs()) == (0, trial.new), f"{trial.points[at]}: {done['err']}"


def interrupted(trial: Trial, quick: bool) -> None:
    for at in trial.instants(quick, after=not quick):
        done = trial.again("SIGINT", at)
        assert (done["code"], done["out"], done["err"]) == (130, "", ""), trial.points[at]
        trial.check(at)


def ended(trial: Trial, quick: bool) -> None:
    """By ``kill``, by a batch system whose time is over, by a terminal that closes."""
    for number, at in enumerate(trial.instants(quick)):
        sent = (signal.SIGTERM, signal.SIGHUP)[number % 2]
        done = trial.again(sent.name, at)
        assert (done["code"], done["out"], done["err"]) == (128 + sent, "", ""), trial.points[at]
        trial.check(at)


def refused(trial: Trial, quick: bool) -> None:
    """The disk says no once: one sentence, or it did not matter."""
    for number, at in enumerate(at for at in trial.instants(quick) if trial.points[at].startswith("before")):
        what = DISK[number % len(DISK)]
        done = trial.again(what, at)
        trial.check(at)
        told = f"{what} {trial.points[at]}: {done['code']} {done['err']!r}"
        if done["code"] == 0:
            assert (trial.outputs(), done["err"]) == (trial.new, ""), told
            continue
        assert (done["code"], done["out"], done["err"].count("\n")) == (2, "", 1), told
        assert "should not have happened" not in done["err"], told
        named = "did not confirm its name" in done["err"]
        assert trial.outputs() == (trial.new if named else trial.old), told


HAPPENINGS = {each.__name__: each for each in (killed, interrupted, ended, refused)}
WHOLE = ("convert to safetensors", "convert to openvino")  # in the quick tests: every instant at which names change
SOME = (
    ("killed", "convert to safetensors", False), ("killed", "convert to safetensors", True),
    ("interrupted", "convert to safetensors", False), ("refused", "convert to safetensors", True),
    ("killed", "convert to openvino", False), ("interrupted", "convert to openvino", False),
    ("refused", "convert to keras-h5", False), ("refused", "repair a healthy file", True),
    ("killed", "pack a flat vector", True), ("ended", "convert to keras-h5", True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("happens", "name", "over"),
    [
        pytest.param(
            *each,
            id=f"{each[0]}, {each[1]}{' over an old file' * each[2]}",
            marks=() if number in (0, 3, 9) else pytest.mark.slow,
        )
        for number, each in enumerate(SOME)
    ],
)
def test_at_some_instants(server: Server, tmp_path: Path, happens: str, name: str, over: bool) -> None:
    deed = next(each for each in DEEDS if each.name == name)
    HAPPENINGS[happens](Trial(server, deed, tmp_path, over), True)


@pytest.mark.long
@ALL
@pytest.mark.parametrize(
    ("happens", "over"), [("killed", False), ("killed", True), ("interrupted", False), ("refused", True)],
    ids=["killed", "killed over an old file", "interrupted", "refused over an old file"],
)  # fmt: skip
def test_at_every_instant(server: Server, tmp_path: Path, deed: Deed, happens: str, over: bool) -> None:
    if over and deed.pair:
        pytest.skip("no two files are replaced")
    HAPPENINGS[happens](Trial(server, deed, tmp_path, over), False)


@pytest.mark.long
@OVER
def test_at_random_times(tmp_path: Path, over: bool) -> None:
    """From outside, in the middle of whatever it is: not only between calls."""
    random.seed(6)
    deed = next(each for each in DEEDS if each.name == "convert to keras-zip")
    deed.prepare(tmp_path)
    source = (tmp_path / "model.pt").read_bytes()
    words = [sys.executable, "-m", "gatewise", *deed.words, *(["--force"] if over else [])]
    out = tmp_path / deed.outputs[-1]
    out.write_bytes(OLD)
    began = time.monotonic()
    subprocess.run(
        [*words[:3], *deed.words, "--force"], cwd=tmp_path, env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    took, new = time.monotonic() - began, out.read_bytes()
    for _ in range(40):
        out.unlink()
        if over:
            out.write_bytes(OLD)
        process = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL)
        time.sleep(took * random.uniform(0.3, 1.1))
        process.kill()
        process.wait()
        assert (tmp_path / "model.pt").read_bytes() == source
        assert out.read_bytes() in (OLD, new) if over else not out.exists() or out.read_bytes() == new
        subprocess.run(
            [*words[:3], *deed.words, "--force"], cwd=tmp_path, env=environment(), check=True, stdout=subprocess.DEVNULL
        )
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.pt", out.name]


def test_a_harness_that_sees_no_point_would_be_noticed(server: Server, tmp_path: Path) -> None:
    """The twin: an instant after which something is there is one that :meth:`Trial.check` finds."""
    deed = next(each for each in DEEDS if each.name == "convert to safetensors")
    trial = Trial(server, deed, tmp_path, False)
    assert any("fsync" in point for point in trial.points)
    assert any("link" in point for point in trial.points)
    trial.again()
    (tmp_path / deed.outputs[0]).write_bytes(trial.new[deed.outputs[0]][:-1])
    with pytest.raises(AssertionError):
        trial.check(0)
    trial.again()
    (tmp_path / "left").write_text("over")
    with pytest.raises(AssertionError):
        trial.check(0)
