"""Cost against size: a point for each file, for the plots."""

from __future__ import annotations

from typing import Any

from _files import Files
from _process import Command, Cost, gatewise, in_turn, task


def points(files: Files) -> list[dict[str, Any]]:
    found = []
    for size in ("small", "tens", "medium", "large"):
        path = files.torch(size)
        costs = in_turn(
            [
                Command(f"gatewise inspect {path.name}", gatewise("inspect", path)),
                Command("torch.load(mmap=True)", task("list_torch", path, "mmap")),
                Command("torch.load", task("list_torch", path)),
                Command("bare lister", task("list_bare", path)),
            ],
            runs=3,
        )
        names = ("gatewise inspect", "torch.load(mmap=True)", "torch.load", "bare lister")
        found += [_point("bytes", path.stat().st_size, name, cost) for name, cost in zip(names, costs, strict=True)]
        out = files.folder / "p.weights.h5"
        costs = in_turn(
            [
                Command("gatewise convert", gatewise("convert", path, "-o", out, "--to", "keras"), writes=out),
                *([Command("by hand", task("by_hand", path, out), writes=out)] if size != "large" else []),
            ],
            runs=3,
        )
        out.unlink()
        found += [
            _point("converted", path.stat().st_size, name, cost)
            for name, cost in zip(("gatewise convert", "by hand"), costs, strict=False)
        ]
    path = files.sparse(10)
    ours, theirs = in_turn(
        [
            Command("gatewise inspect, 10 GB", gatewise("inspect", path)),
            Command("safetensors", task("list_safetensors", path)),
        ],
        3,
    )
    found += [_point("bytes", path.stat().st_size, "gatewise inspect", ours)]
    for tensors in (12, 100, 1000, 10_000, 100_000):
        path = files.many(tensors)
        ours, theirs = in_turn(
            [
                Command(f"gatewise inspect, {tensors} tensors", gatewise("inspect", path)),
                Command("torch.load(mmap=True)", task("list_torch", path, "mmap")),
            ],
            3 if tensors < 100_000 else 1,
        )
        found += [
            _point("tensors", tensors, "gatewise inspect", ours),
            _point("tensors", tensors, "torch.load(mmap=True)", theirs),
        ]
    return found


def _point(against: str, size: int, name: str, cost: Cost) -> dict[str, Any]:
    return {"against": against, "size": size, "name": name, "seconds": cost.seconds, "megabytes": cost.megabytes}
