"""The reference cells: one time step each of LSTM, GRU and RNN, and the loop over time, depth and direction.

numpy float64 whatever the weights are stored in.  Equations as in the papers: LSTM Hochreiter & Schmidhuber 1997,
Gers, Schmidhuber & Cummins 2000 (forget gate), Gers & Schmidhuber 2000 (peepholes), Sak et al. 2014 (projection);
GRU Cho et al. 2014 (reset before the product), cuDNN's form (reset after).  Not known here: layer norm, coupled gates,
zoneout, masks and sequence lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import NotRepresentable, UsageError
from .weights import Dialect, Stack, Weights, hard_sigmoid_slope

if TYPE_CHECKING:
    from .tensors import Array

State = Mapping[tuple[int, str], tuple["Array", ...]]


# Activations.  A name may carry its slope: hard_sigmoid(0.2) is old Keras's, hard_sigmoid(1/6) is Keras 3's.


def sigmoid(x: Array) -> Array:
    import numpy as np

    return np.exp(-np.logaddexp(0.0, -x))  # neither tail overflows


def _hard_sigmoid(slope: float) -> Callable[[Array], Array]:
    import numpy as np

    return lambda x: np.clip(slope * x + 0.5, 0.0, 1.0)


def _table() -> dict[str, Callable[[Array], Array]]:
    import numpy as np

    return {
        "sigmoid": sigmoid,
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0.0),
        "linear": lambda x: x,
        "softsign": lambda x: x / (1.0 + np.abs(x)),
        "softplus": lambda x: np.logaddexp(0.0, x),
        "exponential": np.exp,
        "silu": lambda x: x * sigmoid(x),
        "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
        "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0.0))),
    }


ACTIVATIONS = (
    "sigmoid", "tanh", "relu", "linear", "softsign", "softplus", "exponential", "silu", "elu", "selu",
    "hard_sigmoid(0.2)", "hard_sigmoid(1/6)",
)  # fmt: skip


def activation(name: str | None) -> Callable[[Array], Array]:
    """The function called ``name``.  Raises NotRepresentable for one that gatewise does not know."""
    slope = hard_sigmoid_slope(name or "")
    if slope is not None:
        return _hard_sigmoid(slope)
    try:
        return _table()[name or ""]
    except KeyError:
        raise NotRepresentable(
            f"the activation {name!r} is not one that gatewise can compute.",
            next=f"Known: {', '.join(ACTIVATIONS)}; say what it is with --activation or --recurrent-activation.",
        ) from None


# Steps.  ``w`` holds one cell in float64; ``act`` and ``gate_act`` are the dialect's activations.


@dataclass(frozen=True)
class _Cell:
    """One cell's weights in float64, and its dialect with the activations looked up."""

    dialect: Dialect
    kernel: dict[str, Array]
    recurrent_kernel: dict[str, Array]
    bias: dict[str, Array]
    recurrent_bias: dict[str, Array]
    peephole: dict[str, Array]
    projection: Array | None
    gate_act: Callable[[Array], Array]
    act: Callable[[Array], Array]
    out_act: Callable[[Array], Array]

    def x_part(self, gate: str, x: Array) -> Array:
        """The input's share of a gate's pre-activation, with the input-side bias."""
        value: Array = x @ self.kernel[gate].T + self.bias.get(gate, 0.0)
        return value

    def h_part(self, gate: str, h: Array) -> Array:
        """The hidden state's share, with the hidden-side bias."""
        value: Array = h @ self.recurrent_kernel[gate].T + self.recurrent_bias.get(gate, 0.0)
        return value

    def clipped(self, pre: Array) -> Array:
        return _clip(pre, self.dialect.input_clip)


def _clip(x: Array, bound: float | None) -> Array:
    import numpy as np

    return x if bound is None else np.clip(x, -bound, bound)


def lstm_step(w: _Cell, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One LSTM step.  x: [batch, feature], h: [batch, hidden], c: [batch, unit]  ->  h, c.  Gers et al. 2000; with
    peepholes, i and f read the old c and o the new one (Gers & Schmidhuber 2000)."""
    pre = {gate: w.x_part(gate, x) + w.h_part(gate, h) for gate in "ifgo"}
    pre["f"] = pre["f"] + w.dialect.forget_bias
    i, f = (w.gate_act(w.clipped(pre[gate] + w.peephole.get(gate, 0.0) * c)) for gate in "if")
    c = _clip(f * c + i * w.act(w.clipped(pre["g"])), w.dialect.cell_clip)
    o = w.gate_act(w.clipped(pre["o"] + w.peephole.get("o", 0.0) * c))
    h = o * w.out_act(c)
    if w.projection is not None:
        h = _clip(h @ w.projection.T, w.dialect.proj_clip)
    return h, c


def gru_step(w: _Cell, x: Array, h: Array) -> tuple[Array]:
    """One GRU step.  x: [batch, feature], h: [batch, unit]  ->  h.  Cho et al. 2014 (before), cuDNN (after)."""
    r, z = (w.gate_act(w.clipped(w.x_part(gate, x) + w.h_part(gate, h))) for gate in "rz")
    if w.dialect.reset == "after":
        n = w.act(w.clipped(w.x_part("n", x) + r * w.h_part("n", h)))
    else:
        n = w.act(w.clipped(w.x_part("n", x) + w.h_part("n", r * h)))
    return (z * h + (1.0 - z) * n,) if w.dialect.update == "keeps" else ((1.0 - z) * h + z * n,)


def rnn_step(w: _Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of a vanilla RNN.  x: [batch, feature], h: [batch, unit]  ->  h.  Elman 1990."""
    return (w.act(w.clipped(w.x_part("h", x) + w.h_part("h", h))),)


STEPS: dict[str, Callable[..., tuple[Array, ...]]] = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


def _in_float64(weights: Weights, dialect: Dialect) -> _Cell:
    import numpy as np

    def plain(role: str) -> dict[str, Array]:
        return {gate: np.asarray(array, np.float64) for gate, array in weights.role(role).items()}

    projection = weights.projection
    identity = activation("linear")
    return _Cell(
        dialect, plain("kernel"), plain("recurrent_kernel"), plain("bias"), plain("recurrent_bias"), plain("peephole"),
        None if projection is None else np.asarray(projection, np.float64),
        activation(dialect.recurrent_activation) if dialect.recurrent_activation else identity,
        activation(dialect.activation),
        activation(dialect.output_activation) if dialect.output_activation else identity,
    )  # fmt: skip


# The loop.


def run(stack: Stack, x: Any, state: Any = None) -> tuple[Array, tuple[Array, ...]]:
    """Run a stack over a batch of sequences, in float64.

    ``x`` [batch, time, feature]; ``state`` None for zeros, else ``h0`` or ``(h0, c0)``, each
    [layers·directions, batch, hidden] (c0: unit) in torch's order, or a list of such arrays where sizes differ.
    Returns ``y`` [batch, time, hidden·directions] and the final states in the same form as ``state``.
    Raises UsageError for shapes that do not fit, NotRepresentable for activations that gatewise cannot compute.
    """
    import numpy as np

    value = np.asarray(x, np.float64)
    if value.ndim != 3:
        raise UsageError(f"x has shape {list(value.shape)}; a batch of sequences is [batch, time, feature].")
    features = stack[0, "forward"].feature
    if value.shape[2] != features:
        raise UsageError(f"x has {value.shape[2]} features; the layer takes {features}.")
    start = _states(stack, state, value.shape[0])
    last: list[tuple[Array, ...]] = []
    with np.errstate(over="ignore", invalid="ignore"):  # a NaN in the weights shows in what is returned
        for layer in range(stack.num_layers):
            outputs = []
            for direction in stack.directions:
                y, final = _scan(stack, layer, direction, value, start[len(last)])
                outputs.append(y)
                last.append(final)
            value = joined_outputs(outputs, stack.dialect.merge)
    count = 2 if stack.cell == "lstm" else 1
    return value, tuple(_stacked([final[index] for final in last]) for index in range(count))


def _stacked(states: list[Array]) -> Array:
    import numpy as np

    if len({state.shape for state in states}) == 1:
        return np.stack(states)
    ragged = np.empty(len(states), object)
    ragged[:] = states
    return ragged


def _scan(
    stack: Stack, layer: int, direction: str, x: Array, start: tuple[Array, ...]
) -> tuple[Array, tuple[Array, ...]]:
    import numpy as np

    weights, dialect = stack[layer, direction], stack.dialect
    cell, step, state = _in_float64(weights, dialect), STEPS[stack.cell], start
    # go_backwards turns both directions around; a reverse direction is turned back afterwards, a forward one is not.
    against_time = (direction == "reverse") != dialect.go_backwards
    times = range(x.shape[1] - 1, -1, -1) if against_time else range(x.shape[1])
    y = np.empty((x.shape[0], x.shape[1], weights.hidden))
    for position, time in enumerate(times):
        state = step(cell, x[:, time], *state)
        y[:, position] = state[0]
    return (y[:, ::-1] if direction == "reverse" else y), state


def joined_outputs(outputs: list[Array], merge: str) -> Array:
    """One direction's outputs as they are, two joined as the dialect's ``merge`` says."""
    import numpy as np

    if len(outputs) == 1:
        return outputs[0]
    forward, reverse = outputs
    how: dict[str, Callable[[], Array]] = {
        "concat": lambda: np.concatenate(outputs, axis=-1),
        "apart": lambda: np.concatenate(outputs, axis=-1),  # two outputs, given side by side
        "sum": lambda: forward + reverse,
        "ave": lambda: (forward + reverse) / 2.0,
        "mul": lambda: forward * reverse,
    }
    if merge not in how:
        raise NotRepresentable(f"gatewise does not know how {merge!r} joins two directions.")
    return how[merge]()


def _states(stack: Stack, state: Any, batch: int) -> list[tuple[Array, ...]]:
    import numpy as np

    shapes = [((batch, w.hidden), (batch, w.unit)) for _, w in stack]
    wanted = 2 if stack.cell == "lstm" else 1
    if state is None:
        return [tuple(np.zeros(shape) for shape in pair[:wanted]) for pair in shapes]
    given = state if isinstance(state, (tuple, list)) else (state,)
    if len(given) != wanted:
        raise UsageError(f"{stack.cell} takes {wanted} initial state(s), {len(given)} were given.")
    for each, name in zip(given, ("h0", "c0"), strict=False):
        if len(each) != len(shapes):
            raise UsageError(f"{name} holds {len(each)} state(s); this stack has {len(shapes)} (layers × directions).")
    cells = []
    for index, pair in enumerate(shapes):
        values = tuple(np.asarray(given[n][index], np.float64) for n in range(wanted))
        for found, shape, name in zip(values, pair, ("h0", "c0")[:wanted], strict=False):
            if found.shape != shape:
                raise UsageError(f"{name}[{index}] has shape {list(found.shape)}; {list(shape)} is wanted.")
        cells.append(values)
    return cells
