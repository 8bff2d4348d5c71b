"""What OpenVINO's number-moving operators do with arrays: for each a rule, and how many inputs it needs.

Source: OpenVINO's operation specifications: Transpose-1, Concat-1, Split-1, VariadicSplit-1, Gather-1 to -8, Slice-8,
Broadcast-3 and the elementwise ones.  Shapes are the graph's own (``_openvino_graph``).  Not known here: graphs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array


def whole(text: str | None, default: int) -> int:
    """A whole number of the XML."""
    try:
        return int(text or "")
    except ValueError:
        return default


@dataclass
class Call:
    data: Mapping[str, str]
    shape: tuple[int, ...]
    output: int


Rule = Callable[[Call, "list[Array]"], "Array"]


def _axis_of(value: Array) -> int:
    return int(value.reshape(-1)[0])


def _reshaped(call: Call, arrays: list[Array]) -> Array:
    made: Array = arrays[0].reshape(call.shape)
    return made


def _broadcast(call: Call, arrays: list[Array]) -> Array:
    import numpy as np

    made: Array = np.broadcast_to(arrays[0], call.shape).copy()
    return made


def _concatenated(call: Call, arrays: list[Array]) -> Array:
    import numpy as np

    if sum(array.size for array in arrays) != math.prod(call.shape):
        raise ValueError("its pieces are not the whole")
    made: Array = np.concatenate(arrays, axis=whole(call.data.get("axis"), 0))
    return made


def _gathered(call: Call, arrays: list[Array]) -> Array:
    axis = _axis_of(arrays[2])
    shape = arrays[0].shape
    if (*shape[:axis], *arrays[1].shape, *shape[axis:][1:]) != call.shape:
        raise ValueError("it gathers another shape")
    made: Array = arrays[0].take(arrays[1].astype("int64"), axis=axis)
    return made


def _elementwise(compute: Callable[[Array, Array], Array]) -> Rule:
    """The shape is held against the graph's before anything is computed: two vectors can make a matrix of any size."""

    def rule(call: Call, arrays: list[Array]) -> Array:
        import numpy as np

        if np.broadcast_shapes(*(array.shape for array in arrays)) != call.shape:
            raise ValueError("its inputs do not make that shape")
        return compute(*arrays)

    return rule


def _split(call: Call, arrays: list[Array]) -> Array:
    import numpy as np

    made: Array = np.split(arrays[0], whole(call.data.get("num_splits"), 1), axis=_axis_of(arrays[1]))[call.output]
    return made


def _variadic_split(call: Call, arrays: list[Array]) -> Array:
    import numpy as np

    lengths = [int(length) for length in arrays[2].reshape(-1)]
    axis = _axis_of(arrays[1])
    rest = arrays[0].shape[axis] - sum(length for length in lengths if length >= 0)
    ends = np.cumsum([length if length >= 0 else rest for length in lengths])
    made: Array = np.split(arrays[0], ends[:-1], axis=axis)[call.output]
    return made


def _sliced(_call: Call, arrays: list[Array]) -> Array:
    starts, stops, steps = ([int(number) for number in array.reshape(-1)] for array in arrays[1:4])
    axes = [int(axis) for axis in arrays[4].reshape(-1)] if len(arrays) > 4 else list(range(len(starts)))
    cuts: list[Any] = [slice(None)] * arrays[0].ndim
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        cuts[axis] = slice(start, stop, step)
    made: Array = arrays[0][tuple(cuts)]
    return made


# The rule, and how many inputs it needs; None: all.
RULES: dict[str, tuple[Rule, int | None]] = {
    "Convert": (lambda _call, arrays: arrays[0], 1),
    "Transpose": (lambda _call, arrays: arrays[0].transpose([int(axis) for axis in arrays[1].reshape(-1)]), 2),
    "Reshape": (_reshaped, 1), "Squeeze": (_reshaped, 1), "Unsqueeze": (_reshaped, 1), "Broadcast": (_broadcast, 1),
    "Concat": (_concatenated, None), "Split": (_split, 2), "VariadicSplit": (_variadic_split, 3),
    "Gather": (_gathered, 3),
    "Slice": (_sliced, 5),
    "Add": (_elementwise(lambda one, other: one + other), 2),
    "Subtract": (_elementwise(lambda one, other: one - other), 2),
    "Multiply": (_elementwise(lambda one, other: one * other), 2),
}  # fmt: skip
