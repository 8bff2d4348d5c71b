"""The files that are measured, made when they are first asked for, in a folder that is thrown away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from _process import ROOT, gatewise

# layers and units: 1 MB and 4 tensors, 202 MB and 96, 2.0 GB and 240.
STACKS = {"small": (1, 176), "tens": (2, 790), "medium": (24, 512), "large": (60, 1024)}


class Files:
    def __init__(self, folder: Path):
        self.folder = folder

    def torch(self, size: str) -> Path:
        return self._made(f"{size}.pt", "torch_stack", *STACKS[size])

    def converted(self, size: str, suffix: str, to: str) -> Path:
        """The torch file of that size in another format, by gatewise itself."""
        path = self.folder / f"{size}{suffix}"
        if not path.exists():
            subprocess.run(
                [*gatewise("convert", self.torch(size), "-o", path, "--to", to)], check=True, stdout=subprocess.DEVNULL
            )
        return path

    def many(self, tensors: int) -> Path:
        return self._made(f"many{tensors}.pt", "torch_many", tensors)

    def sparse(self, gigabytes: int) -> Path:
        return self._made(f"sparse{gigabytes}.safetensors", "safetensors_sparse", 30 * gigabytes, 1024)

    def small(self, count: int) -> Path:
        return self._made(f"{count}files", "small_files", ROOT / "tests/fixtures", count)

    def _made(self, name: str, kind: str, *sizes: object) -> Path:
        path = self.folder / name
        if not path.exists():
            print(f"  making {name}", flush=True)
            words = [sys.executable, ROOT / "benchmarks/_make.py", kind, path, *map(str, sizes)]
            subprocess.run(words, check=True)
        return path
