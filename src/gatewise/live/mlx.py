"""MLX's recurrent layers in memory, written in place, run as they are.

Source: mlx/nn/layers/recurrent.py and base.py (0.32.4): a module is a dict of its arrays and modules; an array in it is
exchanged by assigning the attribute; LSTM gives all hidden and all cell states, GRU and RNN the hidden ones.  MLX is taken
from ``sys.modules``.  Not known here: trees of MLX's arrays (``trees``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ._arrays import as_numpy, dtype_of, is_array, like
from ._custom import layout_of
from ._functions import activation_of
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from ..tensors import Array

_LAYERS = ("LSTM", "GRU", "RNN")


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers in an MLX module."""
    nn = sys.modules.get("mlx.nn")
    if nn is None or layout is not None or not isinstance(subject, nn.Module):
        return
    inside: list[str] = []
    for path, module in sorted(subject.named_modules(), key=_place):
        if any(path.startswith(f"{outer}." if outer else "") for outer in inside):
            continue
        kind = _kind(module)
        if kind:
            yield MlxHolder(subject, path, module, kind)
        if kind or layout_of(module) is not None:
            inside.append(path)


def _place(pair: tuple[str, Any]) -> list[tuple[bool, int, str]]:
    """An order in which outer modules come first and layers.10 after layers.9."""
    pieces = pair[0].split(".") if pair[0] else []
    return [(not piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in pieces]


def _kind(module: Any) -> str:
    """The class of mlx.nn that a module is, or is made of; "" where it is none, or described by its user."""
    if layout_of(module) is not None:
        return ""
    names = (each.__name__ for each in type(module).__mro__ if each.__module__ == "mlx.nn.layers.recurrent")
    return next((name for name in names if name in _LAYERS), "")


def called(function: Any, arguments: list[Array]) -> Array:
    """A function's value on numbers."""
    mx = sys.modules["mlx.core"]
    return as_numpy(function(*map(mx.array, arguments)))


class MlxWeight(Weight):
    """``module.attribute``, whatever array that is when it is asked for."""

    def __init__(self, module: Any, attribute: str, name: str):
        self.module, self.attribute, self.name = module, attribute, name
        array = self.native()
        self.dtype, self.shape = dtype_of(array), tuple(array.shape)

    def native(self) -> Any:
        return getattr(self.module, self.attribute)

    def array(self) -> Array:
        return as_numpy(self.native())

    def assign(self, array: Array) -> None:
        setattr(self.module, self.attribute, like(array, self.native()))

    @property
    def frozen(self) -> bool:
        return self.attribute not in self.module.trainable_parameters()

    def freeze(self, frozen: bool = True) -> None:
        change = self.module.freeze if frozen else self.module.unfreeze
        change(keys=[self.attribute], recurse=False)


class MlxHolder(Holder):
    """An LSTM, a GRU or an RNN of MLX."""

    framework = "mlx"

    def __init__(self, subject: Any, path: str, module: Any, kind: str):
        self.subject, self.path, self.module, self.kind = subject, path, module, kind
        self.version = str(sys.modules["mlx.core"].__version__)
        self.layouts = (layout_called(f"mlx.{kind}"),)
        prefix = f"{path}." if path else ""
        names = [name for name, each in module.items() if is_array(each)]
        self._weights = {prefix + name: MlxWeight(module, name, prefix + name) for name in names}
        if kind == "RNN":
            self.meaning = {"activation": activation_of(module.nonlinearity, called)}

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        mx = sys.modules["mlx.core"]
        dtype = next(iter(self._weights.values())).native().dtype
        given = [mx.array(each[0]).astype(dtype) for each in state or ()]
        found = self.module(mx.array(x).astype(dtype), *given)
        every = [as_numpy(each) for each in (found if isinstance(found, tuple) else (found,))]
        return every[0], tuple(each[:, -1][None] for each in every)
