"""Bounded reading of bytes: every count taken from a file is held against what is left.

A reader that goes through :class:`Cursor` cannot run past the end of its bytes, whatever the file claims, and a
reader that asks :class:`Limits` before it grows anything cannot be made to eat the machine.
"""

from __future__ import annotations

import os
import struct

from .errors import BrokenFile, LimitExceeded, UsageError
from .record import record


@record
class Limits:
    """What no honest file passes.  Checked as bytes are read, not afterwards.  Who trusts a file passes others to
    ``gatewise.open``, or sets the environment's ``GATEWISE_LIMITS`` (``large_ratio=1100,tensors=5000000``), which every
    command and function reads."""

    header_bytes: int = 100_000_000  # one header, pickle, JSON or index
    members: int = 200_000  # entries of an archive, groups of an HDF5 file
    tensors: int = 1_000_000
    nesting: int = 200  # depth of a tree
    objects: int = 5_000_000  # objects a pickle may build
    rank: int = 32  # axes of one tensor
    ratio: int = 1_100  # plain bytes per compressed byte (deflate cannot pass 1032)
    large_ratio: int = 64  # the same of what opens to more than 64 MB: trained numbers hardly shrink
    plain_bytes: int = 64 << 30  # bytes that one compressed member may open to

    def check(self, what: str, found: int, *, path: object = None, where: str | None = None) -> int:
        """``found`` if it is within the limit called ``what``; LimitExceeded otherwise."""
        allowed: int = getattr(self, what)
        if found > allowed:
            raise LimitExceeded(
                f"asks for {found:,} {what.replace('_', ' ')}, more than the {allowed:,} that gatewise allows.",
                path=path,
                where=where,
                next=f"A file of this kind is broken or hostile; if you trust it, set GATEWISE_LIMITS={what}={found}.",
            )
        return found

    def opens(self, packed: int, plain: int, *, path: object = None, where: str | None = None) -> None:
        """Raises LimitExceeded where ``packed`` bytes would open to so many plain ones that they are a bomb."""
        self.check("plain_bytes", plain, path=path, where=where)
        allowed = max(_LARGE, self.large_ratio * packed) if plain > _LARGE else self.ratio * max(packed, 1)
        if plain > max(allowed, _SMALL):
            raise LimitExceeded(
                f"{packed:,} stored bytes open to {plain:,} or more, and no model's numbers shrink so.",
                path=path, where=where,
                next="The file is broken or a bomb; if you trust it, because it holds nearly nothing but zeros, set "
                f"GATEWISE_LIMITS={'large_ratio' if plain > _LARGE else 'ratio'}={-(-plain // max(packed, 1))}.",
            )  # fmt: skip


_SMALL, _LARGE = 1 << 12, 64 << 20


def _said(text: str) -> Limits:
    """The limits that ``name=number,name=number`` asks for.  Raises UsageError."""
    told = [piece.partition("=") for piece in text.replace(" ", "").split(",") if piece]
    known = vars(Limits())
    for name, _, number in told:
        if name not in known or not number.isdecimal():
            raise UsageError(
                f"GATEWISE_LIMITS says {name + '=' + number!r}, which is no limit and its number.",
                next=f"Write name=number, with commas between; the names are {', '.join(known)}.",
            )
    return Limits(**{name: int(number) for name, _, number in told})


DEFAULT_LIMITS = _said(os.environ.get("GATEWISE_LIMITS", ""))


class Cursor:
    """Reads forward through bytes.  Every read is bounded; running out is a BrokenFile that says where."""

    __slots__ = ("at", "base", "data", "path", "where")

    def __init__(self, data: memoryview | bytes, *, path: object = None, where: str = "", base: int = 0):
        self.data = memoryview(data)
        self.at = 0
        self.base = base  # offset of data[0] in the file, for messages
        self.path = path
        self.where = where

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def fail(self, message: str, next: str | None = None) -> BrokenFile:
        """A BrokenFile at the present place, to be raised."""
        place = f"byte {self.base + self.at}"
        return BrokenFile(message, path=self.path, where=f"{self.where}, {place}" if self.where else place, next=next)

    def take(self, count: int, what: str = "bytes") -> memoryview:
        """The next ``count`` bytes, as a view."""
        if count < 0 or count > self.left:
            raise self.fail(
                f"the file ends early: {count:,} {what} announced, {self.left:,} bytes left.",
                next="The file is cut or damaged; fetch it again.",
            )
        start = self.at
        self.at = start + count
        return self.data[start : self.at]

    def unpack(self, code: str, what: str = "bytes") -> tuple[int, ...]:
        """``struct.unpack`` of the next bytes."""
        return struct.unpack(code, self.take(struct.calcsize(code), what))

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def i32(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def line(self, longest: int = 1 << 16) -> bytes:
        """Bytes up to the next newline, which is consumed and not returned."""
        window = bytes(self.data[self.at : self.at + longest])
        end = window.find(b"\n")
        if end < 0:
            raise self.fail("a line without an end.", next="The file is cut or damaged; fetch it again.")
        self.at += end + 1
        return window[:end]
