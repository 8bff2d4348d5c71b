"""Selections: their tensors, penalties whose gradients hit what is chosen and nothing else, groups, masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makers import Case, cases, end_to_end

import gatewise as gw
from gatewise.errors import UsageError

every = pytest.mark.parametrize("case", cases())
SELECTORS: list[dict[str, Any]] = [
    {"role": "recurrent_kernel"}, {"role": "bias"}, {"gate": "f"}, {"gate": "rz"}, {"role": "kernel", "layer": -1},
    {"direction": "reverse", "role": "recurrent_kernel"}, {"role": "projection"}, {},
]  # fmt: skip


def selected(case: Case, subject: Any, selector: dict[str, Any]) -> gw.Selection:
    return gw.select(gw.of(subject, **case.maker.said) if case.maker.said else subject, **selector)


def selections(case: Case, subject: Any) -> list[tuple[dict[str, Any], gw.Selection]]:
    """Those of SELECTORS that choose something."""
    held = [(direction, role, gate) for live in gw.of(subject, **case.maker.said).layers for (_, direction), each in live for role, gates in each.roles.items() for gate in gates]  # fmt: skip
    fitting = [
        selector for selector in SELECTORS
        if any(selector.get("direction") in (None, way) and selector.get("role") in (None, role) and gate in selector.get("gate", gate) for way, role, gate in held)
        and set(selector.get("gate", "")) <= {gate for _, _, gate in held}
    ]  # fmt: skip
    return [(selector, selected(case, subject, selector)) for selector in fitting]


@every
def test_a_penalty_is_of_the_chosen_elements_and_so_is_its_gradient(case: Case) -> None:
    subject, layers = case.make()
    elements, coarse = case.elements(subject), layers[0].spec.dtype in ("float16", "bfloat16")
    for selector, selection in selections(case, subject):
        values = end_to_end(selection.numpy())
        assert selection.count == values.size > 0
        l1, l2 = (float(layers[0].holder.numpy(value)) for value in (selection.l1(), selection.l2()))
        np.testing.assert_allclose((l1, l2), (np.abs(values).sum(), (values**2).sum()), rtol=0.02 if coarse else 1e-5)
        if case.gradients is None:
            continue
        penalty = lambda given, by=selector: selected(case, given, by).penalty(lambda each: each * each + 3 * each)  # noqa: E731
        gradient = end_to_end(case.gradients(subject, penalty))
        hit = gradient != 0  # 2w + 3, which is not zero for these w
        assert int(hit.sum()) == selection.count
        np.testing.assert_allclose(gradient[hit], 2 * elements[hit] + 3, rtol=0.01 if coarse else 1e-6)
        np.testing.assert_allclose(np.sort(gradient[hit]), np.sort(2 * values + 3), rtol=0.01 if coarse else 1e-6)


@every
def test_masks_are_true_where_the_chosen_elements_lie(case: Case) -> None:
    subject, layers = case.make()
    weights = {name: weight for live in layers for name, weight in live.holder.weights.items()}
    for _, selection in selections(case, subject):
        masks = selection.masks()
        lie = [np.asarray(weights[name].array())[mask] for name, mask in masks.items()]
        assert all(mask.any() and mask.shape == weights[name].shape for name, mask in masks.items())
        np.testing.assert_array_equal(np.sort(end_to_end(lie)), np.sort(end_to_end(selection.numpy())))


@every
def test_a_selection_of_nothing_is_told(case: Case) -> None:
    subject = gw.of(case.maker.make(), **case.maker.said)
    for wrong, told in (({"gate": "q"}, "has no gate 'q'"), ({"role": "recurent_kernel"}, "Did you mean recurrent_kernel"), ({"layer": 7}, "there is no layer 7")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            gw.select(subject, **wrong)


@pytest.mark.framework("torch")
def test_a_penalty_of_the_users_own() -> None:
    import torch

    module = torch.nn.LSTM(3, 5, 2)
    selection = gw.select(module, role="recurrent_kernel", gate="f", layer=-1)
    assert (len(selection), selection.count) == (1, 25)
    assert [name for name, _ in selection.items()] == ["weight_hh_l1[f]"]
    off_identity = selection.penalty(lambda kernel: (kernel - torch.eye(5)) ** 2)
    torch.testing.assert_close(off_identity, ((module.weight_hh_l1[5:10] - torch.eye(5)) ** 2).sum())
    off_identity.backward()
    assert module.weight_hh_l0.grad is None
    assert (module.weight_hh_l1.grad != 0).sum() == 25


@pytest.mark.framework("torch")
def test_a_step_of_the_optimizer_decays_the_selected_group_and_nothing_else() -> None:
    import torch

    model = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(3, 5, 2), "head": torch.nn.Linear(5, 2)})
    groups = gw.select(model, role="recurrent_kernel").param_groups({"weight_decay": 0.5}, {"lr": 0.1})
    together = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(together) == sorted(id(parameter) for parameter in model.parameters())
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.AdamW(groups, lr=0.1, weight_decay=0.0).step()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"lstm.weight_hh_l0", "lstm.weight_hh_l1"}
    torch.testing.assert_close(model["lstm"].weight_hh_l0, before["lstm.weight_hh_l0"] * (1 - 0.1 * 0.5))


@pytest.mark.framework("torch")
def test_everything_selected_leaves_no_empty_group() -> None:
    import torch

    assert len(gw.select(torch.nn.GRU(3, 5)).param_groups({"lr": 0.1})) == 1


@pytest.mark.framework("torch")
def test_a_part_of_a_parameter_is_refused_with_what_would_do() -> None:
    import torch

    selection = gw.select(torch.nn.LSTM(3, 5), role="recurrent_kernel", gate="f")
    for asked in (selection.parameters, selection.param_groups):
        with pytest.raises(
            UsageError,
            match=r"weight_hh_l0 is one tensor, .*gate='f' chooses only a part \(not its recurrent_kernel i, ",
        ) as caught:
            asked()
        assert "Add .l2() to the loss" in str(caught.value)


@pytest.mark.framework("torch")
def test_what_torch_does_not_have_is_told_with_what_it_has() -> None:
    import torch

    selection = gw.select(torch.nn.LSTM(3, 5), role="bias")
    with pytest.raises(UsageError, match=r"torch has no regularizers that belong to a layer\. Add gw\.select"):
        selection.regularize(l2=0.1)
    with pytest.raises(UsageError, match=r"the parameters of torch are no tree\. Use \.masks"):
        selection.mask_tree()


@pytest.mark.framework("torch")
def test_of_tied_weights_each_element_is_chosen_once() -> None:
    import torch

    one, other = torch.nn.LSTM(3, 4), torch.nn.LSTM(3, 4)
    other.weight_hh_l0 = one.weight_hh_l0
    model = torch.nn.ModuleList([one, other])
    chosen = gw.select(model, role="recurrent_kernel")
    assert (len(chosen), chosen.count, len(list(chosen)), len(chosen.numpy())) == (4, 64, 4, 4)
    assert [name for name, _ in chosen.items()] == [f"0.weight_hh_l0[{gate}]" for gate in "ifgo"]
    torch.testing.assert_close(chosen.l2(), one.weight_hh_l0.square().sum())
    assert set(chosen.masks()) == {"0.weight_hh_l0", "1.weight_hh_l0"}
    assert gw.select(model, role="kernel").count == 2 * 48


@pytest.mark.framework("torch")
def test_a_regularizer_of_nothing_is_refused() -> None:
    import torch

    with pytest.raises(UsageError, match="both 0"):
        gw.select(torch.nn.LSTM(3, 4)).regularize()
