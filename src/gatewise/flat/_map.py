"""The flat map: names, offsets, rows, indices and masks of a vector; packing it, and taking one apart.

Not known here: orders (``_orders``), and how a gate is cut out (``layouts``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..conventions import Change
from ..errors import UsageError
from ..layouts import Layout
from ..layouts._slots import RELABELS
from ..live._vectors import given, kind_of
from ..pieces import in_pieces
from ..record import lazy
from ..selection import Chosen as Gate
from ..selection import Numbers, Selector, Words
from ..tensors import numpy_dtype
from ..weights import Stack
from ._load import load
from ._orders import Chosen, by_table
from ._pieces import FlatTensor, Piece, Row, end_to_end, rows_of
from ._source import Source
from ._unpacked import Unpacked

if TYPE_CHECKING:
    from ..tensors import Array


class Flat:
    """The weights of one layer end to end.  Made by :func:`gw.flat`.

    ``order``    the order's name;  ``layout``: whose tensors lie end to end;  ``changes``: what putting the numbers into that
                 layout does to them, with its exactness (nothing where it says what the source says)
    ``stack``    the layer in that layout's terms, gate by gate
    ``dtype``    one of ``ITEM_BYTES``
    """

    def __init__(self, subject: Stack, chosen: Chosen, pieces: Sequence[Piece]):
        self.subject = subject
        self.order = chosen.name
        self.layout: Layout = chosen.said.layout
        self.changes: tuple[Change, ...] = chosen.said.changes
        self.stack = chosen.said.stack
        self._source = Source(subject, chosen.own)
        position = self._source.position(chosen.listed) if chosen.own and chosen.sequence is None else None
        self.tensors: tuple[FlatTensor, ...] = tuple(end_to_end(pieces, chosen.sequence or by_table, position))
        self.dtype: str = pieces[0].match.dtype

    @property
    def size(self) -> int:
        """How many elements."""
        return self.tensors[-1].offset + self.tensors[-1].size

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors' names, in order."""
        return tuple(tensor.name for tensor in self.tensors)

    @lazy
    def rows(self) -> tuple[Row, ...]:
        """Every gate of every role, in the order in which they lie."""
        return tuple(row for tensor in self.tensors for row in rows_of(tensor))

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"<Flat {self.order} of {self.subject!r}: {self.size:,} × {self.dtype} in {len(self.tensors)} tensors>"

    # Numbers.

    @lazy
    def _view(self) -> Array | None:
        return self._source.view(self)

    @lazy
    def vector(self) -> Array:
        """The weights as one numpy vector: a view where they already lie so in memory or in the mapped file
        (``is_view``), else packed, once; that copy is read-only, for writing into it would change no weight."""
        if self._view is not None:
            return self._view
        packed: Array = self.pack()
        packed.flags.writeable = False
        return packed

    @property
    def is_view(self) -> bool:
        """Is ``vector`` the weights' own memory?"""
        return self._view is not None

    def pack(self, out: Any = None) -> Any:
        """A vector of the weights as they now are.  ``out``: a ready one to fill, of numpy or torch [size]; it is given
        back.  Raises UsageError for a buffer that does not fit."""
        import numpy as np

        if out is None:
            return self._filled(np.empty(self.size, numpy_dtype(self.dtype)))
        with self._fitting(out).filling(out) as array:
            self._filled(array)
        return out

    def _filled(self, vector: Array) -> Array:
        for tensor in self.tensors:
            array = tensor.of(vector)
            if self._source.own:
                array[...] = self._source.array(tensor.name)
            else:
                tensor.made(self.dtype).into(array)
        return vector

    def pieces(self, dtype: str) -> Iterator[memoryview]:
        """The bytes of the packed vector in another of ``ITEM_BYTES``, little-endian, about a megabyte at once."""
        for tensor in self.tensors:
            if self._source.own:
                yield from in_pieces(self._source.array(tensor.name), numpy_dtype(dtype))
            else:
                yield from tensor.made(dtype).pieces()

    def unpack(self, vector: Any) -> Unpacked:
        """A vector of this order taken apart into views: ``{tensor name: view}``, and the gates by layer and direction.
        ``vector``: [size], of numpy, torch (gradients go through), jax …  Raises UsageError for one that does not fit."""
        self._fitting(vector)
        return Unpacked(vector, self.tensors, self.stack)

    def load(self, vector: Any) -> Any:
        """Write a vector's numbers into the object in memory.  Gives that object, or where its framework never changes
        one, the new one.  Raises UsageError where the subject is no live object."""
        return load(self, self.unpack(vector))

    def _fitting(self, vector: Any) -> Any:
        """The vector's kind, once it is known to be one of this map's."""
        kind = kind_of(vector)
        shape, dtype = tuple(vector.shape), str(getattr(vector.dtype, "name", vector.dtype)).rpartition(".")[2]
        if shape != (self.size,):
            raise UsageError(
                f"a vector of this layer in the order {self.order} has {self.size:,} elements; this one has shape {list(shape)}.",
                next="Flatten it with reshape(-1)." if vector.ndim != 1 and _count(shape) == self.size else None,
            )
        if "float" not in dtype:
            raise UsageError(f"a vector of weights holds floats ({self.dtype}); this one holds {dtype}.")
        if not kind.contiguous(vector):
            raise UsageError("the vector has gaps, so nothing in it can be a view.", next="Make it contiguous first.")
        return kind

    # Which elements.

    def selected(
        self, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None
    ) -> tuple[Row, ...]:  # fmt: skip
        """The rows of what a selector chooses.  Raises UsageError for an unknown word, and for one that matches nothing."""
        wanted = set(Selector(role, gate, layer, direction).of(self.stack))
        return tuple(row for row in self.rows if Gate(row.layer, row.direction, row.role, row.gate) in wanted)

    def where(
        self, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None, *, like: Any = None
    ) -> Any:  # fmt: skip
        """Indices into the vector, gate by gate in the order of ``rows``, each gate row by row:
        ``vector[flat.where(role="kernel", gate="f", layer=0, direction="forward")].reshape(unit, feature)`` is the matrix.

        ``like``  "torch", "jax" … or a vector as an example: indices of that kind instead of numpy's.
        Raises UsageError for an unknown word, and for a selector that matches nothing.
        """
        import numpy as np

        found = [_indices(row).reshape(-1) for row in self.selected(role, gate, layer, direction)]
        return given(np.concatenate(found), like)

    def mask(
        self, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None, *, like: Any = None
    ) -> Any:  # fmt: skip
        """A boolean vector that is true where the chosen gates lie.  As :meth:`where`."""
        import numpy as np

        mask = np.zeros(self.size, bool)
        for row in self.selected(role, gate, layer, direction):
            np.lib.stride_tricks.as_strided(mask[row.offset :], row.shape, row.strides)[...] = True
        return given(mask, like)

    def slices(
        self, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None
    ) -> tuple[slice, ...]:  # fmt: skip
        """The same elements as the fewest slices of the vector, ascending.  Raises UsageError as :meth:`where`, and where
        the chosen gates lie scattered."""
        rows = self.selected(role, gate, layer, direction)
        runs = sorted(run for name in dict.fromkeys(row.name for row in rows) for run in self._runs(name, rows))
        joined: list[list[int]] = []
        for start, stop in runs:
            if joined and joined[-1][1] == start:
                joined[-1][1] = stop
            else:
                joined.append([start, stop])
        return tuple(slice(*each) for each in joined)

    def _runs(self, name: str, rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
        """The stretches of the chosen gates in one tensor."""
        import numpy as np

        here = [row for row in rows if row.name == name]
        if all(row.contiguous for row in here):
            yield from ((row.offset, row.offset + row.size) for row in here)
            return
        indices = np.sort(np.concatenate([_indices(row).reshape(-1) for row in here]))
        breaks = np.flatnonzero(np.diff(indices) != 1) + 1
        if len(breaks) >= len(here):
            first = next(row for row in here if not row.contiguous)
            raise UsageError(
                f"the {first.role}{f' of gate {first.gate}' if first.gate else ''} lies scattered in {name!r}, in {len(breaks) + 1:,} stretches.",
                next="Use where() or mask().",
            )
        for run in np.split(indices, breaks):
            yield int(run[0]), int(run[-1]) + 1


def _indices(row: Row) -> Array:
    """The index of every element of a gate, in the gate's shape."""
    import numpy as np

    found: Any = row.offset
    for axis, (size, step) in enumerate(zip(row.shape, row.strides, strict=True)):
        found = found + (np.arange(size) * step).reshape([-1 if each == axis else 1 for each in range(len(row.shape))])
    indices: Array = RELABELS[row.relabel][0](found) if row.relabel else found
    return indices


def _count(shape: tuple[int, ...]) -> int:
    import math

    return math.prod(shape)
