"""Layers of the user's own, whatever library their arrays are of: which part of an object is one, and what to call for it.

Not known here: which way of calling is the right one (``_custom.believed``), and any framework: who has modules says which
of them can be called (:class:`Caller`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout, Match, recognise
from ..record import record
from ..tensors import Tensors
from ._arrays import as_numpy, library_of, like
from ._calls import Reading, Tools, Way, readings, ways
from ._custom import Run

if TYPE_CHECKING:
    from ..tensors import Array

Function = Callable[..., Any]  # (x, *states) in the library's arrays


@record
class Caller:
    """What may be called for a layer: ``how`` for people, and functions that take x and states, made when they are used."""

    how: str
    function: Callable[[], Function]


def ways_of(callers: Sequence[Caller], letters: str, cells: int, example: Any) -> Iterator[Way]:
    """Every way of calling every caller, numpy in and out.  ``example``: an array of the layer's dtype and device."""
    for caller in callers:
        for way in ways(_anew(caller), letters, cells, _tools(example), caller.how):
            yield _numpy(way, example)


def _anew(caller: Caller) -> Function:
    """The function is made at each call: a tree may have been written since."""
    return lambda *arguments: caller.function()(*arguments)


def said(run: Run, layer: Callable[[], Any], letters: str, cells: int, example: Any) -> Iterator[Way]:
    """The way that the user said: ``run(layer, x, state)``, which may look at the state or not."""

    def call(x: Any, states: Sequence[Any]) -> Iterator[Reading]:
        yield from readings(run(layer(), x, tuple(states)), int(x.shape[1]), letters, cells, _tools(example))

    for stated in (True, False):
        yield _numpy(Way("run(layer, x, state)", stated, call), example)


def _tools(example: Any) -> Tools:
    library = library_of(example)
    return Tools(lambda arrays, axis: library.stack(list(arrays), axis), lambda array: array.swapaxes(0, 1))


def _numpy(way: Way, example: Any) -> Way:
    def call(x: Array, states: Sequence[Array]) -> Iterator[Reading]:
        for y, final in way.call(like(x, example), [like(each, example) for each in states]):
            yield as_numpy(y), None if final is None else tuple(map(as_numpy, final))

    return Way(way.how, way.stated, call)


def carry_first(function: Function) -> Function:
    """A cell as flax calls it, ``carry, y = cell(carry, x)``, as one that takes x first and gives y first."""

    def call(x: Any, *states: Any) -> Any:
        if not states:
            raise TypeError("a cell wants its carry")
        carry, y = function(*states, x)
        return y, carry

    return call


def matches_of(tensors: Tensors, layout: Layout) -> list[Match]:
    """The layers that a layout describes among an object's weights."""
    return list(recognise(tensors, (layout,), chosen=True).matches)


def around(paths: Sequence[str], match: Match, matches: Sequence[Match], joint: str) -> list[str]:
    """Of an object's parts those that hold all of a layer, the innermost first, and of those that hold other layers too
    only that one."""

    def holds(path: str, each: Match) -> bool:
        return all(name.startswith(path + joint) for name in each.tensors) if path else True

    holding = sorted((path for path in paths if holds(path, match)), key=len, reverse=True)
    alone = [path for path in holding if not any(holds(path, other) for other in matches if other is not match)]
    return alone or holding[:1]


def only(weights: Mapping[str, Any], match: Match | None) -> dict[str, Any]:
    """A layer's weights; all of them where there is no layer, to tell why."""
    return dict(weights) if match is None else {name: weights[name] for name in match.tensors}
