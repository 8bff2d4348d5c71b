"""A part of a torch parameter left out of training: a parametrization that holds it.

    weight = where(frozen, held, original)

The optimizer trains ``original``; what it does to the frozen elements there (weight decay, momentum) reaches nobody, and no
gradient comes from them.  A gradient hook would not do: decay and momentum move what has no gradient, and ``deepcopy`` loses
hooks.  Files keep ``parametrizations.<name>.original``, ``….0.frozen`` and ``….0.held``, which ``effective`` reads.
Source: torch/nn/utils/parametrize.py.  Not known here: which elements are a gate's.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from ..errors import UsageError
from . import torch as torch_live
from ._torch_computed import assign, parameters_of, parametrized
from ._torch_used import follow, renew


def __getattr__(name: str) -> Any:
    """The class by its name, as what unpickles one asks for it."""
    if name == "FrozenPart":
        return _kind()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _kind() -> Any:
    """The class, made when torch is at hand."""
    import torch

    module: Any = torch.nn.Module

    class FrozenPart(module):  # type: ignore[misc]
        """Holds the elements where ``frozen`` is true.  Assigning to the weight changes them too: only training does not."""

        frozen: Any
        held: Any

        def __init__(self, frozen: Any, held: Any, order: list[str]):
            super().__init__()
            self.register_buffer("frozen", frozen)
            self.register_buffer("held", held)
            self.order = (
                order  # of the module's parameters before any of them was held, for when the part is taken out again
            )

        def forward(self, original: Any) -> Any:
            return torch.where(self.frozen, self.held, original)

        def right_inverse(self, value: Any) -> Any:
            with torch.no_grad():
                self.held.copy_(value)
            return value

    FrozenPart.__module__, FrozenPart.__qualname__ = __name__, "FrozenPart"
    return FrozenPart


def frozen_part(module: Any, attribute: str) -> Any:
    """The :class:`FrozenPart` of ``module.attribute``, or None."""
    if attribute not in parametrized(module):
        return None
    return next((each for each in module.parametrizations[attribute] if type(each).__name__ == "FrozenPart"), None)


def refused(module: Any, attribute: str) -> UsageError | None:
    """Why no part of ``module.attribute`` can be held; None where one can."""
    import torch

    if not hasattr(torch.nn.utils, "parametrize"):
        return UsageError(
            f"holding a part of {attribute} needs torch.nn.utils.parametrize (torch 1.9 and newer).",
            next="Choose all of its gates.",
        )
    if isinstance(module, torch.jit.ScriptModule):
        return UsageError(
            f"{attribute} is compiled to TorchScript, which takes no parametrization.", next="Choose all of its gates."
        )
    if attribute in parameters_of(module) or attribute in parametrized(module):
        return None
    return UsageError(
        f"{attribute} is computed from other parameters (weight_norm or pruning), so no part of it can be held.",
        next="Choose all of its gates, or make it plain first (torch.nn.utils.remove_weight_norm, prune.remove).",
    )


def hold(module: Any, attribute: str, frozen: Any) -> None:
    """Hold exactly these elements of ``module.attribute``.  None: it is a plain parameter again, the same object in its old
    place, unless something else is computed from it too."""
    part = frozen_part(module, attribute)
    if part is None:
        if bool(frozen.any()):
            _register(module, attribute, frozen)
        return
    value = _now(module, attribute)
    part.frozen.copy_(frozen)
    assign(module, attribute, value)
    if not bool(frozen.any()) and len(module.parametrizations[attribute]) == 1:
        _remove(module, attribute, part.order)


def _now(module: Any, attribute: str) -> Any:
    with torch_live.quiet(module):
        return getattr(module, attribute).detach().clone()


def _register(module: Any, attribute: str, frozen: Any) -> None:
    import torch
    from torch.nn.utils import parametrize

    part = _kind()(frozen, _now(module, attribute), _order(module))
    parametrize.register_parametrization(module, attribute, part)
    _copied_without_history(module)
    if isinstance(module, torch.nn.RNNBase) and not torch_live.keeps_references(module):
        renew(module)  # before torch 2.0 their forward would not follow what is computed


def _order(module: Any) -> list[str]:
    """The order of a module's parameters, those that are held in parts already in the places that they had before."""
    held = list(vars(module)["_parameters"])
    parts = (frozen_part(module, each) for each in parametrized(module))
    order: list[str] = next((list(part.order) for part in parts if part is not None), held)
    return order + [name for name in held if name not in order]


def _remove(module: Any, attribute: str, order: list[str]) -> None:
    """Back to a plain parameter, where it was among its neighbours: optimizers count parameters in that order."""
    from torch.nn.utils import parametrize

    parametrize.remove_parametrizations(module, attribute)
    held = vars(module)["_parameters"]
    places = {name: place for place, name in enumerate(order)}
    for name in sorted(held, key=lambda name: places.get(name, len(places))):  # what came later stays behind
        held[name] = held.pop(name)
    hooks = vars(module)["_forward_pre_hooks"]
    for key in [key for key, hook in hooks.items() if hook is follow and not torch_live.computed(module)]:
        del hooks[key]
    setattr(module, attribute, held[attribute])  # torch's recurrent modules keep a list beside, which this renews


def _copied_without_history(module: Any) -> None:
    """Let ``copy.deepcopy`` take the module after a call too: torch's recurrent modules keep what they computed in a list,
    and a tensor with a history cannot be copied."""
    kind = type(module)  # of this module alone: parametrize makes a class for each
    before = getattr(kind, "__deepcopy__", _plain_copy)
    if getattr(before, "without_history", False):
        return

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:  # noqa: N807  (the name by which copy asks)
        for tensor in torch_live.computed_tensors(self):
            memo.setdefault(id(tensor), tensor.detach().clone())
        return before(self, memo)

    __deepcopy__.without_history = True  # type: ignore[attr-defined]
    kind.__deepcopy__ = __deepcopy__


def _plain_copy(module: Any, memo: dict[int, Any]) -> Any:
    kind: Any = type(module)
    made = memo[id(module)] = kind.__new__(kind)
    vars(made).update(copy.deepcopy(vars(module), memo))
    return made
