"""The effective forget bias of every layer and direction, whatever the framework adds up to make it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from makers import Case, cases, result_of

import gatewise as gw
from gatewise.edit.forget_bias import forgetting
from gatewise.errors import UsageError
from gatewise.live import Live, of_several

every = pytest.mark.parametrize("case", cases())


def effective(live: Live, layer: int, direction: str) -> np.ndarray:
    """What f is given of its own accord, read by name: biases, and what the dialect adds."""
    cell = live[layer, direction]
    return np.asarray(sum(np.asarray(cell.role(role)["f"], np.float64) for role in ("bias", "recurrent_bias") if "f" in cell.role(role)) + live.dialect.forget_bias)  # fmt: skip


@every
def test_it_is_the_value_in_every_layer_and_direction_or_refused_with_nothing_changed(case: Case) -> None:
    subject, layers = case.make()
    before = case.elements(subject)
    able = [live for live in layers if forgetting(live)]
    if not able or any(live.spec.bias == "none" for live in able):
        with pytest.raises(UsageError, match=r"has no forget gate: |has no bias, so its forget bias is "):
            gw.set_forget_bias(subject if not case.maker.said else layers[0])
        np.testing.assert_array_equal(case.elements(subject), before)
        return
    for value in (1.0, 0.75):
        for live in layers if case.maker.said else [subject]:
            changed = gw.set_forget_bias(live, value)
        after = of_several(changed, **case.maker.said)
        for live in (each for each in after if forgetting(each)):
            assert live.prove().same
            for (layer, direction), _ in live:
                np.testing.assert_allclose(effective(live, layer, direction), value, atol=1e-6)
    assert changed is result_of(subject, after) or layers[0].holder.functional


@pytest.mark.framework("torch")
@pytest.mark.parametrize("value", [1.0, 0.1, -2.5])
def test_torch_computes_a_gate_that_is_open_by_exactly_the_value(value: float) -> None:
    """The cell state after one step from c = 1 with all else zero is the forget gate itself."""
    import torch

    module = torch.nn.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    assert gw.set_forget_bias(module, value) is module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "weight" in name:
                parameter.zero_()
            elif "bias" in name:  # everything but f
                parameter[:5] = parameter[10:] = 0
        _, (_, c) = module(torch.zeros(1, 1, 3).double(), (torch.zeros(4, 1, 5).double(), torch.ones(4, 1, 5).double()))
    np.testing.assert_allclose(c.numpy(), 1 / (1 + np.exp(-value)), rtol=1e-12)


@pytest.mark.framework("torch")
def test_only_the_layers_and_directions_that_are_named_change() -> None:
    import torch

    module = torch.nn.LSTM(3, 5, 3, bidirectional=True)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    gw.set_forget_bias(module, 1.0, layer=[0, -1], direction="reverse")
    changed = {name for name, parameter in module.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"bias_ih_l0_reverse", "bias_hh_l0_reverse", "bias_ih_l2_reverse", "bias_hh_l2_reverse"}
    for name in changed:  # and of these the f block alone
        same = module.get_parameter(name) == before[name]
        assert bool(same[:5].all() and same[10:].all())


@pytest.mark.framework("torch")
def test_a_value_for_each_unit() -> None:
    import torch

    module = torch.nn.LSTM(3, 5)
    gw.set_forget_bias(module, np.linspace(0, 1, 5))
    np.testing.assert_allclose(effective(gw.of(module), 0, "forward"), np.linspace(0, 1, 5), atol=1e-7)
    with pytest.raises(UsageError, match=r"has shape \[5\] \(5 units\); the value has \[4\]"):
        gw.set_forget_bias(module, np.zeros(4))


@pytest.mark.framework("torch")
def test_a_gru_is_told_why_and_what_would_do() -> None:
    import torch

    with pytest.raises(UsageError, match="the GRU has no forget gate: its update gate z keeps") as caught:
        gw.set_forget_bias(torch.nn.GRU(3, 5))
    assert 'bias["z"] = 1.0' in str(caught.value)


@pytest.mark.framework("torch")
def test_in_a_mixed_model_every_lstm_is_reached_and_the_gru_left_alone() -> None:
    import torch

    model = torch.nn.ModuleDict({"a": torch.nn.LSTM(3, 5), "b": torch.nn.GRU(5, 5), "c": torch.nn.LSTMCell(5, 5)})
    before = {name: parameter.clone() for name, parameter in model["b"].named_parameters()}
    assert gw.set_forget_bias(model, 2.0) is model
    for name in ("a", "c"):
        assert (effective(gw.of(model, name), 0, "forward") == 2.0).all()
    assert all(torch.equal(parameter, before[name]) for name, parameter in model["b"].named_parameters())


def _coupled(**said: Any) -> Any:
    """A layer of the user's own whose forget gate is 1 minus its input gate."""
    import torch

    class Coupled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.w, self.r = torch.nn.Parameter(torch.randn(15, 3)), torch.nn.Parameter(torch.randn(15, 5))
            self.b = torch.nn.Parameter(torch.randn(15))

        def forward(self, x: Any) -> Any:
            h = c = torch.zeros(len(x), 5)
            outputs = []
            for step in x.unbind(1):
                i, g, o = (step @ self.w.T + h @ self.r.T + self.b).chunk(3, -1)
                c = (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            return torch.stack(outputs, 1)

    parts = (gw.Part("w", ("kernel",), "(gate unit) feature"), gw.Part("r", ("recurrent_kernel",), "(gate unit) hidden"), gw.Part("b", ("bias",), "(gate unit)"))  # fmt: skip
    layout = gw.Layout("mine.Coupled", "lstm", "igo", parts, source="here", dialect=gw.Dialect(coupled="f"), **said)
    return gw.described_by(layout)(Coupled)()


@pytest.mark.framework("torch")
def test_a_coupled_forget_gate_is_reached_through_the_input_gate() -> None:
    module = _coupled()
    kept = module.b.detach().clone()
    assert gw.set_forget_bias(gw.of(module, check=False), 1.5) is module
    assert (module.b[:5] == -1.5).all()  # 1 - s(-1.5) = s(1.5)
    assert (module.b[5:] == kept[5:]).all()


def _unequal() -> Any:
    import torch

    return torch.nn.ModuleDict({
        "deep": torch.nn.LSTM(3, 4, 3), "both": torch.nn.LSTM(3, 4, bidirectional=True), "gru": torch.nn.GRU(3, 4, 3),
    })  # fmt: skip


def _biases(model: Any, name: str) -> Any:
    return {at: cell.bias["f"].copy() for at, cell in gw.of(model)[name]}


@pytest.mark.framework("torch")
@pytest.mark.parametrize(
    ("said", "changed"),
    [({"layer": 2}, {("deep", 2, "forward")}), ({"direction": "reverse"}, {("both", 0, "reverse")})],
    ids=["a layer that one stack has", "a direction that one stack has"],
)
@pytest.mark.parametrize(
    "deed",
    [
        lambda model, **said: gw.set_forget_bias(model, 7.0, **said),
        lambda model, **said: gw.initialise(model, "chrono", max_length=90, **said),
        lambda model, **said: gw.split_biases(model, 0.9, **said),
    ],
    ids=["forget bias", "chrono", "split"],
)
def test_of_unequal_stacks_those_without_the_place_are_left_as_they_are(deed: Any, said: Any, changed: Any) -> None:
    model = _unequal()
    before = {name: _biases(model, name) for name in ("deep", "both")}
    deed(model, **said)
    now = {name: _biases(model, name) for name in ("deep", "both")}
    assert {(n, *at) for n in now for at in now[n] if (now[n][at] != before[n][at]).any()} == changed


@pytest.mark.framework("torch")
def test_a_place_that_no_stack_has_is_refused_and_a_stack_named() -> None:
    with pytest.raises(UsageError, match="deep") as caught:
        gw.set_forget_bias(_unequal(), 1.0, layer=5)
    assert "layer" in str(caught.value)


@pytest.mark.framework("torch")
@pytest.mark.parametrize(
    "deed",
    [
        lambda module: gw.initialise(module, None),  # type: ignore[arg-type]
        lambda module: gw.split_biases(module, share="x"),  # type: ignore[arg-type]
        lambda module: gw.split_biases(module, share=None),  # type: ignore[arg-type]
    ],
    ids=["initialise with nothing", "a share that is a word", "no share"],
)
def test_what_is_no_number_and_no_name_is_told(deed: Any) -> None:
    import torch

    with pytest.raises(UsageError) as caught:
        deed(torch.nn.LSTM(3, 4))
    assert caught.value.next


@pytest.mark.framework("torch")
def test_a_value_that_does_not_fit_names_the_stack() -> None:
    with pytest.raises(UsageError, match=r"of layer 0 \(forward\) of deep has shape \[4\]"):
        gw.set_forget_bias(_unequal(), np.arange(6.0))
