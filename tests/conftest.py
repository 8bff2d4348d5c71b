"""What every test shares: frameworks that are not there are skipped loudly, with the reason, and listed at the end.

A test that compares with real frameworks names them: ``@pytest.mark.framework("torch", "keras")``.  An audit hook watches
every file that gatewise reads in any test (``auditing.py``): what has no place in reading fails the test.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import operator
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# The workers share the cores: a library that starts a thread for each of them, in every process, keeps others waiting.
for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
from auditing import Watch  # noqa: E402

# How fast a shared machine happens to be decides on no test; what must be fast has a test of its own that says so.
hypothesis.settings.register_profile("gatewise", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("gatewise")
os.environ.setdefault("KERAS_BACKEND", "torch")
WATCH = Watch()
sys.addaudithook(WATCH)
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


def pytest_configure(config: pytest.Config) -> None:
    """Where the environment keeps Python from writing down what it compiled, every run and each of the hundreds of processes
    that tests start would compile all tests and gatewise anew: they write it into pytest's own folder."""
    starts_tests = hasattr(config, "workerinput") or not config.getoption("numprocesses", None)
    if starts_tests and os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(config.rootpath / ".pytest_cache" / "compiled")
        sys.dont_write_bytecode = False


def pytest_collection() -> None:
    """Thousands of tests that stay to the end are nothing that the garbage collector must look at again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _draw_the_same_numbers() -> None:
    """Whatever ran before in this process: a difference that is small enough is so in every order, or in none."""
    random.seed(0)
    for name, seed in (("numpy.random", "seed"), ("torch", "manual_seed"), ("mlx.core", "random.seed")):
        if module := sys.modules.get(name):
            operator.attrgetter(seed)(module)(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    _draw_the_same_numbers()
    for marker in item.iter_markers("framework"):
        for framework in marker.args:
            reason = why_absent(framework)
            if reason is not None:
                pytest.skip(f"{_ABSENT}{framework}: {reason}")


@pytest.fixture(autouse=True)
def _nothing_happens_while_a_file_is_read() -> Iterator[None]:
    """A breach stops what would have happened; here it also fails the test, in case something swallowed it."""
    WATCH.taken()
    yield
    breaches = WATCH.taken()
    if breaches:
        pytest.fail("\n".join(breaches), pytrace=False)


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
