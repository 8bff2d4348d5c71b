"""Writing that loses nothing: a temporary file beside the target, forced to disk, which then takes the target's name in
one step.  Until that step the old file is whole, after it the new one is.

* A name that is taken is refused without ``force``, also when it was taken while the file was being written.
* What is read to make the file is never replaced, whatever name it is given by: a link, another path, another case.
* A link is kept: the file that it leads to is replaced.  Other hard links of a replaced file keep the old content.
* Permissions and, where that is allowed, the owner of a replaced file are kept; setuid, setgid and ACLs are not.  A new
  file has what the umask and the folder give.
* The disk is at work while more is written and while that is read back, so that little is left for the last word.
* An interrupt or an error removes what was begun.  A killed process cannot: it leaves ``.gatewise-….part``, which the
  next write into the folder removes once its process is gone.

Not known here: any file format.  Not promised: that a file system without hard links (FAT) and without Windows' rename
notices a name that is taken in the last microseconds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..errors import GatewiseError, WriteRefused
from ._early import Early

Place = str | os.PathLike[str]
_TEMPORARY = re.compile(r"\.gatewise-([0-9a-f]{8})-(\d+)-\w+\.[a-z]+")  # the place, the process, chance
_FORGOTTEN = 24 * 3600  # seconds without a change after which a temporary file of another machine has no owner
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}  # no hard links here
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # folders cannot be synchronised here
_OTHER = "Choose another name for the output."


@contextlib.contextmanager
def atomic(
    path: Place, force: bool = False, beside: tuple[str, ...] = (), inputs: Collection[Place] = ()
) -> Iterator[Path]:
    """A temporary path to write to; it becomes ``path`` when the block ends well, and vanishes when it does not.

    ``beside``  suffixes of files that are written with it under the same stem (``.bin``); they get their names first, so
                that ``path`` never stands without them.  No two files are replaced in one step: then all must be new
    ``inputs``  files that are read meanwhile; asked again at the end, since some are opened when they are needed
    Raises WriteRefused when ``path`` is taken (unless ``force``), is one of the inputs or no file, may not be written,
    or the disk refuses; then nothing is changed.
    """
    files: list[_File] = []
    try:
        refuse_folder(path)
        target = _checked(Path(path), force, beside, inputs)
        _remove_abandoned(target.parent)
        # The names are chosen before the files are made, so that an interrupt finds them whenever it comes.
        temporary = target.with_name(f".gatewise-{_place()}-{os.getpid()}-{os.urandom(4).hex()}.part")
        files += [_File(target, temporary)]
        files += [_File(target.with_suffix(suffix), temporary.with_suffix(suffix)) for suffix in beside]
        for each in files:
            each.make(path)
            each.begin()
        yield temporary
        _refuse_inputs((each.target for each in files), inputs)
        _finish(files[::-1], force and not beside)
    except OSError as error:
        raise WriteRefused(f"was not written: {_reason(error)}.", path=path, next=_unmade(files)) from error
    except GatewiseError as error:  # the temporary file's name means nothing to anybody
        ours = {str(Path(path)), *(str(each.temporary) for each in files), *(str(each.target) for each in files[:1])}
        error.path = os.fspath(path) if error.path in ours else error.path
        raise
    finally:
        _unmade(files)


class _File:
    """A file in the making.  It is held open, so that its disk's last word on it is heard."""

    def __init__(self, target: Path, temporary: Path):
        self.target, self.temporary = target, temporary
        self._fresh = True
        self._descriptor = -1
        self._early: Early | None = None
        self._made: tuple[int, int] | None = None  # which file on which disk

    def make(self, path: Place) -> None:
        """An empty file where there was none, which nobody may read who may not read the finished one."""
        self._fresh = not self.target.exists()
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
            self._descriptor = os.open(self.temporary, flags, 0o666 if self._fresh else 0o600)
            self._made = _identity(os.fstat(self._descriptor))
        except OSError as error:
            raise WriteRefused(
                f"cannot be written: {_reason(error)}.", path=path,
                next="Choose a folder that exists and is writable." + _left([self]),
            ) from None  # fmt: skip

    def begin(self) -> None:
        """Let the disk begin while the file grows."""
        self._early = Early.of(self._descriptor)

    def close(self) -> None:
        """The replaced file's permissions, and everything onto the disk."""
        if not self._fresh and self.target.exists():
            _keep(self.temporary, self.target.stat())
        if self._early is not None:
            self._early.wait()
        os.fsync(self._descriptor)
        self.release()

    def release(self) -> None:
        if self._early is not None:
            self._early.end()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def take_name(self, force: bool) -> None:
        if force:
            self.temporary.replace(self.target)
        else:
            _take_free_name(self.temporary, self.target)

    def remove(self) -> None:
        """The temporary file, as far as it is there."""
        with contextlib.suppress(OSError):
            self.release()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def has_name(self) -> bool:
        """Told by what stands there: an interrupt may come between a deed and the note of it."""
        with contextlib.suppress(OSError):
            return _identity(self.target.stat()) == self._made
        return False


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _keep(temporary: Path, old: os.stat_result) -> None:
    """The owner and the permissions of the file that is replaced.  Where its group cannot be kept, the group that the new
    one has may do no more than everybody."""
    mode = old.st_mode & 0o777
    now = temporary.stat()
    if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (now.st_uid, now.st_gid):
        try:
            os.chown(temporary, old.st_uid, old.st_gid)
        except PermissionError:
            try:
                os.chown(temporary, -1, old.st_gid)
            except PermissionError:
                mode = mode & 0o707 | (mode & 0o007) << 3
    temporary.chmod(mode)


def _finish(files: list[_File], force: bool) -> None:
    """Everything onto the disk, then the names."""
    folder = _opened_folder(files[0].target.parent)
    try:
        for each in files:
            each.close()
        for each in files:
            each.take_name(force)
        if folder is not None:
            _sync(folder, files[-1].target)
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):  # nothing was written through it
                os.close(folder)


def _take_free_name(temporary: Path, target: Path) -> None:
    """Give the file the name, unless somebody has it, in one step."""
    try:
        if os.name == "nt":  # where rename refuses a name that is taken
            temporary.rename(target)
        else:
            os.link(temporary, target)
            with contextlib.suppress(OSError):  # it is written; a name too many is :func:`_unmade`'s
                temporary.unlink()
    except FileExistsError:
        if not target.samefile(temporary):  # a network's file system may do it and then say that it was done
            raise _taken(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise _taken(target) from None
        temporary.replace(target)


def _opened_folder(folder: Path) -> int | None:
    if not hasattr(os, "O_DIRECTORY"):
        return None
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written and not listed
        return None


def _sync(folder: int, target: Path) -> None:
    """The new name onto the disk.  It has been given: what fails now cannot be called back, and is told as it is."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise WriteRefused(
                f"is written and whole, but the disk did not confirm its name: {_reason(error)}.", path=target,
                next="Look after the disk: a power cut may bring the old state back.",
            ) from error  # fmt: skip


# What is refused.


def _checked(path: Path, force: bool, beside: tuple[str, ...], inputs: Collection[Place]) -> Path:
    """The file to make or to replace: ``path``, or where a link leads."""
    _refuse_name(path)
    companions = [path.with_suffix(suffix) for suffix in beside]
    _refuse_inputs((path, *companions), inputs)
    for each in (path, *companions):
        _refuse_target(each, force or bool(companions))
    taken = [each for each in (path, *companions) if companions and each.exists()]
    if taken:
        others = " and ".join(each.name for each in (path, *companions) if each != taken[0])
        raise WriteRefused(
            f"exists already, and is one model together with {others}: no two files can be replaced in one step, so --force "
            "does not replace them.", path=taken[0], next="Remove what is there first, or choose another name.",
        )  # fmt: skip
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def refuse_folder(path: Place) -> None:
    """What is written is a file.  A name that ends with a slash means a folder, which a Path would forget.  Raises
    WriteRefused."""
    text = os.fspath(path)
    if text.endswith((os.sep, os.altsep or os.sep)) or Path(text).is_dir():
        raise WriteRefused(
            "is a folder, and what is written is a file.", path=text,
            next=f"Name a file in it, such as {Path(text) / 'model.keras'}.",
        )  # fmt: skip


def _refuse_name(path: Path) -> None:
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half a surrogate pair
        possible = False
    if not possible:
        raise WriteRefused("is no name that a file can have.", path=path, next=_OTHER)


def _refuse_inputs(targets: Iterable[Path], inputs: Collection[Place]) -> None:
    known = [Path(each) for each in inputs]
    for target in targets:
        if any(target.exists() and each.exists() and target.samefile(each) for each in known):
            raise WriteRefused("is the input, which is never touched.", path=target, next=_OTHER)


def _refuse_target(target: Path, force: bool) -> None:
    try:
        found = target.stat()
    except FileNotFoundError:
        if target.is_symlink():
            raise WriteRefused("is a link that leads nowhere.", path=target, next=f"Remove it. {_OTHER}") from None
        return
    except OSError as error:
        raise WriteRefused(
            f"cannot be written: {_reason(error)}.", path=target, next="Choose a folder that exists and is writable."
        ) from None
    if stat.S_ISDIR(found.st_mode):
        raise WriteRefused("is a directory.", path=target, next="Name a file.")
    if not stat.S_ISREG(found.st_mode):
        raise WriteRefused("is a pipe or a device, not a file.", path=target, next="Name a file.")
    if not force:
        raise _taken(target)
    if not (found.st_mode & 0o222 and os.access(target, os.W_OK)):  # root may, but somebody asked that nobody does
        raise WriteRefused("is write-protected, and --force does not change that.", path=target, next=_OTHER)


def _taken(target: Path) -> WriteRefused:
    return WriteRefused("exists already.", path=target, next="Choose another name, or pass --force to replace it.")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).rstrip(".").lower()


# What is left.


def _unmade(files: list[_File]) -> str:
    """Remove what was begun and is not whole, and say so.  Files beside one that has no name lose theirs."""
    for each in files[::-1]:
        if each.has_name() and not files[0].has_name():
            with contextlib.suppress(OSError):
                each.target.unlink()
        each.remove()
    return f"Nothing was changed.{_left(files)}"


def _left(files: list[_File]) -> str:
    left = [each.temporary for each in files if os.path.lexists(each.temporary)]
    return f" {left[0]} could not be removed." if left else ""


def _remove_abandoned(folder: Path) -> None:
    """Temporary files in the folder whose process is gone.  What cannot be told is left alone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and _abandoned(entry, found[1], int(found[2])):
                with contextlib.suppress(OSError):
                    Path(entry).unlink()


def _abandoned(entry: os.DirEntry[str], place: str, process: int) -> bool:
    if place == _place() and os.name == "posix":
        return not _runs(process)
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)  # no signal, only the question
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


@functools.cache
def _place() -> str:
    """Where a number means one process: this machine since it was started, and the container in it."""
    said = [(os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")).encode()]
    with contextlib.suppress(OSError):
        said.append(Path("/proc/sys/kernel/random/boot_id").read_bytes())
    with contextlib.suppress(OSError):
        said.append(bytes(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(b' '.join(said)):08x}"
