"""Where a flat map's numbers come from, and whether they already lie end to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..checkpoint import Layer
from ..live import Live
from ..source import address_of
from ..tensors import StoredTensor, Strided, contiguous_strides, numpy_dtype
from ..weights import Stack

if TYPE_CHECKING:
    from ..tensors import Array
    from ._map import Flat


class Source:
    """The stored tensors of a layer, as they now are.  ``own``: it is they that lie end to end."""

    def __init__(self, subject: Stack, own: bool):
        self.subject = subject
        self.own = own

    @property
    def layer(self) -> Layer | None:
        """The subject, where its gates lie in stored tensors."""
        return self.subject if isinstance(self.subject, Layer) else None

    def position(self, listed: bool) -> Mapping[str, int] | None:
        """Of an object in memory, where its framework has each weight; ``listed``: where the object itself has it among its
        parameters now.  None for a file.  Raises UsageError where its parameters are others."""
        if not isinstance(self.subject, Live):
            return None
        holder = self.subject.holder
        return {name: number for number, name in enumerate(holder.listed() if listed else holder.weights)}

    def _weight(self, name: str) -> Any:
        """What has ``array()``: a live layer's weight as it now is, a file's tensor."""
        if isinstance(self.subject, Live):
            return self.subject.holder.weights[name]
        if isinstance(self.subject, Layer):
            return self.subject.tensors[name]
        raise LookupError(name)  # a stack without tensors is never its own source

    def array(self, name: str) -> Array:
        array: Array = self._weight(name).array()
        return array

    @property
    def _writable(self) -> bool:
        subject = self.subject
        return isinstance(subject, Live) and all(subject.holder.weights[name].shared for name in subject.match.tensors)

    def view(self, flat: Flat) -> Array | None:
        """The vector itself, where every element of it already lies in its place; None where not."""
        if self.layer is None:
            return None
        if self.own and len(flat.tensors) == 1:
            array = self.array(flat.names[0])
            return array.reshape(-1) if array.flags.c_contiguous else None
        ground = self._ground(self.layer.match.tensors[0])
        return None if ground is None else self._laid(flat, ground)

    def _ground(self, name: str) -> Array | None:
        """The bytes of the one buffer that a tensor lies in: a mapped file, a storage."""
        import numpy as np

        weight = self._weight(name)
        data = (weight if isinstance(weight, StoredTensor) else weight.stored()).data
        if not isinstance(data, Strided):
            return None
        whole: Any = data.ground
        if whole is None and not isinstance(data.buffer, memoryview) and isinstance(self.subject, Live):
            whole = data.buffer().obj  # an object's memory; not what a file keeps compressed
        if whole is None:
            return None
        bytes_of: Array = np.frombuffer(whole, np.uint8)
        return bytes_of

    def _laid(self, flat: Flat, ground: Array) -> Array | None:
        import numpy as np

        dtype, first = numpy_dtype(flat.dtype), None
        for offset, strides, array in self._placed(flat):
            start = address_of(array) - offset * dtype.itemsize
            first = start if first is None else first
            steps = tuple(step * dtype.itemsize for step in strides)
            if start != first or array.dtype != dtype or not _same_steps(array, steps):
                return None
        begin = (first or 0) - address_of(ground)
        if first is None or begin < 0 or begin + flat.size * dtype.itemsize > ground.size:
            return None
        vector: Array = np.ndarray((flat.size,), dtype, buffer=ground.data, offset=begin)
        vector.flags.writeable = vector.flags.writeable and self._writable
        return vector

    def _placed(self, flat: Flat) -> Iterator[tuple[int, tuple[int, ...], Array]]:
        """(offset, strides, the numbers) of everything that would have to lie there."""
        if self.own:
            for tensor in flat.tensors:
                yield tensor.offset, contiguous_strides(tensor.shape), self.array(tensor.name)
            return
        if flat.changes or any(row.relabel for row in flat.rows):
            return
        for row in flat.rows:
            yield row.offset, row.strides, self.subject[row.layer, row.direction].roles[row.role][row.gate]


def _same_steps(array: Array, steps: tuple[int, ...]) -> bool:
    """Strides count only where an axis has more than one element."""
    return all(size == 1 or had == step for size, had, step in zip(array.shape, array.strides, steps, strict=True))
