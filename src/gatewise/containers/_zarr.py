"""Zarr arrays, versions 2 and 3: chunks of a regular grid, each a value of a key-value store.

Sources: https://zarr-specs.readthedocs.io: v2, and v3 with the codecs bytes, transpose, gzip, zstd, crc32c and
sharding_indexed.  A single chunk that is not compressed is a view; otherwise the chunks are put together when the array is asked
for.  Not read: blosc and lz4, filters, and chunk grids that are not regular.
"""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping

from ..cursor import Limits
from ..errors import BrokenFile
from ..record import record
from ..tensors import ITEM_BYTES, StoredTensor, Strided, numpy_dtype
from ._zstd import decompress
from .numpy_files import DESCR

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

METADATA = (".zarray", "zarr.json")
_NEXT = "Save it again with Orbax: PyTreeCheckpointHandler(use_ocdbt=False), or flax.serialization.to_bytes."
_SHARD_EMPTY = (1 << 64) - 1
Read = Callable[[str], "memoryview | None"]  # a key below the array's own → its value
Decode = Callable[[memoryview, int], "memoryview"]  # a chunk's bytes, and how many they are when plain


@record
class _Grid:
    """Where the chunks of an array lie, and how each is packed."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    big_endian: bool
    order: tuple[int, ...]  # the axes as they lie in a chunk, slowest first
    fill: Any
    key: Callable[[tuple[int, ...]], str]
    decode: Decode
    plain: bool
    inner: _Shard | None = None

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(-(-size // step) for size, step in zip(self.shape, self.chunk, strict=True))

    @property
    def chunk_bytes(self) -> int:
        return math.prod(self.chunk) * ITEM_BYTES[self.dtype]


@record
class _Shard:
    """Chunks inside a chunk, with an index of where each lies."""

    grid: _Grid
    decode: Decode
    at_end: bool
    checksums: int


def tensor(name: str, described: str, raw: memoryview, read: Read, limits: Limits) -> StoredTensor | str:
    """The array that ``.zarray`` or ``zarr.json`` (``described``) describes; a sentence where it cannot be read."""
    where = f"array {name!r}"
    try:
        said = json.loads(bytes(raw))
        if not isinstance(said, dict):
            raise TypeError("not an object")
        if described == "zarr.json" and said.get("node_type") != "array":
            return "is a group."
        grid = _version_3(said) if described == "zarr.json" else _version_2(said)
        _check(grid)
    except Unread as error:
        return str(error)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise BrokenFile(f"{described} is not a sound description: {error!r}.", where=where) from None
    limits.check("plain_bytes", math.prod(grid.shape) * ITEM_BYTES[grid.dtype], where=where)
    limits.check("members", math.prod(grid.counts), where=where)
    limits.check("plain_bytes", grid.chunk_bytes, where=where)
    return StoredTensor(name, grid.dtype, grid.shape, _data(grid, name, read, where), f"{name}/{described}")


def _check(grid: _Grid) -> None:
    """Raises ValueError where chunks cannot be those of the array."""
    if len(grid.chunk) != len(grid.shape) or 0 in grid.chunk:
        raise ValueError(f"chunks of {list(grid.chunk)} for an array of {list(grid.shape)}")
    if grid.inner is not None:
        _check(grid.inner.grid)


class Unread(Exception):
    """Something of the format that is not read here."""


def _data(grid: _Grid, name: str, read: Read, where: str) -> Strided | Callable[[], Array]:
    rowmajor = grid.order == tuple(range(len(grid.shape)))
    if grid.plain and rowmajor and grid.chunk == grid.shape and grid.inner is None:
        first = grid.key((0,) * len(grid.shape))

        def value() -> memoryview:
            found = read(first)
            if found is None or len(found) != grid.chunk_bytes:
                raise BrokenFile(f"its chunk {first} is missing or of another length.", where=where)
            return found

        return Strided(value, big_endian=grid.big_endian, storage=name)
    return lambda: _joined(grid, read, where)


def _joined(grid: _Grid, read: Read, where: str) -> Array:
    import numpy as np

    whole: Array = np.full(grid.shape, grid.fill or 0, numpy_dtype(grid.dtype))
    for place in itertools.product(*(range(count) for count in grid.counts)):
        raw = read(grid.key(place))
        if raw is not None:
            _put(grid, whole, place, raw, f"{where}, chunk {grid.key(place)}")
    whole.flags.writeable = False
    return whole


def _put(grid: _Grid, whole: Array, place: tuple[int, ...], raw: memoryview, where: str) -> None:
    """One chunk into its place; what lies beyond the array's edge is left out."""
    import numpy as np

    start = [index * step for index, step in zip(place, grid.chunk, strict=True)]
    window: list[Any] = [slice(at, at + step) for at, step in zip(start, grid.chunk, strict=True)]
    window.append(Ellipsis)  # a view, of a scalar too
    target = whole[tuple(window)]
    if grid.inner is not None:
        _put_shard(grid, target, raw, where)
        return
    plain = grid.decode(raw, grid.chunk_bytes)
    if len(plain) != grid.chunk_bytes:
        raise BrokenFile(f"has {len(plain):,} bytes where {grid.chunk_bytes:,} belong.", where=where)
    stored = np.frombuffer(plain, numpy_dtype(grid.dtype, grid.big_endian))
    turned = stored.reshape([grid.chunk[axis] for axis in grid.order]).transpose(np.argsort(grid.order))
    inside: tuple[Any, ...] = tuple(slice(0, size) for size in target.shape)
    target[...] = turned[inside]


def _put_shard(grid: _Grid, target: Array, raw: memoryview, where: str) -> None:
    shard = grid.inner
    if shard is None:
        return
    counts = [-(-size // step) for size, step in zip(grid.chunk, shard.grid.chunk, strict=True)]
    size = 16 * math.prod(counts)
    index = raw[-size - shard.checksums :] if shard.at_end else raw[: size + shard.checksums]
    plain = shard.decode(index, size)
    if len(plain) < size:
        raise BrokenFile("its index is cut.", where=where)
    for number, place in enumerate(itertools.product(*map(range, counts))):
        offset, length = (
            int.from_bytes(plain[16 * number + half : 16 * number + half + 8], "little") for half in (0, 8)
        )
        inside = all(at * step < edge for at, step, edge in zip(place, shard.grid.chunk, target.shape, strict=True))
        if offset == _SHARD_EMPTY or not inside:
            continue
        if offset + length > len(raw):
            raise BrokenFile("its index names bytes that are not there.", where=where)
        _put(shard.grid, target, place, raw[offset : offset + length], where)


# Version 2.


def _version_2(said: Mapping[str, Any]) -> _Grid:
    dtype, big = _dtype_2(said["dtype"])
    shape, chunk = _sizes(said["shape"]), _sizes(said["chunks"])
    if said.get("filters"):
        raise Unread(f"has the filters {said['filters']!r:.60}, which gatewise does not undo. {_NEXT}")
    separator = said.get("dimension_separator", ".")
    axes = tuple(range(len(shape)))
    compressor = said.get("compressor")
    return _Grid(
        shape, chunk, dtype, big, axes[::-1] if said.get("order") == "F" else axes, _fill(said.get("fill_value")),
        lambda place: separator.join(map(str, place)) or "0",
        _compressor(compressor["id"]) if compressor else _as_is, plain=not compressor,
    )  # fmt: skip


def _dtype_2(text: Any) -> tuple[str, bool]:
    if isinstance(text, str) and text in ITEM_BYTES:
        return text, False
    known = DESCR.get(text[1:]) if isinstance(text, str) and text[:1] in ("<", ">", "|") else None
    if known is None:
        raise Unread(f"has dtype {text!r:.40}, which is not a plain number.")
    return known, text[0] == ">"


def _sizes(found: Any) -> tuple[int, ...]:
    if not isinstance(found, list) or len(found) > 32 or not all(type(size) is int and size >= 0 for size in found):
        raise ValueError(f"{found!r:.60} are no sizes")
    return tuple(found)


def _fill(value: Any) -> Any:
    return (
        {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, 0)
        if isinstance(value, str)
        else value
    )


# Packing.


def _as_is(raw: memoryview, _size: int) -> memoryview:
    return raw


def _zstd(raw: memoryview, size: int) -> memoryview:
    return memoryview(decompress(raw, size, "a zarr chunk"))


def _gzip(raw: memoryview, size: int) -> memoryview:
    """A file that is packed so as a whole has been unpacked when it was opened."""
    return _deflate(raw, size) if bytes(raw[:2]) == b"\x1f\x8b" else raw


def _deflate(raw: memoryview, size: int) -> memoryview:
    try:
        plain = zlib.decompressobj(47).decompress(bytes(raw), size + 1)  # zlib's head or gzip's
    except zlib.error as error:
        raise BrokenFile(f"cannot be decompressed: {error}.", where="a zarr chunk") from None
    return memoryview(plain)


def _compressor(name: Any) -> Decode:
    known = {"zstd": _zstd, "zlib": _deflate, "gzip": _gzip}.get(name)
    if known is None:
        raise Unread(f"is compressed with {name!r:.40}, which gatewise does not read. {_NEXT}")
    return known


# Version 3.


def _version_3(said: Mapping[str, Any]) -> _Grid:
    shape = _sizes(said["shape"])
    if said["chunk_grid"]["name"] != "regular":
        raise Unread(f"has the chunk grid {said['chunk_grid']['name']!r:.40}. {_NEXT}")
    chunk = _sizes(said["chunk_grid"]["configuration"]["chunk_shape"])
    if said["data_type"] not in ITEM_BYTES:
        raise Unread(f"has data type {said['data_type']!r:.40}, which is not a plain number.")
    encoding = said.get("chunk_key_encoding", {"name": "default"})
    default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if default else ".")

    def key(place: tuple[int, ...]) -> str:
        return separator.join(["c"] * default + [str(index) for index in place]) or "0"

    return _of_codecs(shape, chunk, said["data_type"], _fill(said.get("fill_value")), key, said["codecs"])


def _of_codecs(
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    dtype: str,
    fill: Any,
    key: Callable[[tuple[int, ...]], str],
    codecs: Any,
) -> _Grid:
    order, big, packing, inner = tuple(range(len(chunk))), False, list[Decode](), None
    for codec in codecs:
        name, how = codec["name"], codec.get("configuration", {})
        if name == "transpose":
            order = tuple(order[axis] for axis in how["order"])
        elif name == "bytes":
            big = how.get("endian") == "big"
        elif name == "crc32c":
            packing.append(lambda raw, _size: raw[:-4])
        elif name == "sharding_indexed":
            inner = _shard(chunk, dtype, fill, key, how)
        else:
            packing.append(_compressor(name))
    if sorted(order) != list(range(len(chunk))):
        raise ValueError(f"{order} is no order of axes")
    return _Grid(shape, chunk, dtype, big, order, fill, key, _undone(packing), plain=not packing, inner=inner)


def _shard(chunk: tuple[int, ...], dtype: str, fill: Any, key: Callable[[tuple[int, ...]], str], how: Any) -> _Shard:
    inside = _of_codecs(chunk, _sizes(how["chunk_shape"]), dtype, fill, key, how["codecs"])
    checksums = 4 * sum(codec["name"] == "crc32c" for codec in how["index_codecs"])
    if any(codec["name"] not in ("bytes", "crc32c") for codec in how["index_codecs"]):
        raise Unread(f"has a packed index of its shards. {_NEXT}")
    cut: Decode = (lambda raw, _size: raw[:-checksums]) if checksums else _as_is
    return _Shard(inside, cut, how.get("index_location", "end") == "end", checksums)


def _undone(packing: list[Decode]) -> Decode:
    def decode(raw: memoryview, size: int) -> memoryview:
        for step in reversed(packing):
            raw = step(raw, size)
        return raw

    return decode


def keys_of(names: Iterator[str]) -> dict[str, str]:
    """Every array's key → which of the two files describes it."""
    found: dict[str, str] = {}
    for name in names:
        key, _, last = name.rpartition("/")
        if last in METADATA:
            found.setdefault(key, last)
    return found
