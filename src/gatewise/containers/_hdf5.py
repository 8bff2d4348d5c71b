"""HDF5 groups, attributes and datasets, read so that a stranger's file can do no harm.

The bytes are parsed by h5py (libhdf5) out of the mapped file, never by opening a path, so that nothing outside these
bytes can be reached.  What is below the file is h5py's low-level identifiers: its objects would ask for everything again.  Soft and external links, virtual datasets and external storage are refused: weights lie in the
file itself.  Contiguous datasets become views of the map; chunked or compressed ones are read when asked for.
Source: HDF5 File Format Specification 3.0; h5py's low-level reference (h5l, h5a, h5d).
Not known here: compound, string, reference and other datasets that are not plain numbers; filters that are not
built into libhdf5 or h5py, since libhdf5 would load such a filter's code from the system's plugin folder.
"""

from __future__ import annotations

import functools
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BrokenFile, LimitExceeded
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided
from ._hdf5_text import Texts

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))  # deflate, shuffle, fletcher32, szip, nbit, scaleoffset, h5py's lzf
_H5PY_RAISES = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError, AttributeError)


class View(io.RawIOBase):
    """A read-only file over bytes in memory, as h5py's file driver wants one.  Nothing is copied but what is read."""

    def __init__(self, data: memoryview):
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """All that is asked for, or an error at once: libhdf5 believes sizes that the file only claims."""
        if len(buffer) > len(self._data) - self._at:
            raise OSError("the file ends early")
        found = self._data[self._at : self._at + len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


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

    @functools.cached_property
    def texts(self) -> Texts:
        """The variable-length strings, which libhdf5 is not asked for."""
        return Texts(self.data, self.source.name, self.source.limits.header_bytes)

    def place(self, path: str) -> str:
        return f"{self.where}, {path}" if self.where else path

    def broken(self, message: str, path: str, next: str = _FETCH_AGAIN) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=self.place(path), next=next)

    def judged(self, path: str) -> _Judged:
        """What h5py raises over broken bytes becomes a BrokenFile that says where."""
        return _Judged(self, path)

    @contextmanager
    def open(self, keep: bool = False) -> Iterator[Group]:
        """The root group, for as long as the block lasts.  With ``keep`` the file stays open behind it for the next one
        who opens it: whoever only looked whether it is his keeps it for the reader."""
        import h5py

        file = self.__dict__.pop("_kept", None)  # what a record holds beside its fields
        if file is None:
            with self.judged("HDF5"):
                file = h5py.File(View(self.data), "r")
        try:
            with self.judged("HDF5"):
                root = Group(self, h5py.h5g.open(file.id, b"/"), "", frozenset())
            yield root
            if keep:
                self.__dict__["_kept"], file = file, None
        finally:
            if file is not None:
                with self.judged("HDF5"):
                    file.close()


class _Judged:
    """The block of :meth:`Bytes.judged`; a generator's would cost as much as what stands in most of them."""

    def __init__(self, file: Bytes, path: str):
        self._file, self._path = file, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _H5PY_RAISES):
            detail = re.sub(r"\s+", " ", str(error))[:200]
            raise self._file.broken(f"is not sound HDF5 ({type(error).__name__}: {detail}).", self._path) from error


@record
class Group:
    """One HDF5 group.  ``handle`` is h5py's GroupID; ``path`` has no leading slash; the root's is empty."""

    file: Bytes
    handle: Any
    path: str
    above: frozenset[int]  # addresses of the groups on the way here: a group within itself has no end

    @property
    def where(self) -> str:
        return f"group /{self.path}"

    @property
    def address(self) -> int:
        """Where it lies in the file: a group with two names has one."""
        import h5py

        with self.file.judged(self.where):
            return int(h5py.h5o.get_info(self.handle).addr)

    def names(self) -> list[str]:
        """Its members' names, in HDF5's order, which is the alphabet's and means nothing."""
        with self.file.judged(self.where):
            count = self.handle.get_num_objs()
            self.file.source.limits.check("members", count, path=self.file.source.name, where=self.where)
            return [_text(name) for name in self.handle]

    def __contains__(self, name: str) -> bool:
        with self.file.judged(self.where):
            return bool(self.handle.links.exists(name.encode())) if self.handle.get_num_objs() else False

    def child(self, name: str) -> Group | Dataset:
        """The member of that name (a single path component).  Links that lead elsewhere are refused."""
        import h5py

        path = f"{self.path}/{name}" if self.path else name
        if name not in self:
            raise self.file.broken("is named by the file and is not there.", f"/{path}")
        with self.file.judged(f"/{path}"):
            kind = self.handle.links.get_info(name.encode()).type
            if kind != h5py.h5l.TYPE_HARD:
                what = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
                raise self.file.broken(
                    f"is {what.get(kind, 'a user-defined link')}; gatewise reads what lies in the file itself.",
                    f"/{path}",
                    next="Save the model again so that the weights are in the file.",
                )
            handle = h5py.h5o.open(self.handle, name.encode())
            if isinstance(handle, h5py.h5d.DatasetID):
                return Dataset(self.file, handle, path)
            if not isinstance(handle, h5py.h5g.GroupID):
                raise self.file.broken("is neither a group nor a dataset.", f"/{path}")
            address = h5py.h5o.get_info(handle).addr
        limits = self.file.source.limits
        limits.check("nesting", len(self.above) + 1, path=self.file.source.name, where=self.file.place(f"/{path}"))
        if address in self.above:
            raise self.file.broken("is a group within itself.", f"/{path}")
        return Group(self.file, handle, path, self.above | {address})

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

    @functools.cached_property
    def _ways(self) -> dict[str, Group]:
        return {}

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of strings.  Long lists are split by Keras into ``name0``, ``name1`` …"""
        whole = attribute(self.file, self.handle, self.where, name)
        if whole is not None:
            return whole
        parts: list[str] = []
        for index in range(self.file.source.limits.members):
            part = attribute(self.file, self.handle, self.where, f"{name}{index}")
            if part is None:
                return parts if index else None
            parts += part
        raise LimitExceeded(f"its attribute {name} has too many parts.", path=self.file.source.name, where=self.where)

    def text(self, name: str) -> str | None:
        """An attribute that is one string."""
        return one_text(self.file, self.handle, self.where, name)


def one_text(file: Bytes, handle: Any, where: str, name: str) -> str | None:
    found = attribute(file, handle, where, name)
    if found is None:
        return None
    if len(found) != 1:
        raise file.broken(f"its attribute {name} is not one string.", where)
    return found[0]


def attribute(file: Bytes, handle: Any, where: str, name: str) -> list[str] | None:
    """The strings of an attribute, whichever of HDF5's ways they are stored in; None where there is none.

    Keras stores an empty list as an empty array of float64 (numpy's default), hence the test on the size.
    """
    import h5py
    import numpy as np

    limits, path = file.source.limits, file.source.name
    with file.judged(f"{where}, attribute {name}"):
        if not h5py.h5a.exists(handle, name.encode()):
            return None
        low = h5py.h5a.open(handle, name.encode())
        count = math.prod(low.shape)
        limits.check("members", count, path=path, where=where)
        if count == 0:
            return []
        limits.check("header_bytes", low.get_storage_size(), path=path, where=where)
        kind = low.get_type()
        if kind.get_class() != h5py.h5t.STRING:
            raise file.broken(f"its attribute {name} is not text.", where)
        if kind.is_variable_str():
            address = h5py.h5o.get_info(handle).addr
            return [_text(item) for item in file.texts.read(address, name, count, f"{where}, attribute {name}")]
        value = np.zeros(low.shape, low.dtype)
        low.read(value)
        return [_text(item) for item in value.reshape(-1).tolist()]


def _text(value: bytes) -> str:
    return value.decode("utf-8")


@record
class Dataset:
    """One HDF5 dataset."""

    file: Bytes
    handle: Any
    path: str

    def tensor(self, name: str) -> StoredTensor | None:
        """The dataset as a tensor called ``name``; None if its elements are not plain numbers."""
        where = f"dataset /{self.path}"
        with self.file.judged(where):
            self._only_in_this_file(where)
            dtype, big_endian = self._dtype()
            if dtype is None or self.handle.shape is None:
                return None
            shape = tuple(int(size) for size in self.handle.shape)
            self.file.source.limits.check("rank", len(shape), path=self.file.source.name, where=where)
            place = self.handle.get_offset()
            stored = self.handle.get_storage_size()
        needed = math.prod(shape) * ITEM_BYTES[dtype]
        place_said = self.file.place(where)
        if place is None:
            self._plausible(needed, stored, where)
            return StoredTensor(name, dtype, shape, _Chunks(self.file, self.path, dtype, shape), place_said)
        if place < 0 or place + needed > len(self.file.data):
            raise self.file.broken(f"its {needed:,} bytes at {place:,} reach past the end of the file.", where)
        view = Strided(self.file.data[place : place + needed], big_endian=big_endian, storage=str(place))
        return StoredTensor(name, dtype, shape, view, place_said)

    def _dtype(self) -> tuple[str | None, bool]:
        """(name in ITEM_BYTES or None, is it big-endian).  Keras marks bfloat16, which HDF5 lacks, by an attribute."""
        import h5py

        kind = self.handle.get_type()
        if kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == 2:
            marked = one_text(self.file, self.handle, f"dataset /{self.path}", "dtype")
            return ("bfloat16" if marked == "bfloat16" else None), False
        if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND):
            return None, False
        dtype = kind.dtype
        return (dtype.name if dtype.name in ITEM_BYTES else None), dtype.byteorder == ">"

    def _only_in_this_file(self, where: str) -> None:
        import h5py

        created = self.handle.get_create_plist()
        elsewhere = None
        if created.get_layout() == h5py.h5d.VIRTUAL:
            elsewhere = "is a virtual dataset"
        elif created.get_external_count():
            elsewhere = "keeps its elements in another file"
        elif not {created.get_filter(index)[0] for index in range(created.get_nfilters())} <= _FILTERS:
            elsewhere = "is packed with a filter that is not part of HDF5"
        if elsewhere:
            raise self.file.broken(
                f"{elsewhere}; gatewise reads what lies in the file itself.",
                where,
                next="Save the model again so that the weights are in the file.",
            )

    def _plausible(self, needed: int, stored: int, where: str) -> None:
        limits, path = self.file.source.limits, self.file.source.name
        limits.opens(stored, needed, path=path, where=where)


@record
class _Chunks:
    """Reads a chunked, compressed or compact dataset when called.  The HDF5 file is open only for that long."""

    file: Bytes
    path: str
    dtype: str
    shape: tuple[int, ...]

    def __call__(self) -> Array:
        import h5py

        from ..tensors import numpy_dtype

        with self.file.open() as root:
            dataset = root.descend(self.path)
            with self.file.judged(f"dataset /{self.path}"):
                array: Array = h5py.Dataset(dataset.handle)[()]
                if self.dtype == "bfloat16":
                    array = array.view(numpy_dtype("bfloat16"))
                array = array.astype(numpy_dtype(self.dtype), copy=False).reshape(self.shape)
        array.flags.writeable = False
        return array


def natural(name: str) -> tuple[str, int]:
    """Sorts ``lstm_10`` behind ``lstm_2`` and ``10`` behind ``2``, as Keras counts."""
    found = re.fullmatch(r"(.*?)_?(\d{1,18})", name)
    return (found[1], int(found[2])) if found else (name, 0)
