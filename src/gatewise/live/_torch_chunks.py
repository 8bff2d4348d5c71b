"""In how many pieces of memory a torch layer's weights lie, and how they come to lie in one.

cuDNN wants the weights of a layer in one buffer, in its own order, and copies them there at every call where they are not.
Source: torch/nn/modules/rnn.py, RNNBase.flatten_parameters; aten/src/ATen/native/cudnn/RNN.cpp, try_get_weight_buf.  Not known here:
orders; the tensors come in the one that is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from . import torch as live
from ._torch_weight import TorchParameters, TorchWeight, storage_of


def chunks(tensors: Sequence[Any]) -> int:
    """In how many pieces of memory tensors lie, in this order: a piece ends where another storage begins, or where the next
    tensor lies before the one that it follows.  On the CPU also where there is a gap."""
    count, end = 0, None
    for tensor in _each_once(tensors):
        start, where = tensor.storage_offset(), (tensor.device, storage_of(tensor).data_ptr())
        goes_on = end is not None and end[0] == where and (start >= end[1] if tensor.is_cuda else start == end[1])
        count += not (goes_on and tensor.is_contiguous())
        end = where, start + tensor.numel()
    return count


def _each_once(tensors: Sequence[Any]) -> list[Any]:
    """Tied tensors are one."""
    return list({live.place_of(tensor): tensor for tensor in reversed(tensors) if tensor.numel()}.values())[::-1]


def refuse_unmovable(parameters: Sequence[Any], name: str) -> None:
    """Raises UsageError where the weights cannot lie in one buffer, or where moving them would part them from others."""
    kinds = {(str(each.dtype), str(each.device)) for each in parameters}
    if any(each.is_meta for each in parameters):
        raise UsageError(
            f"the weights of {name} are on the meta device: they lie nowhere.", next="Give them memory first."
        )
    if len(kinds) > 1:
        told = ", ".join(sorted({" on ".join(kind) for kind in kinds}))
        raise UsageError(f"the weights of {name} are of several kinds ({told}), which no one buffer holds.")
    if any(not each.is_cuda and each.is_shared() for each in parameters):
        raise UsageError(
            f"the weights of {name} lie in memory that processes share; other memory would part them.",
            next="Flatten before share_memory().",
        )


def rebind(parameters: Sequence[Any]) -> None:
    """Put parameters end to end into one new buffer, each becoming a view of it.  They stay the objects that they are, with
    their gradients and what an optimizer keeps for them; tied ones stay tied."""
    import torch

    first = parameters[0]
    with torch.inference_mode() if first.is_inference() else torch.no_grad():
        places = {live.place_of(each): each for each in _each_once(parameters)}
        buffer = torch.empty(sum(each.numel() for each in places.values()), dtype=first.dtype, device=first.device)
        views, offset = {}, 0
        for place, each in places.items():
            views[place] = buffer[offset : offset + each.numel()].view(each.shape)
            views[place].copy_(each)
            offset += each.numel()
        targets = [(each, views[live.place_of(each)]) for each in parameters if each.numel()]
        for each, view in targets:
            each.data = view


class Chunked(TorchParameters):
    """A holder of torch weights, which can lie in one chunk."""

    def chunks(self, names: Sequence[str]) -> int:
        return chunks([weight.tensor() for weight in self._torch_weights(names)])

    def flatten(self, names: Sequence[str], by_framework: bool) -> str:
        import torch

        weights = self._torch_weights(names)
        computed = [weight.name for weight in weights if weight.maker is not None]
        if computed:
            return f"{', '.join(computed)} computed anew at every call: no buffer can keep that"
        parameters = [weight.parameters()[0] for weight in weights]
        refuse_unmovable(parameters, self.path or type(self.subject).__name__)
        if by_framework and isinstance(self.subject, torch.nn.RNNBase) and all(each.is_cuda for each in parameters):
            self.subject.flatten_parameters()
            return "torch's flatten_parameters()"
        rebind(parameters)
        return "views of one buffer"

    def _torch_weights(self, names: Sequence[str]) -> list[TorchWeight]:
        found = [self.weights[name] for name in names]
        weights = [weight for weight in found if isinstance(weight, TorchWeight)]
        if len(weights) < len(found):
            raise UsageError(
                f"the weights of {self.path or type(self.subject).__name__} are packed already, for another kernel than cuDNN."
            )
        return weights
