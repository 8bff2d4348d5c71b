"""torch's modules in memory: their recurrent layers, what they lack, a copy that also a sick one survives.

torch is taken from ``sys.modules``: whoever hands over a module has imported it.  Not known here: modules compiled to
TorchScript and quantized ones, which keep their weights elsewhere.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._legacy_torch import lacking, legacy_torch

__all__ = ["complete", "duplicate", "is_module", "layers", "legacy_torch", "missing", "modules"]


def is_module(subject: Any) -> bool:
    """Whether this is a torch module.  Without torch nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(subject, torch.nn.Module)


def modules(subject: Any) -> Iterator[tuple[str, Any]]:
    """Every module of a model with its path, each once; nothing for an object that is no torch module."""
    if is_module(subject):
        yield from _walk("", subject, set())


def _walk(path: str, module: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """As ``named_modules``, which a module may have overridden."""
    if id(module) not in seen:
        seen.add(id(module))
        yield path, module
        for name, child in vars(module).get("_modules", {}).items():
            if child is not None:
                yield from _walk(f"{path}.{name}" if path else name, child, seen)


def layers(subject: Any) -> Iterator[tuple[str, Any]]:
    """Every LSTM, GRU and RNN of a model with its path."""
    torch = sys.modules.get("torch")
    for path, module in modules(subject):
        if isinstance(module, torch.nn.RNNBase):  # type: ignore[union-attr]
            yield path, module


def at(subject: Any, path: str) -> Any:
    """The module at a path."""
    return dict(modules(subject))[path]


def weights(layer: Any) -> dict[str, Any]:
    """A layer's weights under the names that it itself gives them: tensors, or None where there is none of that name."""
    names = vars(layer).get("_flat_weights_names") or lacking(type(layer), vars(layer)).get("_flat_weights_names", [])
    return {name: getattr(layer, name, None) for name in names}


def missing(module: Any) -> dict[str, Any]:
    """The attributes that torch sets in every module of this class and that this one lacks, with their values."""
    import torch

    state = vars(module)
    fresh = vars(torch.nn.Module())
    found = {name: value for name, value in fresh.items() if name not in state}
    found.update((name, value) for name, value in lacking(type(module), state).items() if name not in state)
    if isinstance(module, torch.nn.RNNBase) and "_flat_weight_refs" not in state and keeps_references(module):
        found["_flat_weight_refs"] = references({**state, **found}.get("_flat_weights", []))
    return found


def keeps_references(layer: Any) -> bool:
    """Whether this torch (2.0 and newer) looks at every call whether a weight was exchanged."""
    return hasattr(type(layer), "_update_flat_weights")


def references(flat: list[Any]) -> list[Any]:
    import weakref

    return [None if weight is None else weakref.ref(weight) for weight in flat]


def complete(module: Any) -> dict[str, Any]:
    """Give a module what it lacks; what was given."""
    given = missing(module)
    vars(module).update(given)
    return given


def duplicate(subject: Any) -> Any:
    """A deep copy of a model, also of one that lacks attributes or holds computed tensors, which ``copy.deepcopy`` refuses."""
    with _whole(subject):
        return copy.deepcopy(subject, {id(each): each.detach().clone() for each in _computed(subject)})


@contextmanager
def _whole(subject: Any) -> Iterator[None]:
    """While open, no module lacks anything: copying asks each for its state."""
    given = [(module, missing(module)) for _path, module in modules(subject)]
    for module, attributes in given:
        vars(module).update(attributes)
    try:
        yield
    finally:
        for module, attributes in given:
            for name in attributes:
                vars(module).pop(name, None)


def _computed(subject: Any) -> Iterator[Any]:
    """Tensors that a module keeps as plain attributes and that have a history (weight_norm's and prune's results)."""
    import torch

    for _path, module in modules(subject):
        for value in (*vars(module).values(), *(vars(module).get("_flat_weights") or ())):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                yield value
