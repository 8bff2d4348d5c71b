"""Figures of a layer's gates: how large, how spread, how far its recurrence amplifies, how long it remembers.

Computed in float64 from the numbers by name; memory lengths from the forget biases alone, and from a run of the reference
where an input is given.  Not known here: any framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..cell import KEEPING, activation, kept, sigmoid
from ..errors import NotRepresentable, UsageError, few
from ..live import Live
from ..record import names, record
from ..weights import Stack, Weights
from ._layers import layers_of

if TYPE_CHECKING:
    from ..tensors import Array


@record
class Row:
    """One gate of one role of one cell.

    ``elements``, ``mean``, ``std``, ``smallest``, ``largest``  of its numbers; ``zeros`` how many are exactly zero
    ``frobenius``        the root of the sum of squares;  ``spectral_norm`` the largest singular value of a matrix
    ``spectral_radius``  the largest magnitude of an eigenvalue, of square recurrent kernels
    ``memory``           of the kernel rows of the gate that keeps the old state (f; a GRU's z): the mean over its units of
                         1 / (1 - f) steps, with f what the biases alone give
    ``memory_measured``  the same with f the mean over a run of the reference, where an input was given
    None where there is no such thing; infinite where a unit never forgets.
    """

    name: str
    layer: int
    direction: str
    role: str
    gate: str
    elements: int
    mean: float
    std: float
    smallest: float
    largest: float
    zeros: int
    frobenius: float
    spectral_norm: float | None = None
    spectral_radius: float | None = None
    memory: float | None = None
    memory_measured: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values: ``pandas.DataFrame([row.as_dict() for row in gw.statistics(model)])``."""
        return {name: getattr(self, name) for name in names(Row)}


def statistics(subject: Any, x: Any = None) -> list[Row]:
    """A :class:`Row` of figures for every gate of every role, layer by layer.

    ``subject``  a layer, model or tree of parameters in memory, or what :func:`gw.of` gave
    ``x``        [batch, time, feature]: run the reference over it, and tell what was remembered; of a model's layers each
                 gets it that takes so many features
    Raises UsageError where no layer takes x.
    """
    layers = layers_of(subject)
    runs = {id(live): _run(live, x) for live in layers} if x is not None else {}
    if x is not None and all(found is None for found in runs.values()):
        wanted = few(f"{live.name or live.cell} {live[0, 'forward'].feature}" for live in layers)
        raise UsageError(
            f"x has shape {list(_shape(x))}, and no layer takes that.",
            next=f"It is [batch, time, feature]; features are: {wanted}.",
        )
    return [row for live in layers for row in _rows(live, runs.get(id(live)) or {})]


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in getattr(x, "shape", ()))


def _run(live: Live, x: Any) -> Mapping[tuple[int, str], Array] | None:
    """What each unit keeps on the mean [unit]; empty without a gate for it, None where the layer does not take x."""
    array = live.holder.numpy(x)
    if array.ndim != 3 or array.shape[2] != live[0, "forward"].feature:
        return None
    return {place: found.mean(axis=(0, 1)) for place, found in kept(live, array).items()}


def _rows(live: Live, measured: Mapping[tuple[int, str], Array]) -> Iterator[Row]:
    import numpy as np

    gate_of_old = KEEPING.get(live.cell)
    keeping = "i" if live.dialect.coupled == gate_of_old else gate_of_old
    for (layer, direction), weights in live:
        for role, gates in weights.roles.items():
            for gate, array in gates.items():
                wide = np.asarray(array, np.float64)
                told = _of_matrix(role, wide)
                if role == "kernel" and gate == keeping:
                    told["memory"] = _steps(kept_at_rest(live, weights))
                    told["memory_measured"] = _steps(measured.get((layer, direction)))
                yield Row(
                    live.name, layer, direction, role, gate, wide.size, float(wide.mean()), float(wide.std()), float(wide.min()),
                    float(wide.max()), int((wide == 0).sum()), float(np.linalg.norm(wide)), **told,
                )  # fmt: skip


def _of_matrix(role: str, array: Array) -> dict[str, float | None]:
    import numpy as np

    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        return {}
    square = role == "recurrent_kernel" and array.shape[0] == array.shape[1]
    return {
        "spectral_norm": float(np.linalg.norm(array, 2)),
        "spectral_radius": float(np.abs(np.linalg.eigvals(array)).max()) if square else None,
    }


def kept_at_rest(stack: Stack, weights: Weights) -> Array | None:
    """How much of its state each unit keeps while x and h are zero, by its biases alone [unit]; None where there is no gate
    for it, or an unknown activation."""
    import numpy as np

    gate, dialect = KEEPING.get(stack.cell), stack.dialect
    if gate is None:
        return None
    turned = dialect.coupled == gate
    held = [
        np.asarray(each["i" if turned else gate], np.float64)
        for each in (weights.bias, weights.recurrent_bias)
        if ("i" if turned else gate) in each
    ]
    pre = sum(held, np.zeros(weights.unit)) + (0.0 if turned else dialect.forget_bias)
    try:
        opened = sigmoid(pre) if stack.cell == "slstm" else activation(dialect.recurrent_activation)(pre)
    except NotRepresentable:
        return None
    return 1.0 - opened if turned or dialect.update == "writes" else opened


def _steps(keeps: Array | None) -> float | None:
    """The mean of 1 / (1 - f)."""
    import numpy as np

    if keeps is None:
        return None
    with np.errstate(divide="ignore"):
        return float(np.mean(1.0 / (1.0 - keeps)))
