"""What the frameworks on jax share: running a step over time, and calling a function outside of whatever is traced.

jax is loaded where this is used: whoever hands over an object of such a framework has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ._arrays import as_numpy

if TYPE_CHECKING:
    from ..tensors import Array


_SHORT = 32  # so many steps are sooner done one by one than a loop of them is compiled


def scanned(step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, x: Array, like: Any) -> tuple[Any, Array]:
    """``step(carry, x_t) -> carry, y`` over x [batch, time, feature], which is made of ``like``'s dtype.  The last carry,
    and y [batch, time, unit]."""
    jax: Any = sys.modules["jax"]
    with jax.default_matmul_precision("highest"):
        inputs = jax.numpy.asarray(x, like.dtype).swapaxes(0, 1)
        if len(inputs) > _SHORT:
            carry, y = jax.lax.scan(step, carry, inputs)
            return carry, as_numpy(y.swapaxes(0, 1))
        outputs = []
        for now in inputs:
            carry, given = step(carry, now)
            outputs.append(given)
        return carry, as_numpy(jax.numpy.stack(outputs, 1))


def states(state: Sequence[Array] | None, letters: str, batch: int, unit: int, like: Any) -> list[Any]:
    """The states of one cell, [batch, unit] each, in the order of ``letters``, zeros where none are given."""
    jnp: Any = sys.modules["jax"].numpy
    if state is None:
        return [jnp.zeros((batch, unit), like.dtype) for _ in letters]
    return [jnp.asarray(each[0], like.dtype) for each in state]


def called(function: Callable[..., Any], arguments: list[Array]) -> Array:
    """A function's value on numbers, also while something else is traced."""
    jax: Any = sys.modules["jax"]
    with jax.ensure_compile_time_eval():
        return as_numpy(jax.numpy.asarray(function(*map(jax.numpy.asarray, arguments))))
