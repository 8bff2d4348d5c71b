"""The reference: a stack run over time, depth and direction in numpy float64, whatever the weights are stored in.

``_steps`` has the equations.  Not known here: layer norm, zoneout, masks and sequence lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotRepresentable, UsageError
from ..record import record
from ..weights import ACTIVATIONS, STATES, Stack, Weights, require_stacks
from ._steps import STEPS, Cell, Part, activation, cell_of, shares, sigmoid

if TYPE_CHECKING:
    from ..tensors import Array

__all__ = [
    "ACTIVATIONS", "KEEPING", "STEPS", "Part", "Partly", "Place", "activation", "checked", "joined_outputs", "kept", "run", "run_parts",
    "sigmoid", "states_of",
]  # fmt: skip

_BLOCK = 1 << 20  # so many numbers of the input's share are held at a time
Place = tuple[int, str]
Watch = Callable[[Place, int, Cell, "Array", tuple["Array", ...]], None]  # of each step, before it


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

    def watch(place: Place, time: int, cell: Cell, x: Array, state: tuple[Array, ...]) -> None:
        if place in steps:
            steps[place][time] = _kept(stack.cell, cell, x, *state)

    _run(stack, x, state, watch)
    return {place: np.stack(found, axis=1) for place, found in steps.items()}


KEEPING = {"lstm": "f", "slstm": "f", "mgu": "f", "gru": "z", "ugrnn": "z"}  # cell → the gate of the old state


def _kept(kind: str, w: Cell, x: Array, h: Array, c: Array | None = None, *_: Array) -> Array:
    gate = KEEPING[kind]
    turned = w.dialect.coupled == gate
    gate = "i" if turned else gate
    pre = w.each(x)[gate] + w.below(h, gate) + (0.0 if turned else w.dialect.forget_bias)
    if kind == "lstm" and c is not None:
        pre = pre + w.diagonal(gate, c) + w.full(gate, c)
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
                y, final = _scan(stack, (layer, direction), value, start[len(last)], watch)
                outputs.append(y)
                last.append(final)
            value = joined_outputs(outputs, stack.dialect.merge)
    return value, tuple(_stacked([final[index] for final in last]) for index in range(len(states_of(stack.cell))))


@record
class Partly:
    """What a part of the units gave: y [batch, time, …] of each layer, and the final states of each layer and direction."""

    outputs: list[Array]
    final: list[tuple[Array, ...]]

    @property
    def all(self) -> list[Array]:
        return [*self.outputs, *(state for each in self.final for state in each)]


def run_parts(stack: Stack, parts: Mapping[Place, Part], inputs: Sequence[Array], state: Any) -> Partly:
    """Run a part of each cell's units, every layer on an input of its own: no row of any other unit is read.

    ``inputs`` [batch, time, feature] of each layer, ``state`` as :func:`run` takes it.  The units that are left out stay
    in the state that they were given.
    """
    import numpy as np

    start, found = _states(stack, state, len(inputs[0])), Partly([], [])
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, x in enumerate(inputs):
            outputs = []
            for direction in stack.directions:
                place = layer, direction
                y, final = _scan(stack, place, x, start[len(found.final)], None, parts[place])
                outputs.append(y)
                found.final.append(final)
            found.outputs.append(joined_outputs(outputs, stack.dialect.merge))
    return found


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
    stack: Stack, place: Place, x: Array, start: tuple[Array, ...], watch: Watch | None, part: Part | None = None
) -> tuple[Array, tuple[Array, ...]]:
    import numpy as np

    weights, dialect, direction = stack[place], stack.dialect, place[1]
    cell, step, state = cell_of(stack.cell, weights, dialect, part), STEPS[stack.cell], start
    # go_backwards turns both directions around; a reverse direction is turned back afterwards, a forward one is not.
    against_time = (direction == "reverse") != dialect.go_backwards
    times = range(x.shape[1])[:: -1 if against_time else 1]
    y = np.empty((x.shape[0], x.shape[1], weights.hidden if part is None else len(part.hidden)))
    for position, (time, share) in enumerate(shares(cell, weights, x, times, _BLOCK)):
        if watch is not None:
            watch(place, time, cell, share, state)
        state = step(cell, share, *state)
        y[:, position] = cell.seen(state[0])
    y = y[:, ::-1] if direction == "reverse" or dialect.backwards_in_place else y
    return y, (cell.seen(state[0]), *(cell.own(each) for each in state[1:]))


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
