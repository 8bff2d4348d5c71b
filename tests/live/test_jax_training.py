"""Selections in jax's training: masks for optax, what is left out of it stays bit by bit, vectors in ravel_pytree's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gatewise as gw
from gatewise.errors import UsageError

FORMS = {
    "linen": ("flax", lambda: _maker("flax").linen(_maker("flax")._both, "LSTMCell")[1]),
    "nnx": ("flax", lambda: _nnx_state()),
    "haiku": ("haiku", lambda: _maker("haiku").core("LSTM")[1]),
    "equinox": ("equinox", lambda: _maker("equinox").cell("LSTMCell")),
}


def _maker(name: str) -> Any:
    import importlib

    return importlib.import_module(f"makers.{name}")


def _nnx_state() -> Any:
    from flax import nnx

    return nnx.state(_maker("flax").nnx_model(), nnx.Param)


forms = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name, marks=pytest.mark.framework(package, "flax")) for name, (package, make) in FORMS.items()]
)  # fmt: skip


def _step(tree: Any, optimizer: Any) -> Any:
    """One step of an optimizer with gradients of one everywhere."""
    import jax
    import optax

    grads = jax.tree.map(lambda leaf: leaf * 0 + 1, tree)
    updates, _ = optimizer.update(grads, optimizer.init(tree), tree)
    return optax.apply_updates(tree, updates)


def _moved(tree: Any, made: Any, selection: Any) -> tuple[set[bool], set[bool]]:
    """Whether the selected elements moved, and whether the others did."""
    import jax

    chosen, others = set(), set()
    for mask, new, old in zip(*map(jax.tree.leaves, (selection.mask_tree(), made, tree)), strict=True):
        different, mask = np.asarray(new) != np.asarray(old), np.asarray(mask)
        chosen |= set(different[mask].tolist())
        others |= set(different[~mask].tolist())
    return chosen, others


@forms
def test_whole_arrays_left_out_by_a_mask_stay_bit_by_bit_and_the_rest_moves(make: Callable[[], Any]) -> None:
    import jax
    import optax

    tree = make()
    selection = gw.select(tree, role="bias")
    mask = selection.mask_tree(whole=True)
    assert jax.tree.structure(mask) == jax.tree.structure(tree)
    made = _step(tree, optax.chain(optax.adamw(1e-2), optax.masked(optax.set_to_zero(), mask)))
    assert _moved(tree, made, selection) == ({False}, {True})


@forms
def test_a_part_of_an_array_is_left_out_by_its_elements_and_refused_as_a_whole(make: Callable[[], Any]) -> None:
    import jax
    import optax

    tree = make()
    selection = gw.select(tree, role="recurrent_kernel", gate="f")
    masks = selection.mask_tree()
    assert jax.tree.structure(masks) == jax.tree.structure(tree)
    held = optax.stateless(lambda updates, _: jax.tree.map(lambda update, mask: update * ~mask, updates, masks))
    made = _step(tree, optax.chain(optax.adamw(1e-2), held))
    assert _moved(tree, made, selection) == ({False}, {True})
    if all(mask.all() for mask in selection.masks().values()):  # linen's gates have arrays of their own
        assert jax.tree.leaves(selection.mask_tree(whole=True)).count(True) == len(selection)
    else:
        with pytest.raises(UsageError, match="chooses only a part"):
            selection.mask_tree(whole=True)


@pytest.mark.framework("flax")
def test_an_nnx_module_gives_masks_in_the_shape_of_its_state() -> None:
    import jax
    import optax
    from flax import nnx

    module = _maker("flax").nnx_model()
    state = nnx.state(module, nnx.Param)
    mask = gw.select(module, role="recurrent_kernel", layer=0).mask_tree(whole=True)
    assert jax.tree.structure(mask) == jax.tree.structure(nnx.as_pure(state))
    tx = optax.chain(optax.sgd(0.1), optax.masked(optax.set_to_zero(), mask))
    optimizer = nnx.Optimizer(module, tx, wrt=nnx.Param)
    before = jax.tree.map(np.array, state)
    grads = nnx.grad(lambda model: sum((leaf**2).sum() for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))))(
        module
    )
    optimizer.update(module, grads)
    kept = jax.tree.map(lambda new, old: bool(np.array_equal(new, old)), nnx.state(module, nnx.Param), before)
    assert [a or not np.any(b) for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(before), strict=True)] == [
        a or not np.any(b) for a, b in zip(jax.tree.leaves(mask), jax.tree.leaves(before), strict=True)
    ]


@forms
def test_freezing_a_tree_is_refused_with_what_does_it(make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match=r"knows nothing of training.*optax\.masked\(optax\.set_to_zero\(\)"):
        gw.freeze(make(), role="bias")


RAVELLED = {name: FORMS[name] for name in ("linen", "haiku", "equinox")}


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=name, marks=pytest.mark.framework(package)) for name, (package, make) in RAVELLED.items()]
)  # fmt: skip
def test_the_flat_vector_is_that_of_ravel_pytree_both_ways(make: Callable[[], Any]) -> None:
    from jax.flatten_util import ravel_pytree

    tree = make()
    vector, unravel = ravel_pytree(tree)
    flat = gw.flat(tree)
    np.testing.assert_array_equal(np.asarray(flat.vector), np.asarray(vector))
    index = flat.where(role="bias", gate="f")
    made = gw.of(unravel(vector.at[index].set(7.0)))
    for _, weights in made:
        assert weights.bias["f"].tolist() == [7.0] * weights.unit
    live = gw.of(tree)
    changed = sum(
        int((one.roles[role][gate] != other.roles[role][gate]).sum())
        for (_, one), (_, other) in zip(made, live, strict=True) for role, gates in one.roles.items() for gate in gates
    )  # fmt: skip
    assert changed == len(index)
