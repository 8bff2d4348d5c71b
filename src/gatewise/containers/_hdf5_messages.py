"""The messages of HDF5's object headers: what a dataspace, a datatype, a layout, an attribute say.

Each function takes the bytes of one message, which end where it ends, and knows no file: a message that is too short is an
IndexError or a struct.error, which whoever opened the file makes a refusal of (see ``_hdf5.Bytes.judged``).
Source: HDF5 File Format Specification 3.0, IV.A.2; files of libhdf5 1.8 to 2.0.  Not known here: chunk indexes, and
datatypes that are neither numbers nor text, which :func:`number` answers with None.
"""

from __future__ import annotations

import math
import struct

from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Body = memoryview | bytes

U16, U32, U64 = (struct.Struct(code).unpack_from for code in ("<H", "<I", "<Q"))
SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOWHERE = 2**64 - 1  # the address of what has none
MARKED = "opaque, two bytes each"  # the number() of what Keras stores bfloat16 as; an attribute says so
_INTEGER, _FLOAT, _STRING, _OPAQUE, _COMPOUND, _ENUM, _SEQUENCE = 0, 1, 3, 5, 6, 8, 9  # classes of datatypes
_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)  # classes of layouts
DEFLATE, SHUFFLE, CHECKED, LZF = 1, 2, 3, 32000
OWN_FILTERS = frozenset((DEFLATE, SHUFFLE, CHECKED, LZF))  # those that gatewise undoes itself
_MOST_AXES = 32  # HDF5's own limit
_FLOATS = {  # bytes; bits in all; exponent's place and bits; mantissa's place and bits; bias; sign's place
    (2, 16, 10, 5, 0, 10, 15, 15): "float16",
    (2, 16, 7, 8, 0, 7, 127, 15): "bfloat16",
    (4, 32, 23, 8, 0, 23, 127, 31): "float32",
    (8, 64, 52, 11, 0, 52, 1023, 63): "float64",
}


class Unsound(Exception):
    """The bytes are not what HDF5 would have written, and how.  Whoever asked knows where."""


class NotPlain(Exception):
    """The bytes may be sound, and are left to libhdf5.  Never seen outside of the reader of HDF5."""


@record
class Stored:
    """What is known of a dataset.  ``place``: where its elements lie in one piece, None if they do not; ``stored`` how many
    bytes they take; ``elsewhere`` why they are not read."""

    dtype: str | None
    big_endian: bool
    shape: tuple[int, ...] | None
    place: int | None
    stored: int
    elsewhere: str = ""


@record
class Attribute:
    """``nbytes`` that its ``count`` elements take in the header; ``strings`` gives them, if they are text."""

    count: int
    nbytes: int
    is_text: bool
    strings: Callable[[], list[bytes]]


# Dataspaces.


def space(body: Body) -> tuple[int, ...] | None:
    """The shape; () of a single element, None of no element at all (a null dataspace)."""
    version, rank = body[0], body[1]
    if version not in (1, 2):
        raise Unsound(f"a dataspace of version {version}")
    if rank > _MOST_AXES:
        raise Unsound(f"a dataspace of {rank} axes, more than HDF5 has")
    if version == 2 and (body[3] > 2 or (body[3] != 1 and rank)):
        raise Unsound(f"a dataspace of kind {body[3]} with {rank} axes")
    if version == 2 and body[3] == 2:
        return None
    at = 8 if version == 1 else 4
    shape = struct.unpack_from(f"<{rank}Q", body, at)
    if body[2] & 1:  # the largest sizes stand behind the sizes
        for size, most in zip(shape, struct.unpack_from(f"<{rank}Q", body, at + 8 * rank), strict=True):
            if size > most:
                raise Unsound(f"an axis of {size:,} that may be {most:,} long")
    return shape


# Datatypes.


def number(body: Body) -> tuple[str | None, bool]:
    """(a name in ITEM_BYTES, MARKED, or None for what is no plain number; is it big-endian)."""
    kind, size, low_bits = body[0] & 15, U32(body, 4)[0], body[1]
    if not 1 <= body[0] >> 4 <= 5:
        raise Unsound(f"a datatype of version {body[0] >> 4}")
    if kind == _INTEGER:
        whole = U32(body, 8)[0] == size * 8 << 16 and size in (1, 2, 4, 8)  # from bit 0 to the last
        return (f"{'' if low_bits & 8 else 'u'}int{size * 8}" if whole else None), bool(low_bits & 1)
    if kind == _FLOAT:
        return _float(body)
    if kind == _ENUM:
        dtype, big_endian = number(body[8:20]) if body[8] & 15 == _INTEGER else (None, False)
        return ("bool" if dtype == "int8" and _is_of_truth(body) else dtype), big_endian
    if kind == _COMPOUND:
        return _complex(body, size)
    return (MARKED if kind == _OPAQUE and size == 2 else None), False


def _float(body: Body) -> tuple[str | None, bool]:
    if body[1] & 0x70 != 0x20:  # VAX's order of bytes, or a mantissa without its implied bit
        return None, False
    first, *layout = struct.unpack_from("<HHBBBBI", body, 8)
    return _FLOATS.get((U32(body, 4)[0], *layout, body[2])) if first == 0 else None, bool(body[1] & 1)


def _is_of_truth(body: Body) -> bool:
    """Has an enumeration of one byte h5py's two names for truth?"""
    if U16(body, 1)[0] != 2:
        return False
    raw, names = bytes(body[20:]), []
    at = 0
    for _ in range(2):
        name, at = _name(raw, at, padded=body[0] >> 4 < 3)
        names.append(name)
    return dict(zip(names, raw[at : at + 2], strict=True)) == {b"FALSE": 0, b"TRUE": 1}


def _complex(body: Body, size: int) -> tuple[str | None, bool]:
    """A compound of two floats of one kind, r and i, is h5py's complex number."""
    if U16(body, 1)[0] != 2:
        return None, False
    version, raw, at = body[0] >> 4, bytes(body[8:]), 0
    places, parts = {}, set()
    for _ in range(2):
        name, at = _name(raw, at, padded=version < 3)
        width = 4 if version < 3 else (size.bit_length() + 7) // 8
        places[name] = int.from_bytes(raw[at : at + width], "little")
        if version == 1 and raw[at + 4]:  # an array
            return None, False
        at += 32 if version == 1 else width
        if raw[at] & 15 != _FLOAT:
            return None, False
        parts.add(number(raw[at : at + 20]))
        at += 20
    if places != {b"r": 0, b"i": size // 2} or len(parts) != 1:
        return None, False
    dtype, big_endian = parts.pop()
    return {("float32", 8): "complex64", ("float64", 16): "complex128"}.get((str(dtype), size)), big_endian


def _name(raw: bytes, at: int, padded: bool) -> tuple[bytes, int]:
    """(a name that a zero ends, where what follows begins)."""
    end = raw.find(b"\0", at)
    if end < 0:
        raise Unsound("a name without an end")
    return raw[at:end], at + ((end - at) // 8 + 1) * 8 if padded else end + 1


def _is_long_text(body: Body) -> bool:
    """Of any length, each in a global heap?"""
    return body[0] & 15 == _SEQUENCE and body[1] & 15 == 1


def _fixed_text(body: Body, raw: bytes) -> bytes:
    """A string of the length that its type gives, without what fills it up: a zero and what follows, zeros, or spaces."""
    padding = body[1] & 15
    if padding == 0:
        return raw.partition(b"\0")[0]
    return (raw.rstrip(b" ") if padding == 2 else raw).rstrip(b"\0")


# Where the elements are.


@record
class Layout:
    """``place``: where in the file the elements begin, or what they are found by; for ``inside`` where in the message; None where
    there are none yet.  ``stored``: how many bytes, None where the shape alone says it.  ``chunk``: the extent of each chunk, and
    behind it the bytes of an element."""

    kind: int
    place: int | None = None
    stored: int | None = None
    chunk: tuple[int, ...] = ()

    @property
    def inside(self) -> bool:
        return self.kind == _COMPACT

    @property
    def chunked(self) -> bool:
        return self.kind == _CHUNKED

    @property
    def virtual(self) -> bool:
        return self.kind == _VIRTUAL


def is_virtual(body: Body) -> bool:
    """Of a layout message of any version, this reader's or not."""
    return body[0] > 2 and body[1] == _VIRTUAL


def layout(body: Body) -> Layout:
    version = body[0]
    if version not in (1, 2, 3, 4):
        raise NotPlain(f"a layout of version {version}")
    axes, kind = (body[1], body[2]) if version < 3 else (0, body[1])
    if kind > (_VIRTUAL if version == 4 else _CHUNKED):
        raise Unsound(f"a layout of class {kind}")
    if kind == _COMPACT:
        at, size = (12 + 4 * axes, U32(body, 8 + 4 * axes)[0]) if version < 3 else (4, U16(body, 2)[0])
        if size > len(body) - at:
            raise Unsound(f"{size:,} bytes of elements in a message of {len(body):,}")
        return Layout(kind, at, size)
    if kind == _CONTIGUOUS:
        at = 8 if version < 3 else 2
        return Layout(kind, _address(body, at), None if version < 3 else U64(body, at + 8)[0])
    if kind == _VIRTUAL:
        return Layout(kind)
    if version == 4:
        raise NotPlain("chunks that are not found by a B-tree")
    at, axes = (8, axes) if version < 3 else (3, body[2])
    return Layout(kind, _address(body, at), None, struct.unpack_from(f"<{axes}I", body, at + 8))


def _address(body: Body, at: int) -> int | None:
    found: int = U64(body, at)[0]
    return None if found == NOWHERE else found


def filters(body: Body) -> Iterator[int]:
    """The numbers of the filters that chunks pass through."""
    version, count = body[0], body[1]
    if version not in (1, 2):
        raise Unsound(f"a filter pipeline of version {version}")
    at = 8 if version == 1 else 2
    for _ in range(count):
        known = U16(body, at)[0]
        named = version == 1 or known >= 256
        length = U16(body, at + 2)[0] if named else 0
        values = U16(body, at + (6 if named else 4))[0]
        at += (8 if named else 6) + (-(-length // 8) * 8 if version == 1 else length)
        at += 4 * (values + (values & 1 if version == 1 else 0))
        yield known


def beyond_filters(numbers: Iterable[int]) -> str:
    """Why chunks that pass through these are not read; "" if they are.  libhdf5 would load the code of a filter that it does not
    have from the system's plugin folder; and it has three more (szip, nbit, scale-offset), of which the last two write past
    their memory for chunks that lie."""
    beyond = sorted(set(numbers) - OWN_FILTERS)
    return f"is packed with filter {beyond[0]}, which gatewise does not undo" if beyond else ""


# Attributes and links.


def attribute_name(body: Body) -> bytes:
    version, length = body[0], U16(body, 2)[0]
    if version not in (1, 2, 3):
        raise Unsound(f"an attribute of version {version}")
    start = 9 if version == 3 else 8
    if length > len(body) - start:
        raise Unsound(f"an attribute whose name has {length:,} bytes, of which {len(body) - start:,} are there")
    name = bytes(body[start : start + length])
    if name.find(b"\0") != length - 1:
        raise Unsound(f"an attribute whose name of {length:,} bytes ends elsewhere")
    return name[:-1]


def attribute_of(body: Body, long_texts: Callable[[Body, int], list[bytes]]) -> Attribute:
    """An attribute message as what it says.  ``long_texts`` reads strings from what points to them (elements, count)."""
    kind, extent, elements = _attribute_parts(body)
    shape = space(extent)
    count = math.prod(shape) if shape is not None else 0
    size = 16 if _is_long_text(kind) else U32(kind, 4)[0]

    def strings() -> list[bytes]:
        if size * count > len(elements):
            raise Unsound(f"{len(elements):,} bytes of {size * count:,}")
        if _is_long_text(kind):
            return long_texts(elements, count)
        raw = bytes(elements[: size * count])
        return [_fixed_text(kind, raw[at : at + size]) for at in range(0, len(raw), size)] if size else [b""] * count

    return Attribute(count, size * count, kind[0] & 15 == _STRING or _is_long_text(kind), strings)


def _attribute_parts(body: Body) -> tuple[Body, Body, Body]:
    """(datatype, dataspace, elements) of an attribute message whose name was read."""
    version, lengths = body[0], struct.unpack_from("<3H", body, 2)
    if version > 1 and body[1] & 3:
        raise NotPlain("an attribute that shares its datatype or dataspace")
    at, parts = (9 if version == 3 else 8), []
    for length in lengths:
        parts.append(body[at : at + length])
        at += -(-length // 8) * 8 if version == 1 else length
    if at > len(body):
        raise Unsound(f"an attribute of {at:,} bytes in a message of {len(body):,}")
    return parts[1], parts[2], body[at:]


def link(body: Body) -> tuple[bytes, int | str, int | None]:
    """(name; where its object's header is, or what kind of link leads elsewhere; its number in the order of making)."""
    version, flags, at = body[0], body[1], 2
    if version != 1 or flags & 0xE0:
        raise Unsound(f"a link of version {version} with the flags {flags}")
    kind, order = 0, None
    if flags & 8:
        kind, at = body[at], at + 1
    if flags & 4:
        order, at = U64(body, at)[0], at + 8
    at += 1 if flags & 16 else 0
    width = 1 << (flags & 3)
    length, at = int.from_bytes(body[at : at + width], "little"), at + width
    if length > len(body) - at or not length:
        raise Unsound(f"a link whose name has {length:,} bytes")
    name = bytes(body[at : at + length])
    if b"\0" in name:
        raise Unsound("a link whose name has a zero in it")
    return name, U64(body, at + length)[0] if kind == 0 else elsewhere(kind), order


def elsewhere(kind: int) -> str:
    """What a link that is no hard link is called.  ``kind``: as link messages number them."""
    return {1: "a soft link", 64: "a link to another file"}.get(kind, "a user-defined link")


# Checksums.


def checksum(raw: bytes) -> int:
    """Bob Jenkins' lookup3, by which the second version of headers can be told to be whole."""
    length = len(raw)
    a = b = c = (0xDEADBEEF + length) & 0xFFFFFFFF
    words = struct.unpack(f"<{-(-length // 12) * 3}I", raw.ljust(-(-length // 12) * 12, b"\0"))
    last = len(words) - 3
    for at in range(0, last, 3):
        a, b, c = a + words[at], b + words[at + 1], c + words[at + 2]
        a, c = _turn(a - c, c, 4), c + b
        b, a = _turn(b - a, a, 6), a + c
        c, b = _turn(c - b, b, 8), b + a
        a, c = _turn(a - c, c, 16), c + b
        b, a = _turn(b - a, a, 19), a + c
        c, b = _turn(c - b, b, 4), b + a
    if length == 0:
        return c
    a, b, c = (a + words[last], b + words[last + 1], c + words[last + 2])
    for bits in (14, 11, 25, 16, 4, 14, 24):
        # c ^= b; c -= b rotated; then the three change places: b, c, a
        c = ((c ^ b) - _rotated(b, bits)) & 0xFFFFFFFF
        a, b, c = b, c, a
    return int(b)


def _rotated(value: int, bits: int) -> int:
    value &= 0xFFFFFFFF
    return (value << bits | value >> 32 - bits) & 0xFFFFFFFF


def _turn(value: int, by: int, bits: int) -> int:
    return (value & 0xFFFFFFFF) ^ _rotated(by, bits)
