"""Proves gw.legacy_torch() and gw.of() on old versions of torch: `make old-torch`, or `python3 tools/old_torch.py 1.7.1 2.0.1`.

For each version an environment with a Python that it runs on, and that version without what it depends on (CUDA libraries:
gigabytes that a CPU has no use for; empty stand-ins are compiled where it insists).  In it tools/old_torch_run.py loads every
whole-module fixture that this version or an older one wrote, under legacy_torch(), and compares with the outputs recorded
by the version that wrote it.  gatewise itself wants Python 3.10; the two files behind legacy_torch() run from 3.7 on.
Where the version runs on 3.10, tools/old_torch_live.py proves layers in memory on it too: reading, writing, wrappers.

A version that cannot be set up is a loud skip with the reason, never a silent one.  Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from quick_pythons import find

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
STANDALONE = ("live/_legacy_torch.py", "containers/_torch_state.py")  # all of gatewise that old Pythons can run


@dataclass(frozen=True)
class Recipe:
    """A Python on which that torch runs, newest that has a wheel first, and the few packages that importing it takes."""

    pythons: tuple[str, ...]
    packages: tuple[str, ...]


_OLD, _NEW = (
    ("numpy<1.22", "typing_extensions"),
    ("numpy<2", "typing_extensions", "sympy", "networkx", "jinja2", "filelock"),
)
RECIPES = {
    "1.4.0": Recipe(("3.8", "3.7"), _OLD),
    "1.5.1": Recipe(("3.8", "3.7"), (*_OLD, "future")),
    "1.7.1": Recipe(("3.8", "3.7"), _OLD),
    "1.8.1": Recipe(("3.9", "3.8", "3.7"), _OLD),
    "1.9.1": Recipe(("3.9", "3.8", "3.7"), _OLD),
    "1.12.1": Recipe(("3.10", "3.9", "3.8"), ("numpy<2", "typing_extensions")),
    "1.13.1": Recipe(("3.10", "3.9", "3.8"), ("numpy<2", "typing_extensions")),
    "2.0.1": Recipe(("3.10", "3.11", "3.9"), _NEW),
    "2.4.1": Recipe(("3.11", "3.10", "3.12"), (*_NEW, "fsspec")),
    "2.9.1": Recipe(("3.12", "3.11", "3.10", "3.13"), (*_NEW, "fsspec", "setuptools")),
}
USUAL = ("1.4.0", "1.7.1", "1.8.1", "1.13.1", "2.0.1", "here")  # here: the torch of the Python that runs this


class Skip(Exception):
    """Why a version cannot be tried on this machine."""


def python_for(version: str) -> Path:
    """A Python with that torch.  Raises Skip."""
    if version == "here":
        _require([sys.executable, "-c", "import torch"], "this Python has no torch")
        return Path(sys.executable)
    if version not in RECIPES:
        raise Skip(f"no recipe for it; known are {', '.join(RECIPES)}, and here")
    folder = ROOT / f".venv-torch-{version}"
    python = folder / "bin" / "python"
    if not _imports(python):
        _make(folder, version, RECIPES[version])
    return python


def _make(folder: Path, version: str, recipe: Recipe) -> None:
    base = next(filter(None, map(find, recipe.pythons)), None)
    if base is None:
        raise Skip(f"it wants Python {' or '.join(recipe.pythons)}, and none is installed here")
    print(f"   making {folder.name} with {base}", flush=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
    _require([base, "-m", "venv", "--clear", str(folder)], "no environment could be made")
    _require([*pip, *recipe.packages], "what it needs could not be installed")
    _require([*pip, "--no-deps", f"torch=={version}"], "its wheel could not be installed")
    if not _imports(python):
        stand_in(next(folder.glob("lib/python3*/site-packages/torch")))
        _require([str(python), "-c", "import torch"], "it cannot be imported")


def _imports(python: Path) -> bool:
    return (
        python.exists() and subprocess.run([python, "-c", "import torch, numpy"], capture_output=True).returncode == 0
    )


def _require(command: list[str], otherwise: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Skip(f"{otherwise}: {told[-1].strip()[:200] if told else ''}")


# Stand-ins for the CUDA libraries, which torch from PyPI is linked against: what it asks for by name, each function failing.

_SYSTEM = re.compile(r"^(GLIBC|GLIBCXX|CXXABI|GCC|GOMP|OMP|LIBC)")
_NVIDIA = re.compile(r"^(cu|nccl|nv|__cuda)", re.IGNORECASE)


def stand_in(torch: Path) -> None:
    """Compile the shared libraries that torch in this folder lacks.  Raises Skip where there is no compiler."""
    tools = [tool for tool in ("cc", "nm", "readelf", "ldconfig") if shutil.which(tool) is None]
    if tools:
        raise Skip(f"it wants CUDA's libraries, and making stand-ins for them takes {', '.join(tools)}")
    libraries = [*torch.glob("lib/*.so*"), *torch.glob("_C*.so")]
    system = _output("ldconfig", "-p")
    has = {path.name for path in libraries}
    lacking = {
        path: [name for name in _needed(path) if name not in has and f"{name} " not in system] for path in libraries
    }
    symbols = _symbols(lacking)
    for name in sorted({name for names in lacking.values() for name in names} | set(symbols)):
        _compile(torch / "lib" / name, symbols.get(name, {}))


def _output(*command: object) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True).stdout


def _needed(path: Path) -> list[str]:
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", _output("readelf", "-d", path))
    return sorted(name for name in names if not name.startswith("ld-linux"))


def _symbols(lacking: dict[Path, list[str]]) -> dict[str, dict[str, list[str]]]:
    """Functions that nobody defines: by the library to put them in, and by their version ("" for none)."""
    defined: set[str] = set()
    wanted: dict[tuple[str, str], str] = {}  # name and version → the library
    for path, absent in lacking.items():
        homes = _homes(path)
        for line in _output("nm", "-D", path).splitlines():
            kind, told = line.split()[-2:]
            name, _, version = told.partition("@")
            version = version.lstrip("@")
            if (
                kind == "U"
                and not _SYSTEM.match(version)
                and (version in homes or (absent and not version and _NVIDIA.match(name)))
            ):
                wanted[name, version] = (
                    homes.get(version) or absent[0]
                )  # without a version any that this file loads will do
            elif kind not in "Uwv":
                defined.add(name)
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (name, version), library in sorted(wanted.items()):
        if name not in defined:
            found[library][version].append(name)
    return found


def _homes(path: Path) -> dict[str, str]:
    """Version → the library that a file expects it from."""
    found, home = {}, ""
    for line in _output("readelf", "-V", "-W", path).splitlines():
        told = re.search(r"File: (\S+)", line)
        home = told[1] if told else home
        version = re.search(r"Name: (\S+)\s+Flags", line)
        if version and home and not _SYSTEM.match(version[1]):
            found[version[1]] = home
    return found


def _compile(target: Path, versions: dict[str, list[str]]) -> None:
    """One shared library.  Functions that give a text give one; the others give an error's number."""
    names = [name for group in versions.values() for name in group]
    gives = {name: "const char *" if "String" in name or "ErrorName" in name else "int " for name in names}
    body = "".join(
        f"{kind}{name}(void) {{ return {'0' if kind == 'int ' else 'text'}; }}\n" for name, kind in gives.items()
    )
    body = body.replace("{ return 0; }", "{ return 100; }")  # cudaErrorNoDevice
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder) / "s.c", Path(folder) / "s.map"
        source.write_text(
            f'static const char *text = "no CUDA here";\nconst char *gatewise_stand_in(void) {{ return text; }}\n{body}'
        )
        script.write_text("".join(f"{v} {{ global: {'; '.join(group)}; }};\n" for v, group in versions.items() if v))
        versioned = [f"-Wl,--version-script={script}"] if any(versions) else []
        command = [
            "cc",
            "-w",
            "-fno-builtin",
            "-shared",
            "-fPIC",
            "-o",
            str(target),
            f"-Wl,-soname,{target.name}",
            str(source),
        ]
        _require([*command, *versioned], f"no stand-in for {target.name} could be compiled")


# Running.


def standalone(folder: Path) -> Path:
    """The part of gatewise that old Pythons can run, as a package of its own."""
    for name in STANDALONE:
        target = folder / "gatewise" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "src" / "gatewise" / name, target)
        (target.parent / "__init__.py").touch()
    (folder / "gatewise" / "__init__.py").touch()
    return folder


def prove(version: str, package: Path) -> dict[str, object]:
    """What happened with that version: its own report.  Raises Skip."""
    python = python_for(version)
    command = [str(python), "-W", "ignore", str(ROOT / "tools" / "old_torch_run.py"), str(FIXTURES)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(package)})
    if done.returncode:
        return {"torch": version, "python": "", "proved": 0, "failed": [done.stderr.strip()[-600:]]}
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def prove_live(version: str) -> dict[str, object] | None:
    """What gatewise itself reports of layers in memory; None for a Python that is too old for it."""
    python = python_for(version)
    if subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).returncode:
        return None
    command = [str(python), "-W", "ignore", str(ROOT / "tools" / "old_torch_live.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"torch": version, "python": "", "proved": 0, "failed": [done.stderr.strip()[-600:]]}
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def main(versions: list[str]) -> int:
    failed, proved = [], 0
    with tempfile.TemporaryDirectory() as folder:
        package = standalone(Path(folder))
        for version in versions or USUAL:
            try:
                report = prove(version, package)
            except Skip as why:
                print(f"!! SKIPPED: torch {version}: {why}", flush=True)
                continue
            proved += 1
            print("torch {torch:8} Python {python:7} {proved:4} files load and compute what was recorded;"
                  " {dead:3} of them do not without legacy_torch()".format(**{"dead": 0, **report}), flush=True)  # fmt: skip
            in_memory = prove_live(version)
            if in_memory is not None:
                print("                            {proved:4} kinds of layers in memory read as they run, and run as"
                      " they were written".format(**in_memory), flush=True)  # fmt: skip
            for each in filter(None, (report, in_memory)):
                if each["failed"]:
                    failed.append(version)
                    print("\n".join(f"   FAILED {line}" for line in each["failed"]))  # type: ignore[attr-defined]
    if failed or not proved:
        print(f"!! FAILED on torch {', '.join(failed) or '(no version could be tried)'}", flush=True)
    return 1 if failed or not proved else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
