"""Which weights a recurrent module's forward really uses, and whether they are those that its names give.

``forward`` hands a private list to the kernel, ``_flat_weights``.  ``named_parameters()``, the optimizer and ``state_dict()``
see the names.  Where the two part ways, training does nothing and what is saved is not what ran.

Measured: on torch 2.13 parametrize, prune (and its removal), weight_norm and spectral_norm old and new, WeightDrop, functional
calls, ``load_state_dict(assign=True)``, assignment to the attribute and to ``_parameters`` all stay together, since 2.0 looks at every call;
a list that was exchanged and a name that was deleted do not.  On 1.12 also parametrize and assignment to ``_parameters`` part them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import torch as live

STEP = 0.25  # how far every parameter is moved; exact in every float type
_TIME, _BATCH = 3, 2


@dataclass(frozen=True)
class Parted:
    """``stale``: names whose tensor is not what forward uses.  ``nameless``: tensors that forward uses under a name that
    the module no longer has.  ``difference``: the largest in the output, once every parameter was moved a little."""

    stale: tuple[str, ...]
    nameless: tuple[str, ...]
    difference: float


def parted(layer: Any) -> Parted | None:
    """What forward uses beside what the names give, confirmed by running it; None where they are the same.

    Looks first, runs only what looks suspicious: on a tiny input, before and after moving every parameter.  Everything is put
    back bit for bit: parameters, attributes, modes; no hook of the user's is called, no random number drawn, nothing recorded.
    """
    if not _suspicious(layer):
        return None
    try:
        with _untouched(layer):
            return _confirmed(layer)
    except (AttributeError, RuntimeError, TypeError, ValueError, NotImplementedError):
        return None  # it does not run as it is: another ailment's matter


def stale(layer: Any) -> tuple[str, ...]:
    """Names whose tensors forward does not use, so that writing to them changes no output.  Costs next to nothing where the
    list is of the module's own parameters, or where torch renews it at the next call."""
    flat, held = vars(layer).get("_flat_weights"), live.inside(layer, "_parameters")
    names = vars(layer).get("_flat_weights_names")
    if flat is None or _are(flat, held, live.weights(layer) if names is None else names):
        return ()
    with live.quiet(layer), live.completed(layer):
        if live.keeps_references(layer) and layer._weights_have_changed():
            return ()
    found = parted(layer)
    return () if found is None else found.stale


def _are(flat: Any, held: Any, names: Any) -> bool:
    return len(flat) == len(names) and all(held.get(name) is each for name, each in zip(names, flat, strict=True))


def _suspicious(layer: Any) -> bool:
    flat, now = vars(layer).get("_flat_weights"), live.weights(layer)
    return flat is not None and (
        len(flat) != len(now) or any(a is not b for a, b in zip(flat, now.values(), strict=True))
    )


def _confirmed(layer: Any) -> Parted | None:
    _before_call(layer)
    nameless = [name for name, tensor in _used(layer).items() if tensor is not None and not hasattr(layer, name)]
    stale = set(_differing(layer))
    differences = [_difference(layer)]
    for parameter in _parameters(layer):
        parameter.data.add_(STEP)
    _before_call(layer)
    stale |= set(_differing(layer))
    differences.append(_difference(layer))
    if not nameless and not (stale and max(differences) > 0):
        return None
    return Parted(tuple(name for name in _used(layer) if name in stale), tuple(nameless), max(differences))


def _before_call(layer: Any) -> None:
    """What torch does before it uses the list: hooks of its own that compute weights, and since 2.0 a look at the names."""
    for hook in list(layer._forward_pre_hooks.values()):
        if hook is follow or type(hook).__module__.startswith("torch.nn.utils."):
            hook(layer, ())
    if live.keeps_references(layer) and layer._weights_have_changed():
        layer._init_flat_weights()


def _used(layer: Any) -> dict[str, Any]:
    return dict(zip(layer._flat_weights_names, layer._flat_weights, strict=True))


def _differing(layer: Any) -> Iterator[str]:
    import torch

    now = live.weights(layer)
    for name, tensor in _used(layer).items():
        if (
            tensor is not None
            and now[name] is not None
            and now[name] is not tensor
            and not torch.equal(now[name], tensor)
        ):
            yield name


def _difference(layer: Any) -> float:
    """How much the output changes when forward uses what the names give."""
    as_it_is = _run(layer)
    kept, now = layer._flat_weights, live.weights(layer)
    layer._flat_weights = [now[name] if now[name] is not None else old for name, old in _used(layer).items()]
    try:
        return float((as_it_is - _run(layer)).abs().max())
    finally:
        layer._flat_weights = kept


def _run(layer: Any) -> Any:
    import torch

    like = next(weight for weight in layer._flat_weights if weight is not None)
    shape = (_TIME, _BATCH, layer.input_size)
    ramp = torch.arange(_TIME * _BATCH * layer.input_size, device=like.device, dtype=torch.float32)
    return type(layer).forward(layer, torch.sin(ramp).reshape(shape).to(like.dtype))[0].double()


def _parameters(layer: Any) -> list[Any]:
    """Every parameter that the optimizer would see, and once where two names share one."""
    found = {
        id(parameter): parameter for _path, module in live.modules(layer) for parameter in module._parameters.values()
    }
    return [parameter for parameter in found.values() if parameter is not None]


@contextmanager
def _untouched(layer: Any) -> Iterator[None]:
    """While open the layer may be run and its parameters moved; afterwards all is as it was, the same objects too."""
    kept = [(module, dict(vars(module)), _containers(module)) for _path, module in live.modules(layer)]
    values = [(tensor, tensor.detach().clone()) for tensor in (*_parameters(layer), *_buffers(layer))]
    try:
        with live.quiet(layer):
            vars(layer)["flatten_parameters"] = lambda: None  # it would move the weights on a GPU
            yield
    finally:
        for tensor, value in values:
            tensor.data.copy_(value)
        for module, attributes, contents in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for container, content in contents:
                _refill(container, content)


def _containers(module: Any) -> list[tuple[Any, Any]]:
    """The dictionaries and lists that torch keeps in a module, and what is in them."""
    names = ("_parameters", "_buffers", "_modules", "_flat_weights", "_flat_weights_names", "_flat_weight_refs")
    held = [vars(module).get(name) for name in names]
    return [(container, container.copy()) for container in held if isinstance(container, (dict, list))]


def _refill(container: Any, content: Any) -> None:
    container.clear()
    (container.update if isinstance(container, dict) else container.extend)(content)


def _buffers(layer: Any) -> list[Any]:
    return [each for _path, module in live.modules(layer) for each in module._buffers.values() if each is not None]


def renew(layer: Any) -> None:
    """Make forward use what the names give; what it used without a name becomes a parameter of that name again.

    Before torch 2.0 a computed weight needs that at every call: then a hook does it.
    """
    import torch

    for name, tensor in zip(layer._flat_weights_names, layer._flat_weights, strict=True):
        if tensor is not None and not hasattr(layer, name):
            parameter = (
                tensor if isinstance(tensor, torch.nn.Parameter) else torch.nn.Parameter(tensor.detach().clone())
            )
            layer.register_parameter(name, parameter)
    vars(layer)["_flat_weights"] = [getattr(layer, name, None) for name in layer._flat_weights_names]
    if live.keeps_references(layer):
        vars(layer)["_flat_weight_refs"] = live.references(layer._flat_weights)
    elif live.computed(layer) and follow not in layer._forward_pre_hooks.values():
        layer.register_forward_pre_hook(follow)


def follow(layer: Any, _inputs: Any) -> None:
    """A forward pre-hook: the list is made anew from the names, as torch itself does since 2.0."""
    vars(layer)["_flat_weights"] = [getattr(layer, name, None) for name in layer._flat_weights_names]
