"""gatewise in processes of its own, with what they took: the most memory at once, processor time, modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])}
MEGABYTE = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="a process's peak is read from /proc, which only Linux has")

# VmHWM begins anew with each program; what getrusage tells of a child begins with its parent's size.
PROBE = """
import json, sys, time
from gatewise.cli import main
before = time.process_time()
code = main(sys.argv[1:])
spent = time.process_time() - before
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print("\\n" + json.dumps({"code": code, "peak": 1024 * peak, "seconds": spent, "modules": sorted(sys.modules)}))
"""


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


def ran(*words: str | Path) -> dict[str, Any]:
    """What a command took, in bytes and seconds; it must have succeeded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    cost: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert cost["code"] == 0, done.stderr
    return cost
