"""Runs gatewise over damaged files for as long as it is told: `make fuzz`, or `python tools/fuzz.py --seconds 600 --jobs 2`.

Coverage-guided: an input that reaches a line of gatewise that none reached before, or is refused with a sentence not
seen before, joins the corpus of its target.  Lines are told by sys.monitoring (Python 3.12 and later), which costs
nothing once a line was seen; on older Pythons the sentences alone guide.  The corpus begins with the small fixtures.
What is a finding: any exception but GatewiseError, more than a second of processor time, memory past
4 × the file + 100 MB.  Each is kept under --findings with the bytes that brought it about; the exit code is then 1.
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
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "attacks")]

from mutate import damaged  # noqa: E402
from reading import Seed, read_whole, seeds  # noqa: E402

SLOW = 1.0  # seconds of processor time
HANG = 20  # seconds after which a run is stopped
ROOM = 100 << 20
_CORPUS = 400  # inputs of one target; a new one then takes the place of an old one
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


# What is tried: a name, the inputs to begin with, and what is done with one.


class Target:
    def __init__(self, name: str, corpus: Iterable[bytes], run: Callable[[bytes], None]):
        self.name, self.run = name, run
        self.corpus = list(corpus)


def file_targets(folder: Path) -> Iterator[Target]:
    """One for each folder and suffix of the fixtures: the damaged file, opened and looked at all over."""
    kinds: dict[tuple[str, str], list[Seed]] = {}
    for seed in seeds():
        kinds.setdefault((seed.file.relative_to(ROOT / "tests/fixtures").parts[0], seed.file.suffix), []).append(seed)
    for (framework, suffix), group in kinds.items():
        for number, seed in enumerate(group):
            place = seed.place(folder / f"{framework}{suffix}{number}")
            corpus = [each.file.read_bytes() for each in [seed, *group[:20]]]
            yield Target(f"{framework}/{seed.file.name}", corpus, _opener(place))


def _opener(place: Seed) -> Callable[[bytes], None]:
    fresh = place.file.with_name("~fresh")

    def run(data: bytes) -> None:
        fresh.write_bytes(data)
        fresh.replace(place.file)  # a new file each time: an old one may still be mapped
        read_whole(place.opened)

    return run


def memory_targets() -> Iterator[Target]:
    """The containers alone, without a disk and without what is above them: ten times as many runs; and the pickle machine."""
    kinds: dict[str, list[bytes]] = {}
    for seed in seeds():
        kinds.setdefault(seed.file.suffix, []).append(seed.file.read_bytes())
    for suffix, corpus in kinds.items():
        yield Target(f"memory/{suffix}", corpus[:60], _containers)
    yield Target("machine", dict.fromkeys(_pickles(kinds)), _machine)


def _containers(data: bytes) -> None:
    from gatewise.containers import _asked, _guarded
    from gatewise.cursor import DEFAULT_LIMITS
    from gatewise.source import Source

    nowhere = Source(ROOT / "tests/symptoms")
    source = Source.of(memoryview(data), Path("model"), nowhere.folder.below("model"), DEFAULT_LIMITS)
    for known in _asked(source):
        if known.claims(source):
            tensors = _guarded(known, source, known.read)
            for tensor in list(tensors.values())[:20]:
                if tensor.nbytes < 1 << 16:
                    tensor.array()
            return


def _pickles(kinds: dict[str, list[bytes]]) -> Iterator[bytes]:
    """The pickles of the fixtures, out of their archives; torch's streams begin with several."""
    import io
    import zipfile

    for data in (data for corpus in kinds.values() for data in corpus):
        if data[:2] == b"\x80\x02":
            yield data[:4096]
        elif data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (archive.read(name) for name in archive.namelist() if name.endswith(".pkl"))


def _machine(data: bytes) -> None:
    from gatewise.containers._pickle import load
    from gatewise.cursor import DEFAULT_LIMITS, Cursor

    load(Cursor(data, path="model", where="pickle"), DEFAULT_LIMITS)


def text_targets() -> Iterator[Target]:
    """Phrases, users' layouts, pasted texts; the bytes are read as UTF-8 with replacements."""
    from gatewise.layouts import layouts
    from gatewise.symptoms import explain, symptoms

    phrases = [part.phrase.encode() for layout in layouts() for part in layout.parts]
    yield Target("phrase", dict.fromkeys(phrases), lambda data: _phrase(data.decode("utf-8", "replace")))
    yield Target("layout", [_TOML.encode()], lambda data: _layout(data.decode("utf-8", "replace")))
    pasted = (ROOT / "tests/symptoms/cases.txt").read_text(encoding="utf-8").split("@@@")
    texts = [text.encode() for text in [*pasted, *(row.title for row in symptoms())]]
    yield Target("explain", texts, lambda data: _said(explain(data.decode("utf-8", "replace"))))


def _said(_answer: object) -> None:
    """The answer does not matter, only that there is one."""


def _phrase(text: str) -> None:
    import numpy as np

    from gatewise.layouts._phrase import phrase

    parsed = phrase(text)
    sizes = {"unit": 2, "feature": 3, "hidden": 2, "direction": 2, "gate": 4, "one": 1, "state": 2, "layer": 1}
    for block in parsed.blocks or (parsed,):
        shape = block.shape(sizes)
        if len(shape) < 20 and int(np.prod(shape, dtype=object)) < 1 << 20:
            for role in range(block.roles):
                block.segments(role)
    phrase.cache_clear()


def _layout(text: str) -> None:
    import numpy as np

    from gatewise.layouts import recognise
    from gatewise.layouts._user import layout_of_text
    from gatewise.tensors import StoredTensor, Tensors

    layout = layout_of_text(text, "fuzzed.toml")
    shapes = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,), "bias2": (16,)}
    stored = [StoredTensor(n, "float32", s, lambda s=s: np.zeros(s, "f4")) for n, s in shapes.items()]  # type: ignore[misc]
    recognise(Tensors(stored), (layout,), chosen=True)


_TOML = """
name = "mine.LSTM"
cell = "lstm"
gates = "ofgi"
forget_bias = 1.0
source = "me"
recurrent_activation = "hard_sigmoid(0.2)"
[spelled]
g = "c"
[[parts]]
name = "kernel[:0]"
role = "kernel"
phrase = "feature (gate unit)"
[[parts]]
name = ["recurrent_kernel[:0]", "u{layer}{_reverse}"]
role = ["recurrent_kernel"]
phrase = "hidden (gate unit)"
[[parts]]
name = "bias"
role = ["bias", "recurrent_bias"]
phrase = "(gate unit)"
gates = "ofgi"
optional = true
"""


# The loop.


class Worker:
    def __init__(self, seed: int, findings: Path, only: str):
        self.luck = random.Random(seed)
        self.findings = findings
        self.folder = Path(
            tempfile.mkdtemp(prefix="gatewise-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        )
        everything = [*text_targets(), *memory_targets(), *file_targets(self.folder)]
        self.targets = [target for target in everything if only in target.name]
        self.runs: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.grown = 0

    def work(self, until: float, most: int, tell: Callable[[dict[str, Any]], None]) -> None:
        from gatewise.errors import GatewiseError

        for target in self.targets:  # every fixture as it is: warm caches, and the floor of what is covered
            self._once(target, target.corpus[0], GatewiseError, None)
        seen, told = Seen(), time.monotonic()
        for target in self.targets:
            self._once(target, target.corpus[0], GatewiseError, seen)
        seen.news()
        while time.time() < until and sum(self.runs.values()) < most:
            target = self.luck.choice(self.targets)
            for _ in range(16 if "/" in target.name and not target.name.startswith("memory") else 128):
                data = damaged(self.luck.choice(target.corpus), self.luck, target.corpus)[: 1 << 18]
                self._once(target, data, GatewiseError, seen)
                if seen.news():
                    self._keep(target, data)
            if time.monotonic() - told > _TICK:
                told = time.monotonic()
                tell(self.summary(seen))
                gc.collect()
        tell(self.summary(seen))
        shutil.rmtree(self.folder, ignore_errors=True)

    def summary(self, seen: Seen) -> dict[str, Any]:
        runs: Counter[str] = Counter()
        for name, count in self.runs.items():
            runs[name.partition("/")[0]] += count
        return {
            "pid": os.getpid(), "executions": sum(self.runs.values()), "lines": seen.lines, "corpus": self.grown,
            "by target": dict(runs), "findings": dict(self.found), "peak MB": _peak() >> 20,
        }  # fmt: skip

    def _keep(self, target: Target, data: bytes) -> None:
        self.grown += 1
        if len(target.corpus) < _CORPUS:
            target.corpus.append(data)
        else:
            target.corpus[self.luck.randrange(1, _CORPUS)] = data

    def _once(self, target: Target, data: bytes, refusal: type[Exception], seen: Seen | None) -> None:
        self.runs[target.name] += 1
        before, began = _peak(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            target.run(data)
        except refusal as error:
            if seen:
                seen.say(str(error))
        except (Exception, Hang) as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._found(target, data, f"{type(error).__name__} at {_place(error)}", traceback.format_exc())
        signal.setitimer(signal.ITIMER_PROF, 0)
        took, grew = time.process_time() - began, _peak() - before
        if seen and SLOW < took < HANG / 2 and not self._again_quick(target, data):
            self._found(target, data, f"slow in {target.name.partition('/')[0]}", f"{took:.2f} seconds")
        if seen and grew > 4 * len(data) + ROOM:
            self._found(target, data, f"hungry in {target.name.partition('/')[0]}", f"{grew >> 20} MB")

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--executions", type=int, default=10**12, help="of one process, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name has this text: phrase, explain, torch/ …")
    parser.add_argument("--memory", type=int, default=4096, help="MB of address space of one process")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    asked = parser.parse_args()
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
    (asked.findings / "summary.json").write_text(json.dumps(list(latest.values()), indent=1), encoding="utf-8")
    crashed = [worker.exitcode for worker in workers if worker.exitcode]
    if crashed:
        print(f"processes ended with {crashed}: a crash that Python could not tell", file=sys.stderr)
    return 1 if crashed or any(each["findings"] for each in latest.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
