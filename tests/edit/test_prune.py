"""Units taken out where they stand: the rest computes what a network without them computes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from makers import Case, cases, result_of

import gatewise as gw
from gatewise.edit.prune import dead_units, prune_units, pruning, read_as
from gatewise.errors import UsageError
from gatewise.live import Live, of_several
from gatewise.proof import random_input
from gatewise.weights import Gates, Weights, replace

every = pytest.mark.parametrize("case", cases())


def without(live: Live, layer: int, direction: str, units: list[int]) -> gw.Stack:
    """The layer as a smaller network from which the units are taken out, row by row and column by column."""
    projected = live[layer, direction].projection is not None
    below = read_as(live, layer, direction)

    def smaller(place: tuple[int, str], weights: Weights) -> Weights:
        if place == (layer, direction):
            columns = {"recurrent_kernel": 1, "peephole_kernel": 1, "projection": 1}
            if projected:
                columns.pop("recurrent_kernel")
            cut = {
                role: taken(gates, units, columns.get(role), rows=role != "projection")
                for role, gates in weights.roles.items()
            }
            return replace(
                weights,
                unit=weights.unit - len(units),
                hidden=weights.hidden - (0 if projected else len(units)),
                roles=cut,
            )
        if place[0] == layer + 1 and not projected:
            cut = dict(weights.roles) | {
                "kernel": taken(weights.kernel, [below + unit for unit in units], 1, rows=False)
            }
            return replace(weights, feature=weights.feature - len(units), roles=cut)
        return weights

    return live.replaced({place: smaller(place, weights) for place, weights in live})


def side_by_side(stack: gw.Stack) -> gw.Stack:
    """Directions that are added share their columns; here each is looked at by itself."""
    return stack.replaced(dialect=replace(stack.dialect, merge="concat"))


def taken(gates: Gates, which: list[int], column: int | None, *, rows: bool) -> Gates:
    def cut(array: np.ndarray) -> np.ndarray:
        array = np.delete(array, which, 0) if rows else array.copy()
        return array if column is None else np.delete(array, which, column)

    found = {gate: cut(gates[gate]) for gate in gates}
    return Gates(gates.role, {gate: functools.partial(found.get, gate) for gate in gates})  # type: ignore[arg-type]


@every
@pytest.mark.parametrize("where", ["in the first layer", "in the last layer"])
def test_the_rest_computes_what_a_network_without_the_units_computes(case: Case, where: str) -> None:
    _, layers = case.make()
    for live in layers:
        if len(live.directions) == 2 and live.dialect.merge not in ("concat", "apart"):
            continue  # directions that share their columns cannot differ in size: tests/live/test_keras_layers.py
        layer = 0 if where == "in the first layer" else live.num_layers - 1
        direction = live.directions[-1]
        cell = live[layer, direction]
        units, x = sorted({1, cell.unit - 1}), random_input(live)[0]
        if live.dialect.merge == "mul":
            with pytest.raises(
                UsageError, match="multiplies its two directions, so a unit of one that is zero silences"
            ):
                pruning(live, units, layer, direction)
            continue
        smaller = without(live, layer, direction, units)
        assert dead_units(live) == []
        told = pruning(live, units, layer, direction)
        assert any(f"rows {', '.join(map(str, units))} of" in each for each in told.changes)
        result = told.apply()
        after = next(each for each in of_several(result, **case.maker.said) if each.name == live.name) if live.holder.functional else live  # fmt: skip
        y, wanted = gw.run(side_by_side(after), x)[0], gw.run(side_by_side(smaller), x)[0]
        outward = cell.projection is None and layer == live.num_layers - 1
        gone = [(read_as(side_by_side(live), layer, direction) or 0) + unit for unit in units] if outward else []
        np.testing.assert_allclose(np.delete(y, gone, 2), wanted, atol=1e-12)
        assert not y[:, :, gone].any()
        assert after.prove().same
        assert [(dead.layer, dead.direction, dead.units) for dead in dead_units(after)] == [
            (layer, direction, tuple(units))
        ]


@pytest.mark.framework("torch")
def test_exactly_what_is_told_is_zero() -> None:
    import torch

    module = torch.nn.LSTM(3, 5, 2, bidirectional=True)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    assert gw.prune_units(module, [2], 0, "reverse") is module
    zeros = {name: parameter == 0 for name, parameter in module.named_parameters()}
    for name, mask in zeros.items():
        wanted = torch.zeros_like(mask)
        if name.endswith("_l0_reverse"):
            wanted[2::5] = True
        if name == "weight_hh_l0_reverse":
            wanted[:, 2] = True
        if name.startswith("weight_ih_l1"):
            wanted[:, 5 + 2] = True
        assert bool((mask == wanted).all()), name
        assert torch.equal(module.get_parameter(name)[~wanted], before[name][~wanted])
    assert not gw.diagnose(module)


@pytest.mark.framework("torch")
def test_pruned_units_of_an_inner_layer_stay_dead_in_training() -> None:
    import torch

    module = torch.nn.GRU(3, 5, 2)
    gw.prune_units(module, slice(0, 2))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(4, 2, 3))[0].square().sum().backward()
        optimizer.step()
    assert [dead.units for dead in dead_units(module)] == [(0, 1)]


@pytest.mark.framework("torch")
def test_a_unit_that_only_dead_units_read_is_dead() -> None:
    import torch

    module = torch.nn.LSTM(3, 5, 2)
    live = gw.of(module)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        module.weight_ih_l1[:, :2] = 0
        module.weight_hh_l0[0, 1] = 1.0  # 0 reads 1, and nobody reads 0
    assert [(dead.layer, dead.units) for dead in dead_units(module)] == [(0, (0, 1))]
    with torch.no_grad():
        module.weight_ih_l1[7, 0] = 1.0  # now 0 is read, and so 1
    assert dead_units(live) == []


@pytest.mark.framework("torch")
@pytest.mark.parametrize(
    ("units", "told"),
    [([7], r"are not units of a cell that has 5: .*They are 0 to 4"), ([], "no unit was named"), (np.zeros(5, bool), "no unit was named"), (np.ones(4, bool), "are not units of a cell that has 5"), ("f", "are not units of a cell that has 5"), ([0.5], "are not units of a cell that has 5")],
    ids=["a number too large", "none", "no true boolean", "booleans of another length", "a word", "a fraction"],
)  # fmt: skip
def test_units_that_are_none_are_told_and_nothing_changes(units: Any, told: str) -> None:
    import torch

    module = torch.nn.LSTM(3, 5)
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(UsageError, match=told):
        prune_units(module, units)
    assert all(torch.equal(one, other) for one, other in zip(module.parameters(), before, strict=True))


@pytest.mark.framework("torch")
def test_of_a_model_one_layer_is_to_be_named() -> None:
    import torch

    model = torch.nn.ModuleDict({"a": torch.nn.LSTM(3, 5), "b": torch.nn.GRU(5, 5)})
    with pytest.raises(UsageError, match=r"this model has 2 recurrent layers.*gw\.of\(model, 'a'\)"):
        gw.prune_units(model, [0])
    gw.prune_units(gw.of(model, "b"), [0])
    assert [(dead.name, dead.units) for dead in gw.dead_units(model)] == [("b", (0,))]


def test_units_are_numbers_slices_and_booleans() -> None:
    from gatewise.edit.prune import unit_numbers

    assert unit_numbers([3, -1, 3], 5) == [3, 4]
    assert unit_numbers(slice(1, None, 2), 5) == [1, 3]
    assert unit_numbers(np.array([True, False, True]), 3) == [0, 2]
    assert unit_numbers(2, 5) == [2]


@every
def test_a_refusal_changes_nothing(case: Case) -> None:
    subject, layers = case.make()
    before = case.elements(subject)
    with pytest.raises(UsageError):
        prune_units(layers[0], [0], layer=9)
    np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)
