"""numpy's own files: ``.npy``, one array behind a small header, and ``.npz``, a zip archive of such files.

Source: numpy's format page, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1.0 to
3.0.  The header is a Python dict literal with the keys ``descr``, ``fortran_order`` and ``shape``; here a closed
grammar reads it and nothing is evaluated.  Object arrays are pickles and are never opened.
Not known here: structured arrays, strings, dates; a bfloat16 array is saved by numpy as nameless 2-byte elements.
"""

from __future__ import annotations

import functools
import math
import re
import zlib
from collections.abc import Iterator

from ..cursor import Cursor
from ..errors import BrokenFile, LimitExceeded, NotRepresentable
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy, contiguous_strides
from . import Container
from ._plain_tree import with_paths
from ._zip import Member, ZipFile, ZipWriter, looks_like_zip, zip_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path

DESCR = {
    "f8": "float64", "f4": "float32", "f2": "float16", "c8": "complex64", "c16": "complex128", "b1": "bool",
    "i8": "int64", "i4": "int32", "i2": "int16", "i1": "int8", "u8": "uint64", "u4": "uint32", "u2": "uint16",
    "u1": "uint8",
}  # fmt: skip
CODES = {dtype: code for code, dtype in DESCR.items()}
MAGIC = b"\x93NUMPY"
HEADER_BYTES = 1 << 16  # longest header: numpy itself refuses longer than 10,000 characters since 1.24
NAMELESS = "V2"  # what numpy calls bfloat16 and other types that it does not know
_SUFFIX = ".npy"
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


@record
class Header:
    """What an ``.npy`` file says before its elements, which begin at byte ``end``."""

    descr: str
    fortran_order: bool
    shape: tuple[int, ...]
    end: int

    @property
    def dtype(self) -> str | None:
        """The name in ITEM_BYTES; None for what is not a plain number."""
        return DESCR.get(self.descr[1:]) if self.descr[:1] in "<>|=" else None

    @property
    def unreadable(self) -> str:
        """Why ``dtype`` is None, in a sentence."""
        if "O" in self.descr[:3]:
            return "holds Python objects, which numpy stores as a pickle; gatewise does not run it."
        if self.descr[1:2] == "V":
            return (
                f"holds nameless elements ({self.descr}); numpy saves bfloat16 so. Save it as float32 or safetensors."
            )
        return f"has dtype {self.descr}, which is not a number."

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements."""
        if self.fortran_order:
            return tuple(reversed(contiguous_strides(tuple(reversed(self.shape)))))
        return contiguous_strides(self.shape)


# The header's grammar: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
_ITEM = re.compile(
    r"\s*(?:'descr'\s*:\s*(?P<descr>'[^'\\]{1,32}'|\[[^\]]*\][^']*)"
    r"|'fortran_order'\s*:\s*(?P<fortran>True|False)"
    r"|'shape'\s*:\s*\((?P<shape>[0-9L, ]*)\))\s*(?:,|(?=\}))"
)


def header_of(cursor: Cursor, source: Source) -> Header:
    """Read the header at the cursor.  Python 2 wrote long integers into shapes (``3L``); they are read."""
    if bytes(cursor.take(6, "bytes of magic")) != MAGIC:
        raise cursor.fail("does not begin as an .npy file.", next=_FETCH_AGAIN)
    major, _minor = cursor.u8(), cursor.u8()
    if major not in (1, 2, 3):
        raise cursor.fail(f"is version {major} of the .npy format; versions 1 to 3 are known.")
    length = cursor.u16() if major == 1 else cursor.u32()
    if length > HEADER_BYTES:
        raise LimitExceeded(f"announces a header of {length:,} bytes.", path=source.name, where=cursor.where)
    text = bytes(cursor.take(length, "bytes of header")).decode("utf-8" if major == 3 else "latin-1", "replace").strip()
    try:
        descr, fortran, shape = _told(text)
    except ValueError as error:
        raise cursor.fail(f"its header {text[:80]!r} {error}.", next=_FETCH_AGAIN) from None
    source.limits.check("rank", len(shape), path=source.name, where=cursor.where)
    return Header(descr, fortran, shape, cursor.at)


@functools.lru_cache(maxsize=256)
def _told(text: str) -> tuple[str, bool, tuple[int, ...]]:
    """What a header's text says; a file's arrays are mostly of a few shapes.  Raises ValueError."""
    found: dict[str, str] = {}
    at = 1
    while text[:1] == "{" and (item := _ITEM.match(text, at)):
        said = {key: value for key, value in item.groupdict().items() if value is not None}
        if found.keys() & said.keys():
            raise ValueError("says the same thing twice")
        found.update(said)
        at = item.end()
    if text[at:].strip() != "}" or found.keys() != {"descr", "fortran", "shape"}:
        raise ValueError("is not what numpy writes")
    shape = tuple(int(size.rstrip("L")) for size in re.findall(r"\d+L?", found["shape"]))
    return found["descr"].strip("'"), found["fortran"] == "True", shape


def _stored(name: str, header: Header, data: Strided, where: str) -> StoredTensor:
    if header.dtype is None:
        raise ValueError(header.unreadable)
    return StoredTensor(name, header.dtype, header.shape, data, where)


def _bytes_needed(header: Header) -> int:
    return math.prod(header.shape) * (ITEM_BYTES[header.dtype] if header.dtype else 0)


# .npy


def claims_npy(source: Source) -> bool:
    return bytes(source.data[:6]) == MAGIC


def read_npy(source: Source) -> Tensors:
    """One tensor, called like the file."""
    cursor = source.cursor(where=".npy header")
    header = header_of(cursor, source)
    if header.dtype is None:
        raise BrokenFile(header.unreadable, path=source.name, next="Save the numbers themselves, without objects.")
    body = cursor.take(_bytes_needed(header), "bytes of elements")
    data = Strided(body, strides=header.strides, big_endian=header.descr[0] == ">", storage="0")
    notes = [f"{cursor.left:,} bytes follow the array and are not read."] if cursor.left else []
    return Tensors(
        [_stored(source.path.stem, header, data, f"byte {header.end}")],
        path=source.name,
        container="npy",
        bytes=source.size,
        written_by=[WrittenBy("numpy", "", ".npy header")],
        notes=notes,
    )


# .npz


def claims_npz(source: Source) -> bool:
    """A zip archive with at least one member, all of them called ``*.npy``."""
    if not looks_like_zip(source):
        return False
    members = zip_of(source).members
    return bool(members) and all(name.endswith(_SUFFIX) for name in members)


def read_npz(source: Source) -> Tensors:
    """The members in the archive's order; stored ones are views of the file, deflated ones open when asked for.

    A member that is no array of numbers is left out with a note: the others are no worse for it.
    """
    archive, notes = zip_of(source), []
    source.limits.check("tensors", len(archive.members), path=source.name, where="zip directory")
    tensors = []
    for member in archive.members.values():
        header = header_of(_head(archive, member), source)
        if header.dtype is None:
            notes.append(f"member {member.name} {header.unreadable} It is left out.")
        else:
            tensors.append(_member_tensor(archive, member, header))
    return Tensors(
        with_paths(tensors),
        path=source.name,
        container="npz",
        bytes=source.size,
        naming="#arr" if _unnamed([tensor.name for tensor in tensors]) else "",
        written_by=[WrittenBy("numpy", "", "zip archive of .npy members")],
        notes=notes,
    )


def _unnamed(names: list[str]) -> bool:
    """Are these the names that ``np.savez(path, *arrays)`` gives?  Then only the order tells what they are."""
    return bool(names) and names == [f"arr_{number}" for number in range(len(names))]


def _head(archive: ZipFile, member: Member) -> Cursor:
    """A cursor over the member's beginning, long enough for any header."""
    where, path = f"member {member.name}", archive.source.name
    start = archive.start(member, alone=True)
    raw = archive.source.data[start : start + member.packed]
    if not member.deflated:
        return Cursor(raw, path=path, where=where, base=start)
    try:
        head = zlib.decompressobj(-15).decompress(raw, min(member.size, HEADER_BYTES + 12))
    except zlib.error as error:
        raise BrokenFile(f"cannot be decompressed: {error}.", path=path, where=where, next=_FETCH_AGAIN) from None
    return Cursor(head, path=path, where=where)


def _member_tensor(archive: ZipFile, member: Member, header: Header) -> StoredTensor:
    needed = _bytes_needed(header)
    if member.size != header.end + needed:
        raise BrokenFile(
            f"its header announces {needed:,} bytes of elements, the member has {member.size - header.end:,}.",
            path=archive.source.name,
            where=f"member {member.name}",
            next=_FETCH_AGAIN,
        )

    def opened() -> memoryview:
        return archive.read(member.name)[header.end :]

    data = Strided(
        opened if member.deflated else opened(),
        strides=header.strides,
        big_endian=header.descr[0] == ">",
        storage=member.name,
    )
    return _stored(member.name.removesuffix(_SUFFIX), header, data, f"member {member.name}")


def write_npz(path: Path, tensors: Tensors) -> None:
    """Stored members, one per tensor, in the given order; the same tensors give the same bytes."""
    for tensor in tensors.values():
        if tensor.dtype not in CODES:
            raise NotRepresentable(
                f"tensor {tensor.name!r} is {tensor.dtype}, which a numpy file cannot name.",
                path=path,
                next="Convert it to float32, or write .safetensors.",
            )
    with open(path, "wb") as file:
        archive = ZipWriter(file)
        for tensor in tensors.values():
            header = npy_header(tensor)
            archive.add(tensor.name + _SUFFIX, len(header) + tensor.nbytes, npy_chunks(header, tensor))
        archive.close()


def npy_header(tensor: StoredTensor) -> bytes:
    """What precedes the elements.  bfloat16 is nameless to numpy: two bytes of nothing known."""
    order = "|" if ITEM_BYTES[tensor.dtype] == 1 else "<"
    sizes = ", ".join(map(str, tensor.shape)) + ("," if len(tensor.shape) == 1 else "")
    text = f"{{'descr': '{order}{CODES.get(tensor.dtype, NAMELESS)}', 'fortran_order': False, 'shape': ({sizes}), }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin-1")


def npy_chunks(header: bytes, tensor: StoredTensor) -> Iterator[bytes | memoryview]:
    yield header
    yield from tensor.pieces()


_SOURCE = "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"
CONTAINERS = (
    Container(
        "npz",
        title="numpy .npz archive",
        source=_SOURCE,
        claims=claims_npz,
        read=read_npz,
        write=write_npz,
        suffixes=(".npz",),
        magic=((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
        members=(".npy",),
        rank=45,
    ),
    Container(
        "npy", title="numpy .npy array", source=_SOURCE, claims=claims_npy, read=read_npy, magic=((0, MAGIC),), rank=46
    ),
)
