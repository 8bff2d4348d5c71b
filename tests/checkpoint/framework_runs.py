"""How the judges run: a torch module and a Keras model, over the same sequences, from states that are not zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

TIME, BATCH = 7, 3


def sequences(features: int, cells: int, hidden: int, unit: int, seed: int) -> tuple[Any, Any, Any]:
    """x [3, 7, features] and initial states [cells, 3, size], none of them zero."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((BATCH, TIME, features))
    return x, random.standard_normal((cells, BATCH, hidden)), random.standard_normal((cells, BATCH, unit))


def run_torch(module: Any, x: Any, h0: Any, c0: Any) -> tuple[Any, list[Any]]:
    """y and the final states of torch's own module, layer or cell, whatever its batch_first says."""
    import torch

    dtype = next(module.parameters()).dtype
    x, h0, c0 = (torch.as_tensor(array, dtype=dtype) for array in (x, h0, c0))
    has_c = "LSTM" in type(module).__name__
    with torch.no_grad():
        if type(module).__name__.endswith("Cell"):
            return _run_cell(module, x, h0[0], c0[0], has_c)
        given = x if module.batch_first else x.transpose(0, 1)
        y, final = module(given, (h0, c0) if has_c else h0)
    y = y if module.batch_first else y.transpose(0, 1)
    return _wide(y), [_wide(state) for state in (final if has_c else (final,))]


def _run_cell(cell: Any, x: Any, h: Any, c: Any, has_c: bool) -> tuple[Any, list[Any]]:
    import torch

    outputs = []
    for step in range(x.shape[1]):
        if has_c:
            h, c = cell(x[:, step], (h, c))
        else:
            h = cell(x[:, step], h)
        outputs.append(h)
    return _wide(torch.stack(outputs, 1)), [_wide(state[None]) for state in ((h, c) if has_c else (h,))]


def _wide(tensor: Any) -> Any:
    import torch

    return tensor.detach().to(torch.float64).numpy()


def recurrent_layers(model: Any) -> list[Any]:
    """A Keras model's recurrent layers in order; a Bidirectional counts as one."""
    return [layer for layer in model.layers if hasattr(layer, "return_sequences")]


def run_keras(layers: list[Any], x: Any, h0: Any, c0: Any) -> tuple[Any, list[Any]]:
    """y and the final states of stacked Keras layers in torch's order, each direction run from its own state."""
    finals: list[list[Any]] = []
    value = np.asarray(x)
    for layer in layers:
        outputs = []
        for one in _directions(layer):
            at = len(finals)
            y, final = _run_one(one, value, h0[at], c0[at])
            outputs.append(y[:, ::-1] if one.go_backwards else y)
            finals.append(final)
        value = np.concatenate(outputs, axis=-1)
    return value, [np.stack([final[index] for final in finals]) for index in range(len(finals[0]))]


def _directions(layer: Any) -> Iterator[Any]:
    if hasattr(layer, "forward_layer"):
        yield from (layer.forward_layer, layer.backward_layer)
    else:
        yield layer


def _run_one(layer: Any, x: Any, h0: Any, c0: Any) -> tuple[Any, list[Any]]:
    import keras

    given = layer.return_sequences, layer.return_state
    layer.return_sequences = layer.return_state = True
    states = [h0, c0] if isinstance(layer.cell.state_size, (list, tuple)) and len(layer.cell.state_size) == 2 else [h0]
    dtype = layer.compute_dtype
    y, *final = layer(
        keras.ops.convert_to_tensor(np.ascontiguousarray(x), dtype=dtype),
        initial_state=[keras.ops.convert_to_tensor(np.ascontiguousarray(state), dtype=dtype) for state in states],
    )
    layer.return_sequences, layer.return_state = given
    return as_float64(y), [as_float64(state) for state in final]


def as_float64(tensor: Any) -> Any:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float64")))
