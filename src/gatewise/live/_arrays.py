"""Arrays of whichever library as numpy, and numbers as an array of the same library, dtype and device.

A library is a row of the table below; it is taken from ``sys.modules`` by way of the array at hand.  Not known here: what
the arrays are weights of.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..record import record
from ..tensors import ITEM_BYTES

if TYPE_CHECKING:
    from ..tensors import Array


@record
class Library:
    """``read`` gives the numbers, ``like`` an array of an example's dtype and device, ``made`` one of numpy's own dtype;
    ``stack(arrays, axis)``.  ``writers``: the frameworks whose weights such arrays usually are;  ``separator``: of the
    names in their files."""

    name: str
    read: Callable[[Any], Array]
    like: Callable[[Array, Any], Any]
    made: Callable[[Array], Any]
    stack: Callable[[list[Any], int], Any]
    writers: tuple[str, ...] = ()
    separator: str = "/"


def is_array(value: Any) -> bool:
    """An array of a library that is known here, of a dtype that a file could hold; also a traced one, and the mere shape of
    one.  What only looks like an array (a variable that holds one) is none."""
    if _library(value) is None or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return False
    return dtype_of(value) in ITEM_BYTES


def dtype_of(array: Any) -> str:
    """One of ``ITEM_BYTES``, or what no file of weights holds (a random key's)."""
    dtype = array.dtype
    return str(getattr(dtype, "name", None) or str(dtype).rpartition(".")[2])


def library_of(array: Any) -> Library:
    """The library of an array."""
    found = _library(array)
    if found is None:
        raise TypeError(type(array))  # is_array was not asked
    return found


def _library(value: Any) -> Library | None:
    tops = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return next((_LIBRARIES[top] for top in tops if top in _LIBRARIES), None)


def as_numpy(array: Any) -> Array:
    """The numbers: the array's own memory where numpy can look at it, read-only; else a copy.  Raises UsageError for a
    traced array, which has none."""
    found = library_of(array).read(array)
    view: Array = found[...]
    view.flags.writeable = False
    return view


def like(numbers: Array, array: Any) -> Any:
    """Numbers as a new array of another's library, dtype and device, which shares no memory with them."""
    return library_of(array).like(numbers, array)


# numpy and jax.


def _numpy_like(numbers: Array, array: Any) -> Array:
    return numbers.astype(array.dtype, copy=True)


def _from_jax(array: Any) -> Array:
    import numpy as np

    jax = sys.modules["jax"]
    if isinstance(array, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        raise UsageError(
            "this array is traced by jax (inside jit, grad or eval_shape): it has a shape and no numbers yet.",
            next="live.native(...) gives it as it is, with its gradients; to read or write numbers, do it outside.",
        )
    try:
        found: Array = np.asarray(array)
    except RuntimeError as error:  # deleted, or spread over machines of which this one sees a part
        raise UsageError(f"jax does not give the numbers of this array: {str(error).splitlines()[0]}") from None
    return found


def _jax_like(numbers: Array, array: Any) -> Any:
    jax = sys.modules["jax"]
    own = numbers.astype(array.dtype, copy=True)
    if getattr(array, "committed", False):
        return jax.device_put(own, array.sharding)
    return jax.numpy.asarray(own)


# torch and MLX.


def _from_torch(tensor: Any) -> Array:
    from ._torch_weight import as_numpy

    return as_numpy(tensor)


def _torch_like(numbers: Array, tensor: Any) -> Any:
    from ._torch_weight import as_tensor

    made = as_tensor(numbers.copy(), tensor)
    return type(tensor)(made) if type(tensor).__name__ == "Parameter" else made.requires_grad_(tensor.requires_grad)


def _from_mlx(array: Any) -> Array:
    import numpy as np

    if dtype_of(array) == "bfloat16":  # which the buffer protocol has no letter for
        from ..tensors import numpy_dtype

        bits: Array = np.array(array.view(sys.modules["mlx.core"].uint16), copy=False)
        return bits.view(numpy_dtype("bfloat16"))
    found: Array = np.array(array, copy=False)
    return found


def _mlx_like(numbers: Array, array: Any) -> Any:
    import numpy as np

    exact = numbers.astype(np.float32) if numbers.dtype.name == "bfloat16" else numbers
    return sys.modules["mlx.core"].array(exact).astype(array.dtype)


def _in(module: str, name: str) -> Callable[..., Any]:
    """A function of a library that is loaded when it is called."""

    def call(*arguments: Any) -> Any:
        owner: Any = sys.modules[module]
        return getattr(owner, name)(*arguments)

    return call


_JAX = Library(
    "jax", _from_jax, _jax_like, _in("jax.numpy", "asarray"), _in("jax.numpy", "stack"), ("flax", "haiku", "equinox")
)
_LIBRARIES = {
    "numpy": Library("numpy", lambda array: array.view(), _numpy_like, lambda array: array, _in("numpy", "stack")),
    "jax": _JAX,
    "jaxlib": _JAX,
    "torch": Library(
        "torch", _from_torch, _torch_like, _in("torch", "from_numpy"), _in("torch", "stack"), ("torch",), "."
    ),
    "mlx": Library("mlx", _from_mlx, _mlx_like, _in("mlx.core", "array"), _in("mlx.core", "stack"), ("mlx",), "."),
}

__all__ = ["Library", "as_numpy", "dtype_of", "is_array", "library_of", "like"]
