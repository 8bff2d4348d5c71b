"""Which recurrent node of an ONNX graph takes the whole output of another, with nothing between but other shapes.

An output is [time, direction, batch, unit] (with layout=1 [batch, time, direction, unit]), an input [time, batch,
feature].  The axes are followed by name through Squeeze, Transpose, Reshape, Identity and Dropout: time and batch that
change places, or directions that are not brought side by side, are another function.  Not known here: cells.
"""

from __future__ import annotations

from collections.abc import Callable

from ..tensors import StoredTensor
from ._onnx_graph import Node, Scope
from ._onnx_tensors import whole_numbers

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_SHAPES = ("Squeeze", "Transpose", "Reshape", "Identity", "Dropout")
_TIME, _WAYS, _BATCH, _UNIT = "time", "direction", "batch", "unit"
_LONGEST = 12  # operators between two recurrent nodes


def producer(node: Node, recurrent: Callable[[Node], bool]) -> Node | None:
    """The recurrent node whose sequence reaches ``node`` as [time, batch, direction·unit], with its axes as they were."""
    steps: list[Node] = []
    scope, name = node.scope, node.input(0)
    for _ in range(_LONGEST):
        found = scope.find(name)
        if found is None or isinstance(found, StoredTensor):
            return None
        source, output = found
        if recurrent(source):
            same = output == 0 and _walked(source, steps[::-1]) == _order(node, joined=True)
            return source if same else None
        if source.domain or source.op not in _SHAPES or output:
            return None
        steps.append(source)
        scope, name = source.scope, source.input(0)
    return None


def _order(node: Node, joined: bool) -> list[tuple[str, ...]]:
    """The axes of a node's input, or of its output with the directions apart."""
    batch_first = bool(node.attributes.get("layout", 0))
    times: list[tuple[str, ...]] = [(_BATCH,), (_TIME,)] if batch_first else [(_TIME,), (_BATCH,)]
    if joined:
        return [*times, (_WAYS, _UNIT)]
    return [*times, (_WAYS,), (_UNIT,)] if batch_first else [times[0], (_WAYS,), times[1], (_UNIT,)]


def _walked(source: Node, steps: list[Node]) -> list[tuple[str, ...]] | None:
    axes: list[tuple[str, ...]] | None = _order(source, joined=False)
    single = bytes(source.attributes.get("direction", b"")) != b"bidirectional"
    for step in steps:
        axes = _stepped(axes, step, single) if axes is not None else None
    return [(_WAYS, _UNIT) if axis == (_UNIT,) and single else axis for axis in axes] if axes is not None else None


def _stepped(axes: list[tuple[str, ...]], step: Node, single: bool) -> list[tuple[str, ...]] | None:
    if step.op in ("Identity", "Dropout"):
        return axes
    if step.op == "Transpose":
        order = step.attributes.get("perm", list(range(len(axes)))[::-1])
        return [axes[at] for at in order] if sorted(order) == list(range(len(axes))) else None
    if step.op == "Reshape":
        return _reshaped(axes, step)
    gone = [axes[at] for at in _axes(step) if -len(axes) <= at < len(axes)]
    return [axis for axis in axes if axis != (_WAYS,)] if gone == [(_WAYS,)] and single else None


def _axes(step: Node) -> list[int]:
    """The axes of a Squeeze: an attribute, an input since version 13."""
    found = step.attributes.get("axes")
    numbers = found if found is not None else _shape(step.scope, step.input(1), "", 0)
    return [at for at in numbers or [] if isinstance(at, int)]


def _reshaped(axes: list[tuple[str, ...]], step: Node) -> list[tuple[str, ...]] | None:
    """[0, 0, -1] and its like: the last two axes become one, the others stay."""
    data = step.input(0)
    wanted = step.attributes.get("shape") or _shape(step.scope, step.input(1), data, len(axes))
    if axes[2:] != [(_WAYS,), (_UNIT,)] or wanted is None or len(wanted) != 3:
        return None
    before = step.scope.shape_of(data) or ()
    for at, size in enumerate(wanted[:2]):
        same = size == (data, at) or (size == 0 and not step.attributes.get("allowzero", 0))
        if not same and before[at : at + 1] != (size,):
            return None
    return [*axes[:2], (_WAYS, _UNIT)]


def _shape(scope: Scope, name: str, data: str, rank: int, depth: int = 0) -> list[Any] | None:
    """A vector of sizes: numbers, ``(data, axis)`` for a size of the value ``data``, None for any other."""
    found = scope.find(name)
    if found is None or depth > _LONGEST:
        return None
    if isinstance(found, StoredTensor):
        numbers = whole_numbers(found, 16)
        return None if numbers is None else list(numbers)
    node = found[0]
    inner = [_shape(node.scope, each, data, rank, depth + 1) for each in node.inputs] if node.op in _MOVES else []
    return _moved(node, inner, data, rank)


_MOVES = ("Concat", "Slice", "Gather", "Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape")


def _moved(node: Node, inner: list[list[Any] | None], data: str, rank: int) -> list[Any] | None:
    if node.op == "Shape" and node.input(0) == data:
        sizes = [(data, axis) for axis in range(rank)]
        return sizes[node.attributes.get("start", 0) : node.attributes.get("end", rank)]
    if node.op not in _MOVES:
        return [None]  # a product of sizes, say: which one it is matters only where a size stays
    if any(each is None for each in inner) or not inner:
        return None
    first = inner[0] or []
    if node.op == "Concat":
        return [size for each in inner for size in each or []]
    if node.op == "Gather":
        at = inner[1] or [None]
        return [first[place] for place in at if isinstance(place, int) and -len(first) <= place < len(first)]
    if node.op == "Slice":
        start, end = ((inner[at] or [None])[0] if at < len(inner) else None for at in (1, 2))
        plain = len(inner) < 5 or inner[4] == [1]
        return first[start:end] if isinstance(start, int) and isinstance(end, int) and plain else None
    return first
