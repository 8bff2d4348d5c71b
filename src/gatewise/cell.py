"""The reference cells: one time step each of LSTM, GRU and RNN, and the loop over time, depth and direction.

numpy float64 whatever the weights are stored in.  Equations as in the papers: LSTM Hochreiter & Schmidhuber 1997,
Gers, Schmidhuber & Cummins 2000 (forget gate), Gers & Schmidhuber 2000 (peepholes), Sak et al. 2014 (projection);
GRU Cho et al. 2014 (reset before the product), cuDNN's form (reset after); coupled gates Greff et al. 2015 (CIFG);
MGU Zhou et al. 2016; UGRNN Collins et al. 2017; sLSTM Beck et al. 2024.  Not known here: layer norm, zoneout, masks and
sequence lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import NotRepresentable, UsageError
from .weights import ACTIVATIONS, STATES, Dialect, Stack, Weights, hard_sigmoid_slope, require_stacks

if TYPE_CHECKING:
    from .tensors import Array

State = Mapping[tuple[int, str], tuple["Array", ...]]
Watch = Callable[[tuple[int, str], int, "_Cell", "Array", tuple["Array", ...]], None]  # of each step, before it


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
    peephole_kernel: dict[str, Array]
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

    def c_part(self, gate: str, c: Array) -> Array | float:
        """The cell state's share, through a diagonal or a full peephole; 0 without one."""
        share: Array | float = self.peephole.get(gate, 0.0) * c if gate in self.peephole else 0.0
        if gate in self.peephole_kernel:
            share = share + c @ self.peephole_kernel[gate].T
        return share

    def clipped(self, pre: Array) -> Array:
        return _clip(pre, self.dialect.input_clip)


def _clip(x: Array, bound: float | None) -> Array:
    import numpy as np

    return x if bound is None else np.clip(x, -bound, bound)


def lstm_step(w: _Cell, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One LSTM step.  x: [batch, feature], h: [batch, hidden], c: [batch, unit]  ->  h, c.  Gers et al. 2000; with
    peepholes, i and f read the old c and o the new one (Gers & Schmidhuber 2000).  A coupled gate is 1 minus the other,
    whatever is stored for it (Greff et al. 2015)."""
    own = [gate for gate in "ifgo" if gate != w.dialect.coupled]
    pre = {gate: w.x_part(gate, x) + w.h_part(gate, h) for gate in own}
    if "f" in pre:
        pre["f"] = pre["f"] + w.dialect.forget_bias
    open = {gate: w.gate_act(w.clipped(pre[gate] + w.c_part(gate, c))) for gate in "if" if gate in pre}
    i = open["i"] if "i" in open else 1.0 - open["f"]
    f = open["f"] if "f" in open else 1.0 - open["i"]
    c = _clip(f * c + i * w.act(w.clipped(pre["g"])), w.dialect.cell_clip)
    o = w.gate_act(w.clipped(pre["o"] + w.c_part("o", c)))
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


def mgu_step(w: _Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of a minimal gated unit: a GRU whose one gate f serves as reset and update.  Zhou et al. 2016.
    ``reset`` None: the candidate sees the whole h (Flax's MGUCell with reset_gate=False)."""
    f = w.gate_act(w.clipped(w.x_part("f", x) + w.h_part("f", h)))
    if w.dialect.reset == "before":
        below = w.h_part("n", f * h)
    else:
        below = w.h_part("n", h) * (f if w.dialect.reset == "after" else 1.0)
    n = w.act(w.clipped(w.x_part("n", x) + below))
    return (f * h + (1.0 - f) * n,) if w.dialect.update == "keeps" else ((1.0 - f) * h + f * n,)


def ugrnn_step(w: _Cell, x: Array, h: Array) -> tuple[Array]:
    """One step of an update gate RNN.  x: [batch, feature], h: [batch, unit]  ->  h.  Collins et al. 2017."""
    z = w.gate_act(w.clipped(w.x_part("z", x) + w.h_part("z", h) + w.dialect.forget_bias))
    n = w.act(w.clipped(w.x_part("n", x) + w.h_part("n", h)))
    return (z * h + (1.0 - z) * n,) if w.dialect.update == "keeps" else ((1.0 - z) * h + z * n,)


def slstm_step(w: _Cell, x: Array, h: Array, c: Array, n: Array, m: Array) -> tuple[Array, Array, Array, Array]:
    """One sLSTM step: exponential i, f through a log-sigmoid, held by the stabiliser m and the normaliser n.
    h, c, n, m: [batch, unit].  At the first step (n all zero) m is i's own logarithm.  Beck et al. 2024, eq. 8 to 17."""
    import numpy as np

    log_i, raw_f, raw_g, raw_o = (w.x_part(gate, x) + w.h_part(gate, h) for gate in "ifgo")
    log_f = -np.logaddexp(0.0, -(raw_f + w.dialect.forget_bias)) + m
    top = np.maximum(log_i, log_f) if n.any() else log_i
    i, f = np.exp(log_i - top), np.exp(log_f - top)
    c, n = f * c + i * w.act(raw_g), f * n + i
    return sigmoid(raw_o) * c / n, c, n, top


STEPS: dict[str, Callable[..., tuple[Array, ...]]] = {
    "lstm": lstm_step, "gru": gru_step, "rnn": rnn_step, "mgu": mgu_step, "ugrnn": ugrnn_step, "slstm": slstm_step,
}  # fmt: skip


def _in_float64(weights: Weights, dialect: Dialect) -> _Cell:
    import numpy as np

    def plain(role: str) -> dict[str, Array]:
        return {gate: np.asarray(array, np.float64) for gate, array in weights.role(role).items()}

    projection = weights.projection
    identity = activation("linear")
    return _Cell(
        dialect, plain("kernel"), plain("recurrent_kernel"), plain("bias"), plain("recurrent_bias"), plain("peephole"),
        plain("peephole_kernel"),
        None if projection is None else np.asarray(projection, np.float64),
        activation(dialect.recurrent_activation) if dialect.recurrent_activation else identity,
        activation(dialect.activation),
        activation(dialect.output_activation) if dialect.output_activation else identity,
    )  # fmt: skip


# The loop.


def run(stack: Stack, x: Any, state: Any = None) -> tuple[Array, tuple[Array, ...]]:
    """Run a stack over a batch of sequences, in float64.

    ``x`` [batch, time, feature]; ``state`` None for the state that is stored, or zeros, else ``h0`` or ``(h0, c0)`` (sLSTM: h0, c0, n0, m0), each
    [layers·directions, batch, hidden] (all but h0: unit) in torch's order, or a list of such arrays where sizes differ.
    Returns ``y`` [batch, time, hidden·directions] and the final states in the same form as ``state``.
    Raises UsageError for shapes that do not fit, NotRepresentable for activations that gatewise cannot compute.
    """
    return _run(stack, x, state, None)


def kept(stack: Stack, x: Any, state: Any = None) -> dict[tuple[int, str], Array]:
    """How much of its old state each unit keeps at each step of :func:`run`: (layer, direction) → [batch, time, unit].
    That is f of an LSTM; of a GRU z, or 1 - z where that is what takes the new one.  Empty for an RNN, which has no such gate."""
    import numpy as np

    steps = {place: [np.zeros(0)] * np.shape(x)[1] for place, _ in stack if stack.cell in KEEPING}

    def watch(place: tuple[int, str], time: int, cell: _Cell, x: Array, state: tuple[Array, ...]) -> None:
        if place in steps:
            steps[place][time] = _kept(stack.cell, cell, x, *state)

    _run(stack, x, state, watch)
    return {place: np.stack(found, axis=1) for place, found in steps.items()}


KEEPING = {"lstm": "f", "slstm": "f", "mgu": "f", "gru": "z", "ugrnn": "z"}  # cell → the gate of the old state


def _kept(kind: str, w: _Cell, x: Array, h: Array, c: Array | float = 0.0, *_: Array) -> Array:
    gate = KEEPING[kind]
    turned = w.dialect.coupled == gate
    gate = "i" if turned else gate
    pre = w.x_part(gate, x) + w.h_part(gate, h) + (0.0 if turned else w.dialect.forget_bias)
    if kind == "lstm":
        pre = pre + w.c_part(gate, c)  # type: ignore[arg-type]
    opened = sigmoid(pre) if kind == "slstm" else w.gate_act(w.clipped(pre))
    return 1.0 - opened if turned or w.dialect.update == "writes" else opened


def _run(stack: Stack, x: Any, state: Any, watch: Watch | None) -> tuple[Array, tuple[Array, ...]]:
    import numpy as np

    require_stacks([stack], "gw.run", "gw.run(gw.of(object), x)")
    value = _input(stack, x)
    start = _states(stack, state, value.shape[0])
    last: list[tuple[Array, ...]] = []
    with np.errstate(over="ignore", invalid="ignore"):  # a NaN in the weights shows in what is returned
        for layer in range(stack.num_layers):
            outputs = []
            for direction in stack.directions:
                y, final = _scan(stack, layer, direction, value, start[len(last)], watch)
                outputs.append(y)
                last.append(final)
            value = joined_outputs(outputs, stack.dialect.merge)
    return value, tuple(_stacked([final[index] for final in last]) for index in range(len(states_of(stack.cell))))


def _input(stack: Stack, x: Any) -> Array:
    """x in float64.  Raises UsageError for what is no batch of sequences of the layer's features."""
    import numpy as np

    try:
        value = np.asarray(x, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"x is {x!r:.60}; a batch of sequences is numbers, [batch, time, feature].") from None
    if value.ndim != 3:
        raise UsageError(f"x has shape {list(value.shape)}; a batch of sequences is [batch, time, feature].")
    features = stack[0, "forward"].feature
    if value.shape[2] != features:
        raise UsageError(f"x has {value.shape[2]} features; the layer takes {features}.")
    return value


def checked(stack: Stack, x: Any, state: Any) -> tuple[Array, tuple[Array, ...] | None]:
    """What :func:`run` takes: x, and each state of all cells, or None.  Raises UsageError as it does."""
    value = _input(stack, x)
    if state is None:
        return value, None
    start = _states(stack, state, len(value))
    return value, tuple(_stacked([cell[index] for cell in start]) for index in range(len(states_of(stack.cell))))


def states_of(cell: str) -> str:
    """The letters of what a cell carries: ``hc`` for an LSTM, ``h`` for most."""
    return STATES.get(cell, "h")


def _stacked(states: list[Array]) -> Array:
    import numpy as np

    if len({state.shape for state in states}) == 1:
        return np.stack(states)
    ragged = np.empty(len(states), object)
    ragged[:] = states
    return ragged


def _scan(
    stack: Stack, layer: int, direction: str, x: Array, start: tuple[Array, ...], watch: Watch | None
) -> tuple[Array, tuple[Array, ...]]:
    import numpy as np

    weights, dialect = stack[layer, direction], stack.dialect
    cell, step, state = _in_float64(weights, dialect), STEPS[stack.cell], start
    # go_backwards turns both directions around; a reverse direction is turned back afterwards, a forward one is not.
    against_time = (direction == "reverse") != dialect.go_backwards
    times = range(x.shape[1] - 1, -1, -1) if against_time else range(x.shape[1])
    y = np.empty((x.shape[0], x.shape[1], weights.hidden))
    for position, time in enumerate(times):
        if watch is not None:
            watch((layer, direction), time, cell, x[:, time], state)
        state = step(cell, x[:, time], *state)
        y[:, position] = state[0]
    return (y[:, ::-1] if direction == "reverse" or dialect.backwards_in_place else y), state


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

    letters = states_of(stack.cell)
    names, wanted = [f"{letter}0" for letter in letters], len(letters)
    shapes = [tuple((batch, w.hidden if letter == "h" else w.unit) for letter in letters) for _, w in stack]
    if state is None:
        return [
            tuple(_stored_state(w, letter, shape) for letter, shape in zip(letters, each, strict=True))
            for (_, w), each in zip(stack, shapes, strict=True)
        ]
    given = state if isinstance(state, (tuple, list)) else (state,)
    if len(given) != wanted:
        raise UsageError(f"{stack.cell} takes {wanted} initial state(s), {len(given)} were given.")
    for each, name in zip(given, names, strict=True):
        if len(each) != len(shapes):
            raise UsageError(f"{name} holds {len(each)} state(s); this stack has {len(shapes)} (layers × directions).")
    cells = []
    for index, wants in enumerate(shapes):
        values = tuple(np.asarray(given[n][index], np.float64) for n in range(wanted))
        for found, shape, name in zip(values, wants, names, strict=True):
            if found.shape != shape:
                raise UsageError(f"{name}[{index}] has shape {list(found.shape)}; {list(shape)} is wanted.")
        cells.append(values)
    return cells


def _stored_state(weights: Weights, letter: str, shape: tuple[int, ...]) -> Array:
    """What the layer itself starts from: Lasagne and Thinc keep it with the weights; elsewhere it is zero."""
    import numpy as np

    state: Array = np.zeros(shape)
    for array in weights.role({"h": "initial_hidden", "c": "initial_cell"}.get(letter, "")).values():
        state += array
    return state
