"""HDF5 groups, attributes and datasets, read so that a stranger's file can do no harm.

Two readers answer the same questions about an object (:class:`Node`): ``_hdf5_plain`` is gatewise's own, and files that it does
not know are read by libhdf5 through ``_hdf5_lib``.  What is refused is refused here, for both.  Soft and external links, virtual
datasets and external storage are: weights lie in the file itself.  Datasets in one piece become views of the map; those in chunks
are read when asked for.
Source: HDF5 File Format Specification 3.0.  Not known here: compound, string, reference and other datasets that are not plain
numbers; chunks that pass through other filters than deflate, shuffle, Fletcher's checksum and h5py's LZF.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Callable

from ..errors import BrokenFile, LimitExceeded
from ..record import lazy, record
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, numpy_dtype
from ._hdf5_messages import MARKED, Attribute, NotPlain, Stored, Unsound
from ._hdf5_plain import Plain

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    from ..cursor import Limits
    from ..tensors import Array
    from ._hdf5_header import Ground

    T = TypeVar("T")

    class Node(Protocol):
        """An object in the file, as either reader gives it.  ``kind``: "group", "dataset" or "other"; ``address`` where its
        header lies, which an object with two names has one of."""

        @property
        def kind(self) -> str: ...
        @property
        def address(self) -> int: ...
        def names(self) -> list[bytes]: ...
        def link(self, name: bytes) -> int | str | None: ...
        def member(self, name: bytes) -> Node: ...
        def attribute(self, name: bytes) -> Attribute | None: ...
        def stored(self) -> Stored: ...
        def elements(self, dtype: str) -> Array: ...

    class _File(Protocol):
        ground: Ground

        @property
        def root(self) -> Node: ...
        def close(self) -> None: ...


_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_READERS_RAISE = (Unsound, struct.error, OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError,
                  AttributeError)  # fmt: skip


@functools.lru_cache(maxsize=4)
def hdf5_of(source: Source) -> Bytes:
    """A whole file's; several formats ask for the same one when they look whether it is theirs, and one reads it."""
    return Bytes(source, source.data)


@record
class Bytes:
    """The bytes of one HDF5 file: a whole file, or a member of an archive (``where`` then says which)."""

    source: Source
    data: memoryview
    where: str = ""

    def place(self, path: str) -> str:
        return f"{self.where}, {path}" if self.where else path

    def broken(self, message: str, path: str, next: str = _FETCH_AGAIN) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=self.place(path), next=next)

    def judged(self, path: str) -> _Judged:
        """What broken bytes raise becomes a BrokenFile that says where."""
        return _Judged(self, path)

    def read(self, deed: Callable[[Group], T], keep: bool = False) -> T:
        """What ``deed`` makes of the root group.  It is done once more, from the start, if the file turns out not to be plain.
        With ``keep`` the file stays open behind it for the next one who reads it: whoever only looked whether it is his keeps it
        for the reader, and one tensor in chunks for another."""
        if self.__dict__.get("_is_plain", True):  # what a record holds beside its fields
            try:
                return self._read(deed, keep, Plain)
            except NotPlain:
                self.__dict__["_is_plain"] = False
        from ._hdf5_lib import Library

        return self._read(deed, keep, Library)

    def _read(self, deed: Callable[[Group], T], keep: bool, how: Callable[[memoryview, Limits, str], _File]) -> T:
        kept = f"_kept by {how}"
        opened: _File | None = self.__dict__.pop(kept, None)
        try:
            with self.judged("HDF5"):
                opened = opened or how(self.data, self.source.limits, self.source.name)
                opened.ground.renew()
            found = deed(Group(self, opened.root, "", frozenset()))
            if keep:
                self.__dict__[kept], opened = opened, None
            return found
        finally:
            if opened is not None:
                with self.judged("HDF5"):
                    opened.close()


class _Judged:
    """The block of :meth:`Bytes.judged`; a generator's would cost as much as what stands in most of them."""

    def __init__(self, file: Bytes, path: str):
        self._file, self._path = file, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _READERS_RAISE):
            if isinstance(error, (struct.error, IndexError)):
                detail = "a part of it is shorter than what it has to hold"
            else:
                detail = f"{'' if isinstance(error, Unsound) else f'{type(error).__name__}: '}{error}"
            detail = re.sub(r"\s+", " ", detail)[:200]
            raise self._file.broken(f"is not sound HDF5 ({detail}).", self._path) from error


@record
class Group:
    """One HDF5 group.  ``path`` has no leading slash; the root's is empty."""

    file: Bytes
    node: Node
    path: str
    above: frozenset[int]  # addresses of the groups on the way here: a group within itself has no end

    @property
    def where(self) -> str:
        return f"group /{self.path}"

    @property
    def address(self) -> int:
        """Where it lies in the file: a group with two names has one."""
        return self.node.address

    def names(self) -> list[str]:
        """Its members' names, in HDF5's order, which means nothing: the alphabet's, or that in which they were made."""
        with self.file.judged(self.where):
            return [_text(name) for name in self.node.names()]

    def __contains__(self, name: str) -> bool:
        with self.file.judged(self.where):
            return self.node.link(name.encode()) is not None

    def child(self, name: str) -> Group | Dataset:
        """The member of that name (a single path component).  Links that lead elsewhere are refused."""
        path = f"{self.path}/{name}" if self.path else name
        with self.file.judged(f"/{path}"):
            link = self.node.link(name.encode())
            if link is None:
                raise self.file.broken("is named by the file and is not there.", f"/{path}")
            if isinstance(link, str):
                raise self.file.broken(
                    f"is {link}; gatewise reads what lies in the file itself.",
                    f"/{path}",
                    next="Save the model again so that the weights are in the file.",
                )
            node = self.node.member(name.encode())
        if node.kind == "dataset":
            return Dataset(self.file, node, path)
        if node.kind != "group":
            raise self.file.broken("is neither a group nor a dataset.", f"/{path}")
        limits = self.file.source.limits
        limits.check("nesting", len(self.above) + 1, path=self.file.source.name, where=self.file.place(f"/{path}"))
        if node.address in self.above:
            raise self.file.broken("is a group within itself.", f"/{path}")
        return Group(self.file, node, path, self.above | {node.address})

    def group(self, name: str) -> Group:
        """The member of that name, which must be a group."""
        found = self.child(name)
        if isinstance(found, Dataset):
            raise self.file.broken("is a dataset where a group belongs.", f"/{found.path}")
        return found

    def descend(self, path: str) -> Group | Dataset:
        """The member at a path of several components."""
        parts = path.split("/")
        if not all(part.strip(".") for part in parts):
            raise self.file.broken(f"names {path!r}, which is not a path within the group.", self.where)
        here = self
        for part in parts[:-1]:
            here = here._way(part)
        return here.child(parts[-1])

    def _way(self, name: str) -> Group:
        """The group of that name, opened once: a layer's weights are named by paths that begin alike."""
        if name not in self._ways:
            self._ways[name] = self.group(name)
        return self._ways[name]

    @lazy
    def _ways(self) -> dict[str, Group]:
        return {}

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of strings.  Long lists are split by Keras into ``name0``, ``name1`` …"""
        whole = _texts(self.file, self.node, self.where, name)
        if whole is not None:
            return whole
        parts: list[str] = []
        for index in range(self.file.source.limits.members):
            part = _texts(self.file, self.node, self.where, f"{name}{index}")
            if part is None:
                return parts if index else None
            parts += part
        raise LimitExceeded(f"its attribute {name} has too many parts.", path=self.file.source.name, where=self.where)

    def text(self, name: str) -> str | None:
        """An attribute that is one string."""
        return _one_text(self.file, self.node, self.where, name)


def _one_text(file: Bytes, node: Node, where: str, name: str) -> str | None:
    found = _texts(file, node, where, name)
    if found is None:
        return None
    if len(found) != 1:
        raise file.broken(f"its attribute {name} is not one string.", where)
    return found[0]


def _texts(file: Bytes, node: Node, where: str, name: str) -> list[str] | None:
    """The strings of an attribute, whichever of HDF5's ways they are stored in; None where there is none.

    Keras stores an empty list as an empty array of float64 (numpy's default), hence the test on the size.
    """
    limits, path = file.source.limits, file.source.name
    with file.judged(f"{where}, attribute {name}"):
        found = node.attribute(name.encode())
        if found is None:
            return None
        limits.check("members", found.count, path=path, where=where)
        if found.count == 0:
            return []
        limits.check("header_bytes", found.nbytes, path=path, where=where)
        if not found.is_text:
            raise file.broken(f"its attribute {name} is not text.", where)
        return [_text(item) for item in found.strings()]


def _text(value: bytes) -> str:
    return value.decode("utf-8")


@record
class Dataset:
    """One HDF5 dataset."""

    file: Bytes
    node: Node
    path: str

    def has_attribute(self, name: str) -> bool:
        with self.file.judged(f"dataset /{self.path}"):
            return self.node.attribute(name.encode()) is not None

    def tensor(self, name: str) -> StoredTensor | None:
        """The dataset as a tensor called ``name``; None if its elements are not plain numbers."""
        where = f"dataset /{self.path}"
        with self.file.judged(where):
            found = self.node.stored()
            if found.elsewhere:
                raise self.file.broken(
                    f"{found.elsewhere}; gatewise reads what lies in the file itself.",
                    where,
                    next="Save the model again so that the weights are in the file.",
                )
            dtype, shape = self._marked() if found.dtype == MARKED else found.dtype, found.shape
        if dtype is None or shape is None:
            return None
        self.file.source.limits.check("rank", len(shape), path=self.file.source.name, where=where)
        return StoredTensor(name, dtype, shape, self._data(found, dtype, shape, where), self.file.place(where))

    def _data(self, found: Stored, dtype: str, shape: tuple[int, ...], where: str) -> Strided | _Chunks:
        needed, place = math.prod(shape) * ITEM_BYTES[dtype], found.place
        if needed == 0:
            return Strided(self.file.data[:0], big_endian=found.big_endian)
        if place is None:
            limits = self.file.source.limits
            limits.opens(found.stored, needed, path=self.file.source.name, where=where)
            return _Chunks(self.file, self.path, dtype, shape)
        if found.stored < needed or place + needed > len(self.file.data):
            raise self.file.broken(f"its {needed:,} bytes at {place:,} reach past the end of the file.", where)
        return Strided(self.file.data[place : place + needed], big_endian=found.big_endian, storage=str(place))

    def _marked(self) -> str | None:
        """bfloat16, which HDF5 lacks, Keras marks by an attribute."""
        marked = _one_text(self.file, self.node, f"dataset /{self.path}", "dtype")
        return "bfloat16" if marked == "bfloat16" else None


@record
class _Chunks:
    """Reads a chunked or compressed dataset when called, as often as that is."""

    file: Bytes
    path: str
    dtype: str
    shape: tuple[int, ...]

    def __call__(self) -> Array:
        return self.file.read(self._elements, keep=True)

    def _elements(self, root: Group) -> Array:
        dataset = root.descend(self.path)
        if isinstance(dataset, Group):
            raise self.file.broken("is a group where a dataset was.", f"/{self.path}")
        with self.file.judged(f"dataset /{self.path}"):
            array = dataset.node.elements(self.dtype).astype(numpy_dtype(self.dtype), copy=False).reshape(self.shape)
        array.flags.writeable = False
        return array


def natural(name: str) -> tuple[str, int]:
    """Sorts ``lstm_10`` behind ``lstm_2`` and ``10`` behind ``2``, as Keras counts."""
    found = re.fullmatch(r"(.*?)_?(\d{1,18})", name)
    return (found[1], int(found[2])) if found else (name, 0)
