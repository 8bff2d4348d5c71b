"""Live torch modules for the tests of diagnosis: healthy ones of every kind, and how to compare a module with itself before."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any


def fresh(kind: str = "LSTM", seed: int = 0, **settings: Any) -> Any:
    """A recurrent module with the same weights for the same seed; the global generator is left as it was."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return getattr(torch.nn, kind)(4, 3, **settings)


def run(layer: Any) -> Any:
    import torch

    x = torch.sin(torch.arange(7 * 2 * 4, dtype=torch.float32)).reshape(7, 2, 4)
    x = x.transpose(0, 1) if layer.batch_first else x
    with torch.no_grad():
        return layer.eval()(x.to(next(layer.parameters()).dtype))[0]


def scripted(layer: Any) -> Any:
    """A scripted module that calls the layer (a scripted bare LSTM has no forward of its own)."""
    import torch

    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.rnn(x)[0]

    return torch.jit.script(Around())


def double(module: Any) -> Any:
    import torch

    class Doubled(torch.nn.Module):
        def forward(self, weight: Any) -> Any:
            return 2 * weight

    torch.nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Doubled())
    return module


def _pruned(removed: bool) -> Any:
    from torch.nn.utils import prune

    layer = fresh()
    prune.l1_unstructured(layer, "weight_ih_l0", 0.3)
    if removed:
        prune.remove(layer, "weight_ih_l0")
    return layer


def _reassigned() -> Any:
    import torch

    layer = fresh()
    layer.weight_ih_l0 = torch.nn.Parameter(torch.ones(12, 4))
    layer._parameters["weight_hh_l0"] = torch.nn.Parameter(torch.ones(12, 3))
    return layer


def _weight_drop() -> Any:
    """As AWD-LSTM's and fastai's: the true matrix under ``_raw``, its dropped copy a plain tensor, exchanged at every call."""
    import torch

    class WeightDrop(torch.nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner
            raw = inner.weight_hh_l0
            del inner._parameters["weight_hh_l0"]
            inner.register_parameter("weight_hh_l0_raw", torch.nn.Parameter(raw.data))
            self.exchange()

        def exchange(self) -> None:
            self.inner.weight_hh_l0 = torch.nn.functional.dropout(self.inner.weight_hh_l0_raw, 0.5, self.training)

        def forward(self, x: Any) -> Any:
            self.exchange()
            return self.inner(x)

    return WeightDrop(fresh())


def _tied() -> Any:
    layer = fresh(num_layers=2)
    layer.weight_hh_l1 = layer.weight_hh_l0
    return layer


def _assigned() -> Any:
    layer = fresh()
    layer.load_state_dict({name: tensor.clone() for name, tensor in layer.state_dict().items()}, assign=True)
    return layer


def _zero_biases() -> Any:
    import torch

    layer = fresh()
    with torch.no_grad():
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    return layer


def _others() -> Any:
    import torch

    nn = torch.nn
    return nn.ModuleList([
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1), nn.Transformer(4, 2, 1, 1, 8),
        nn.MultiheadAttention(4, 2), nn.CrossEntropyLoss(), nn.EmbeddingBag(5, 4), nn.GELU(), nn.Hardsigmoid(), nn.Hardswish(),
        nn.KLDivLoss(), nn.SmoothL1Loss(), nn.AvgPool2d(2), nn.AvgPool3d(2), nn.PReLU(), nn.CTCLoss(),
        nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), nn.Conv1d(4, 3, 3, padding="same"), nn.ConvTranspose1d(4, 3, 3),
        nn.ParameterList([nn.Parameter(torch.ones(2))]), nn.ParameterDict({"a": nn.Parameter(torch.ones(2))}),
        nn.BatchNorm1d(4), nn.Upsample(scale_factor=2),
    ])  # fmt: skip


def _torch() -> Any:
    import torch

    return torch


HEALTHY: dict[str, Callable[[], Any]] = {  # makers of modules that must have no finding
    "an LSTM": fresh,
    "a GRU": lambda: fresh("GRU"),
    "an RNN": lambda: fresh("RNN", nonlinearity="relu"),
    "a stacked bidirectional LSTM with projections": lambda: fresh(num_layers=2, bidirectional=True, proj_size=2),
    "an LSTM without biases": lambda: fresh(bias=False),
    "a float16 LSTM": lambda: fresh().half(),
    "a float64 LSTM": lambda: fresh().double(),
    "an LSTM with biases of zeros": _zero_biases,
    "an LSTM in training with dropout": lambda: fresh(num_layers=2, dropout=0.5).train(),
    "a weight-normed LSTM, the old way": lambda: _torch().nn.utils.weight_norm(fresh(), "weight_hh_l0"),
    "a weight-normed LSTM, the new way": lambda: _torch().nn.utils.parametrizations.weight_norm(
        fresh(), "weight_hh_l0"
    ),
    "a spectral-normed LSTM, the old way": lambda: _torch().nn.utils.spectral_norm(fresh(), "weight_hh_l0"),
    "a spectral-normed LSTM, the new way": lambda: _torch().nn.utils.parametrizations.spectral_norm(
        fresh(), "weight_hh_l0"
    ),
    "an LSTM with a parametrization of one's own": lambda: double(fresh()),
    "a pruned LSTM": lambda: _pruned(removed=False),
    "an LSTM whose pruning was made permanent": lambda: _pruned(removed=True),
    "an LSTM with other parameters assigned": _reassigned,
    "a weight-dropped LSTM": _weight_drop,
    "an LSTM with tied layers": _tied,
    "an LSTM that took over a state dict's tensors": _assigned,
    "a copied LSTM": lambda: copy.deepcopy(fresh()),
    "a pickled and unpickled LSTM": lambda: pickle.loads(pickle.dumps(fresh())),
    "an LSTM without memory (meta)": lambda: fresh(device="meta"),
    "a DataParallel LSTM": lambda: _torch().nn.DataParallel(fresh()),
    "a compiled LSTM": lambda: _torch().compile(fresh(), backend="eager"),
    "a scripted LSTM": lambda: _torch().jit.script(fresh()),
    "a model around one": lambda: _torch().nn.Sequential(_torch().nn.Embedding(5, 4), fresh(), _torch().nn.GELU()),
    "an LSTMCell": lambda: _torch().nn.LSTMCell(4, 3),
    "a model of every other class whose pickles ever broke": _others,
}
