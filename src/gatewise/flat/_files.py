"""A flat map between files: a checkpoint's vector as ``.npy``, and a vector's numbers as a new checkpoint.

Not known here: what a map is made of.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint import Layer, open
from ..checkpoint._convert import saved
from ..checkpoint._unit import as_dtype
from ..containers import open_tensors
from ..containers._supply import same_bytes
from ..containers._write import atomic
from ..containers.numpy_files import npy_header
from ..conventions import EXACT, Change, express
from ..errors import GatewiseError, NotRepresentable, ProofFailed, UsageError
from ..layouts import Layout, layouts
from ..pieces import PIECE
from ..proof import Proof
from ..record import replace
from ..tensors import FLOATS, StoredTensor, Strided
from ..weights import Stack
from . import flat
from ._map import Flat
from ._pieces import Row

if TYPE_CHECKING:
    from ..tensors import Array


@dataclass(frozen=True)
class FlatFile:
    """The flat map of one layer of the file at ``path``.  ``files``: those that are read for it."""

    path: str
    flat: Flat
    files: Collection[str]

    @property
    def layer(self) -> Layer:
        layer = self.flat.subject
        if not isinstance(layer, Layer):
            raise LookupError(self.path)  # map_of opened it
        return layer

    def as_dict(self, rows: tuple[Row, ...] | None = None) -> dict[str, Any]:
        """The document of ``gatewise flat --json``; with ``rows`` only these."""
        found = self.flat
        return {
            "path": self.path, "layer": self.layer.name, "order": found.order, "layout": found.layout.name,
            "size": found.size, "dtype": found.dtype, "names": list(found.names),
            "rows": [row.as_dict() for row in (found.rows if rows is None else rows)],
            "changes": [change.as_dict() for change in found.changes],
            "assumed": [*self.layer.assumed, *(sentence for _, sentence in self.layer.match.doubts)],
        }  # fmt: skip

    def write_vector(self, out: str | os.PathLike[str], force: bool = False) -> tuple[Change, ...]:
        """Pack into a new ``.npy`` file, piece by piece: the vector is never held.  What that changed besides the map's own
        changes: numpy's format has no bfloat16.  Raises WriteRefused, UsageError, ProofFailed."""
        if os.fspath(out)[-4:].lower() != ".npy":
            raise UsageError("a vector is written as an .npy file.", path=out, next="Name it so: -o vector.npy.")
        dtype = "float32" if self.flat.dtype == "bfloat16" else self.flat.dtype
        header = npy_header(StoredTensor("vector", dtype, (self.flat.size,), Strided(memoryview(b""))))
        with atomic(out, force, inputs=self.files) as temporary:
            with builtins.open(temporary, "wb") as file:
                file.write(header)
                file.writelines(self.flat.pieces(dtype))
            if not same_bytes(chain([memoryview(header)], self.flat.pieces(dtype)), _bytes_of(temporary)):
                raise ProofFailed("what was written does not come back as it was; nothing was kept.", path=out)
        told = Change(f"stored as {self.flat.dtype} → {dtype}, for numpy's format has no {self.flat.dtype}", EXACT)
        return (told,) if dtype != self.flat.dtype else ()

    def write_back(
        self,
        vector: str | os.PathLike[str],
        out: str | os.PathLike[str],
        force: bool = False,
        verify: bool | str = True,
    ) -> tuple[Proof, tuple[Change, ...]]:
        """The file's layer with the vector's numbers, in a new file, proved; and what that changed.

        Raises UsageError for a file that is no vector of this map, NotRepresentable for a layer that the file does not
        tell for sure, and what ``gw.save`` raises."""
        if not self.layer.sure:
            raise NotRepresentable(f"cannot be written unasked: {self.layer.match.doubts[0][1]}.", path=self.path)
        changes: list[Change] = []
        try:
            stack = self._stack(_vector_in(vector), changes)
        except GatewiseError as error:
            raise error.at(vector) from None
        own = self.layer.match.layout
        said = express(stack, own)
        back = Stack(said.stack.cell, said.stack.cells, said.stack.dialect, name=self.layer.name, layout=own.name)
        chosen: Layout | None = None if own in layouts() else own
        proof = saved(back, out, chosen, force, (*self.files, os.fspath(vector)), verify)
        return proof, (*changes, *said.changes)

    def _stack(self, stored: StoredTensor, changes: list[Change]) -> Stack:
        """The vector's numbers as the layer, in the layer's dtype."""
        array: Array = stored.array()
        found = self.flat.unpack(array).stack
        typed = {place: replace(weights, dtype=stored.dtype) for place, weights in found.cells.items()}
        return as_dtype(found.replaced(typed), self.flat.dtype, changes)


def map_of(path: str | os.PathLike[str], order: str | None = None, layer: str | None = None, **said: Any) -> FlatFile:
    """The flat map of a file's layer.  ``said`` as :func:`gw.open`.  Raises what that and ``gw.flat`` raise."""
    try:
        checkpoint = open(path, **said)
        return FlatFile(os.fspath(path), flat(checkpoint, order, layer=layer), checkpoint.tensors.files)
    except GatewiseError as error:
        raise error.at(path) from None


def _bytes_of(path: Path) -> Iterator[memoryview]:
    with builtins.open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield memoryview(piece)


def _vector_in(path: str | os.PathLike[str]) -> StoredTensor:
    """The one array of a file."""
    tensors = list(open_tensors(path).values())
    if len(tensors) != 1:
        raise UsageError(
            f"holds {len(tensors)} arrays.", path=path, next="A vector is one array [size] of floats: vector.npy."
        )
    (found,) = tensors
    if found.dtype not in FLOATS:
        raise UsageError(f"holds {found.dtype}; a vector of weights holds floats.", path=path)
    return found
