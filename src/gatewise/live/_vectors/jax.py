"""jax's arrays as vectors.  They are never changed, so none is filled."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import UsageError


def owns(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, getattr(jax, "Array", ()))


def given(array: Any, like: Any) -> Any:  # noqa: ARG001  (jax puts an index where it is needed)
    return importlib.import_module("jax.numpy").asarray(array)


def contiguous(value: Any) -> bool:  # noqa: ARG001  (jax's arrays have no strides)
    return True


@contextmanager
def filling(out: Any) -> Iterator[Any]:  # noqa: ARG001
    raise UsageError("arrays of jax are never changed.", next="Pack without out=, and take jax.numpy.asarray of that.")
    yield
