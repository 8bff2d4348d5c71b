"""A vector taken apart: its tensors by name, its gates by layer and direction.  Both are views of the vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, instead
from ..layouts import Match
from ..layouts._code import Home, homes, stack_of
from ..record import lazy
from ..weights import Stack, Weights, joined

if TYPE_CHECKING:
    from ._pieces import FlatTensor, Piece


class Unpacked(dict[Any, Any]):
    """``{tensor name: view in its stored shape}``, in the vector's order; ``unpacked[layer, direction]`` gives one cell's
    :class:`~gatewise.weights.Weights`, ``unpacked.stack`` all of them.  Arrays are of the vector's own kind."""

    def __init__(self, vector: Any, tensors: Sequence[FlatTensor], whole: Stack):
        super().__init__((tensor.name, tensor.of(vector)) for tensor in tensors)
        self._pieces = list({id(tensor.piece): tensor.piece for tensor in tensors}.values())
        self._whole = whole

    def __missing__(self, key: Any) -> Weights:
        if isinstance(key, tuple):
            return self.stack[key]
        names = [str(name) for name in self]
        raise UsageError(f"no tensor is called {key!r}.", next=instead(str(key), names, "They are"))

    @lazy
    def stack(self) -> Stack:
        """The layer whose weights the vector is."""
        found = joined([self._stack(piece) for piece in self._pieces], self._whole.name)
        return found.replaced(dialect=self._whole.dialect)

    def _stack(self, piece: Piece) -> Stack:
        return stack_of(piece.match, ((home, self._reader(piece.match, home)) for home in homes(piece.match)))

    def _reader(self, match: Match, home: Home) -> Callable[[], Any]:
        return lambda: home.slot(match, dict.__getitem__(self, home.name)).read()
