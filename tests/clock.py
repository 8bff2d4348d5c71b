"""Processor time, by which tests hold what must be fast: a busy machine lengthens the clock's seconds without bound, and
these by little."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any


def seconds(work: Callable[[], Any]) -> float:
    """What this process computes for some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def seconds_of_children(work: Callable[[], Any]) -> float:
    """What the processes compute that some work starts and waits for."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    work()
    return spent() - before
