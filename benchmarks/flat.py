"""What the flat map costs, beside torch's own views and beside memcpy, measured in one run: `make bench`.

Figures are the best of many runs; what is claimed is a ratio or a difference to what was measured beside it.  Ends with 1
where a claim does not hold on this machine.  `benchmarks/flat.py 800` takes a stack of 800 MB.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import gatewise as gw


def best(work: Callable[[], Any], least: float = 1.0) -> float:
    """Seconds: the best of at least five runs and as many as fit into ``least`` seconds."""
    times: list[float] = []
    while len(times) < 5 or sum(times) < least:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python and numpy held at once during it."""
    work()  # what is made once is not counted
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def stack(megabytes: float) -> torch.nn.Module:
    """An LSTM of 1024 units of about so many megabytes."""
    return torch.nn.LSTM(1024, 1024, max(1, round(megabytes * 1e6 / 4 / (8 * 1024 * 1024))))


def main(megabytes: float = 200) -> int:
    module = stack(megabytes)
    vector = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    flat = gw.flat(module)
    out, source = np.zeros(flat.size, np.float32), np.ones(flat.size, np.float32)
    print(f"{flat!r}: {4 * flat.size / 1e6:.0f} MB\n")

    torchs = best(lambda: torch.nn.utils.vector_to_parameters(vector, module.parameters()))
    ours = best(lambda: gw.flat(module).unpack(vector))
    print(f"torch's vector_to_parameters, all views               {1e3 * torchs:8.3f} ms")
    print(f"gw.flat(module).unpack(vector): names, offsets, views {1e3 * ours:8.3f} ms")
    print(f"gw.of(module)                                         {1e3 * best(lambda: gw.of(module)):8.3f} ms")
    print(f"the same with a row for each gate                     {1e3 * best(lambda: gw.flat(module).rows):8.3f} ms")
    held = [
        claim("beyond torch's own views", 1e3 * (ours - torchs), "ms", 1e3 * (ours - torchs) < 1, "under 1"),
        *copies(module, out, source),
    ]
    named = peak(lambda: (gw.flat(module, "cudnn").rows, gw.flat(module).unpack(vector)))
    held.append(claim("memory for maps, rows and views", named / 1e6, "MB", named < 1e6, "under 1"))
    return 0 if all(held) else 1


def copies(module: torch.nn.Module, out: Any, source: Any) -> list[bool]:
    """Packing beside memcpy of as many bytes."""
    print()
    memcpy = best(lambda: np.copyto(out, source))
    print(f"memcpy                           {1e3 * memcpy:8.1f} ms")
    ratios = {}
    for order in ("torch", "cudnn", "onnx", "mxnet", "keras", "flax"):
        flat = gw.flat(module, order)
        ready = out[: flat.size]

        def pack(flat: gw.Flat = flat, ready: Any = ready) -> None:
            flat.pack(ready)

        ratios[order] = memcpy / best(pack)
        print(
            f"pack into a ready buffer, {order:6} {1e3 * memcpy / ratios[order]:8.1f} ms, {ratios[order]:5.2f} of memcpy's speed"
        )
    print()
    return [
        claim(f"pack, order {each}", ratios[each], "of memcpy", ratios[each] >= 0.8, "0.8 or more")
        for each in ("torch", "cudnn")
    ]


def claim(what: str, value: float, unit: str, holds: bool, wanted: str) -> bool:
    print(f"{'holds' if holds else 'DOES NOT HOLD'}: {what}: {value:.2f} {unit} (claimed: {wanted})")
    return holds


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
