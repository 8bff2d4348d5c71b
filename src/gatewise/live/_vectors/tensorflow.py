"""TensorFlow's tensors and variables as vectors.  Tensors are never changed; a variable is assigned."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import UsageError


def owns(value: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    kinds = tuple(getattr(tensorflow, name) for name in ("Tensor", "Variable") if hasattr(tensorflow, name))
    return isinstance(value, kinds)


def given(array: Any, like: Any) -> Any:  # noqa: ARG001  (TensorFlow puts an index where it is needed)
    return importlib.import_module("tensorflow").constant(array)


def contiguous(value: Any) -> bool:  # noqa: ARG001  (its tensors have no strides)
    return True


@contextmanager
def filling(out: Any) -> Iterator[Any]:
    if not hasattr(out, "assign"):
        raise UsageError("tensors of TensorFlow are never changed.", next="Give a tf.Variable, or pack without out=.")
    array = out.numpy()
    yield array
    out.assign(array)
