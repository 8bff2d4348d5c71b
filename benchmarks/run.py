"""Measures what is claimed of speed and memory, in one run on this machine: `make bench`.

    python benchmarks/run.py                     all of it: some ten minutes, and about 6 GB of disk for a while
    python benchmarks/run.py listing converting  only these (flat, listing, converting, many, sizes)
    python benchmarks/run.py --folder DIR        where the files are made (default: the system's temporary folder)

Writes benchmarks/results.json, from which `make docs` makes the README's table, and the plots of docs/figures.
Ends with 1 where a claim does not hold here.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import converting
import listing
import many
import sizes
from _files import Files
from _process import ROOT, python
from _rows import Row

RESULTS = ROOT / "benchmarks/results.json"
PACKAGES = ("numpy", "h5py", "torch", "keras", "safetensors", "onnx", "flax", "ptloader", "picklescan", "fickling")


def _flat(_files: Files) -> Iterable[Row]:
    told = subprocess.run([*python(ROOT / "benchmarks/flat.py")], check=True, stdout=subprocess.PIPE).stdout
    return [Row(**json.loads(line)) for line in told.splitlines()]


SECTIONS: dict[str, Callable[[Files], Iterable[Row]]] = {
    "listing": listing.rows,
    "converting": converting.rows,
    "many": many.rows,
    "flat": _flat,
}


def machine() -> dict[str, Any]:
    """What the figures were measured on and with."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def measured(wanted: list[str], folder: Path) -> dict[str, Any]:
    files = Files(folder)
    rows: list[Row] = []
    told = machine()
    compileall.compile_dir(ROOT / "src", quiet=2)  # as an installed package is
    for name, section in SECTIONS.items():
        if name in wanted:
            print(f"{name}", flush=True)
            found = list(section(files))
            print("\n".join(map(str, found)), flush=True)
            rows += found
    result: dict[str, Any] = {"machine": told, "rows": [row.as_dict() for row in rows]}
    if "sizes" in wanted:
        print("sizes", flush=True)
        result["points"] = sizes.points(files)
    return result


def _merged(found: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    """What was measured now, and of what was not what stands in the file: never rows of two runs in one section."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    kept = [row for row in before["rows"] if row["section"] not in wanted]
    order = list(SECTIONS)
    rows = sorted([*kept, *found["rows"]], key=lambda row: order.index(row["section"]))
    return {**before, **found, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join([*SECTIONS, "sizes"]))
    parser.add_argument("--folder", type=Path, help="an empty folder for the files; they stay there")
    told = parser.parse_args()
    wanted = told.sections or [*SECTIONS, "sizes"]
    if unknown := [name for name in wanted if name not in (*SECTIONS, "sizes")]:
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join([*SECTIONS, 'sizes'])}")
    if told.folder:
        told.folder.mkdir(parents=True, exist_ok=True)
        found = measured(wanted, told.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="gatewise-bench-") as folder:
            found = measured(wanted, Path(folder))
    RESULTS.write_text(json.dumps(_merged(found, wanted), indent=1) + "\n")
    if "sizes" in wanted:
        subprocess.run([*python(ROOT / "benchmarks/plots.py")], check=True)
    missed = [row for row in found["rows"] if row["holds"] is False]
    failed = [row["what"] for row in missed if not row["aim"]]
    print(
        f"\n{len(found['rows'])} figures; {len(missed) - len(failed)} aims are not reached; {len(failed)} claims do not hold here"
    )
    print("".join(f"  {each}\n" for each in failed), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
