"""Runs the quick tests, and those marked every_python, on other Pythons: `python3 tools/quick_pythons.py 3.10 3.13`.

Standard library only.  A version that is not installed is a loud skip, never a silent one; a version whose tests fail is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK = "not framework and not corpus and not long and (not slow or every_python)"


def candidates(version: str) -> Iterator[str]:
    """Where a Python of that version may be: on the PATH, then among pyenv's."""
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from (str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True))


def find(version: str) -> str | None:
    """A Python that runs and is that version (pyenv's shims are on the PATH for versions that do not run)."""
    for path in candidates(version):
        told = subprocess.run([path, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True)
        if told.returncode == 0 and told.stdout.decode().strip() == version:
            return path
    return None


def ready(python: str, folder: Path) -> None:
    """An environment with the package and what the quick tests need, made again when what it is made from changed."""
    stamp = folder / ".ready"
    made_from = (ROOT / "pyproject.toml", ROOT / "tests/constraints.txt", ROOT / "tools/setup_env.py")
    if stamp.exists() and all(stamp.stat().st_mtime >= path.stat().st_mtime for path in made_from):
        return
    subprocess.run([python, ROOT / "tools/setup_env.py", "tests", folder], check=True)
    stamp.touch()


def main(versions: list[str]) -> int:
    failed = []
    for version in versions:
        python = find(version)
        if python is None:
            print(f"!! SKIPPED: the quick tests on Python {version}: it is not installed here.", flush=True)
            continue
        print(f"== the quick tests on Python {version} ({python})", flush=True)
        folder = ROOT / f".venv-{version}"
        ready(python, folder)
        tests = [folder / "bin/python", "-m", "pytest", "-q", "-n", "2", "-m", QUICK, "-p", "no:cacheprovider"]
        if subprocess.run(tests, cwd=ROOT).returncode:
            failed.append(version)
    if failed:
        print(f"!! FAILED on Python {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
