"""MLX's recurrent layers, and a model with several."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "mlx"
FEATURE, UNIT = 3, 5


def numbers(module: Any) -> list[np.ndarray]:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    return [np.array(leaf.astype(mx.float32)) for _, leaf in tree_flatten(module.parameters())]


def gradients(module: Any, loss: Any) -> list[np.ndarray]:
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten

    found = nn.value_and_grad(module, loss)(module)[1]
    return [np.array(leaf.astype(mx.float32)) for _, leaf in tree_flatten(found)]


def layer(kind: str, feature: int = FEATURE, nonlinearity: str = "", dtype: str = "", **said: Any) -> Any:
    import mlx.core as mx
    from mlx import nn

    mx.random.seed(3)
    said |= {"nonlinearity": getattr(nn, nonlinearity)} if nonlinearity else {}
    made = getattr(nn, kind)(feature, UNIT, **said)
    if dtype:
        made.set_dtype(getattr(mx, dtype))
    return made


def model() -> Any:
    from mlx import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [layer("LSTM"), layer("GRU", UNIT)]
            self.out = nn.Linear(UNIT, 2)

    return Model()


def _count(kind: str, bias: bool = True, feature: int = FEATURE) -> int:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    return UNIT * (gates * (feature + UNIT + bias) + (kind == "GRU" and bias))


LAYERS = (
    *(
        Maker(f"{kind}{'' if bias else ', no bias'}", functools.partial(layer, kind, bias=bias), _count(kind, bias))
        for kind, bias in itertools.product(("LSTM", "GRU", "RNN"), (True, False))
    ),
    Maker("RNN with relu", functools.partial(layer, "RNN", nonlinearity="relu"), _count("RNN")),
    Maker("LSTM in bfloat16", functools.partial(layer, "LSTM", dtype="bfloat16"), _count("LSTM")),
    Maker("GRU in float16", functools.partial(layer, "GRU", dtype="float16"), _count("GRU")),
    Maker("a model with an LSTM and a GRU", model, _count("LSTM") + _count("GRU", True, UNIT)),
)
