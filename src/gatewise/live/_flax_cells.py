"""What linen's and NNX's recurrent modules have in common: their settings' meaning, and the order of their carries.

Sources: flax/linen/recurrent.py and flax/nnx/nn/recurrent.py (0.12.8): a carry is (c, h) for an LSTM; an RNN with
``reverse`` gives its outputs turned round unless ``keep_order``; ``Bidirectional`` calls the second one with both.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ._arrays import as_numpy
from ._functions import activation_of, merge_of
from ._jax import called, scanned, states

if TYPE_CHECKING:
    from ..tensors import Array


def kind_of(cell: Any, module: str, names: Sequence[str]) -> str:
    """The class of flax's that a cell is, or is made of; "" for one that is none, or adds its input (``residual``)."""
    found = (each.__name__ for each in type(cell).__mro__ if each.__module__ == module)
    kind = next((name for name in found if name in names), "")
    return "" if getattr(cell, "residual", False) else kind


def layout_for(kind: str, prefix: str) -> Layout:
    return layout_called(f"{prefix}.{kind}")


def meaning_of(cell: Any) -> dict[str, Any]:
    """The activations that a cell was made with."""
    said = {"activation": activation_of(cell.activation_fn, called)}
    gates = getattr(cell, "gate_fn", None)
    return said | ({} if gates is None else {"recurrent_activation": activation_of(gates, called)})


def of_rnn(rnn: Any) -> dict[str, Any]:
    """An RNN's own direction."""
    return {"go_backwards": bool(rnn.reverse), "backwards_in_place": bool(rnn.reverse and rnn.keep_order)}


def of_both(both: Any) -> dict[str, Any]:
    return {"merge": merge_of(both.merge_fn, called)}


def carries(state: Sequence[Array] | None, sizes: Sequence[int], lstm: bool, batch: int, like: Any) -> list[Any]:
    """Flax's carry of each cell from the states [cells, batch, size]."""
    made = []
    for number, unit in enumerate(sizes):
        own = None if state is None else [each[number : number + 1] for each in state]
        found = states(own, "hc" if lstm else "h", batch, unit, like)
        made.append((found[1], found[0]) if lstm else found[0])
    return made


def finals(last: Sequence[Any], lstm: bool) -> tuple[Array, ...]:
    """The states [cells, batch, size] of each cell's carry."""
    import numpy as np

    parts = [carry[::-1] if lstm else (carry,) for carry in last]
    if len({np.shape(each[0]) for each in parts}) == 1:
        return tuple(np.stack([np.asarray(each, np.float32 if each.dtype.name == "bfloat16" else None) for each in found]) for found in zip(*parts, strict=True))  # fmt: skip
    return tuple(_apart(found) for found in zip(*parts, strict=True))


def _apart(found: Sequence[Any]) -> Array:
    import numpy as np

    several = np.empty(len(found), object)
    several[:] = [np.asarray(each) for each in found]
    return several


def run(
    how: str, call: Any, sizes: Sequence[int], lstm: bool, x: Array, state: Sequence[Array] | None, like: Any
) -> tuple[Array, tuple[Array, ...]]:
    """Run a ``cell``, an ``rnn`` or ``both`` directions; ``call`` takes (carry, x_t), or (x, carry) for whole sequences."""
    jax: Any = sys.modules["jax"]
    start = carries(state, sizes, lstm, len(x), like)
    if how == "cell":
        last, y = scanned(call, start[0], x, like)
        return y, finals([last], lstm)
    with jax.default_matmul_precision("highest"):
        last, outputs = call(jax.numpy.asarray(x, like.dtype), start[0] if how == "rnn" else tuple(start))
    return as_numpy(outputs), finals([last] if how == "rnn" else list(last), lstm)


Meaning = Mapping[str, Any]
__all__ = ["carries", "finals", "kind_of", "layout_for", "meaning_of", "of_both", "of_rnn", "run"]
