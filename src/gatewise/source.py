"""Where bytes come from: one mapped file, and the folder in which it lies.

A :class:`Source` is what a container reads.  Many formats are several files (a TensorFlow checkpoint and its shards, an
ONNX model and its external data, a SavedModel's directory), so a source knows its :class:`Folder`: the directory beside
the file, or the directory or packed archive that the user named.  Nothing outside that folder can be reached: names
are relative, never climb, and a link that leads out is refused.  Not known here: any file format but tar and gzip.
"""

from __future__ import annotations

import abc
import bisect
import errno
import mmap
import os
import stat
import zlib
from collections.abc import Iterable, Iterator

from .cursor import DEFAULT_LIMITS, Cursor, Limits
from .errors import BrokenFile, UsageError, nearest
from .record import lazy

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_LARGE_PAGE = 1 << 21
_WORTH = 1 << 15  # bytes of an array, of which it is worth while to give the pages back
_ADVISED = hasattr(mmap, "MADV_WILLNEED")  # not on Windows


class Source:
    """Bytes, mapped read-only.  ``data`` is a memoryview of the whole; nothing is read until it is looked at.

    ``name``    the path of the file or the directory, as text
    ``path``    the same as a Path, made when asked for: most files are opened without importing pathlib
    ``folder``  what lies beside a file; what lies in a directory or in a packed archive, whose ``data`` is empty
    ``whole``   was a directory or an archive named, rather than a file?
    ``files``   what was opened for it, more as more is needed: this file, and those of its folder (keys)
    An empty file has empty ``data``.  The map lives as long as anything that was cut from it.
    """

    def __init__(
        self, path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS, files: dict[str, None] | None = None
    ):
        self.name = as_text(path)
        self.limits = limits
        self.files = {} if files is None else files
        self.whole = _is_directory(self.name)
        self.data = memoryview(b"" if self.whole else _mapped(self.name))
        self.size = len(self.data)
        if not self.whole:
            self.files[self.name] = None
        if self.look(0, 2) == _GZIP:
            self._unpack()

    @classmethod
    def of(cls, data: memoryview, path: Path, folder: Folder, limits: Limits) -> Source:
        """Bytes that are already there: a member of an archive."""
        made = cls.__new__(cls)
        made.name, made.limits, made.whole, made.data, made.folder = str(path), limits, False, data, folder
        made.size, made.files = len(data), {}
        return made

    @lazy
    def path(self) -> Path:
        from pathlib import Path

        return Path(self.name)

    @lazy
    def folder(self) -> Folder:
        return _Directory(self.path if self.whole else self.path.parent, self.limits, self.files)

    def _unpack(self) -> None:
        """What gzip packed as a whole is opened: a tar archive as the folder that it is, else the one file in it."""
        plain = memoryview(_gunzipped(self.data, self.name, self.limits))
        if bytes(plain[257:262]) == b"ustar":
            self.folder, self.whole, self.data = _Archive(plain, self.path, self.limits), True, memoryview(b"")
        else:
            self.data = plain
        self.size = len(plain)

    def look(self, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end``, read without those around them.  Where a map is touched, the system reads on from
        there, megabytes on some disks: worth it for a tensor, not for a header in a file that is only listed."""
        part, ground = self.data[start:end], self.data.obj
        if len(self.data) < _LARGE_PAGE or not len(part) or not _ADVISED:
            return bytes(part)
        if not isinstance(ground, mmap.mmap) or len(ground) != len(self.data):
            return bytes(part)
        first = start - start % mmap.PAGESIZE
        extent = first, start + len(part) - first
        ground.madvise(mmap.MADV_RANDOM, *extent)
        ground.madvise(mmap.MADV_WILLNEED, *extent)
        try:
            return bytes(part)
        finally:
            ground.madvise(mmap.MADV_NORMAL, *extent)

    def cursor(self, start: int = 0, end: int | None = None, where: str = "") -> Cursor:
        """A cursor over bytes ``start`` to ``end`` of the file."""
        return Cursor(
            self.data[start : len(self.data) if end is None else end], path=self.name, where=where, base=start
        )


def as_text(path: str | os.PathLike[str]) -> str:
    """What ``str(Path(path))`` gives; for a path that this leaves as it is, without pathlib.  Raises UsageError for what is
    no path."""
    try:
        text = os.fspath(path)
    except TypeError:
        raise UsageError(f"{path!r:.60} is no path.", next="Name a file, as a text or a Path.") from None
    if os.sep == "/" and isinstance(text, str) and text and not ("//" in text or "./" in text or text[-1] in "/."):
        return text
    if not text:
        raise UsageError("no file is named: the path is empty.", next="Name a file, or a folder: . is this one.")
    from pathlib import Path

    return str(Path(path))


def _is_directory(path: str) -> bool:
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116  # a Path would cost the import
            return False
    except (OSError, ValueError):  # no such file; no name that a file can have
        return False
    if not os.access(path, os.R_OK | os.X_OK):  # else the first file that is looked for in it would be blamed
        raise _unreadable(path, os.strerror(errno.EACCES))
    return True


def _mapped(path: str) -> mmap.mmap | bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # opening a pipe would wait, a device has no end
            raise UsageError(
                "is a pipe or a device, not a file.", path=path, next="Pipe it in and name it -, or save it first."
            )
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
    except FileNotFoundError:
        raise UsageError("there is no such file.", path=path, next=_like(path) or "Check the path.") from None
    except ValueError:  # a zero in it, or half a surrogate pair
        raise UsageError("is no name that a file can have.", path=path, next="Check the path.") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


def _unreadable(path: str, reason: str) -> UsageError:
    return UsageError(f"cannot be opened: {reason.lower()}.", path=path, next="Check the path and who may read it.")


_MANY = 1_000  # names that are compared with one


def _like(path: str) -> str:
    """The names beside a path that are like its own: somebody's slip, most times."""
    from itertools import islice
    from pathlib import Path

    wanted = Path(path)
    try:
        names = {each.name for each in islice(wanted.parent.iterdir(), _MANY)} - {wanted.name}  # a link to nowhere
    except (OSError, ValueError):
        return ""
    return nearest(wanted.name, sorted(names), 2)


def give_back(*arrays: np.ndarray[Any, Any]) -> None:
    """Take the pages of arrays out of this process, where they are a mapped file's: whoever has read a tensor of a huge
    file for good says so, or the whole file counts as this process's memory in the end.  Nothing is lost: an element that
    is looked at again is mapped again.  Of an array that is no view of a mapped file nothing happens, nor of one that may be
    written: what somebody changed in a private map (numpy's memmap, mode "c") is nowhere else.  Arrays of one file are given
    back together with what lies between them: gates of one tensor, which lie among one another."""
    spans: dict[int, tuple[mmap.mmap, int, int]] = {}
    for array in arrays:
        ground = _mapped_under(array)
        if ground is not None and array.size:
            first = address_of(array)
            end = first + sum((size - 1) * step for size, step in zip(array.shape, array.strides, strict=True))
            _, least, most = spans.get(id(ground), (ground, first, end))
            spans[id(ground)] = ground, min(first, least), max(end + array.itemsize, most)
    for ground, first, end in spans.values():
        _let_go(ground, first, end)


def give_large_back(arrays: Iterable[np.ndarray[Any, Any]]) -> None:
    """:func:`give_back` of those whose pages are worth the call: a layer's gates, all of a role at once."""
    give_back(*(array for array in arrays if array.nbytes >= _WORTH))


def _mapped_under(array: np.ndarray[Any, Any]) -> mmap.mmap | None:
    """The map that an array is a view of, where nothing can have been written into it."""
    ground: Any = array
    while (under := getattr(ground, "base", None)) is not None:
        ground = under
    mapped = ground.obj if isinstance(ground, memoryview) else ground
    if not isinstance(mapped, mmap.mmap) or len(mapped) < _LARGE_PAGE or not hasattr(mmap, "MADV_DONTNEED"):
        return None  # of a small file there is little to give back, and nothing to wait for
    with memoryview(mapped) as view:
        return mapped if view.readonly else None


def _let_go(mapped: mmap.mmap, first: int, end: int) -> None:
    """The pages from one address to another."""
    import numpy as np

    ground = address_of(np.frombuffer(mapped, np.uint8))
    # A page that is looked at brings its neighbours with it, those behind as well as those before: a large page of them.
    start, stop = (first - ground) // _LARGE_PAGE * _LARGE_PAGE, end - ground
    mapped.madvise(mmap.MADV_DONTNEED, start, min(stop - stop % -_LARGE_PAGE, len(mapped)) - start)


def address_of(array: np.ndarray[Any, Any]) -> int:
    """Where an array's first element lies in memory."""
    found: int = array.__array_interface__["data"][0]
    return found


def _gunzipped(data: memoryview, path: str, limits: Limits) -> bytes:
    """The plain bytes of a gzip file, held against the limits while they grow.  A second member behind is read too."""
    plain = bytearray()
    engine = zlib.decompressobj(31)
    try:
        for start in range(0, len(data), _PIECE):
            rest = bytes(data[start : start + _PIECE])
            while rest:
                plain += engine.decompress(rest, _PIECE)
                limits.opens(len(data), len(plain), path=path, where="gzip")
                rest = engine.unconsumed_tail
                if engine.eof:
                    rest = engine.unused_data
                    engine = zlib.decompressobj(31)
                    if not rest.startswith(_GZIP):  # padding
                        rest = b""
    except zlib.error as error:
        raise BrokenFile(
            f"is compressed with gzip and cannot be unpacked: {error}.", path=path,
            next="The file is cut or damaged; fetch it again.",
        ) from None  # fmt: skip
    return bytes(plain)


# Folders.


class Folder(abc.ABC):
    """Files by their names relative to one place, with ``/`` between the parts.  Nothing outside is reached."""

    def __init__(self, path: Path, limits: Limits):
        self.path = path
        self.limits = limits

    @abc.abstractmethod
    def names(self) -> list[str]:
        """Every file's name, sorted; not to be changed.  A directory is walked once."""

    @abc.abstractmethod
    def __contains__(self, name: str) -> bool:
        """Is there a file of this name?"""

    @abc.abstractmethod
    def open(self, name: str) -> Source:
        """The file called ``name``.  Raises UsageError where there is none, or it does not lie in this folder."""

    def below(self, prefix: str) -> Folder:
        """The folder inside this one that ``prefix`` names; empty where there is none."""
        return _Below(self, _safe(prefix, self.path)) if prefix not in ("", ".") else self


def _safe(name: str, path: Path) -> str:
    """A name that cannot leave its folder.  Raises UsageError for one that would."""
    from pathlib import PurePosixPath

    clean = PurePosixPath(name.replace("\\", "/"))
    if clean.is_absolute() or ".." in clean.parts or ":" in name[:2] or "\0" in name:
        raise UsageError(
            f"names the file {name!r}, which does not lie beside it; gatewise opens nothing outside a model's own folder.",
            path=path, next="Put the file beside the model and name it without a path.",
        )  # fmt: skip
    return clean.as_posix()


class _Directory(Folder):
    def __init__(self, path: Path, limits: Limits, files: dict[str, None]):
        super().__init__(path, limits)
        self._files = files
        self._names: list[str] | None = None

    def names(self) -> list[str]:
        if self._names is None:
            self._names = sorted(self._walk())
        return self._names

    def _walk(self) -> Iterator[str]:
        count = 0
        root = os.fspath(self.path)
        for folder, _, files in os.walk(root):
            inner = folder[len(root) :].strip(os.sep).replace(os.sep, "/")
            count += len(files)
            self.limits.check("nesting", inner.count("/"), path=self.path, where="directory")
            self.limits.check("members", count, path=self.path, where="directory")
            yield from (f"{inner}/{file}" if inner else file for file in files)

    def __contains__(self, name: str) -> bool:
        return (self.path / name).is_file()

    def open(self, name: str) -> Source:
        found = self.path / _safe(name, self.path)
        inside = os.path.realpath(self.path)
        if os.path.commonpath((os.path.realpath(found), inside)) != inside:  # resolve() raises at links in a circle
            raise UsageError(
                f"{name} is a link that leads out of the model's folder.", path=self.path,
                next="Replace the link by the file itself.",
            )  # fmt: skip
        return Source(found, self.limits, self._files)


class _Archive(Folder):
    """The regular members of an unpacked tar."""

    def __init__(self, plain: memoryview, path: Path, limits: Limits):
        from pathlib import PurePosixPath

        from .tar import members

        super().__init__(path, limits)
        self._plain = plain
        self._places: dict[str, tuple[int, int]] = {}
        for name, place in members(plain, path, limits).items():
            self._places[PurePosixPath(name).as_posix()] = place
        self._names = sorted(self._places)

    def names(self) -> list[str]:
        return self._names

    def __contains__(self, name: str) -> bool:
        from pathlib import PurePosixPath

        return PurePosixPath(name).as_posix() in self._places

    def open(self, name: str) -> Source:
        clean = _safe(name, self.path)
        if clean not in self._places:
            raise UsageError(f"the archive has no member {name!r}.", path=self.path)
        from pathlib import PurePosixPath

        start, end = self._places[clean]
        parent = PurePosixPath(clean).parent.as_posix()
        return Source.of(self._plain[start:end], self.path / clean, self.below(parent), self.limits)


class _Below(Folder):
    def __init__(self, whole: Folder, prefix: str):
        super().__init__(whole.path / prefix, whole.limits)
        self._whole, self._prefix = whole, prefix

    def names(self) -> list[str]:
        start, everything = f"{self._prefix}/", self._whole.names()
        first = bisect.bisect_left(everything, start)  # sorted: what begins alike stands together
        last = bisect.bisect_left(everything, f"{self._prefix}0", first)  # 0 comes behind /
        return [name[len(start) :] for name in everything[first:last]]

    def __contains__(self, name: str) -> bool:
        return f"{self._prefix}/{name}" in self._whole

    def open(self, name: str) -> Source:
        return self._whole.open(f"{self._prefix}/{_safe(name, self.path)}")
