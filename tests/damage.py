"""What happens to files: they are cut, and bytes of them change.  Whatever is left is refused as gatewise refuses, or read."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

from filemakers import afresh

import gatewise as gw
from gatewise.containers import open_tensors
from gatewise.errors import GatewiseError


def damaged(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Cut and flipped copies, the same ones every time."""
    dice = random.Random(seed)
    for _ in range(count):
        if dice.random() < 0.3:
            yield data[: dice.randrange(len(data))]
        else:
            copy = bytearray(data)
            copy[dice.randrange(len(copy))] ^= 1 << dice.randrange(8)
            yield bytes(copy)


def flipped(data: bytes, *masks: int) -> Iterator[bytes]:
    """Every byte, changed by each mask."""
    for at, byte in enumerate(data):
        for mask in masks:
            yield data[:at] + bytes([byte ^ mask]) + data[at + 1 :]


def read_or_refuse(path: Path) -> None:
    """Opens the file and reads every tensor.  Any exception but GatewiseError is a failure of the test."""
    try:
        for tensor in open_tensors(path).values():
            assert tensor.array().shape == tensor.shape
    except GatewiseError as error:
        assert str(error)  # noqa: PT017 - that it can be said is the point


def all_read_or_refused(path: Path, data: bytes, third: int, seed: int, count: int, opened: Path | None = None) -> None:
    """A third of ``count`` damaged copies, each in the place of the last; ``opened``: where that is a part of a model, what is opened."""
    for broken in list(damaged(data, seed, count))[third::3]:
        afresh(path, broken)
        read_or_refuse(opened or path)


def every_flip_is_harmless(path: Path, data: bytes, *masks: int) -> None:
    """Recognised or refused too."""
    for changed in flipped(data, *masks):
        afresh(path, changed)
        with contextlib.suppress(GatewiseError):
            for tensor in gw.open(path).tensors.values():
                tensor.array()
