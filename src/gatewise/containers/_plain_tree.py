"""Walks a plain tree of dicts, lists and arrays: each array by the path to it, with ``/`` between the parts.

That is what numpy and jax programs save: ``{"params": {"lstm": {"w": array}}}``.  Objects are walked by what their pickle
says of them: a mapping's class around a dict (flax's FrozenDict) is transparent, an object's attributes are its parts,
and optax's states, which are tuples, get the names of their fields.  Not known here: what any name means.
Source for optax: optax/_src/transform.py and optax/_src/base.py, the NamedTuples' fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ..cursor import Limits
from ..errors import BrokenFile
from ..tensors import StoredTensor
from ._pickled import MISSING, Global, Stub

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

Leaf = Callable[[object, str], "StoredTensor | None"]
_LONGEST_NAME = 10_000
_FIELDS = {
    "ScaleByAdamState": ("count", "mu", "nu"), "ScaleByAmsgradState": ("count", "mu", "nu", "nu_max"),
    "ScaleByBeliefState": ("count", "mu", "nu"), "ScaleByLionState": ("count", "mu"),
    "ScaleByRmsState": ("nu",), "ScaleByRStdDevState": ("mu", "nu"), "ScaleByRmsWithCountState": ("count", "nu"),
    "ScaleByRStdDevWithCountState": ("count", "mu", "nu"), "TraceState": ("trace",), "EmaState": ("count", "ema"),
    "ScaleByRssState": ("sum_of_squares",), "ScaleByScheduleState": ("count",),
    "MultiStepsState": ("mini_step", "gradient_step", "inner_opt_state", "acc_grads", "skip_state"),
    "InjectHyperparamsState": ("count", "hyperparams", "inner_state"), "MaskedState": ("inner_state",),
}  # fmt: skip


# One step of a path as jax.tree_util.keystr spells it: ['name'], ["it's"], [0], .field, [<flat index 0>].
_STEP = re.compile(r"""\['((?:[^'\\]|\\.)*)'\]|\["([^"]*)"\]|\[(?:<flat index )?(\d+)>?\]|\.(\w+)""")


def path_of_keys(name: str) -> str | None:
    """``['params']['lstm']['w']`` → ``params/lstm/w``; None for a name that is no such path."""
    if not name.startswith(("[", ".")) or "[" not in name:
        return None
    pieces, at = [], 0
    while at < len(name):
        step = _STEP.match(name, at)
        if step is None:
            return None
        pieces.append(next(piece for piece in step.groups() if piece is not None))
        at = step.end()
    return "/".join(pieces)


def with_paths(tensors: list[StoredTensor]) -> list[StoredTensor]:
    """The same tensors; where all their names are jax's spelled paths, by these paths."""
    paths = [path_of_keys(tensor.name) for tensor in tensors]
    if None in paths or len(set(paths)) < len(paths):
        return tensors
    return [tensor.renamed(path) for tensor, path in zip(tensors, paths, strict=True) if path is not None]


def walk(root: object, leaf: Leaf, limits: Limits, path: object) -> list[StoredTensor]:
    """Every array of a tree, in the file's order.  ``leaf`` tells whether a value is one.

    Raises LimitExceeded, BrokenFile.
    """
    return list(_Walk(leaf, limits, path).visit(root, "", 0))


class _Walk:
    def __init__(self, leaf: Leaf, limits: Limits, path: object):
        self._leaf, self._limits, self._path = leaf, limits, path
        self._seen: set[int] = (
            set()
        )  # the first path to each container is its path: a cycle ends, sharing costs nothing
        self._names: dict[str, int] = {}  # → how many asked for it
        self._visits = 0

    def visit(self, value: object, name: str, depth: int) -> Iterator[StoredTensor]:
        self._limits.check("nesting", depth, path=self._path, where=name)
        self._visits += 1
        self._limits.check("objects", self._visits, path=self._path, where=name)
        tensor = self._leaf(value, name)
        if tensor is not None:
            yield self._new(tensor)
        elif isinstance(value, dict | list | tuple | Stub) and id(value) not in self._seen:
            self._seen.add(id(value))
            for key, part in _parts(value):
                yield from self.visit(part, f"{name}/{key}" if name and key else key or name, depth + 1)

    def _new(self, tensor: StoredTensor) -> StoredTensor:
        """A flat dict may hold ``a/b`` beside a nested one's: the later gets a number, none is lost."""
        self._limits.check("tensors", len(self._names) + 1, path=self._path)
        name = tensor.name
        if len(name) > _LONGEST_NAME:
            raise BrokenFile(f"a name has {len(name):,} characters: {name[:60]} …", path=self._path)
        while name in self._names:
            self._names[tensor.name] = number = self._names.get(tensor.name, 1) + 1
            name = f"{tensor.name}#{number}"
        self._names[name] = 1
        return tensor if name == tensor.name else tensor.renamed(name)


def _parts(value: object) -> Iterator[tuple[str, Any]]:
    """What lies in a container or an object, with its part of the path ("" where the class adds nothing to it)."""
    if isinstance(value, dict):
        yield from _pairs(value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(place), part) for place, part in enumerate(value))
    elif isinstance(value, Stub):
        yield from _of_object(value)


def _of_object(stub: Stub) -> Iterator[tuple[str, Any]]:
    fields = _FIELDS.get(stub.cls.name) if isinstance(stub.cls, Global) and "optax" in stub.cls.module else None
    if fields is not None:
        yield from zip(fields, stub.args, strict=False)
    elif len(stub.args) == 1 and stub.how == "reduce" and stub.state is MISSING:
        yield "", stub.args[0]
    else:
        yield from ((str(place), part) for place, part in enumerate(stub.args))
    yield from stub.kwargs.items()
    yield from ((str(place), part) for place, part in enumerate(stub.items))
    yield from _pairs(stub.entries)
    if stub.attributes:
        yield from _pairs(stub.attributes.items())
    elif isinstance(stub.state, dict | list | tuple):
        yield "state", stub.state


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    for place, (key, part) in enumerate(pairs):
        yield _key(key, place), part


def _key(key: object, place: int) -> str:
    """Texts and numbers name what they are the keys of; flax's flattened trees have tuples of them."""
    if isinstance(key, bytes):
        key = key.decode("utf-8", "replace")
    if isinstance(key, str | int):
        return path_of_keys(str(key)) or str(key)
    if isinstance(key, tuple) and key and all(isinstance(piece, str | int) for piece in key):
        return "/".join(map(str, key))
    return f"<{place}>"
