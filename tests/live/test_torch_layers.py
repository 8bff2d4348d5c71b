"""torch's layers in memory: every name is the framework's own weight, and what is written is what it computes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gatewise as gw

pytestmark = pytest.mark.framework("torch")

STACKS = [
    pytest.param(kind, dict(num_layers=layers, bidirectional=both, bias=bias, **more), id=f"{kind} {layers} layers, {'both ways' if both else 'forward'}, {'biases' if bias else 'no biases'} {more or ''}".strip())
    for kind, layers, both, bias in itertools.product(("LSTM", "GRU", "RNN"), (1, 3), (False, True), (True, False))
    for more in ({}, *([{"proj_size": 2}] if kind == "LSTM" else []), *([{"nonlinearity": "relu"}] if kind == "RNN" else []))
]  # fmt: skip


def _made(kind: str, **said: Any) -> Any:
    import torch

    torch.manual_seed(3)
    return getattr(torch.nn, kind)(3, 5, **said)


@pytest.mark.parametrize(("kind", "said"), STACKS)
def test_names_cover_every_element_once_and_the_reference_agrees(kind: str, said: dict[str, Any]) -> None:
    module = _made(kind, **said)
    live = gw.of(module)
    for parameter in module.parameters():
        parameter.data.zero_()
    count = 0
    for _, weights in live:
        for gates in weights.roles.values():
            for gate in gates:
                gates[gate] = gates[gate] + 1.0
                count += gates[gate].size
    assert count == sum(parameter.numel() for parameter in module.parameters()) == live.parameters
    assert all(bool((parameter == 1).all()) for parameter in module.parameters())


@pytest.mark.parametrize(("kind", "said"), STACKS)
def test_what_is_written_is_what_torch_computes(kind: str, said: dict[str, Any]) -> None:
    module = _made(kind, **said)
    live = gw.of(module)
    before = live.prove().max_abs_error
    random = np.random.default_rng(5)
    for _, weights in live:
        for gates in weights.roles.values():
            for gate in gates:
                gates[gate] = random.uniform(-0.6, 0.6, gates[gate].shape)
    assert max(before, live.prove().max_abs_error) <= 1e-6
    assert not gw.diagnose(module)
