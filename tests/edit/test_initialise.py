"""Gates made anew: each a matrix of its own, the rest as it was."""

from __future__ import annotations

import numpy as np
import pytest
from makers import Case, cases, result_of

import gatewise as gw
from gatewise.edit.forget_bias import forgetting
from gatewise.edit.initialise import HOWS
from gatewise.errors import UsageError
from gatewise.live import of_several

every = pytest.mark.parametrize("case", cases())
torch_only = pytest.mark.framework("torch")


@every
def test_each_gate_is_orthogonal_by_itself_and_nothing_else_changes(case: Case) -> None:
    subject, layers = case.make()
    before, given = case.elements(subject), gw.of(subject, **case.maker.said)
    after = of_several(gw.initialise(given, "orthogonal", role="recurrent_kernel"), **case.maker.said)
    coarse = layers[0].spec.dtype in ("float16", "bfloat16")
    for live in after:
        for _, cell in live:
            for matrix in cell.recurrent_kernel.values():
                wide = np.asarray(matrix, np.float64)
                small = wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide
                np.testing.assert_allclose(small, np.eye(len(small)), atol=0.03 if coarse else 1e-6)
        assert live.prove().same
    changed = int((case.elements(result_of(subject, layers) if case.maker.said else given.result) != before).sum())
    assert (
        0.9 * gw.select(given, role="recurrent_kernel").count
        <= changed
        <= gw.select(given, role="recurrent_kernel").count
    )


@every
def test_a_seed_gives_the_same_gate_whatever_the_framework_and_whatever_else_is_chosen(case: Case) -> None:
    given = gw.of(case.maker.make(), **case.maker.said)
    after = of_several(gw.initialise(given, "normal", seed=7), **case.maker.said)
    live = after[0]
    gate, unit, feature = next(iter(live[0, "forward"].kernel)), live[0, "forward"].unit, live[0, "forward"].feature
    alone = gw.initialise(np_lstm(live.cell, feature, unit), "normal", role="kernel", gate=gate, seed=7) if live.cell in ("lstm", "gru", "rnn") and live.spec.dtype == "float32" else None  # fmt: skip
    if alone is not None:
        np.testing.assert_array_equal(gw.of(alone)[0, "forward"].kernel[gate], live[0, "forward"].kernel[gate])


def np_lstm(cell: str, feature: int, unit: int) -> object:
    torch = pytest.importorskip("torch")
    return getattr(torch.nn, cell.upper())(feature, unit, bias=False)


@every
@pytest.mark.parametrize("how", ["keras", "torch", "chrono"])
def test_a_recipe_gives_the_forget_bias_that_it_says(case: Case, how: str) -> None:
    subject, layers = case.make()
    before, able = case.elements(subject), [live for live in layers if forgetting(live)]
    given = gw.of(subject, **case.maker.said)
    if how == "chrono" and (not able or any(live.spec.bias == "none" for live in able)):
        with pytest.raises(UsageError, match="for chrono to set"):
            gw.initialise(given, how, max_length=50)
        np.testing.assert_array_equal(case.elements(result_of(subject, layers)), before)
        return
    after = of_several(gw.initialise(given, how, max_length=50), **case.maker.said)
    for live in after:
        assert live.prove().same
        found = forgetting(live)
        for _, cell in live:
            if how == "torch":
                assert max(float(np.abs(np.asarray(gates[gate], np.float64)).max()) for gates in cell.roles.values() for gate in gates) <= 1.01 / np.sqrt(cell.unit)  # fmt: skip
            elif found and found.roles(cell):
                value = found.effective(cell)
                if how == "keras":
                    np.testing.assert_allclose(value, 1.0, atol=1e-6)
                else:
                    assert (value >= -1e-6).all()
                    assert (value <= np.log(49) + 1e-6).all()
                    inputs = sum(np.asarray(cell.role(role)["i"], np.float64) for role in ("bias", "recurrent_bias") if "i" in cell.role(role))  # fmt: skip
                    np.testing.assert_allclose(inputs, -value, atol=1e-6)


@torch_only
@pytest.mark.parametrize("how", HOWS)
def test_every_way_does_what_it_is_called_by(how: str) -> None:
    import torch

    module = torch.nn.LSTM(300, 200)
    gw.initialise(module, how, role="kernel", gate="i", gain=2.0)
    matrix = gw.of(module)[0, "forward"].kernel["i"].astype(np.float64)
    spread = {"xavier_uniform": (2 / 500) ** 0.5, "xavier_normal": (2 / 500) ** 0.5, "kaiming_uniform": (2 / 300) ** 0.5, "kaiming_normal": (2 / 300) ** 0.5, "uniform": 1 / 3**0.5, "normal": 1.0, "orthogonal": 1 / 300**0.5}  # fmt: skip
    if how in spread:
        np.testing.assert_allclose(matrix.std(), 2 * spread[how], rtol=0.02)
    else:
        np.testing.assert_array_equal(matrix, 2 * {"identity": np.eye(200, 300), "zeros": np.zeros((200, 300)), "ones": np.ones((200, 300))}[how])  # fmt: skip


@torch_only
def test_a_number_and_a_function_of_the_shape() -> None:
    import torch

    module = torch.nn.LSTM(3, 5, 2)
    gw.initialise(module, 0.5, role="bias")
    assert bool((module.bias_ih_l1 == 0.5).all())
    gw.initialise(module, lambda shape: np.arange(np.prod(shape)).reshape(shape), role="kernel", gate="o", layer=0)
    assert bool((module.weight_ih_l0[15:] == torch.arange(15.0).reshape(5, 3)).all())


@torch_only
def test_layers_of_a_model_and_gates_of_a_layer_have_numbers_of_their_own() -> None:
    import torch

    model = gw.initialise(torch.nn.ModuleList([torch.nn.LSTM(5, 5), torch.nn.LSTM(5, 5)]), "normal")
    matrices = [each for _, each in zip(range(100), gw.select(model, role=["kernel", "recurrent_kernel"]).numpy(), strict=False)]  # fmt: skip
    assert len({matrix.tobytes() for matrix in matrices}) == len(matrices) == 16
    stacked = gw.initialise(torch.nn.LSTM(5, 5, 2), "normal")
    assert torch.equal(stacked.weight_hh_l1, model[1].weight_hh_l0)


@torch_only
@pytest.mark.parametrize(
    ("how", "more", "told"),
    [("orthogonl", {}, "no way of initialising is called 'orthogonl'. Did you mean orthogonal"), ("orthogonal", {}, r"orthogonal is for matrices, and one of the chosen gates has shape \[5\]"), ("chrono", {}, "chrono wants the longest dependency"), ("chrono", {"role": "bias", "max_length": 9}, "Leave role and gate out"), (lambda _: np.zeros(3), {}, r"the value has \[3\]"), ("zeros", {"gate": "q"}, "has no gate 'q'")],
    ids=["a misspelt way", "a bias", "no length", "chrono of one role", "a wrong shape", "an unknown gate"],
)  # fmt: skip
def test_wrong_use_is_told_and_changes_nothing(how: object, more: dict[str, object], told: str) -> None:
    import torch

    module = torch.nn.LSTM(3, 5)
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(UsageError, match=told):
        gw.initialise(module, how, **more)  # type: ignore[arg-type]
    assert all(torch.equal(one, other) for one, other in zip(module.parameters(), before, strict=True))
