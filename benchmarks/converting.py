"""Converting: beside the machine's own read, transposing copy and write, and beside what people do by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from _files import STACKS, Files
from _process import Command, Cost, gatewise, in_turn, task
from _rows import Row, Section

CONVERTING = Section("converting")


def rows(files: Files) -> Iterator[Row]:
    yield from _to_keras(files)
    yield from _to_keras_large(files)
    yield from _to_safetensors(files)
    yield from _to_onnx(files)


def _convert(source: Path, out: Path, to: str, *words: str) -> Command:
    name = f"{source.name} → {out.name} {' '.join(words)}"
    return Command(name, gatewise("convert", source, "-o", out, "--to", to, *words), writes=out)


def _peer(name: str, deed: str, source: Path, out: Path) -> Command:
    """A task of peers.py that writes."""
    return Command(name, task(deed, source, out), writes=out)


def floors(files: Files, size: str) -> dict[str, float]:
    """Seconds of the machine for the file of that size: read, transpose, write, write_synced, memcpy; and its bytes."""
    command = Command(f"floors of {size}.pt", task("floors", files.torch(size), files.folder / "floor.bin"))
    (cost,) = in_turn([command], runs=1, warm_up=0)
    found: dict[str, float] = json.loads(cost.output)
    return found


def _largest(size: str) -> float:
    """MB of the largest tensor."""
    return STACKS[size][1] ** 2 * 4 * 4 / 1e6


def _bound(size: str) -> tuple[float, str]:
    return 2 * _largest(size) + 60, f"2 × the largest tensor ({_largest(size):.1f} MB) + 60"


def _to_keras(files: Files) -> Iterator[Row]:
    source, out = files.torch("medium"), files.folder
    floor = floors(files, "medium")
    commands = [_peer("by hand, torch and Keras", "by_hand", source, out / "hand.weights.h5")]
    for name in ("c.weights.h5", "c.keras"):
        commands += [_convert(source, out / name, "keras"), _convert(source, out / name, "keras", "--no-verify")]
    hand, *ours = in_turn(commands)
    yield from _beside(".weights.h5", *ours[:2], hand, floor, headline=True)
    yield from _beside(".keras", *ours[2:], hand, floor)


def _beside(
    suffix: str, proved: Cost, bare: Cost, hand: Cost, floor: dict[str, float], headline: bool = False
) -> Iterator[Row]:  # fmt: skip
    what, unit = f"convert 202 MB torch → {suffix}", "× the machine's own"
    parts = ("read", "transpose", "write_synced")
    machine = sum(floor[part] for part in parts)
    read, transpose, write = (f"{1e3 * floor[part]:.0f}" for part in parts)
    beside = (
        f"read {read} + transposing copy {transpose} + write to the disk {write} ms; ours {1e3 * bare.seconds:.0f} ms"
    )
    yield CONVERTING.at_most(f"{what}, not proved", bare.seconds / machine, unit, 2, beside)
    beside = f"ours {1e3 * proved.seconds:.0f} ms"
    yield CONVERTING.at_most(f"{what}, proved", proved.seconds / machine, unit, 2, beside, headline, aim=True)
    beside = f"{hand.seconds:.1f} s, {hand.megabytes:.0f} MB"
    for how, cost in (("not proved", bare), ("proved", proved)):  # by hand nothing is proved, nor forced to the disk
        yield CONVERTING.at_least(
            f"{what}, {how}: by hand with torch and Keras takes", hand.beside(cost), "×", 15, beside, headline, aim=True
        )
    yield CONVERTING.at_most(f"{what}: peak memory", proved.megabytes, "MB", *_bound("medium"), headline)
    share = 100 * (proved.beside(bare) - 1)
    yield CONVERTING.at_most(f"{what}: what the proof adds", share, "% of the conversion", 25, "", headline, aim=True)


def _to_keras_large(files: Files) -> Iterator[Row]:
    """Whether time grows with the file, and memory does not."""
    medium, large, out = files.torch("medium"), files.torch("large"), files.folder / "l.weights.h5"
    short, long = in_turn([_convert(medium, out, "keras"), _convert(large, out, "keras")], runs=3, warm_up=0)
    out.unlink()
    each = long.beside(short) * medium.stat().st_size / large.stat().st_size
    what = "convert 2.0 GB torch → .weights.h5"
    beside = f"{long.seconds:.1f} s"
    yield CONVERTING.at_most(f"{what}: seconds for each MB", each, "× those of 202 MB", 1.2, beside)
    yield CONVERTING.at_most(f"{what}: peak memory", long.megabytes, "MB", *_bound("large"), headline=True)


def _to_safetensors(files: Files) -> Iterator[Row]:
    source, out = files.torch("large"), files.folder / "l.safetensors"
    floor = floors(files, "large")
    machine = floor["read"] + floor["write_synced"]
    peer = _peer("torch.load(mmap=True) + save_file", "to_safetensors", source, out)
    ours, theirs = in_turn([_convert(source, out, "torch"), peer], runs=3)
    out.unlink()
    what = "convert 2.0 GB torch → .safetensors, proved"
    beside = f"ours {ours.seconds:.2f} s, read and write to the disk {machine:.2f} s"
    yield CONVERTING.at_least(what, machine / ours.seconds, "of the machine's speed", 0.7, beside, True, aim=True)
    yield CONVERTING.at_most(f"{what}: peak memory", ours.megabytes, "MB", 100, headline=True)
    beside = f"{theirs.seconds:.2f} s, {theirs.megabytes:,.0f} MB"
    yield CONVERTING.at_least(f"{what}: torch.load(mmap=True) + save_file takes", theirs.beside(ours), "×", 1, beside)


def _to_onnx(files: Files) -> Iterator[Row]:
    source, out = files.torch("medium"), files.folder / "o.onnx"
    peer = _peer("torch.onnx.export", "to_onnx", source, out)
    ours, theirs = in_turn([_convert(source, out, "onnx"), peer], runs=3)
    beside = f"{theirs.seconds:.1f} s, {theirs.megabytes:,.0f} MB; ours {ours.seconds:.2f} s, {ours.megabytes:.0f} MB"
    yield CONVERTING.at_least(
        "convert 202 MB torch → .onnx: torch.onnx.export takes", theirs.beside(ours), "×", 1, beside
    )
