"""File formats: bytes ⇄ :class:`~gatewise.tensors.Tensors`.  One file per format; this one finds them.

A format is a module of this folder whose name has no leading underscore and which holds a tuple ``CONTAINERS`` of
:class:`Container`.  The folder is walked: adding a format is adding a file.  Nothing here knows a cell or a gate.
Formats are told apart by their bytes, never by the file's suffix (``.pt``, ``.ckpt``, ``.h5`` and ``.keras`` lie).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator

from .. import folders
from ..cursor import DEFAULT_LIMITS, Limits
from ..errors import BrokenFile, GatewiseError, UnknownContainer, UsageError, instead, nearest
from ..record import record
from ..source import Source, as_text
from ..tensors import Tensors
from ._index import MODULES, ROWS
from ._row import Row

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Protocol, TypeVar

    _Read = TypeVar("_Read")
else:
    Protocol = object


class Draft(Protocol):
    """A copy of everything a file holds, which remedies may change and which is then written as a new file.

    ``form``     what the file is: ``module``, ``state-dict``, ``checkpoint`` (torch), ``model`` (Keras), ``tensors`` …
    ``forms``    what it can be written as
    ``writes``   the containers that ``write`` can make, the usual one first; into others go the ``tensors`` alone
    Each family of containers has a class of its own, with whatever its ailments' remedies need.
    """

    @property
    def form(self) -> str: ...

    @property
    def forms(self) -> tuple[str, ...]: ...

    @property
    def writes(self) -> tuple[str, ...]: ...

    def tensors(self, form: str) -> Tensors:
        """The tensors that a file written in this form holds."""

    def losses(self, form: str) -> list[tuple[str, str]]:
        """What writing in this form changes or leaves out, and how exact that is."""

    def write(self, path: Path, container: str, form: str) -> None:
        """Write a new file.  Raises NotRepresentable."""


LISTER = "`gatewise formats`"  # who lists every format, with its suffixes
_SUCH = ("safetensors", "torch-zip", "keras-zip", "onnx")  # formats that are named where all of them are too many
HEAD = 512  # bytes shown to every format's ``claims``: the tar magic lies at 257


@record
class Container:
    """One file format.

    ``claims(source)``            does the file look like this format?  Cheap: the head, or an archive's member names
    ``read(source)``              its Tensors; reads headers only
    ``write(path, tensors)``      writes a new file at ``path`` (which the caller makes atomic), tensor by tensor
    ``draft(source)``             a copy of what the file holds that can be treated and written back; see :class:`Draft`
    ``suffixes``                  those that choose this format when writing; ``naming`` the naming scheme it wants
    ``frameworks``                whose layouts it can hold when writing; empty: anybody's
    ``magic``                     bytes at offsets, of which a file has one, or ``claims`` is not asked; empty: always asked
    ``members``                   of zip archives: texts of which one stands in a member's name, or ``claims`` is not asked
    ``folders``                   is it asked about directories all the same, which have no magic?
    ``beside``                    suffixes of the other files that ``write`` makes, under the same stem: ``.bin``
    ``tells``                     does it keep how a layer computes (activations, reset ...), or only its weights?
    ``options``                   what ``write`` looks for in the tensors' ``metadata``: ``batch_first``
    ``stands_for(path)``          the file to read where a path is no file, or one that no format claims: the prefix of
                                  a checkpoint, a shard, the weights beside their graph; None where it is none of those
    """

    name: str
    title: str
    source: str
    claims: Callable[[Source], bool]
    read: Callable[[Source], Tensors]
    write: Callable[[Path, Tensors], None] | None = None
    suffixes: tuple[str, ...] = ()
    naming: str = ""
    frameworks: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    tells: bool = False
    options: tuple[str, ...] = ()
    draft: Callable[[Source], Draft] | None = None
    stands_for: Callable[[Path], Path | None] | None = None
    magic: tuple[tuple[int, bytes], ...] = ()
    members: tuple[str, ...] = ()
    folders: bool = False
    rank: int = 50  # formats are asked in this order; a format that another one's bytes also fit comes later


def later(module: str, name: str) -> Callable[..., Any]:
    """A function of one of this folder's modules, which is imported when the function is first called."""

    def call(*arguments: Any) -> Any:
        return getattr(folders.module(f"{__name__}{module}"), name)(*arguments)

    return call


def _order(known: Container) -> tuple[int, str]:
    return known.rank, known.name


@functools.cache
def _modules() -> tuple[str, ...]:
    """The modules of this folder that hold formats."""
    return folders.modules(__name__)


def _formats_of(module: str) -> tuple[Container, ...]:
    formats: tuple[Container, ...] = folders.module(f"{__name__}.{module}").CONTAINERS
    return formats


@functools.cache
def containers() -> tuple[Container, ...]:
    """Every format, in the order in which they are asked."""
    return tuple(sorted((known for module in _modules() for known in _formats_of(module)), key=_order))


def _asked(source: Source) -> Iterator[Container]:
    """The formats that this file may be, in order."""
    head = source.look(0, HEAD)
    for each in _rows():
        may_be = (each.folders or not each.magic) if source.whole else _begins_as(head, each.magic)
        if may_be and (not each.members or _has_members(source, each.members)):
            yield _of_row(each)


@functools.cache
def _rows() -> tuple[Container | Row, ...]:
    """What is known of every format without importing it, in the order in which they are asked.  The index
    (``_index.py``, made by ``make docs``) tells it; a module that the index lacks is imported."""
    new = [known for module in _modules() if module not in MODULES for known in _formats_of(module)]
    rows: list[Container | Row] = [*new, *(row for row in ROWS if row.module in _modules())]
    return tuple(sorted(rows, key=lambda each: (each.rank, each.name)))


def _of_row(row: Container | Row) -> Container:
    if isinstance(row, Container):
        return row
    return next(known for known in _formats_of(row.module) if known.name == row.name)


def _suffixes(row: Container | Row) -> tuple[str, ...]:
    """Those that choose the format when writing."""
    if isinstance(row, Row):
        return row.writes
    return row.suffixes if row.write else ()


def _begins_as(head: bytes, magic: tuple[tuple[int, bytes], ...]) -> bool:
    return not magic or any(head.startswith(raw, at) for at, raw in magic)


def _has_members(source: Source, members: tuple[str, ...]) -> bool:
    from ._zip import zip_of  # for archives alone

    names = zip_of(source).listed
    return any(text in names for text in members)


def container(name: str) -> Container:
    """The format called ``name``."""
    for row in _rows():
        if row.name == name:
            return _of_row(row)
    names = [row.name for row in _rows()]
    raise UsageError(f"no container is called {name!r}.", next=instead(name, names, all=LISTER))


def container_for_writing(path: str | os.PathLike[str], name: str | None = None, framework: str = "") -> Container:
    """The format that an output path asks for: by ``name``, or by the longest suffix that fits; where several formats
    have it (``.ckpt``), the one that holds the layers of ``framework``, else the first."""
    if name is not None:
        chosen = container(name)
        if chosen.write is None:
            raise UsageError(
                f"{name} can be read but not written.", path=path,
                next=f"What can: {', '.join(_SUCH)} …; {LISTER} lists them all.",
            )  # fmt: skip
        return chosen
    from ._write import refuse_folder  # for who writes

    refuse_folder(path)
    lower = os.fspath(path).lower()
    fits = [(len(suffix), _of_row(row)) for row in _rows() for suffix in _suffixes(row) if lower.endswith(suffix)]
    if not fits:
        suffixes = [suffix for row in _rows() for suffix in _suffixes(row)]
        near = nearest("." + lower.rpartition(".")[2], suffixes) if "." in lower else ""
        usual = ", ".join(container(such).suffixes[0] for such in _SUCH)
        raise UsageError(
            "the suffix does not tell which format to write.", path=path,
            next=f"{near or f'Usual are {usual}.'} {LISTER} lists them all; --container names one whatever the suffix.",
        )  # fmt: skip
    return max(fits, key=lambda fit: (fit[0], framework in fit[1].frameworks))[1]


def open_tensors(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Tensors:
    """Read a file's headers.  Which format it is, its bytes tell.  Raises ContainerError, UsageError."""
    return _read(*_claimed(path, limits))


def _read(known: Container, source: Source) -> Tensors:
    tensors = _guarded(known, source, known.read)
    tensors.files = source.files
    return tensors


def open_draft(
    path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS, files: dict[str, None] | None = None
) -> Draft:
    """A fresh copy of what a file holds, to be treated.  The files that are opened for it join ``files``.
    Raises ContainerError, UsageError."""
    known, source = _claimed(path, limits, files)
    if known.draft:
        return _guarded(known, source, known.draft)
    from ._plain_draft import PlainDraft

    return PlainDraft(_read(known, source), known)


def _claimed(
    path: str | os.PathLike[str], limits: Limits, files: dict[str, None] | None = None
) -> tuple[Container, Source]:
    """The format of a file, and its bytes.  Raises UnknownContainer, UsageError."""
    path = as_text(path)
    if not os.path.exists(path):  # noqa: PTH110  # a Path would cost the import
        other = _stands_for(path)
        if other is None:
            Source(path, limits)  # says what is wrong with the path
        return _claimed(other or path, limits, files)
    source = Source(path, limits, files)
    known = _format_of(source)
    if known is not None:
        return known, source
    other = _stands_for(path)
    if other is not None and other != source.path:
        return _claimed(other, limits, files)
    raise _unknown(source)


def _format_of(source: Source) -> Container | None:
    return next((known for known in _asked(source) if known.claims(source)), None)


def _stands_for(path: str | os.PathLike[str]) -> Path | None:
    """The file that a container reads when a path names only a part of it."""
    from pathlib import Path

    for known in (_of_row(row) for row in _rows() if row.stands_for):
        try:
            other = known.stands_for(Path(path)) if known.stands_for else None
            if other is not None and other.exists():
                return other
        except (OSError, ValueError):  # a link that goes in a circle, a name that no file can have
            continue
    return None


def _guarded(known: Container, source: Source, read: Callable[[Source], _Read]) -> _Read:
    try:
        return read(source)
    except GatewiseError as error:
        raise error.at(source.name) from error.__cause__
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, OSError, RecursionError) as error:
        # A reader met what its format forbids and did not foresee: for the user the file is broken, and for us the
        # cause is kept.
        detail = f"{type(error).__name__}: {error}"
        raise BrokenFile(
            f"is not a well-formed {known.name} file ({detail}).",
            path=source.name,
            next="The file is cut or damaged; fetch it again.",
        ) from error


_FOREIGN: tuple[tuple[Callable[[bytes], Any], str, str], ...] = (
    (lambda head: not head, "the file is empty.", "Fetch it again; a download or a copy stopped before it began."),
    (
        lambda head: head.startswith(b"version https://git-lfs"),
        "is a git-lfs pointer, not the model: the repository was cloned without its large files.",
        "Run `git lfs pull` in the repository.",
    ),
    (
        lambda head: head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html", b"<head")),
        "is an HTML page, not a model: a download saved the web page around the file.",
        "Download the raw file.",
    ),
    (lambda head: head.startswith(b"<?xml"), "is XML text, not a checkpoint.", "Name the weights file beside it."),
    (
        lambda head: head.startswith((b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")),
        "is compressed as a whole.",
        "Unpack it first.",
    ),
)


def foreign(head: bytes) -> tuple[str, str] | None:
    """What a file is that often lies where a model should, and what to do about it."""
    return next(((message, advice) for looks, message, advice in _FOREIGN if looks(head)), None)


def _unknown(source: Source) -> UnknownContainer:
    if source.whole:
        return UnknownContainer(
            "is a directory (or a packed one), and holds no model that gatewise knows as a directory.",
            path=source.name, next="Name the file inside it (for example model.pt or model.keras).",
        )  # fmt: skip
    head = bytes(source.data[:HEAD])
    told = foreign(head)
    if told:
        return UnknownContainer(told[0], path=source.name, next=told[1])
    known = "`gatewise formats` lists what is read."
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return UnknownContainer(
            "is a zip archive, but neither PyTorch's, Keras's nor numpy's.", path=source.name, next=known
        )
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return UnknownContainer("is an HDF5 file, but not one that Keras wrote.", path=source.name, next=known)
    if _is_text(head):
        shown = head[:40].decode("utf-8", "replace").splitlines()[0] if head.strip() else ""
        return UnknownContainer(
            f"is a text file (it begins {shown!r}), not a checkpoint.", path=source.name, next=known
        )
    return UnknownContainer(
        f"begins with {head[:8].hex(' ')}, which no format that gatewise reads does.", path=source.name, next=known
    )


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", "strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t\f" for char in text)
