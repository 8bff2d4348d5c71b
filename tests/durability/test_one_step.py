"""A file takes its name in one step, and only a name that it may have: free ones, files that somebody said to replace."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import gatewise as gw
from gatewise.containers import _write
from gatewise.containers._write import atomic
from gatewise.errors import UsageError, WriteRefused

ROOT = os.name == "posix" and os.geteuid() == 0
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def write(path: Path, text: str = "new", **options: object) -> None:
    with atomic(path, **options) as temporary:  # type: ignore[arg-type]
        temporary.write_text(text)


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Names that are taken.


def test_a_name_that_is_taken_is_refused_and_replaced_only_when_forced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(WriteRefused, match="exists already"):
        write(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "old"
    write(tmp_path / "out", force=True)
    assert (tmp_path / "out").read_text() == "new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("links", [True, False], ids=["with hard links", "on a file system without them"])
def test_a_name_that_is_taken_while_the_file_is_written_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", _no_link)

    def meanwhile() -> None:
        with atomic(tmp_path / "out") as temporary:
            temporary.write_text("new")
            (tmp_path / "out").write_text("somebody else's")

    with pytest.raises(WriteRefused, match="exists already"):
        meanwhile()
    assert (tmp_path / "out").read_text() == "somebody else's"
    assert names(tmp_path) == ["out"]


def _no_link(*_names: object, **_options: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_file_system_without_hard_links_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _no_link)
    write(tmp_path / "out")
    assert names(tmp_path) == ["out"]


@posix
def test_of_two_that_write_the_same_name_one_is_refused(tmp_path: Path) -> None:
    for _ in range(20):
        start, told = threading.Barrier(2), []

        def one(word: str, start: threading.Barrier = start, told: list[str] = told) -> None:
            try:
                with atomic(tmp_path / "out") as temporary:
                    temporary.write_text(word)
                    start.wait(60)
                told.append(word)
            except WriteRefused:
                pass

        both = [threading.Thread(target=one, args=(word,)) for word in ("one", "other")]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert told == [(tmp_path / "out").read_text()]
        assert names(tmp_path) == ["out"]
        (tmp_path / "out").unlink()


@posix
@pytest.mark.parametrize("device", ["/dev/null", "/dev/stdout", "pipe"])
def test_a_pipe_or_a_device_is_never_replaced(tmp_path: Path, device: str) -> None:
    path = Path(device) if device.startswith("/") else tmp_path / device
    if device == "pipe":
        os.mkfifo(path)
    if not path.exists() or path.is_file():
        pytest.skip(f"{device} is not there, or a file")
    before = path.stat()
    with pytest.raises(WriteRefused, match="is a pipe or a device"):
        write(path, force=True)
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)


@posix
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("way", ["same", "dotted", "link", "hard link", "through a linked folder"])
def test_what_is_read_is_never_replaced_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, force: bool
) -> None:
    source = tmp_path / "source"
    source.write_text("precious")
    (tmp_path / "folder").symlink_to(tmp_path)
    out = {"dotted": Path("./source"), "same": source, "through a linked folder": tmp_path / "folder/source"}.get(
        way, tmp_path / "other"
    )
    if way == "link":
        out.symlink_to(source)
    elif way == "hard link":
        os.link(source, out)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WriteRefused, match="is the input, which is never touched"):
        write(out, force=force, inputs=[source])
    assert source.read_text() == "precious"


def test_what_is_opened_late_is_not_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "shard").write_text("precious")
    inputs: dict[Path, None] = {}

    def meanwhile() -> None:
        with atomic(tmp_path / "shard", True, (), inputs) as temporary:
            temporary.write_text("new")
            inputs[tmp_path / "shard"] = None

    with pytest.raises(WriteRefused, match="is the input"):
        meanwhile()
    assert (tmp_path / "shard").read_text() == "precious"
    assert names(tmp_path) == ["shard"]


# Links.


@posix
def test_a_link_is_kept_and_the_file_that_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/blob").write_text("old")
    (tmp_path / "out").symlink_to("store/blob")
    with pytest.raises(WriteRefused, match="exists already"):
        write(tmp_path / "out")
    write(tmp_path / "out", force=True)
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "store/blob").read_text() == "new"
    assert (names(tmp_path), names(tmp_path / "store")) == (["out", "store"], ["blob"])


@posix
def test_a_link_may_lead_to_another_file_system(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("NO OTHER FILE SYSTEM IS AT HAND: a link to one is not tested here")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        there = Path(name) / "blob"
        there.write_text("old")
        (tmp_path / "out").symlink_to(there)
        write(tmp_path / "out", force=True)
        assert (there.read_text(), names(there.parent), names(tmp_path)) == ("new", ["blob"], ["out"])
        assert (tmp_path / "out").is_symlink()


@posix
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("leads", ["nowhere", "out"], ids=["to nothing", "to itself"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, leads: str, force: bool) -> None:
    (tmp_path / "out").symlink_to(leads)
    with pytest.raises(WriteRefused):
        write(tmp_path / "out", force=force)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").is_symlink()


@posix
def test_other_hard_links_of_a_replaced_file_keep_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    os.link(tmp_path / "out", tmp_path / "backup")
    write(tmp_path / "out", force=True)
    assert ((tmp_path / "out").read_text(), (tmp_path / "backup").read_text()) == ("new", "old")
    assert (tmp_path / "out").stat().st_nlink == 1


# Permissions.


@posix
@pytest.mark.parametrize("before", [0o600, 0o644, 0o640, 0o755, 0o666])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, before: int) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(before)
    with umask(0o077):
        write(tmp_path / "out", force=True)
    assert mode(tmp_path / "out") == before


@posix
def test_setuid_and_setgid_are_not_carried_over(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o6755)
    write(tmp_path / "out", force=True)
    assert mode(tmp_path / "out") == 0o755


@posix
@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)])
def test_a_new_file_has_what_the_umask_gives(tmp_path: Path, mask: int, expected: int) -> None:
    with umask(mask), atomic(tmp_path / "out") as temporary:
        assert mode(temporary) == expected
        temporary.write_text("new")
    assert mode(tmp_path / "out") == expected


@posix
def test_the_umask_is_never_switched_off_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the whole process's: a file that another thread makes in that moment would be everybody's to write."""
    monkeypatch.setattr(os, "umask", lambda _mask: pytest.fail("the umask was changed"))
    write(tmp_path / "out")
    write(tmp_path / "out", force=True)


@posix
def test_nobody_reads_the_unfinished_file_who_may_not_read_the_one_that_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o600)
    with umask(0), atomic(tmp_path / "out", force=True) as temporary:
        assert mode(temporary) == 0o600
        temporary.write_text("new")


@posix
def test_a_setgid_folder_gives_its_group_to_new_files(tmp_path: Path) -> None:
    if not ROOT:
        pytest.skip("ONLY ROOT CHOOSES A FOLDER'S GROUP FREELY: not tested here")
    os.chown(tmp_path, 0, 12345)
    tmp_path.chmod(0o2775)
    write(tmp_path / "out")
    assert (tmp_path / "out").stat().st_gid == 12345
    assert mode(tmp_path) == 0o2775


@posix
def test_root_leaves_a_file_to_its_owner(tmp_path: Path) -> None:
    if not ROOT:
        pytest.skip("ONLY ROOT GIVES FILES AWAY: not tested here")
    (tmp_path / "out").write_text("old")
    os.chown(tmp_path / "out", 12345, 23456)
    (tmp_path / "out").chmod(0o640)
    write(tmp_path / "out", force=True)
    found = (tmp_path / "out").stat()
    assert (found.st_uid, found.st_gid, mode(tmp_path / "out")) == (12345, 23456, 0o640)


@posix
def test_where_the_group_cannot_be_kept_the_new_one_may_do_no_more_than_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o664)
    old = os.stat_result((*(tmp_path / "out").stat()[:4], 54321, 54321, *(tmp_path / "out").stat()[6:]))
    monkeypatch.setattr(os, "chown", _forbidden)
    _write._keep(tmp_path / "out", old)
    assert mode(tmp_path / "out") == 0o644


def _forbidden(*_arguments: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@posix
def test_a_write_protected_file_is_not_replaced_even_when_forced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    (tmp_path / "out").chmod(0o444)
    with pytest.raises(WriteRefused, match="write-protected"):
        write(tmp_path / "out", force=True)
    assert ((tmp_path / "out").read_text(), names(tmp_path)) == ("old", ["out"])


@posix
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    ran = _as_nobody(tmp_path, 0o555)
    assert ran.splitlines() == ["WriteRefused: out: cannot be written: permission denied."]
    assert names(tmp_path) == []


@posix
def test_a_folder_that_may_be_written_and_not_listed_is_written(tmp_path: Path) -> None:
    assert _as_nobody(tmp_path, 0o333).splitlines() == ["written"]
    assert names(tmp_path) == ["out"]


_NOBODY = """
import os, sys, tempfile
from gatewise.containers._write import atomic
from gatewise.errors import WriteRefused
with tempfile.TemporaryDirectory() as folder, atomic(os.path.join(folder, "first")):
    pass  # so that nothing is imported later, when Python's own files may not be read
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    with atomic("out") as temporary:
        temporary.write_text("new")
    print("written")
except WriteRefused as error:
    print(f"{type(error).__name__}: {error.path}: {error.message}")
"""


def _as_nobody(folder: Path, permissions: int) -> str:
    """What happens when somebody writes ``out`` in the folder who is not root."""
    folder.chmod(permissions)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _NOBODY, folder], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(Path(_write.__file__).parents[2])},
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
    return ran.stdout


# Two files that belong together.


def both(path: Path, text: str, force: bool = False) -> None:
    with atomic(path, force, (".bin",)) as temporary:
        temporary.with_suffix(".bin").write_text(f"weights of {text}")
        temporary.write_text(f"graph of {text}")


def test_two_files_appear_with_their_names_or_not_at_all(tmp_path: Path) -> None:
    both(tmp_path / "out.xml", "one")
    assert names(tmp_path) == ["out.bin", "out.xml"]
    with pytest.raises(UsageError), atomic(tmp_path / "other.xml", False, (".bin",)):
        raise UsageError("has no layer.")
    assert names(tmp_path) == ["out.bin", "out.xml"]


def test_two_files_are_never_replaced_one_after_the_other(tmp_path: Path) -> None:
    both(tmp_path / "out.xml", "one")
    for force in (False, True):  # nobody is told to say --force, and then that it does not help
        with pytest.raises(
            WriteRefused, match=r"exists already, and is one model together with .*so force=True does not"
        ):
            both(tmp_path / "out.xml", "two", force)
    assert (tmp_path / "out.xml").read_text() == "graph of one"
    assert (tmp_path / "out.bin").read_text() == "weights of one"


@pytest.mark.parametrize("there", ["out.bin", "out.xml"])
def test_one_of_two_files_is_not_replaced_either(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("old")
    for force in (False, True):
        with pytest.raises(WriteRefused, match=there.replace(".", r"\.")):
            both(tmp_path / "out.xml", "two", force)
    assert names(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "old"


def test_weights_go_again_when_their_graph_does_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def once(source: Path, target: Path) -> None:
        if Path(target).suffix == ".xml":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        link(source, target)

    monkeypatch.setattr(os, "link", once)
    with pytest.raises(WriteRefused, match="input/output error"):
        both(tmp_path / "out.xml", "one")
    assert names(tmp_path) == []


# What killed processes leave.


def _left(folder: Path, process: int, place: str | None = None, age: float = 0.0, suffix: str = "part") -> Path:
    path = folder / f".gatewise-{place or _write._place()}-{process}-0123abcd.{suffix}"
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def _ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@posix
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    ended = _ended()
    _left(tmp_path, ended)
    _left(tmp_path, ended, suffix="bin")
    write(tmp_path / "out")
    assert names(tmp_path) == ["out"]


@posix
def test_what_a_living_process_is_writing_stays(tmp_path: Path) -> None:
    mine, other = _left(tmp_path, os.getpid()), _left(tmp_path, os.getppid(), age=1e6)
    write(tmp_path / "out")
    assert names(tmp_path) == sorted(("out", mine.name, other.name))


@posix
def test_what_another_machine_is_writing_stays_for_a_day(tmp_path: Path) -> None:
    ended = _ended()
    fresh = _left(tmp_path, ended, place="00000000", age=3600)
    _left(tmp_path, ended + 1, place="00000000", age=25 * 3600)
    write(tmp_path / "out")
    assert names(tmp_path) == sorted(("out", fresh.name))


@posix
def test_nothing_else_is_taken_for_a_temporary_file(tmp_path: Path) -> None:
    ended = _ended()
    kept = [
        f".gatewise-{ended}.part",
        f".gatewise-{_write._place()}-{ended}-0123abcd.part.pt",
        ".gatewise-notes",
        "a.part",
    ]
    for name in kept:
        (tmp_path / name).write_text("mine")
    folder = tmp_path / f".gatewise-{_write._place()}-{ended}-0123abcd.part"
    folder.mkdir()
    (tmp_path / f".gatewise-{_write._place()}-{ended}-0123abce.part").symlink_to("a.part")
    before = names(tmp_path)
    write(tmp_path / "out")
    assert names(tmp_path) == sorted((*before, "out"))


# Names and sentences.


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 251 + ".npy"))
    assert [len(name) for name in names(tmp_path)] == [255]


def test_a_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(WriteRefused, match="too long"):
        write(tmp_path / ("n" * 300 + ".npy"))
    assert names(tmp_path) == []


def test_the_temporary_files_name_is_told_to_nobody(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused, atomic(tmp_path / "out") as temporary:
        raise UsageError("is odd.", path=temporary)
    assert refused.value.path == str(tmp_path / "out")


@posix
def test_a_name_that_the_disk_did_not_confirm_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refuses(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(WriteRefused, match="is written and whole, but the disk did not confirm its name"):
        write(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "new"
    assert names(tmp_path) == ["out"]


@posix
def test_what_could_not_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _broken)
    monkeypatch.setattr(Path, "unlink", _broken)
    with pytest.raises(
        WriteRefused, match=r"read-only file system\. Nothing was changed\. .*part could not be removed"
    ):
        write(tmp_path / "out")


def _broken(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize("name", ["a\0b.npz", "half a pair \ud800.npz"])
def test_what_no_file_can_be_called_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name that a file can have"):
        gw.open(tmp_path / name)
    with pytest.raises(WriteRefused, match="is no name that a file can have"), atomic(f"{tmp_path}/{name}"):
        pass
    assert list(tmp_path.iterdir()) == []
