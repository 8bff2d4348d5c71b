"""The process of ``points.py``, and how it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from real_process import environment

POINTS = Path(__file__).with_name("points.py")


class Server:
    """One process for many command lines."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, POINTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._answers, self._questions = self._process.stdout, self._process.stdin
        assert self._answers.readline() == "ready\n"

    def __call__(self, folder: Path, words: tuple[str, ...], what: str = "nothing", at: int = -1) -> dict[str, Any]:
        asked = {"folder": str(folder), "words": words, "what": what, "at": at}
        print(json.dumps(asked), file=self._questions, flush=True)
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    def close(self) -> None:
        self._questions.close()
        self._process.wait(60)
