"""Writing that loses nothing: a temporary file beside the target, forced to disk, then renamed over it.

Until the rename the old file is whole, after it the new one is; an interrupted write leaves neither half.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import WriteRefused


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], force: bool = False, beside: tuple[str, ...] = ()) -> Iterator[Path]:
    """A temporary path to write to; it becomes ``path`` when the block ends well, and vanishes when it does not.

    ``beside``: suffixes of files that are written with it under the same stem (``.bin``); they are renamed first, so
    that ``path`` never stands without them.
    Raises WriteRefused when ``path`` exists (unless ``force``), is a directory, or its folder cannot be written.
    """
    target = Path(path)
    for each in (target, *(target.with_suffix(suffix) for suffix in beside)):
        _refuse_target(each, force)
    # The name is chosen before the file is made, so that an interrupt finds it whenever it comes.
    temporary = target.with_name(f".gatewise-{os.urandom(6).hex()}.part")
    try:
        _make(temporary, path)
        yield temporary
        for suffix in beside:
            _finish(temporary.with_suffix(suffix), target.with_suffix(suffix))
        _finish(temporary, target)
    except OSError as error:
        raise WriteRefused(
            f"was not written: {(error.strerror or str(error)).lower()}.", path=path, next="Nothing was changed."
        ) from error
    finally:
        for each in (temporary, *(temporary.with_suffix(suffix) for suffix in beside)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # it was renamed, or never made
                each.unlink()


def _make(temporary: Path, path: str | os.PathLike[str]) -> None:
    """An empty file that nobody else may read, where there was none."""
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise WriteRefused(
            f"cannot be written: {(error.strerror or str(error)).lower()}.", path=path,
            next="Choose a folder that exists and is writable.",
        ) from None  # fmt: skip


def _refuse_target(target: Path, force: bool) -> None:
    if target.is_dir():
        raise WriteRefused("is a directory.", path=target, next="Name a file.")
    if target.exists() and not force:
        raise WriteRefused("exists already.", path=target, next="Choose another name, or pass --force to replace it.")


def _finish(temporary: Path, target: Path) -> None:
    """Permissions of the file that is replaced, or the usual ones; then onto the disk, then the name."""
    if target.exists():
        mode = target.stat().st_mode & 0o7777
    else:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    temporary.chmod(mode)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
