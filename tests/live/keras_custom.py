"""Keras layers of a user's own, with weights under their own names and in their own order, for tests on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from makers.keras import the_keras

import gatewise as gw
from gatewise.weights import BIAS, KERNEL, RECURRENT_KERNEL

keras = the_keras()
if keras.__version__.startswith("2."):
    import tensorflow as tf

    sigmoid, tanh, split, stack, zeros, shape, concatenate = tf.sigmoid, tf.tanh, tf.split, tf.stack, tf.zeros, tf.shape, tf.concat  # fmt: skip
    matmul = tf.matmul
else:
    ops = keras.ops
    sigmoid, tanh, split, stack, zeros, shape, concatenate, matmul = ops.sigmoid, ops.tanh, ops.split, ops.stack, ops.zeros, ops.shape, ops.concatenate, ops.matmul  # fmt: skip


def layout(gates: str = "fiog", **names: str) -> gw.Layout:
    """Two matrices and a bias, all gates side by side in this order."""
    w, u, b = names.get("w", "W"), names.get("u", "U"), names.get("b", "b")
    return gw.Layout("mine.LSTM", "lstm", gates, (
        gw.Part(w, KERNEL, "feature (gate unit)"),
        gw.Part(u, RECURRENT_KERNEL, "hidden (gate unit)"),
        gw.Part(b, BIAS, "(gate unit)"),
    ), "here")  # fmt: skip


FUSED = gw.Layout("mine.FusedLSTM", "lstm", "ogfi", (
    gw.Part("both", KERNEL + RECURRENT_KERNEL, "(feature + hidden) (unit gate)"),
    gw.Part("offset", BIAS, "(unit gate)"),
), "here")  # fmt: skip


class Plain(keras.layers.Layer):
    """f, i, o, g in three variables; takes no state; gives the whole sequence or its last step."""

    def __init__(self, units: int, whole: bool = True, names: tuple[Any, Any, Any] = ("W", "U", "b"), **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.whole, self.names = units, whole, names

    def build(self, input_shape: Any) -> None:
        def add(name: Any, *size: int) -> Any:
            return self.add_weight(shape=size, initializer="glorot_uniform" if len(size) > 1 else "ones", **({"name": name} if name else {}))  # fmt: skip

        self.W = add(self.names[0], int(input_shape[-1]), 4 * self.units)
        self.U = add(self.names[1], self.units, 4 * self.units)
        self.b = add(self.names[2], 4 * self.units)
        self.built = True

    def start(self, x: Any) -> Any:
        return zeros((shape(x)[0], self.units), dtype=x.dtype)

    def call(self, x: Any) -> Any:
        h, c, outputs = self.start(x), self.start(x), []
        for step in range(x.shape[1]):
            f, i, o, g = split(matmul(x[:, step], self.W) + matmul(h, self.U) + self.b, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            h = sigmoid(o) * tanh(c)
            outputs.append(h)
        return stack(outputs, axis=1) if self.whole else h


class Stateful(Plain):
    """Takes (h, c) and gives them back; drops in training; draws a random number and counts its calls, as nothing should that is only looked at."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, state: Any = None, training: bool = False) -> Any:
        if training:
            raise RuntimeError("this is no training")
        self.calls.assign(self.calls + 1.0)
        h, c = (self.start(x), self.start(x)) if state is None else state
        outputs = []
        for step in range(x.shape[1]):
            f, i, o, g = split(matmul(x[:, step], self.W) + matmul(h, self.U) + self.b, 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            h = sigmoid(o) * tanh(c)
            outputs.append(h)
        return stack(outputs, axis=1), (h, c)


@keras.utils.register_keras_serializable("gatewise")  # Bidirectional copies its layer by its config
@gw.described_by(FUSED)
class FusedCell(keras.layers.Layer):
    """A cell with one kernel, gates o, g, f, i interleaved unit by unit."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units, self.state_size, self.output_size = units, [units, units], units

    def build(self, input_shape: Any) -> None:
        self.both = self.add_weight(name="both", shape=(int(input_shape[-1]) + self.units, 4 * self.units), initializer="glorot_uniform")  # fmt: skip
        self.offset = self.add_weight(name="offset", shape=(4 * self.units,), initializer="ones")
        self.built = True

    def call(self, x: Any, states: Any) -> Any:
        h, c = states
        all_four = matmul(concatenate([x, h], axis=-1), self.both) + self.offset
        o, g, f, i = (all_four[:, gate::4] for gate in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return h, [h, c]

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}


def made(layer: Any, features: int = 3) -> Any:
    layer.build((None, 7, features))
    random = np.random.default_rng(3)
    layer.set_weights(
        [random.uniform(-0.4, 0.4, np.shape(each)) if np.ndim(each) else each for each in layer.get_weights()]
    )
    return layer
