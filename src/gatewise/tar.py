"""Tar archives, mapped: the regular members and where they lie.

Source: POSIX.1-2008, pax, "ustar Interchange Format".  The standard library's tarfile reads through a file object and
repairs what it can; here a header is right or the file is refused.  Not known: sparse members, sizes in pax records.
"""

from __future__ import annotations

from collections.abc import Iterator

from .cursor import Limits
from .errors import BrokenFile

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    pass

_BLOCK = 512
_REGULAR = (b"0", b"\0")  # anything else (folders, links, pax headers) is skipped by its size


def looks_like_tar(data: memoryview) -> bool:
    return bytes(data[257:262]) == b"ustar"


def members(data: memoryview, path: object, limits: Limits) -> dict[str, tuple[int, int]]:
    """(start, end) of each regular member by name.  Raises BrokenFile, LimitExceeded."""
    found: dict[str, tuple[int, int]] = {}
    for name, start, end in walk(data, path):
        if name in found:
            raise _broken(path, start, f"two members are called {name!r}.")
        found[name] = (start, end)
        limits.check("members", len(found), path=path, where="tar headers")
    return found


def walk(data: memoryview, path: object) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of each regular member, one after another."""
    at = 0
    while at + _BLOCK <= len(data):
        header = bytes(data[at : at + _BLOCK])
        if not header.strip(b"\0"):
            return
        size = _octal(path, at, header[124:136])
        checksum = sum(header[:148]) + 8 * 32 + sum(header[156:])
        if header[257:262] != b"ustar" or _octal(path, at, header[148:156]) != checksum:
            raise _broken(path, at, "a tar header is garbled.")
        start, kind = at + _BLOCK, header[156:157]
        if start + size > len(data):
            raise _broken(path, at, f"a member of {size:,} bytes runs past the end of the file.")
        if kind in _REGULAR:
            yield header[:100].rstrip(b"\0").decode("utf-8", "replace"), start, start + size
        at = start + -(-size // _BLOCK) * _BLOCK
    raise _broken(path, at, "the tar archive has no end.")


def _octal(path: object, at: int, field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit() or set(digits) & set(b"89"):
        raise _broken(path, at, "a number in a tar header is not octal.")
    return int(digits, 8)


def _broken(path: object, at: int, message: str) -> BrokenFile:
    return BrokenFile(message, path=path, where=f"byte {at}", next="The file is cut or damaged; fetch it again.")
