"""Every small fixture, damaged: refused as gatewise refuses, or read; never another exception, never slow.

Twice: by hypothesis, which flips, cuts, grows, splices and swaps, and finds the smallest damage that still fails; and below
checksums (``mutate``), which a hostile file's would fit.  What runs here is short and the same everywhere; ``make damage``
(HYPOTHESIS_PROFILE=long) draws other damage every time, thousands for each kind of file, and ``make fuzz`` is guided.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from pathlib import Path

import pytest
from filemakers import afresh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutate import KINDS, damaged
from reading import Seed, read_whole, seeds
from together import rarely, together

from gatewise.errors import GatewiseError
from gatewise.layouts import layouts
from gatewise.layouts._phrase import phrase
from gatewise.layouts._user import layout_of_text
from gatewise.symptoms import explain

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
TIMES = 20 if LONG else 1  # for each fixture, below checksums
EXAMPLES = 3_000 if LONG else 4  # for each kind of file
SECONDS = 1.0  # of processor time
SEEDS = seeds()
TEXTS = 3_000 if LONG else 60  # for each kind of text


def _kinds_of_file() -> dict[str, list[Seed]]:
    """The fixtures by folder and suffix."""
    found: dict[str, list[Seed]] = {}
    for seed in SEEDS:
        found.setdefault(_kind(seed), []).append(seed)
    return found


def _kind(seed: Seed) -> str:
    return f"{_named(seed).partition('/')[0]}/*{seed.file.suffix}"


def _named(seed: Seed) -> str:
    return "/".join(seed.file.parts[seed.file.parts.index("fixtures") + 1 :])


FIRST = {group[0] for group in _kinds_of_file().values()}


@together("seed", SEEDS, of=_kind, said=_named, slow=lambda seed: seed not in FIRST)
def test_a_damaged_file_is_refused_or_read(seed: Seed, tmp_path: Path) -> None:
    place, data, luck = seed.place(tmp_path / _named(seed)), seed.file.read_bytes(), random.Random(_named(seed))
    others = [each.file.read_bytes() for each in SEEDS if each.file.suffix == seed.file.suffix][:5]
    for _ in range(TIMES):
        _refused_or_read(place, damaged(data, luck, others))


_PLACE, _SIZE = st.integers(0, 1 << 16), st.sampled_from((1, 2, 3, 4, 8, 13, 64, 300, 5_000))
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), _PLACE, st.integers(1, 255)),
    st.tuples(st.just("cut"), _PLACE, _SIZE),
    st.tuples(st.just("grow"), _PLACE, st.binary(min_size=1, max_size=16), st.sampled_from((1, 2, 64))),
    st.tuples(st.just("splice"), _PLACE, _PLACE, _SIZE),
    st.tuples(st.just("swap"), _PLACE, _SIZE, _SIZE),
)


def _done(data: bytes, damage: tuple[object, ...], other: bytes) -> bytes:
    """One piece of damage.  Places are counted round the end, so that each fits every file."""
    kind, place, *how = damage
    assert isinstance(place, int)
    at = place % max(len(data), 1)
    match kind, how:
        case "flip", [int(bits)]:
            return data[:at] + bytes(byte ^ bits for byte in data[at : at + 1]) + data[at + 1 :]
        case "cut", [int(size)]:
            return data[:at] + data[at + size :]
        case "grow", [bytes(more), int(times)]:
            return data[:at] + more * times + data[at:]
        case "splice", [int(start), int(size)]:
            start %= max(len(other), 1)
            return data[:at] + other[start : start + size] + data[at + size :]
        case "swap", [int(first), int(second)]:
            end = at + first + second
            return data[:at] + data[at + first : end] + data[at : at + first] + data[end:]
    raise AssertionError(damage)


@pytest.mark.parametrize("group", rarely(_kinds_of_file().values(), 3), ids=_kinds_of_file())
def test_damage_that_hypothesis_does_is_refused_or_read(group: list[Seed], tmp_path: Path) -> None:
    places = [seed.place(tmp_path / str(at)) for at, seed in enumerate(group)]
    whole = [seed.file.read_bytes() for seed in group]

    @settings(
        max_examples=EXAMPLES, derandomize=not LONG, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(st.integers(0, len(group) - 1), st.integers(0, len(group) - 1), st.lists(DAMAGE, min_size=1, max_size=4))
    def holds(which: int, other: int, damages: list[tuple[object, ...]]) -> None:
        data = whole[which]
        for damage in damages:
            data = _done(data, damage, whole[other])
        _refused_or_read(places[which], data)

    holds()


def _refused_or_read(place: Seed, data: bytes) -> None:
    afresh(place.file, data)  # the last one may still be mapped
    began = time.process_time()
    with contextlib.suppress(GatewiseError):
        read_whole(place.opened)
    assert time.process_time() - began < 4 * SECONDS  # four commands in a row


@pytest.mark.parametrize(
    "damage",
    [("flip", 3, 1), ("cut", 3, 2), ("grow", 3, b"ab", 2), ("splice", 3, 1, 2), ("swap", 3, 2, 2)],
    ids=lambda damage: damage[0],
)
def test_damage_of_hypothesis_is_done(damage: tuple[object, ...]) -> None:
    """The twin."""
    assert _done(b"abcdefghij", damage, b"0123456789") != b"abcdefghij"
    assert _done(b"", damage, b"") in (b"", b"abab")


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


def test_what_was_fuzzed_is_recorded_and_adds_up() -> None:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    runs = tomllib.loads((Path(__file__).parent / "fuzzed.toml").read_text(encoding="utf-8"))["run"]
    for run in runs:
        assert run["executions"] == sum(run["by_target"].values())
        assert {name.partition("/")[0] for name in run["by_target"]} <= {"texts", "parts", "memory", "files"}
        assert isinstance(run["findings"], list)
