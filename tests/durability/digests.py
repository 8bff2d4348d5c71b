"""Prints, as JSON, the SHA-256 of everything that is written: of all deeds, or (``python digests.py FIXTURES``) of every
fixture's conversion into one of the formats, in turn.  ``python digests.py > golden.json`` renews the golden file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "src")]

from deeds import DEEDS, FIXTURES  # noqa: E402

import gatewise as gw  # noqa: E402
from gatewise.cli._run import run  # noqa: E402
from gatewise.containers import containers  # noqa: E402


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_deeds() -> Iterator[tuple[str, str]]:
    for deed in DEEDS:
        with tempfile.TemporaryDirectory() as name:
            folder, before = Path(name), Path.cwd()
            deed.prepare(folder)
            os.chdir(folder)
            with contextlib.redirect_stdout(io.StringIO()):
                code = run(deed.words)
            os.chdir(before)
            if code:
                raise SystemExit(f"{deed}: exit code {code}")
            for output in deed.outputs:
                yield f"{deed}: {output}", digest(folder / output)


def of_fixtures() -> Iterator[tuple[str, str]]:
    writers = [each for each in containers() if each.write]
    for number, path in enumerate(sorted(FIXTURES.rglob("*"))):
        if path.suffix in (".py", ".md", ".txt", ".toml") or not path.is_file():
            continue
        for container in (writers[number % len(writers)],):
            with tempfile.TemporaryDirectory() as name, contextlib.suppress(gw.GatewiseError):
                out = Path(name) / f"out{container.suffixes[0]}"
                gw.convert(path, out, container=container.name, verify=False)
                for each in sorted(Path(name).iterdir()):
                    yield f"{path.relative_to(FIXTURES)} as {container.name}: {each.name}", digest(each)


if __name__ == "__main__":
    found = of_fixtures() if sys.argv[1:] == ["FIXTURES"] else of_deeds()
    print(json.dumps(dict(found), indent=1))
