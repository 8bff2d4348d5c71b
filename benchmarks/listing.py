"""Listing what a file holds: beside the bare standard library, the frameworks, and the tools that list or scan."""

from __future__ import annotations

from collections.abc import Iterator

from _files import Files
from _process import Command, gatewise, in_turn, task
from _rows import Row, Section

LISTING = Section("listing")
# A format, its suffix, the layout that is written into it, and the peer that lists it (a task of peers.py).
PEERS = (
    ("safetensors", ".safetensors", "torch", "list_safetensors", "safetensors"),
    ("Keras weights", ".weights.h5", "keras", "list_h5py", "h5py"),
    ("ONNX", ".onnx", "onnx", "list_onnx", "onnx.load"),
    ("npz", ".npz", "torch", "list_npz", "numpy"),
    ("Flax msgpack", ".msgpack", "flax", "list_flax", "flax.serialization"),
)
# Tools that look into a torch zip; the last two only scan it.
TOOLS = (
    ("torch.load", "list_torch"),
    ("ptloader", "list_ptloader"),
    ("picklescan, which only scans,", "scan_picklescan"),
    ("fickling, which only scans,", "scan_fickling"),
)


def rows(files: Files) -> Iterator[Row]:
    yield from _torch(files, cold=False)
    yield from _torch(files, cold=True)
    yield from _tools(files)
    yield from _formats(files)


def _torch(files: Files, cold: bool) -> Iterator[Row]:
    path = files.torch("large")
    dropped, state = (path, "cold") if cold else (None, "warm")
    commands = [
        Command(f"gatewise inspect, {state}", gatewise("inspect", path), dropped),
        Command("bare standard-library lister", task("list_bare", path), dropped),
        Command("torch.load(mmap=True)", task("list_torch", path, "mmap"), dropped),
    ]
    ours, bare, mapped = in_turn(commands, runs=5 if cold else 9)
    what = f"inspect a 2.0 GB torch zip, {state}"
    both = f"{ours.seconds:.3f} s, the lister {bare.seconds:.3f} s"
    yield LISTING.at_most(f"{what}, beside a bare lister", ours.beside(bare), "× its time", 1.5, both, True)
    beside = f"the lister {bare.megabytes:.0f} MB"
    yield LISTING.at_most(f"{what}: peak memory", ours.megabytes, "MB", 25, beside, headline=not cold)
    beside = f"{mapped.seconds:.2f} s, {mapped.megabytes:.0f} MB"
    yield LISTING.at_least(
        f"{what}: torch.load(mmap=True) takes", mapped.beside(ours), "×", 30, beside, not cold, aim=True
    )


def _tools(files: Files) -> Iterator[Row]:
    path = files.torch("large")
    commands = [Command(name, task(peer, path)) for name, peer in TOOLS]
    ours, *others = in_turn([Command("gatewise inspect", gatewise("inspect", path)), *commands], runs=3)
    for (name, _), cost in zip(TOOLS, others, strict=True):
        beside = f"{cost.seconds:.2f} s, {cost.megabytes:,.0f} MB"
        yield LISTING.at_least(f"the same file: {name} takes", cost.beside(ours), "×", 1, beside)


def _formats(files: Files) -> Iterator[Row]:
    for name, suffix, to, peer, called in PEERS:
        path = files.converted("medium", suffix, to)
        ours, theirs = in_turn(
            [Command(f"gatewise inspect, {name}", gatewise("inspect", path)), Command(called, task(peer, path))]
        )
        beside = (
            f"{theirs.seconds:.2f} s, {theirs.megabytes:.0f} MB; ours {ours.seconds:.2f} s, {ours.megabytes:.0f} MB"
        )
        yield LISTING.at_least(f"inspect 202 MB of {name}: {called} takes", theirs.beside(ours), "×", 1, beside)
