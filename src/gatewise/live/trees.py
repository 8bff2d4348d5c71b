"""Trees of arrays that no class of a framework tells: parameter dicts of Flax, Haiku, MLX or anybody, state dicts.

They are known by their names and shapes, as a file's tensors are; what a class would have told is assumed, and said.
Below an object that can be called nothing is looked for: it is a layer of its own making, and its class says what the
numbers mean.  Not known here: any framework.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..layouts import Layout
from ._trees import Tree, TreeHolder, node_of
from ._weight import Holder


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """All arrays of a tree, as one holder; nothing for what is no tree, or holds no array."""
    if node_of(subject) is None or _is_layer(subject):
        return
    tree = Tree(subject, skip=_is_layer)
    if tree.arrays:
        yield TreeHolder(tree, layouts=None if layout is None else (layout,))


def _is_layer(value: Any) -> bool:
    """Can it be called?  A variable around an array, which has that array's shape, can be too, and is none."""
    return callable(value) and not hasattr(value, "shape") and node_of(value) is not None
