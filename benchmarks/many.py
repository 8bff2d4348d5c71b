"""Many small files in one process, and the word for one error message."""

from __future__ import annotations

from collections.abc import Iterator

from _files import Files
from _process import Command, gatewise, in_turn, task
from _rows import Row, Section

MANY = Section("many")
ERROR = "AttributeError: 'LSTM' object has no attribute '_flat_weights_names'"


def rows(files: Files) -> Iterator[Row]:
    (cost,) = in_turn([Command("gw.diagnose of 1,000 small files", task("diagnose", files.small(1000)))], runs=3)
    count, findings, seconds = cost.output.split()
    speed, beside = int(count) / float(seconds), f"{findings} findings in all"
    yield MANY.at_least(
        "diagnose 1,000 small files in one process", speed, "files a second", 500, beside, headline=True
    )
    (cost,) = in_turn([Command("gatewise explain", gatewise("explain", ERROR))], runs=9)
    yield MANY.at_most("explain an error, a process of its own", cost.seconds, "s", 0.1, headline=True)
