"""torch's own recurrent modules as holders of weights, run as they are; and which modules of a model are layers.

Sources: torch/nn/modules/rnn.py and torch/ao/nn/{quantizable,quantized/dynamic}/modules/rnn.py (names, calls).  Not known
here: how a weight is read and written (``_torch_weight``), and layers of the user's own (``_torch_own``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ..tensors import Declared
from . import torch as live
from ._calls import Way
from ._custom import layout_of
from ._torch_chunks import Chunked
from ._torch_computed import parameters_of, undropped, weight_drop
from ._torch_own import calls, every, owned, states_as, version
from ._torch_quantised import SUPPOSED, PackedWeight, kind_of_numbers, unpacked
from ._torch_weight import TorchWeight, as_numpy, as_tensor
from ._weight import Holder, Unread, Weight

if TYPE_CHECKING:
    from ..tensors import Array

# The attributes that a torch layer's configuration consists of, as its pickles have them.
_SETTINGS = (
    "mode", "nonlinearity", "input_size", "hidden_size", "proj_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
)  # fmt: skip
_CELLS = ("LSTMCell", "GRUCell", "RNNCell")
_PACKED = (
    "it is quantised with its activations (its weights are packed in quantised Linear layers)",
    "Use the float model that it was converted from.",
)
_PLAIN = ("LSTM", "GRU", "RNN", *_CELLS)
# Where torch keeps a recurrent class → its names there, and the layouts that it may be.
_QUANTIZABLE = {name: (f"torch_ao.{name}", f"torch_ao.{name}-split") for name in ("LSTM", "LSTMCell")}
_CLASSES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torch.nn.modules.rnn": {name: (f"torch.{name}",) for name in _PLAIN},
    "torch.ao.nn.quantizable.modules.rnn": _QUANTIZABLE,
    "torch.nn.quantizable.modules.rnn": _QUANTIZABLE,
    "torch.ao.nn.quantized.dynamic.modules.rnn": {name: (f"torch.{name}",) for name in _PLAIN},
    "torch.nn.quantized.dynamic.modules.rnn": {name: (f"torch.{name}",) for name in _PLAIN},
}


class TorchHolder(Chunked):
    """One of torch's own recurrent modules, or one of a class made of it.  ``home`` and ``kind``: that class's."""

    def __init__(self, path: str, module: Any, home: str, kind: str, around: Any = None):
        self.path, self.subject, self.home, self.kind = path, module, home, kind
        self.layouts = tuple(map(layout_called, _CLASSES[home][kind]))
        self.version = version()
        prefix = f"{path}." if path else ""
        self._weights: dict[str, Weight] = {
            prefix + name: self._weight(owner, attribute, prefix + name, around)
            for name, (owner, attribute) in self._named(around).items()
        }

    def _named(self, around: Any) -> dict[str, tuple[Any, str]]:
        if self.home == "torch.nn.modules.rnn" and self.kind not in _CELLS:
            return _stack(self.subject, around)
        whole = every(self.subject)
        return (
            whole if "quantizable" in self.home else {name: at for name, at in whole.items() if at[0] is self.subject}
        )

    def _weight(self, owner: Any, attribute: str, name: str, around: Any) -> Weight:
        return TorchWeight(owner, attribute, name, around)

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def declared(self) -> Sequence[Declared]:
        held = vars(self.subject)
        settings = {name: held[name] for name in _SETTINGS if name in held}
        home = self.home if "quantized" not in self.home else "torch.nn.modules.rnn"
        return [Declared(self.path, f"{home}.{self.kind}", settings, supposed=self._supposed())]

    def _supposed(self) -> str:
        return ""

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        with (
            live.quiet(self.subject),
            live.unmoved(self.subject),
            live.completed(self.subject),
            undropped(self._makers()),
        ):
            like = next(iter(self._weights.values()))
            like.array()  # raises where there are no numbers
            tensor = like.native()
            return self._run(as_tensor(x, tensor), states_as(state, tensor))

    def _makers(self) -> list[Any]:
        return [weight.maker for weight in self._weights.values() if isinstance(weight, TorchWeight)]

    def _run(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Array, tuple[Array, ...] | None]:
        if self.kind in _CELLS:
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


class QuantisedHolder(TorchHolder):
    """A dynamically quantised layer: read and run, not written."""

    def _named(self, around: Any) -> dict[str, tuple[Any, str]]:  # noqa: ARG002
        return {name: (self.subject, name) for name in unpacked(self.subject)}

    def _weight(self, owner: Any, attribute: str, name: str, around: Any) -> Weight:  # noqa: ARG002
        return PackedWeight(owner, attribute, name)

    def _supposed(self) -> str:
        return SUPPOSED.format(kind_of_numbers(self.subject))


class ScriptedHolder(TorchHolder):
    """A layer compiled to TorchScript.  Its weights are tensors like any; its own forward exists only where one was compiled."""

    def _named(self, around: Any) -> dict[str, tuple[Any, str]]:  # noqa: ARG002
        return {name: (self.subject, name) for name in parameters_of(self.subject)}

    def declared(self) -> Sequence[Declared]:
        settings = {name: getattr(self.subject, name) for name in _SETTINGS if hasattr(self.subject, name)}
        return [Declared(self.path, f"{self.home}.{self.kind}", settings)]

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        yield from calls([(self.path, self.subject)], self._weights, letters, cells)


def _as_torch_gives(state: tuple[Any, ...] | None) -> Any:
    """An LSTM takes its states as a pair, the others the only one."""
    return state[0] if state is not None and len(state) == 1 else state


def _stack(module: Any, around: Any) -> dict[str, tuple[Any, str]]:
    """The weights of one of torch's stacks, also of one that lacks the list of their names."""
    found = live.weights(module)
    return {
        name: (module, name)
        for name, tensor in found.items()
        if tensor is not None or weight_drop(module, name, around) is not None
    }


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent modules in a torch module; with a layout, those in it that the layout describes."""
    found: list[Holder] = list(_found(subject) if layout is None else owned(subject, "", layout))
    names, paths = _names_by_memory(subject), live.paths(subject)
    for holder in found:
        holder.tied = _tied(holder, names)
        holder.also_at = tuple(path for path in paths.get(id(holder.subject), ()) if path != holder.path)
    yield from found


def _found(subject: Any) -> Iterator[Holder]:
    inside: list[str] = []  # what is in a layer is that layer's
    modules = dict(live.modules(subject))
    for path, module in modules.items():
        if any(path.startswith(f"{outer}." if outer else "") for outer in inside):
            continue
        described = layout_of(module)
        home, kind = _class_of(module)
        if described is not None:
            inside.append(path)
            yield from owned(module, path, described)
        elif kind:
            if "quantizable" in home:  # is made of its own cells
                inside.append(path)
            around = modules.get(path.rpartition(".")[0]) if path else None
            yield _holder_class(module, home)(path, module, home, kind, around)
        elif re.fullmatch(r"torch\.(ao\.)?nn\.quantized\.modules\.rnn", type(module).__module__):
            inside.append(path)
            yield Unread(path, module, *_PACKED)


def _holder_class(module: Any, home: str) -> type[TorchHolder]:
    if live.is_scripted(module):
        return ScriptedHolder
    return QuantisedHolder if ".quantized." in home else TorchHolder


def _class_of(module: Any) -> tuple[str, str]:
    """The recurrent class of torch that a module is, or is made of: where torch keeps it, and its name."""
    if live.is_scripted(module):
        name = str(getattr(module, "original_name", ""))
        named = name in _PLAIN and any(each.startswith("weight_ih") for each in parameters_of(module))
        return ("torch.nn.modules.rnn", name) if named else ("", "")
    for each in type(module).__mro__:
        if ".quantized.modules." in each.__module__:  # made of the float class, and none of it any more
            break
        if each.__name__ in _CLASSES.get(each.__module__, ()):
            return each.__module__, each.__name__
    return "", ""


# One tensor under several names.


def _names_by_memory(subject: Any) -> dict[Any, list[str]]:
    """Every parameter of a model by where it lies."""
    found: dict[Any, list[str]] = defaultdict(list)
    for path, module in live.modules(subject):
        for name, parameter in parameters_of(module).items():
            found[live.place_of(parameter)].append(f"{path}.{name}" if path else name)
    return found


def _tied(holder: Holder, names: Mapping[Any, list[str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    if all(len(each) == 1 for each in names.values()):  # as nearly always
        return found
    for name, weight in holder.weights.items():
        if isinstance(weight, TorchWeight) and weight.maker is None:
            others = tuple(other for other in names.get(weight.place, ()) if other != name)
            if others:
                found[name] = others
    return found
