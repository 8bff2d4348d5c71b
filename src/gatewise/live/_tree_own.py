"""Trees that hold layers of the user's own, and what can be called for them.  Not known here: any framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..layouts import Layout, Match
from ._calls import Way
from ._own import Caller, around, matches_of, only, said, ways_of
from ._trees import Path, Tree, TreeHolder, node_of, part_of, walk


class CalledTree(TreeHolder):
    """The arrays of a tree that a function of the user's computes with, or that nothing is known to."""

    callers: Sequence[Caller] = ()

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        example = next(iter(self._weights.values())).native()
        if self.called is not None:
            yield from said(self.called, self.result, letters, cells, example)
        else:
            yield from ways_of(self.callers, letters, cells, example)


class TreeOwn(CalledTree):
    """A layer of the user's own in a tree.  Where nothing can be called for it, its layout is believed as it is said."""

    def __init__(
        self, tree: Tree, layout: Layout, match: Match | None, callers: Sequence[Caller], at: Path = (),
        framework: str = "", separator: str | None = None,
    ):  # fmt: skip
        super().__init__(tree, at, framework=framework, layouts=(layout,), separator=separator)
        self.subject = part_of(tree.given, at)
        self._weights = only(self._weights, match)
        self.callers = callers
        self._proved = False

    @property
    def believed(self) -> bool:  # type: ignore[override]
        return not (self.callers or self.called)

    @property
    def unproved(self) -> bool:
        return not self._proved and bool(self.callers or self.called)

    @unproved.setter
    def unproved(self, value: bool) -> None:
        self._proved = not value


def owned(
    tree: Tree, layout: Layout, callers: Callable[[str], Sequence[Caller]], parts: Sequence[str] = ("",), at: Path = (),
    framework: str = "", separator: str | None = None,
) -> Iterator[TreeOwn]:  # fmt: skip
    """The layers in a tree that a layout describes; where there is none, all its arrays, which tell why.

    ``parts``  paths of what can be called;  ``callers`` gives what to call at one;  ``at``: only what is below this path
    """
    whole = TreeOwn(tree, layout, None, (), at, framework, separator)
    matches = matches_of(whole.tensors(), layout)
    if not matches:
        yield whole
    for match in matches:
        near = around(parts, match, matches, whole.joint)
        found = [each for path in near for each in callers(path)]
        yield TreeOwn(tree, layout, match, found, at, framework, separator)


def is_layer(value: Any) -> bool:
    """Is it a part of a tree that can be called?  A variable around an array, which has that array's shape, can be too, and
    is none."""
    return callable(value) and not hasattr(value, "shape") and node_of(value) is not None


def called_parts(
    tree: Tree, layout: Layout, at: Path = (), framework: str = "", separator: str | None = None
) -> Iterator[TreeOwn]:
    """The layers that a layout describes, called by the parts of the tree that can be: for one example, as modules on jax
    usually are, or for whole batches."""
    joint = tree.separator() if separator is None else separator
    parts = {joint.join(path): path for path, each in walk(tree.given) if path[: len(at)] == at and is_layer(each)}

    def callers(path: str) -> list[Caller]:
        def part() -> Any:
            return part_of(tree.now(), parts[path])

        each, jax = path or "layer", sys.modules.get("jax")
        vmapped = [Caller(f"jax.vmap({each})", lambda: jax.vmap(part()))] if jax is not None else []
        return [*vmapped, Caller(each, part)]

    yield from owned(tree, layout, callers, list(parts), at, framework, separator)
