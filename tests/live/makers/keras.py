"""Keras's recurrent layers, on whatever backend it runs (KERAS_BACKEND), and tf.keras 2's where that is the ``keras`` at hand."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "keras"
_GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
FEATURES, UNITS = 3, 5


def the_keras() -> Any:
    """Keras, or what stands in for it here: tf_keras."""
    return importlib.import_module(os.environ.get("GATEWISE_KERAS", "keras"))


def numbers(layer: Any) -> list[np.ndarray]:
    return [np.asarray(each, np.float64) for each in layer.get_weights() if np.asarray(each).dtype.kind != "u"]


def gradients(layer: Any, loss: Any) -> list[np.ndarray]:
    """By the backend's own means: autograd, a tape, ``jax.grad`` over a stateless scope."""
    held = [each for each in layer.weights if "seed" not in each.name]
    if the_keras().__version__.startswith("2.") or the_keras().backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(layer)
        found = tape.gradient(
            value, held if the_keras().__version__.startswith("2.") else [each.value for each in held]
        )
        found = [
            tf.zeros(each.shape) if gradient is None else gradient for each, gradient in zip(held, found, strict=True)
        ]
    elif the_keras().backend.backend() == "jax":
        import jax

        def stateless(values: Any) -> Any:
            with the_keras().StatelessScope(list(zip(held, values, strict=True))):
                return loss(layer)

        found = jax.grad(stateless)([each.value for each in held])
    else:
        import torch

        values = [each.value for each in held]
        for each in values:
            each.grad = None
        loss(layer).backward()
        found = [torch.zeros_like(each) if each.grad is None else each.grad for each in values]
    return [
        np.asarray(
            each if the_keras().__version__.startswith("2.") else the_keras().ops.convert_to_numpy(each), np.float64
        )
        for each in found
    ]


if os.environ.get("KERAS_BACKEND") == "numpy":
    gradients = None  # type: ignore[assignment]


def count(kind: str, feature: int = FEATURES, units: int = UNITS, bias: int = 1) -> int:
    """``bias``: how many."""
    return _GATES[kind] * units * (feature + units + bias)


def biases(kind: str) -> int:
    return 2 if kind == "GRU" else 1  # reset_after is the default


def built(layer: Any, features: int = FEATURES, cell: bool = False) -> Any:
    """With its weights, none of them zero."""
    layer.build((None, features) if cell else (None, 7, features))
    return filled(layer)


def filled(layer: Any) -> Any:
    random = np.random.default_rng(3)
    told = [np.asarray(each) for each in layer.get_weights()]
    layer.set_weights([random.uniform(-0.4, 0.4, each.shape) if each.dtype.kind != "u" else each for each in told])
    return layer


def _layer(kind: str, **said: Any) -> Any:
    return built(getattr(the_keras().layers, kind)(UNITS, **said))


def _both(kind: str, merge: str | None, **said: Any) -> Any:
    return built(the_keras().layers.Bidirectional(getattr(the_keras().layers, kind)(UNITS, **said), merge_mode=merge))


def _cell(kind: str, **said: Any) -> Any:
    return built(getattr(the_keras().layers, f"{kind}Cell")(UNITS, **said), cell=True)


def _of_cells(kind: str, *units: int, both: bool = False) -> Any:
    cells = [getattr(the_keras().layers, f"{kind}Cell")(each) for each in units]
    layer = the_keras().layers.RNN(cells if len(cells) > 1 else cells[0], return_sequences=True)
    return built(the_keras().layers.Bidirectional(layer) if both else layer)


def _stateful() -> Any:
    layer = the_keras().layers.LSTM(UNITS, stateful=True, dropout=0.5, recurrent_dropout=0.25)
    layer(np.zeros((2, 4, FEATURES), np.float32))
    return filled(layer)


def _uneven() -> Any:
    back = the_keras().layers.LSTM(4, go_backwards=True, return_sequences=True)
    return built(
        the_keras().layers.Bidirectional(the_keras().layers.LSTM(UNITS, return_sequences=True), backward_layer=back)
    )


def model() -> Any:
    """An Embedding, two directions, a model in the model, a layer for each time step, cells on cells, and a head."""
    layers = the_keras().layers
    inner = the_keras().Sequential([layers.Input((None, 10)), layers.GRU(6, return_sequences=True, name="gru"), layers.Dense(4)], name="encoder")  # fmt: skip
    made = the_keras().Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(11, FEATURES),
            layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True), name="both"),
            inner,
            layers.Reshape((7, 2, 2)),
            layers.TimeDistributed(layers.SimpleRNN(4), name="each"),
            layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4)], name="deep"),
            layers.Dense(1),
        ]
    )
    return filled(made)


def count_of_model() -> int:
    deep = count("LSTM", 4, 3) + count("LSTM", 3, 4)
    return 2 * count("LSTM") + count("GRU", 10, 6, bias=2) + count("SimpleRNN", 2, 4) + deep


def _plain() -> Iterator[Maker]:
    for kind in _GATES:
        bias = biases(kind)
        for said in ({}, {"use_bias": False}, {"go_backwards": True}, {"return_sequences": True, "return_state": True}):
            told = ", ".join(f"{name}={value}" for name, value in said.items())
            size = count(kind, bias=0 if "use_bias" in said else bias)
            yield Maker(f"{kind}({told})", functools.partial(_layer, kind, **said), size)
        for merge in ("concat", "sum", "ave", "mul", None):
            said = {"return_sequences": merge != "concat"}
            yield Maker(f"Bidirectional({kind}), {merge}", functools.partial(_both, kind, merge, **said), 2 * count(kind, bias=bias))  # fmt: skip
        yield Maker(f"{kind}Cell", functools.partial(_cell, kind), count(kind, bias=bias))
        yield Maker(f"RNN({kind}Cell)", functools.partial(_of_cells, kind, UNITS), count(kind, bias=bias))
        yield Maker(f"Bidirectional(RNN({kind}Cell))", functools.partial(_of_cells, kind, UNITS, both=True), 2 * count(kind, bias=bias))  # fmt: skip
        size = count(kind, bias=bias) + count(kind, UNITS, 4, bias)
        yield Maker(f"RNN of two {kind}Cells", functools.partial(_of_cells, kind, UNITS, 4), size)
    yield Maker("Bidirectional(RNN of two LSTMCells)", functools.partial(_of_cells, "LSTM", UNITS, 4, both=True), 2 * (count("LSTM") + count("LSTM", UNITS, 4)))  # fmt: skip


def _others() -> Iterator[Maker]:
    yield Maker("GRU(reset_after=False)", functools.partial(_layer, "GRU", reset_after=False), count("GRU"))
    yield Maker("Bidirectional(GRU(reset_after=False))", functools.partial(_both, "GRU", "concat", reset_after=False), 2 * count("GRU"))  # fmt: skip
    yield Maker("GRUCell(reset_after=False)", functools.partial(_cell, "GRU", reset_after=False), count("GRU"))
    yield Maker("LSTM with hard sigmoids", functools.partial(_layer, "LSTM", recurrent_activation="hard_sigmoid", activation="softsign"), count("LSTM"))  # fmt: skip
    for dtype in ("float64", "mixed_float16", "mixed_bfloat16", "bfloat16"):  # an orthogonal bfloat16 cannot be made
        yield Maker(
            f"LSTM in {dtype}",
            functools.partial(_layer, "LSTM", dtype=dtype, recurrent_initializer="glorot_uniform"),
            count("LSTM"),
        )
    yield Maker("a stateful LSTM with dropout", _stateful, count("LSTM"))
    yield Maker("Bidirectional of 5 units and 4", _uneven, count("LSTM") + count("LSTM", units=4))
    yield Maker("a model with many kinds", model, count_of_model())


LAYERS = (*_plain(), *_others())
