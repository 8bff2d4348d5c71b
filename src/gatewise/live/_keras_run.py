"""Running a Keras layer as it is, without touching it: its own code over its own variables, in a twin whose switches are set.

A twin is another object of the layer's class with the same attributes, so the variables are the layer's own.  In the twin
sequences and states are given out, the time axis is the second, nothing is kept from call to call and nothing is dropped: the layer's own
switches, its states and its random numbers stay as they are.  Sources: keras/src/layers/rnn/{rnn,lstm,bidirectional}.py of
Keras 3.15 and of tf.keras 2.15.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ._custom import flattened, stacked
from .keras import kind_of

if TYPE_CHECKING:
    from ..tensors import Array

_SWITCHES = {
    "return_sequences": True, "return_state": True, "stateful": False, "_stateful": False, "states": None, "_states": None,
    "time_major": False, "dropout": 0.0, "recurrent_dropout": 0.0, "activity_regularizer": None, "_activity_regularizer": None,
    "_input_spec": None,
}  # fmt: skip
# What a call writes down in a layer and, for its losses, in the layers in it.
_RECORDS = ("_losses", "_loss_ids", "_layers", "_self_tracked_trackables")
_INNER = ("cell", "forward_layer", "backward_layer")


def twin(layer: Any) -> Any:
    """An object of the layer's class over the same variables, which gives out all that it computes."""
    made = object.__new__(type(layer))
    state = dict(vars(layer))
    state.update((name, value) for name, value in _SWITCHES.items() if name in state)
    state.update((name, type(state[name])()) for name in _RECORDS if name in state)
    if hasattr(state.get("_thread_local"), "_eager_losses"):  # tf.keras 2 keeps losses there
        state["_thread_local"] = threading.local()
        state["_thread_local"]._eager_losses = []
    if isinstance(state.get("_modules"), dict):  # of torch's modules, which Keras's layers are on torch
        state["_modules"] = dict(state["_modules"])
    for name in _INNER:
        for home in (state, state.get("_modules") or {}):
            if home.get(name) is not None:
                home[name] = twin(home[name])
    vars(made).update(state)
    return made


def run_layer(
    keras: Any, layer: Any, x: Array, state: Sequence[Array] | None
) -> tuple[Array, tuple[Array, ...] | None]:
    """A recurrent layer's forward run: y [batch, time, hidden·directions] and its final states [directions, batch, size]."""
    ways = 2 if kind_of(layer) == "Bidirectional" else 1
    dtype = layer.compute_dtype
    with quiet(keras):
        given = (
            {} if state is None else {"initial_state": _listed(state, ways, lambda each: tensor(keras, each, dtype))}
        )
        found = [
            array(keras, each) for each in flattened(twin(layer)(tensor(keras, x, dtype), training=False, **given))
        ]
    apart = getattr(layer, "merge_mode", "") is None
    return _joined(found[: 1 + apart]), _states(found[1 + apart :], ways)


def _listed(state: Sequence[Array], ways: int, made: Any) -> list[Any]:
    """[h, c] forward, then reverse."""
    return [made(each[way]) for way in range(ways) for each in state]


def _joined(outputs: list[Array]) -> Array:
    import numpy as np

    return np.concatenate(outputs, -1) if len(outputs) > 1 else outputs[0]


def _states(found: list[Array], ways: int) -> tuple[Array, ...] | None:
    """From [h, c] forward, then reverse, to the h of all and the c of all."""
    if not found or len(found) % ways:
        return None
    each = len(found) // ways
    return tuple(stacked([found[way * each + index] for way in range(ways)]) for index in range(each))


def run_cell(keras: Any, cell: Any, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...]]:
    """A cell's forward run, step by step."""
    import numpy as np

    sizes = cell.state_size if isinstance(cell.state_size, list | tuple) else [cell.state_size]
    starts = [np.zeros((len(x), int(size))) for size in sizes] if state is None else [each[0] for each in state]
    dtype, same, outputs = cell.compute_dtype, twin(cell), []
    with quiet(keras):
        now = [tensor(keras, each, dtype) for each in starts]
        for time in range(x.shape[1]):
            y, now = same(tensor(keras, x[:, time], dtype), now, training=False)
            now = list(flattened(now))
            outputs.append(array(keras, y))
        return np.stack(outputs, 1), tuple(array(keras, each)[None] for each in now)


# The backend's tensors.


@contextlib.contextmanager
def quiet(keras: Any) -> Iterator[None]:
    """While open no gradients are recorded where that costs memory."""
    torch = sys.modules.get("torch") if backend(keras) == "torch" else None
    with torch.no_grad() if torch is not None else contextlib.nullcontext():
        yield


def backend(keras: Any) -> str:
    return "tensorflow" if is_old(keras) else str(keras.config.backend())


def is_old(keras: Any) -> bool:
    """Keras 2, whose variables and tensors are TensorFlow's own."""
    return str(keras.__version__).startswith("2.")


def tensor(keras: Any, value: Array, dtype: str) -> Any:
    """Numbers as the backend's tensor of a dtype."""
    import numpy as np

    plain = np.asarray(value, np.float64 if dtype == "float64" else np.float32)
    if is_old(keras):
        import tensorflow as tf

        return tf.cast(tf.convert_to_tensor(plain), dtype)
    return keras.ops.cast(keras.ops.convert_to_tensor(plain), dtype)


def array(keras: Any, value: Any) -> Array:
    """A backend's tensor as numpy."""
    import numpy as np

    found: Array = np.asarray(value if is_old(keras) else keras.ops.convert_to_numpy(value))
    return found
