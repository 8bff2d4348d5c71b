"""A process that runs command lines in children of its own, where something happens at a chosen call to the system.

``python points.py`` reads lines of JSON (``{"words": […], "folder": …, "what": …, "at": …}``) and answers each with one.
Python tells a profile function of every call from Python into C before it happens and after it returned; those that
change or sync files are the *points*.  At the ``at``-th point the child is killed, interrupted, or told that the call
failed (``what``: ``kill``, the name of a signal or of an errno, ``nothing``); or no file may grow past ``at`` bytes
(``limit``).  Children are forked after the process itself has
done the deed once, so that no child imports anything.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "src")]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process of several threads is not forked

import deeds  # noqa: E402

from gatewise.cli._run import run  # noqa: E402

CHANGE = frozenset((
    "open", "write", "writelines", "flush", "fsync", "close", "link", "rename", "replace", "unlink", "remove", "rmdir", "mkdir",
    "truncate", "ftruncate", "chmod", "chown", "fchmod", "sendfile", "copy_file_range", "posix_fallocate",
))  # fmt: skip
MODULES = ("posix", "_io", "io")


class Points:
    """The profile function: counts points, and does its deed at one of them."""

    def __init__(self, what: str, at: int):
        self.what, self.at = what, at
        self.seen: list[str] = []

    def __call__(self, frame: FrameType, event: str, called: Any) -> None:
        if event not in ("c_call", "c_return") or getattr(called, "__name__", "") not in CHANGE:
            return
        owner = getattr(called, "__self__", None)
        home = called.__module__ or type(owner).__module__
        if home not in MODULES or owner in (sys.stdout, sys.stderr):
            return
        self.seen.append(f"{'before' if event == 'c_call' else 'after'} {called.__name__} in {_place(frame)}")
        if len(self.seen) - 1 == self.at:
            self._happen()

    def _happen(self) -> None:
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.what.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, self.what))
        elif self.what not in ("nothing", "limit"):
            number = getattr(errno, self.what)
            raise OSError(number, os.strerror(number))


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"


def _child(asked: dict[str, Any], told: Path) -> None:
    os.chdir(asked["folder"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(told / name, os.O_WRONLY | os.O_CREAT), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGTERM, signal.SIGHUP):  # nohup and some runners have them ignored, which is passed on
        signal.signal(each, signal.SIG_DFL)
    points = Points(asked["what"], asked["at"])
    if asked["what"] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["at"], resource.RLIM_INFINITY))
    sys.setprofile(points)
    try:
        code = run(asked["words"])
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.setprofile(None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    sys.stdout.flush()
    sys.stderr.flush()
    (told / "points").write_text(json.dumps(points.seen))
    os._exit(code)


def performed(asked: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        told = Path(name)
        child = os.fork()
        if not child:
            try:
                _child(asked, told)
            finally:
                os._exit(71)
        _, status = os.waitpid(child, 0)
        points = told / "points"
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": (told / "out").read_text(),
            "err": (told / "err").read_text(),
            "points": json.loads(points.read_text()) if points.exists() else [],
        }


@functools.cache
def warm(deed: deeds.Deed) -> None:
    """It is done once, so that no child imports anything."""
    with tempfile.TemporaryDirectory() as folder:
        deed.prepare(Path(folder))
        before = Path.cwd()
        os.chdir(folder)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        try:
            assert run(deed.words) == 0, deed.words
        finally:
            os.chdir(before)
            sys.stdout = sys.__stdout__


def deed_of(words: list[str]) -> deeds.Deed:
    plain = tuple(word for word in words if word != "--force")
    return next(each for each in deeds.DEEDS if each.words == plain)


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        warm(deed_of(asked["words"]))
        print(json.dumps(performed(asked)), flush=True)
