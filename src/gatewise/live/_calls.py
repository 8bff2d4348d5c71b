"""How a layer of the user's own may be called, and what it may return: ways to try, one after the other.

A way takes x [batch, time, feature] and the states [cells, batch, size] in one of the forms that people write, and reads
what comes back: y alone, y and states in any nesting, a list of steps.  Which of them is right nobody says: the one whose
numbers are the reference's (``_custom.believed``).  Not known here: any framework, beyond the two functions in ``Tools``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..record import record

States = Sequence[Any]  # one for each letter of the cell's states, [cells, batch, size]
Reading = tuple[Any, "tuple[Any, ...] | None"]  # y, and the final states where they can be told


@record
class Tools:
    """What a framework must lend: ``stack(tensors, axis)`` and ``swap(tensor)``, which exchanges the first two axes."""

    stack: Callable[[Sequence[Any], int], Any]
    swap: Callable[[Any], Any]


@record
class Way:
    """``how`` for people; ``stated``: is the layer given states?  ``call`` gives every reading of what it returns."""

    how: str
    stated: bool
    call: Callable[[Any, States], Iterator[Reading]]


@record
class _Form:
    """How states are handed over: ``make`` turns [cells, batch, size] ones into arguments; ``order`` is theirs."""

    text: str
    make: Callable[[States], tuple[Any, ...]]
    order: str


def ways(layer: Callable[..., Any], letters: str, cells: int, tools: Tools, name: str = "layer") -> Iterator[Way]:
    """Every way of calling ``layer``, the likeliest first: whole sequences, batch first and time first, with states and
    without; then step by step."""
    forms = list(_forms(letters, cells))
    for major in (False, True):
        x = f"x{' (time first)' if major else ''}"
        for form in forms:
            call = _whole(layer, form, letters, cells, tools, major)
            yield Way(f"{name}({x}, {form.text})", True, call)
        yield Way(f"{name}({x})", False, _whole(layer, None, letters, cells, tools, major))
    if cells == 1:
        for form in forms:
            yield Way(f"{name}(x_t, {form.text}) step by step", True, _stepped(layer, form, letters, tools))


def _forms(letters: str, cells: int) -> Iterator[_Form]:
    if cells == 1:
        yield from _spellings(letters, lambda states: [each[0] for each in states], "")
    yield from _spellings(letters, list, f" [{cells}, batch, size]")
    if cells > 1 and len(letters) == 1:
        yield _Form("[h, …] one a cell", lambda states: ([states[0][k] for k in range(cells)],), letters)
    elif cells > 1:
        pairs = f"[({', '.join(letters)}), …] one a cell"
        yield _Form(pairs, lambda states: ([tuple(each[k] for each in states) for k in range(cells)],), letters)


def _spellings(letters: str, take: Callable[[States], list[Any]], size: str) -> Iterator[_Form]:
    """The same states as a tuple, a list, one by one, and with c before h."""
    if len(letters) == 1:
        yield _Form(f"h{size}", lambda states: (take(states)[0],), letters)
        yield _Form(f"(h,){size}", lambda states: (tuple(take(states)),), letters)
        return
    text = ", ".join(letters)
    yield _Form(f"({text}){size}", lambda states: (tuple(take(states)),), letters)
    yield _Form(f"{text}{size}", lambda states: tuple(take(states)), letters)
    yield _Form(f"[{text}]{size}", lambda states: (take(states),), letters)
    if letters == "hc":
        yield _Form(f"(c, h){size}", lambda states: (tuple(take(states)[::-1]),), "ch")


def _whole(
    layer: Callable[..., Any], form: _Form | None, letters: str, cells: int, tools: Tools, major: bool
) -> Callable[[Any, States], Iterator[Reading]]:  # fmt: skip
    def call(x: Any, states: States) -> Iterator[Reading]:
        time = int(x.shape[1])
        given = layer(tools.swap(x) if major else x, *(form.make(states) if form else ()))
        for y, final in readings(given, time, letters, cells, tools):
            yield (tools.swap(y) if major and y.ndim == 3 else y), final

    return call


def _stepped(
    layer: Callable[..., Any], form: _Form, letters: str, tools: Tools
) -> Callable[[Any, States], Iterator[Reading]]:  # fmt: skip
    def call(x: Any, states: States) -> Iterator[Reading]:
        outputs, now = [], list(states)
        for step in range(int(x.shape[1])):
            found = list(flattened(layer(x[:, step], *form.make(now))))
            if len(found) not in (len(letters), len(letters) + 1):
                raise ValueError(f"one step gave {len(found)} tensors")
            latest = dict(zip(form.order, found[-len(letters) :], strict=True))
            outputs.append(found[0] if len(found) > len(letters) else latest["h"])
            now = [tools.stack([latest[letter]], 0) for letter in letters]
        yield tools.stack(outputs, 1), tuple(now)

    return call


def readings(given: Any, time: int, letters: str, cells: int, tools: Tools) -> Iterator[Reading]:
    """What a layer's return value may mean: y (whole, as a list of steps, or its last one) and its final states."""
    items = list(given.values()) if isinstance(given, Mapping) else given
    if not isinstance(items, tuple | list):
        yield items, None
        return
    if _steps(items, time):
        yield tools.stack(list(items), 1), None
        return
    for y, rest in ((items[0], items[1:]), (items[-1], items[:-1])):
        whole = tools.stack(list(y), 1) if _steps(y, time) else y
        if hasattr(whole, "shape"):
            for final in _finals(list(rest), letters, cells, tools):
                yield whole, final
            yield whole, None


def _steps(value: Any, time: int) -> bool:
    return isinstance(value, tuple | list) and len(value) == time and all(_axes(each) == 2 for each in value)


def _axes(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _finals(rest: list[Any], letters: str, cells: int, tools: Tools) -> Iterator[tuple[Any, ...]]:
    """The final states [cells, batch, size], in every order in which so many tensors may be they."""
    flat, count = list(flattened(rest)), len(letters)
    if not all(_axes(each) in (2, 3) for each in flat):
        return
    if len(flat) == count:
        whole = tuple(tools.stack([each], 0) if _axes(each) == 2 else each for each in flat)
        yield whole
        if letters == "hc":
            yield whole[::-1]
    elif len(flat) == count * cells:
        yield tuple(tools.stack(flat[number::count], 0) for number in range(count))
        yield tuple(tools.stack(flat[number * cells : (number + 1) * cells], 0) for number in range(count))


def flattened(value: Any) -> Iterator[Any]:
    """The tensors of what a layer returned, in order: ``(y, (h, c))`` gives y, h, c."""
    if isinstance(value, Mapping):
        yield from flattened(list(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from flattened(each)
    elif value is not None:
        yield value
