"""What is frozen stays what it is, whatever trains, copies, saves or calls the layer; and thaws without a trace."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import Case, cases, end_to_end, result_of

import gatewise as gw
from gatewise.errors import UsageError

every = pytest.mark.parametrize("case", cases())
torch_only = pytest.mark.framework("torch")


@every
def test_a_role_is_frozen_and_thawed_or_refused_and_nothing_changes(case: Case) -> None:
    subject, layers = case.make()
    before, given = case.elements(subject), gw.of(subject, **case.maker.said)
    weights = [live.weight_of(home) for live in layers for home in live.homes if home.role == "recurrent_kernel"]
    try:
        gw.freeze(given, role="recurrent_kernel")
    except UsageError as error:
        assert error.next  # noqa: PT017
        assert not any(weight.frozen_elements().any() for weight in weights)
    else:
        assert sum(int(weight.frozen_elements().sum()) for weight in dict.fromkeys(weights)) == gw.select(given, role="recurrent_kernel").count  # fmt: skip
        gw.unfreeze(given)
        assert not any(weight.frozen_elements().any() for weight in weights)
    np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)


def _lstm(**said: Any) -> Any:
    import torch

    torch.manual_seed(2)
    return torch.nn.LSTM(3, 5, 2, **said)


def _frozen(module: Any) -> np.ndarray:
    return end_to_end([each.copy() for each in gw.select(module, role="recurrent_kernel", gate="f").numpy()])


def _others(module: Any) -> np.ndarray:
    return end_to_end([each.copy() for each in gw.select(module, role="recurrent_kernel", gate="igo").numpy()])


def _optimizers() -> dict[str, Callable[[Any], Any]]:
    import torch

    return {
        "SGD with momentum and decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.3),
        "Adam with decay": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.3),
        "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3),
        "RMSprop with momentum": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, weight_decay=0.3),
    }


def _train(module: Any, optimizer: Any, steps: int = 3) -> None:
    import torch

    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(4, 2, 3))[0].square().sum().backward()
        optimizer.step()


@torch_only
@pytest.mark.parametrize("name", ["SGD with momentum and decay", "Adam with decay", "AdamW", "RMSprop with momentum"])
@pytest.mark.parametrize("when", ["before the optimizer was made", "in the middle of training"])
def test_no_optimizer_moves_a_frozen_gate_and_each_moves_the_others(name: str, when: str) -> None:
    module = _lstm()
    if when == "in the middle of training":
        optimizer = _optimizers()[name](module.parameters())
        _train(module, optimizer)
        assert gw.freeze(module, role="recurrent_kernel", gate="f") is module
    else:
        gw.freeze(module, role="recurrent_kernel", gate="f")
        optimizer = _optimizers()[name](module.parameters())
    frozen, others = _frozen(module), _others(module)
    _train(module, optimizer)
    np.testing.assert_array_equal(_frozen(module), frozen)
    assert (_others(module) != others).all()
    gw.unfreeze(module)
    np.testing.assert_array_equal(_frozen(module), frozen)
    _train(module, optimizer)
    assert (_frozen(module) != frozen).all()


@torch_only
def test_a_gradient_hook_would_not_do() -> None:
    """The twin: why a part is not held by a hook that zeroes its gradient."""
    import torch

    module = _lstm()
    module.weight_hh_l0.register_hook(lambda gradient: torch.cat([gradient[:5], gradient[5:10] * 0, gradient[10:]]))
    before = module.weight_hh_l0[5:10].clone()
    _train(module, torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3))
    assert not torch.equal(module.weight_hh_l0[5:10], before)


@torch_only
def test_a_frozen_whole_forgets_its_gradient_so_that_momentum_does_not_move_it() -> None:
    import torch

    module = _lstm()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.3)
    _train(module, optimizer)
    gw.freeze(module, role="recurrent_kernel")
    assert {name for name, each in module.named_parameters() if not each.requires_grad} == {
        "weight_hh_l0",
        "weight_hh_l1",
    }
    before = module.weight_hh_l0.clone()
    optimizer.step()
    assert torch.equal(module.weight_hh_l0, before)


def _edited() -> Any:
    """A layer to which everything else was done before."""
    module = gw.initialise(_lstm(), "orthogonal", role="recurrent_kernel")
    gw.of(module)[1, "forward"].kernel["o"] = 0.1
    gw.prune_units(gw.merge_biases(gw.set_forget_bias(module, 1.0)), [1])
    module.flatten_parameters()
    return module


WAYS = ["deepcopy", "state_dict", "functional_call", "DataParallel", "compile, eager", pytest.param("compile", marks=pytest.mark.slow), "autocast", "to another dtype and back"]  # fmt: skip


@torch_only
@pytest.mark.parametrize("way", WAYS)
def test_torch_does_with_a_held_gate_what_it_does_with_a_plain_one(way: str) -> None:
    import torch

    if way == "compile" and not shutil.which("g++"):
        pytest.skip("torch's inductor compiles with g++, which is not here")
    plain, held, x = _edited(), _edited(), torch.randn(4, 2, 3)
    gw.freeze(held, role="recurrent_kernel", gate="f")
    held(x)[0].sum().backward()  # a call whose history a copy would stumble over
    wanted, frozen = plain(x)[0], _frozen(held)
    if way == "deepcopy":
        made = copy.deepcopy(copy.deepcopy(held))
        held = made
    elif way == "state_dict":
        made = gw.freeze(torch.nn.LSTM(3, 5, 2), role="recurrent_kernel", gate="f")
        made.load_state_dict(held.state_dict())
        held = made
    elif way == "functional_call":
        state = {name: tensor.clone() for name, tensor in held.state_dict().items()}
        torch.testing.assert_close(torch.func.functional_call(held, state, x)[0], wanted)
    elif way == "DataParallel":
        held = torch.nn.DataParallel(held).module
        torch.testing.assert_close(torch.nn.DataParallel(held)(x)[0], wanted)
    elif way.startswith("compile"):
        called = torch.compile(held, backend="eager" if "eager" in way else "inductor")
        torch.testing.assert_close(called(x)[0], wanted)
    elif way == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            held(x)[0].float().sum().backward()
    else:
        held = held.double().float()
    torch.testing.assert_close(held(x)[0], wanted)
    assert list(gw.dead_units(held)) == list(gw.dead_units(plain)) != []
    np.testing.assert_array_equal(_frozen(held), frozen)
    _train(held, torch.optim.AdamW(held.parameters(), lr=0.1, weight_decay=0.3))
    np.testing.assert_array_equal(_frozen(held), frozen)
    assert gw.of(held).prove().same
    assert not gw.diagnose(held)


@torch_only
def test_unfreezing_gives_the_same_parameters_back_in_their_order() -> None:
    module = _lstm(bidirectional=True)
    before, names = dict(module.named_parameters()), list(module.state_dict())
    values = {name: parameter.detach().clone() for name, parameter in before.items()}
    gw.freeze(module, role=["bias", "recurrent_kernel"], gate="i")
    gw.freeze(module, role="kernel", gate="o", layer=1, direction="reverse")
    assert sum("original" in name for name in module.state_dict()) == 9
    gw.unfreeze(module, role="bias")
    gw.unfreeze(module)
    after = dict(module.named_parameters())
    assert list(after) == list(before)
    assert list(module.state_dict()) == names
    for name, parameter in after.items():
        assert parameter is before[name]
        assert parameter.requires_grad
        assert bool((parameter == values[name]).all())
    assert type(module).__name__ == "LSTM"
    assert not gw.diagnose(module)


@torch_only
def test_of_a_whole_one_gate_is_thawed_and_the_others_stay_frozen() -> None:
    import torch

    module = _lstm()
    gw.freeze(module)
    gw.unfreeze(module, role="recurrent_kernel", gate="o")
    before = {name: value.copy() for name, value in zip("fo", (_frozen(module), end_to_end(gw.select(module, role="recurrent_kernel", gate="o").numpy())), strict=True)}  # fmt: skip
    _train(module, torch.optim.AdamW([each for each in module.parameters() if each.requires_grad], lr=0.1))
    np.testing.assert_array_equal(_frozen(module), before["f"])
    assert (end_to_end(gw.select(module, role="recurrent_kernel", gate="o").numpy()) != before["o"]).all()
    gw.freeze(module, role="recurrent_kernel", gate="o")  # all of it again: the switch alone
    assert not any("original" in name for name in module.state_dict())
    assert not any(each.requires_grad for each in module.parameters())


@torch_only
def test_what_is_written_by_name_reaches_a_frozen_gate() -> None:
    module = gw.freeze(_lstm(), role="recurrent_kernel", gate="f")
    live = gw.of(module)
    live[0, "forward"].recurrent_kernel["f"] = 0.25
    live[0, "forward"].recurrent_kernel["i"] = 0.5
    assert bool((module.weight_hh_l0[5:10] == 0.25).all())
    assert bool((module.weight_hh_l0[:5] == 0.5).all())
    gw.set_forget_bias(gw.freeze(module, role="bias", gate="f"), 1.0)
    assert bool((module.bias_ih_l0[5:10] == 1.0).all())


@torch_only
def test_a_file_of_a_frozen_layer_has_its_true_weights(tmp_path: Path) -> None:
    import torch

    module = gw.freeze(_lstm(), role="recurrent_kernel", gate="f")
    _train(module, torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3))
    torch.save(module.state_dict(), tmp_path / "frozen.pt")
    (layer,) = gw.open(tmp_path / "frozen.pt").layers
    for gate in "ifgo":
        np.testing.assert_array_equal(layer[0, "forward"].recurrent_kernel[gate], gw.of(module)[0, "forward"].recurrent_kernel[gate])  # fmt: skip
    assert not gw.diagnose(tmp_path / "frozen.pt")


@torch_only
def test_a_part_of_what_is_computed_from_other_parameters_is_refused_before_anything_is_frozen() -> None:
    import torch

    module = torch.nn.utils.weight_norm(_lstm(), "weight_hh_l1")
    with pytest.raises(
        UsageError, match=r"weight_hh_l1 is computed from other parameters .*, so no part of it can be held"
    ):
        gw.freeze(module, role=["kernel", "recurrent_kernel"], gate="f")
    assert not any("original" in name for name in module.state_dict())
    gw.freeze(module, role="recurrent_kernel", layer=1)
    assert {name for name, each in module.named_parameters() if not each.requires_grad} == {
        "weight_hh_l1_g",
        "weight_hh_l1_v",
    }


@torch_only
def test_beside_another_parametrization_a_part_is_held_too() -> None:
    import torch

    module = torch.nn.utils.parametrizations.weight_norm(_lstm(), "weight_hh_l0")
    gw.freeze(module, role="recurrent_kernel", gate="f", layer=0)
    frozen = module.weight_hh_l0[5:10].detach().clone()
    _train(module, torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3))
    torch.testing.assert_close(module.weight_hh_l0[5:10].detach(), frozen, rtol=0, atol=0)
    gw.unfreeze(module)
    _train(module, torch.optim.AdamW(module.parameters(), lr=0.1))
    assert bool((module.weight_hh_l0[5:10] != frozen).any())


@torch_only
def test_what_was_written_through_a_parametrization_is_not_left_behind_in_torchs_list() -> None:
    """Assigned by the attribute, torch's RNNBase puts the value into ``_flat_weights``, and once the parametrization is
    removed without a call between it runs with that value for ever."""
    import torch

    class Twice(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return 2 * x

        def right_inverse(self, x: Any) -> Any:
            return x / 2

    module = _lstm()
    torch.nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Twice())
    gw.of(module)[0, "forward"].recurrent_kernel["f"] = 0.5
    torch.nn.utils.parametrize.remove_parametrizations(module, "weight_hh_l0")
    assert not gw.diagnose(module)
    _train(module, torch.optim.SGD(module.parameters(), lr=0.1))
    assert gw.of(module).prove().same


def _own_lstm() -> Any:
    import torch

    class Own(torch.nn.LSTM):
        def __init__(self) -> None:
            super().__init__(3, 4, bidirectional=True, proj_size=2)
            self.gain = torch.nn.Parameter(torch.ones(2))
            self.head = torch.nn.Linear(4, 1)

    return Own()


def _stacks() -> dict[str, Callable[[], Any]]:
    import torch

    return {
        "an LSTM": lambda: torch.nn.LSTM(4, 4),
        "two layers of a GRU": lambda: torch.nn.GRU(4, 4, 2),
        "a projected LSTM of both directions with a gain of the user's own": _own_lstm,
        "a cell": lambda: torch.nn.LSTMCell(4, 4),
    }


_WAYS: dict[str, Callable[[Any, str], Any]] = {
    "at once": lambda m, gate: gw.unfreeze(gw.freeze(m, gate=gate)),
    "kernels before biases, back in the same order": lambda m, gate: _one_by_one(m, gate, ("kernel", "recurrent_kernel", "bias"), 1),
    "kernels before biases, back the other way round": lambda m, gate: _one_by_one(m, gate, ("kernel", "recurrent_kernel", "bias"), -1),
    "biases before kernels": lambda m, gate: _one_by_one(m, gate, ("recurrent_bias", "recurrent_kernel", "kernel"), 1),
    "one role twice": lambda m, gate: _one_by_one(m, gate, ("kernel", "recurrent_kernel", "kernel"), 1),
}  # fmt: skip


def _one_by_one(module: Any, gate: str, roles: tuple[str, ...], step: int) -> None:
    for role in roles:
        gw.freeze(module, role=role, gate=gate)
    for role in roles[::step]:
        gw.unfreeze(module, role=role)


@torch_only
@pytest.mark.parametrize("way", list(_WAYS))
@pytest.mark.parametrize("kind", ["an LSTM", "two layers of a GRU", "a projected LSTM of both directions with a gain of the user's own", "a cell"])  # fmt: skip
def test_parts_of_several_tensors_thaw_into_the_order_that_the_parameters_had(kind: str, way: str) -> None:
    module = _stacks()[kind]()
    before = dict(module.named_parameters())
    _WAYS[way](module, "f" if "LSTM" in kind or kind == "a cell" else "z")
    assert list(dict(module.named_parameters())) == list(before)
    assert all(each is before[name] for name, each in module.named_parameters())


@torch_only
def test_one_of_two_parts_thawed_stands_where_it_stood_and_a_later_parameter_behind() -> None:
    import torch

    module = torch.nn.LSTM(4, 4)
    gw.freeze(module, role=["kernel", "recurrent_kernel"], gate="f")
    module.gain = torch.nn.Parameter(torch.ones(2))
    gw.unfreeze(module, role="kernel")
    plain = ["weight_ih_l0", "bias_ih_l0", "bias_hh_l0", "gain"]
    assert [name for name, _ in module.named_parameters()] == [*plain, "parametrizations.weight_hh_l0.original"]
    gw.freeze(module, role="bias", gate="i")
    gw.unfreeze(module)
    assert [name for name, _ in module.named_parameters()] == ["weight_ih_l0", "weight_hh_l0", *plain[1:]]


@torch_only
def test_an_optimizers_state_of_before_lands_on_the_same_parameters_after_thawing() -> None:
    import torch

    module = torch.nn.LSTM(4, 4)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.ones(2, 1, 4))[0].sum().backward()
    optimizer.step()
    kept = [optimizer.state[each]["momentum_buffer"].clone() for each in module.parameters()]
    gw.unfreeze(gw.freeze(module, gate="f"))
    other = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    other.load_state_dict(optimizer.state_dict())
    for each, momentum in zip(module._parameters.values(), kept, strict=True):
        assert torch.equal(other.state[each]["momentum_buffer"], momentum)
