"""Runs the tests of Keras's layers in memory on TensorFlow: `make tf-keras`, or `python3 tools/tf_keras.py "tf.keras 2.15"`.

Each kind gets an environment with a Python that it runs on: tf.keras 2 of the last TensorFlow that has it, the package
``tf_keras`` that goes on with it, and Keras 3 on TensorFlow.  The tests are those that `make test` runs on the other backends.
A kind that cannot be set up is a loud skip with the reason, never a silent one.  Standard library only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from quick_pythons import find

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/live/test_keras_layers.py", "tests/live/test_live_laws.py", "tests/edit")
_WITH = ("h5py", "ml_dtypes", "pytest", "pytest-xdist", "hypothesis", "tomli")


@dataclass(frozen=True)
class Recipe:
    """The Pythons that it runs on, the packages, and what to set for the tests."""

    pythons: tuple[str, ...]
    packages: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


RECIPES = {
    "tf.keras 2.15": Recipe(("3.11", "3.10"), ("tensorflow-cpu==2.15.1",), (("KERAS_BACKEND", "tensorflow"),)),
    "tf_keras 2.18": Recipe(
        ("3.11", "3.10", "3.12"), ("tensorflow-cpu==2.18.0", "tf_keras==2.18.0"), (("KERAS_BACKEND", "tensorflow"), ("GATEWISE_KERAS", "tf_keras"))
    ),
    "Keras 3 on TensorFlow 2.18": Recipe(
        ("3.11", "3.10", "3.12"), ("tensorflow-cpu==2.18.0", "keras==3.15.1"), (("KERAS_BACKEND", "tensorflow"),)
    ),
}  # fmt: skip


class Skip(Exception):
    """Why a kind cannot be tried on this machine."""


def python_for(kind: str) -> Path:
    """A Python with that kind of Keras.  Raises Skip."""
    if kind not in RECIPES:
        raise Skip(f"no recipe for it; known are {', '.join(RECIPES)}")
    recipe = RECIPES[kind]
    folder = ROOT / f".venv-{kind.lower().replace(' ', '-')}"
    stamp, made_from = folder / ".ready", " ".join((*recipe.packages, *_WITH))
    if stamp.exists() and stamp.read_text() == made_from:
        return folder / "bin/python"
    base = next(filter(None, map(find, recipe.pythons)), None)
    if base is None:
        raise Skip(f"it wants Python {' or '.join(recipe.pythons)}, and none is installed here")
    print(f"   making {folder.name} with {base}", flush=True)
    _require([base, "-m", "venv", "--clear", str(folder)], "no environment could be made")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _require([*pip, *recipe.packages, *_WITH], "its packages could not be installed")
    stamp.write_text(made_from)
    return folder / "bin/python"


def _require(command: list[str], otherwise: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Skip(f"{otherwise}: {told[-1].strip()[:200] if told else ''}")


def proved(kind: str) -> bool:
    """Did its tests pass?  Raises Skip."""
    python = python_for(kind)
    variables = {"PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3", **dict(RECIPES[kind].variables)}
    command = [python, "-m", "pytest", "-q", "-n", "2", "-W", "ignore", "-p", "no:cacheprovider", "-k", "keras", *TESTS]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}).returncode == 0


def main(kinds: list[str]) -> int:
    failed, tried = [], 0
    for kind in kinds or RECIPES:
        print(f"== {kind}", flush=True)
        try:
            passed = proved(kind)
        except Skip as why:
            print(f"!! SKIPPED: {kind}: {why}", flush=True)
            continue
        tried += 1
        failed += [] if passed else [kind]
    if failed or not tried:
        print(f"!! FAILED: {', '.join(failed) or '(no kind could be tried)'}", flush=True)
    return 1 if failed or not tried else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
