"""gw.transfer between torch and every framework's layers in memory (tests/live/makers), there and back, run by both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from makers import Case, cases

import gatewise as gw
from gatewise.errors import NotRepresentable
from gatewise.live import Live, of_several

pytestmark = pytest.mark.framework("torch")
COARSE = {"float16": 2e-2, "bfloat16": 1e-1}


def like(stack: gw.Stack) -> Any:
    """A torch module of a stack's sizes, in float64; None where torch has no such cell."""
    import torch

    spec = stack.spec
    if spec.cell not in ("lstm", "gru", "rnn") or spec.proj_size or isinstance(spec.hidden_size, list):
        return None
    said: dict[str, Any] = {"num_layers": spec.num_layers, "bidirectional": spec.directions == 2, "batch_first": True}
    said |= {"nonlinearity": "relu"} if spec.cell == "rnn" and spec.dialect.activation == "relu" else {}
    torch.manual_seed(0)
    return getattr(torch.nn, spec.cell.upper())(spec.input_size, spec.hidden_size, **said).double()


def frameworks() -> Iterator[Any]:
    """The makers of each framework, with its mark."""
    found: dict[str, list[Any]] = {}
    for each in cases(lambda maker: "model" not in maker.id.lower()):
        found.setdefault(each.id.partition(":")[0], []).append(each)
    for name, several in found.items():
        yield pytest.param([each.values[0] for each in several], id=name, marks=several[0].marks)


def kind_of(live: Live) -> tuple[Any, ...]:
    spec = live.spec
    return (live.layout, spec.num_layers, spec.directions, spec.bias, spec.dtype, spec.dialect)


@pytest.mark.parametrize("several", list(frameworks()))
def test_into_torch_and_back(several: list[Case]) -> None:
    """torch computes what the framework does; put back into a layer of other numbers, that computes it too."""
    seen, moved = set(), 0
    for case in several:
        _, layers = case.make()
        if len(layers) == 1 and kind_of(layers[0]) not in seen and (module := like(layers[0])) is not None:
            seen.add(kind_of(layers[0]))
            moved += there(case, layers[0], module) and back(case, module)
    assert moved > len(seen) / 4, f"{moved} of {len(seen)} kinds went there and back"


def there(case: Case, live: Live, module: Any) -> bool:
    """Is it what torch computes, once the weights are there?  False where torch cannot say it."""
    try:
        gw.transfer(live, module)
    except NotRepresentable as refusal:
        assert "cannot say this" in str(refusal), case.maker.id  # noqa: PT017
        return False
    agree(case, live, module)
    return True


def agree(case: Case, live: Live, module: Any) -> None:
    import torch

    x = np.random.default_rng(0).standard_normal((2, 6, live.spec.input_size)).astype(np.float32)
    mine, _ = module(torch.from_numpy(x.astype(np.float64)))
    theirs = np.asarray(live.run(x)[0], np.float64)
    coarse = COARSE.get(live.holder.precision or live.spec.dtype, 1e-6) * max(1.0, float(np.abs(theirs).max()))
    wanted = (mine if theirs.ndim == 3 else mine[:, -1]).detach().numpy()
    assert np.abs(theirs - wanted).max() <= coarse, case.maker.id


def back(case: Case, module: Any) -> bool:
    """Other numbers than the layer's own, into a new one of its kind.  False where that cannot say them."""
    subject, _ = case.make()
    for parameter in module.parameters():
        parameter.data.mul_(-0.7)
    try:
        moved = gw.transfer(module, gw.of(subject, **case.maker.said))
    except NotRepresentable as refusal:
        assert "cannot say this" in str(refusal), case.maker.id  # noqa: PT017
        return False
    (live,) = of_several(moved.result, **case.maker.said)
    agree(case, live, module)
    return True
