"""An audit hook: while gatewise reads a file, nothing is executed, imported, written, connected to, or read elsewhere.

Python announces what it does (PEP 578, ``sys.addaudithook``); an announcement that falls into gatewise's reading and is
not on the short list below is a :class:`Breach`.  It stops the deed where it would happen, and is remembered, so that
nothing between can swallow it.  Reading is told by the stack: a function of gatewise's that reads is on it.  That costs
little while nothing of the kind is announced; it is in every test, so it must.  Not seen: what C code does without Python, as libhdf5's own files; that
gatewise gives it bytes and no path is what keeps it from those.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Set
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gatewise

GATEWISE = str(Path(gatewise.__file__).resolve().parent) + os.sep
_MAY_BE_IMPORTED = frozenset((*sys.stdlib_module_names, "gatewise", "numpy", "h5py", "ml_dtypes", "tomli", "zstandard"))
_PACKAGES = tuple(sysconfig.get_path(key) + os.sep for key in ("purelib", "platlib"))  # below the standard library's
_CODE = ("exec", "compile", "code.__new__", "marshal.loads", "marshal.load", "function.__new__")
_NEVER = frozenset((
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "os.kill", "os.killpg",
    "os.putenv", "os.unsetenv", "os.chmod", "os.chown", "os.lchown", "os.link", "os.symlink", "os.rename", "os.remove", "os.rmdir",
    "os.mkdir", "os.truncate", "os.utime", "os.setxattr", "os.removexattr", "os.chdir", "os.chroot", "subprocess.Popen", "pty.spawn",
    "pickle.find_class", "sqlite3.connect", "sqlite3.load_extension", "webbrowser.open", "builtins.input", "resource.setrlimit",
    "signal.pthread_kill", "sys.setprofile", "sys.settrace", "code.__new__", "mmap.flush",
))  # fmt: skip
_FAMILIES = ("ctypes", "socket", "shutil", "tempfile", "urllib", "http", "ftplib", "smtplib", "imaplib", "telnetlib", "nntplib",
                   "poplib", "syslog", "winreg", "msvcrt", "fcntl", "ensurepip")  # fmt: skip
_WATCHED = _NEVER | {"open", "import", "os.listdir", "os.scandir", *_CODE}
_READERS = {
    "containers/__init__.py": ("open_tensors", "open_draft", "_claimed", "_guarded", "_stands_for"),
    "tensors.py": ("array",),
    "source.py": ("__init__", "open", "names"),
    "checkpoint/_open.py": ("open",),
    "symptoms/__init__.py": ("explain",),
    "layouts/_user.py": ("read_layout",),
}
_READING_NAMES = ("read", "claims", "stands_for")  # a container's own functions begin so


@functools.cache
def _libraries() -> Set[str]:
    """Asked when it is needed: where Python keeps what it compiled may be settled after this is imported."""
    places = (*sysconfig.get_paths().values(), sys.base_prefix, sys.prefix, sys.pycache_prefix)
    return {GATEWISE.rstrip(os.sep), *(os.path.realpath(place) for place in places if place and place != os.sep)}


class Breach(AssertionError):
    """Something happened while a file was read that has no place there."""


class Watch:
    """The hook.  ``breaches``: the sentences since they were last taken.  ``whole``: a folder; then everything that
    happens counts as reading a model in it."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.whole: str | None = None
        self._homes: set[str] = set()
        self._judging = False
        self._ignored: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in self._ignored or self._judging:
            return
        if event not in _WATCHED and event.partition(".")[0] not in _FAMILIES:
            self._ignored.add(event)
            return
        self._judging = True
        try:
            told = self._judged(event, arguments, sys._getframe(1))
        finally:
            self._judging = False
        if told:
            self.breaches.append(told)
            raise Breach(told)

    def taken(self) -> list[str]:
        found, self.breaches = self.breaches, []
        return found

    def _judged(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> str:
        home = self.whole or self._home(frame)
        if home is None or _while_importing(frame):
            return ""
        homes = self._homes | {self.whole.rstrip(os.sep)} if self.whole else self._homes
        if _fits(event, arguments, frame.f_code.co_filename, homes):
            return ""
        return f"while a file was read: {event}{arguments!r:.300}"

    def _home(self, frame: FrameType | None) -> str | None:
        """The folder of the model that is being read; "" where that is not told; None where nothing is."""
        outermost = None
        while frame is not None:
            module = str(frame.f_globals.get("__name__"))  # to ask for f_code is itself announced: for few frames only
            if module.startswith("_pytest."):
                break  # below are those who run the tests
            if module.startswith("gatewise") and (file := frame.f_code.co_filename).startswith(GATEWISE):
                if f"{os.sep}live{os.sep}" in file:
                    return None  # objects in memory are their framework's, which may do what it likes
                if _reads(file[len(GATEWISE) :], frame.f_code):
                    outermost = frame
                    if frame.f_code.co_name == "read_layout":  # the user named that file too
                        self._homes.add(_named(frame))
            frame = frame.f_back
        if outermost is None:
            return None
        home = _named(outermost)
        if home:
            self._homes.add(home)
        return home


def _while_importing(frame: FrameType | None) -> bool:
    """Is it a library that is being imported?  Numpy sets variables then.  Which libraries may be, is judged by itself."""
    while frame is not None and not frame.f_code.co_filename.startswith(GATEWISE):
        above = frame.f_back
        if frame.f_code.co_name == "<module>" and above and above.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = above
    return False


def _reads(module: str, code: CodeType) -> bool:
    names = _READERS.get(module.replace(os.sep, "/"), ())
    return code.co_name in names or (module.startswith("containers") and code.co_name.startswith(_READING_NAMES))


def _named(frame: FrameType) -> str:
    """The folder that the caller named: a file's own, or a directory."""
    found = frame.f_locals.get("path") or getattr(frame.f_locals.get("source"), "path", None)
    found = found or getattr(frame.f_locals.get("self"), "path", None)
    if not isinstance(found, (str, os.PathLike)):
        return ""
    try:
        path = Path(os.path.realpath(found))  # resolve() raises at links that go in a circle
    except ValueError:  # no name that a file can have
        return ""
    return str(path if path.is_dir() else path.parent)


def _ours_or_python(file: str) -> bool:
    """Code of the standard library and of the libraries that gatewise stands on, not gatewise's own."""
    return file.startswith("<frozen") or (not file.startswith(GATEWISE) and _in(file, _libraries()))


def _in(path: str, *folders: Set[str]) -> bool:
    """Is it one of these folders, or in one?  A run of the tests reads in thousands, so they are not walked."""
    real = os.path.realpath(path)
    while real and not any(real in those for those in folders):
        real = real.rpartition(os.sep)[0]
    return bool(real)


def _fits(event: str, arguments: tuple[Any, ...], caller: str, homes: Set[str]) -> bool:
    """Is it one of the few things that reading a file is made of?"""
    if event == "import":
        return str(arguments[0]).partition(".")[0] in _MAY_BE_IMPORTED
    if event in ("exec", "compile", "code.__new__", "marshal.loads", "marshal.load", "function.__new__"):
        code = arguments[0]
        if isinstance(code, CodeType) and _in(code.co_filename, _libraries()):
            return _may_be_run(code.co_filename)  # the body of a module that is being imported
        return _ours_or_python(caller)  # dataclasses and named tuples are made so; gatewise itself never does it
    if event in ("os.rename", "os.mkdir") and caller.startswith("<frozen importlib"):
        return _in(os.fspath(arguments[0]), _libraries())  # Python keeps what it compiled
    if event == "open":
        return _may_be_opened(*arguments[:3], homes)
    if event in ("os.listdir", "os.scandir"):
        return caller.startswith("<frozen") or _in(os.fspath(arguments[0] or "."), homes, _libraries())
    if event.startswith("ctypes."):
        return _ours_or_python(caller)  # numpy.ctypeslib and the standard library's uuid look for libc
    return False


def _may_be_run(file: str) -> bool:
    """Is it one of the libraries that may be imported?  importlib.import_module announces no import, only this."""
    for folder in _PACKAGES:
        if file.startswith(folder):
            return file[len(folder) :].partition(os.sep)[0].partition(".")[0] in _MAY_BE_IMPORTED
    return True


def _may_be_opened(path: Any, mode: Any, flags: Any, homes: Set[str]) -> bool:
    if isinstance(path, int):
        return True
    text = os.fsdecode(path)
    writes = any(letter in (mode or "r") for letter in "wax+") or bool(
        (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    if writes:
        return ".pyc" in text and _in(text, _libraries())  # Python keeps what it compiled
    return _in(text, homes, _libraries())
