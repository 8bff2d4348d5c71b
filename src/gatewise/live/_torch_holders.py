"""torch's recurrent modules as holders of weights: read in place, written in place, run as they are.

A weight is asked of its module by name at every use, so that what ``to()``, ``half()`` or a new parametrization put there
is what is read and written.  Sources: torch/nn/modules/rnn.py (names, calls), torch/nn/utils/{parametrize,weight_norm,prune}.py.
Not known here: weights that a module computes anew at every call, which ``_torch_computed`` writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ..tensors import Declared, Strided
from . import torch as live
from ._custom import flattened, layout_of, tried
from ._torch_computed import assign_computed, parameters_behind
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from ..tensors import Array

# The attributes that a torch layer's configuration consists of, as its pickles have them.
_SETTINGS = (
    "mode", "nonlinearity", "input_size", "hidden_size", "proj_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
)  # fmt: skip
_STACKS = ("LSTM", "GRU", "RNN")
_CELLS = ("LSTMCell", "GRUCell", "RNNCell")


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


class TorchHolder(Holder):
    """One recurrent module, or one of the user's own with its layout."""

    framework = "torch"

    def __init__(self, path: str, module: Any, layout: Layout, own: bool):
        import torch

        self.path, self.subject, self.layouts = path, module, (layout,)
        self.version = str(torch.__version__).partition("+")[0]
        self.unproved = self.own = own
        named = _stack(module) if _base(type(module), _STACKS) and not own else _every(module)
        prefix = f"{path}." if path else ""
        self._weights = {
            prefix + name: TorchWeight(owner, each, prefix + name) for name, (owner, each) in named.items()
        }

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def declared(self) -> Sequence[Declared]:
        if self.own:
            return ()
        held = vars(self.subject)
        settings = {name: held[name] for name in _SETTINGS if name in held}
        kind = _base(type(self.subject), (*_STACKS, *_CELLS))
        return [Declared(self.path, f"torch.nn.modules.rnn.{kind}", settings)]

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        with live.quiet(self.subject):
            like = next(iter(self._weights.values())).native()
            return (self._run_own if self.own else self._run)(as_tensor(x, like), _states(state, like))

    def _run(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Array, tuple[Array, ...] | None]:
        if _base(type(self.subject), _CELLS):
            return self._steps(x, state)
        first = bool(vars(self.subject).get("batch_first"))
        y, final = self.subject(x if first else x.transpose(0, 1), _as_torch_gives(state))
        finals = final if isinstance(final, tuple) else (final,)
        return as_numpy(y if first else y.transpose(0, 1)), tuple(map(as_numpy, finals))

    def _steps(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Array, tuple[Array, ...]]:
        import torch

        now = None if state is None else _as_torch_gives(tuple(each[0] for each in state))
        outputs = []
        for step in x.unbind(1):
            now = self.subject(step, now)
            outputs.append(now[0] if isinstance(now, tuple) else now)
        finals = now if isinstance(now, tuple) else (now,)
        return as_numpy(torch.stack(outputs, 1)), tuple(as_numpy(each)[None] for each in finals)

    def _run_own(self, x: Any, _state: Any) -> tuple[Array, tuple[Array, ...] | None]:
        raise NotImplementedError


def _states(state: Sequence[Array] | None, like: Any) -> tuple[Any, ...] | None:
    return None if state is None else tuple(as_tensor(each, like) for each in state)


def _as_torch_gives(state: tuple[Any, ...] | None) -> Any:
    """An LSTM takes its states as a pair, the others the only one."""
    return state[0] if state is not None and len(state) == 1 else state


def _base(kind: type, names: Sequence[str]) -> str:
    """The torch.nn class among ``names`` that a class is, or is made of."""
    return next(
        (
            each.__name__
            for each in kind.__mro__
            if each.__module__ == "torch.nn.modules.rnn" and each.__name__ in names
        ),
        "",
    )


def _stack(module: Any) -> dict[str, tuple[Any, str]]:
    """The weights of one of torch's stacks, also of one that lacks the list of their names."""
    return {name: (module, name) for name, found in live.weights(module).items() if found is not None}


_BEHIND = ("_orig", "_v", "_raw")  # the parameter from which one without the tail is computed


def _every(module: Any) -> dict[str, tuple[Any, str]]:
    """Every weight of a module of the user's own: name → (the module that has it, its name there).  What is computed
    stands for what it is computed from."""
    found: dict[str, tuple[Any, str]] = {}
    for path, each in live.modules(module):
        if "parametrizations" in path.split("."):
            continue
        prefix = f"{path}." if path else ""
        for name in (*vars(each)["_parameters"], *vars(each)["_modules"].get("parametrizations", ())):
            tail = next(
                (tail for tail in _BEHIND if name.endswith(tail) and hasattr(each, name.removesuffix(tail))), ""
            )
            attribute = name.removesuffix(tail) if tail else name
            if (name.endswith("_g") and name[:-2] + "_v" in vars(each)["_parameters"]) or getattr(
                each, attribute
            ) is None:
                continue
            found[prefix + attribute] = (each, attribute)
    return found


def holders(subject: Any, layout: Layout | None) -> Iterator[TorchHolder]:
    """The recurrent modules in a torch module; with a layout, the module as that layer."""
    if not live.is_module(subject):
        return
    if layout is not None:
        yield TorchHolder("", subject, layout, own=True)
        return
    inside: list[str] = []  # what is in a layer of the user's own is that layer's
    for path, module in live.modules(subject):
        if any(path.startswith(f"{outer}." if outer else "") for outer in inside):
            continue
        own = layout_of(module)
        name = _base(type(module), (*_STACKS, *_CELLS))
        if own is not None:
            inside.append(path)
            yield TorchHolder(path, module, own, own=True)
        elif name:
            yield TorchHolder(path, module, layout_called(f"torch.{name}"), own=False)


__all__ = ["TorchHolder", "TorchWeight", "as_numpy", "as_tensor", "flattened", "holders", "tried"]
