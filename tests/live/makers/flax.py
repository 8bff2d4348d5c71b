"""Flax's recurrent modules: linen's with their variables, NNX's; cells, RNNs, both directions, models with several."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "flax"
FEATURE, UNIT = 3, 5
# Numbers of a cell, as its source makes them: kernels of both sides, and the biases that it has.
_LINEN = {
    "LSTMCell": 4 * (FEATURE + UNIT + 1), "OptimizedLSTMCell": 4 * (FEATURE + UNIT + 1), "GRUCell": 3 * (FEATURE + UNIT + 1) + 1,
    "SimpleCell": FEATURE + UNIT + 1, "MGUCell": 2 * (FEATURE + UNIT + 1) + 1,
}  # fmt: skip
_NNX = {
    "LSTMCell": 4 * (FEATURE + UNIT + 1), "OptimizedLSTMCell": 4 * (FEATURE + UNIT + 1), "GRUCell": 3 * (FEATURE + UNIT + 1),
    "SimpleCell": FEATURE + UNIT + 1,
}  # fmt: skip


def numbers(subject: Any) -> list[np.ndarray]:
    import jax
    from flax import nnx

    tree = nnx.state(subject, nnx.Param) if isinstance(subject, nnx.Module) else variables_of(subject)
    return [np.array(leaf, np.float32) for leaf in jax.tree.leaves(tree)]


def gradients(subject: Any, loss: Any) -> list[np.ndarray]:
    import jax
    from flax import nnx

    if isinstance(subject, nnx.Module):
        return [np.array(leaf, np.float32) for leaf in jax.tree.leaves(nnx.grad(loss)(subject))]
    found = jax.grad(lambda tree: loss(_with_variables(subject, tree)))(variables_of(subject))
    return [np.array(leaf, np.float32) for leaf in jax.tree.leaves(found)]


def _with_variables(subject: Any, tree: Any) -> Any:
    if isinstance(subject, tuple):
        return subject[0], tree
    return subject.replace(params=tree) if hasattr(subject, "apply_fn") else subject.unbind()[0].bind(tree)


def variables_of(subject: Any) -> Any:
    """The variables of a bound module, of a pair of a module and its variables, of a train state."""
    if isinstance(subject, tuple):
        return subject[1]
    return subject.params if hasattr(subject, "apply_fn") else subject.variables


def randomised(tree: Any) -> Any:
    import jax
    import jax.numpy as jnp

    dice = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: jnp.asarray(dice.uniform(-0.4, 0.4, leaf.shape), leaf.dtype), tree)


def _cell(kind: str, **said: Any) -> Any:
    import flax.linen as nn

    return getattr(nn, kind)(UNIT, **said)


def _rnn(kind: str, **said: Any) -> Any:
    import flax.linen as nn

    return nn.RNN(_cell(kind), **said)


def _both(kind: str, **said: Any) -> Any:
    import flax.linen as nn

    return nn.Bidirectional(_rnn(kind), _rnn(kind), **said)


def _variables(module: Any, *inputs: tuple[int, ...]) -> Any:
    import jax
    import jax.numpy as jnp

    shapes = jax.eval_shape(module.init, jax.random.key(0), *(jnp.ones(shape) for shape in inputs))
    return randomised(shapes)  # the shapes alone: nothing to compile


def linen_cell(kind: str, **said: Any) -> Any:
    import jax
    import jax.numpy as jnp

    module, x = _cell(kind, **said), jnp.ones((2, FEATURE))
    carry = module.initialize_carry(jax.random.key(1), x.shape)
    return module, randomised(jax.eval_shape(module.init, jax.random.key(0), carry, x))


def linen(make: Any, kind: str, **said: Any) -> Any:
    module = make(kind, **said)
    return module, _variables(module, (2, 7, FEATURE))


def _bound(kind: str) -> Any:
    module, variables = linen(_both, kind)
    return module.bind(variables)


def _frozen(kind: str) -> Any:
    from flax.core import freeze

    module, variables = linen(_rnn, kind)
    return module, freeze(variables)


def linen_model() -> Any:
    """Two layers that ``setup`` makes, a cell that two modules share, a dense layer."""
    import flax.linen as nn

    class Model(nn.Module):
        def setup(self) -> None:
            self.encoder = _both("LSTMCell")
            self.layers = [_rnn("GRUCell"), _rnn("SimpleCell", reverse=True, keep_order=True)]
            self.cell = _cell("OptimizedLSTMCell")
            self.last = nn.RNN(self.cell)
            self.head = nn.Dense(2)

        def __call__(self, x: Any) -> Any:
            x = self.encoder(x)
            for layer in self.layers:
                x = layer(x)
            return self.head(self.last(x))

    module = Model()
    return module, _variables(module, (2, 7, FEATURE))


def train_state() -> Any:
    import optax
    from flax.training.train_state import TrainState

    module, variables = linen(_rnn, "LSTMCell")
    return TrainState.create(apply_fn=module.apply, params=variables["params"], tx=optax.adam(1e-3))


def nnx_cell(kind: str, features: int = FEATURE, **said: Any) -> Any:
    from flax import nnx

    return _random_nnx(getattr(nnx, kind)(features, UNIT, rngs=nnx.Rngs(0), **said))


def _random_nnx(module: Any) -> Any:
    from flax import nnx

    nnx.update(module, randomised(nnx.state(module, nnx.Param)))
    return module


def nnx_rnn(kind: str, features: int = FEATURE, **said: Any) -> Any:
    from flax import nnx

    return nnx.RNN(nnx_cell(kind, features), **said)


def nnx_both(kind: str) -> Any:
    from flax import nnx

    return _random_nnx(nnx.Bidirectional(nnx_rnn(kind), nnx_rnn(kind)))


def nnx_model() -> Any:
    from flax import nnx

    class Model(nnx.Module):
        def __init__(self) -> None:
            self.encoder = nnx_both("OptimizedLSTMCell")
            self.layers = nnx.List([nnx_rnn("GRUCell", 2 * UNIT), nnx_cell("SimpleCell", UNIT)])
            self.head = nnx.Linear(UNIT, 2, rngs=nnx.Rngs(1))

    return Model()


def _linens() -> Iterator[Maker]:
    for kind, count in _LINEN.items():
        yield Maker(f"linen {kind}", functools.partial(linen_cell, kind), UNIT * count)
    for kind in ("LSTMCell", "SimpleCell"):
        yield Maker(f"linen RNN of {kind}", functools.partial(linen, _rnn, kind), UNIT * _LINEN[kind])
        yield Maker(f"linen Bidirectional of {kind}", functools.partial(linen, _both, kind), 2 * UNIT * _LINEN[kind])
    lstm = UNIT * _LINEN["LSTMCell"]
    yield Maker("linen MGUCell without reset gate", functools.partial(linen_cell, "MGUCell", reset_gate=False), UNIT * (_LINEN["MGUCell"] - 1))  # fmt: skip
    for reverse, keep in itertools.product((True,), (False, True)):
        yield Maker(
            f"linen RNN reversed{', order kept' * keep}, time first",
            functools.partial(linen, _rnn, "LSTMCell", reverse=reverse, keep_order=keep, time_major=True),
            lstm,
        )
    yield Maker("linen GRUCell with other activations", _other_activations, UNIT * _LINEN["GRUCell"])
    yield Maker("linen Bidirectional, bound", functools.partial(_bound, "GRUCell"), 2 * UNIT * _LINEN["GRUCell"])
    yield Maker("linen RNN with frozen variables", functools.partial(_frozen, "LSTMCell"), lstm)
    total = 2 * lstm + UNIT * (3 * (3 * UNIT + 1) + 1) + UNIT * (2 * UNIT + 1) + UNIT * 4 * (2 * UNIT + 1)
    yield Maker("linen model of several", linen_model, total)
    yield Maker("linen TrainState", train_state, lstm)


def _other_activations() -> Any:
    import jax

    return linen_cell("GRUCell", gate_fn=jax.nn.hard_sigmoid, activation_fn=lambda x: jax.nn.relu(x))


def _summed() -> Any:
    from flax import nnx

    one, other = nnx_rnn("GRUCell"), nnx_rnn("GRUCell")
    return _random_nnx(nnx.Bidirectional(one, other, merge_fn=lambda a, b: a + b))


def _nnxs() -> Iterator[Maker]:
    for kind, count in _NNX.items():
        yield Maker(f"nnx {kind}", functools.partial(nnx_cell, kind), UNIT * count)
    lstm = UNIT * _NNX["LSTMCell"]
    yield Maker("nnx RNN of LSTMCell, reversed", functools.partial(nnx_rnn, "LSTMCell", reverse=True), lstm)
    yield Maker("nnx Bidirectional of LSTMCell", functools.partial(nnx_both, "LSTMCell"), 2 * lstm)
    yield Maker("nnx Bidirectional, summed", _summed, 2 * UNIT * _NNX["GRUCell"])
    total = 2 * lstm + UNIT * 3 * (3 * UNIT + 1) + UNIT * (2 * UNIT + 1)
    yield Maker("nnx model of several", nnx_model, total)


LAYERS = (*_linens(), *_nnxs())
