"""Makes the virtual environments that the Makefile's words run in.  Standard library only: it runs before anything is installed.

    python3 tools/setup_env.py demo DIR        the package alone, as a user gets it
    python3 tools/setup_env.py tools DIR       the package (editable) and what `check` and the quick tests need
    python3 tools/setup_env.py tests DIR       the package (editable) and what the quick tests need, without linters
    python3 tools/setup_env.py frameworks DIR  adds the frameworks that the tests compare with to an environment
    python3 tools/setup_env.py peers DIR       adds the tools that the benchmarks stand beside, and what draws the plots

A framework that cannot be installed does not stop the others.  What became of each is written to
DIR/gatewise-frameworks.json, which tests/conftest.py reads: its tests are skipped with that reason, loudly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "tests" / "constraints.txt"
REPORT = "gatewise-frameworks.json"

TESTS = ("pytest", "pytest-xdist", "hypothesis")
LINTERS = ("ruff", "mypy")
PEERS = ("matplotlib", "ptloader", "picklescan", "fickling")
FRAMEWORKS = {
    "torch": ("torch",),
    "keras": ("keras",),
    "safetensors": ("safetensors",),
    "onnx": ("onnx",),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "flax": ("flax",),
    "haiku": ("dm-haiku",),
    "equinox": ("equinox",),
    "mlx": ("mlx[cpu]",),
    "zstandard": ("zstandard",),
}
IMPORTS = {
    "torch": "import torch",
    "keras": "import os; os.environ.setdefault('KERAS_BACKEND', 'torch'); import keras",
    "safetensors": "import safetensors.numpy",
    "onnx": "import onnx.checker",
    "onnxruntime": "import onnxruntime",
    "openvino": "import openvino",
    "flax": "import flax.linen, flax.nnx",
    "haiku": "import haiku",
    "equinox": "import equinox",
    "mlx": "import mlx.core, mlx.nn",
    "zstandard": "import zstandard",
}


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def create(folder: Path) -> None:
    """A fresh environment, unless there is one whose Python still runs."""
    python = python_of(folder)
    if python.exists() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    print(f"making {folder.name} with Python {sys.version.split()[0]}", flush=True)
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit(f"{sys.executable} cannot make virtual environments. Debian and Ubuntu: apt install python3-venv.")


def pip(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Install into an environment, held to the constraints.  The output is kept, for the reason if it fails."""
    command = [str(python_of(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


def require(folder: Path, *arguments: str) -> None:
    print("installing", " ".join(arguments), flush=True)
    done = pip(folder, *arguments)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """The line of a failed command's output that says why."""
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit code {done.returncode}"]
    return told[-1][:300]


def install_framework(folder: Path, name: str) -> dict[str, object]:
    """Install one framework and import it once: an install that cannot be imported is no install."""
    print(f"installing {name} to compare with", flush=True)
    done = pip(folder, "-c", str(CONSTRAINTS), *FRAMEWORKS[name])
    if done.returncode == 0:
        done = subprocess.run([python_of(folder), "-c", IMPORTS[name]], capture_output=True, text=True)
    if done.returncode == 0:
        return {"installed": True, "reason": ""}
    print(f"!! {name} could not be installed: {reason(done)}", flush=True)
    return {"installed": False, "reason": reason(done)}


def install_frameworks(folder: Path) -> None:
    report = {name: install_framework(folder, name) for name in FRAMEWORKS}
    (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    if all(entry["installed"] for entry in report.values()):
        (folder / ".frameworks").touch()  # the Makefile's stamp: with one missing, the next `make test` tries again


def main(what: str, where: str) -> None:
    folder = Path(where).resolve()
    create(folder)
    if what == "demo":
        require(folder, str(ROOT))
    elif what in ("tools", "tests"):
        wanted = (*TESTS, *LINTERS) if what == "tools" else TESTS
        require(folder, "-c", str(CONSTRAINTS), "-e", str(ROOT), *wanted)
    elif what == "frameworks":
        install_frameworks(folder)
    elif what == "peers":
        require(folder, "-c", str(CONSTRAINTS), *PEERS)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
