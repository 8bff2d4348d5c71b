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
from ._calls import Way
from ._custom import layout_of
from ._functions import activation_of
from ._own import Caller, around, matches_of, only, said, ways_of
from ._trees import mask_of
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from ..tensors import Array

_LAYERS = ("LSTM", "GRU", "RNN")


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers in an MLX module."""
    nn = sys.modules.get("mlx.nn")
    if nn is None or not isinstance(subject, nn.Module):
        return
    if layout is not None:
        yield from _own(subject, "", subject, layout)
        return
    inside: list[str] = []
    for path, module in sorted(subject.named_modules(), key=_place):
        if any(path.startswith(f"{outer}." if outer else "") for outer in inside):
            continue
        kind, described = _kind(module), layout_of(module)
        if kind:
            yield MlxHolder(subject, path, module, kind)
        if described is not None:
            yield from _own(subject, path, module, described)
        if kind or described is not None:
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


class MlxLayer(Holder):
    """A module with arrays in it.  ``subject`` is the model that was given."""

    framework = "mlx"

    def __init__(self, subject: Any, path: str, module: Any, layout: Layout):
        self.subject, self.path, self.module, self.layouts = subject, path, module, (layout,)
        self.version = str(sys.modules["mlx.core"].__version__)
        self._weights: dict[str, Weight] = dict(_weights(module, f"{path}." if path else ""))

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def mask_tree(self, masks: Mapping[str, Array], whole: bool) -> Any:
        """In the shape of ``model.parameters()``."""
        utils = sys.modules["mlx.utils"]
        leaves = utils.tree_flatten(self.subject.parameters())
        return utils.tree_unflatten([(name, mask_of(each, masks.get(name), whole)) for name, each in leaves])


def _weights(module: Any, prefix: str) -> Iterator[tuple[str, Weight]]:
    """Every array in a module and in the modules below it."""
    for path, each in sorted(module.named_modules(), key=_place):
        below = f"{prefix}{path}." if path else prefix
        for name, value in each.items():
            if is_array(value):
                yield below + name, MlxWeight(each, name, below + name)


class MlxOwn(MlxLayer):
    """A layer of the user's own."""

    unproved = True
    callers: Sequence[Caller] = ()

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        example = next(iter(self._weights.values())).native()
        if self.called is not None:
            yield from said(self.called, lambda: self.module, letters, cells, example)
        else:
            yield from ways_of(self.callers, letters, cells, example)


def _own(subject: Any, path: str, module: Any, layout: Layout) -> Iterator[Holder]:
    """The layers in a module that a layout describes."""
    whole = MlxOwn(subject, path, module, layout)
    matches = matches_of(whole.tensors(), layout)
    if not matches:
        yield whole
    prefix = f"{path}." if path else ""
    parts = {(prefix + at if at else path): each for at, each in module.named_modules() if callable(each)}
    for match in matches:
        holder = MlxOwn(subject, path, module, layout)
        holder._weights = only(holder._weights, match)
        holder.callers = [_caller(near, parts[near]) for near in around(list(parts), match, matches, ".")]
        yield holder


def _caller(path: str, module: Any) -> Caller:
    return Caller(path or "layer", lambda: module)


class MlxHolder(MlxLayer):
    """An LSTM, a GRU or an RNN of MLX."""

    def __init__(self, subject: Any, path: str, module: Any, kind: str):
        super().__init__(subject, path, module, layout_called(f"mlx.{kind}"))
        if kind == "RNN":
            self.meaning = {"activation": activation_of(module.nonlinearity, called)}

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        mx = sys.modules["mlx.core"]
        dtype = next(iter(self._weights.values())).native().dtype
        given = [mx.array(each[0]).astype(dtype) for each in state or ()]
        found = self.module(mx.array(x).astype(dtype), *given)
        every = [as_numpy(each) for each in (found if isinstance(found, tuple) else (found,))]
        return every[0], tuple(each[:, -1][None] for each in every)
