"""Layers of the user's own in torch: described by a table, believed when their own run agrees, then as good as torch's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import GatewiseError, ProofFailed, UsageError

pytestmark = pytest.mark.framework("torch")

FIOG = gw.Layout("mine.LSTM", "lstm", "fiog", parts=(
    gw.Part("w", "kernel + recurrent_kernel", "(feature + hidden) (gate unit)"),
    gw.Part("b", "bias", "(gate unit)"),
))  # fmt: skip
GRU = gw.Layout("mine.GRU", "gru", "zrn", parts=(
    gw.Part("x2h.weight", "kernel", "(gate unit) feature"),
    gw.Part("h2h.weight", "recurrent_kernel", "(gate unit) hidden"),
    gw.Part("x2h.bias", "bias", "(gate unit)"),
    gw.Part("h2h.bias", "recurrent_bias", "(gate unit)"),
))  # fmt: skip


def seeded() -> Any:
    import torch

    torch.manual_seed(7)
    return torch


def fiog_step(layer: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any]:
    import torch

    f, i, o, g = (torch.cat([x, h], 1) @ layer.w + layer.b).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def lstm(forward: Callable[[Any, Any, Any], Any], features: int = 3, units: int = 4) -> Any:
    """A layer of the user's own with the weights of FIOG; ``forward(layer, x, *state)`` is how it is called."""
    torch = seeded()

    class Mine(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(0.4 * torch.randn(features + units, 4 * units))
            self.b = torch.nn.Parameter(torch.randn(4 * units))

        def forward(self, x: Any, *state: Any) -> Any:
            return forward(self, x, *state)

        def scan(self, x: Any, h: Any = None, c: Any = None) -> tuple[list[Any], Any, Any]:
            h = x.new_zeros(len(x), units) if h is None else h
            c = x.new_zeros(len(x), units) if c is None else c
            outputs = []
            for step in x.unbind(1):
                h, c = fiog_step(self, step, h, c)
                outputs.append(h)
            return outputs, h, c

    return Mine()


def stack(outputs: Any) -> Any:
    import torch

    return torch.stack(outputs, 1)


def batch_first(layer: Any, x: Any, state: Any = (None, None)) -> Any:
    outputs, h, c = layer.scan(x, *state)
    return stack(outputs), (h, c)


def time_first(layer: Any, x: Any, state: Any = (None, None)) -> Any:
    outputs, h, c = layer.scan(x.transpose(0, 1), *state)
    return stack(outputs).transpose(0, 1), (h, c)


def last_step(layer: Any, x: Any) -> Any:
    return layer.scan(x)[0][-1]


def as_torch(layer: Any, x: Any, state: Any) -> Any:
    outputs, h, c = layer.scan(x, state[0][0], state[1][0])
    return stack(outputs), (h[None], c[None])


def cell_of_list(layer: Any, x: Any, state: Any) -> Any:
    h, c = fiog_step(layer, x, *state)
    return h, [h, c]


WAYS: dict[str, tuple[Callable[..., Any], str]] = {
    "batch first, a pair of states": (batch_first, "layer(x, (h, c))"),
    "time first, a pair of states": (time_first, "layer(x (time first), (h, c))"),
    "no state, y alone": (lambda layer, x: stack(layer.scan(x)[0]), "layer(x)"),
    "no state, time first": (lambda layer, x: stack(layer.scan(x.transpose(0, 1))[0]).transpose(0, 1), "layer(x (time first))"),
    "a list of steps": (lambda layer, x: layer.scan(x)[0], "layer(x)"),
    "only the last step": (last_step, "layer(x)"),
    "the states one by one": (lambda layer, x, h, c: (stack(layer.scan(x, h, c)[0]), *layer.scan(x, h, c)[1:]), "layer(x, h, c)"),
    "states as torch has them": (as_torch, "layer(x, (h, c) [1, batch, size])"),
    "the states first": (lambda layer, x, s: (layer.scan(x, *s)[1:], stack(layer.scan(x, *s)[0])), "layer(x, (h, c))"),
    "a dictionary": (lambda layer, x: {"output": stack(layer.scan(x)[0]), "mask": None}, "layer(x)"),
    "a cell that gives h and c": (lambda layer, x, s: fiog_step(layer, x, *s), "layer(x_t, (h, c)) step by step"),
    "a cell that gives y and a list": (cell_of_list, "layer(x_t, (h, c)) step by step"),
    "c before h": (lambda layer, x, s: batch_first(layer, x, s[::-1])[0], "layer(x, (c, h))"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("forward", "how"), WAYS.values(), ids=[f"a layer called by {name} is believed" for name in WAYS]
)
def test_the_way_of_calling_is_found(forward: Callable[..., Any], how: str) -> None:
    live = gw.of(lstm(forward), layout=FIOG)
    assert live.prove().against.partition("called as ")[2].partition(",")[0].startswith(how.partition(",")[0])
    assert live.prove().max_abs_error < 1e-6
    assert live.holder.way.how == how


@pytest.mark.parametrize("forward", [batch_first, time_first, cell_of_list, as_torch])
def test_writing_a_gate_changes_what_the_layer_computes(forward: Callable[..., Any]) -> None:
    live = gw.of(lstm(forward), layout=FIOG)
    x, state = np.ones((2, 5, 3)), (np.full((1, 2, 4), 0.3), np.full((1, 2, 4), -0.2))
    before, _ = live.run(x, state)
    live[0, "forward"].bias["f"] = 3.0
    live[0, "forward"].recurrent_kernel["g"] *= 0.5
    after, final = live.run(x, state)
    expected, (h, c) = gw.run(live, x, state)
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(after - expected).max() < 1e-6
    if final is not None:
        assert max(np.abs(final[0] - h).max(), np.abs(final[1] - c).max()) < 1e-6


def test_without_a_state_it_runs_from_zeros_and_a_state_is_refused_where_it_takes_none() -> None:
    live = gw.of(lstm(batch_first), layout=FIOG)
    x = np.ones((2, 5, 3))
    assert np.abs(live.run(x)[0] - gw.run(live, x)[0]).max() < 1e-6
    stateless = gw.of(lstm(last_step), layout=FIOG)
    with pytest.raises(UsageError, match=r"takes no state \(layer\(x\)\)"):
        stateless.run(x, (np.zeros((1, 2, 4)),) * 2)


def test_the_user_says_how_it_is_called() -> None:
    def odd(layer: Any, x: Any, *, start: Any, flag: int) -> Any:
        outputs, h, c = layer.scan(x, *start)
        return stack(outputs), flag, h, c

    layer = lstm(last_step)
    layer.odd = lambda *words, **named: odd(layer, *words, **named)
    layer.forward = None

    def run(layer: Any, x: Any, state: Any) -> Any:
        y, _, h, c = layer.odd(x, start=(state[0][0], state[1][0]), flag=3)
        return y, (h, c)

    live = gw.of(layer, layout=FIOG, run=run)
    assert live.prove().compared == ("y", "h_n", "c_n")
    assert "run(layer, x, state)" in live.prove().against
    zeros = gw.of(layer, layout=FIOG, run=lambda layer, x, _state: stack(layer.scan(x)[0]))
    assert "from its own initial state" in zeros.prove().against


def test_a_wrong_order_of_gates_is_refused_with_the_distance() -> None:
    wrong = gw.Layout("mine.LSTM", "lstm", "ifog", parts=FIOG.parts)
    with pytest.raises(
        ProofFailed, match=r"computes something else than mine\.LSTM .* max \|Δ\| = 0\.\d+, allowed 1e-06"
    ) as told:
        gw.of(lstm(batch_first), layout=wrong)
    assert "called as layer(x" in str(told.value)
    assert gw.of(lstm(batch_first), layout=wrong, check=False).name == ""


@pytest.mark.parametrize(
    ("gates", "said", "hint"),
    [
        ("ifog", {}, "With gates='fiog' it agrees."),
        ("fiog", {"forget_bias": 1.0}, "With forget_bias=0.0 it agrees."),
        ("gofi", {"forget_bias": 1.0}, "With gates='fiog' and forget_bias=0.0 it agrees."),
    ],
)
@pytest.mark.parametrize("forward", [batch_first, time_first, last_step, cell_of_list])
def test_a_refusal_names_what_agrees_instead(gates: str, said: dict[str, Any], hint: str, forward: Any) -> None:
    with pytest.raises(ProofFailed) as told:
        gw.of(lstm(forward), layout=gw.Layout("mine.LSTM", "lstm", gates, parts=FIOG.parts), **said)
    assert told.value.next == hint


def test_a_forget_bias_that_the_layer_does_not_add_is_refused() -> None:
    with pytest.raises(ProofFailed):
        gw.of(lstm(batch_first), layout=FIOG, forget_bias=1.0)

    def biased(layer: Any, x: Any, state: Any) -> Any:
        layer.b.data[:4] += 1
        try:
            return batch_first(layer, x, state)
        finally:
            layer.b.data[:4] -= 1

    assert gw.of(lstm(biased), layout=FIOG, forget_bias=1.0).spec.dialect.forget_bias == 1


def test_a_layer_that_cannot_be_called_is_told_what_was_tried() -> None:
    def fails(_layer: Any, x: Any) -> Any:
        raise RuntimeError(f"no {x.ndim} axes, please")

    with pytest.raises(UsageError, match=r"could not be called .*no 3 axes, please.*run=lambda"):
        gw.of(lstm(fails), layout=FIOG)
    with pytest.raises(UsageError, match=r"gave \[7, 7, 3\], wanted \[7, 7, 4\]"):
        gw.of(lstm(lambda _layer, x: x), layout=FIOG)


def test_a_module_that_the_layout_does_not_fit_is_told_both() -> None:
    torch = seeded()
    with pytest.raises(
        UsageError,
        match=r"Linear does not hold what mine\.LSTM describes \(w, b\)\. It holds weight \[4, 3\], bias \[4\]",
    ):
        gw.of(torch.nn.Linear(3, 4), layout=FIOG)
    layer = lstm(batch_first)
    layer.b = torch.nn.Parameter(torch.zeros(15))
    with pytest.raises(UsageError, match=r"'b'.*It holds w \[7, 16\], b \[15\]"):
        gw.of(layer, layout=FIOG)


def test_torchs_own_layout_describes_a_layer_of_the_users() -> None:
    torch = seeded()

    class Mine(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.LSTM(3, 4, 2, bidirectional=True)
            for name, parameter in self.inner.named_parameters():
                self.register_parameter(name, parameter)

        def forward(self, x: Any, state: Any = None) -> Any:
            return self.inner(x, state)

    live = gw.of(Mine(), layout="torch.LSTM")
    assert (live.spec.num_layers, live.spec.directions) == (2, 2)
    assert live.prove().compared == ("y", "h_n", "c_n")


# Described classes, nested.


def gru() -> Any:
    torch = seeded()

    @gw.described_by(GRU)
    class Gru(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, features: int, units: int):
            super().__init__()
            self.x2h, self.h2h = torch.nn.Linear(features, 3 * units), torch.nn.Linear(units, 3 * units)

        def forward(self, x: Any, h: Any = None) -> Any:
            h = x.new_zeros(len(x), self.h2h.in_features) if h is None else h
            outputs = []
            for step in x.unbind(1):
                (xz, xr, xn), (hz, hr, hn) = self.x2h(step).chunk(3, 1), self.h2h(h).chunk(3, 1)
                z, r = (xz + hz).sigmoid(), (xr + hr).sigmoid()
                h = z * h + (1 - z) * (xn + r * hn).tanh()
                outputs.append(h)
            return torch.stack(outputs, 1), h

    return Gru


def test_described_classes_are_found_in_a_model_beside_torchs_own() -> None:
    torch = seeded()
    kind = gru()
    model = torch.nn.ModuleDict(
        {
            "embed": torch.nn.Embedding(9, 3),
            "a": kind(3, 4),
            "rest": torch.nn.ModuleList([kind(4, 2), torch.nn.LSTM(2, 5)]),
        }
    )
    found = gw.of(model)
    assert [(live.name, live.layout) for live in found] == [
        ("a", "mine.GRU"),
        ("rest.0", "mine.GRU"),
        ("rest.1", "torch.LSTM"),
    ]
    assert sum(live.parameters for live in found) == sum(p.numel() for p in model.parameters()) - 27
    found["a"][0, "forward"].recurrent_bias["n"] = 0.25
    assert bool((model["a"].h2h.bias[8:] == 0.25).all())
    assert all(live.prove().same for live in found)


def test_a_described_class_that_its_layout_does_not_fit_is_refused_by_its_path() -> None:
    torch = seeded()
    model = torch.nn.Sequential(gru()(3, 4))
    model[0].x2h = torch.nn.Linear(3, 11)
    with pytest.raises(UsageError, match=r"Gru at 0 does not hold what mine\.GRU describes"):
        gw.of(model)


def test_several_layers_inside_one_module_of_the_users_are_each_called_alone() -> None:
    torch = seeded()
    encoder = torch.nn.Module()
    encoder.first, encoder.second = lstm(batch_first), lstm(cell_of_list, 4, 5)
    found = gw.of(encoder, layout=FIOG)
    assert [live.name for live in found] == ["first", "second"]
    assert [live.holder.way.how for live in found] == ["first(x, (h, c))", "second(x_t, (h, c)) step by step"]


def test_a_layer_whose_weights_lie_in_a_part_that_cannot_be_called_is_called_itself() -> None:
    torch = seeded()

    class Outer(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.held = torch.nn.ParameterDict(
                {"w": torch.nn.Parameter(torch.randn(7, 16)), "b": torch.nn.Parameter(torch.randn(16))}
            )

        def forward(self, x: Any, state: Any) -> Any:
            inner = lstm(batch_first)
            inner.w, inner.b = self.held["w"], self.held["b"]
            return inner(x, state)

    live = gw.of(Outer(), layout=FIOG)
    assert live.name == "held"
    assert live.prove().compared == ("y", "h_n", "c_n")


# Then it has everything.

TARGETS = ["keras.LSTM", "onnx.LSTM", "torch.LSTM", "flax.LSTMCell"]


@pytest.mark.parametrize("target", TARGETS, ids=[f"it is saved as {target} with a proof" for target in TARGETS])
def test_it_is_converted(target: str, tmp_path: Path) -> None:
    live = gw.of(lstm(batch_first), layout=FIOG)
    suffix = {"keras.LSTM": "keras", "onnx.LSTM": "onnx"}.get(target, "safetensors")
    out = tmp_path / f"out.{suffix}"
    assert gw.save(live, out, layout=target).max_abs_error < 1e-6
    (back,) = gw.open(out, None if suffix != "safetensors" else target).layers
    x = np.ones((2, 4, 3))
    assert np.abs(gw.run(back, x)[0] - live.run(x)[0]).max() < 1e-6
    assert sum(array.size for array in live.to(target).values()) >= live.parameters


def test_a_layout_in_toml_describes_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("""
name = "mine.LSTM"
cell = "lstm"
gates = "fiog"

[[parts]]
name = "w"
role = ["kernel", "recurrent_kernel"]
phrase = "(feature + hidden) (gate unit)"

[[parts]]
name = "b"
role = "bias"
phrase = "(gate unit)"
""")
    live = gw.of(lstm(time_first), layout=str(path))
    assert live.prove().same

    @gw.described_by(str(path))
    class Described(type(lstm(time_first))):  # type: ignore[misc]
        pass

    assert gw.of(Described()).layout == "mine.LSTM"


def test_gradients_go_through_a_gate_to_the_parameter() -> None:
    layer = lstm(batch_first)
    live = gw.of(layer, layout=FIOG)
    live.native(0, "forward", "recurrent_kernel", "i").pow(2).sum().backward()
    touched = layer.w.grad != 0
    assert bool(touched[3:, 4:8].all())
    assert int(touched.sum()) == 16


def test_its_modes_and_numbers_are_as_before_when_it_was_believed() -> None:
    layer = lstm(batch_first)
    layer.train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    gw.of(layer, layout=FIOG)
    assert layer.training
    assert all(bool((value == before[name]).all()) for name, value in layer.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in layer.parameters())


def test_nothing_of_it_is_a_framework_error() -> None:
    for wrong in (5, object(), "model.pt", None):
        with pytest.raises(GatewiseError):
            gw.of(wrong, layout=FIOG)


def test_what_a_layer_remembers_from_call_to_call_is_as_before() -> None:
    def remembers(layer: Any, x: Any, state: Any = None) -> Any:
        state = state or layer.last or (None, None)
        y, layer.last = batch_first(layer, x, state)
        layer.count += 1
        layer.new = True
        return y

    layer = lstm(remembers)
    layer.last, layer.count = None, 0
    gw.of(layer, layout=FIOG).run(np.ones((2, 5, 3)))
    assert layer.last is None
    assert layer.count == 0
    assert not hasattr(layer, "new")


def test_layers_inside_a_layer_of_torchs_own_class_are_layers_too() -> None:
    torch = seeded()

    class Outer(torch.nn.LSTM):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(3, 4)
            self.inner = torch.nn.LSTMCell(4, 5)
            self.inner.deeper = torch.nn.LSTMCell(5, 2)

    found = gw.of(Outer())
    assert [(live.name, live.layout, live.parameters) for live in found] == [
        ("", "torch.LSTM", 144), ("inner", "torch.LSTMCell", 220), ("inner.deeper", "torch.LSTMCell", 72),
    ]  # fmt: skip
    assert all(live.prove().same for live in found)
