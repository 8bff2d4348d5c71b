"""OCDBT, the key-value store that TensorStore keeps in a folder: the keys of its newest version, and where each value lies.

Source: TensorStore's own description of the format, tensorstore/kvstore/ocdbt/index.rst, and format/config_codec.cc.  A manifest names the root of a
B+tree; its nodes lie anywhere in data files, compressed; small values lie in the leaves, large ones in data files.
Only the newest version is read.  Checksums (CRC-32C) are not verified; every count is held against what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..cursor import Cursor
from ..errors import BrokenFile
from ..record import record
from ..source import Folder
from ._zstd import decompress

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

MANIFEST = "manifest.ocdbt"
_MANIFEST, _NODE = 0x0CDB3A2A, 0x0CDB20DE
_MOST_NODE_BYTES, _MOST_ENTRIES = 1 << 25, 200_000  # four times what TensorStore lets a node grow to; of entries alike
_FETCH_AGAIN = "The folder is incomplete or damaged; copy it again, with every file below d/ and ocdbt.process_*."
_SAVE_AGAIN = "Save it again with Orbax: PyTreeCheckpointHandler(use_ocdbt=False)."
Value = Callable[[], memoryview]


@record
class _Place:
    """Bytes of a data file, which lies under ``base``."""

    file: str
    base: str
    offset: int
    length: int


class _Reader:
    """The columns of a decoded body."""

    def __init__(self, body: bytes, where: str):
        self.cursor = Cursor(body, where=where)

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.cursor.u8()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise self.cursor.fail("a number has more than 64 bits.", next=_FETCH_AGAIN)

    def count(self) -> int:
        """A number of things that have at least a byte each."""
        found = self.number()
        if found > min(self.cursor.left, _MOST_ENTRIES):
            raise self.cursor.fail(
                f"announces {found:,} entries; {self.cursor.left:,} bytes are left, and no node has {_MOST_ENTRIES:,}.",
                next=_FETCH_AGAIN,
            )
        return found

    def numbers(self, count: int) -> list[int]:
        return [self.number() for _ in range(count)]

    def texts(self, prefixes: list[int], suffixes: list[int]) -> list[bytes]:
        """Texts that share their beginning with the one before."""
        found: list[bytes] = []
        for prefix, suffix in zip([0, *prefixes][: len(suffixes)], suffixes, strict=True):
            if found and prefix > len(found[-1]):
                raise self.cursor.fail("a name shares more than there is.", next=_FETCH_AGAIN)
            found.append((found[-1][:prefix] if found else b"") + bytes(self.cursor.take(suffix, "bytes of a name")))
        return found

    def files(self, transitive: str) -> list[tuple[str, str]]:
        """The data file table: (path, the base that applies to what is found in it)."""
        count = self.count()
        prefixes, suffixes, bases = self.numbers(max(count - 1, 0)), self.numbers(count), self.numbers(count)
        paths = [path.decode("utf-8", "surrogateescape") for path in self.texts(prefixes, suffixes)]
        return [(transitive + path, transitive + path[:base]) for path, base in zip(paths, bases, strict=True)]

    def places(
        self, files: list[tuple[str, str]], ids: list[int], offsets: list[int], lengths: list[int]
    ) -> list[_Place]:
        if any(number >= len(files) for number in ids):
            raise self.cursor.fail("names a data file that its table does not have.", next=_FETCH_AGAIN)
        return [_Place(*files[n], offset, length) for n, offset, length in zip(ids, offsets, lengths, strict=True)]


class Store:
    """The newest version: ``keys`` → a function that gives the value's bytes."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._open: dict[str, memoryview] = {}
        self._met: set[_Place] = set()
        self.keys: dict[str, Value] = {}
        root = self._root()
        if root is not None:
            self._node(root, b"", 0)

    def _file(self, name: str) -> memoryview:
        if name not in self._open:
            if name not in self._folder:
                raise BrokenFile(f"the store refers to {name}, which is not there.", where=MANIFEST, next=_FETCH_AGAIN)
            self._open[name] = self._folder.open(name).data
        return self._open[name]

    def _bytes(self, place: _Place) -> memoryview:
        data = self._file(place.file)
        if place.offset + place.length > len(data):
            raise BrokenFile(
                f"ends before byte {place.offset + place.length:,}, where the store keeps something.", where=place.file,
                next=_FETCH_AGAIN,
            )  # fmt: skip
        return data[place.offset : place.offset + place.length]

    def _root(self) -> _Place | None:
        """Where the newest version's root lies; None where it is empty."""
        reader = _body(self._file(MANIFEST), _MANIFEST, MANIFEST)
        reader.cursor.take(16, "bytes of the store's id")
        if reader.number():  # the manifest's kind, which the description does not tell of: config_codec.cc does
            raise reader.cursor.fail(
                "keeps its manifest in several files, which gatewise does not read.", next=_SAVE_AGAIN
            )
        reader.numbers(2)
        reader.cursor.u8()
        if reader.number():
            reader.cursor.take(4, "bytes of its compression")
        files = reader.files("")
        count = reader.count()
        reader.numbers(count)  # generations, the newest last
        reader.cursor.take(count, "heights")
        places = reader.places(files, reader.numbers(count), reader.numbers(count), reader.numbers(count))
        empty = not places or places[-1].length == 0
        return None if empty else places[-1]

    def _node(self, place: _Place, prefix: bytes, depth: int) -> None:
        self._folder.limits.check("nesting", depth, path=self._folder.path, where=MANIFEST)
        if place in self._met:
            raise BrokenFile("a node of the store is its own descendant.", where=place.file, next=_FETCH_AGAIN)
        self._met.add(place)
        reader = _body(self._bytes(place), _NODE, f"{place.file}, node at byte {place.offset}")
        height = reader.cursor.u8()
        files = reader.files(place.base)
        count = reader.count()
        self._folder.limits.check("tensors", len(self.keys) + count, path=self._folder.path, where=MANIFEST)
        prefixes, suffixes = reader.numbers(max(count - 1, 0)), reader.numbers(count)
        if height:
            for child, common in _children(reader, files, prefixes, suffixes):
                self._node(child, prefix + common, depth + 1)
        else:
            self._leaf(reader, files, prefix, prefixes, suffixes)

    def _leaf(
        self, reader: _Reader, files: list[tuple[str, str]], prefix: bytes, prefixes: list[int], suffixes: list[int]
    ) -> None:
        keys = reader.texts(prefixes, suffixes)
        lengths, kinds = reader.numbers(len(keys)), reader.numbers(len(keys))
        apart = [length for length, kind in zip(lengths, kinds, strict=True) if kind]
        places = iter(reader.places(files, reader.numbers(len(apart)), reader.numbers(len(apart)), apart))
        for key, length, kind in zip(keys, lengths, kinds, strict=True):
            name = (prefix + key).decode("utf-8", "surrogateescape")
            self.keys[name] = (
                self._later(next(places)) if kind else _given(reader.cursor.take(length, "bytes of a value"))
            )

    def _later(self, place: _Place) -> Value:
        return lambda: self._bytes(place)


def _given(value: memoryview) -> Value:
    return lambda: value


def _children(
    reader: _Reader, files: list[tuple[str, str]], prefixes: list[int], suffixes: list[int]
) -> Iterator[tuple[_Place, bytes]]:
    """Each child, and the beginning that all its keys share."""
    count = len(suffixes)
    common = reader.numbers(count)
    keys = reader.texts(prefixes, suffixes)
    columns: list[Any] = [reader.numbers(count) for _ in range(3)]
    places = reader.places(files, *columns)
    return zip(places, (key[:length] for key, length in zip(keys, common, strict=True)), strict=True)


def _body(data: memoryview, magic: int, where: str) -> _Reader:
    """The decoded body of a manifest or a node."""
    cursor = Cursor(data, where=where)
    if int.from_bytes(cursor.take(4, "bytes of magic"), "big") != magic:
        raise cursor.fail("does not begin as an OCDBT manifest or node does.", next=_FETCH_AGAIN)
    length = cursor.u64()
    if length != len(data) or length < 18:
        raise cursor.fail(f"announces {length:,} bytes and has {len(data):,}.", next=_FETCH_AGAIN)
    version, compression = cursor.u8(), cursor.u8()
    if version or compression > 1:
        raise cursor.fail(f"is of version {version}, compression {compression}; 0, and 0 or 1 (zstd) are known.")
    body = cursor.take(cursor.left - 4, "bytes of its body")  # the last four are the checksum
    return _Reader(decompress(body, _MOST_NODE_BYTES, where) if compression else bytes(body), where)
