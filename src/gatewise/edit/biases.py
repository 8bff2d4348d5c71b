"""Two biases into one of them, and one into two, where a layer keeps two: the sum is what the cell sees.

Not where it is not the sum that it sees: a GRU that resets after the product multiplies the hidden side's n bias by r, so its
two n biases are two.  The tensors stay, with zeros in the other one.  Not known here: layouts with another number of
biases, which ``convert`` and ``transfer`` go to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts._code import Home
from ..live import Live
from ..selection import Numbers, Selector, Words
from ..tensors import numpy_dtype
from ._layers import called, layers_of, reached, written

if TYPE_CHECKING:
    from ..tensors import Array

_ROLES = ("bias", "recurrent_bias")
Parts = Callable[["Array", "Array", Any], "tuple[Any, Any]"]  # both in float64, the layer's dtype


def merge_biases(
    subject: Any, into: str = "bias", gate: Words = None, layer: Numbers = None, direction: Words = None
) -> Any:  # fmt: skip
    """Put the sum of each gate's two biases into one of them, and zero into the other.

    ``into``  "bias" (the input side: torch ``bias_ih``) or "recurrent_bias";  the rest as :func:`gw.select`

    The same function but for one rounding of each sum to the layer's dtype (none, where one of the two was zero).  A GRU that
    resets after the product keeps both of its n biases: merged, it would be another function.  Gives the object back, or the
    new one of a framework whose objects never change.  Raises UsageError where no layer has two biases.
    """
    if into not in _ROLES:
        raise UsageError(f"there is no bias called {into!r}.", next=f"They are {' and '.join(_ROLES)}.")
    first = into == _ROLES[0]

    def merged(bias: Array, recurrent: Array, _: Any) -> tuple[Any, Any]:
        total = bias + recurrent
        return (total, 0.0) if first else (0.0, total)

    return _changed(subject, Selector(gate=gate, layer=layer, direction=direction), merged)


def split_biases(
    subject: Any, share: float = 0.5, gate: Words = None, layer: Numbers = None, direction: Words = None
) -> Any:  # fmt: skip
    """Share the sum of each gate's two biases out among them: ``share`` of it to the input side's, the rest to the other.

    What is left of the sum after the first is rounded to the layer's dtype goes to the second, so the two add up to the sum
    as exactly as two numbers of that dtype can.  Otherwise as :func:`merge_biases`.  Training with the same learning rate
    moves the sum of two biases twice as fast as a single one; that, and nothing else, is what they are for.
    """

    if isinstance(share, bool) or not isinstance(share, int | float):
        raise UsageError(
            f"share is {share!r:.60}.", next="It is a number: the part of the sum that the input side gets."
        )

    def parted(bias: Array, recurrent: Array, dtype: Any) -> tuple[Any, Any]:
        total = bias + recurrent
        mine = (share * total).astype(dtype).astype(total.dtype)
        return mine, total - mine

    return _changed(subject, Selector(gate=gate, layer=layer, direction=direction), parted)


def _changed(subject: Any, selector: Selector, parts: Parts) -> Any:
    layers = layers_of(subject)
    double = [live for live in layers if live.spec.bias == "double"]
    if not double:
        raise UsageError(
            f"{called(layers[0])} has {_biases(layers[0])}, not two.",
            next="Two become one, and one two, when it is converted: gw.convert, gw.transfer.",
        )
    within = reached(double, selector)
    return written(subject, layers, [(live, _plan(live, selector, parts)) for live in double if id(live) in within])


def _biases(live: Live) -> str:
    return "no bias" if live.spec.bias == "none" else "one bias for each gate"


def _plan(live: Live, selector: Selector, parts: Parts) -> Mapping[Home, Any]:
    import numpy as np

    values: dict[Home, Any] = {}
    for at in dict.fromkeys((each.layer, each.direction, each.gate) for each in selector.of(live)):
        layer, direction, gate = at
        cell = live[layer, direction]
        if gate not in cell.bias or gate not in cell.recurrent_bias or gate in two_sums(live):
            continue
        one, other = (np.asarray(cell.role(role)[gate], np.float64) for role in _ROLES)
        for role, value in zip(_ROLES, parts(one, other, numpy_dtype(cell.dtype)), strict=True):
            values[live.home(layer, direction, role, gate)] = value
    if not values:
        raise UsageError(
            f"the two n biases of {called(live)} are not added up: r multiplies the second (reset after the product).",
            next="They stay two.",
        )
    return values


def two_sums(live: Live) -> str:
    """The gates whose two biases are not added up."""
    return "n" if live.dialect.reset == "after" and live.cell in ("gru", "mgu") else ""
