"""One weight of a torch module: read in place, written in place, its history kept.

A weight is asked of its module by name at every use, so that what ``to()``, ``half()`` or a new parametrization put there
is what is read and written.  Not known here: weights that a module computes anew at every call, which ``_torch_computed``
writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..tensors import Strided
from . import torch as live
from ._torch_computed import assign_computed, parameters_behind
from ._weight import Weight

if TYPE_CHECKING:
    from ..tensors import Array


class TorchWeight(Weight):
    """``module.attribute``, whatever tensor that is when it is asked for."""

    def __init__(self, module: Any, attribute: str, name: str):
        self.module, self.attribute, self.name = module, attribute, name
        tensor = self._now()
        self.dtype = str(tensor.dtype).removeprefix("torch.")
        self.shape = tuple(tensor.shape)

    def _now(self) -> Any:
        with live.quiet(self.module):
            return getattr(self.module, self.attribute).detach()

    @property
    def computed(self) -> bool:
        """Is it made from other parameters (weight norm, pruning, a parametrization)?"""
        held = vars(self.module)
        return self.attribute not in held["_parameters"] and self.attribute not in held["_buffers"]

    @property
    def shared(self) -> bool:  # type: ignore[override]
        return not self.computed and _in_reach(self._now())

    def native(self) -> Any:
        return getattr(self.module, self.attribute)

    def array(self) -> Array:
        return as_numpy(self._now())

    def data(self) -> Any:
        """The storage and the place in it, so that neighbours and shared weights can be told."""
        tensor = self._now()
        if not self.shared or not tensor.numel():
            return self.array
        import torch

        storage = tensor.untyped_storage()
        whole: Any = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
        return Strided(
            memoryview(whole), tensor.storage_offset(), tuple(tensor.stride()), storage=f"memory at {storage.data_ptr():#x}"
        )  # fmt: skip

    def assign(self, array: Array) -> None:
        import torch

        with torch.no_grad():
            target = self._now()
            if self.computed:
                assign_computed(self.module, self.attribute, as_tensor(array, target))
            elif _in_reach(target):  # it was changed in place, where autograd did not see it
                _changed(getattr(self.module, self.attribute))
            else:
                target.copy_(as_tensor(array, target))

    @property
    def frozen(self) -> bool:
        return not any(parameter.requires_grad for parameter in self.parameters())

    def freeze(self, frozen: bool = True) -> None:
        for parameter in self.parameters():
            parameter.requires_grad_(not frozen)

    @property
    def identity(self) -> int:
        """The same for two names of one parameter."""
        return hash(tuple(map(id, self.parameters())) or (id(self.module), self.attribute))

    def parameters(self) -> list[Any]:
        """The parameters behind it: itself, or those that it is computed from."""
        return parameters_behind(self.module, self.attribute)


def _in_reach(tensor: Any) -> bool:
    """Can numpy look at it where it lies?"""
    return (
        tensor.device.type == "cpu"
        and str(tensor.layout) == "torch.strided"
        and type(tensor).__module__.startswith("torch")
    )


def _changed(tensor: Any) -> None:
    """Tell autograd of a change in place, so that a backward pass over the old numbers fails and does not lie."""
    import torch

    if tensor.is_inference():  # has no versions
        return
    increment = getattr(torch.autograd.graph, "increment_version", None)
    if increment is not None:
        increment(tensor)
    else:
        tensor.copy_(tensor)


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
