"""What ONNX's number-moving operators do: for each a rule from input shapes to the output's shape and how to compute it.

Source: docs/Operators.md and docs/Changelog.md of ONNX 1.23.  Parameters that were attributes and became inputs (axes,
starts, split …) are read from either.  A rule answers None where an input is not a constant or does not fit.
Not known here: graphs and names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..cursor import Cursor
from ..record import record
from ..tensors import FLOATS, StoredTensor, numpy_dtype
from ._onnx_proto import DTYPES
from ._onnx_tensors import Unread

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array
    from ._onnx_fold import Value
    from ._onnx_graph import Model, Node

Shape = tuple[int, ...]


def _nothing(*_arrays: Any) -> Any:
    raise LookupError("a stored tensor is not computed")


@record(eq=False)
class Made:
    """What a rule found: dtype, shape, how to compute it from the arrays of its first inputs (``takes``; None: of all),
    and the parameters that tell two applications of one operator apart.  ``same``: it is just this input."""

    dtype: str
    shape: Shape
    compute: Callable[..., Array] = _nothing
    parameters: tuple[Any, ...] = ()
    takes: int | None = 1
    same: Value | None = None


class Call:
    """One application of an operator: its constant inputs (None where one is left out) and its parameters."""

    def __init__(self, node: Node, inputs: list[Value | None], output: int, model: Model):
        self.node, self.inputs, self.output, self._model = node, inputs, output, model
        self.opset = model.opsets.get("", 1)

    @property
    def first(self) -> Value:
        """The first input, which every rule but two needs."""
        found = self.input(0)
        if found is None:
            raise Unfit
        return found

    def input(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def whole(self, name: str, default: int) -> int:
        """A whole number among the attributes."""
        value = self.node.attributes.get(name, default)
        if not isinstance(value, int):
            raise Unfit
        return value

    def list(self, name: str, index: int) -> list[int] | None:
        """Whole numbers from an attribute or an input; None where neither is given."""
        value = self.input(index)
        if value is not None:
            numbers = value.numbers()
            if numbers is None:
                raise Unfit
            return numbers
        found = self.node.attributes.get(name)
        if found is None or (isinstance(found, list) and all(isinstance(number, int) for number in found)):
            return found
        raise Unfit

    def tensor(self, name: str) -> StoredTensor | None:
        """A tensor among the attributes."""
        raw = self.node.attributes.get(name)
        if not isinstance(raw, Cursor):
            return None
        try:
            return self._model.reader.tensor(Cursor(raw.data, path=raw.path, where=raw.where, base=raw.base), name)
        except Unread:
            raise Unfit from None


class Unfit(Exception):
    """The inputs are not what the operator takes."""


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unfit
    return axis % rank


# Rules.


def _identity(call: Call) -> Made:
    first = call.first
    return Made(first.dtype, first.shape, same=first)


def _cast(call: Call) -> Made:
    first, to = call.first, DTYPES.get(call.whole("to", 0), ("", ""))[0]
    if first.dtype not in FLOATS or to not in FLOATS:
        raise Unfit
    if to == first.dtype:
        return _identity(call)
    return Made(to, first.shape, lambda array: array.astype(numpy_dtype(to)))


def _transpose(call: Call) -> Made:
    first = call.first
    rank = len(first.shape)
    order = tuple(call.list("perm", 99) or reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise Unfit
    shape = tuple(first.shape[axis] for axis in order)
    return Made(first.dtype, shape, lambda array: array.transpose(order), order)


def _shaped(call: Call, shape: Shape) -> Made:
    if math.prod(shape) != math.prod(call.first.shape):
        raise Unfit
    if shape == call.first.shape:
        return _identity(call)
    return Made(call.first.dtype, shape, lambda array: array.reshape(shape))


def _reshape(call: Call) -> Made:
    old, asked = call.first.shape, call.list("shape", 1)
    if asked is None or len(asked) > 32:
        raise Unfit
    if not call.whole("allowzero", 0):
        asked = [old[at] if size == 0 and at < len(old) else size for at, size in enumerate(asked)]
    known = math.prod(size for size in asked if size != -1)
    if (
        asked.count(-1) > 1
        or any(size < -1 for size in asked)
        or (-1 in asked and (not known or math.prod(old) % known))
    ):
        raise Unfit
    return _shaped(call, tuple(math.prod(old) // known if size == -1 else size for size in asked))


def _flatten(call: Call) -> Made:
    old = call.first.shape
    axis = call.whole("axis", 1)
    axis = axis + len(old) if axis < 0 else axis
    return _shaped(call, (math.prod(old[:axis]), math.prod(old[axis:])))


def _unsqueeze(call: Call) -> Made:
    old, axes = call.first.shape, call.list("axes", 1)
    if axes is None or len(old) + len(axes) > 32:
        raise Unfit
    rank = len(old) + len(axes)
    new = {_axis(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise Unfit
    left = iter(old)
    return _shaped(call, tuple(1 if axis in new else next(left) for axis in range(rank)))


def _squeeze(call: Call) -> Made:
    old, axes = call.first.shape, call.list("axes", 1)
    gone = (
        {at for at, size in enumerate(old) if size == 1} if axes is None else {_axis(axis, len(old)) for axis in axes}
    )
    return _shaped(call, tuple(size for at, size in enumerate(old) if at not in gone))


def _slice(call: Call) -> Made:
    first = call.first
    starts, ends, axes, steps = (call.list(name, at) for at, name in enumerate(("starts", "ends", "axes", "steps"), 1))
    if starts is None or ends is None:
        raise Unfit
    axes = list(range(len(starts))) if axes is None else [_axis(axis, len(first.shape)) for axis in axes]
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps or len(axes) > len(first.shape):
        raise Unfit
    cuts = [(0, size, 1) for size in first.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cuts[axis] = slice(start, end, step).indices(first.shape[axis])
    shape = tuple(len(range(*cut)) for cut in cuts)
    if shape == first.shape and all(cut[2] == 1 for cut in cuts):
        return _identity(call)
    # A step back to before the first element ends at -1, which a slice would read as the last one.
    pieces = tuple(
        slice(start, None if end < 0 else end, step) if range(start, end, step) else slice(0)
        for start, end, step in cuts
    )
    return Made(first.dtype, shape, lambda array: array[pieces], tuple(cuts))


def _split(call: Call) -> Made:
    first = call.first
    axis = _axis(call.whole("axis", 0), len(first.shape))
    size, count = first.shape[axis], len(call.node.outputs)
    parts = call.list("split", 1)
    if parts is None:
        each = -(-size // count)
        parts = [max(0, min(each, size - at * each)) for at in range(count)]
    if sum(parts) != size or min(parts) < 0 or call.output >= len(parts):
        raise Unfit
    start = sum(parts[: call.output])
    end = start + parts[call.output]
    shape = (*first.shape[:axis], end - start, *first.shape[axis + 1 :])
    where = (*([slice(None)] * axis), slice(start, end))
    return Made(first.dtype, shape, lambda array: array[where], (axis, start, end))


def _gather(call: Call) -> Made:
    first, at = call.first, call.input(1)
    numbers = at.numbers() if at is not None else None
    axis = _axis(call.whole("axis", 0), len(first.shape))
    if at is None or numbers is None or any(not -first.shape[axis] <= number < first.shape[axis] for number in numbers):
        raise Unfit
    shape = (*first.shape[:axis], *at.shape, *first.shape[axis + 1 :])
    return Made(first.dtype, shape, lambda array, index: array.take(index, axis=axis), (axis,), takes=2)


def _concat(call: Call) -> Made:
    first = call.first
    pieces = [value for value in call.inputs if value is not None]
    axis = _axis(call.whole("axis", 1), len(first.shape))

    def rest(value: Value) -> tuple[Any, ...]:
        return (value.dtype, value.shape[:axis], value.shape[axis + 1 :])

    if any(len(value.shape) != len(first.shape) or rest(value) != rest(first) for value in pieces):
        raise Unfit
    if len(pieces) == 1:
        return _identity(call)
    shape = (*first.shape[:axis], sum(value.shape[axis] for value in pieces), *first.shape[axis + 1 :])

    def concatenated(*arrays: Array) -> Array:
        import numpy as np

        return np.concatenate(arrays, axis=axis)

    return Made(first.dtype, shape, concatenated, (axis,), takes=None)


def _expand(call: Call) -> Made:
    asked = call.list("shape", 1)
    if asked is None or len(asked) > 32 or any(size < 0 for size in asked):
        raise Unfit
    shape = _broadcast(call.first.shape, tuple(asked))

    def expanded(array: Array) -> Array:
        import numpy as np

        return np.ascontiguousarray(np.broadcast_to(array, shape))

    return Made(call.first.dtype, shape, expanded)


def _constant_of_shape(call: Call) -> Made:
    asked, fill = call.list("shape", 0), call.tensor("value")
    if (fill is not None and fill.size != 1) or asked is None or len(asked) > 32 or any(size < 0 for size in asked):
        raise Unfit
    dtype, shape = fill.dtype if fill else "float32", tuple(asked)

    def filled() -> Array:
        import numpy as np

        return np.full(shape, fill.array().reshape(-1)[0] if fill else 0, numpy_dtype(dtype))

    return Made(dtype, shape, filled, (fill.array().tobytes() if fill else b"",), takes=0)


def _broadcast(one: Shape, other: Shape) -> Shape:
    rank = max(len(one), len(other))
    pairs = zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(other)) + other, strict=True)
    sizes = [(max(a, b) if 0 not in (a, b) else 0) if a in (b, 1) or b == 1 else -1 for a, b in pairs]
    if -1 in sizes:
        raise Unfit
    return tuple(sizes)


def _elementwise(compute: Callable[..., Any]) -> Callable[[Call], Made]:
    def rule(call: Call) -> Made:
        first, second = call.first, call.input(1)
        if first.dtype not in FLOATS or (second is not None and second.dtype != first.dtype):
            raise Unfit
        shape = first.shape if second is None else _broadcast(first.shape, second.shape)
        return Made(first.dtype, shape, compute, takes=None)

    return rule


_RULES: Mapping[str, Callable[[Call], Made]] = {
    "Identity": _identity, "Cast": _cast, "Transpose": _transpose, "Reshape": _reshape, "Flatten": _flatten,
    "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Slice": _slice, "Split": _split, "Gather": _gather,
    "Concat": _concat, "Expand": _expand, "ConstantOfShape": _constant_of_shape,
    "Add": _elementwise(lambda a, b: a + b), "Sub": _elementwise(lambda a, b: a - b),
    "Mul": _elementwise(lambda a, b: a * b), "Neg": _elementwise(lambda a: -a),
}  # fmt: skip


def _guarded(rule: Callable[[Call], Made]) -> Callable[[Call], Made | None]:
    def guarded(call: Call) -> Made | None:
        try:
            return rule(call)
        except Unfit:
            return None

    return guarded


RULES = {name: _guarded(rule) for name, rule in _RULES.items()}
