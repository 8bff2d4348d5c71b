"""Equinox in memory: new modules of the same kind, gradients, files, layers of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import equinox as makers

import gatewise as gw
from gatewise.errors import ProofFailed, UsageError
from gatewise.layouts import Layout, Part
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

pytestmark = pytest.mark.framework("equinox")


def test_writing_gives_a_new_module_and_keeps_what_was_not_written() -> None:
    import jax

    model = makers.model()
    made = gw.set_forget_bias(model, 1.5)
    assert type(made) is type(model)
    assert jax.tree.structure(made) == jax.tree.structure(model)
    assert (made.before, made.cells[0], made.act) == (model.before, model.cells[0], model.act)
    assert made.before is model.before
    assert made.encoder.bias[makers.UNIT : 2 * makers.UNIT].tolist() == [1.5] * makers.UNIT
    assert abs(model.encoder.bias).max() < 1


@pytest.mark.parametrize("jitted", [False, True], ids=["plain", "jitted"])
def test_the_gradient_of_a_penalty_hits_exactly_the_selected_elements(jitted: bool) -> None:
    import equinox as eqx
    import jax

    model = makers.model()
    gradient = eqx.filter_grad(lambda each: gw.select(each, role="recurrent_kernel", gate="f").l2())
    found = (eqx.filter_jit(gradient) if jitted else gradient)(model)
    kernel, unit = model.encoder.weight_hh, makers.UNIT
    wanted = np.zeros(kernel.shape, np.float32)
    wanted[unit : 2 * unit] = 2 * kernel[unit : 2 * unit]
    np.testing.assert_allclose(found.encoder.weight_hh, wanted, rtol=1e-6)
    assert sum(bool(np.any(np.asarray(leaf))) for leaf in jax.tree.leaves(found)) == 1


def test_gradients_are_modules_too_and_have_the_same_names() -> None:
    import equinox as eqx

    found = eqx.filter_grad(lambda each: gw.select(each, role="bias", gate="g").l1())(makers.cell("LSTMCell"))
    assert set(np.unique(gw.of(found)[0, "forward"].bias["g"])) <= {-1.0, 1.0}
    assert not gw.of(found)[0, "forward"].bias["f"].any()


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
def test_a_module_and_the_file_that_equinox_writes_of_it_are_the_same_layer(kind: str, tmp_path: Path) -> None:
    import equinox as eqx

    live = gw.of(makers.cell(kind))
    live[0, "forward"].bias = 0.25
    eqx.tree_serialise_leaves(tmp_path / "cell.eqx", live.result)
    stored = gw.open(tmp_path / "cell.eqx").only()
    for role, gates in stored[0, "forward"].roles.items():
        for gate in gates:
            np.testing.assert_array_equal(gates[gate], live[0, "forward"].roles[role][gate])
    loaded = eqx.tree_deserialise_leaves(tmp_path / "cell.eqx", makers.cell(kind))
    assert gw.of(loaded).prove().same


def mine(gates: str) -> Layout:
    return Layout(
        "mine.LSTM", "lstm", gates,
        (Part("wx", KERNEL, "(gate unit) feature"), Part("wh", RECURRENT_KERNEL, "(gate unit) hidden"), Part("b", BIAS, "(gate unit)")),
        "tests",
    )  # fmt: skip


def _own(batched: bool = False) -> Any:
    """A module that steps one example, or runs a whole batch of sequences."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    class Own(eqx.Module):
        wx: jax.Array
        wh: jax.Array
        b: jax.Array

        def step(self, x: Any, state: Any) -> Any:
            h, c = state
            o, g, f, i = jnp.split(x @ self.wx.T + h @ self.wh.T + self.b, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return jax.nn.sigmoid(o) * jnp.tanh(c), c

        def __call__(self, x: Any, state: Any = None) -> Any:
            if not batched:
                return self.step(x, state)
            zeros, outputs = jnp.zeros((x.shape[0], 5)), []
            state = (zeros, zeros)
            for now in x.swapaxes(0, 1):
                state = self.step(now, state)
                outputs.append(state[0])
            return jnp.stack(outputs, 1)

    keys = jax.random.split(jax.random.key(2), 3)
    shapes = ((20, 3), (20, 5), (20,))
    return Own(*(0.3 * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)))


@pytest.mark.parametrize("batched", [False, True], ids=["one example, one step", "a batch of sequences"])
def test_a_module_of_ones_own_is_believed_when_its_own_run_agrees(batched: bool) -> None:
    live = gw.of(_own(batched), layout=mine("ogfi"))
    assert live.prove().max_abs_error < 1e-6
    live[0, "forward"].bias["f"] = 1.0
    assert live.prove().max_abs_error < 1e-6
    assert live.result.b[10:15].tolist() == [1.0] * 5


def test_a_module_of_ones_own_with_another_gate_order_is_refused_and_without_a_layout_not_guessed() -> None:
    with pytest.raises(ProofFailed, match="computes something else"):
        gw.of(_own(), layout=mine("ogif"))
    with pytest.raises(UsageError, match="holds no recurrent layer"):
        gw.of(_own())


def test_a_described_class_is_found_in_a_tree_and_written_through() -> None:
    own = _own()
    gw.described_by(mine("ogfi"))(type(own))
    model = gw.of({"a": makers.cell("GRUCell"), "b": [own]})
    assert [layer.name for layer in model] == ["a", "b.0"]
    model["b.0"][0, "forward"].bias["f"] = 1.0
    assert model.result["b"][0].b[10:15].tolist() == [1.0] * 5
    assert model["b.0"].prove().same
