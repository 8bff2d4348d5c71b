"""A growing file is forced to the disk in a thread meanwhile.  What the disk says there is not lost, and nobody who was
interrupted waits for it."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatewise.containers import _early
from gatewise.containers._write import atomic
from gatewise.errors import WriteRefused

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere no file that is open can be renamed")
WORTH = _early._WORTH
MAIN = threading.main_thread()


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_early, "processors", lambda: 2)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert soon(lambda: not ours())


def ours() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "gatewise-disk"]


def soon(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    return true()


def descriptors() -> int:
    known = Path("/proc/self/fd")
    return len(list(known.iterdir())) if known.exists() else 0


class Disk:
    """In place of os.fsync: notes who asks, and does in the thread what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None):
        self.early, self.last = threading.Event(), 0
        self._meanwhile, self._sync = meanwhile, os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        if threading.current_thread() is MAIN:
            self.last += 1
        else:
            self.early.set()
            self._meanwhile()
        self._sync(descriptor)


def grow(path: Path, disk: Disk, size: int = WORTH, seconds: float = 60, interrupted: bool = False) -> None:
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            file.truncate(size)
        assert disk.early.wait(seconds) is (seconds > 1)
        if interrupted:
            raise KeyboardInterrupt


def test_a_large_file_is_forced_early_and_once_more_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    grow(tmp_path / "out", disk)
    assert disk.last == 2  # the file, the folder
    assert (tmp_path / "out").stat().st_size == WORTH


def test_a_small_one_only_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    grow(tmp_path / "out", disk, WORTH - 1, 0.1)
    assert disk.last == 2


def test_what_the_disk_says_once_and_early_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WriteRefused, match="was not written: no space left on device"):
        grow(tmp_path / "out", Disk(monkeypatch, full))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_does_not_wait_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()
    disk = Disk(monkeypatch, lambda: bool(slow.wait(60)) or None)
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "out", disk, interrupted=True)
    assert list(tmp_path.iterdir()) == []
    assert ours()  # it still waits
    slow.set()


@pytest.mark.parametrize("lacking", ["a processor", "a thread", "a descriptor"])
def test_without_means_the_file_is_forced_in_the_end_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread") if lacking == "a thread" else OSError(errno.EMFILE, "too many")

    if lacking == "a processor":
        monkeypatch.setattr(_early, "processors", lambda: 1)
    elif lacking == "a thread":
        monkeypatch.setattr(threading.Thread, "start", none)
    else:
        monkeypatch.setattr(os, "dup", none)
    disk = Disk(monkeypatch)
    before = descriptors()
    grow(tmp_path / "out", disk, seconds=0.1)
    assert disk.last == 2
    assert before == descriptors()
