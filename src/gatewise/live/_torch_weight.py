"""One weight of a torch module: read in place, written in place, its history kept.

A weight is asked of its module by name at every use, so that what ``to()``, ``half()`` or a new parametrization put there
is what is read and written.  Not known here: how a weight that is computed anew at every call comes about
(``_torch_computed``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, few
from ..tensors import Strided
from . import torch as live
from ._torch_computed import Kept, Maker, all_or_nothing, maker_of
from ._torch_frozen import frozen_part, hold, refused
from ._torch_used import stale
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..tensors import Array


class TorchWeight(Weight):
    """``module.attribute``, whatever tensor that is when it is asked for.  ``around``: the module that holds this one."""

    def __init__(self, module: Any, attribute: str, name: str, around: Any = None):
        self.module, self.attribute, self.name, self._around = module, attribute, name, around
        tensor = self.tensor()
        self.dtype = str(tensor.dtype).removeprefix("torch.")
        self.shape = tuple(tensor.shape)

    @property
    def maker(self) -> Maker | None:
        """How it is made from other parameters (weight norm, pruning, a parametrization …); None where it is one."""
        return maker_of(self.module, self.attribute, self._around)

    def _whole(self) -> Any:
        """The tensor itself, with its history."""
        maker = self.maker
        return getattr(self.module, self.attribute) if maker is None else maker.compute()

    def tensor(self) -> Any:
        """It as it is now, without its history.  The memory is the parameter's own, or where it is computed nobody's."""
        if self.maker is None:  # nothing is computed, so nothing has to be kept quiet
            return getattr(self.module, self.attribute).detach()
        with live.quiet(self.module):
            return self._whole().detach()

    def _numbers(self) -> Any:
        tensor = self.tensor()
        if tensor.is_meta:
            raise UsageError(
                f"{self.name} has a shape and no numbers: its module is on torch's meta device.",
                next="Give it memory first (module.to_empty(device=…)) and load its weights.",
            )
        return tensor

    @property
    def shared(self) -> bool:  # type: ignore[override]
        return self.maker is None and in_reach(self.tensor())

    @property
    def fallible(self) -> bool:  # type: ignore[override]
        return self.maker is not None or self.tensor().is_meta

    def native(self) -> Any:
        with live.still(self.module):
            return self._whole()

    def array(self) -> Array:
        return as_numpy(self._numbers())

    def data(self) -> Any:
        """The storage and the place in it, so that neighbours and shared weights can be told."""
        if self.maker is not None:
            return self.array
        tensor = getattr(self.module, self.attribute).detach()
        if not in_reach(tensor) or not tensor.numel():
            return self.array
        storage = storage_of(tensor)
        return Strided(
            functools.partial(_bytes_of, storage), tensor.storage_offset(), tuple(tensor.stride()),
            storage=f"memory at {storage.data_ptr():#x}",
        )  # fmt: skip

    def assign(self, array: Array) -> None:
        import torch

        target = self._numbers()
        maker = self.maker
        if maker is not None:
            with live.quiet(self.module), all_or_nothing(maker):
                maker.assign(as_tensor(array, target).clone())
            maker.refresh()
        elif in_reach(target):  # it was changed in place, where autograd did not see it
            changed(getattr(self.module, self.attribute))
        else:
            with torch.inference_mode() if target.is_inference() else torch.no_grad():
                target.copy_(as_tensor(array, target))

    def restorer(self) -> Callable[[], None]:
        maker = self.maker
        if maker is None:
            return super().restorer()
        kept = Kept(maker)

        def restore() -> None:
            kept.put_back()
            maker.refresh()

        return restore

    @property
    def frozen(self) -> bool:
        return not any(parameter.requires_grad for parameter in self.parameters())

    def freeze(self, frozen: bool = True) -> None:
        for parameter in self.parameters():
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None  # or the optimizer's next step would still follow it, momentum and all

    def frozen_elements(self) -> Array:
        part = None if self.frozen else frozen_part(self.module, self.attribute)
        return super().frozen_elements() if part is None else as_numpy(part.frozen).copy()

    def part_refused(self) -> UsageError | None:
        return refused(self.module, self.attribute)

    def freeze_elements(self, elements: Array) -> None:
        import torch

        part = elements if not elements.all() else ~elements
        if part.any() or frozen_part(self.module, self.attribute) is not None:
            with torch.no_grad():
                hold(self.module, self.attribute, torch.from_numpy(part).to(self.tensor().device))
        self.freeze(bool(elements.all()))

    @property
    def place(self) -> Any:
        """Where it lies, or the parameters that it is made from do: the same for two names of one weight."""
        maker = self.maker
        if maker is None:
            return live.place_of(getattr(self.module, self.attribute))
        return tuple(live.place_of(each) for each in maker.parameters()) or (id(self.module), self.attribute)

    def parameters(self) -> list[Any]:
        """The parameters behind it: itself, or those that it is computed from."""
        maker = self.maker
        return [getattr(self.module, self.attribute)] if maker is None else maker.parameters()


class TorchParameters(Holder):
    """What every holder of a torch module's parameters can."""

    framework = "torch"

    def writing_refused(self) -> UsageError | None:
        import torch

        modules = {id(each.module): each.module for each in self.weights.values() if isinstance(each, TorchWeight)}
        for module in modules.values():
            names = stale(module) if isinstance(module, torch.nn.RNNBase) else ()
            if names:
                return UsageError(
                    f"{self.path or type(self.subject).__name__} runs with other tensors than its names give (GW404: "
                    f"{few(names)}), so what is written there changes no output.",
                    next="Call gw.repair(module, in_place=True) first: then its forward uses what the names give.",
                )
        return None

    def listed(self) -> Sequence[str]:
        """As ``subject.parameters()`` has them now: who registers one anew (prune.remove, weight norm) puts it last."""
        prefix = f"{self.path}." if self.path else ""
        found = [prefix + name for name, _ in self.subject.named_parameters()]
        if sorted(found) != sorted(self.weights):
            raise self._another_list(found)
        return found

    def _another_list(self, found: Sequence[str]) -> UsageError:
        missing = [name for name in self.weights if name not in found]
        more = [name for name in found if name not in self.weights]
        told = [
            f"{few(names, 4)} {word}" for names, word in
            ((missing, "not in it (computed from other parameters, or tied)"), (more, "more in it")) if names
        ]  # fmt: skip
        return UsageError(
            f"the parameters of {self.path or type(self.subject).__name__} are another vector than its weights: {'; '.join(told)}.",
            next='Say order="torch" for the weights themselves, or make them plain parameters first.',
        )

    def param_groups(
        self, whole: Any, chosen: Sequence[Any], selected: Mapping[str, Any], rest: Mapping[str, Any]
    ) -> list[dict[str, Any]]:  # fmt: skip
        ours = {id(parameter) for parameter in chosen}
        others = [parameter for parameter in whole.parameters() if id(parameter) not in ours]
        groups = [{"params": list(chosen), **selected}, {"params": others, **rest}]
        return [group for group in groups if group["params"]]


def storage_of(tensor: Any) -> Any:
    """The bytes in which a tensor lies; ``untyped_storage`` since torch 2.0."""
    if hasattr(tensor, "untyped_storage"):
        return tensor.untyped_storage()
    typed = tensor.storage()
    return typed.untyped() if hasattr(typed, "untyped") else typed._untyped()


def _bytes_of(storage: Any) -> memoryview:
    import torch

    whole: Any = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return memoryview(whole)


def in_reach(tensor: Any) -> bool:
    """Can numpy look at it where it lies?"""
    return (
        tensor.device.type == "cpu"
        and str(tensor.layout) == "torch.strided"
        and type(tensor).__module__.startswith("torch")
    )


def changed(tensor: Any) -> None:
    """Tell autograd of a change in place, so that a backward pass over the old numbers fails and does not lie."""
    import torch

    if tensor.is_inference():  # has no versions
        return
    increment = getattr(torch.autograd.graph, "increment_version", None)
    if increment is not None:
        increment(tensor)
    else:  # before 2.1: an operation in place on no element of it
        with torch.no_grad():
            tensor.narrow(0, 0, 0).zero_()


def as_numpy(tensor: Any) -> Array:
    """A tensor's numbers: its own memory where numpy can look at it, else a copy.  bfloat16 by way of its bits."""
    import torch

    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        from ..tensors import numpy_dtype

        bits: Array = tensor.view(torch.int16).cpu().numpy()
        return bits.view(numpy_dtype("bfloat16"))
    array: Array = tensor.cpu().numpy()
    return array


def as_tensor(array: Array, like: Any) -> Any:
    """Numbers as a tensor of another's dtype and device."""
    import numpy as np
    import torch

    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device, like.dtype)
