"""The flat map beside each framework's own flattening, and its vectors in each framework's hands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.layouts import layout
from gatewise.pairs import Specimen, choices
from gatewise.weights import Stack


def stack_of(name: str, layers: int = 1, directions: int = 1) -> Stack:
    found = layout(name)
    form, extras = next(choices(found))
    return Specimen(found, form, extras, layers=layers, directions=directions).stack()


def tree(unpacked: Mapping[str, Any]) -> dict[str, Any]:
    """{"0/hf/kernel": array} as nested dictionaries."""
    root: dict[str, Any] = {}
    for name, array in unpacked.items():
        *path, last = name.split("/")
        inner = root
        for piece in path:
            inner = inner.setdefault(piece, {})
        inner[last] = array
    return root


# jax.


@pytest.mark.framework("jax")
@pytest.mark.parametrize(
    "name", ["flax.LSTMCell", "flax.GRUCell", "flax.SimpleCell", "haiku.LSTM", "haiku.GRU", "haiku.VanillaRNN"]
)
def test_a_parameter_trees_vector_is_what_ravel_pytree_gives(name: str) -> None:
    ravel = pytest.importorskip("jax.flatten_util").ravel_pytree
    flat = gw.flat(stack_of(name))
    vector = flat.pack()
    ravelled, _ = ravel(tree(flat.unpack(vector)))
    np.testing.assert_array_equal(np.asarray(ravelled), vector)


@pytest.mark.framework("jax")
def test_jax_vectors_are_taken_apart_indexed_and_differentiated() -> None:
    jax = pytest.importorskip("jax")
    flat = gw.flat(stack_of("torch.LSTM", 2), "torch")
    vector = jax.numpy.asarray(flat.pack())

    def penalty(vector: Any) -> Any:
        return (flat.unpack(vector)[1, "forward"].recurrent_kernel["f"] ** 2).sum()

    gradient = jax.jit(jax.grad(penalty))(vector)
    mask = flat.mask(role="recurrent_kernel", gate="f", layer=1, like="jax")
    assert isinstance(mask, jax.Array)
    assert bool(((gradient != 0) == mask).all())
    where = flat.where(role="recurrent_kernel", gate="f", layer=1, like=vector)
    assert isinstance(where, jax.Array)
    np.testing.assert_allclose(gradient[where], 2 * vector[where])


@pytest.mark.framework("equinox")
@pytest.mark.parametrize(
    ("kind", "bias"), [("LSTMCell", True), ("LSTMCell", False), ("GRUCell", True), ("GRUCell", False)]
)
def test_an_equinox_cells_own_order_is_that_of_its_leaves(kind: str, bias: bool) -> None:
    equinox, jax = pytest.importorskip("equinox"), pytest.importorskip("jax")
    cell = getattr(equinox.nn, kind)(3, 4, use_bias=bias, key=jax.random.key(0))
    ravelled, _ = jax.flatten_util.ravel_pytree(equinox.filter(cell, equinox.is_array))
    for order in (None, "equinox", "jax"):
        np.testing.assert_array_equal(gw.flat(cell, order).pack(), np.asarray(ravelled))
    vector = np.asarray(ravelled)[::-1].copy()
    made = gw.flat(cell).load(vector)
    np.testing.assert_array_equal(jax.flatten_util.ravel_pytree(equinox.filter(made, equinox.is_array))[0], vector)


@pytest.mark.framework("flax")
@pytest.mark.parametrize("kind", ["LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell"])
def test_a_linen_cells_own_order_is_that_of_its_raveled_parameters(kind: str) -> None:
    linen, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    cell = getattr(linen, kind)(4)
    x = jax.numpy.ones((2, 3))
    parameters = cell.init(jax.random.key(0), cell.initialize_carry(jax.random.key(1), x.shape), x)
    ravelled, _ = jax.flatten_util.ravel_pytree(parameters)
    for order in (None, "flax", "jax"):
        np.testing.assert_array_equal(gw.flat(parameters, order).pack(), np.asarray(ravelled))


@pytest.mark.framework("flax")
@pytest.mark.parametrize("kind", ["LSTMCell", "OptimizedLSTMCell", "GRUCell", "SimpleCell"])
def test_an_nnx_cells_own_order_is_that_of_its_raveled_state(kind: str) -> None:
    nnx, jax = pytest.importorskip("flax.nnx"), pytest.importorskip("jax")
    cell = getattr(nnx, kind)(3, 4, rngs=nnx.Rngs(0))
    ravelled, _ = jax.flatten_util.ravel_pytree(nnx.state(cell, nnx.Param))
    for order in (None, "jax"):
        np.testing.assert_array_equal(gw.flat(cell, order).pack(), np.asarray(ravelled))


# Keras.


@pytest.mark.framework("keras")
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("both", [False, True], ids=["one direction", "both directions"])
def test_a_keras_layers_own_order_is_get_weights(kind: str, both: bool) -> None:
    keras = pytest.importorskip("keras")
    layer = getattr(keras.layers, kind)(4, bias_initializer="random_normal")
    layer = keras.layers.Bidirectional(layer) if both else layer
    layer.build((None, None, 3))
    wanted = np.concatenate([array.reshape(-1) for array in layer.get_weights()])
    for order in (None, "keras"):
        np.testing.assert_array_equal(gw.flat(layer, order).pack(), wanted)
    vector = np.arange(len(wanted), dtype=np.float32) / len(wanted)
    assert gw.flat(layer).load(vector) is layer
    np.testing.assert_array_equal(np.concatenate([array.reshape(-1) for array in layer.get_weights()]), vector)


# MLX.


@pytest.mark.framework("mlx")
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_an_mlx_layers_own_order_is_that_of_tree_flatten(kind: str) -> None:
    core, nn, utils = (pytest.importorskip(name) for name in ("mlx.core", "mlx.nn", "mlx.utils"))
    layer = getattr(nn, kind)(3, 4)
    listed = [np.array(array).reshape(-1) for _, array in utils.tree_flatten(layer.parameters())]
    flat = gw.flat(layer)
    np.testing.assert_array_equal(flat.pack(), np.concatenate(listed))
    vector = core.array(flat.pack())
    assert isinstance(flat.where(role="kernel", like=vector), core.array)
    for name, array in flat.unpack(vector).items():
        np.testing.assert_array_equal(np.array(array), np.array(layer[name]))


@pytest.mark.parametrize(
    "name",
    [
        "numpy",
        *(
            pytest.param(name, marks=pytest.mark.framework(who))
            for name, who in (("torch", "torch"), ("jax", "flax"), ("mlx", "mlx"))
        ),
    ],
)
def test_indices_and_masks_of_each_kind_by_its_name(name: str) -> None:
    flat = gw.flat(stack_of("torch.GRU"))
    where, mask = flat.where(gate="z", like=name), flat.mask(gate="z", like=name)
    np.testing.assert_array_equal(np.array(where), flat.where(gate="z"))
    np.testing.assert_array_equal(np.array(mask), flat.mask(gate="z"))
