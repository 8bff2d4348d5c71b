"""What the index knows of a format without importing its module."""

from __future__ import annotations

from ..record import record


@record
class Row:
    """The fields of :class:`Container` by which a format is chosen for being asked, and its module."""

    rank: int
    name: str
    module: str
    folders: bool
    magic: tuple[tuple[int, bytes], ...]
    stands_for: bool = False  # has it such a function?
    writes: tuple[str, ...] = ()  # the suffixes that choose it when writing; none where it is not written
    members: tuple[str, ...] = ()  # texts of which one stands in a zip archive's names
