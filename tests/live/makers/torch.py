"""torch's recurrent modules: stacks of each kind, cells, a model with several."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Maker

FRAMEWORK = "torch"
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def numbers(module: Any) -> list[np.ndarray]:
    import torch

    found = [parameter.detach().clone() for parameter in module.parameters()]
    return [(each.float() if each.dtype == torch.bfloat16 else each).cpu().numpy() for each in found]


def gradients(module: Any, loss: Any) -> list[np.ndarray]:
    import torch

    module.zero_grad()
    loss(module).backward()
    found = [torch.zeros_like(each) if each.grad is None else each.grad for each in module.parameters()]
    return [(each.float() if each.dtype == torch.bfloat16 else each).cpu().numpy() for each in found]


def _module(kind: str, dtype: str = "float32", **said: Any) -> Any:
    import torch

    torch.manual_seed(3)
    module = getattr(torch.nn, kind)(3, 5, **said)
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, -0.4, 0.4)
    return module.to(getattr(torch, dtype))


def _count(kind: str, layers: int = 1, both: bool = False, bias: bool = True, proj: int = 0) -> int:
    hidden, rows, ways = proj or 5, 5 * _GATES[kind.removesuffix("Cell")], 2 if both else 1
    cells = [rows * (below + hidden + 2 * bias) + proj * 5 for below in [3] + [hidden * ways] * (layers - 1)]
    return ways * sum(cells)


def _stacks() -> Iterator[Maker]:
    for kind, layers, both, bias in itertools.product(_GATES, (1, 3), (False, True), (True, False)):
        for proj in (0, 2) if kind == "LSTM" else (0,):
            said = {"num_layers": layers, "bidirectional": both, "bias": bias} | ({"proj_size": proj} if proj else {})
            told = (
                f"{kind}, {layers} layer(s){', both ways' * both}{', no bias' * (not bias)}{', projected' * (proj > 0)}"
            )
            yield Maker(told, functools.partial(_module, kind, **said), _count(kind, layers, both, bias, proj))


def _others() -> Iterator[Maker]:
    for kind, bias in itertools.product(_GATES, (True, False)):
        said = f"{kind}Cell{'' if bias else ', no bias'}"
        yield Maker(said, functools.partial(_module, f"{kind}Cell", bias=bias), _count(kind, bias=bias))
    yield Maker("RNN with relu, batch first", functools.partial(_module, "RNN", nonlinearity="relu", batch_first=True), _count("RNN"))  # fmt: skip
    for dtype in ("float64", "float16", "bfloat16"):
        yield Maker(f"GRU in {dtype}", functools.partial(_module, "GRU", dtype), _count("GRU"))
    yield Maker(
        "a model with two LSTMs, a cell and a linear layer", _model, 2 * _count("LSTM", 2, True) + _count("GRU")
    )


def _model() -> Any:
    import torch

    stack = functools.partial(_module, "LSTM", num_layers=2, bidirectional=True)
    return torch.nn.ModuleDict({"encoder": stack(), "decoder": stack(), "cell": _module("GRUCell"), "head": torch.nn.Linear(5, 2)})  # fmt: skip


LAYERS = (*_stacks(), *_others())
