"""The reference cells: against formulas written out by hand, number by number, and against the real torch and Keras."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_layers import Recipe

from gatewise.cell import ACTIVATIONS, activation, run
from gatewise.errors import NotRepresentable, UsageError
from gatewise.proof import random_input
from gatewise.weights import PLAIN, Stack

# Activations, from their definitions and nothing else.

SCALAR = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
    "softsign": lambda x: x / (1 + abs(x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "exponential": math.exp,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "hard_sigmoid(0.2)": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    "hard_sigmoid(1/6)": lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
}


def test_every_activation_that_is_listed_has_a_formula_here() -> None:
    assert set(SCALAR) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_its_definition(name: str) -> None:
    points = [-8.0, -3.1, -2.6, -2.4, -1.0, -1e-9, 0.0, 1e-9, 0.3, 2.4, 2.6, 2.9, 3.1, 8.0]
    np.testing.assert_allclose(
        activation(name)(np.array(points)), [SCALAR[name](x) for x in points], rtol=1e-14, atol=1e-15
    )


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "exponential"])
@pytest.mark.filterwarnings("error")
def test_an_activation_does_not_overflow(name: str) -> None:
    assert np.isfinite(activation(name)(np.array([-1e4, 1e4]))).all()


@pytest.mark.parametrize("name", ["mish", "hard_sigmoid", "hard_sigmoid(x)", "hard_sigmoid(1/0)", "", None])
def test_an_unknown_activation_is_refused_with_those_that_are_known(name: str | None) -> None:
    with pytest.raises(NotRepresentable, match=r"is not one that gatewise can compute. Known: sigmoid, tanh"):
        activation(name)


# Cells, one number at a time.


def by_hand(stack: Stack, x: Any, state: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The same run in plain Python loops over batch, time, unit and feature."""
    finals, value = [], x
    for layer in range(stack.num_layers):
        outputs = []
        for direction in stack.directions:
            at = len(finals)
            y, final = one_direction(stack, layer, direction, value, [s[at] for s in state])
            outputs.append(y)
            finals.append(final)
        value = joined(outputs, stack.dialect.merge)
    return value, tuple(np.stack([final[n] for final in finals]) for n in range(len(state)))


def joined(outputs: list[Any], merge: str) -> Any:
    if len(outputs) == 1:
        return outputs[0]
    one, other = outputs
    ways = {"sum": one + other, "ave": (one + other) / 2, "mul": one * other}
    return ways[merge] if merge in ways else np.concatenate(outputs, -1)


def one_direction(stack: Stack, layer: int, direction: str, x: Any, start: list[Any]) -> tuple[Any, list[Any]]:
    w, d = stack[layer, direction], stack.dialect
    arrays = {r: {g: a.astype(float).tolist() for g, a in gates.items()} for r, gates in w.roles.items()}
    steps = list(range(x.shape[1]))
    if (direction == "reverse") != d.go_backwards:
        steps.reverse()
    y = np.zeros((x.shape[0], x.shape[1], w.hidden))
    last = [np.array(s, float) for s in start]
    for b in range(x.shape[0]):
        state = [s[b].tolist() for s in start]
        for number, t in enumerate(steps):
            state = {"lstm": lstm, "gru": gru, "rnn": rnn}[stack.cell](arrays, d, x[b, t].tolist(), *state)
            # a reverse direction gives its outputs in time's order; a forward one that goes backwards does not
            turned = direction == "reverse" or d.backwards_in_place
            y[b, x.shape[1] - 1 - number if turned else number] = state[0]
        for kept, value in zip(last, state, strict=True):
            kept[b] = value
    return y, last


def dot(row: list[float], vector: list[float]) -> float:
    return sum(a * b for a, b in zip(row, vector, strict=True))


def within(x: float, bound: float | None) -> float:
    return x if bound is None else max(-bound, min(bound, x))


def get(arrays: dict, role: str, gate: str, unit: int) -> float:
    return arrays.get(role, {}).get(gate, {unit: 0.0})[unit]


def into(arrays: dict, gate: str, unit: int, x: list[float], h: list[float]) -> float:
    biases = get(arrays, "bias", gate, unit) + get(arrays, "recurrent_bias", gate, unit)
    return dot(arrays["kernel"][gate][unit], x) + dot(arrays["recurrent_kernel"][gate][unit], h) + biases


def lstm(a: dict, d: Any, x: list[float], h: list[float], c: list[float]) -> list[list[float]]:
    s, act, out = SCALAR[d.recurrent_activation], SCALAR[d.activation], SCALAR[d.output_activation]
    new_h, new_c = [], []
    for u in range(len(c)):
        i = s(within(into(a, "i", u, x, h) + get(a, "peephole", "i", u) * c[u], d.input_clip))
        f = s(within(into(a, "f", u, x, h) + d.forget_bias + get(a, "peephole", "f", u) * c[u], d.input_clip))
        g = act(within(into(a, "g", u, x, h), d.input_clip))
        new_c.append(within(f * c[u] + i * g, d.cell_clip))
        o = s(within(into(a, "o", u, x, h) + get(a, "peephole", "o", u) * new_c[u], d.input_clip))
        new_h.append(o * out(new_c[u]))
    if "projection" in a:
        new_h = [within(dot(row, new_h), d.proj_clip) for row in a["projection"][""]]
    return [new_h, new_c]


def gru(a: dict, d: Any, x: list[float], h: list[float]) -> list[list[float]]:
    s, act = SCALAR[d.recurrent_activation], SCALAR[d.activation]
    r = [s(within(into(a, "r", u, x, h), d.input_clip)) for u in range(len(h))]
    z = [s(within(into(a, "z", u, x, h), d.input_clip)) for u in range(len(h))]
    new = []
    for u in range(len(h)):
        side = dot(a["kernel"]["n"][u], x) + get(a, "bias", "n", u)
        if d.reset == "after":
            side += r[u] * (dot(a["recurrent_kernel"]["n"][u], h) + get(a, "recurrent_bias", "n", u))
        else:
            reset = [r[v] * h[v] for v in range(len(h))]
            side += dot(a["recurrent_kernel"]["n"][u], reset) + get(a, "recurrent_bias", "n", u)
        n = act(within(side, d.input_clip))
        new.append(z[u] * h[u] + (1 - z[u]) * n if d.update == "keeps" else (1 - z[u]) * h[u] + z[u] * n)
    return [new]


def rnn(a: dict, d: Any, x: list[float], h: list[float]) -> list[list[float]]:
    return [[SCALAR[d.activation](within(into(a, "h", u, x, h), d.input_clip)) for u in range(len(h))]]


LSTM, GRU, RNN = (PLAIN[cell] for cell in ("lstm", "gru", "rnn"))
BY_HAND = {
    "an LSTM": Recipe("lstm"),
    "an LSTM without biases": Recipe("lstm", bias="none"),
    "an LSTM with one bias": Recipe("lstm", bias="single"),
    "an LSTM of three layers in both directions": Recipe("lstm", layers=3, directions=2),
    "an LSTM with a projection, in both directions, of two layers": Recipe("lstm", layers=2, directions=2, proj=2),
    "an LSTM with all peepholes": Recipe("lstm", peephole="ifo"),
    "an LSTM with a peephole at i alone": Recipe("lstm", peephole="i"),
    "an LSTM with a peephole at f alone": Recipe("lstm", peephole="f"),
    "an LSTM with a peephole at o alone, which reads the new cell": Recipe("lstm", peephole="o"),
    "an LSTM whose forget bias is added at run time": Recipe("lstm", dialect=replace(LSTM, forget_bias=1.5)),
    "an LSTM whose cell is clipped": Recipe("lstm", dialect=replace(LSTM, cell_clip=0.2), peephole="ifo"),
    "an LSTM whose projection is clipped": Recipe("lstm", proj=3, dialect=replace(LSTM, proj_clip=0.1)),
    "an LSTM whose gates' inputs are clipped": Recipe("lstm", peephole="ifo", dialect=replace(LSTM, input_clip=0.3)),
    "an LSTM whose projection clip has nothing to clip": Recipe("lstm", dialect=replace(LSTM, proj_clip=0.1)),
    "an LSTM with three activations": Recipe(
        "lstm", dialect=replace(LSTM, recurrent_activation="hard_sigmoid(0.2)", activation="softsign", output_activation="relu")
    ),
    "an LSTM that goes backwards": Recipe("lstm", dialect=replace(LSTM, go_backwards=True)),
    "an LSTM that goes backwards in place": Recipe(
        "lstm", layers=2, dialect=replace(LSTM, go_backwards=True, backwards_in_place=True)
    ),
    "an LSTM in both directions, turned around": Recipe("lstm", directions=2, dialect=replace(LSTM, go_backwards=True)),
    "an LSTM whose directions are summed": Recipe("lstm", directions=2, dialect=replace(LSTM, merge="sum")),
    "an LSTM whose directions are averaged": Recipe("lstm", directions=2, dialect=replace(LSTM, merge="ave")),
    "an LSTM whose directions are multiplied": Recipe("lstm", directions=2, dialect=replace(LSTM, merge="mul")),
    "an LSTM in half precision": Recipe("lstm", dtype="float16"),
    "an LSTM in bfloat16": Recipe("lstm", dtype="bfloat16"),
    "an LSTM of one unit": Recipe("lstm", unit=1, feature=1),
    "a GRU": Recipe("gru"),
    "a GRU with one bias": Recipe("gru", bias="single"),
    "a GRU of three layers in both directions": Recipe("gru", layers=3, directions=2),
    "a GRU that resets before": Recipe("gru", dialect=replace(GRU, reset="before")),
    "a GRU whose update gate writes": Recipe("gru", dialect=replace(GRU, update="writes")),
    "a GRU that resets before and whose update gate writes": Recipe("gru", dialect=replace(GRU, reset="before", update="writes")),
    "a GRU whose gates' inputs are clipped": Recipe("gru", dialect=replace(GRU, input_clip=0.3)),
    "a GRU that goes backwards": Recipe("gru", dialect=replace(GRU, go_backwards=True)),
    "an RNN": Recipe("rnn"),
    "an RNN with relu": Recipe("rnn", dialect=replace(RNN, activation="relu")),
    "an RNN of two layers in both directions": Recipe("rnn", layers=2, directions=2),
    "an RNN whose input is clipped": Recipe("rnn", dialect=replace(RNN, input_clip=0.3)),
}  # fmt: skip


@pytest.mark.parametrize("recipe", BY_HAND.values(), ids=BY_HAND.keys())
def test_the_reference_agrees_with_the_equations_written_out_by_hand(recipe: Recipe) -> None:
    stack = recipe.stack
    x, state = random_input(stack)
    y, final = run(stack, x, state)
    y_by_hand, final_by_hand = by_hand(stack, x, state)
    np.testing.assert_allclose(y, y_by_hand, rtol=1e-12, atol=1e-13)
    assert len(final) == len(final_by_hand)
    for one, other in zip(final, final_by_hand, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_no_state_is_a_state_of_zeros() -> None:
    for cell in ("lstm", "gru", "rnn"):
        stack = Recipe(cell, layers=2, directions=2).stack
        x, state = random_input(stack)
        zeros = tuple(np.zeros((4, 3, 4)) for _ in state)
        np.testing.assert_array_equal(run(stack, x)[0], run(stack, x, zeros)[0])
        assert np.abs(run(stack, x)[0] - run(stack, x, state)[0]).max() > 1e-3


def test_directions_of_two_sizes_run_side_by_side_and_give_their_states_apart() -> None:
    cells = {
        (0, "forward"): Recipe("lstm", unit=4).stack[0, "forward"],
        (0, "reverse"): Recipe("lstm", unit=6).stack[0, "forward"],
    }
    stack = Stack("lstm", cells, LSTM)
    x, state = random_input(stack)
    y, (h, c) = run(stack, x, state)
    assert y.shape == (3, 7, 10)
    assert [part.shape for part in (*h, *c)] == [(3, 4), (3, 6)] * 2


MISFITS = {
    "x without time": (np.zeros((3, 5)), None, "x has shape [3, 5]; a batch of sequences is [batch, time, feature]"),
    "too few features": (np.zeros((3, 7, 4)), None, "x has 4 features; the layer takes 5"),
    "no cell state": (np.zeros((3, 7, 5)), np.zeros((1, 3, 4)), "lstm takes 2 initial state(s), 1 were given"),
    "a state of another batch": (
        np.zeros((3, 7, 5)), (np.zeros((1, 2, 4)), np.zeros((1, 3, 4))), "h0[0] has shape [2, 4]; [3, 4] is wanted",
    ),
    "a cell state of another size": (
        np.zeros((3, 7, 5)), (np.zeros((1, 3, 4)), np.zeros((1, 3, 5))), "c0[0] has shape [3, 5]; [3, 4] is wanted",
    ),
    "states of too few layers": (
        np.zeros((3, 7, 5)), (np.zeros((0, 3, 4)), np.zeros((0, 3, 4))), "h0 holds 0 state(s); this stack has 1",
    ),
    "states of too many layers": (
        np.zeros((3, 7, 5)), (np.zeros((2, 3, 4)), np.zeros((1, 3, 4))), "h0 holds 2 state(s); this stack has 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("x", "state", "says"), MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_refused_with_the_shapes(x: Any, state: Any, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        run(Recipe("lstm").stack, x, state)
    assert says in str(refused.value)


def test_an_unknown_way_of_joining_directions_is_refused() -> None:
    with pytest.raises(NotRepresentable, match="'max' joins two directions"):
        run(Recipe("lstm", directions=2, dialect=replace(LSTM, merge="max")).stack, np.zeros((1, 1, 5)))


# Real torch.

TORCH = [
    (kind, settings)
    for kind in ("LSTM", "GRU", "RNN")
    for settings in (
        {}, {"bias": False}, {"num_layers": 3}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True},
        *([{"proj_size": 3}, {"proj_size": 2, "num_layers": 2, "bidirectional": True}] if kind == "LSTM" else []),
        *([{"nonlinearity": "relu"}] if kind == "RNN" else []),
    )
]  # fmt: skip


def said(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "as it comes"


def read_torch(module: Any, name: str, **dialect: Any) -> Stack:
    """A live module's stack, through its state dict and the layout's table."""
    from random_layers import stored

    from gatewise.layouts import layout, recognise
    from gatewise.layouts._code import decode

    tensors = stored({key: value.numpy() for key, value in module.state_dict().items()})
    (match,) = recognise(tensors, (layout(name),)).matches
    stack = decode(match, tensors)
    return stack.replaced(dialect=replace(stack.dialect, **dialect))


@pytest.mark.framework("torch")
@pytest.mark.parametrize(("kind", "settings"), TORCH, ids=[f"{kind} {said(settings)}" for kind, settings in TORCH])
def test_the_reference_agrees_with_torch(kind: str, settings: dict[str, Any]) -> None:
    import torch

    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(5, 4, batch_first=True, **settings)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter.data, std=0.7)
    said = {"activation": settings["nonlinearity"]} if "nonlinearity" in settings else {}
    stack = read_torch(module, f"torch.{kind}", **said)
    x, state = random_input(stack)
    given = tuple(torch.tensor(np.stack(s), dtype=torch.float32) for s in state)
    with torch.no_grad():
        y, final = module(torch.tensor(x, dtype=torch.float32), given if kind == "LSTM" else given[0])
    ours, ours_final = run(stack, x, state)
    np.testing.assert_allclose(ours, y.numpy(), atol=1e-6)
    for one, other in zip(ours_final, final if kind == "LSTM" else (final,), strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-6)


@pytest.mark.framework("torch")
@pytest.mark.parametrize("bias", [True, False], ids=["with biases", "without biases"])
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_the_reference_agrees_with_torch_cells_stepped_by_hand(kind: str, bias: bool) -> None:
    import torch

    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(5, 4, bias=bias)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter.data, std=0.7)
    stack = read_torch(module, f"torch.{kind}")
    x, state = random_input(stack)
    h = tuple(torch.tensor(s[0], dtype=torch.float32) for s in state)
    outputs = []
    with torch.no_grad():
        for time in range(x.shape[1]):
            made = module(torch.tensor(x[:, time], dtype=torch.float32), h if kind == "LSTMCell" else h[0])
            h = made if kind == "LSTMCell" else (made,)
            outputs.append(h[0].numpy())
    ours, final = run(stack, x, state)
    np.testing.assert_allclose(ours, np.stack(outputs, 1), atol=1e-6)
    for one, other in zip(final, h, strict=True):
        np.testing.assert_allclose(one[0], other.numpy(), atol=1e-6)


# Real Keras 3.

NAMES = {
    "sigmoid",
    "hard_sigmoid",
    "relu",
    "tanh",
    "softsign",
    "softplus",
    "elu",
    "selu",
    "silu",
    "exponential",
    "linear",
}
KERAS = [
    *[("SimpleRNN", {"activation": name}) for name in sorted(NAMES - {"exponential"})],
    *[("LSTM", {"recurrent_activation": name}) for name in ("sigmoid", "hard_sigmoid", "relu", "tanh", "softsign", "linear")],
    *[("LSTM", {"activation": name}) for name in ("relu", "softplus", "elu", "selu", "silu", "softsign", "linear", "sigmoid")],
    *[("GRU", {"activation": name, "reset_after": after}) for name in ("relu", "elu", "tanh") for after in (True, False)],
    *[("GRU", {"recurrent_activation": "hard_sigmoid", "reset_after": after}) for after in (True, False)],
    ("SimpleRNN", {"activation": "exponential"}),
    *[(kind, {"go_backwards": True}) for kind in ("LSTM", "GRU", "SimpleRNN")],
    *[(kind, {"use_bias": False}) for kind in ("LSTM", "GRU", "SimpleRNN")],
    ("GRU", {"use_bias": False, "reset_after": False}),
    *[("LSTM", {"merge_mode": merge}) for merge in ("concat", "sum", "ave", "mul")],
    *[("GRU", {"merge_mode": "concat", "reset_after": after}) for after in (True, False)],
    ("SimpleRNN", {"merge_mode": "sum"}),
    ("LSTM", {"merge_mode": "concat", "go_backwards": True}),
]  # fmt: skip


@pytest.mark.framework("keras")
@pytest.mark.parametrize(("kind", "settings"), KERAS, ids=[f"{kind} {said(settings)}" for kind, settings in KERAS])
def test_the_reference_agrees_with_keras(kind: str, settings: dict[str, Any]) -> None:
    import keras
    from random_layers import stored

    from gatewise.layouts import layout, recognise
    from gatewise.layouts._code import decode
    from gatewise.tensors import Declared

    random = np.random.default_rng(0)
    own = {key: value for key, value in settings.items() if key != "merge_mode"}
    inner = getattr(keras.layers, kind)(4, return_sequences=True, return_state=True, **own)
    both = "merge_mode" in settings
    if both:  # made by hand, because Keras makes a backward layer of its own only for a forward one
        back = type(inner).from_config({**inner.get_config(), "go_backwards": not inner.go_backwards, "name": "back"})
        layer = keras.layers.Bidirectional(inner, settings["merge_mode"], backward_layer=back)
    else:
        layer = inner
    layer.build((3, 7, 5))
    tame = {"exponential", "linear", "relu"}.intersection(
        map(str, settings.values())
    )  # these would grow out of float32
    scale = 0.2 if tame else 0.7
    layer.set_weights([scale * random.standard_normal(w.shape).astype("f4") for w in layer.get_weights()])
    names = ("kernel", "recurrent_kernel", "bias")[: 3 if settings.get("use_bias", True) else 2]
    prefixes = ("forward_layer/", "backward_layer/") if both else ("",)
    arrays = dict(zip([p + n for p in prefixes for n in names], layer.get_weights(), strict=True))
    config = inner.get_config() | ({"merge_mode": settings["merge_mode"], "wrapper": "Bidirectional"} if both else {})
    declared = Declared("", f"keras.{kind}", config, version=keras.__version__)
    tensors = stored(arrays, declared=[declared])
    (match,) = recognise(tensors, (layout(f"keras.{kind}"),)).matches
    assert match.assumed == ()
    stack = decode(match, tensors)
    x, state = random_input(stack)
    flat = [np.float32(s[n]) for n in range(len(stack.cells)) for s in state]
    y, *final = (
        np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for a in layer(np.float32(x), initial_state=flat)
    )
    ours, ours_final = run(stack, x, state)
    np.testing.assert_allclose(ours, y, atol=1e-6, rtol=1e-6)
    mine = [part[n] for n in range(len(stack.cells)) for part in ours_final]
    for one, other in zip(mine, final, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.framework("keras")
def test_every_activation_of_keras_is_compared() -> None:
    compared = {
        settings[key] for _, settings in KERAS for key in ("activation", "recurrent_activation") if key in settings
    }
    assert compared == NAMES
