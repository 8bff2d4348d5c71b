"""Makers of TensorFlow files for tests: tables, checkpoints in both formats, protocol buffers, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.containers._crc32c import crc32c, masked
from gatewise.containers._leveldb_table import MAGIC
from gatewise.containers._tf_types import DTYPES, slice_key

CODES = {name: number for number, name in reversed(DTYPES.items())}


# Protocol buffers.


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, Any]) -> bytes:
    """(number, int | bytes | str | float) in order."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + np.float32(value).tobytes()
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def shape_message(shape: Iterable[int]) -> bytes:
    return message(*((2, message((1, size))) for size in shape))


def slice_message(place: Iterable[tuple[int, int]]) -> bytes:
    """(start, length) on each axis; -1: all of it."""
    return message(*((1, message((1, start), *(((2, size),) if size >= 0 else ()))) for start, size in place))


def slice_place(place: Iterable[tuple[int, int]]) -> dict[str, Any]:
    return {"extent": [{"start": start} | ({"length": size} if size >= 0 else {}) for start, size in place]}


# Tables.


def block(entries: Iterable[tuple[bytes, bytes]], restart: int = 16) -> bytes:
    """Entries with shared prefixes, a restart point every ``restart`` of them."""
    body, last, restarts = b"", b"", []
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % restart == 0:
            restarts.append(len(body))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return body + b"".join(place.to_bytes(4, "little") for place in restarts) + len(restarts).to_bytes(4, "little")


def sealed(body: bytes, kind: int = 0) -> bytes:
    """A block with its type and checksum."""
    return body + bytes([kind]) + masked(crc32c(body + bytes([kind]))).to_bytes(4, "little")


def table(entries: Mapping[bytes, bytes], per_block: int = 1000, pack: Any = None) -> bytes:
    """A whole table; ``pack`` compresses its data blocks with snappy."""
    ordered = sorted(entries.items())
    data, index = b"", []
    for start in range(0, len(ordered), per_block):
        chunk = ordered[start : start + per_block]
        body = block(chunk)
        body, kind = (pack(body), 1) if pack else (body, 0)
        index.append((chunk[-1][0], varint(len(data)) + varint(len(body))))
        data += sealed(body, kind)
    return finished(data, index)


def finished(data: bytes, index: list[tuple[bytes, bytes]]) -> bytes:
    """The data blocks, an empty metaindex, the index and the footer."""
    meta, listing = block([]), block(index, restart=1)
    handles = varint(len(data)) + varint(len(meta))
    data += sealed(meta)
    handles += varint(len(data)) + varint(len(listing))
    return data + sealed(listing) + handles.ljust(40, b"\0") + MAGIC


# Checkpoints.


def header(shards: int = 1, big: bool = False) -> bytes:
    return message((1, shards), *(((2, 1),) if big else ()), (3, message((1, 1))))


def entry(
    dtype: int, shape: Iterable[int], offset: int, size: int, shard: int = 0, slices: Iterable[bytes] = ()
) -> bytes:
    return message(
        (1, dtype), (2, shape_message(shape)), (3, shard), (4, offset), (5, size), *((7, each) for each in slices)
    )


def text_tensor(*texts: bytes) -> bytes:
    """What a tensor of strings looks like in a data file."""
    lengths = b"".join(varint(len(text)) for text in texts)
    fixed = b"".join(len(text).to_bytes(4, "little") for text in texts)
    return lengths + masked(crc32c(fixed)).to_bytes(4, "little") + b"".join(texts)


def checkpoint(
    prefix: Path, tensors: Mapping[str, np.ndarray], texts: Mapping[str, bytes] | None = None, **more: Any
) -> Path:
    """A V2 checkpoint in one data file; the path of its index."""
    entries, data = {b"": header()}, b""
    for name, array in tensors.items():
        entries[name.encode()] = entry(CODES[array.dtype.name], array.shape, len(data), array.nbytes)
        data += np.ascontiguousarray(array).tobytes()
    for name, text in (texts or {}).items():
        raw = text_tensor(text)
        entries[name.encode()] = entry(7, (), len(data), len(raw))
        data += raw
    return written(prefix, entries, data, **more)


def written(prefix: Path, entries: Mapping[bytes, bytes], data: bytes, **more: Any) -> Path:
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table(entries, **more))
    return index


def v1_checkpoint(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """A V1 checkpoint: each tensor in one slice, its elements in the field of their type."""
    listed, entries = [], {}
    for name, array in tensors.items():
        whole = [(0, -1)] * array.ndim
        listed.append(
            message((1, name), (2, shape_message(array.shape)), (3, CODES[array.dtype.name]), (4, slice_message(whole)))
        )
        fields = {"float32": 5, "float64": 6, "int32": 7, "int64": 10, "bool": 11}
        number = fields[array.dtype.name]
        packed = array.tobytes() if number < 7 else b"".join(varint(int(value)) for value in array.ravel())
        tensor = message((1, CODES[array.dtype.name]), (number, packed))
        saved = message((1, name), (2, slice_message(whole)), (3, tensor))
        entries[slice_key(name.encode(), slice_place(whole))] = message((2, saved))
    entries[b""] = message((1, message(*((1, one) for one in listed))))
    path.write_bytes(table(entries, per_block=2))
    return path
