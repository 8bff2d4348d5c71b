"""MLX's arrays as vectors.  numpy cannot write into them, so none is filled."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import UsageError


def owns(value: Any) -> bool:
    core = sys.modules.get("mlx.core")
    return core is not None and isinstance(value, core.array)


def given(array: Any, like: Any) -> Any:  # noqa: ARG001  (MLX's memory is one)
    return importlib.import_module("mlx.core").array(array)


def contiguous(value: Any) -> bool:  # noqa: ARG001  (MLX's arrays have no strides for us to see)
    return True


@contextmanager
def filling(out: Any) -> Iterator[Any]:  # noqa: ARG001
    raise UsageError(
        "numpy cannot write into arrays of MLX.", next="Pack without out=, and take mlx.core.array of that."
    )
    yield
