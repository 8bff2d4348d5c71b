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
from ._custom import layout_of
from ._own import Caller
from ._tree_own import CalledTree, called_parts, is_layer, owned
from ._trees import Path, Tree, node_of, walk
from ._weight import Holder


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """All arrays of a tree, as one holder; with a layout, the layers that it describes; classes that are described by their
    user wherever they are in it."""
    if _is_pair(subject):
        yield from _beside(subject[0], subject[1], layout)
    elif node_of(subject) is not None:
        found = [] if layout is not None else _described(subject)
        tree = Tree(subject, skip=None if layout is not None or found else is_layer)
        for path, described in found:
            yield from called_parts(tree, described, path)
        if layout is not None:
            yield from called_parts(tree, layout) if is_layer(subject) else owned(tree, layout, lambda _path: ())
        elif tree.arrays and not found and not is_layer(subject):
            yield CalledTree(tree)


def _described(subject: Any) -> list[tuple[Path, Layout]]:
    """Where the classes are that their user described, outer ones only."""
    walked = [(path, layout_of(each)) for path, each in walk(subject, stop=lambda each: layout_of(each) is not None)]
    return [(path, described) for path, described in walked if described is not None]


def _beside(function: Callable[..., Any], given: Any, layout: Layout | None) -> Iterator[Holder]:
    """A function and the tree that it computes with."""
    tree = Tree(given, is_layer, lambda new: (function, new))
    callers = [Caller("function(tree, …)", lambda: lambda x, *states: function(tree.now(), x, *states))]
    if layout is not None:
        yield from owned(tree, layout, lambda _path: callers)
    elif tree.arrays:
        holder = CalledTree(tree)
        holder.callers = callers
        yield holder


def _is_pair(subject: Any) -> bool:
    if type(subject) is not tuple or len(subject) != 2 or node_of(subject[0]) is not None:
        return False
    return callable(subject[0]) and node_of(subject[1]) is not None and not is_layer(subject[1])
