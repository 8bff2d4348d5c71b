"""Haiku in memory: its trees of parameters, run by its own cores; gradients; functions of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import haiku as makers

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError
from gatewise.layouts import Layout, Part
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

pytestmark = pytest.mark.framework("haiku")


def test_a_core_that_adds_one_to_the_forget_gate_has_an_effective_bias() -> None:
    _, params = makers.core("LSTM")
    made = gw.set_forget_bias(params, 1.0)
    assert gw.of(made)[0, "forward"].bias["f"].tolist() == [0.0] * makers.UNIT
    assert gw.of(params).dialect.forget_bias == 1.0


def test_what_is_written_is_what_the_transformed_function_computes() -> None:
    import haiku as hk
    import jax

    transformed, params = makers.core("LSTM")
    made_function, made = gw.set_forget_bias((transformed, params), -50.0)
    assert made_function is transformed
    x, key = jax.random.normal(jax.random.key(0), (2, makers.FEATURE)), jax.random.key(1)
    cell = jax.random.normal(key, (2, makers.UNIT))
    _, forgot = transformed.apply(made, None, x, hk.LSTMState(0 * cell, cell))
    _, fresh = transformed.apply(made, None, x, hk.LSTMState(0 * cell, 0 * cell))
    np.testing.assert_allclose(forgot.cell, fresh.cell, atol=1e-7)


@pytest.mark.parametrize("jitted", [False, True], ids=["plain", "jitted"])
def test_the_gradient_of_a_penalty_hits_exactly_the_selected_elements(jitted: bool) -> None:
    import jax

    _, params = makers.core("LSTM")
    gradient = jax.grad(lambda tree: gw.select(tree, role="recurrent_kernel", gate="f").l2())
    found = (jax.jit(gradient) if jitted else gradient)(params)
    kernel, unit = np.asarray(params["lstm/linear"]["w"]), makers.UNIT
    wanted = np.zeros_like(kernel)
    wanted[makers.FEATURE :, 2 * unit : 3 * unit] = 2 * kernel[makers.FEATURE :, 2 * unit : 3 * unit]
    np.testing.assert_allclose(found["lstm/linear"]["w"], wanted, rtol=1e-6)
    assert not np.any(np.asarray(found["lstm/linear"]["b"]))


def test_the_layers_of_a_deep_rnn_are_found_each_and_a_linear_is_none() -> None:
    model = gw.of(makers.deep())
    assert sorted((layer.name, layer.layout) for layer in model) == [
        ("gru", "haiku.GRU"), ("lstm", "haiku.LSTM"), ("lstm_1", "haiku.LSTM"),
    ]  # fmt: skip


def test_a_tree_and_the_file_that_is_pickled_of_it_are_the_same_layers(tmp_path: Path) -> None:
    import pickle

    import jax

    made = gw.set_forget_bias(makers.deep(), 2.0)
    (tmp_path / "params.pkl").write_bytes(pickle.dumps(jax.tree.map(np.asarray, made)))
    ours, theirs = gw.of(made), gw.open(tmp_path / "params.pkl")
    for layer in theirs.layers:
        for role, gates in layer[0, "forward"].roles.items():
            for gate in gates:
                np.testing.assert_array_equal(gates[gate], ours[layer.name][0, "forward"].roles[role][gate])
    assert len(theirs.layers) == 3


def _own() -> Any:
    import haiku as hk
    import jax
    import jax.numpy as jnp

    def step(x: Any, state: Any) -> Any:
        make = hk.initializers.RandomNormal(0.3)
        shapes = {"wx": (3, 20), "wh": (5, 20), "b": (20,)}
        w = {name: hk.get_parameter(name, shape, init=make) for name, shape in shapes.items()}
        h, c = state
        o, g, f, i = jnp.split(x @ w["wx"] + h @ w["wh"] + w["b"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return h, (h, c)

    transformed, zeros = hk.transform(step), jnp.zeros((2, 5))
    return transformed, transformed.init(jax.random.key(0), jnp.zeros((2, 3)), (zeros, zeros))


def mine(gates: str) -> Layout:
    return Layout(
        "mine.LSTM", "lstm", gates,
        (Part("wx", KERNEL, "feature (gate unit)"), Part("wh", RECURRENT_KERNEL, "hidden (gate unit)"), Part("b", BIAS, "(gate unit)")),
        "tests",
    )  # fmt: skip


def test_a_function_of_ones_own_is_believed_when_its_own_run_agrees() -> None:
    live = gw.of(_own(), layout=mine("ogfi"))
    assert live.prove().max_abs_error < 1e-6
    live[0, "forward"].bias["f"] = 1.0
    assert live.prove().max_abs_error < 1e-6
    with pytest.raises(ProofFailed, match="computes something else"):
        gw.of(_own(), layout=mine("ogif"))
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.of(_own())
