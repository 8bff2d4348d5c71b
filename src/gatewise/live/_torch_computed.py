"""Weights that a torch module computes from other parameters: what they are now, and how to write through to them.

Known: parametrizations, the old ``weight_norm`` (w = g * v / |v|), the old ``spectral_norm``, pruning (w = orig * mask) and
weight drop, of AWD-LSTM (``weight_hh_l0_raw`` in the layer) and of fastai (in the module around it).  What a hook left in the
module at the last call may be stale, so it is computed anew whenever it is read.  What has no inverse (the old
``spectral_norm``, a mask where it is zero) is refused, not approximated, and nothing is changed then.
Sources: torch/nn/utils/{parametrize,weight_norm,spectral_norm,prune}.py; fastai/text/models/awdlstm.py, WeightDropout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import UsageError
from . import torch as live


class Maker:
    """How ``module.attribute`` is made.  ``parameters``: from these; ``homes``: the modules whose tensors writing may
    change."""

    def __init__(self, module: Any, attribute: str):
        self.module, self.attribute = module, attribute

    def parameters(self) -> list[Any]:
        raise NotImplementedError

    def homes(self) -> list[Any]:
        return [self.module]

    def compute(self) -> Any:
        """What it is now, with its history where gradients are recorded."""
        raise NotImplementedError

    def assign(self, value: Any) -> None:
        """Make it ``value``; under ``torch.no_grad``.  Raises UsageError where nothing makes it so."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Leave in the module what its forward would compute."""


class _Parametrized(Maker):
    def parameters(self) -> list[Any]:
        return list(self.module.parametrizations[self.attribute].parameters())

    def homes(self) -> list[Any]:
        return [each for _path, each in live.modules(self.module.parametrizations[self.attribute])]

    def compute(self) -> Any:
        return getattr(self.module, self.attribute)

    def assign(self, value: Any) -> None:
        try:
            assign(self.module, self.attribute, value)
        except (NotImplementedError, RuntimeError, AttributeError, ValueError, TypeError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise self._refused(f"cannot be inverted ({first})") from None
        off = float((self.compute() - value).abs().max())
        if not off <= 1e-5 * max(1.0, float(value.abs().max())) * _coarser(value):
            raise self._refused(f"does not let it become this (the nearest differs by {off:.3g})")

    def _refused(self, why: str) -> UsageError:
        kinds = ", ".join(type(each).__name__.lstrip("_") for each in self.module.parametrizations[self.attribute])
        return UsageError(
            f"{self.attribute} is parametrized ({kinds}), and its parametrization {why}.",
            next="Remove it first: torch.nn.utils.parametrize.remove_parametrizations.",
        )


def assign(module: Any, attribute: str, value: Any) -> None:
    """``module.attribute = value`` of a parametrized weight.  Not by the module's own ``__setattr__``: torch's recurrent
    modules would put the value itself into their private list, and use it if the parametrization is removed before a call."""
    object.__setattr__(module, attribute, value)


class _Hooked(Maker):
    """Made by a hook before every call, which leaves it in the module as a plain tensor."""

    tails: tuple[str, ...]

    def __init__(self, module: Any, attribute: str, hook: Any):
        super().__init__(module, attribute)
        self.hook = hook

    def parameters(self) -> list[Any]:
        held = parameters_of(self.module)
        return [held[self.attribute + tail] for tail in self.tails if self.attribute + tail in held]

    def refresh(self) -> None:
        import torch

        with torch.enable_grad():
            setattr(self.module, self.attribute, self.compute())


class _Normed(_Hooked):
    tails = ("_g", "_v")

    def compute(self) -> Any:
        return self.hook.compute_weight(self.module)

    def assign(self, value: Any) -> None:
        import torch

        scale, direction = self.parameters()
        norm = torch.norm_except_dim(value, 2, self.hook.dim)
        if bool((norm == 0).any()):
            raise UsageError(
                f"{self.attribute} is weight-normalised, which cannot give a row of zeros.",
                next="Remove the weight norm first (torch.nn.utils.remove_weight_norm).",
            )
        scale.copy_(norm)
        direction.copy_(value)


class _Spectral(_Hooked):
    tails = ("_orig",)

    def compute(self) -> Any:
        return self.hook.compute_weight(self.module, do_power_iteration=False)

    def assign(self, value: Any) -> None:  # noqa: ARG002
        raise UsageError(
            f"{self.attribute} is divided by its largest singular value at every call, so it cannot become this.",
            next="Remove the spectral norm first (torch.nn.utils.remove_spectral_norm).",
        )


class _Pruned(_Hooked):
    tails = ("_orig",)

    def compute(self) -> Any:
        return self.hook.apply_mask(self.module)

    def assign(self, value: Any) -> None:
        (original,) = self.parameters()
        mask = getattr(self.module, f"{self.attribute}_mask")
        lost = int(((mask == 0) & (value != 0)).sum())
        if lost:
            raise UsageError(
                f"{lost} of the elements of {self.attribute} to write are pruned, so they stay zero.",
                next="Write zeros there, or make the pruning permanent first (torch.nn.utils.prune.remove).",
            )
        original.copy_(value.where(mask != 0, original))


class _Dropped(Maker):
    """Weight drop: the layer runs with a dropped copy of ``owner``'s ``…_raw``; in evaluation with all of it."""

    def __init__(self, module: Any, attribute: str, owner: Any):
        super().__init__(module, attribute)
        self.owner = owner

    def homes(self) -> list[Any]:
        return [self.owner]

    def parameters(self) -> list[Any]:
        return [parameters_of(self.owner)[f"{self.attribute}_raw"]]

    def compute(self) -> Any:
        return self.parameters()[0]

    def assign(self, value: Any) -> None:
        self.compute().copy_(value)

    def refresh(self) -> None:
        import torch

        with torch.enable_grad():
            self.put(self.compute().clone())

    def put(self, tensor: Any) -> None:
        """Exchange the copy with which the layer runs."""
        if self.attribute in parameters_of(self.module):  # as fastai 1 puts it there
            vars(self.module)["_parameters"][self.attribute] = tensor
        elif tensor is not None:
            setattr(self.module, self.attribute, tensor)
        else:
            delattr(self.module, self.attribute)


class _Unknown(Maker):
    """A plain tensor that something computes, and nothing tells what."""

    def parameters(self) -> list[Any]:
        return []

    def compute(self) -> Any:
        return getattr(self.module, self.attribute)

    def assign(self, value: Any) -> None:  # noqa: ARG002
        raise UsageError(
            f"{self.attribute} is no parameter of its {type(self.module).__name__} but a tensor that other code puts there, "
            "so what is written would not stay.",
            next="Hand over the model around it, or make it a parameter first.",
        )


def maker_of(module: Any, attribute: str, around: Any = None) -> Maker | None:
    """How a weight is made; None where it is a parameter or a buffer.  ``around``: the module that holds this one."""
    if attribute in parametrized(module):
        return _Parametrized(module, attribute)
    for hook in vars(module).get("_forward_pre_hooks", {}).values():
        kind = _KINDS.get((type(hook).__module__, type(hook).__name__))
        if kind is not None and hook.name == attribute:
            return kind(module, attribute, hook)
        if getattr(hook, "_tensor_name", None) == attribute and hasattr(hook, "apply_mask"):
            return _Pruned(module, attribute, hook)
    dropped = weight_drop(module, attribute, around)
    if dropped is not None:
        return dropped
    held = _holds(module, "_parameters", attribute) or _holds(module, "_buffers", attribute)
    return None if held else _Unknown(module, attribute)


def weight_drop(module: Any, attribute: str, around: Any = None) -> Maker | None:
    """The whole matrix of a weight that is dropped at every call; None where it is not."""
    for owner in (module, around):
        if owner is not None and _holds(owner, "_parameters", f"{attribute}_raw"):
            return _Dropped(module, attribute, owner)
    return None


@contextmanager
def undropped(makers: list[Maker | None]) -> Iterator[None]:
    """While open weight-dropped layers have their whole matrices, as in evaluation; then what they had again."""
    dropped = [maker for maker in makers if isinstance(maker, _Dropped)]
    before = [(maker, getattr(maker.module, maker.attribute, None)) for maker in dropped]
    try:
        for maker in dropped:
            maker.refresh()
        yield
    finally:
        for maker, tensor in before:
            maker.put(tensor)


_KINDS = {
    ("torch.nn.utils.weight_norm", "WeightNorm"): _Normed,
    ("torch.nn.utils.spectral_norm", "SpectralNorm"): _Spectral,
}


def parameters_of(module: Any) -> Mapping[str, Any]:
    """A module's own parameters by name; also of a scripted one, which keeps them in a mapping that is none."""
    return {name: each for name, each in live.inside(module, "_parameters").items() if each is not None}


def buffers_of(module: Any) -> Mapping[str, Any]:
    return {name: each for name, each in live.inside(module, "_buffers").items() if each is not None}


def _holds(module: Any, kind: str, name: str) -> bool:
    """Has a module a parameter (or another ``kind``) of this name?  Asked for every weight, again and again."""
    held = live.inside(module, kind)
    if isinstance(held, dict):
        return held.get(name) is not None
    return any(each == name and value is not None for each, value in held.items())


def parametrized(module: Any) -> Iterable[str]:
    """The names of a module's parametrized weights."""
    if not _holds(module, "_modules", "parametrizations"):
        return ()
    return list(dict(live.children(module))["parametrizations"])


def _coarser(value: Any) -> float:
    """How much coarser than float32 a tensor's numbers are."""
    import torch

    return max(1.0, float(torch.finfo(value.dtype).eps) / 1.2e-7)


class Kept:
    """Tensors as they are now: which objects a module holds, and their numbers."""

    def __init__(self, maker: Maker):
        held = [each for module in maker.homes() for each in (vars(module)["_parameters"], vars(module)["_buffers"])]
        self._objects = [(mapping, dict(mapping)) for mapping in held]
        self._numbers = [
            (tensor, tensor.detach().clone()) for mapping in held for tensor in mapping.values() if tensor is not None
        ]

    def put_back(self) -> None:
        import torch

        for mapping, objects in self._objects:
            mapping.clear()
            mapping.update(objects)
        with torch.no_grad():
            for tensor, numbers in self._numbers:
                tensor.copy_(numbers)


@contextmanager
def all_or_nothing(maker: Maker) -> Iterator[None]:
    """Where what is done inside raises, what the weight is made from is as it was."""
    kept = Kept(maker)
    try:
        yield
    except BaseException:
        kept.put_back()
        raise
