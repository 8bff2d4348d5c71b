"""Trees of arrays that no class of a framework tells: parameter dicts of Flax, MLX or anybody, state dicts.

They are known by their names and shapes, as a file's tensors are; what a class would have told is assumed, and said.  A pair
``(function, tree)`` says what computes with them: ``function(tree, x, *states)``.  Below an object that can be called
nothing is looked for: it is a layer of its own making, and its class says what the numbers mean.  Not known here: any
framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..layouts import Layout
from ._own import Caller
from ._tree_own import CalledTree, owned
from ._trees import Tree, node_of
from ._weight import Holder


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """All arrays of a tree, as one holder; with a layout, the layers that it describes."""
    pair = _is_pair(subject)
    if not pair and (node_of(subject) is None or _is_layer(subject)):
        return
    tree = Tree(subject[1], _is_layer, lambda new: (subject[0], new)) if pair else Tree(subject, _is_layer)
    if not tree.arrays:
        return
    callers = [Caller("function(tree, …)", lambda: _with(subject[0], tree.now()))] if pair else []
    if layout is not None:
        yield from owned(tree, layout, lambda _path: callers)
        return
    holder = CalledTree(tree)
    holder.callers = callers
    yield holder


def _is_pair(subject: Any) -> bool:
    if type(subject) is not tuple or len(subject) != 2 or node_of(subject[0]) is not None:
        return False
    return callable(subject[0]) and node_of(subject[1]) is not None and not _is_layer(subject[1])


def _with(function: Callable[..., Any], tree: Any) -> Callable[..., Any]:
    return lambda x, *states: function(tree, x, *states)


def _is_layer(value: Any) -> bool:
    """Can it be called?  A variable around an array, which has that array's shape, can be too, and is none."""
    return callable(value) and not hasattr(value, "shape") and node_of(value) is not None
