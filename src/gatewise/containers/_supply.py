"""Bytes that come in pieces of any size, taken in lengths that a format prescribes.  Knows no format."""

from __future__ import annotations

from collections.abc import Iterator


class Supply:
    """What is left of some pieces."""

    def __init__(self, pieces: Iterator[memoryview]):
        self._pieces = pieces
        self._left = memoryview(b"")

    def take(self, length: int) -> Iterator[memoryview]:
        """The next ``length`` bytes, in pieces; fewer only where no more are left."""
        while length:
            if not self._left:
                found = next(self._pieces, None)
                if found is None:
                    return
                self._left = found
            part, self._left = self._left[:length], self._left[length:]
            length -= len(part)
            yield part


def same_bytes(one: Iterator[memoryview], other: Iterator[memoryview]) -> bool:
    """Do both give the same bytes, whatever the lengths of their pieces?  Neither is held: each piece is compared before
    the next one is asked for, which may be made in its memory."""
    theirs = Supply(other)
    for piece in one:
        at = 0
        for part in theirs.take(len(piece)):
            if bytes(piece[at : at + len(part)]) != bytes(part):
                return False
            at += len(part)
        if at < len(piece):
            return False
    return not any(theirs.take(1))
