"""A torch module that runs with other tensors than its names give: read, not written, until it is repaired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import UsageError

pytestmark = pytest.mark.framework("torch")


def _stale(**said: Any) -> Any:
    import torch

    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 4, **said)
    layer._flat_weights = [weight.detach().clone() for weight in layer._flat_weights]
    return layer


def _other() -> Any:
    import torch

    return torch.nn.LSTM(3, 4)


DEEDS: dict[str, Callable[[Any], Any]] = {
    "a gate": lambda m: gw.of(m)[0, "forward"].bias.__setitem__("f", 1.0),
    "a role": lambda m: setattr(gw.of(m)[0, "forward"], "bias", 1.0),
    "a part of a gate in place": lambda m: gw.of(m)[0, "forward"].bias["f"].__setitem__(0, 1.0),
    "a forget bias": gw.set_forget_bias,
    "anew": lambda m: gw.initialise(m, "orthogonal", role="kernel"),
    "merged biases": gw.merge_biases,
    "a transfer": lambda m: gw.transfer(_other(), m),
    "a transfer unproved": lambda m: gw.transfer(_other(), m, check=False),
    "a vector": lambda m: gw.flat(m).load(np.zeros(gw.flat(m).size, np.float32)),
    "one chunk": gw.flatten_parameters,
    "frozen": lambda m: gw.freeze(m, role="bias"),
    "units without": lambda m: gw.prune_units(m, [1]),
}


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a model"])
@pytest.mark.parametrize("deed", list(DEEDS))
def test_what_would_reach_no_output_is_refused_and_done_after_the_repair(deed: str, inside: bool) -> None:
    import torch

    layer = _stale()
    model = torch.nn.Sequential(layer) if inside else layer
    before = gw.select(model, gate="f", role="bias").numpy()[0].copy()
    with pytest.raises(UsageError, match="GW404") as caught:
        DEEDS[deed](model)
    assert "gw.repair" in str(caught.value.next)
    assert deed == "a part of a gate in place" or (gw.select(model, gate="f", role="bias").numpy()[0] == before).all()
    gw.repair(model, in_place=True)
    DEEDS[deed](model)
    gw.set_forget_bias(model, 3.0)
    assert gw.of(model).prove().same


def test_torch_puts_right_by_itself_what_was_reassigned_and_that_is_written() -> None:
    import torch

    layer = _other()
    layer._parameters["bias_ih_l0"] = torch.nn.Parameter(torch.zeros(16))
    pruned = _other()
    torch.nn.utils.parametrize.register_parametrization(pruned, "weight_hh_l0", torch.nn.Identity())
    for each in (layer, pruned):
        gw.set_forget_bias(each, 3.0)
        assert gw.of(each).prove().same
