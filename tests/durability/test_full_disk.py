"""The real thing: a file that may not grow, a disk without room, a disk without room for one more name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deeds import DEEDS, Deed
from points_server import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits are set in a child")
SOME = pytest.mark.parametrize(
    "deed",
    [each if at % 8 == 3 else pytest.param(each, marks=pytest.mark.slow) for at, each in enumerate(DEEDS)],
    ids=str,
)
PAGE = 4096


def content(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}


def refused(server: Server, deed: Deed, folder: Path, what: str = "nothing", at: int = -1) -> str:
    """The sentence.  Nothing else has happened."""
    before = content(folder)
    done = server(folder, deed.words, what, at)
    assert (done["code"], done["out"], done["err"].count("\n")) == (2, "", 1), done["err"]
    assert content(folder) == before
    text: str = done["err"]
    assert text.startswith(f"gatewise: {deed.outputs[-1]}: "), text
    return text


@SOME
def test_a_file_that_may_not_grow_is_told_and_leaves_nothing(server: Server, tmp_path: Path, deed: Deed) -> None:
    deed.prepare(tmp_path)
    assert server(tmp_path, deed.words)["code"] == 0
    sizes = [(tmp_path / name).stat().st_size for name in deed.outputs]
    for name in deed.outputs:
        (tmp_path / name).unlink()
    for limit in (max(sizes) // 2, max(sizes) - 1):
        text = refused(server, deed, tmp_path, "limit", limit)
        assert "was not written: file too large. Nothing was changed." in text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """64 pages of memory as a disk, with a handful of names."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("ONLY ROOT MOUNTS A DISK OF A FEW PAGES, ON LINUX: a full disk is not tested here")
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size={64 * PAGE},nr_inodes=40"
    ran = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
    if ran.returncode:
        pytest.skip(f"NO DISK CAN BE MOUNTED HERE ({ran.stderr.strip()}): a full disk is not tested")
    yield place
    subprocess.run(["umount", place], check=True)


def _fill(disk: Path, free: int) -> None:
    """All pages but some."""
    left = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize // PAGE
    (disk / "filler").write_bytes(bytes((left - free) * PAGE))


def _refused(server: Server, disk: Path, deed: Deed, said: str) -> bool:
    """Runs the deed on the disk: was it refused?  Then with these words, and all is as it was; else its files are there."""
    before = content(disk)
    done = server(disk, deed.words)
    if done["code"] == 0:
        assert set(content(disk)) == {*before, *deed.outputs}
        return False
    assert (done["code"], done["out"]) == (2, "")
    assert said in done["err"]
    assert content(disk) == before
    return True


@SOME
def test_a_full_disk_is_told_and_leaves_nothing(server: Server, small_disk: Path, deed: Deed) -> None:
    deed.prepare(small_disk)
    refusals = 0
    for free in range(20):
        _fill(small_disk, free)
        if not _refused(server, small_disk, deed, "was not written: no space left on device. Nothing was changed."):
            break
        refusals += 1
        (small_disk / "filler").unlink()
    else:
        pytest.fail("it was refused with room enough")
    assert refusals


@SOME
def test_a_disk_without_room_for_another_name_is_told(server: Server, small_disk: Path, deed: Deed) -> None:
    deed.prepare(small_disk)
    (small_disk / "names").mkdir()
    names = 0
    try:
        while True:
            (small_disk / f"names/{names}").touch()
            names += 1
    except OSError:
        pass
    refusals = 0
    while _refused(server, small_disk, deed, "no space left on device"):
        refusals += 1
        names -= 1
        (small_disk / f"names/{names}").unlink()
    assert refusals
