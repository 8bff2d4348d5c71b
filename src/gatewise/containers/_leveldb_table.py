"""LevelDB tables: sorted keys and values in blocks, as TensorFlow's checkpoints have them.

A table ends with a footer that points at the index block, which points at the data blocks; they lie one behind the
other and so do their keys, so a pointer that goes back is refused and nothing can go in circles.  Keys share prefixes
with the key before.  Each block has a type byte and a masked CRC-32C behind it.
Source: LevelDB doc/table_format.md and util/crc32c.h; tensorflow/core/lib/io/{format,block,table}.cc (TF 1.15).
Not known here: what keys and values mean; filters.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import BrokenFile
from ..source import Source
from ._crc32c import crc32c, masked

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_TRAILER = 5  # a block's type and its checksum
_PLAIN, _SNAPPY = 0, 1
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def is_table(source: Source) -> bool:
    """Does it end as a table does?"""
    return source.size >= _FOOTER and bytes(source.data[-8:]) == MAGIC


class Table:
    """The blocks of one file.  ``where`` names it in messages.  Raises BrokenFile, LimitExceeded."""

    def __init__(self, source: Source, where: str):
        self.source = source
        self.where = where
        self._end = source.size - _FOOTER
        if not is_table(source):
            raise self.broken("does not end as a table of TensorFlow's checkpoints does.")
        footer = source.cursor(self._end, where=f"{where} footer")
        _handle(footer)  # the metaindex, which TensorFlow leaves empty
        self._blocks = [_handle(Cursor(value, path=source.name, where=where)) for _, value in self._index(footer)]
        source.limits.check("members", len(self._blocks), path=source.name, where=f"{where} blocks")

    def entries(self, check: int) -> Iterator[tuple[bytes, memoryview]]:
        """Keys and values in their order; the values are views.  Blocks of up to ``check`` bytes are held against
        their checksums; of larger ones only the headers are looked at."""
        at, last, count = 0, None, 0
        for start, size in self._blocks:
            if start < at or start + size + _TRAILER > self._end:
                raise self.broken(f"the block at byte {start:,} does not lie behind the one before it.")
            at = start + size + _TRAILER
            for key, value in self._entries(self._block(start, size, size <= check), start):
                if last is not None and key <= last:
                    raise self.broken(f"keys are not sorted: {key[:60]!r} comes behind {last[:60]!r}.")
                last, count = key, count + 1
                yield key, value
            self.source.limits.check("tensors", count, path=self.source.name, where=self.where)

    def broken(self, message: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=self.where, next=_FETCH_AGAIN)

    def _index(self, footer: Cursor) -> Iterator[tuple[bytes, memoryview]]:
        start, size = _handle(footer)
        if start + size + _TRAILER > self._end:
            raise self.broken(f"the index is said to lie at bytes {start:,} to {start + size:,}, past the end.")
        self.source.limits.check("header_bytes", size, path=self.source.name, where=self.where)
        return self._entries(self._block(start, size, True), start)

    def _block(self, start: int, size: int, check: bool) -> memoryview:
        """A block's plain bytes."""
        body = self.source.data[start : start + size]
        kind = self.source.data[start + size]
        if check:
            stored = int.from_bytes(self.source.data[start + size + 1 : start + size + _TRAILER], "little")
            found = masked(crc32c(self.source.data[start : start + size + 1]))
            if stored != found:
                raise self.broken(
                    f"the block at byte {start:,} has the checksum {stored:08x}, its bytes give {found:08x}."
                )
        if kind == _PLAIN:
            return body
        if kind != _SNAPPY:
            raise self.broken(f"the block at byte {start:,} has the type {kind}; plain is 0, snappy 1.")
        from ._snappy import decompressed

        return decompressed(body, self.source.limits, path=self.source.name, where=f"{self.where}, byte {start:,}")

    def _entries(self, block: memoryview, start: int) -> Iterator[tuple[bytes, memoryview]]:
        """The keys of one block.  Behind them lie restart points, which only a search needs."""
        restarts = int.from_bytes(block[-4:], "little")
        end = len(block) - 4 * (restarts + 1)
        if end < 0:
            raise self.broken(f"the block at byte {start:,} announces {restarts:,} restart points.")
        at, key = 0, b""
        while at < end:
            shared, fresh, length = block[at], block[at + 1], block[at + 2]  # the restart points are longer than that
            at += 3
            if shared | fresh | length > 127:
                shared, at = _number(block, at - 3, end)
                fresh, at = _number(block, at, end)
                length, at = _number(block, at, end)
            if at < 0 or shared > len(key) or at + fresh + length > end:
                raise self.broken(f"an entry of the block at byte {start:,} reaches past its end.")
            key = key[:shared] + bytes(block[at : at + fresh])
            at += fresh + length
            yield key, block[at - length : at]


def _handle(cursor: Cursor) -> tuple[int, int]:
    """(where a block begins, its size without the trailer)."""
    from ._protobuf import varint

    return varint(cursor), varint(cursor)


def _number(block: memoryview, at: int, end: int) -> tuple[int, int]:
    """(a varint of at most 32 bits, where it ends); the place is negative, and stays so, where it does not end."""
    value = shift = 0
    while 0 <= at < end and shift < 35:
        byte = block[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, -1
