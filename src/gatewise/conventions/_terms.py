"""What every step of a conversion needs: the change it says, the refusal it raises, arrays made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotRepresentable
from ..layouts import Layout
from ..record import record
from ..tensors import numpy_dtype
from ..weights import GATELESS, ROLE_AXES, Gates, Stack, Weights

if TYPE_CHECKING:
    from ..tensors import Array

EXACT = "exact"
ONE_ROUNDING = "exact up to one rounding"
GIVEN_STATE = "exact for a state that is given"


@record
class Change:
    """What a conversion did to the numbers, and how exact that is."""

    what: str
    exactness: str

    def as_dict(self) -> dict[str, str]:
        return {"what": self.what, "exactness": self.exactness}


@record
class Expressed:
    """A stack in a target's terms: its ``form`` of the layout, and the changes that led there."""

    stack: Stack
    layout: Layout
    form: Mapping[str, Any]
    changes: tuple[Change, ...]


Step = Callable[[Stack, Layout], "tuple[Stack, Change | None]"]


def refuse(layout: Layout, reason: str, next: str | None = None) -> NotRepresentable:
    return NotRepresentable(f"{layout.name} cannot say this: {reason}", next=next)


def listed(values: Sequence[Any]) -> str:
    shown = [str(value) for value in dict.fromkeys(values)]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def each(stack: Stack, change: Callable[[Weights], Weights]) -> Stack:
    return stack.replaced({place: change(weights) for place, weights in stack.cells.items()})


def zeros(role: str, weights: Weights, gates: str) -> Gates:
    sizes = {"unit": weights.unit, "feature": weights.feature, "hidden": weights.hidden, "state": weights.unit}

    def make() -> Array:
        import numpy as np

        return np.zeros([sizes[axis] for axis in ROLE_AXES[role]], numpy_dtype(weights.dtype))

    return Gates(role, dict.fromkeys(("",) if role in GATELESS else gates, make))


def all_zero(stack: Stack, role: str, gate: str) -> bool:
    return not any(gate in weights.role(role) and weights.role(role)[gate].any() for weights in stack.cells.values())


def wide(array: Array) -> Array:
    import numpy as np

    return np.asarray(array, np.float64)


def rounded(wide: Array, like: Array) -> Array:
    narrow: Array = wide.astype(like.dtype)
    return narrow


def getter(gates: Gates, gate: str) -> Callable[[], Array]:
    return lambda: gates[gate]
