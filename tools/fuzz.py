"""Runs gatewise over damaged files for as long as it is told: `make fuzz`, or `python tools/fuzz.py --seconds 600 --jobs 2`.

What is tried, ``fuzz_targets.py`` says.  Coverage-guided: an input that reaches a line of gatewise that none reached
before, or is refused with a sentence not seen before, joins the corpus of its target.  Lines are told by sys.monitoring
(Python 3.12 and later), which costs nothing once a line was seen; on older Pythons the sentences alone guide.  The
corpus begins with the small fixtures.  Targets take turns of processor time, not of runs, so that quick ones run often.
What is a finding: any exception but GatewiseError, more than a second of processor time, memory past
4 × the file + 100 MB.  Each is kept under --findings with the bytes that brought it about; the exit code is then 1.
How much was done is kept there too, while it goes on; ``--record`` adds it to tests/attacks/fuzzed.toml and runs nothing.
There is no state to resume: a run with another --seed goes where none was.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_targets import GROUPS, ROOT, Target, all_targets
from mutate import damaged

from gatewise.errors import GatewiseError

RECORD = ROOT / "tests" / "attacks" / "fuzzed.toml"
SLOW = 1.0  # seconds of processor time
HANG = 20  # seconds after which a run is stopped
ROOM = 100 << 20
_CORPUS = 400  # inputs of one target; a new one then takes the place of an old one
_LONGEST = 1 << 18  # bytes of an input
_TURN = 0.25  # seconds of processor time that a target has before another one comes
_TICK = 20.0  # seconds between two lines of the log


class Hang(BaseException):
    """Not an Exception: nothing between may swallow it."""


# What guides.


class Seen:
    """Lines that were reached and sentences that were said; ``news()`` tells whether any came since it was last asked."""

    def __init__(self) -> None:
        self.lines = 0
        self._told: set[str] = set()
        self._before = 0
        self._fresh = False
        if hasattr(sys, "monitoring"):
            self._watch(sys.monitoring)

    def _watch(self, monitoring: Any) -> None:
        source, disable = str(ROOT / "src"), monitoring.DISABLE

        def reached(code: CodeType, _line: int) -> object:
            self.lines += code.co_filename.startswith(source)
            return disable

        monitoring.use_tool_id(3, "gatewise fuzz")
        monitoring.register_callback(3, monitoring.events.LINE, reached)
        monitoring.set_events(3, monitoring.events.LINE)

    def say(self, sentence: str) -> None:
        short = re.sub(r"[^A-Za-z ]+", "#", sentence)[:90]
        if short not in self._told and len(self._told) < 50_000:
            self._told.add(short)
            self._fresh = True

    def news(self) -> bool:
        found = self._fresh or self.lines > self._before
        self._before, self._fresh = self.lines, False
        return found


# The loop.


class Worker:
    def __init__(self, seed: int, findings: Path, only: str):
        self.seed, self.luck = seed, random.Random(seed)
        self.findings = findings
        self.folder = Path(
            tempfile.mkdtemp(prefix="gatewise-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        self.groups: dict[str, list[Target]] = {}
        for target in all_targets(self.folder):
            if only in target.name:
                self.groups.setdefault(target.name.partition("/")[0], []).append(target)
        self.runs: Counter[str] = Counter()
        self.took: dict[str, float] = dict.fromkeys(GROUPS, 0.0)
        self.found: Counter[str] = Counter()
        self.grown = 0

    def work(self, until: float, most: int, tell: Callable[[dict[str, Any]], None]) -> None:
        begun = [target for group in self.groups.values() for target in group]
        for target in begun:  # every fixture as it is: warm caches, and the floor of what is covered
            self._once(target, target.corpus[0], None)
        seen, told = Seen(), time.monotonic()
        for target in begun:
            self._once(target, target.corpus[0], seen)
        seen.news()
        _bound_memory()
        while time.time() < until and sum(self.runs.values()) < most:
            self._turn(min(self.groups, key=lambda group: self.took[group] / GROUPS[group]), seen)
            if time.monotonic() - told > _TICK:
                told = time.monotonic()
                tell(self._kept(seen))
                gc.collect()
                _bound_memory()
        tell(self._kept(seen))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _turn(self, group: str, seen: Seen) -> None:
        target, began = self.luck.choice(self.groups[group]), time.process_time()
        while time.process_time() - began < _TURN:
            data = damaged(self.luck.choice(target.corpus), self.luck, target.corpus)[:_LONGEST]
            self._once(target, data, seen)
            if seen.news():
                self._keep(target, data)
        self.took[group] += time.process_time() - began

    def _kept(self, seen: Seen) -> dict[str, Any]:
        """The summary, which outlives this process."""
        said = self.summary(seen)
        fresh = self.findings / "~executions"
        fresh.write_text(json.dumps(said, indent=1), encoding="utf-8")
        fresh.replace(self.findings / f"executions-{self.seed}-{os.getpid()}.json")
        return said

    def summary(self, seen: Seen) -> dict[str, Any]:
        return {
            "pid": os.getpid(), "seconds": round(time.process_time()), "executions": sum(self.runs.values()), "lines": seen.lines, "corpus": self.grown,
            "by target": dict(self.runs), "findings": dict(self.found), "peak MB": _peak() >> 20,
        }  # fmt: skip

    def _keep(self, target: Target, data: bytes) -> None:
        self.grown += 1
        if len(target.corpus) < _CORPUS:
            target.corpus.append(data)
        else:
            target.corpus[self.luck.randrange(1, _CORPUS)] = data

    def _once(self, target: Target, data: bytes, seen: Seen | None) -> None:
        self.runs[target.group] += 1
        before, began = _peak(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            target.run(data)
        except GatewiseError as error:
            if seen:
                seen.say(str(error))
        except (Exception, Hang) as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._found(target, data, f"{type(error).__name__} at {_place(error)}", traceback.format_exc())
        signal.setitimer(signal.ITIMER_PROF, 0)
        took, grew = time.process_time() - began, _peak() - before
        if seen and SLOW < took < HANG / 2 and not self._again_quick(target, data):
            self._found(target, data, f"slow in {target.group}", f"{took:.2f} seconds")
        if seen and grew > 4 * len(data) + ROOM:
            self._found(target, data, f"hungry in {target.group}", f"{grew >> 20} MB")

    @staticmethod
    def _again_quick(target: Target, data: bytes) -> bool:
        """Once more: a first import, or a busy machine, is no finding."""
        began = time.process_time()
        with contextlib.suppress(Exception):
            target.run(data)
        return time.process_time() - began < SLOW

    def _found(self, target: Target, data: bytes, what: str, told: str) -> None:
        self.found[what] += 1
        if self.found[what] <= 3:
            name = re.sub(r"\W+", "-", f"{what}-{target.name}")[:150]
            place = self.findings / f"{name}-{self.found[what]}"
            place.with_suffix(".bin").write_bytes(data)
            place.with_suffix(".txt").write_text(f"{target.name}\n{what}\n\n{told}\n", encoding="utf-8")


def _bound_memory() -> None:
    """No more address space than one input may take on top of what is taken now: more is a MemoryError, and a finding."""
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (min(hard, taken + 4 * _LONGEST + ROOM), hard))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(error: BaseException) -> str:
    """The last line of gatewise on the way: what makes two findings one."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "/gatewise/" in f.filename]
    last = ours[-1] if ours else traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name} {last.lineno}"


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Hang(f"more than {HANG} seconds of processor time")


def _run(number: int, asked: argparse.Namespace, reports: Any) -> None:
    signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (asked.memory << 20, asked.memory << 20))
    worker = Worker(asked.seed * 1000 + number, asked.findings, asked.only)
    worker.work(time.time() + asked.seconds, asked.executions, reports.put)


def _record(findings: Path) -> int:
    """What was done since the last record, by target, with the date and the commit."""
    done = sorted(findings.glob("executions-*.json"))
    told = [json.loads(each.read_text(encoding="utf-8")) for each in done]
    runs = sum((Counter(each["by target"]) for each in told), Counter[str]())
    found = sum((Counter(each["findings"]) for each in told), Counter[str]())
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    lines = [
        "", "[[run]]", f'date = "{time.strftime("%Y-%m-%d", time.gmtime())}"', f'commit = "{commit.stdout.strip()}"',
        f'python = "{sys.version.split()[0]}"', f"processor_seconds = {sum(each['seconds'] for each in told)}",
        f"executions = {sum(runs.values())}", f"findings = {json.dumps(sorted(found))}",
        "[run.by_target]", *(f'"{name}" = {count}' for name, count in sorted(runs.items())),
    ]  # fmt: skip
    with RECORD.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    for each in done:
        each.rename(each.with_suffix(".recorded"))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--executions", type=int, default=10**12, help="of one process, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name has this text: phrase, explain, torch/ …")
    parser.add_argument("--memory", type=int, default=4096, help="MB of address space of one process")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--record", action="store_true", help="add what was done to tests/attacks/fuzzed.toml")
    asked = parser.parse_args()
    if asked.record:
        return _record(asked.findings)
    asked.findings.mkdir(parents=True, exist_ok=True)
    reports: Any = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=_run, args=(number, asked, reports)) for number in range(asked.jobs)]
    for worker in workers:
        worker.start()
    latest: dict[int, dict[str, Any]] = {}
    while any(worker.is_alive() for worker in workers) or not reports.empty():
        try:
            report = reports.get(timeout=1)
        except Exception:  # nothing within a second
            continue
        latest[report["pid"]] = report
        total = sum(each["executions"] for each in latest.values())
        findings = sum((Counter(each["findings"]) for each in latest.values()), Counter[str]())
        print(
            f"{total:,} executions, {max(each['lines'] for each in latest.values()):,} lines, {dict(findings)}",
            flush=True,
        )
    crashed = [worker.exitcode for worker in workers if worker.exitcode]
    if crashed:
        print(f"processes ended with {crashed}: a crash that Python could not tell", file=sys.stderr)
    return 1 if crashed or any(each["findings"] for each in latest.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
