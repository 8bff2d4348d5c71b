"""Equinox's cells: alone, in other dtypes, in a module with several and in a tree of modules."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "equinox"
FEATURE, UNIT = 3, 5


def numbers(subject: Any) -> list[np.ndarray]:
    import equinox as eqx
    import jax

    return [np.array(leaf, np.float32) for leaf in jax.tree.leaves(eqx.filter(subject, eqx.is_array))]


def gradients(subject: Any, loss: Any) -> list[np.ndarray]:
    import equinox as eqx
    import jax

    return [
        np.array(leaf, np.float32) for leaf in jax.tree.leaves(eqx.filter(eqx.filter_grad(loss)(subject), eqx.is_array))
    ]


def cell(kind: str, feature: int = FEATURE, **said: Any) -> Any:
    import equinox as eqx
    import jax

    if "dtype" in said:
        said["dtype"] = getattr(jax.numpy, said["dtype"])
    made, dice = getattr(eqx.nn, kind)(feature, UNIT, key=jax.random.key(3), **said), np.random.default_rng(3)
    return jax.tree.map(lambda leaf: jax.numpy.asarray(dice.uniform(-0.4, 0.4, leaf.shape), leaf.dtype), made)


def model() -> Any:
    """Two cells between other layers, beside leaves that are no arrays."""
    import equinox as eqx
    import jax

    class Model(eqx.Module):
        before: eqx.nn.Linear
        scale: float
        encoder: eqx.nn.LSTMCell
        cells: list
        act: Any

    key = jax.random.key(4)
    return Model(eqx.nn.Linear(6, 3, key=key), 0.5, cell("LSTMCell"), [cell("GRUCell", UNIT)], jax.nn.relu)


_LSTM, _GRU = UNIT * 4 * (FEATURE + UNIT + 1), UNIT * (3 * (FEATURE + UNIT + 1) + 1)
LAYERS = (
    Maker("LSTMCell", functools.partial(cell, "LSTMCell"), _LSTM),
    Maker("LSTMCell, no bias", functools.partial(cell, "LSTMCell", use_bias=False), _LSTM - 4 * UNIT),
    Maker("LSTMCell in bfloat16", functools.partial(cell, "LSTMCell", dtype="bfloat16"), _LSTM),
    Maker("GRUCell", functools.partial(cell, "GRUCell"), _GRU),
    Maker("GRUCell, no bias", functools.partial(cell, "GRUCell", use_bias=False), _GRU - 4 * UNIT),
    Maker("GRUCell in float16", functools.partial(cell, "GRUCell", dtype="float16"), _GRU),
    Maker("a module with an LSTMCell and a GRUCell", model, _LSTM + UNIT * (3 * (2 * UNIT + 1) + 1)),
    Maker("a tree of cells", lambda: {"encoder": cell("LSTMCell"), "rest": [cell("GRUCell"), None]}, _LSTM + _GRU),
)
