"""torch's own recurrent modules as holders of weights, run as they are; and which modules of a model are layers.

Source: torch/nn/modules/rnn.py (names, calls).  Not known here: how a weight is read and written (``_torch_weight``), and
layers of the user's own (``_torch_own``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..layouts import layout as layout_called
from ..tensors import Declared
from . import torch as live
from ._custom import layout_of
from ._torch_own import every, owned, states_as, version
from ._torch_weight import TorchWeight, as_numpy, as_tensor
from ._weight import Holder, Weight

if TYPE_CHECKING:
    from ..tensors import Array

# The attributes that a torch layer's configuration consists of, as its pickles have them.
_SETTINGS = (
    "mode", "nonlinearity", "input_size", "hidden_size", "proj_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
)  # fmt: skip
STACKS = ("LSTM", "GRU", "RNN")
CELLS = ("LSTMCell", "GRUCell", "RNNCell")


class TorchHolder(Holder):
    """One of torch's own recurrent modules, or one of a class made of it."""

    framework = "torch"

    def __init__(self, path: str, module: Any, kind: str):
        self.path, self.subject, self.kind = path, module, kind
        self.layouts = (layout_called(f"torch.{kind}"),)
        self.version = version()
        prefix = f"{path}." if path else ""
        named = _stack(module) if kind in STACKS else every(module)
        self._weights = {
            prefix + name: TorchWeight(owner, each, prefix + name) for name, (owner, each) in named.items()
        }

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def declared(self) -> Sequence[Declared]:
        held = vars(self.subject)
        settings = {name: held[name] for name in _SETTINGS if name in held}
        return [Declared(self.path, f"torch.nn.modules.rnn.{self.kind}", settings)]

    def param_groups(
        self, whole: Any, chosen: Sequence[Any], selected: Mapping[str, Any], rest: Mapping[str, Any]
    ) -> list[dict[str, Any]]:  # fmt: skip
        ours = {id(parameter) for parameter in chosen}
        others = [parameter for parameter in whole.parameters() if id(parameter) not in ours]
        groups = [{"params": list(chosen), **selected}, {"params": others, **rest}]
        return [group for group in groups if group["params"]]

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:
        with live.quiet(self.subject):
            like = next(iter(self._weights.values())).native()
            return self._run(as_tensor(x, like), states_as(state, like))

    def _run(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Array, tuple[Array, ...] | None]:
        if self.kind in CELLS:
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


def _as_torch_gives(state: tuple[Any, ...] | None) -> Any:
    """An LSTM takes its states as a pair, the others the only one."""
    return state[0] if state is not None and len(state) == 1 else state


def base(kind: type, names: Sequence[str]) -> str:
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


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent modules in a torch module; with a layout, those in it that the layout describes."""
    inside: list[str] = []  # what is in a layer of the user's own is that layer's
    if layout is not None:
        yield from owned(subject, "", layout)
        return
    for path, module in live.modules(subject):
        if any(path.startswith(f"{outer}." if outer else "") for outer in inside):
            continue
        described = layout_of(module)
        name = base(type(module), (*STACKS, *CELLS))
        if described is not None:
            inside.append(path)
            yield from owned(module, path, described)
        elif name:
            yield TorchHolder(path, module, name)
