"""Equinox's ``.eqx``: arrays in ``.npy`` form one behind the other, without names; perhaps a line of JSON before them.

Source: equinox/_serialisation.py (tree_serialise_leaves, default_serialise_filter_spec): every leaf of a tree that is an
array or a Python number is written by ``jax.numpy.save`` or ``numpy.save`` in the order of the tree, everything else is
not written.  The line of JSON is how Equinox's documentation advises to keep a model's hyperparameters:
https://docs.kidger.site/equinox/examples/serialisation/.  ``numpy.save`` called several times on one file makes the same.
The tensors are called by their place: ``0``, ``1``, …  Elements of two bytes that numpy cannot name are bfloat16, as
``jax.numpy.load`` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import GatewiseError, NotRepresentable
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from .numpy_files import CODES, MAGIC, NAMELESS, Header, header_of, npy_chunks, npy_header

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_LONGEST_LINE = 1 << 20
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."
_JSON_BEGINS = (b"{", b"[", b'"')


def claims(source: Source) -> bool:
    """Two arrays in a row, or a line of JSON and an array."""
    start = _first_array(source)
    if start is None:
        return False
    if start:
        return True
    cursor = source.cursor()
    try:
        header = header_of(cursor, source)
    except (GatewiseError, ValueError):
        return False
    end = cursor.at + _bytes_of(header)
    return bytes(cursor.data[end : end + len(MAGIC)]) == MAGIC


def _first_array(source: Source) -> int | None:
    """Where the first array begins: at once, or behind one line of text that begins as JSON does."""
    if bytes(source.data[: len(MAGIC)]) == MAGIC:
        return 0
    if bytes(source.data[:1]) not in _JSON_BEGINS:
        return None
    end = bytes(source.data[:_LONGEST_LINE]).find(b"\n" + MAGIC)
    return None if end < 0 else end + 1


def read(source: Source) -> Tensors:
    """Every header; the arrays are views of the mapped file."""
    start = _first_array(source) or 0
    metadata, notes = _hyperparameters(bytes(source.data[: max(start - 1, 0)]))
    return Tensors(
        _arrays(source, start),
        path=source.name,
        container="npy-stream",
        bytes=source.size,
        naming="#eqx",
        written_by=[WrittenBy("equinox", "", "arrays in .npy form one behind the other, as Equinox writes a tree")],
        notes=notes,
        metadata=metadata,
    )


def _hyperparameters(line: bytes) -> tuple[dict[str, Any], list[str]]:
    if not line:
        return {}, []
    import json

    try:
        return {"hyperparameters": json.loads(line)}, []
    except (ValueError, RecursionError):
        return {}, ["the line before the arrays is not JSON; it is not read"]


def _arrays(source: Source, start: int) -> Iterator[StoredTensor]:
    whole = source.cursor(where="stream of .npy arrays")
    whole.at, count = start, 0
    while whole.left:
        source.limits.check("tensors", count + 1, path=source.name, where=whole.where)
        cursor = source.cursor(whole.at, where=f"array {count}")
        header = header_of(cursor, source)
        dtype = _dtype(header, cursor)
        body = cursor.take(_bytes_of(header), "bytes of elements")
        data = Strided(body, strides=header.strides, big_endian=header.descr[0] == ">", storage=str(count))
        yield StoredTensor(str(count), dtype, header.shape, data, f"byte {whole.at + header.end}")
        whole.at += cursor.at
        count += 1


def _bytes_of(header: Header) -> int:
    size = 2 if header.descr[1:] == NAMELESS else ITEM_BYTES[header.dtype] if header.dtype else 0
    return math.prod(header.shape) * size


def _dtype(header: Header, cursor: Cursor) -> str:
    dtype = "bfloat16" if header.descr[1:] == NAMELESS else header.dtype
    if dtype is None:
        raise cursor.fail(f"{header.unreadable} Where it ends is not known.", next="Save it without that leaf.")
    return dtype


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """The arrays in the given order; their names are nowhere."""
    for tensor in tensors.values():
        if tensor.dtype not in (*CODES, "bfloat16"):
            raise NotRepresentable(
                f"tensor {tensor.name!r} is {tensor.dtype}, which a numpy file cannot name.", path=path
            )
    with open(path, "wb") as file:
        for tensor in tensors.values():
            file.writelines(npy_chunks(npy_header(tensor), tensor))


CONTAINERS = (
    Container(
        "npy-stream",
        "Equinox .eqx, a stream of .npy arrays",
        "equinox/_serialisation.py: tree_serialise_leaves, default_serialise_filter_spec",
        claims,
        read,
        write=write,
        suffixes=(".eqx",),
        naming="#eqx",
        frameworks=("equinox",),
        rank=44,
        magic=tuple((0, first) for first in (MAGIC, *_JSON_BEGINS)),
    ),
)
