"""What a command took in a process of its own: its exit code, memory, processor time, bytes read, modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])}
MEGABYTE = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="the cost is read from /proc, which only Linux has")

# Runs `gatewise …` and tells, on the last line, what that cost.  VmHWM begins anew with each program; what getrusage tells of
# a child begins with its parent's size.  Linux counts the bytes that read() returned (rchar); pages of a mapping that were
# touched are not among them, so their number is asked of the kernel (mincore on a file that was just dropped from the
# cache would race with others; resident pages of *this* process do not).
PROBE = """
import sys, time
before = set(sys.modules)
from gatewise.cli import main
began = time.process_time()
code = main(sys.argv[1:])
seconds = time.process_time() - began
imported = [name for name in sys.modules if name not in before]
def read(name, key):
    return next(int(line.split()[1]) for line in open(name) if line.startswith(key))
import json
print("\\n" + json.dumps({
    "code": code, "modules": sorted(sys.modules), "imported": imported, "seconds": seconds,
    "rchar": read("/proc/self/io", "rchar:"), "peak": 1024 * read("/proc/self/status", "VmHWM:"),
    "mapped": 1024 * read("/proc/self/status", "RssFile:"),
}))
"""


def ran(*words: str | Path, probe: str = PROBE) -> dict[str, Any]:
    """What it cost, in bytes and seconds."""
    done = subprocess.run(
        [sys.executable, "-c", probe, *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    cost: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return cost | {"err": done.stderr}


def cost_of(*words: str | Path) -> dict[str, Any]:
    """What a command cost, which must have succeeded."""
    cost = ran(*words)
    assert cost["code"] == 0, cost["err"]
    return cost


HELD = """
import sys, gatewise
held = [tensor.array().sum() for tensor in gatewise.open(sys.argv[1]).tensors.values()]
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def held(path: Path) -> int:
    """The most memory that reading a file takes where nothing is given back."""
    done = subprocess.run(
        [sys.executable, "-c", HELD, path], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    return 1024 * int(done.stdout)
