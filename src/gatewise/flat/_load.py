"""A vector's numbers written back into the object in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..conventions import express
from ..errors import NotRepresentable, UsageError
from ..live import Live

if TYPE_CHECKING:
    from ._map import Flat
    from ._unpacked import Unpacked


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


def _values(live: Live, unpacked: Unpacked) -> dict[Any, Any]:
    """Every gate of the live layer with its new number, in the layer's own terms."""
    said = express(unpacked.stack, live.match.layout).stack if unpacked.stack.layout != live.layout else unpacked.stack
    values = {}
    for place, weights in live:
        for role, gates in weights.roles.items():
            for gate in gates:
                if gate not in said[place].role(role):
                    raise NotRepresentable(f"the vector's order has no {role} of gate {gate}, which the layer has.")
                values[live.home(*place, role, gate)] = said[place].role(role)[gate]
    return values
