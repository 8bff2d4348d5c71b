"""Which activation a function of the user's is, and how one joins two directions: found by calling it.

A name may be anybody's (``lambda x: x``, a function of flax, of jax, of MLX); what it computes tells.  Not known here: any
framework.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..cell import activation
from ..weights import ACTIVATIONS

if TYPE_CHECKING:
    from ..tensors import Array

Call = Callable[[Callable[..., Any], "list[Array]"], "Array"]  # the framework's: a function on numpy arrays, to numpy


@functools.lru_cache(maxsize=64)
def activation_of(function: Callable[..., Any], call: Call) -> str:
    """The activation in ``cell.ACTIVATIONS`` that a function computes; else the function's own name, which the reference
    then refuses to compute."""
    import numpy as np

    x = np.linspace(-4.0, 4.0, 33)
    y = np.asarray(call(function, [x.astype(np.float32)]), np.float64)
    for name in ACTIVATIONS:
        if np.allclose(y, activation(name)(x), rtol=1e-5, atol=1e-5):
            return name
    return str(getattr(function, "__name__", function))


@functools.lru_cache(maxsize=16)
def merge_of(function: Callable[..., Any], call: Call) -> str:
    """How a function joins the outputs of two directions, as ``Dialect.merge``; else "apart"."""
    import numpy as np

    one, other = np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 7.0]], np.float32)
    joined = {
        "concat": np.concatenate([one, other], -1), "sum": one + other, "ave": (one + other) / 2, "mul": one * other,
    }  # fmt: skip
    found = np.asarray(call(function, [one, other]))
    return next((name for name, y in joined.items() if y.shape == found.shape and np.allclose(y, found)), "apart")
