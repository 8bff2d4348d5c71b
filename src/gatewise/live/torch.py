"""torch's modules in memory: their recurrent layers, what they lack, a copy that also a sick one survives.

torch is taken from ``sys.modules``: whoever hands over a module has imported it.  Not known here: modules compiled to
TorchScript and quantized ones, which keep their weights elsewhere.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ._legacy_torch import lacking, legacy_torch

if TYPE_CHECKING:
    from ..layouts import Layout
    from ._weight import Holder

__all__ = ["complete", "duplicate", "holders", "is_module", "layers", "legacy_torch", "missing", "modules", "why_none"]


def why_none(subject: Any) -> tuple[str, str] | None:
    """Why a module in which no layer was found may hold one all the same, and what to do."""
    for path, module in modules(subject):
        if is_scripted(module) and not any(inside(each, "_parameters") for _path, each in modules(module)):
            kind = getattr(module, "original_name", type(module).__name__)
            why = "it is TorchScript without parameters: freezing makes them constants of its code"
            return f"{path or 'it'} is a {kind}, and {why}.", "Use the model before torch.jit.freeze."
    return None


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent modules in a torch module; with a layout, the module as that layer."""
    if is_module(subject):
        from ._torch_holders import holders

        yield from holders(subject, layout)


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
        for name, child in children(module):
            if child is not None:
                yield from _walk(f"{path}.{name}" if path else name, child, seen)


def inside(module: Any, kind: str) -> Any:
    """A module's ``_parameters``, ``_buffers`` or ``_modules``, which TorchScript's keep in wrappers that have no more than
    ``items()``, and traced ones in a module behind them."""
    return vars(vars(module).get("_actual_script_module", module)).get(kind, {})


def children(module: Any) -> Iterator[tuple[str, Any]]:
    yield from inside(module, "_modules").items()


def paths(subject: Any) -> dict[int, list[str]]:
    """Every path at which a module is in a model, by the module's identity: one that is used twice has two."""
    found = {id(subject): [""]} if is_module(subject) else {}
    for path, module in modules(subject):
        for name, child in children(module):
            if child is not None:
                found.setdefault(id(child), []).append(f"{path}.{name}" if path else name)
    return found


def place_of(tensor: Any) -> Any:
    """Where a tensor's elements lie: the same for two tensors that are one.  Where there is no memory, the tensor itself."""
    if tensor.is_meta or is_lazy(tensor) or not tensor.numel():
        return id(tensor)
    return tensor.device, tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride())


def is_lazy(tensor: Any) -> bool:
    """Is it a parameter whose shape the first call decides?"""
    return type(tensor).__name__ in ("UninitializedParameter", "UninitializedBuffer")


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
    with quiet(layer):
        return {name: getattr(layer, name, None) for name in names}


@contextmanager
def quiet(layer: Any) -> Iterator[None]:
    """While open the layer and what is in it are in evaluation mode and nothing is recorded: to read a parametrized weight is
    to compute it, and spectral_norm's changes its buffers when it is read in training."""
    import torch

    with still(layer), torch.no_grad():
        yield


@contextmanager
def still(layer: Any) -> Iterator[None]:
    """As :func:`quiet`, and gradients are recorded."""
    modes = [(module, vars(module).get("training")) for _path, module in modules(layer)]
    scripted = [(module, module.training) for module, mode in modes if mode is None and is_scripted(module)]
    try:
        for module, _mode in modes:
            vars(module)["training"] = False  # not .eval(): that may be the user's own
        for module, _mode in scripted:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            if mode is None:
                del vars(module)["training"]
            else:
                vars(module)["training"] = mode
        for module, mode in scripted:
            module.training = mode


@contextmanager
def unmoved(layer: Any) -> Iterator[None]:
    """While open the layer may be run; then its buffers (running statistics, an observer's ranges) are as they were, and so
    is what it keeps in plain attributes (a state from call to call)."""
    import torch

    plain = [module for _path, module in modules(layer) if not is_scripted(module)]
    objects = [
        (vars(module)["_buffers"], dict(vars(module)["_buffers"])) for module in plain if "_buffers" in vars(module)
    ]
    numbers = [(each, each.detach().clone()) for _, held in objects for each in held.values() if each is not None]
    attributes = [(module, _kept_by_the_user(module)) for module in plain]
    try:
        with full_precision():
            yield
    finally:
        for buffers, before in objects:
            buffers.clear()
            buffers.update(before)
        with torch.no_grad():
            for tensor, value in numbers:
                if not tensor.is_meta and not torch.equal(tensor, value):
                    tensor.resize_(value.shape).copy_(value)
        for module, kept in attributes:
            for name in _kept_by_the_user(module).keys() - kept.keys():
                del vars(module)[name]
            vars(module).update(kept)


@contextmanager
def full_precision() -> Iterator[None]:
    """While open a GPU computes float32 in float32.  Unless told otherwise cuDNN rounds what an RNN multiplies to TF32, which
    has 10 bits: a right layout would look like a wrong one.  Source: "CUDA semantics" in torch's documentation."""
    import torch

    matmul, rnn = torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "rnn", None)
    new = [place for place in (matmul, rnn) if hasattr(place, "fp32_precision")]  # since 2.9; the old words until then
    places: list[tuple[Any, str, Any]] = [(place, "fp32_precision", "ieee") for place in new]
    places = places or [(place, "allow_tf32", False) for place in (matmul, torch.backends.cudnn)]
    before = [getattr(place, word) for place, word, _ in places]
    try:
        for place, word, value in places:
            setattr(place, word, value)
        yield
    finally:
        for (place, word, _), value in zip(places, before, strict=True):
            setattr(place, word, value)


def _kept_by_the_user(module: Any) -> dict[str, Any]:
    """A module's attributes that are neither torch's own nor weights that a hook puts there for the call."""
    flat = vars(module).get("_flat_weights_names", ())
    return {
        name: value
        for name, value in vars(module).items()
        if name[:1] != "_" and name not in flat and name != "training"
    }


def is_scripted(module: Any) -> bool:
    """Is it TorchScript's, scripted or traced?  Such a module keeps its weights and attributes in C++."""
    return type(module).__module__.startswith("torch.jit.")


def missing(module: Any) -> dict[str, Any]:
    """The attributes that torch sets in every module of this class and that this one lacks, with their values."""
    import torch

    if is_scripted(module):
        return {}
    state = vars(module)
    fresh = vars(torch.nn.Module())
    found = {name: value for name, value in fresh.items() if not hasattr(module, name)}
    found.update((name, value) for name, value in lacking(type(module), state).items() if name not in state)
    if isinstance(module, torch.nn.RNNBase) and "_flat_weight_refs" not in state and keeps_references(module):
        found["_flat_weight_refs"] = references({**state, **found}.get("_flat_weights", []))
    return found


def keeps_references(layer: Any) -> bool:
    """Whether this torch (2.0 and newer) looks at every call whether a weight was exchanged."""
    return hasattr(type(layer), "_weights_have_changed")


def references(flat: list[Any]) -> list[Any]:
    import weakref

    return [None if weight is None else weakref.ref(weight) for weight in flat]


def complete(module: Any) -> dict[str, Any]:
    """Give a module what it lacks; what was given."""
    given = missing(module)
    vars(module).update(given)
    return given


@contextmanager
def completed(module: Any) -> Iterator[None]:
    """While open a module has what it lacks, so that it can be called."""
    given = complete(module)
    try:
        yield
    finally:
        _without(module, given)


def duplicate(subject: Any) -> Any:
    """A deep copy of a model as it is, also of one that lacks attributes (copying asks every module for its state) or holds
    computed tensors, both of which ``copy.deepcopy`` refuses."""
    given = {path: (module, missing(module)) for path, module in modules(subject)}
    for module, attributes in given.values():
        vars(module).update(attributes)
    try:
        made = copy.deepcopy(subject, {id(each): each.detach().clone() for each in computed_tensors(subject)})
    finally:
        for module, attributes in given.values():
            _without(module, attributes)
    for path, module in modules(made):
        _without(module, given[path][1])
    return made


def _without(module: Any, attributes: dict[str, Any]) -> None:
    for name in attributes:
        vars(module).pop(name, None)


def computed_tensors(subject: Any) -> Iterator[Any]:
    """Tensors that a module keeps as plain attributes and that have a history (weight_norm's and prune's results)."""
    import torch

    for _path, module in modules(subject):
        for value in (*vars(module).values(), *(vars(module).get("_flat_weights") or ())):
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                yield value


def computed(layer: Any) -> bool:
    """Whether one of its weights is made anew at every call (weight_norm, spectral_norm, pruning, parametrizations)."""
    import torch

    return any(weight is not None and not isinstance(weight, torch.nn.Parameter) for weight in weights(layer).values())


def scattered(layer: Any) -> int:
    """In how many chunks of GPU memory a layer's weights lie in cuDNN's order; 0 where that is one, or where cuDNN does not
    run them."""
    import torch

    from ._torch_chunks import chunks

    held = [weight for weight in weights(layer).values() if weight is not None]
    if not held or not all(_on_cudnn(torch, weight) for weight in held):
        return 0
    count = chunks(sorted(held, key=lambda weight: weight.ndim == 1))  # every matrix, then every bias
    return count if count > 1 else 0


def _on_cudnn(torch: Any, weight: Any) -> bool:
    return bool(weight.is_cuda and torch.backends.cudnn.is_acceptable(weight))


def twins(layer: Any) -> Iterator[tuple[str, str]]:
    """Pairs of a layer's weights that hold the same numbers, not all alike, in memory of their own."""
    import torch

    seen: list[tuple[str, Any]] = []
    for name, weight in weights(layer).items():
        if weight is None or weight.is_meta or weight.numel() < 2 or bool((weight == weight.flatten()[0]).all()):
            continue
        for other, twin in seen:
            if twin is not weight and twin.data_ptr() != weight.data_ptr() and _equal(torch, twin, weight):
                yield other, name
                break
        seen.append((name, weight))


def _equal(torch: Any, one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.device == other.device and torch.equal(one, other))


def is_finite(weight: Any) -> bool:
    return weight.is_meta or bool(weight.detach().isfinite().all())
