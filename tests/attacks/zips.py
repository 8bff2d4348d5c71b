"""Zip archives that lie: about places, sizes, names, checksums, numbers; and those that blinded scanners of pickles.

Sources: PKWARE's APPNOTE 6.3.9; David Fifield, "A better zip bomb" (2019), for overlapping members; CVE-2025-1944 and -1945
(names and flags that one reader sees and another does not), CVE-2025-10156 (a wrong checksum ends the scan, not the load).
"""

from __future__ import annotations

import struct
import zlib

from bytes_of import FOUR_FLOATS, PROTO, Entry, called, packed_zeros, state, tensor, text, torch_entries, zip_of, zipped
from museum import Attack

from gatewise.errors import BrokenFile, ContainerError, LimitExceeded

PICKLE = PROTO + state(weight=tensor()) + b"."
EVIL = PROTO + called("os.system", text("x")) + b"."
LINK = 0xA1FF << 16  # a symbolic link, in the words of Unix


def _deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


def _bomb(claimed: int, real: int = 256 << 20) -> list[Entry]:
    """A storage of a quarter of a gigabyte in a quarter of a megabyte."""
    packed = packed_zeros(real)
    pickled = PROTO + state(weight=tensor(1024, (1024,), (1,))) + b"."
    return [
        Entry("a/data.pkl", pickled), Entry("a/version", b"3\n"),
        Entry("a/data/0", packed, method=8, size=claimed, crc=0),
    ]  # fmt: skip


def _overlapping() -> bytes:
    """Fifield's: many entries over one kernel of bytes."""
    entries = torch_entries()
    body = b"".join(each.local() for each in entries)
    kernel = _deflated(bytes(1 << 20))
    twins = [Entry(f"archive/data/{n}", kernel, method=8, size=1 << 20, at=len(body)) for n in range(1, 2000)]
    directory = b"".join(each.central(0) for each in twins)
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, len(twins), len(twins), len(directory), len(body) + len(twins[0].local()), 0
    )
    return body + twins[0].local() + directory + end


def _quine() -> bytes:
    """An archive whose member is an archive whose member …: nothing is opened that nobody asked for."""
    inner = zip_of(torch_entries())
    for _ in range(20):
        inner = zipped(
            {
                "archive/data.pkl": PICKLE,
                "archive/version": b"3\n",
                "archive/data/0": FOUR_FLOATS,
                "archive/inner.zip": inner,
            }
        )
    return inner


def _many(count: int) -> bytes:
    entries = torch_entries(*(Entry(f"archive/extra/{n}", b"") for n in range(count)))
    body, places = bytearray(), []
    for each in entries:
        places.append(len(body))
        body += each.local()
    directory = b"".join(each.central(at) for each, at in zip(entries, places, strict=True))
    small = min(len(entries), 0xFFFF)
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(entries), len(entries), len(directory), len(body)
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, small, small, len(directory), len(body), 0)
    return bytes(body) + directory + (end64 + locator if small == 0xFFFF else b"") + end


def _zip64(count: int, size: int, start: int, at: int | None = None, real_at: bool = True) -> bytes:
    """An archive whose zip64 end record lies."""
    honest = zip_of(torch_entries())
    body = honest[:-22]
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    place = len(body) if at is None else at
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, place, 1)
    return (
        body
        + (end64 if real_at else b"")
        + locator
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def _extra(*values: int) -> bytes:
    body = b"".join(struct.pack("<Q", value) for value in values)
    return struct.pack("<2H", 1, len(body)) + body


def _two_ends() -> bytes:
    """Two directories: the last end record counts, and the archive before it is none of ours."""
    return zip_of(torch_entries()) + zip_of(torch_entries(), tail=b"")[-22:]


def _comment_with_end() -> bytes:
    """The comment holds another end record, which a search from behind meets first."""
    archive = zip_of(torch_entries())
    fake = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    return archive[:-2] + struct.pack("<H", len(fake)) + fake


def _named(key: str) -> bytes:
    return zip_of(torch_entries(Entry(key, b"evil")))


NAMES = {
    "an absolute name": "/etc/cron.d/evil",
    "a name that climbs": "archive/../../../etc/passwd",
    "a name that climbs with backslashes": "archive\\..\\..\\evil",
    "a drive": "C:\\evil.exe",
    "a name of nothing": "",
    "a name with a zero": "archive/data/0\0.txt",
    "a name with a terminal's escapes": "archive/\x1b[2J\x1b]0;evil\x07",
    "a name of sixty thousand characters": "archive/" + "a" * 60_000,
    "a name with a thousand folders": "archive/" + "a/" * 1000 + "b",
}
ENTRIES = {
    "is encrypted": ({"flags": 1}, "encrypted"),
    "is strongly encrypted": ({"flags": 0x41}, "encrypted"),
    "is compressed in a way that is not known": ({"method": 99}, "compression method 99"),
    "is compressed with LZMA": ({"method": 14}, "compression method 14"),
    "is called otherwise in its own header": ({"local_name": "archive/data/1"}, "called otherwise"),
    "has two sizes": ({"packed": 8}, "two sizes differ"),
    "lies past the end": ({"at": 1 << 30}, "past the end"),
    "lies where another one does": ({"at": 0}, "overlaps"),
    "is longer than the file": ({"packed": 1 << 30, "size": 1 << 30}, ""),
    "needs zip64 sizes and has none": ({"size": 0xFFFFFFFF}, "zip64"),
    "has zip64 sizes of an exabyte": (
        {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": _extra(1 << 60, 1 << 60)},
        "",
    ),
    "has zip64 sizes that are cut": ({"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": _extra(16)}, ""),
    "has zip64 sizes of all bits": (
        {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": _extra((1 << 64) - 1, (1 << 64) - 1)},
        "",
    ),
    "has extra fields that are cut": ({"size": 0xFFFFFFFF, "extra": b"\1\0\xff\xff"}, ""),
}

ATTACKS = (
    *(Attack(f"{what} is a name and no path", _named(key), (None, ContainerError)) for what, key in NAMES.items()),
    *(Attack(f"a member that {what} is refused", zip_of(torch_entries(**lies)), BrokenFile, says) for what, (lies, says) in ENTRIES.items()),
    Attack("a member that is a symbolic link is bytes", zip_of(torch_entries(Entry("archive/data/1", b"/etc/passwd", external=LINK))), None),
    Attack("a storage that is a symbolic link is bytes", zip_of(torch_entries(external=LINK)), None),
    Attack("two members of one name are refused", zip_of(torch_entries(Entry("archive/data.pkl", EVIL))), BrokenFile, "two members"),
    Attack("names that differ in a zero are two (CVE-2025-1944)", zip_of(torch_entries(Entry("archive/data.pkl\0", EVIL))), (None, BrokenFile)),
    Attack("names that differ in their case are two", zip_of(torch_entries(Entry("archive/DATA.PKL", EVIL))), None),
    Attack("an encryption flag in the local header alone changes nothing (CVE-2025-1945)", zip_of(torch_entries(local_flags=1)), (None, BrokenFile)),
    Attack("a wrong checksum of the pickle is refused (CVE-2025-10156)",
           zip_of([Entry("archive/data.pkl", PICKLE, crc=1), *torch_entries()[1:]]), BrokenFile, "checksum"),
    Attack("a wrong checksum of a pickle that calls is refused",
           zip_of([Entry("archive/data.pkl", EVIL, crc=1), *torch_entries()[1:]]), BrokenFile, "checksum"),
    Attack("a checksum that only a deflated storage has wrong is refused when it is read",
           zip_of([Entry("a/data.pkl", PICKLE), Entry("a/version", b"3\n"),
                   Entry("a/data/0", _deflated(FOUR_FLOATS), method=8, size=16, crc=1)]), BrokenFile, "checksum"),
    Attack("two folders are not torch's", zip_of([*torch_entries(), Entry("other/data.pkl", EVIL)]), ContainerError),
    Attack("members over members are refused", _overlapping(), ContainerError, ""),
    Attack("a member within the directory is refused",
           zip_of(torch_entries(), start=40), BrokenFile),
    Attack("an archive in an archive in an archive stays closed", _quine(), None),
    Attack("five thousand members are opened", _many(5_000), None),
    Attack("more members than any model has are refused", _many(3) .replace(b"PK\5\6\0\0\0\0\6\0\6\0", b"PK\5\6\0\0\0\0\xff\xff\xff\xff"), BrokenFile),
    Attack("a directory of a hundred million entries is refused", _zip64(100_000_000, 46, 0), LimitExceeded, "members"),
    Attack("a directory of 2^64 bytes is refused", _zip64(3, (1 << 64) - 1, 0), LimitExceeded, "header bytes"),
    Attack("a directory that begins at 2^64 is refused", _zip64(3, 46, (1 << 64) - 1), BrokenFile, "outside"),
    Attack("a zip64 end record past the end is refused", _zip64(3, 46, 0, at=1 << 62), BrokenFile, "zip64 end record"),
    Attack("a zip64 end record that is not there is refused", _zip64(3, 46, 0, real_at=False), BrokenFile, "zip64 end record"),
    Attack("fewer members than the directory has are refused", zip_of(torch_entries(), count=2), BrokenFile, "bytes more than"),
    Attack("more members than the directory has are refused", zip_of(torch_entries(), count=4), BrokenFile),
    Attack("a directory that ends early is refused", zip_of(torch_entries(), size=50), BrokenFile),
    Attack("a directory that begins in a member is refused", zip_of(torch_entries(), start=3), BrokenFile),
    Attack("two end records: the last one counts", _two_ends(), (None, BrokenFile)),
    Attack("an end record in a comment is refused", _comment_with_end(), BrokenFile),
    Attack("a bomb that claims its size is refused", zip_of(_bomb(256 << 20)), ContainerError),
    Attack("a bomb that claims a petabyte is refused", zip_of(_bomb(0xFFFFFFFE)), ContainerError),
    Attack("a bomb that claims to be small opens to no more", zip_of(_bomb(4096)), BrokenFile, "another size"),
    Attack("a deflated member that is no deflate is refused",
           zip_of([Entry("a/data.pkl", b"\xff" * 50, method=8, size=100), Entry("a/version", b"3\n")]), BrokenFile, "decompressed"),
    Attack("an archive of nothing is no model", zip_of([]), ContainerError),
    Attack("an archive that ends in its first header is refused", zip_of(torch_entries())[:20], ContainerError),
    Attack("bytes before the archive make it none", b"#!/bin/sh\n" + zip_of(torch_entries()), ContainerError),
)  # fmt: skip
