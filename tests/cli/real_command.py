"""The real command line in a process of its own, as users meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True)
class Ran:
    """One command line, run: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(width: int | None = None) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "GATEWISE_DEBUG", "NO_COLOR")}
    path = os.pathsep.join([str(SOURCE), *filter(None, [plain.get("PYTHONPATH")])])
    return {**plain, "PYTHONPATH": path, "PYTHONUTF8": "1", **({"COLUMNS": str(width)} if width else {})}


def interruptible() -> None:
    """For ``preexec_fn``: a shell starts what runs in its background, this test run perhaps, deaf to Ctrl-C, and
    whatever that starts inherits it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def gatewise(
    *words: str | Path, at: Path | None = None, piped: bytes | None = None, width: int | None = None, **options: Any
) -> Ran:
    """Run ``gatewise WORDS`` in the folder ``at``."""
    ran = subprocess.run(
        [sys.executable, "-m", "gatewise", *map(str, words)],
        **({"stdin": subprocess.DEVNULL} if piped is None else {"input": piped}),
        capture_output=True,
        cwd=at,
        env=environment(width),
        timeout=600,
        check=False,
        **options,
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
