"""HDF5 that is not plain, read by h5py (libhdf5): it answers the questions that ``_hdf5_plain`` answers for other files.

The bytes are parsed out of the mapped file, never by opening a path, so that nothing outside these bytes can be reached.
What is below the file is h5py's low-level identifiers: its objects would ask for everything again.  Long strings are cut
from the bytes by gatewise itself (``_hdf5_text``).
Source: h5py's low-level reference (h5l, h5a, h5d).  Not known here: what is refused; long strings in dense storage.
"""

from __future__ import annotations

import io
import weakref

from ..cursor import Limits
from ..tensors import numpy_dtype
from ._hdf5_chunks import opened, put
from ._hdf5_header import LAYOUT, Ground, Header
from ._hdf5_messages import (
    Attribute,
    NotPlain,
    Stored,
    Unsound,
    attribute_of,
    beyond_filters,
    elsewhere,
    is_virtual,
    number,
)
from ._hdf5_text import Texts

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array


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


class Library:
    """One file.  ``root`` is its first group.  Raises what h5py raises."""

    def __init__(self, data: memoryview, limits: Limits, name: str):
        import h5py

        self.limits, self.name = limits, name
        at = 13 if data[8] < 2 else 9  # the superblock's sizes of addresses and of sizes
        # libhdf5 looks at checksums itself.
        self.ground = Ground(data, len(data), (data[at], data[at + 1]), whole=False)
        self.texts = Texts(self.ground, limits, name)
        file = h5py.File(View(data), "r")
        # What is still open when Python ends (a format only looked whether it is its own) libhdf5 would close after that,
        # and call a Python that is no more.
        self._closed = weakref.finalize(self, file.close)
        self.root = LibNode(self, h5py.h5g.open(file.id, b"/"))

    def close(self) -> None:
        self._closed()


class LibNode:
    """A group, a dataset, or another object.  ``identifier`` is h5py's."""

    def __init__(self, file: Library, identifier: Any):
        import h5py

        self._file, self.identifier = file, identifier
        kinds = ((h5py.h5g.GroupID, "group"), (h5py.h5d.DatasetID, "dataset"))
        self.kind = next((name for kind, name in kinds if isinstance(identifier, kind)), "other")
        self.address = int(h5py.h5o.get_info(identifier).addr)

    # Groups.

    def names(self) -> list[bytes]:
        count = self.identifier.get_num_objs()
        self._file.limits.check("members", count, path=self._file.name, where="a group")
        return list(self.identifier)

    def link(self, name: bytes) -> int | str | None:
        import h5py

        if b"/" in name or not name.strip(b".") or not self.identifier.get_num_objs():  # libhdf5 takes paths
            return None
        if not self.identifier.links.exists(name):
            return None
        found = self.identifier.links.get_info(name)
        if found.type != h5py.h5l.TYPE_HARD:
            return elsewhere(found.type)
        return int(found.u)

    def member(self, name: bytes) -> LibNode | Virtual:
        """libhdf5 is given no object whose header cannot be cut into messages here, and no virtual dataset."""
        import h5py

        ground, address = self._file.ground, int(self.identifier.links.get_info(name).u)
        about = Header(ground, address).body(ground, LAYOUT)
        if about is not None and is_virtual(about):
            return Virtual(address)
        return LibNode(self._file, h5py.h5o.open(self.identifier, name))

    # Attributes.

    def attribute(self, name: bytes) -> Attribute | None:
        import h5py

        if not h5py.h5a.exists(self.identifier, name):
            return None
        low = h5py.h5a.open(self.identifier, name)
        kind = low.get_type()
        is_text = kind.get_class() == h5py.h5t.STRING
        read = self._long if is_text and kind.is_variable_str() else self._fixed
        count = int(low.get_space().get_simple_extent_npoints())
        nbytes = int(low.get_storage_size()) if count else 0  # which h5py takes for an error
        return Attribute(count, nbytes, is_text, lambda: read(low, name))

    def _fixed(self, low: Any, _name: bytes) -> list[bytes]:
        import numpy as np

        value = np.zeros(low.shape, low.dtype)
        low.read(value)
        found: list[bytes] = value.reshape(-1).tolist()
        return found

    def _long(self, _low: Any, name: bytes) -> list[bytes]:
        ground = self._file.ground
        if ground.widths != (8, 8):
            raise Unsound("addresses of another size than 8 bytes")
        try:
            found = Header(ground, self.address).named_attributes(ground)[name]
            return attribute_of(found, self._file.texts.read).strings()
        except (KeyError, NotPlain):
            raise Unsound("it is kept where gatewise does not look for texts") from None

    # Datasets.

    def stored(self) -> Stored:
        created = self.identifier.get_create_plist()
        if created.get_external_count():
            reason = "keeps its elements in another file"
        else:
            reason = beyond_filters(created.get_filter(index)[0] for index in range(created.get_nfilters()))
        if reason:
            return Stored(None, False, None, None, 0, reason)
        dtype, big_endian = number(self.identifier.get_type().encode()[2:])
        shape = self.identifier.shape
        return Stored(
            dtype, big_endian, None if shape is None else tuple(int(size) for size in shape), self.identifier.get_offset(),
            int(self.identifier.get_storage_size()),
        )  # fmt: skip

    def elements(self, dtype: str) -> Array:
        import h5py
        import numpy as np

        created = self.identifier.get_create_plist()
        filters = [created.get_filter(index)[0] for index in range(created.get_nfilters())]
        if created.get_layout() == h5py.h5d.CHUNKED:
            made = self._chunks(dtype, created.get_chunk(), filters)
            if made is not None:
                return made
        array: Array = np.asarray(h5py.Dataset(self.identifier)[()])  # of no axes, h5py gives a number
        if dtype == "bfloat16" and array.dtype.kind == "V":  # as Keras stores it
            array = array.view(numpy_dtype(dtype))
        return array

    def _chunks(self, dtype: str, extent: tuple[int, ...], filters: list[int]) -> Array | None:
        """libhdf5 tells where they are, and what stands where there are none; it does not open them.  None where it tells
        them wrongly, and is to read them itself: each one opens to what it should, then."""
        import h5py
        import numpy as np

        kind = self.identifier.get_type().encode()[2:]
        stored, chunk = numpy_dtype(dtype, number(kind)[1]), (*extent, int.from_bytes(kind[4:8], "little"))
        made = np.zeros(self.identifier.shape, stored)
        fill = h5py.Dataset(self.identifier).fillvalue
        if np.asarray(fill).dtype.kind != "V":
            made[...] = fill
        ground, seen, told = self._file.ground, set(), self._tells_places()
        for found in self._each_chunk():
            ground.take(found.byte_offset, found.size, "a chunk")
            packed = ground.data[found.byte_offset : found.byte_offset + found.size]
            whole = opened(packed, chunk, filters, found.filter_mask, self._file.limits)
            place = tuple(found.chunk_offset)
            if not told:
                continue
            if place in seen or any(at % step for at, step in zip(place, extent, strict=True)):
                raise Unsound(f"a chunk at {place} where none belongs")
            seen.add(place)
            put(np.frombuffer(whole, stored), made, place, extent)
        return made if told else None

    def _tells_places(self) -> bool:
        """Does libhdf5 tell where each chunk begins?  Version 2.0 tells other places where the one axis that may grow without
        end is not the first; and not that those at the edges are left unpacked, where they are."""
        import h5py

        endless = [most is None for most in h5py.Dataset(self.identifier).maxshape]
        about = Header(self._file.ground, self.address).body(self._file.ground, LAYOUT)
        edges_left = about is not None and about[0] >= 4 and bool(about[2] & 1)
        return not edges_left and (endless.count(True) != 1 or endless[0])

    def _each_chunk(self) -> list[Any]:
        if not hasattr(self.identifier, "chunk_iter"):  # libhdf5 before 1.14 looks for each from the first one on
            return [self.identifier.get_chunk_info(index) for index in range(self.identifier.get_num_chunks())]
        found: list[Any] = []
        self.identifier.chunk_iter(found.append)
        return found


class Virtual:
    """A virtual dataset, which is not read and not opened either: libhdf5 2.0 believes how many axes such a one says to select
    from, and writes past the end of its stack."""

    kind = "dataset"

    def __init__(self, address: int):
        self.address = address

    def names(self) -> list[bytes]:
        return []

    def link(self, name: bytes) -> None:
        """It has no members."""

    def member(self, name: bytes) -> Virtual:
        raise Unsound(f"a virtual dataset has no member {name!r}")

    def attribute(self, name: bytes) -> None:
        """None is asked for."""

    def stored(self) -> Stored:
        return Stored(None, False, None, None, 0, "is a virtual dataset")

    def elements(self, dtype: str) -> Array:
        raise Unsound(f"a virtual dataset has no elements of {dtype}")
