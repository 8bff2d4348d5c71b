"""A progress bar: only on a terminal, only when work takes long enough to wonder, gone when it is done."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from ._screen import columns

PATIENCE = 0.5  # seconds before anything is shown
EVERY = 0.1  # seconds between two drawings


class Progress:
    """``with Progress() as progress: progress(done, total, what)``.  Draws on standard error."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.drawn = 0.0
        self.terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, total: int, what: str = "") -> None:
        now = time.monotonic()
        if not self.terminal or now - self.started < PATIENCE or now - self.drawn < EVERY:
            return
        self.drawn = now
        share = min(done / total, 1.0) if total else 0.0
        full = int(share * 24)
        line = f"{'█' * full}{'░' * (24 - full)} {share:4.0%} {what}"
        self._draw(line[: (columns() or 80) - 1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.drawn:
            self._draw("")

    def _draw(self, line: str) -> None:
        from ._screen import Screen, visible

        sys.stderr.write(f"\r\033[K{Screen.of(sys.stderr).encodable(visible(line))}")
        sys.stderr.flush()
