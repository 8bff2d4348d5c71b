"""Processor time and calls, by which tests hold what must be fast.  A busy machine lengthens the clock's seconds without
bound, the processor's by little, and calls of functions are as many as ever."""

from __future__ import annotations

import cProfile
import resource
import time
from collections.abc import Callable
from typing import Any


def seconds(work: Callable[[], Any]) -> float:
    """What this process computes for some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def calls_of(work: Callable[[], Any]) -> int:
    """How many functions some work calls, Python's own among them."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


def seconds_of_children(work: Callable[[], Any]) -> float:
    """What the processes compute that some work starts and waits for."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    work()
    return spent() - before
