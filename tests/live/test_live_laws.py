"""Laws for the layers of every framework in memory (tests/live/makers): the names are all of the weights and nothing
else, what is written is what the framework computes, and wrong use changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makers import Case, cases, result_of

from gatewise.errors import UsageError
from gatewise.live import Live, LiveModel, of_several
from gatewise.proof import random_input
from gatewise.tensors import ITEM_BYTES, numpy_dtype

every = pytest.mark.parametrize("case", cases())
WORDS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def gates(layers: list[Live]) -> list[tuple[Live, Any, str]]:
    """(layer, its gates of one role, gate) for everything that has a name."""
    return [(live, held, gate) for live in layers for _, each in live for held in each.roles.values() for gate in held]


def distinct(start: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers that are all different in any float type: neighbours above one."""
    word = WORDS[ITEM_BYTES[dtype]]
    one = int(np.ones(1, numpy_dtype(dtype)).view(word)[0])
    return np.arange(one + 1 + start, one + 1 + start + int(np.prod(shape)), dtype=word).view(numpy_dtype(dtype)).reshape(shape)  # fmt: skip


def write_random(layers: list[Live], seed: int = 5) -> None:
    random = np.random.default_rng(seed)
    for _, held, gate in gates(layers):
        held[gate] = random.uniform(-0.6, 0.6, held[gate].shape)


@every
def test_names_cover_every_element_exactly_once(case: Case) -> None:
    subject, layers = case.make()
    before, written, at = case.elements(subject), [], 0
    for live, held, gate in gates(layers):
        values = distinct(at, held[gate].shape, live.spec.dtype)
        held[gate] = values
        written.append(values.astype(np.float64).ravel())
        at += values.size
        np.testing.assert_array_equal(np.asarray(held[gate], np.float64), values.astype(np.float64))
    assert at == case.maker.parameters == sum(live.parameters for live in layers)
    after, wanted = case.elements(result_of(subject, layers)), np.concatenate(written)
    theirs = np.isin(after, wanted)
    np.testing.assert_array_equal(np.sort(after[theirs]), np.sort(wanted))
    np.testing.assert_array_equal(after[~theirs], before[~theirs])


@every
def test_the_reference_agrees_with_the_framework(case: Case) -> None:
    for live in case.make()[1]:
        assert live.prove().same


@every
def test_what_is_written_is_what_the_framework_computes(case: Case) -> None:
    _, layers = case.make()
    inputs = [random_input(live) for live in layers]
    before = [live.run(*each)[0] for live, each in zip(layers, inputs, strict=True)]
    write_random(layers)
    for live, each, y in zip(layers, inputs, before, strict=True):
        proof = live.prove()
        assert proof.same, proof
        assert float(np.abs(live.run(*each)[0].astype(np.float64) - y.astype(np.float64)).max()) > 1e-2


@every
def test_one_gate_written_changes_that_gate_alone(case: Case) -> None:
    subject, layers = case.make()
    before = case.elements(subject)
    for live, held, gate in gates(layers):
        kept = held[gate].copy()
        held[gate] = distinct(0, kept.shape, live.spec.dtype)
        assert int((case.elements(result_of(subject, layers)) != before).sum()) == kept.size, (held.role, gate)
        held[gate] = kept
    np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)


@every
def test_wrong_use_is_told_and_changes_nothing(case: Case) -> None:
    subject, layers = case.make()
    before = case.elements(subject)
    for live in layers:
        kernel = live[0, "forward"].kernel
        gate = next(iter(kernel))
        units, features = kernel[gate].shape
        with pytest.raises(UsageError, match=r"kernel has no gate 'q'\. Its gates are "):
            kernel["q"] = 1.0
        with pytest.raises(
            UsageError, match=rf"has shape \[{units}, {features}\] .*; the value has \[{units + 1}, {features}\]"
        ):
            kernel[gate] = np.zeros((units + 1, features))
        with pytest.raises(UsageError, match="takes numbers, not 'big'"):
            kernel[gate] = "big"
        with pytest.raises(UsageError, match="this layer has no norm_scale"):
            live[0, "forward"].role("norm_scale")[gate]
        with pytest.raises(UsageError, match=r"there is no layer 9\. (Layers are 0 to|It has one, layer 0)"):
            live[9, "forward"]
    np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)


@every
def test_the_result_is_the_object_itself_or_a_new_one_beside_it(case: Case) -> None:
    subject, layers = case.make()
    before = case.elements(subject)
    write_random(layers)
    if not layers[0].holder.functional:
        assert len(layers) == 1 or LiveModel(subject, layers).result is subject
        assert not np.array_equal(case.elements(subject), before)
        return
    assert layers[0].result is not subject
    np.testing.assert_array_equal(case.elements(subject), before)
    for mine, theirs in zip(layers, of_several(layers[0].result, **case.maker.said), strict=True):
        for (_, one), (_, other) in zip(mine, theirs, strict=True):
            for role, held in one.roles.items():
                for gate in held:
                    np.testing.assert_array_equal(held[gate], other.roles[role][gate])


def test_the_laws_see_every_framework_that_has_a_file() -> None:
    import makers.torch

    assert len(cases()) >= len(makers.torch.LAYERS) > 40
