"""A run that a framework recorded, or has just done, beside the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..cell import joined_outputs, run, states_of
from ..errors import UsageError
from ..weights import Stack
from ._figures import TOLERANCE, Proof, badness, largest, magnitude, names_of_states
from ._whole import Ran

if TYPE_CHECKING:
    from ..tensors import Array


def compared(
    stack: Stack, ran: Ran, y: Any, final: tuple[Any, ...] | None, against: str, tolerance: float = TOLERANCE
) -> Proof:  # fmt: skip
    """A reference run beside what a framework gave for the same input: y [batch, time, hidden·directions], or its last
    step alone; ``final`` None where it gives no states.  Raises UsageError where they cannot be compared."""
    errors = {"y": _output_error(y, ran.y, ran.final[0], stack, False)}
    for name, mine, theirs in zip(names_of_states(stack.cell), ran.final, final or (), strict=False):
        errors[name] = largest(mine, _recorded_final(name, theirs, mine))
    allowed = tolerance * magnitude(ran.y)
    batch, time = ran.x.shape[:2]
    return Proof(max(errors.values(), key=badness), tuple(errors), time, batch, against, allowed)


_SPELLED = {f"{letter}_n": (f"{letter}_n", f"{letter}n", f"{letter}1") for letter in "hcnm"}


def prove_recorded(
    stack: Stack, recorded: Mapping[str, Any], *, tolerance: float = TOLERANCE, time_major: bool = False
) -> Proof:
    """Compare the reference run with what a framework recorded.

    ``recorded``: ``x`` [batch, time, feature]; optional ``h0``, ``c0``, ``h_n``, ``c_n`` (also spelled hn, cn)
    [layers·directions, batch, hidden/unit]; ``y`` [batch, time, hidden·directions] or only its last step
    [batch, hidden·directions].  ``time_major``: x and y are [time, batch, …].
    """
    if "x" not in recorded:
        raise UsageError("the recorded run has no x.", next="It needs x [batch, time, feature] and y.")
    x = _recorded_input(recorded["x"], time_major)
    y, final = run(stack, x, _recorded_state(stack, recorded))
    errors = {}
    if "y" in recorded:
        errors["y"] = _output_error(recorded["y"], y, final[0], stack, time_major)
    for name, value in zip(names_of_states(stack.cell), final, strict=True):
        key = next((spelled for spelled in _SPELLED[name] if spelled in recorded), None)
        if key is not None:
            errors[name] = largest(value, _recorded_final(key, recorded[key], value))
    if not errors:
        raise UsageError("the recorded run has no outputs.", next="It needs y, or h_n and c_n.")
    worst = max(errors.values(), key=badness)
    return Proof(worst, tuple(errors), x.shape[1], x.shape[0], "recorded", tolerance)


def _recorded_input(x: Any, time_major: bool) -> Array:
    """x as [batch, time, feature].  A cell's record has no time axis: one step."""
    import numpy as np

    value = np.asarray(x, np.float64)
    if value.ndim == 2:
        return value[:, None]
    return value.transpose(1, 0, 2) if time_major and value.ndim == 3 else value


def _recorded_state(stack: Stack, recorded: Mapping[str, Any]) -> Any:
    """The initial states [cells, batch, size]; a single cell's may lack the first axis.  None: zeros."""
    import numpy as np

    names = [f"{letter}0" for letter in states_of(stack.cell)]
    missing = [name for name in names if name not in recorded]
    if len(missing) == len(names):
        return None
    if missing:
        given = next(name for name in names if name in recorded)
        raise UsageError(
            f"the recorded run has {given} but no {missing[0]}.", next="An LSTM starts from both, or from zeros."
        )
    cells = len(stack.cells)
    states = []
    for name in names:
        state = np.asarray(recorded[name])
        state = state[None] if cells == 1 and state.ndim == 2 else state
        if state.ndim not in (1, 3) or len(state) != cells:  # one axis: an object array, where sizes differ
            raise UsageError(
                f"the recorded {name} has shape {list(state.shape)}; this layer wants [{cells}, batch, size]: "
                "one state for every layer and direction."
            )
        states.append(state)
    return tuple(states)


def _recorded_final(name: str, found: Any, value: Array) -> Array:
    """A recorded final state in ours's shape; a single cell's may lack the first axis."""
    import numpy as np

    state = np.asarray(found)
    state = state[None] if len(value) == 1 and state.ndim == value.ndim - 1 else state
    if state.shape != value.shape:
        raise UsageError(
            f"the recorded {name} has shape {list(np.shape(found))}; this layer gives {list(value.shape)}.",
            next="Is it another layer's? Then say --layer.",
        )
    return state


def _output_error(found: Any, y: Array, final: Array, stack: Stack, time_major: bool) -> float:
    """How far a recorded y is from ours.  One step of it, [batch, hidden·directions], may be torch's ``y[:, -1]`` or
    what Keras returns without return_sequences, the last thing that each direction computed: these differ in the
    reverse direction, and a record that is either is right."""
    import numpy as np

    wanted = np.asarray(found)
    wanted = wanted.transpose(1, 0, 2) if wanted.ndim == 3 and time_major else wanted
    if wanted.ndim == 2 and wanted.shape == (y.shape[0], y.shape[2]):
        return min(largest(wanted, y[:, -1]), largest(wanted, _last_of_each(final, stack)), key=badness)
    if wanted.shape != y.shape:
        raise UsageError(
            f"the recorded y has shape {list(np.shape(found))}; this layer gives {list(y.shape)}.",
            next="Is the record [time, batch, …]? Then say --time-major. Is it another layer's? Then say --layer.",
        )
    return largest(wanted, y)


def _last_of_each(final: Array, stack: Stack) -> Array:
    """The last layer's final states, joined as its outputs are."""
    count = len(stack.directions)
    last: Array = joined_outputs([final[index] for index in range(len(final) - count, len(final))], stack.dialect.merge)
    return last
