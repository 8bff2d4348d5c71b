"""Commands as whole processes: wall time, processor time and peak memory, told by the operating system.

What is compared runs in turn (A B C A B C …), so that a machine whose speed drifts is fair to all; a ratio is the median of
the ratios of each turn.  ``_launch.py`` starts them, a process smaller than any of them.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Command:
    """A name for people, the words, the file that is to be out of the page cache before each run (None: warm), and the one
    that is written, which is new each time: to replace a large one takes the disk longer than many a conversion."""

    name: str
    argv: Sequence[str | os.PathLike[str]]
    cold: Path | None = None
    writes: Path | None = None


@dataclass
class Cost:
    """Of each run: wall and processor seconds, and peak memory in MB (10^6 bytes); and what the last run printed."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    output: str = ""

    @property
    def seconds(self) -> float:
        return statistics.median(self.wall)

    @property
    def megabytes(self) -> float:
        return statistics.median(self.peak)

    def beside(self, other: Cost) -> float:
        """This cost's wall time as a multiple of the other's: the median over the turns."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.wall, other.wall, strict=True))


def python(*argv: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], ...]:
    return (sys.executable, *argv)


def gatewise(*argv: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], ...]:
    """The command as it is installed: the script beside this Python."""
    return (Path(sys.executable).with_name("gatewise"), *argv)


def task(*argv: str | os.PathLike[str]) -> tuple[str | os.PathLike[str], ...]:
    """One of the functions in peers.py."""
    return python(ROOT / "benchmarks/peers.py", *argv)


def in_turn(commands: Sequence[Command], runs: int = 5, warm_up: int = 1) -> list[Cost]:
    """The costs of the commands, which ran in turn.  Ends the benchmark where one fails: a failure costs nothing."""
    costs = [Cost() for _ in commands]
    for turn in range(-warm_up, runs):
        for command, cost in zip(commands, costs, strict=True):
            wall, cpu, peak, cost.output = _ran(command)
            if turn >= 0:
                cost.wall.append(wall)
                cost.cpu.append(cpu)
                cost.peak.append(peak)
    for command, cost in zip(commands, costs, strict=True):
        print(
            f"  {command.name:58} {cost.seconds:8.3f} s {min(cost.wall):8.3f} at best {cost.megabytes:8.1f} MB",
            flush=True,
        )
    return costs


def _ran(command: Command) -> tuple[float, float, float, str]:
    if command.cold:
        _drop(command.cold)
    if command.writes and command.writes.exists():
        command.writes.unlink()
        os.sync()  # the disk is through with the old one
    asked, told = _launcher()
    print(json.dumps([os.fspath(word) for word in command.argv]), file=asked, flush=True)
    code, wall, cpu, peak, output = json.loads(told.readline())
    if code:
        sys.exit(f"{command.name} ended with {code}:\n{output[-3000:]}")
    return wall, cpu, peak, output


@functools.cache
def _launcher() -> tuple[IO[str], IO[str]]:
    words = [sys.executable, "-S", ROOT / "benchmarks/_launch.py"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _drop(path: Path) -> None:
    """Out of the page cache, once it is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
