"""Snappy blocks, opened: a length, then literals and copies of what was already opened.

TensorFlow has never been seen to compress the tables of its checkpoints, but its reader accepts it, and so does this
one.  The announced length is held against the limits before anything grows, and every copy against what is there.
Source: https://github.com/google/snappy/blob/main/format_description.txt.  Not known here: the framing format.
"""

from __future__ import annotations

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ._protobuf import varint

_LONGEST_COPY = 64  # bytes that one copy of three may give: no honest block grows by more than that ratio


def decompressed(packed: memoryview, limits: Limits, *, path: object, where: str) -> memoryview:
    """The plain bytes of one block.  Raises BrokenFile, LimitExceeded."""
    cursor = Cursor(packed, path=path, where=where)
    size = varint(cursor)
    limits.check("header_bytes", size, path=path, where=where)
    if size > _LONGEST_COPY * len(packed):
        raise cursor.fail(f"a compressed block of {len(packed):,} bytes announces {size:,}, which snappy cannot pack.")
    plain = bytearray()
    while cursor.left:
        _element(cursor, plain)
        if len(plain) > size:
            raise _length(cursor, size, "more")
    if len(plain) != size:
        raise _length(cursor, size, f"{len(plain):,}")
    return memoryview(bytes(plain))


def _element(cursor: Cursor, plain: bytearray) -> None:
    """One literal or one copy, appended."""
    tag = cursor.u8()
    kind, rest = tag & 3, tag >> 2
    if kind == 0:
        length = rest if rest < 60 else int.from_bytes(cursor.take(rest - 59), "little")
        plain += cursor.take(length + 1, "bytes of a literal")
        return
    if kind == 1:
        length, offset = (rest & 7) + 4, (rest >> 3) << 8 | cursor.u8()
    else:
        length, offset = rest + 1, cursor.u16() if kind == 2 else cursor.u32()
    if not 0 < offset <= len(plain):
        raise cursor.fail(f"a copy reaches {offset:,} bytes back, {len(plain):,} are there.")
    start = len(plain) - offset
    piece = plain[start : start + length]
    plain += (piece * (length // offset + 1))[:length]  # a copy may overlap what it makes


def _length(cursor: Cursor, size: int, found: str) -> BrokenFile:
    return cursor.fail(f"a compressed block announces {size:,} bytes and holds {found}.")
