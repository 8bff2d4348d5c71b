"""Damage done to bytes on purpose: flip, cut, grow, splice, swap, and numbers that lie.  Knows no format but by its checksums.

Everything comes from the ``random.Random`` that is handed in: the same seed does the same damage on every machine.
What a checksum would catch at once is mended again after the damage (zip members, gzip, TensorFlow's tables), since a
hostile file's checksums fit.
"""

from __future__ import annotations

import gzip
import io
import random
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40,
           (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
TEXTS = (b"0", b"-1", b"1e999", b"NaN", b"18446744073709551616", b"9" * 400, b"[" * 50, b"{" * 50, b'""', b"../..", b"/etc/passwd",
         b"\0", b"\xff" * 8, b"null", b"%s%n", b"((((", b"]" * 8, b"\n", b"true")  # fmt: skip
# Opcodes of a pickle, with operands where they need some.
PICKLED = tuple(
    piece
    for piece in (
        *(bytes([code]) for code in b"(.012NRabdelostu)]}\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"),
        b"cos\nsystem\n", b"cbuiltins\nset\n", b"ccollections\nOrderedDict\n", b"ibuiltins\neval\n", b"I7\n", b"L9L\n", b"K\x01",
        b"q\0", b"h\0", b"J\xff\xff\xff\xff", b"U\x02ab", b"X\x01\0\0\0a", b"C\x01b", b"\x8c\x02os", b"\x8c\x06system", b"Q", b"P0\n",
        b"G?\xf0\0\0\0\0\0\0", b"\x95\x03\0\0\0\0\0\0\0", b"\x8a\x04\xff\xff\xff\x7f", b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch\nFloatStorage\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"cnumpy\ndtype\n",
    )
)  # fmt: skip
Damage = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def flip(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """A bit, or a whole byte."""
    if not data:
        return data
    at = luck.randrange(len(data))
    byte = data[at] ^ (1 << luck.randrange(8)) if luck.random() < 0.6 else luck.randrange(256)
    return data[:at] + bytes([byte]) + data[at + 1 :]


def cut(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """The end, or a piece out of the middle."""
    start = luck.randrange(len(data) + 1)
    if luck.random() < 0.3:
        return data[:start]
    return data[:start] + data[start + _some(luck) :]


def grow(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """Something more, or a piece of it once more, or many times."""
    at, size = luck.randrange(len(data) + 1), _some(luck)
    piece = data[at : at + size] if luck.random() < 0.6 else luck.randbytes(size)
    times = luck.choice((1, 1, 1, 2, 64)) if len(data) < 1 << 16 else 1
    return data[:at] + piece * times + data[at:]


def splice(data: bytes, luck: random.Random, others: Sequence[bytes]) -> bytes:
    """A piece of another file in the place of a piece of this one."""
    other = luck.choice(others) if others else data
    start, size = luck.randrange(len(other) + 1), _some(luck)
    at = start if luck.random() < 0.5 else luck.randrange(len(data) + 1)
    gone = size if luck.random() < 0.7 else 0
    return data[:at] + other[start : start + size] + data[at + gone :]


def swap(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """Two pieces change places."""
    if len(data) < 4:
        return data
    first, middle, last = sorted(luck.randrange(len(data)) for _ in range(3))
    return data[:first] + data[middle:last] + data[first:middle] + data[last:]


def lie(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """A number of 1, 2, 4 or 8 bytes, or a varint, becomes one that readers trip over."""
    if not data:
        return data
    at, size = luck.randrange(len(data)), luck.choice((1, 2, 4, 8))
    number = luck.choice((*NUMBERS, len(data), len(data) - 1, at)) + luck.choice((0, 0, 0, 1, -1))
    if luck.random() < 0.2:
        return data[:at] + _varint(number % (1 << 64)) + data[at + 1 :]
    order = "little" if luck.random() < 0.8 else "big"
    return data[:at] + (number % (1 << 8 * size)).to_bytes(size, order) + data[at + size :]


def write(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """A number written in digits, or a text, becomes one that readers trip over."""
    digits = [found.span() for found in re.finditer(rb"-?\d+", data[: 1 << 16])]
    if digits and luck.random() < 0.6:
        start, end = luck.choice(digits)
        return data[:start] + luck.choice((*TEXTS, str(luck.choice(NUMBERS)).encode())) + data[end:]
    at = luck.randrange(len(data) + 1)
    return data[:at] + luck.choice(TEXTS) + data[at:]


def program(data: bytes, luck: random.Random, _others: Sequence[bytes]) -> bytes:
    """Opcodes of a pickle among what is there."""
    at = luck.randrange(len(data) + 1)
    added = b"".join(luck.choice(PICKLED) for _ in range(luck.choice((1, 1, 2, 3, 8))))
    return data[:at] + added + data[at + luck.choice((0, 0, len(added), 1)) :]


KINDS: tuple[Damage, ...] = (flip, cut, grow, splice, swap, lie, write, program)


def damaged(data: bytes, luck: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """One to four kinds of damage; in half of all cases below the checksums, where there are any."""
    inside = _within(data, luck, others) if luck.random() < 0.6 else None
    if inside is not None:
        return inside
    for _ in range(luck.choice((1, 1, 2, 4))):
        data = luck.choice(KINDS)(data, luck, others)
    return data


def _some(luck: random.Random) -> int:
    return luck.choice((1, 1, 2, 3, 4, 8, 13, 64, 300, 5000))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


# Below checksums.


def _within(data: bytes, luck: random.Random, others: Sequence[bytes]) -> bytes | None:
    try:
        if data[:4] == b"PK\3\4":
            return _in_zip(data, luck, others)
        if data[:2] == b"\x1f\x8b":
            return gzip.compress(damaged(gzip.decompress(data), luck, ()), 1, mtime=0)
        if data[:8] == b"\x89HDF\r\n\x1a\n" and data[8] in (2, 3):
            return _in_hdf5(data, luck, others)
        if data[-8:] == (0xDB4775248B80FB57).to_bytes(8, "little"):
            return _in_table(data, luck)
    except (OSError, ValueError, LookupError, zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, ArithmeticError):
        pass  # it was damaged before
    return None


def _in_zip(data: bytes, luck: random.Random, others: Sequence[bytes]) -> bytes | None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()[:200]}
    # Most of the damage goes where the headers are: into what is not a storage.
    heads = [name for name in members if "/data/" not in name] or list(members)
    name = luck.choice(heads if luck.random() < 0.9 else list(members))
    members[name] = damaged(members[name], luck, [*members.values(), *others])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if luck.random() < 0.1 else zipfile.ZIP_STORED) as archive:
        for key, member in members.items():
            archive.writestr(zipfile.ZipInfo(key), member)
    return out.getvalue()


def _in_hdf5(data: bytes, luck: random.Random, others: Sequence[bytes]) -> bytes:
    for _ in range(luck.choice((1, 1, 2, 4))):
        data = luck.choice((flip, lie, cut, grow, splice, swap))(data, luck, others)
    return hdf5_mended(data)


def hdf5_mended(data: bytes) -> bytes:
    """An HDF5 file whose superblock and object headers have checksums that fit, where they are of versions that have some."""
    from gatewise.containers._hdf5_messages import checksum

    made, at = bytearray(data), 0
    if made[8:9] in (b"\2", b"\3") and len(made) > 48:
        made[44:48] = checksum(bytes(made[:44])).to_bytes(4, "little")
    while 0 <= (at := made.find(b"OHDR", at)) < len(made) - 5:
        flags = made[at + 5]
        start = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        end = start + width + int.from_bytes(made[start : start + width], "little")
        if end + 4 <= len(made):
            made[end : end + 4] = checksum(bytes(made[at:end])).to_bytes(4, "little")
        at += 4
    return bytes(made)


def _in_table(data: bytes, luck: random.Random) -> bytes:
    """The first block of a TensorFlow checkpoint's index, in its place and with a checksum that fits again."""
    from gatewise.containers._crc32c import crc32c, masked

    index_at, index_size = _handle(data, _handle(data, len(data) - 48)[2])[:2]
    if index_at < 6:
        return flip(data, luck, ())
    start, end = (0, index_at) if luck.random() < 0.8 else (index_at, index_at + index_size)
    block = bytearray(data[start : end - (5 if start == 0 else 0)])
    for _ in range(luck.choice((1, 2, 3))):
        block[luck.randrange(len(block))] = luck.choice((luck.randrange(256), 0, 255, 127, 128))
    kind = data[start + len(block) : start + len(block) + 1]
    check = masked(crc32c(bytes(block) + kind)).to_bytes(4, "little")
    return data[:start] + bytes(block) + kind + check + data[start + len(block) + 5 :]


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    values = []
    for _ in range(2):
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 63:
                break
        values.append(value)
    return values[0], values[1], at
