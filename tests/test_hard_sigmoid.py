"""hard_sigmoid(0.2) and hard_sigmoid(1/6) are one function of scaled gates; a sigmoid is another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gatewise.cell import run
from gatewise.conventions import ONE_ROUNDING, express
from gatewise.errors import NotRepresentable
from gatewise.layouts import layout
from gatewise.proof import prove
from gatewise.weights import PLAIN, Gates, Stack, Weights

OLD, NEW = "hard_sigmoid(0.2)", "hard_sigmoid(1/6)"
GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}
KERAS = {"lstm": "keras.LSTM", "gru": "keras.GRU", "rnn": "keras.SimpleRNN"}


def stack(cell, dtype="float64", **said):
    random = np.random.default_rng(3)
    axes = {"kernel": (4, 3), "recurrent_kernel": (4, 4), "bias": (4,)}
    if cell == "gru" and said.get("reset", "after") == "after":
        axes["recurrent_bias"] = (4,)
    made = {role: {g: random.uniform(-2, 2, shape).astype(dtype) for g in GATES[cell]} for role, shape in axes.items()}
    roles = {role: Gates(role, {g: (lambda a=a: a) for g, a in gates.items()}) for role, gates in made.items()}
    return Stack(cell, {(0, "forward"): Weights(4, 3, 4, dtype, roles)}, replace(PLAIN[cell], **said), layout="test")


CASES = {
    "the gates of an LSTM": ("lstm", {"recurrent_activation": OLD}, "ifo"),
    "the gates of a GRU that resets after": ("gru", {"recurrent_activation": OLD}, "rz"),
    "the gates of a GRU that resets before": ("gru", {"recurrent_activation": OLD, "reset": "before"}, "rz"),
    "the candidate of a GRU": ("gru", {"activation": OLD}, "n"),
    "all of a GRU that resets before": (
        "gru",
        {"recurrent_activation": OLD, "activation": OLD, "reset": "before"},
        "rzn",
    ),
    "a plain RNN": ("rnn", {"activation": OLD}, "h"),
}


@pytest.mark.parametrize(("cell", "said", "gates"), CASES.values(), ids=CASES)
def test_the_slope_changes_and_the_function_stays(cell, said, gates):
    source = stack(cell, **said)
    done = express(source, layout(KERAS[cell]))
    assert prove(source, done.stack).max_abs_error < 1e-14
    assert done.changes[0].exactness == ONE_ROUNDING
    for gate in GATES[cell]:
        factor = 1.2 if gate in gates else 1.0
        assert np.allclose(
            done.stack[0, "forward"].kernel[gate], factor * source[0, "forward"].kernel[gate], rtol=1e-15
        )
    assert OLD not in (done.stack.dialect.recurrent_activation, done.stack.dialect.activation)


def test_in_float32_it_is_one_rounding_away():
    source = stack("lstm", "float32", recurrent_activation=OLD)
    assert prove(source, express(source, layout("keras.LSTM")).stack).max_abs_error < 2e-7


def test_back_to_the_old_slope_is_the_same():
    source = stack("lstm", recurrent_activation=NEW)
    back = express(source, layout("keras1.LSTM")).stack
    assert back.dialect.recurrent_activation == OLD
    assert prove(source, back).max_abs_error < 1e-14


def test_a_forget_bias_added_at_run_time_is_scaled_with_its_gate():
    source = stack("lstm", recurrent_activation=OLD, forget_bias=1.0)
    done = express(source, layout("keras.LSTM"))
    assert done.stack.dialect.forget_bias == 0
    assert prove(source, done.stack).max_abs_error < 1e-14


def test_without_the_change_the_numbers_differ():
    source = stack("lstm", recurrent_activation=OLD)
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    other = source.replaced(dialect=replace(source.dialect, recurrent_activation=NEW))
    assert np.abs(run(source, x)[0] - run(other, x)[0]).max() > 1e-3


REFUSED = {
    "where only a sigmoid can be said": (stack("lstm", recurrent_activation=OLD), "torch.LSTM", "no weights turn a sigmoid"),
    "where the cell state passes through it": (
        stack("lstm", activation=OLD, output_activation=OLD), "keras.LSTM", "no weights scale",
    ),
    "where a clip stands between": (stack("lstm", recurrent_activation=OLD, input_clip=3.0), "keras.LSTM", "clip"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "target", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(source, target, reason):
    with pytest.raises(NotRepresentable, match=reason):
        express(source, layout(target))
