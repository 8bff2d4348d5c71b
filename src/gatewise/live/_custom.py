"""Layers of the user's own: which class is described by which layout, and when that is believed.

A layout is believed once the real layer's forward run agrees with the reference's.  How the layer is called is found by
trying (``_calls``), unless the user says it.  Not known here: any framework.
"""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..cell import run as reference
from ..errors import ProofFailed, UsageError
from ..layouts import Layout, layout
from ..proof import TIME, Proof, Ran, compared, random_input
from ..record import replace
from ..weights import Stack
from ._calls import Way, flattened
from ._nearby import instead

if TYPE_CHECKING:
    from ..tensors import Array

Run = Callable[..., Any]  # run(layer, x, state) -> y, or (y, states…); framework tensors, x [batch, time, feature]
Kind = TypeVar("Kind", bound=type)
_DESCRIBED: weakref.WeakKeyDictionary[type, Layout] = weakref.WeakKeyDictionary()


def described_by(name: str | Layout) -> Callable[[Kind], Kind]:
    """Class decorator: instances are layers of this layout (a :class:`Layout`, its name, or a TOML file), wherever
    gatewise meets them.

        @gw.described_by(gw.Layout("mine.LSTM", "lstm", "fiog", parts=(…)))
        class MyLSTM(torch.nn.Module): …
    """
    found = layout(name)

    def described(kind: Kind) -> Kind:
        _DESCRIBED[kind] = found
        return kind

    return described


def layout_of(subject: Any) -> Layout | None:
    """The layout by which a class, or one that it is made of, was described."""
    return next((_DESCRIBED[kind] for kind in type(subject).__mro__ if kind in _DESCRIBED), None)


def stacked(states: Any) -> Array:
    """One state of every cell, [cells, batch, size]; where the cells differ in size, an array of such."""
    import numpy as np

    if len({np.shape(each) for each in states}) == 1:
        return np.stack([np.asarray(each) for each in states])
    several = np.empty(len(states), object)
    several[:] = [np.asarray(each) for each in states]
    return several


_TOLD = 4  # so many failed ways are told


def believed(stack: Stack, told: Layout, ways: Iterable[Way], against: str, tolerance: float) -> tuple[Proof, Way]:
    """The way of calling a layer whose numbers are the reference's, and the proof.  Raises ProofFailed where all differ,
    with the nearest, and what would agree instead, and UsageError where none gave an output of the right shape."""
    # As many sequences as steps, so that who takes one axis for the other computes something else and does not fail: the
    # kernels below a layer need not check what they are given, and may bring down the process.
    x, given = random_input(stack, TIME)
    state = tuple(stacked(each) for each in given)
    runs = _References(stack, x, state)
    best: tuple[Proof, Way] | None = None
    failures: dict[str, str] = {}
    outputs: list[tuple[bool, Array]] = []
    for way in ways:
        for number, y, proof in _proofs(stack, way, runs, against, tolerance, failures):
            outputs.append((way.stated, y))
            if best is None or _better(proof, best[0]):
                best = proof, replace(way, call=_only(way, number))
        if best is not None and best[0].same:
            return best
    if best is None:
        raise _uncallable(stack, failures)
    proof, way = best
    raise ProofFailed(
        f"{stack.name or 'the layer'} computes something else than {stack.layout} with these weights: "
        f"max |Δ| = {proof.max_abs_error:.3g}, allowed {proof.tolerance:g} (called as {way.how}).",
        next=instead(stack, told, runs[True], outputs, tolerance)
        or "Is the layout, its gate order or its dialect another?",
    )


class _References:
    """The reference's runs of the same input, each made when asked for: from given states, and from the layer's own."""

    def __init__(self, stack: Stack, x: Any, state: Any):
        self.stack, self.x, self.state = stack, x, state
        self._made: dict[bool, Ran] = {}

    def __getitem__(self, stated: bool) -> Ran:
        if stated not in self._made:
            state = self.state if stated else None
            self._made[stated] = Ran(self.x, self.state, *reference(self.stack, self.x, state))
        return self._made[stated]


def _proofs(
    stack: Stack, way: Way, runs: _References, against: str, tolerance: float, failures: dict[str, str]
) -> Iterator[tuple[int, Array, Proof]]:  # fmt: skip
    """What one way's return value proves, in each of its readings: the reading's number, y and the proof.  Why it proves
    nothing is added to ``failures``."""
    ran, start = runs[way.stated], "" if way.stated else ", from its own initial state"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(way.call(runs.x, runs.state))
    except Exception as error:  # whatever the user's own code raises
        first = str(error).strip().partition("\n")[0]
        failures.setdefault(f"{type(error).__name__}: {first}"[:160], way.how)
        return
    for number, (y, final) in enumerate(found):
        try:
            yield number, y, compared(stack, ran, y, final, f"{against}, called as {way.how}{start}", tolerance)
        except (UsageError, TypeError, ValueError):
            failures.setdefault(f"gave {list(getattr(y, 'shape', ()))}, wanted {list(ran.y.shape)}", way.how)


def _only(way: Way, number: int) -> Callable[[Any, Any], Iterator[Any]]:
    """Of a way's readings the one that was found right."""
    return lambda x, states: itertools.islice(way.call(x, states), number, number + 1)


def _better(one: Proof, other: Proof) -> bool:
    """A proof is better than none; then the one that compared more, or where both fail, the nearer one."""
    if one.same and other.same:
        return len(one.compared) > len(other.compared)
    return one.same or (not other.same and not one.max_abs_error >= other.max_abs_error)


def _uncallable(stack: Stack, failures: dict[str, str]) -> UsageError:
    said = [f"{how}: {why}" for why, how in failures.items()]
    more = f"; and {len(said) - _TOLD} more" if len(said) > _TOLD else ""
    return UsageError(
        f"{stack.name or 'the layer'} could not be called to check its layout ({'; '.join(said[:_TOLD])}{more}).",
        next="Say how with run=lambda layer, x, state: …, or check=False to believe the layout.",
    )


__all__ = ["Run", "believed", "described_by", "flattened", "layout_of", "stacked"]
