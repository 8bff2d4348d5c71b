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


def test_a_whole_role_is_written_at_once_and_a_projection_like_any_other() -> None:
    module = _made("LSTM", proj_size=2)
    live = gw.of(module)
    live[0, "forward"].bias = 0.5
    live[0, "forward"].projection = np.ones((2, 5))
    assert bool((module.bias_ih_l0 == 0.5).all())
    assert bool((module.weight_hr_l0 == 1).all())
    for name, value, told in (
        ("bias", np.zeros(20), "bias['i'] of layer 0 (forward) has shape [5] (5 units)"),
        ("peephole", 0.0, "this layer has no peephole. It has kernel"),
        ("biass", 0.0, "Did you mean bias"),
    ):
        with pytest.raises(gw.GatewiseError) as caught:
            setattr(live[0, "forward"], name, value)
        assert told in str(caught.value)
    assert bool((module.bias_ih_l0 == 0.5).all())


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
