"""Zip archives, mapped: the central directory is read and judged as a whole, members are views of the file.

The standard library's zipfile copies members and believes more of what an archive says than a stranger's file
deserves.  Here one validator stands at the border: every member must be stored or deflated, lie inside the file, before
the central directory, and overlap no other.  A member's own header, which stands before its bytes, is held against the
directory when the member is read: to look at all of them would read from all over a large file that is only listed.
Source: PKWARE APPNOTE 6.3.9, sections 4.3 to 4.5.  Not known here: encryption, several disks, other compressions.
"""

from __future__ import annotations

import functools
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator

from ..cursor import Cursor
from ..errors import BrokenFile
from ..record import lazy
from ..source import Source

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import IO

_END, _END64_LOCATOR, _END64, _CENTRAL, _LOCAL = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2", b"PK\3\4"
_ENTRY = struct.Struct("<4s6H3I5H2I")  # of the directory, up to the name
_LOCAL_BYTES = 30
_BEHIND = 256  # bytes of extra fields, and of what a member itself begins with: an array's own header
_STORED, _DEFLATED = 0, 8
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


class Member:
    """One entry.  ``at`` is where its own header begins in the file, ``packed`` how many bytes follow that header."""

    __slots__ = ("at", "crc", "deflated", "name", "packed", "raw_name", "size")

    def __init__(self, name: str, raw_name: bytes, at: int, packed: int, size: int, deflated: bool, crc: int):
        self.name, self.raw_name, self.at, self.packed = name, raw_name, at, packed
        self.size, self.deflated, self.crc = size, deflated, crc

    @property
    def least(self) -> int:
        """The first byte that can be another's: its own header may have extra fields besides."""
        return self.at + _LOCAL_BYTES + len(self.raw_name) + self.packed


class ZipFile:
    """The members of a zip archive by name, in the archive's order.  Raises BrokenFile, LimitExceeded.

    ``base`` and ``end`` cut an archive out of a larger file (a zip within a zip is read in place when it is stored).
    """

    def __init__(self, source: Source, base: int = 0, end: int | None = None):
        self.source = source
        self.base = base
        self.end = source.size if end is None else end
        self.members: dict[str, Member] = {}
        self._ends: dict[int, int] = {}  # of the member whose header is here: where the next one's is
        self._starts: dict[int, int] = {}
        for member in self._read():
            if member.name in self.members:
                raise self._broken(f"two members are called {member.name!r}.")
            self.members[member.name] = member

    def __contains__(self, name: str) -> bool:
        return name in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    @lazy
    def listed(self) -> str:
        """All members' names as one text."""
        return "\n".join(self.members)

    def read(self, name: str) -> memoryview:
        """A member's bytes: a view of the mapped file when it is stored, else decompressed now, its CRC-32 computed."""
        member = self._member(name)
        start = self.start(member)
        return self._opened(member, self.source.data[start : start + member.packed], check=member.deflated)

    def header(self, name: str, check: bool = True) -> memoryview:
        """A member that is read whole as a header: bounded by ``Limits.header_bytes``, its CRC-32 computed (``check``:
        also where it is stored), and nothing around it read from the disk."""
        member = self._member(name)
        self.source.limits.check("header_bytes", member.size, path=self.source.name, where=f"member {name}")
        start = self.start(member, alone=True)
        raw = memoryview(self.source.look(start, start + member.packed))
        return self._opened(member, raw, check or member.deflated)

    def _member(self, name: str) -> Member:
        try:
            return self.members[name]
        except KeyError:
            raise self._broken(f"has no member {name!r}.") from None

    def _opened(self, member: Member, raw: memoryview, check: bool) -> memoryview:
        data = self._inflate(member, raw) if member.deflated else raw
        if check and zlib.crc32(data) != member.crc:
            raise self._broken("its checksum is wrong: the bytes were changed.", member.name)
        return data

    def start(self, member: Member, alone: bool = False) -> int:
        """Where a member's bytes begin in the file, once its own header agrees with the directory.  That is looked at once:
        pages that were given back would come with it again.  ``alone``: what follows is not read, or only its beginning."""
        if member.at in self._starts:
            return self._starts[member.at]
        length = len(member.raw_name)
        at, end = member.at, min(member.at + _LOCAL_BYTES + length + _BEHIND, self.end)
        head = self.source.look(at, end) if alone else bytes(self.source.data[at:end])
        if head[:4] != _LOCAL:
            raise self._broken("its local header is missing.", member.name)
        name_bytes, extra_bytes = int.from_bytes(head[26:28], "little"), int.from_bytes(head[28:30], "little")
        if name_bytes != length or head[_LOCAL_BYTES : _LOCAL_BYTES + length] != member.raw_name:
            raise self._broken("is called otherwise in its own header.", member.name)
        start = member.at + _LOCAL_BYTES + length + extra_bytes
        if start + member.packed > self._ends[member.at]:
            raise self._broken("runs into what follows it.", member.name)
        self._starts[member.at] = start
        return start

    def _broken(self, message: str, member: str | None = None) -> BrokenFile:
        where = f"member {member}" if member else "zip directory"
        return BrokenFile(message, path=self.source.name, where=where, next=_FETCH_AGAIN)

    def _inflate(self, member: Member, raw: memoryview) -> memoryview:
        limits, where = self.source.limits, f"member {member.name}"
        limits.opens(member.packed, member.size, path=self.source.name, where=where)
        machine = zlib.decompressobj(-15)
        try:
            data = machine.decompress(raw, member.size + 1)
        except zlib.error as error:
            raise self._broken(f"cannot be decompressed: {error}.", member.name) from None
        if len(data) != member.size or not machine.eof:
            raise self._broken(f"opens to another size than the {member.size:,} bytes announced.", member.name)
        return memoryview(data)

    def later(self, name: str) -> Callable[[], memoryview]:
        """What gives a member's bytes when called; a :class:`Stored` where they are a view of the file."""
        return functools.partial(self.read, name) if self.members[name].deflated else Stored(self, name)

    # The directory.

    def _read(self) -> Iterable[Member]:
        count, start, size = self._end_of_directory()
        self.source.limits.check("members", count, path=self.source.name, where="zip directory")
        self.source.limits.check("header_bytes", size, path=self.source.name, where="zip directory")
        if start < 0 or self.base + start + size > self.end:
            raise self._broken("its directory lies outside the file.")
        directory_at = self.base + start
        directory = self.source.look(directory_at, directory_at + size)
        cursor = Cursor(directory, path=self.source.name, where="zip directory", base=directory_at)
        members = [self._central(cursor) for _ in range(count)]
        if cursor.left:
            raise self._broken(f"its directory has {cursor.left} bytes more than its {count} members need.")
        self._no_overlap(members, directory_at)
        return members

    def _end_of_directory(self) -> tuple[int, int, int]:
        """(members, start of the directory relative to the archive, its size)."""
        tail_at = max(self.base, self.end - 22 - 0xFFFF)
        tail = self.source.look(tail_at, self.end)
        found = tail.rfind(_END)
        if found < 0 or found + 22 > len(tail):
            raise self._broken("the zip archive has no end: its directory is missing.")
        at = tail_at + found
        cursor = self.source.cursor(at, self.end, "zip end record")
        cursor.take(4)
        disk, directory_disk, here, count, size, start, comment = (
            cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16(), cursor.u32(), cursor.u32(), cursor.u16(),
        )  # fmt: skip
        if comment > cursor.left:
            raise self._broken("its comment is longer than the file.")
        locator_at = at - 20
        if locator_at >= self.base and bytes(self.source.data[locator_at : locator_at + 4]) == _END64_LOCATOR:
            return self._end64(locator_at)
        if disk or directory_disk or here != count:
            raise self._broken("is one part of an archive on several disks.")
        return count, start, size

    def _end64(self, locator_at: int) -> tuple[int, int, int]:
        locator = self.source.cursor(locator_at + 4, locator_at + 20, "zip64 locator")
        locator.u32()
        at = self.base + locator.u64()
        if at + 56 > locator_at or bytes(self.source.data[at : at + 4]) != _END64:
            raise self._broken("its zip64 end record is not where it should be.")
        cursor = self.source.cursor(at + 24, at + 56, "zip64 end record")
        here, count, size, start = cursor.u64(), cursor.u64(), cursor.u64(), cursor.u64()
        if here != count:
            raise self._broken("is one part of an archive on several disks.")
        return count, start, size

    def _central(self, cursor: Cursor) -> Member:
        (mark, _made, _needs, flags, method, _time, _date, crc, packed, size, name_bytes, extra_bytes, comment, _disk,
         _internal, _external, local_at) = _ENTRY.unpack(cursor.take(_ENTRY.size, "bytes of a directory entry"))  # fmt: skip
        if mark != _CENTRAL:
            raise self._broken("its directory is garbled.")
        behind = bytes(cursor.take(name_bytes + extra_bytes + comment, "bytes of a name, extra fields and a comment"))
        raw_name = behind[:name_bytes]
        name = raw_name.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        if 0xFFFFFFFF in (size, packed, local_at):
            extra = behind[name_bytes : name_bytes + extra_bytes]
            size, packed, local_at = self._zip64(extra, name, size, packed, local_at)
        if flags & 1:
            raise self._broken("is encrypted.", name)
        if method not in (_STORED, _DEFLATED):
            raise self._broken(f"uses compression method {method}; gatewise reads stored and deflated.", name)
        if method == _STORED and packed != size:
            raise self._broken("is stored, yet its two sizes differ.", name)
        at = self.base + local_at
        if at + _LOCAL_BYTES > self.end:
            raise self._broken("begins past the end of the file.", name)
        return Member(name, raw_name, at, packed, size, method == _DEFLATED, crc)

    def _zip64(self, extra: bytes, name: str, *sizes: int) -> tuple[int, ...]:
        """The three sizes, with those that are all ones replaced by the zip64 extra field's."""
        fields = Cursor(extra, path=self.source.name, where=f"member {name}, extra fields")
        while fields.left >= 4:
            kind, length = fields.u16(), fields.u16()
            body = Cursor(fields.take(length), path=self.source.name, where=f"member {name}, zip64 field")
            if kind == 1:
                return tuple(body.u64() if size == 0xFFFFFFFF else size for size in sizes)
        raise self._broken("needs zip64 sizes and has none.", name)

    def _no_overlap(self, members: list[Member], directory_at: int) -> None:
        members = sorted(members, key=lambda member: (member.at, member.packed))
        for member, after in itertools.pairwise(members):
            if member.least > after.at:
                raise self._broken(f"overlaps {member.name}.", after.name)
            self._ends[member.at] = after.at
        if members:
            if members[-1].least > directory_at:
                raise self._broken("runs into the directory.", members[-1].name)
            self._ends[members[-1].at] = directory_at


class Stored:
    """The bytes of a stored member: a view of the mapped file, found when it is asked for."""

    __slots__ = ("archive", "name")

    def __init__(self, archive: ZipFile, name: str):
        self.archive, self.name = archive, name

    def __call__(self) -> memoryview:
        return self.archive.read(self.name)

    @property
    def obj(self) -> object:
        """The mapped file, as a memoryview tells what it views."""
        return self.archive.source.data.obj


def looks_like_zip(source: Source) -> bool:
    """Does the file begin like a zip archive (an empty one included)?"""
    return bytes(source.data[:4]) in (_LOCAL, _END)


@functools.lru_cache(maxsize=4)
def zip_of(source: Source) -> ZipFile:
    """The archive of a source; several formats ask for the same one when they look whether it is theirs."""
    return ZipFile(source)


class ZipWriter:
    """Writes stored members one after another, streaming, each one's data aligned to 64 bytes, dates fixed.

    Same members, same bytes out.  Sizes must be known before; the CRC-32 is computed while the data pass and put
    into the header afterwards, so nothing is held.  Zip64 fields are written only where a number asks for them.
    """

    ALIGN = 64

    def __init__(self, file: IO[bytes]):
        self.file = file
        self._entries: list[tuple[bytes, int, int, int]] = []  # name, crc, size, local header's place

    def add(self, name: str, size: int, chunks: Iterable[bytes | memoryview]) -> None:
        """One member of exactly ``size`` bytes."""
        raw, at = name.encode(), self.file.tell()
        wide = size >= 0xFFFFFFFF
        zip64 = _extra(1, size.to_bytes(8, "little") * 2) if wide else b""
        padding = -(at + 30 + len(raw) + len(zip64) + 4) % self.ALIGN
        extra = zip64 + _extra(0x4246, b"Z" * padding)  # "FB": how torch pads, so that tensors can be mapped
        self.file.write(_local_header(raw, 0, size, extra))
        crc = written = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            written += self.file.write(chunk)
        if written != size:
            raise ValueError(f"{name}: {written} bytes written, {size} announced")
        after = self.file.tell()
        self.file.seek(at)
        self.file.write(_local_header(raw, crc, size, extra))
        self.file.seek(after)
        self._entries.append((raw, crc, size, at))

    def close(self) -> None:
        """Write the directory.  The file itself stays open."""
        start = self.file.tell()
        for raw, crc, size, at in self._entries:
            self.file.write(_central_header(raw, crc, size, at))
        end = self.file.tell()
        count, length = len(self._entries), end - start
        if count >= 0xFFFF or start >= 0xFFFFFFFF or length >= 0xFFFFFFFF:
            self.file.write(
                _END64 + _little(44, 8) + _little(45, 2) * 2 + _little(0, 4) * 2
                + _little(count, 8) * 2 + _little(length, 8) + _little(start, 8)
                + _END64_LOCATOR + _little(0, 4) + _little(end, 8) + _little(1, 4)
            )  # fmt: skip
        self.file.write(
            _END + _little(0, 2) * 2 + _little(min(count, 0xFFFF), 2) * 2
            + _little(min(length, 0xFFFFFFFF), 4) + _little(min(start, 0xFFFFFFFF), 4) + _little(0, 2)
        )  # fmt: skip


_DATE = 0x0021  # 1 January 1980, the first day zip knows: the same bytes on every day


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def _extra(kind: int, body: bytes) -> bytes:
    return _little(kind, 2) + _little(len(body), 2) + body


def _local_header(raw: bytes, crc: int, size: int, extra: bytes) -> bytes:
    short = min(size, 0xFFFFFFFF)
    version = 45 if size >= 0xFFFFFFFF else 20
    return (
        _LOCAL + _little(version, 2) + _little(0x800, 2) + _little(_STORED, 2) + _little(0, 2) + _little(_DATE, 2)
        + _little(crc, 4) + _little(short, 4) * 2 + _little(len(raw), 2) + _little(len(extra), 2) + raw + extra
    )  # fmt: skip


def _central_header(raw: bytes, crc: int, size: int, at: int) -> bytes:
    wide = [value for value in (size, size) if value >= 0xFFFFFFFF] + ([at] if at >= 0xFFFFFFFF else [])
    extra = _extra(1, b"".join(_little(value, 8) for value in wide)) if wide else b""
    version = 45 if wide else 20
    return (
        _CENTRAL + _little(version, 2) * 2 + _little(0x800, 2) + _little(_STORED, 2) + _little(0, 2) + _little(_DATE, 2)
        + _little(crc, 4) + _little(min(size, 0xFFFFFFFF), 4) * 2 + _little(len(raw), 2) + _little(len(extra), 2)
        + _little(0, 2) * 3 + _little(0, 4) + _little(min(at, 0xFFFFFFFF), 4) + raw + extra
    )  # fmt: skip
