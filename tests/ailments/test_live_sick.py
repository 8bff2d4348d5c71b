"""What the ailments of live modules find, and that a repaired module computes what it should."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from live_models import double, fresh, run, scripted

from gatewise.doctor import diagnose, repair

pytestmark = pytest.mark.framework("torch")


def _as_1_3_left_it(layer: Any) -> None:
    for name in ("_flat_weights", "_flat_weights_names", "_flat_weight_refs", "proj_size"):
        del layer.__dict__[name]


def _as_around_setstate(layer: Any) -> None:
    for name in ("_backward_pre_hooks", "_forward_hooks_with_kwargs", "_state_dict_pre_hooks"):
        del layer.__dict__[name]


def _exchange_list(layer: Any) -> None:
    layer._flat_weights = [weight.detach() + 1 for weight in layer._flat_weights]


def _copy_list(layer: Any) -> None:
    """Equal today: only moving the parameters shows it."""
    layer._flat_weights = [weight.detach().clone() for weight in layer._flat_weights]


def _exchange_one(layer: Any) -> None:
    layer._flat_weights[1] = layer._flat_weights[1].detach() * 2


def _delete_name(layer: Any) -> None:
    del layer._parameters["weight_hh_l0"]


def _integer_dropout(layer: Any) -> None:
    layer.dropout = 0


@dataclass(frozen=True)
class Case:
    """A way to make a module ill, what is found, and whether the repaired one computes as before it fell ill."""

    harm: Callable[[Any], None]
    found: tuple[tuple[str, str], ...]
    words: str


CASES = {
    "lists that torch 1.3 did not have are made anew": Case(
        _as_1_3_left_it, (("GW104", "breaks"), ("GW107", "breaks")), "has no _flat_weight_refs, _flat_weights, _flat_weights_names.",
    ),
    "attributes that __setstate__ would have set are set": Case(
        _as_around_setstate, (("GW128", "breaks"),), "has no _backward_pre_hooks, _forward_hooks_with_kwargs, _state_dict_pre_hooks.",
    ),
    "a list of other tensors is replaced": Case(_exchange_list, (("GW404", "wrong-results"),), "does not use weight_ih_l0, weight_hh_l0"),
    "a list of equal copies is replaced": Case(_copy_list, (("GW404", "wrong-results"),), "does not use weight_ih_l0, weight_hh_l0"),
    "one other tensor is replaced": Case(_exchange_one, (("GW404", "wrong-results"),), "does not use weight_hh_l0, but other"),
    "a tensor that lost its name is named again": Case(_delete_name, (("GW417", "wrong-results"),), "uses weight_hh_l0, which it no longer"),
    "an integer dropout becomes a float": Case(_integer_dropout, (("GW114", "note"),), "as the integer 0"),
}  # fmt: skip
KINDS = {"LSTM": {}, "GRU": {"num_layers": 2, "bidirectional": True}, "RNN": {"batch_first": True}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_found_and_repaired(case: Case, kind: str) -> None:
    import torch

    healthy, sick = (fresh(kind, **KINDS[kind]) for _ in range(2))
    case.harm(sick)
    found = diagnose(sick)
    assert tuple((finding.code, finding.severity) for finding in found) == case.found
    assert any(case.words in finding.what for finding in found), [finding.what for finding in found]
    done = repair(sick)
    assert [each.what for each in done.applied]
    assert tuple((finding.code, finding.severity) for finding in diagnose(sick)) == case.found, (
        "the patient itself is as it was"
    )
    made_whole = done.result
    assert diagnose(made_whole) == []
    assert torch.equal(run(made_whole), run(healthy))
    assert torch.equal(scripted(made_whole)(torch.ones(2, 2, 4)), healthy(torch.ones(2, 2, 4))[0])
    again = fresh(kind, seed=1, **KINDS[kind])
    again.load_state_dict(made_whole.state_dict())
    assert torch.equal(run(again), run(healthy))
    assert repair(made_whole).healthy, "healing twice is healing once"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_in_place_only_when_asked(case: Case) -> None:
    sick = fresh()
    case.harm(sick)
    done = repair(sick, in_place=True)
    assert done.result is sick
    assert diagnose(sick) == []


def test_a_repaired_module_trains_what_it_uses() -> None:
    import torch

    layer = fresh()
    _copy_list(layer)
    made_whole = repair(layer).result.train()
    before = run(made_whole)
    made_whole.train()(torch.ones(3, 2, 4))[0].sum().backward()
    torch.optim.SGD(made_whole.parameters(), 0.1).step()
    assert not torch.equal(run(made_whole), before)


def test_a_copy_is_made_of_what_deepcopy_refuses() -> None:
    """weight_norm's result has a history, and the lists are missing: copy.deepcopy refuses the one and fails on the other."""
    import torch

    sick = torch.nn.utils.weight_norm(fresh(), "weight_hh_l0")
    expected = run(torch.nn.utils.weight_norm(fresh(), "weight_hh_l0"))
    sick(torch.ones(3, 2, 4))
    _as_1_3_left_it(sick)
    with pytest.raises((RuntimeError, AttributeError, KeyError)):
        copy.deepcopy(sick)
    assert torch.equal(run(repair(sick).result), expected)


def test_other_classes_of_torch_are_made_whole() -> None:
    import torch

    model = torch.nn.ModuleDict({
        "gelu": torch.nn.GELU(), "loss": torch.nn.CrossEntropyLoss(), "attention": torch.nn.MultiheadAttention(4, 2),
    })  # fmt: skip
    for name, attribute in (("gelu", "approximate"), ("loss", "label_smoothing"), ("attention", "batch_first")):
        del model[name].__dict__[attribute]
    assert {(each.code, each.where) for each in diagnose(model)} == {
        ("GW120", "gelu"),
        ("GW118", "loss"),
        ("GW116", "attention"),
    }
    whole = repair(model).result
    assert (whole["gelu"].approximate, whole["loss"].label_smoothing, whole["attention"].batch_first) == (
        "none",
        0.0,
        False,
    )


def test_untied_weights_are_noted() -> None:
    import torch

    layer = fresh(num_layers=2)
    with torch.no_grad():
        layer.weight_hh_l1.copy_(layer.weight_hh_l0)
    (finding,) = diagnose(layer)
    assert (finding.code, finding.severity, finding.remedy) == ("GW412", "note", None)
    assert "weight_hh_l0 and weight_hh_l1" in finding.what


@pytest.mark.parametrize("number", [float("nan"), float("inf")], ids=["NaN is found", "infinity is found"])
def test_not_finite(number: float) -> None:
    layer = fresh()
    layer.bias_hh_l0.data[2] = number
    (finding,) = diagnose(layer)
    assert (finding.code, finding.severity) == ("GW418", "wrong-results")
    assert "bias_hh_l0" in finding.what


def test_scattered_weights_on_the_gpu_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no GPU, weights on the CPU stand for weights that cuDNN would run."""
    import torch

    from gatewise.live import torch as live

    if torch.cuda.is_available():
        layer = fresh().cuda()
        layer.weight_hh_l0.data = layer.weight_hh_l0.data.clone()
    else:
        layer = fresh()
        monkeypatch.setattr(live, "_on_cudnn", lambda _torch, _weight: True)
    (finding,) = diagnose(layer)
    assert (finding.code, finding.severity) == ("GW401", "slow")
    if torch.cuda.is_available():
        assert diagnose(repair(layer).result) == []


def test_weights_on_the_cpu_need_no_chunk() -> None:
    assert diagnose(fresh(num_layers=2)) == []


def test_before_torch_2_a_computed_weight_is_followed_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 1.13 a parametrization of an LSTM had no effect.  A torch that does not look at every call stands in for it."""
    import torch

    from gatewise.live import torch as live

    monkeypatch.setattr(live, "keeps_references", lambda _layer: False)
    monkeypatch.setattr(torch.nn.RNNBase, "_weights_have_changed", lambda _layer: False)
    sick = double(fresh())
    sick._flat_weights = [tensor.detach() for tensor in fresh()._flat_weights]
    assert [finding.code for finding in diagnose(sick)] == ["GW404"]
    whole = repair(sick).result
    assert diagnose(whole) == []
    expected = fresh()
    with torch.no_grad():
        expected.weight_hh_l0.mul_(2)
        for layer in (whole, expected):
            layer.bias_ih_l0.add_(1)
    assert (run(whole) - run(expected)).abs().max() < 1e-6
