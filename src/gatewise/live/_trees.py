"""Trees of arrays: dicts, lists, tuples, and whatever classes jax knows as trees, however deep.

A tree's leaves have names (the path to each); a tree with other leaves has the same structure and the same types.  The
tree that was given is never changed.  Source: jax/_src/tree_util.py (a node's children and their keys, one level at a
time).  jax is asked only where it is loaded and the node is no plain container.  Not known here: what the arrays mean.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..tensors import Tensors, WrittenBy
from ._arrays import as_numpy, dtype_of, is_array, library_of, like
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from ..layouts import Layout
    from ..tensors import Array

Path = tuple[str, ...]
_DEEPEST = 200  # no model is nested so deep; an object that holds itself is


class Node:
    """A node of a tree: its children by key, and how to make one like it with others."""

    def __init__(self, children: list[tuple[str, Any]], remade: Callable[[list[Any]], Any]):
        self.children, self.remade = children, remade


def node_of(value: Any) -> Node | None:
    """A value as a node; None for a leaf."""
    if isinstance(value, dict) and _plain(value):
        return Node([(str(key), each) for key, each in value.items()], lambda new: _dict_like(value, new))
    if type(value) in (list, tuple):
        return Node([(str(at), each) for at, each in enumerate(value)], type(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return Node(list(zip(value._fields, value, strict=True)), lambda new: type(value)(*new))
    return _node_of_jax(value)


def _plain(value: dict[Any, Any]) -> bool:
    """A dict, or a subclass that adds only ways of looking at it; MLX's modules are dicts too, and more."""
    return type(value).__module__.partition(".")[0] != "mlx"


def _dict_like(value: dict[Any, Any], new: list[Any]) -> dict[Any, Any]:
    made = copy.copy(value)
    for key, each in zip(value, new, strict=True):
        made[key] = each
    return made


def _node_of_jax(value: Any) -> Node | None:
    jax = sys.modules.get("jax")
    if jax is None or value is None or is_array(value) or isinstance(value, str | bytes | int | float | complex):
        return None
    try:
        pairs, structure = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda each: each is not value)
    except (TypeError, ValueError):  # keys that cannot be sorted; a custom node that refuses
        return None
    if len(pairs) == 1 and not pairs[0][0]:
        return None
    if isinstance(value, Mapping) and not all(hasattr(path[0], "key") and path[0].key in value for path, _ in pairs):
        return _mapping(value)
    return Node([(_key(path), each) for path, each in pairs], lambda new: jax.tree_util.tree_unflatten(structure, new))


def _mapping(value: Mapping[Any, Any]) -> Node:
    """A mapping that says nothing of its keys when it is taken apart (Haiku's FlatMap), or that jax does not know."""
    keys = list(value)
    made: Any = type(value)
    return Node([(str(key), value[key]) for key in keys], lambda new: made(dict(zip(keys, new, strict=True))))


def _key(path: Any) -> str:
    (key,) = path
    return str(next((getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)), key))


def walk(value: Any, path: Path = (), stop: Callable[[Any], bool] | None = None) -> Iterator[tuple[Path, Any]]:
    """Every node and leaf with its path, outer ones first; not below one where ``stop`` says so."""
    yield path, value
    if len(path) > _DEEPEST:
        raise UsageError(f"this object is nested more than {_DEEPEST} deep at {'/'.join(path[:6])} …")
    if stop is not None and stop(value):
        return
    found = node_of(value)
    for key, each in found.children if found else ():
        yield from walk(each, (*path, key), stop)


def mapped(value: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """The tree with ``change(path, leaf)`` for each leaf; a part in which nothing changes is that very part."""
    found = node_of(value)
    if found is None:
        return change(path, value)
    new = [mapped(each, change, (*path, key)) for key, each in found.children]
    same = all(one is other for one, (_, other) in zip(new, found.children, strict=True))
    return value if same else found.remade(new)


class Tree:
    """A tree that was given, and what was written since: several layers of one tree share it.

    ``arrays`` by path, as they are now;  ``given`` the tree itself;  ``whole``: the user's object, made of a tree, where
    that is more than the tree (a module with its variables).
    """

    def __init__(
        self, given: Any, skip: Callable[[Any], bool] | None = None, whole: Callable[[Any], Any] | None = None
    ):
        self.given, self._whole = given, whole
        self.arrays: dict[Path, Any] = {path: each for path, each in walk(given, stop=skip) if is_array(each)}
        self._written: set[Path] = set()

    def write(self, path: Path, array: Any) -> None:
        self.arrays[path] = array
        self._written.add(path)

    def now(self) -> Any:
        """The tree with what was written; the given one where nothing was."""
        if not self._written:
            return self.given
        return mapped(self.given, lambda path, leaf: self.arrays[path] if path in self._written else leaf)

    def result(self) -> Any:
        """The user's object with what was written."""
        return self.now() if self._whole is None else self._whole(self.now())

    def with_leaves(self, leaves: Mapping[Path, Any], other: Callable[[Any], Any]) -> Any:
        """A tree of this structure with other leaves: ``leaves`` by path, ``other(leaf)`` for the rest."""
        return mapped(self.given, lambda path, leaf: leaves[path] if path in leaves else other(leaf))

    def separator(self) -> str:
        """What joins the parts of a name: as in the files of who uses such arrays."""
        return next((library_of(each).separator for each in self.arrays.values()), "/")


class TreeWeight(Weight):
    """One array of a tree.  It is read where it lies and never written there: the tree gets another in its place."""

    def __init__(self, tree: Tree, path: Path, name: str):
        self.tree, self.path, self.name = tree, path, name
        array = tree.arrays[path]
        self.dtype, self.shape = dtype_of(array), tuple(array.shape)

    def native(self) -> Any:
        return self.tree.arrays[self.path]

    def array(self) -> Array:
        return as_numpy(self.native())

    def assign(self, array: Array) -> None:
        self.tree.write(self.path, like(array, self.native()))

    @property
    def frozen(self) -> bool:
        return False

    def freeze(self, frozen: bool = True) -> None:  # noqa: ARG002
        raise no_switch(self.name)


def no_switch(name: str) -> UsageError:
    return UsageError(
        f"{name} is an array, which knows nothing of training: what leaves it out is the optimizer.",
        next="Mask the updates: optax.chain(optimizer, optax.masked(optax.set_to_zero(), gw.select(…).mask_tree(whole=True))), "
        "or multiply the updates by 1 - gw.select(…).mask_tree() for a part of an array.",
    )


def mask_of(array: Any, chosen: Array | None, whole: bool) -> Any:
    """What stands for an array in a tree of masks: one boolean, or booleans of its library in its shape."""
    import numpy as np

    if whole:
        return chosen is not None
    return library_of(array).made(np.zeros(array.shape, bool) if chosen is None else chosen)


class TreeHolder(Holder):
    """The arrays of a tree, or those of one part of it, by the paths to them."""

    functional = True

    def __init__(
        self, tree: Tree, path: Path = (), *, framework: str = "", layouts: tuple[Layout, ...] | None = None,
        without: frozenset[Path] = frozenset(), separator: str | None = None,
    ):  # fmt: skip
        self.tree, self.at, self.layouts = tree, path, layouts
        self.joint = tree.separator() if separator is None else separator
        self.path, self.subject = self.joint.join(path), tree.given
        paths = [each for each in tree.arrays if each[: len(path)] == path and each not in without]
        names = {each: self.joint.join(each) for each in paths}
        self._weights = {name: TreeWeight(tree, each, name) for each, name in names.items()}
        self.libraries = list({id(found): found for found in map(library_of, map(tree.arrays.get, paths))}.values())
        self.framework = framework or next((library.name for library in self.libraries), "numpy")
        self.version = str(getattr(sys.modules.get(self.framework), "__version__", ""))

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def tensors(self) -> Tensors:
        """The weights as a file's would be, written by any of those who use such arrays."""
        writers = [self.framework, *(each for library in self.libraries for each in library.writers)]
        because = "the object is at hand"
        return Tensors(
            [weight.stored() for weight in self._weights.values()], path=self.path, declared=self.declared(),
            container="a tree in memory", written_by=[WrittenBy(each, self.version, because) for each in dict.fromkeys(writers)],
        )  # fmt: skip

    def result(self) -> Any:
        return self.tree.result()

    def mask_tree(self, masks: Mapping[str, Array], whole: bool) -> Any:
        """In the shape of the tree of parameters (of a pair, of its second); None in the place of what is no array."""
        chosen = {path: masks.get(self.joint.join(path)) for path in self.tree.arrays}

        def leaf(path: Path, value: Any) -> Any:
            return mask_of(value, chosen[path], whole) if path in chosen else None

        return mapped(self.tree.given, leaf)

    def part(self) -> Any:
        """The part of the tree that it is, as it is now."""
        return part_of(self.tree.now(), self.at)


def part_of(tree: Any, path: Path) -> Any:
    """What lies in a tree at a path."""
    for key in path:
        found = node_of(tree)
        tree = dict(found.children)[key] if found else tree
    return tree


__all__ = ["Path", "Tree", "TreeHolder", "TreeWeight", "mapped", "node_of", "part_of", "walk"]
