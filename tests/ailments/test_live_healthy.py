"""What every ailment of live modules must leave alone, and that looking leaves no trace."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from live_models import HEALTHY, double, fresh, run

from gatewise.doctor import diagnose, repair

pytestmark = pytest.mark.framework("torch")


@pytest.mark.parametrize("make", HEALTHY.values(), ids=[f"{name} has no finding" for name in HEALTHY])
def test_healthy(make: Callable[[], Any]) -> None:
    assert diagnose(make()) == []


@pytest.mark.parametrize("training", [True, False], ids=["in training", "in evaluation"])
@pytest.mark.parametrize("make", HEALTHY.values(), ids=[f"looking at {name} leaves no trace" for name in HEALTHY])
def test_looking_leaves_no_trace(make: Callable[[], Any], training: bool) -> None:
    import torch

    module = make().train(training)
    before, state = _trace(module), torch.random.get_rng_state()
    diagnose(module)
    assert _trace(module) == before
    assert torch.equal(torch.random.get_rng_state(), state)


def _trace(module: Any) -> list[object]:
    """Everything a look might disturb: which objects, which bytes, which versions, which modes, which gradients."""
    found: list[object] = []
    for path, each in module.named_modules():
        for name, value in vars(each).items():
            inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
            found.append((path, name, id(value), [_mark(item) for item in inner]))
    return found


def _mark(value: Any) -> object:
    import torch

    if not isinstance(value, torch.Tensor):
        return id(value)
    data = b"" if value.is_meta else hashlib.sha256(value.detach().numpy().tobytes()).digest()
    return id(value), value._version, value.requires_grad, value.is_leaf and value.grad is None, data


def test_gradients_that_were_there_are_there_still() -> None:
    layer = double(fresh())
    import torch

    out = layer(torch.ones(3, 2, 4))[0].sum()
    diagnose(layer)
    out.backward()  # in-place changes seen by autograd would make this fail
    assert layer.weight_ih_l0.grad is not None


def test_hooks_of_the_users_are_not_called() -> None:
    layer = double(fresh())
    called: list[str] = []
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    layer.register_forward_hook(lambda *_: called.append("after"))
    diagnose(layer)
    assert called == []


@pytest.mark.parametrize(
    "name",
    ["an LSTM", "a weight-normed LSTM, the old way", "a pruned LSTM", "an LSTM with a parametrization of one's own"],
)
def test_nothing_to_repair_gives_an_equal_copy(name: str) -> None:
    import torch

    module = HEALTHY[name]()
    done = repair(module)
    assert done.healthy
    assert done.result is not module
    assert torch.equal(run(done.result), run(module))


def test_a_model_is_looked_at_whole_and_by_path() -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(4, 4), fresh())
    del model[1]._flat_weights
    (finding,) = diagnose(model)
    assert (finding.code, finding.severity, finding.where) == ("GW104", "breaks", "1")


def test_other_objects_have_no_findings() -> None:
    assert diagnose(object()) == []
    assert pickle.dumps(diagnose([1, 2]))
