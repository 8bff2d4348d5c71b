"""safetensors: a JSON header that says where each tensor lies, then the tensors' bytes, little-endian and row-major.

Source: the format's page, https://huggingface.co/docs/safetensors, section "Format".  The file is an 8-byte
little-endian header length N, N bytes of JSON ``{"name": {"dtype", "shape", "data_offsets": [begin, end]}, …,
"__metadata__": {str: str}}``, then one buffer that the tensors cover exactly: no hole, no overlap, nothing after.
Not known here: elements smaller than a byte (F4, F6) and F8_E8M0, which no recurrent layer has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping

from ..errors import BrokenFile, NotRepresentable
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._plain_tree import with_paths

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
CODES = {dtype: code for code, dtype in DTYPES.items()}
FORMATS = {"pt": "torch", "tf": "tensorflow", "flax": "flax", "np": "numpy", "mlx": "mlx", "paddle": "paddle"}
_METADATA = "__metadata__"
_LONGEST_CLAIM = 1 << 32  # a header length past this is some other format's first bytes
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A length, then the opening brace of the header.  A cut file is claimed too: its header says that it is cut."""
    length = int.from_bytes(source.data[:8], "little")
    return bytes(source.data[8:9]) == b"{" and 2 <= length < _LONGEST_CLAIM


def read(source: Source) -> Tensors:
    """The header, judged as a whole; the tensors are views of the mapped file."""
    cursor = source.cursor(where="safetensors header")
    length = source.limits.check("header_bytes", cursor.u64(), path=source.name, where="safetensors header")
    cursor.take(length, "bytes of header")
    header = _json(source.look(8, 8 + length), source)
    said = header.pop(_METADATA, {})
    metadata = _metadata({} if said is None else said, source)
    source.limits.check("tensors", len(header), path=source.name, where="safetensors header")
    places = {name: _place(name, entry, source) for name, entry in header.items()}
    _covered_exactly(places, source.size - 8 - length, source)
    body = source.data[8 + length :]
    return Tensors(
        with_paths([
            StoredTensor(name, dtype, shape, Strided(body[begin:end], storage=str(begin)), where=f"byte {8 + length + begin}")
            for name, (dtype, shape, begin, end) in places.items()
        ]),
        path=source.name,
        container="safetensors",
        bytes=source.size,
        written_by=_written_by(metadata, said is None),
        metadata=metadata,
    )  # fmt: skip


# The validator: every function either returns what the format allows or raises BrokenFile.


def _broken(source: Source, message: str, where: str = "safetensors header") -> BrokenFile:
    return BrokenFile(message, path=source.name, where=where, next=_FETCH_AGAIN)


def _json(raw: bytes, source: Source) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("a key appears twice")
        return made

    def never(text: str) -> Any:
        raise ValueError(f"{text} is not JSON")

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError) as error:
        raise _broken(source, f"the header is not sound JSON: {error}.") from None
    if not isinstance(header, dict):
        raise _broken(source, f"the header is a JSON {type(header).__name__}, not an object.")
    return header


def _metadata(found: Any, source: Source) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise _broken(source, "__metadata__ must map strings to strings.")
    return found


def _place(name: str, entry: Any, source: Source) -> tuple[str, tuple[int, ...], int, int]:
    """(dtype, shape, begin, end) of one entry; begin and end count from the end of the header."""
    where = f"tensor {name!r}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _broken(source, "its entry must have dtype, shape and data_offsets, and nothing else.", where)
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise _broken(source, f"dtype {entry['dtype']!r} is not one of {', '.join(DTYPES)}.", where)
    shape, offsets = _naturals(entry["shape"]), _naturals(entry["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2:
        raise _broken(source, "shape and data_offsets must be lists of non-negative integers of 63 bits.", where)
    source.limits.check("rank", len(shape), path=source.name, where=where)
    begin, end = offsets
    if 0 in shape and math.prod(size or 1 for size in shape) >= 1 << 59:  # numpy counts the axes that are not 0
        raise _broken(source, f"has the shape {list(shape)}, which no array of no elements can have.", where)
    needed = math.prod(shape) * ITEM_BYTES[dtype]
    if end - begin != needed:
        raise _broken(source, f"its shape needs {needed:,} bytes, its offsets give {end - begin:,}.", where)
    return dtype, shape, begin, end


def _naturals(found: Any) -> tuple[int, ...] | None:
    """The list as a tuple; None if it is not a list of integers from 0 to 2^63 (JSON's true is not one)."""
    if isinstance(found, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in found):
        return tuple(found)
    return None


def _covered_exactly(places: Mapping[str, tuple[str, tuple[int, ...], int, int]], size: int, source: Source) -> None:
    at, before = 0, "the header"
    for name, (_, _, begin, end) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != at:
            fault = "overlaps" if begin < at else f"leaves {begin - at:,} unused bytes after"
            raise _broken(source, f"{fault} {before}; tensors must lie end to end.", f"tensor {name!r}")
        at, before = end, f"tensor {name!r}"
    if at != size:
        raise _broken(source, f"the tensors cover {at:,} bytes, the file has {size:,} after its header.")


def _written_by(metadata: Mapping[str, str], written_null: bool) -> Iterator[WrittenBy]:
    """MLX writes null where it has no metadata (mlx/io/safetensors.cpp), which the format's own library does not."""
    if written_null:
        yield WrittenBy("mlx", "", "__metadata__ is null, as MLX writes it")
    form = metadata.get("format")
    if form in FORMATS:
        yield WrittenBy(FORMATS[form], "", f"__metadata__ says format {form}")


# Writing.


def write(path: Path, tensors: Tensors) -> None:
    """The header lists the tensors in the given order, and so do the bytes when all elements are equally wide.

    Where widths are mixed, wider elements lie first: every tensor then begins at a multiple of its element's size,
    without which torch cannot view it.  Of the metadata, what maps a string to a string is kept.
    """
    stored = list(tensors.values())
    for tensor in stored:
        if tensor.dtype not in CODES:
            raise NotRepresentable(
                f"tensor {tensor.name!r} is {tensor.dtype}, which safetensors cannot say.", path=path
            )
    placed = sorted(stored, key=lambda tensor: -ITEM_BYTES[tensor.dtype])  # stable: the given order within a width
    with open(path, "wb") as file:
        file.write(_header(stored, placed, tensors.metadata))
        for tensor in placed:
            file.writelines(tensor.pieces())


def _header(stored: Iterable[StoredTensor], placed: Iterable[StoredTensor], metadata: Mapping[str, Any]) -> bytes:
    begins, at = {}, 0
    for tensor in placed:
        begins[tensor.name] = at
        at += tensor.nbytes
    kept = {key: value for key, value in metadata.items() if isinstance(value, str)}
    header: dict[str, Any] = {_METADATA: kept} if kept else {}
    for tensor in stored:
        begin = begins[tensor.name]
        offsets = [begin, begin + tensor.nbytes]
        header[tensor.name] = {"dtype": CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


CONTAINERS = (
    Container(
        "safetensors",
        title="safetensors",
        source="https://huggingface.co/docs/safetensors",
        claims=claims,
        read=read,
        write=write,
        suffixes=(".safetensors",),
        magic=((8, b"{"),),
        rank=40,
    ),
)
