"""A process in which hostile files are opened: each in a child of its own that is watched, timed, weighed and bounded.

``python guard.py`` reads lines of JSON (``{"path": …, "deed": …, "home": …}``) and answers each with one: what came of it, the
seconds of processor time of the longest command, the bytes of memory above those that the bare imports take, and what the audit hook saw.
Children are forked after everything was imported, so that imports are nobody's cost.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "src")]

from auditing import Watch  # noqa: E402
from reading import FIXTURES, read_whole  # noqa: E402

import gatewise as gw  # noqa: E402
from gatewise.errors import GatewiseError  # noqa: E402

ROOM = 1 << 30  # bytes of address space that a child may take: a backstop
PATIENCE = 10  # seconds of processor time after which a child is ended: another


Tick = Callable[[], None]


def _unsafe(path: Path, tick: Tick) -> None:
    """Read it; and the doctor has to say that loading it is not safe."""
    read_whole(path, tick)
    if not any(finding.severity == "unsafe" for finding in gw.diagnose(path)):
        raise AssertionError("the doctor finds nothing unsafe in it")


def _explain(path: Path, _tick: Tick) -> None:
    gw.explain(path.read_text(encoding="utf-8", errors="replace"))


def _layout(path: Path, _tick: Tick) -> None:
    """A layout of a user's own, put to use on the honest file that lies beside it."""
    gw.open(path.with_name("model.npz"), layout=str(path)).gates()


DEEDS: dict[str, Callable[[Path, Tick], None]] = {
    "read": read_whole,
    "unsafe": _unsafe,
    "explain": _explain,
    "layout": _layout,
}


def _memory(key: str) -> int:
    """Bytes, of VmHWM or VmRSS; without /proc (macOS) the peak alone, of which the later minus the earlier is what counts."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _attempt(asked: dict[str, Any], watch: Watch) -> dict[str, Any]:
    before, times = _memory("VmRSS"), [time.process_time()]
    told: dict[str, Any] = {
        "outcome": "opened",
        "kinds": ["opened"],
        "message": "",
        "where": None,
        "next": None,
        "path": None,
        "trace": "",
    }
    watch.whole = asked["home"]
    try:
        DEEDS[asked["deed"]](Path(asked["path"]), lambda: times.append(time.process_time()))
    except GatewiseError as error:
        kinds = [each.__name__ for each in type(error).__mro__]
        told |= {
            "outcome": kinds[0],
            "kinds": kinds,
            "message": str(error),
            "where": error.where,
            "next": error.next,
            "path": error.path,
        }
    except BaseException as error:
        watch.whole = None  # a traceback is made of source files
        told |= {
            "outcome": type(error).__name__,
            "kinds": [],
            "message": str(error)[:500],
            "trace": traceback.format_exc()[-3000:],
        }
    watch.whole = None
    times.append(time.process_time())
    return told | {
        "seconds": max(later - sooner for sooner, later in itertools.pairwise(times)), "bytes": max(0, _memory("VmHWM") - before), "breaches": watch.taken(),
    }  # fmt: skip


def _in_a_child(asked: dict[str, Any], watch: Watch) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE + 1))
            if sys.platform == "linux":
                size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + ROOM
                resource.setrlimit(resource.RLIMIT_AS, (size, size))
            with open(writer, "w") as out:
                json.dump(_attempt(asked, watch), out)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if text:
        found: dict[str, Any] = json.loads(text)
        return found
    ended = (
        signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
    )
    return {
        "outcome": f"the process ended: {ended}",
        "kinds": [],
        "message": "",
        "breaches": [],
        "seconds": PATIENCE,
        "bytes": 0,
        "trace": "",
    }


def _warm() -> None:
    """Everything that reading imports, once, over honest files: what a library does when it is imported is no attack's."""
    from gatewise.containers import containers

    importlib.import_module("h5py")
    importlib.import_module("ml_dtypes")
    gw.layouts()
    containers()
    gw.explain("RuntimeError: Error(s) in loading state_dict for LSTM")
    for pattern in (
        "torch/2.13.0/*.pt",
        "keras/keras-3/*.keras",
        "keras/keras-2.2.4*/*.h5",
        "onnx/*/*.onnx",
        "tf/*/*.index",
    ):
        for path in sorted(FIXTURES.glob(pattern))[:1]:
            read_whole(path)


def main() -> None:
    _warm()
    gc.freeze()  # else every child's collector writes to all that was imported, and has it copied
    watch = Watch()
    sys.addaudithook(watch)
    print("{}", flush=True)  # ready
    for line in sys.stdin:
        print(json.dumps(_in_a_child(json.loads(line), watch)), flush=True)


if __name__ == "__main__":
    main()
