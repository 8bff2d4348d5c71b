"""A vector's numbers written back into the object in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..conventions import express
from ..errors import NotRepresentable, UsageError
from ..live import Live
from ..record import replace
from ..weights import BIAS, PEEPHOLE, PEEPHOLE_KERNEL, RECURRENT_BIAS, Stack

if TYPE_CHECKING:
    from ._map import Flat
    from ._unpacked import Unpacked


_ADDED = (*BIAS, *RECURRENT_BIAS, *PEEPHOLE, *PEEPHOLE_KERNEL)  # what is only added: where it is missing, it is zero


def load(flat: Flat, unpacked: Unpacked) -> Any:
    """Write what is unpacked into the subject; gives the object, or the new one."""
    live = flat.subject
    if not isinstance(live, Live):
        raise UsageError(
            "there is nothing in memory to write into: the weights are a file's.",
            next="unpack(vector).stack is the layer with these numbers; gw.save writes it.",
        )
    live.write(_values(live, unpacked))
    return live.result


def _in_its_terms(stack: Stack, live: Live) -> Stack:
    """The stack as the live layer's own layout stores it.  In which direction time is read and how two directions are
    joined is the object's affair and in no number."""
    plain = live.match.layout.meaning
    timeless = replace(
        stack.dialect, merge=plain.merge, go_backwards=plain.go_backwards, backwards_in_place=plain.backwards_in_place
    )
    return express(stack.replaced(dialect=timeless), live.match.layout).stack


def _values(live: Live, unpacked: Unpacked) -> dict[Any, Any]:
    """Every gate of the live layer with its new number, in the layer's own terms."""
    said = unpacked.stack if unpacked.stack.layout == live.layout else _in_its_terms(unpacked.stack, live)
    values: dict[Any, Any] = {}
    for place, weights in live:
        for role, gates in weights.roles.items():
            for gate in gates:
                if gate not in said[place].role(role) and role in _ADDED:
                    values[live.home(*place, role, gate)] = 0.0
                    continue
                if gate not in said[place].role(role):
                    raise NotRepresentable(f"the vector's order has no {role} of gate {gate}, which the layer has.")
                values[live.home(*place, role, gate)] = said[place].role(role)[gate]
    return values
