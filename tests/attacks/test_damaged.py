"""Every small fixture, damaged in a hundred ways: refused as gatewise refuses, or read; never another exception, never slow.

The short, deterministic run: the same seed makes the same damage everywhere.  ``make fuzz`` is the long one.
"""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import pytest
from mutate import KINDS, damaged
from reading import Seed, read_whole, seeds

from gatewise.errors import GatewiseError
from gatewise.layouts import layouts
from gatewise.layouts._phrase import phrase
from gatewise.layouts._user import layout_of_text
from gatewise.symptoms import explain

TIMES = 3  # for each fixture: some twelve hundred damaged files, a quarter of a minute
SECONDS = 1.0  # of processor time
SEEDS = seeds()
TEXTS = 300


def _named(seed: Seed) -> str:
    return "/".join(seed.file.parts[seed.file.parts.index("fixtures") + 1 :])


@pytest.mark.parametrize("seed", SEEDS, ids=_named)
def test_a_damaged_file_is_refused_or_read(seed: Seed, tmp_path: Path) -> None:
    place, data, luck = seed.place(tmp_path), seed.file.read_bytes(), random.Random(_named(seed))
    others = [each.file.read_bytes() for each in SEEDS if each.file.suffix == seed.file.suffix][:5]
    for number in range(TIMES):
        changed = damaged(data, luck, others)
        fresh = tmp_path / f"fresh{number}"
        fresh.write_bytes(changed)
        fresh.replace(place.file)  # a new file: the last one may still be mapped
        began = time.process_time()
        with contextlib.suppress(GatewiseError):
            read_whole(place.opened)
        assert time.process_time() - began < 4 * SECONDS  # four commands in a row


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_damage_of_every_kind_is_done(kind: object) -> None:
    """The twin: what does not change the bytes would prove nothing."""
    data, luck = bytes(range(32, 127)) * 3, random.Random(0)
    assert callable(kind)
    assert sum(kind(data, luck, [data[::-1]]) != data for _ in range(20)) >= 15


def _damaged_texts(texts: list[str], seed: str) -> list[str]:
    luck = random.Random(seed)
    raw = [text.encode() for text in texts]
    return [damaged(luck.choice(raw), luck, raw).decode("utf-8", "replace") for _ in range(TEXTS)]


def _within_a_second(began: float) -> bool:
    return time.process_time() - began < SECONDS


def test_a_damaged_phrase_is_refused_or_read() -> None:
    for text in _damaged_texts([part.phrase for layout in layouts() for part in layout.parts], "phrases"):
        began = time.process_time()
        with contextlib.suppress(GatewiseError):
            phrase(text)
        assert _within_a_second(began), text[:200]


def test_a_damaged_layout_of_a_users_own_is_refused_or_read() -> None:
    toml = '\n'.join((
        'name = "mine.LSTM"', 'cell = "lstm"', 'gates = "ofgi"', 'forget_bias = 1.0', '[[parts]]', 'name = "kernel[:0]"',
        'role = "kernel"', 'phrase = "feature (gate unit)"', '[[parts]]', 'name = ["recurrent", "u{layer}{_reverse}"]',
        'role = "recurrent_kernel"', 'phrase = "hidden (gate unit)"',
    ))  # fmt: skip
    for text in _damaged_texts([toml], "layouts"):
        began = time.process_time()
        with contextlib.suppress(GatewiseError):
            layout_of_text(text, "damaged.toml")
        assert _within_a_second(began), text[:200]


def test_a_damaged_text_is_explained_or_not_known() -> None:
    pasted = ["RuntimeError: Error(s) in loading state_dict for LSTM:\n\tsize mismatch for weight_ih_l0: copying a param from checkpoint, the shape in current model is torch.Size([16, 4]).",
              "AttributeError: 'LSTM' object has no attribute '_flat_weights_names'",
              "ValueError: Layer 'lstm_cell' expected 3 variables, but received 0 variables during loading."]  # fmt: skip
    for text in _damaged_texts(pasted, "texts"):
        began = time.process_time()
        assert explain(text) is not None
        assert _within_a_second(began), text[:200]
