"""Which models lie below a folder: each once, of however many files it is.  Not known here: what becomes of them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

from ..cursor import DEFAULT_LIMITS, Limits
from ..errors import GatewiseError
from ..record import record
from ..source import Source
from . import HEAD, _format_of, _read, _rows, _stands_for, _suffixes, foreign


@record
class Below:
    """``models``: the paths to open, folder by folder.  ``others``: the files that are no model and no part of one.
    ``misnamed``: those of the models that are only called like one."""

    models: tuple[str, ...]
    others: tuple[str, ...]
    misnamed: frozenset[str] = frozenset()


def below(folder: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Below:
    """The models at or below a folder: the folder itself where it opens as one and holds no more than that.

    Formats are told by bytes; headers are read where several files may be one model.  What begins with a dot is left
    alone, and links to folders are not followed.  A file that is called like a model and is plainly none (empty, a page
    of HTML, a pointer of git-lfs) is among the models: whoever opens it hears what is wrong with it.
    """
    walk = _Walk(limits)
    top = os.fspath(folder)
    models = tuple(walk.models(top))
    if len(models) < 2 and walk.opened(top):
        return Below((top,), ())
    return Below(models, tuple(walk.others), frozenset(walk.misnamed))


class _Walk:
    def __init__(self, limits: Limits):
        self.limits = limits
        self.others: list[str] = []
        self.misnamed: list[str] = []
        self._covered: set[str] = set()  # files of models that were found
        self._suffixes = tuple(suffix for row in _rows() for suffix in _suffixes(row))

    def models(self, top: str) -> Iterator[str]:
        folders = [top]
        while folders:
            folders += reversed((yield from self._folder(folders.pop())))

    def _folder(self, path: str) -> Generator[str, None, list[str]]:
        """The models that lie in a folder itself.  Gives the folders in it that are to be looked through."""
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError:
            yield path  # whoever opens it hears that he may not
            return []
        entries = [entry for entry in entries if not entry.name.startswith(".")]
        files = [entry.path.removeprefix(f".{os.sep}") for entry in entries if _is_file(entry)]
        if self._is_one(path, files):
            yield path
            return []
        for file in files:
            if os.path.realpath(file) not in self._covered:
                yield from self._file(file)
        return [entry.path.removeprefix(f".{os.sep}") for entry in entries if entry.is_dir(follow_symlinks=False)]

    def opened(self, path: str | os.PathLike[str]) -> set[str]:
        """The files that are opened to read a path; none where it cannot be read as one model."""
        try:
            known = _format_of(Source(path, self.limits))
            # A source of its own: formats that only looked whether it is theirs have opened others.
            return (
                {os.path.realpath(file) for file in _read(known, Source(path, self.limits)).files} if known else set()
            )
        except GatewiseError:
            return set()

    def _is_one(self, path: str, files: list[str]) -> bool:
        """Is this folder one model, as Paddle's and Orbax's are?  Formats look for models further down too: of this one
        some files lie here.  Where one file stands for all (``saved_model.pb``, a checkpoint's index), that is named."""
        within = os.path.realpath(path).rstrip(os.sep) + os.sep
        if any(each.startswith(within) for each in self._covered):
            return False
        opened = self.opened(path)
        mine = [file for file in map(os.path.realpath, files) if file in opened]
        claimed = {file for file in mine if self._format(file)}
        head = next((file for file in claimed if claimed <= self.opened(file)), None)
        if head:
            self._covered |= opened - {head}
        return bool(mine) and head is None

    def _format(self, path: str) -> object:
        try:
            return _format_of(Source(path, self.limits))
        except GatewiseError:
            return None

    def _file(self, path: str) -> Iterator[str]:
        try:
            source = Source(path, self.limits)
            known = _format_of(source)
        except GatewiseError:  # it is one, and broken
            yield path
            return
        if self._is_part(path, known is not None):
            return
        if known:
            yield path
        elif path.lower().endswith(self._suffixes) and foreign(bytes(source.data[:HEAD])):
            self.misnamed.append(path)
            yield path
        else:
            self.others.append(path)

    def _is_part(self, path: str, claimed: bool) -> bool:
        """Does a file belong to another one, which has its turn?  What a format claims does only if it is read with that."""
        other = _stands_for(path)
        if other is None or os.path.realpath(other) == os.path.realpath(path):
            return False
        return not claimed or os.path.realpath(path) in self.opened(other)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False
