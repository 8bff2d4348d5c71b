"""CRC-32C (Castagnoli), as LevelDB tables and TFRecords carry it; fast without a line of C.

A checksum is the remainder of a polynomial over GF(2).  Long messages are first folded: the upper half times x^n is
replaced by its product with the 32 bits of x^n mod P, which is a few shifts and exclusive ors of Python's large
integers, and each fold halves the message.  What is left goes through the usual table, byte by byte.
Source: RFC 3720, appendix B.4 (the polynomial and its test vectors); LevelDB doc/log_format and util/crc32c.h (the mask).
"""

from __future__ import annotations

import functools

_POLYNOMIAL = 0x82F63B78  # x^32 is implied; bit 31 is x^0, as everywhere below
_SHORT = 512  # bits that the table takes


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of all of ``data``."""
    if len(data) < 4:
        return _bytewise(bytes(data), 0xFFFFFFFF) ^ 0xFFFFFFFF
    # Bit 0 is the highest power.  Starting with all ones is flipping the first 32 bits.
    message, bits = int.from_bytes(data, "little") ^ 0xFFFFFFFF, 8 * len(data)
    while bits > _SHORT:
        power = (bits - 1).bit_length() - 1  # the lower part keeps 2^power bits, at least half of them all
        kept = 1 << power
        high = bits - kept
        product = _product(message & ((1 << high) - 1), _power_of_x(power))
        surplus = high + 31 - kept  # bits by which the product is longer than the part it is added to
        message >>= high
        message = message ^ (product << -surplus) if surplus < 0 else (message << surplus) ^ product
        bits = kept + max(surplus, 0)
    padding = -bits % 8  # zeros in front change no remainder
    return _bytewise((message << padding).to_bytes((bits + padding) // 8, "little"), 0) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """LevelDB's mask: a checksum that stands in the data which another one covers would otherwise do odd things."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _bytewise(data: bytes, state: int) -> int:
    table = _table()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state


@functools.cache
def _table() -> tuple[int, ...]:
    rows = []
    for row in range(256):
        for _ in range(8):
            row = row >> 1 ^ (_POLYNOMIAL if row & 1 else 0)
        rows.append(row)
    return tuple(rows)


def _product(left: int, right: int) -> int:
    """Carry-less: the sum of ``left`` shifted to every bit of ``right``."""
    total, shift = 0, 0
    while right:
        if right & 1:
            total ^= left << shift
        right >>= 1
        shift += 1
    return total


@functools.cache
def _power_of_x(power: int) -> int:
    """x^(2^power) mod P."""
    if power < 5:
        return 1 << (31 - (1 << power))
    half = _power_of_x(power - 1)
    square = _product(half, half)  # 63 bits; bit 62 is x^0
    return _bytewise_reduced(square)


def _bytewise_reduced(product: int) -> int:
    """A polynomial of 63 bits mod P: its upper 31 bits are worked off one by one."""
    for _ in range(31):
        product = product >> 1 ^ (_POLYNOMIAL if product & 1 else 0)
    return product
