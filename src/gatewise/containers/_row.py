"""What the index knows of a format without importing its module."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """The fields of :class:`Container` by which a format is chosen for being asked, and its module."""

    rank: int
    name: str
    module: str
    folders: bool
    magic: tuple[tuple[int, bytes], ...]
