"""What torch.save's zip files and TorchScript's have in common: one folder, a pickle in it, one member per storage.

Source: torch/serialization.py (``_save``, ``_load``), caffe2/serialize/inline_container.cc (the records of
PyTorchStreamWriter).  Every member lies in one folder, whose name is the file's or ``archive``.
"""

from __future__ import annotations

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ..source import Source
from ._pickle import Record, load
from ._pickled import Persistent
from ._torch_tensor import LONGEST_KEY, Storage, storage_type
from ._zip import ZipFile, looks_like_zip, zip_of

# 1.4.0's opt-in zip is said to call the folder otherwise (1.5 and later do not find its data); none was measured.
_DATA = ("data", "tensors", "tensor")


def records(source: Source) -> dict[str, str] | None:
    """The members by their names inside the one folder, or None if the file is not such an archive."""
    if not looks_like_zip(source):
        return None
    names = list(zip_of(source))
    folder = names[0].partition("/")[0] + "/" if names else "/"
    if folder == "/" or not all(name.startswith(folder) for name in names):
        return None
    return {name[len(folder) :]: name for name in names}


class Archive:
    """One archive: its records, and what the persistent ids of its pickles stand for."""

    def __init__(self, source: Source):
        self.source = source
        self.limits: Limits = source.limits
        self.zip: ZipFile = zip_of(source)
        self.records = records(source) or {}
        # torch.serialization.set_crc32_options(False) writes zeros: there is then nothing to check against.
        self.checksums = any(member.crc for member in self.zip.members.values())
        self._constants: set[int] = set()  # ids of the references that constants.pkl makes
        self._references: list[Persistent] = []  # and what keeps those ids theirs
        self.big_endian = self._byte_order() == "big"

    def _byte_order(self) -> str:
        """The ``byteorder`` record.  Files without one are taken for little-endian, as torch takes them on such."""
        found = self.text("byteorder") or "little"
        if found not in ("little", "big"):
            raise BrokenFile(f"the byte order {found!r} is neither little nor big.", where="member byteorder")
        return found

    def text(self, record: str) -> str | None:
        """A small record's text, or None if there is no such record."""
        if record not in self.records:
            return None
        return bytes(self.header(record)).decode("utf-8", "replace").strip()

    def header(self, record: str) -> memoryview:
        """A record that is read whole, its checksum verified where there is one."""
        return self.zip.header(self.records[record], check=self.checksums)

    def unpickle(self, record: str, met: Record | None = None) -> object:
        met = met or Record()
        cursor = Cursor(self.header(record), path=self.source.name, where=f"member {self.records[record]}")
        root = load(cursor, self.limits, met)
        if record == "constants.pkl":
            self._references = met.persistent
            self._constants = set(map(id, met.persistent))
        return root

    def member(self, record: str) -> tuple[str, int] | None:
        """(member name, bytes) of a record, if it is there."""
        name = self.records.get(record)
        return None if name is None else (name, self.zip.members[name].size)

    def storage(self, reference: Persistent) -> Storage | None:
        """("storage", class, key, location, count): torch 1.3's TorchScript adds a None."""
        said = reference.id
        if not isinstance(said, tuple) or len(said) not in (5, 6) or said[0] != "storage":
            return None
        _, kind, key, _location, count = said[:5]
        known = storage_type(kind)
        if not isinstance(key, str) or len(key) > LONGEST_KEY:
            raise BrokenFile("a storage has no name, or a very long one.", where="pickle")
        if known is None or type(count) is not int or count < 0:
            raise BrokenFile(f"storage {key} has the type {kind} and {count} elements.", where="pickle")
        folders = ("constants",) if id(reference) in self._constants else _DATA
        folder = next((each for each in folders if f"{each}/{key}" in self.records), folders[0])
        return self.stored(f"{folder}/{key}", *known, count)

    def stored(self, record: str, dtype: str | None, item_bytes: int, count: int) -> Storage:
        found = self.member(record)
        if found is None:
            raise BrokenFile(f"the archive has no member {record!r}.", where=f"storage {record.rpartition('/')[2]}")
        name, size = found
        if size < count * item_bytes:
            raise BrokenFile(
                f"has {size:,} bytes; {count:,} elements of {item_bytes} bytes are {count * item_bytes:,}.",
                where=f"member {name}",
            )
        return Storage(name, dtype, count, item_bytes, self.zip.later(name), f"member {name}", self.big_endian)

    def tensor(self, reference: Persistent) -> None:  # noqa: ARG002  # only torch 0.1's tar keeps tensors so
        return None
