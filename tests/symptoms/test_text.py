"""Long logs in bounded time and memory, and odd text that must not break anything."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from clock import seconds
from together import in_thirds, rarely

from gatewise.symptoms import digest_lines, explain

ERROR = "AttributeError: 'LSTM' object has no attribute '_flat_weights_names'"
LINE = "2024-01-01 00:00:00,000 INFO step 123456 loss 0.1234 lr 0.001 grad 1.234 time 12.3 ms/batch memory 1234 MiB"


def log(lines: int, at: int) -> Iterator[str]:
    for number in range(lines):
        yield ERROR if number == at else LINE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lines", "at"),
    [(1_000_000, 500_000), (100_000, 0), (100_000, 99_999)],
    ids=["in the middle of a hundred megabytes", "first of ten", "last of ten"],
)
def test_one_error_in_a_great_many_lines_is_found_in_little_memory(lines: int, at: int) -> None:
    tracemalloc.start()
    start = time.process_time()
    text = digest_lines(log(lines, at))
    spent, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert explain(text).sure
    assert peak < 10_000_000
    assert spent < 60, "tracing memory slows it down about tenfold"


def test_a_hundred_thousand_warnings_do_not_hide_the_end() -> None:
    warning = "UserWarning: something odd"
    text = digest_lines([*[warning] * 100_000, "Traceback (most recent call last):", ERROR])
    assert len(text) < 500_000
    assert explain(text).sure


def test_a_line_without_an_end_is_bounded() -> None:
    assert len(digest_lines(["#" * 10_000_000, ERROR])) < 200_000


@in_thirds
def test_noise_is_never_explained_and_never_breaks(third: int) -> None:
    dice = random.Random(third)
    letters = "abc '\"`’<>&;\\nu0041x1b[]{}()|:.\x1b\x00\r\n\t…LSTM weight key Error: ^$*+?"
    for _ in range(100):
        text = "".join(dice.choice(letters) for _ in range(dice.randrange(400)))
        assert not explain(text).sure


@pytest.mark.parametrize("text", rarely(["(" * 20_000, "'" * 20_000, "[2," * 20_000, "a." * 50_000 + ":", "Error:" * 20_000, "\\u00" * 20_000, "1" * 100_000,
                                  "Missing key(s) in state_dict: " + '"a.b", ' * 20_000], 8), ids=range(8))  # fmt: skip
def test_hostile_text_takes_no_time(text: str) -> None:
    assert seconds(lambda: (explain(text), explain(text + ERROR))) < 5
