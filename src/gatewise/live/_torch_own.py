"""torch layers of the user's own: which module of a model is one, its weights, and the ways of calling it.

Not known here: which way is the right one (``_custom.believed``), and what the layout says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..layouts import Layout, Match, recognise
from . import torch as live
from ._calls import Reading, Tools, Way, readings, ways
from ._custom import Run
from ._torch_chunks import Chunked
from ._torch_computed import buffers_of, parameters_of, parametrized, undropped
from ._torch_weight import TorchWeight, as_numpy, as_tensor
from ._weight import Weight

if TYPE_CHECKING:
    from ..tensors import Array


def version() -> str:
    import torch

    return str(torch.__version__).partition("+")[0]


def states_as(state: Sequence[Array] | None, like: Any) -> tuple[Any, ...] | None:
    return None if state is None else tuple(as_tensor(each, like) for each in state)


class TorchOwn(Chunked):
    """A layer of the user's own.  ``callers``: the modules that may be called for it, by their paths, the innermost first."""

    def __init__(
        self, path: str, module: Any, weights: dict[str, TorchWeight], layout: Layout, callers: list[tuple[str, Any]]
    ):
        self.path, self.subject, self.layouts = path, module, (layout,)
        self.version = version()
        self.unproved = True
        self._weights, self._callers = weights, callers

    @property
    def weights(self) -> Mapping[str, Weight]:
        return self._weights

    def ways(self, letters: str, cells: int) -> Iterator[Way]:
        if self.called is None:
            yield from calls(self._callers, self._weights, letters, cells)
            return
        said = _said(self.called, self.subject, letters, cells, _tools())
        for stated in (True, False):  # who does not use the state starts from zeros
            yield _in_numpy(Way("run(layer, x, state)", stated, said), self.subject, self._weights)


def _tools() -> Tools:
    import torch

    return Tools(lambda tensors, axis: torch.stack(list(tensors), axis), lambda tensor: tensor.transpose(0, 1))


def calls(
    callers: Sequence[tuple[str, Any]], weights: Mapping[str, Weight], letters: str, cells: int
) -> Iterator[Way]:  # fmt: skip
    """Every way of calling modules (with their paths), numpy in and out."""
    tools = _tools()
    for path, module in callers:
        spoken = all(part.isidentifier() for part in path.split("."))
        name = path if spoken else f'get_submodule("{path}")' if path else "layer"
        for way in ways(module, letters, cells, tools, name):
            yield _in_numpy(way, module, weights)


def _in_numpy(way: Way, module: Any, weights: Mapping[str, Weight]) -> Way:
    """The way with numpy in and out, the module in evaluation mode."""

    def call(x: Array, states: Sequence[Array]) -> Iterator[Reading]:
        makers = [weight.maker for weight in weights.values() if isinstance(weight, TorchWeight)]
        with live.quiet(module), live.unmoved(module), undropped(makers):
            first = next(iter(weights.values()))
            first.array()  # raises where there are no numbers
            like = first.native()
            given = list(way.call(as_tensor(x, like), [as_tensor(each, like) for each in states]))
        for y, final in given:
            yield as_numpy(y), None if final is None else tuple(map(as_numpy, final))

    return Way(way.how, way.stated, call)


def _said(
    run: Run, layer: Any, letters: str, cells: int, tools: Tools
) -> Callable[[Any, Sequence[Any]], Iterator[Reading]]:  # fmt: skip
    def call(x: Any, states: Sequence[Any]) -> Iterator[Reading]:
        yield from readings(run(layer, x, tuple(states)), int(x.shape[1]), letters, cells, tools)

    return call


def owned(module: Any, path: str, layout: Layout) -> Iterator[TorchOwn]:
    """The layers in a module that a layout describes; where there is none, all the module's weights, which tell why."""
    prefix = f"{path}." if path else ""
    found = {prefix + name: TorchWeight(owner, each, prefix + name) for name, (owner, each) in every(module).items()}
    whole = TorchOwn(path, module, found, layout, [])
    matches = _once(recognise(whole.tensors(), (layout,), chosen=True).matches, found)
    if not matches:
        yield whole
    modules = {prefix + at if at else path: each for at, each in live.modules(module)}
    for match in matches:
        callers = _around(modules, match, [other for other in matches if other is not match])
        weights = {name: found[name] for name in match.tensors}
        yield TorchOwn(*callers[0], weights, layout, callers)


def _once(matches: Sequence[Match], weights: Mapping[str, TorchWeight]) -> list[Match]:
    """The layers, and of those that are the same parameters under two paths the outer one."""
    first: dict[Any, Match] = {}
    for match in sorted(matches, key=lambda match: len(match.group.path)):
        first.setdefault(tuple(weights[name].place for name in match.tensors), match)
    return [match for match in matches if match in first.values()]


def _around(modules: Mapping[str, Any], match: Match, others: Sequence[Match]) -> list[tuple[str, Any]]:
    """The modules that hold all of a layer, the innermost first, and of those that hold other layers too only that one."""
    holding = [path for path in modules if _holds(path, match)]
    holding.sort(key=len, reverse=True)
    alone = [path for path in holding if not any(_holds(path, other) for other in others)]
    return [(path, modules[path]) for path in alone or holding[:1]]


def _holds(path: str, match: Match) -> bool:
    return all(name.startswith(f"{path}.") for name in match.tensors) if path else True


_BEHIND = ("_orig", "_v", "_raw")  # the parameter from which one without the tail is computed


def every(module: Any) -> dict[str, tuple[Any, str]]:
    """Every weight of a module of the user's own: name → (the module that has it, its name there).  What is computed
    stands for what it is computed from."""
    return {
        f"{path}.{name}" if path else name: (each, name)
        for path, each in live.modules(module)
        if "parametrizations" not in path.split(".")
        for name in _names(each)
    }


def _names(module: Any) -> dict[str, None]:
    held = {**parameters_of(module), **buffers_of(module)}
    found: dict[str, None] = {}
    for name in (*held, *parametrized(module)):
        bases = [name.removesuffix(tail) for tail in _BEHIND if name.endswith(tail)]
        made = next((base for base in bases if hasattr(module, base)), None)
        if name.endswith("_g") and f"{name[:-2]}_v" in held:
            continue
        if made is not None or not live.is_lazy(held.get(name)):
            found[made or name] = None
    return found
