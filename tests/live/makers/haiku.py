"""Haiku's cores: their parameters alone, beside the transformed function, several in one tree."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "haiku"
FEATURE, UNIT = 3, 5


def numbers(subject: Any) -> list[np.ndarray]:
    import jax

    return [
        np.array(leaf, np.float32) for leaf in jax.tree.leaves(subject[1] if isinstance(subject, tuple) else subject)
    ]


def gradients(subject: Any, loss: Any) -> list[np.ndarray]:
    import jax

    if isinstance(subject, tuple):
        found = jax.grad(lambda params: loss((subject[0], params)))(subject[1])
    else:
        found = jax.grad(loss)(subject)
    return [np.array(leaf, np.float32) for leaf in jax.tree.leaves(found)]


def _made(function: Any, *inputs: Any) -> Any:
    import haiku as hk
    import jax
    import jax.numpy as jnp

    transformed, dice = hk.transform(function), np.random.default_rng(3)
    shapes = jax.eval_shape(transformed.init, jax.random.key(0), *inputs)
    params = jax.tree.map(lambda leaf: jnp.asarray(dice.uniform(-0.4, 0.4, leaf.shape), leaf.dtype), shapes)
    return transformed, params


def core(kind: str, **said: Any) -> Any:
    import haiku as hk
    import jax.numpy as jnp

    h = jnp.zeros((2, UNIT))
    state = hk.LSTMState(h, h) if kind == "LSTM" else h
    return _made(lambda x, s: getattr(hk, kind)(UNIT, **said)(x, s), jnp.zeros((2, FEATURE)), state)


def deep() -> Any:
    """Cores in a row with a Linear in front, as a DeepRNN names them."""
    import haiku as hk
    import jax.numpy as jnp

    def model(x: Any) -> Any:
        cores = hk.DeepRNN([hk.Linear(FEATURE), hk.LSTM(UNIT), hk.LSTM(UNIT), hk.GRU(UNIT)])
        return cores(x, cores.initial_state(2))

    return _made(model, jnp.zeros((2, FEATURE)))[1]


def _immutable() -> Any:
    from haiku.data_structures import to_immutable_dict

    return to_immutable_dict(core("LSTM")[1])


_LSTM, _GRU, _RNN = UNIT * 4 * (FEATURE + UNIT + 1), UNIT * 3 * (FEATURE + UNIT + 1), UNIT * (FEATURE + UNIT + 2)
LAYERS = (
    Maker("parameters of an LSTM beside the function", functools.partial(core, "LSTM"), _LSTM),
    Maker("parameters of an LSTM in an immutable tree", _immutable, _LSTM),
    Maker("parameters of a GRU", lambda: core("GRU")[1], _GRU),
    Maker("parameters of a VanillaRNN", lambda: core("VanillaRNN")[1], _RNN),
    Maker("parameters of a VanillaRNN, one bias", lambda: core("VanillaRNN", double_bias=False)[1], _RNN - UNIT),
    Maker("parameters of a DeepRNN", deep, _LSTM + 4 * UNIT * (2 * UNIT + 1) + 3 * UNIT * (2 * UNIT + 1)),
)
