"""What the flat map costs, beside torch's own views and beside memcpy, in one process that holds torch.

Figures are the best of many runs.  Prints a row of JSON for each; `benchmarks/flat.py 800` takes a stack of 800 MB.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _rows import Row, Section

import gatewise as gw

FLAT = Section("flat")


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


def rows(megabytes: float = 200) -> Iterator[Row]:
    module = stack(megabytes)
    vector = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    flat = gw.flat(module)
    out, source = np.zeros(flat.size, np.float32), np.ones(flat.size, np.float32)
    torchs = best(lambda: torch.nn.utils.vector_to_parameters(vector, module.parameters()))
    ours = best(lambda: gw.flat(module).unpack(vector))
    beside = f"torch's views alone {1e3 * torchs:.2f} ms"
    size = f"{4 * flat.size / 1e6:.0f} MB"
    yield FLAT.at_most(
        f"map and views of a {size} stack beyond torch's own views", 1e3 * (ours - torchs), "ms", 1, beside
    )
    yield from _copies(module, out, source)
    named = peak(lambda: (gw.flat(module, "cudnn").rows, gw.flat(module).unpack(vector)))
    yield FLAT.at_most("memory for maps, rows and views", named / 1e6, "MB", 1)
    together = best(lambda: torch.nn.utils.parameters_to_vector(module.parameters()))
    packed = best(lambda: flat.pack())
    yield FLAT.at_least(
        "pack a fresh vector: torch's parameters_to_vector takes",
        together / packed,
        "×",
        1,
        f"{1e3 * together:.0f} ms",
    )


def _copies(module: torch.nn.Module, out: Any, source: Any) -> Iterator[Row]:
    """Packing beside memcpy of as many bytes."""
    memcpy = best(lambda: np.copyto(out, source))
    for order in ("torch", "cudnn", "onnx", "mxnet", "keras", "flax"):
        flat = gw.flat(module, order)
        ready = out[: flat.size]

        def pack(flat: gw.Flat = flat, ready: Any = ready) -> None:
            flat.pack(ready)

        speed = memcpy / best(pack)
        what, beside = f"pack into a ready buffer, {order}'s order", f"memcpy {1e3 * memcpy:.0f} ms"
        if order in ("torch", "cudnn"):
            # An aim: one memcpy runs through memory end to end, a layer's tensors lie apart.
            yield FLAT.at_least(what, speed, "of memcpy's speed", 0.8, beside, aim=True)
        else:  # gates change places, or matrices are transposed: nothing is claimed of memcpy's speed
            yield Row("flat", what, speed, "of memcpy's speed", beside)


if __name__ == "__main__":
    for row in rows(*map(float, sys.argv[1:])):
        print(json.dumps(row.as_dict()))
