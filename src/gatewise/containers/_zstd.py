"""Zstandard, decompressed: by Python's own module (3.14), by the package ``zstandard`` where it is installed, else here.

Source: RFC 8878.  What is written here is slow, about a megabyte a second, and reads what every compressor makes; what a
frame announces is held against what may be opened.  Not known here: dictionaries.  Checksums are not verified.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

from ..errors import BrokenFile, LimitExceeded

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = 0x184D2A50
_LARGEST_BLOCK = 1 << 17


def decompress(data: bytes | memoryview, most: int, where: str) -> bytes:
    """The plain bytes of every frame.  Raises BrokenFile, LimitExceeded (more than ``most`` bytes)."""
    raw = bytes(data)
    try:
        plain = _by_library(raw, most)
        if plain is None:
            plain = b"".join(_frames(raw, most, where))
    except (IndexError, ValueError, ArithmeticError, LookupError) as error:
        raise _broken(f"cannot be decompressed ({error})", where) from None
    if len(plain) > most:
        raise LimitExceeded(f"opens to more than the {most:,} bytes that were announced.", where=where)
    return plain


def _by_library(raw: bytes, most: int) -> bytes | None:
    if sys.version_info >= (3, 14):
        engine = importlib.import_module("compression.zstd").ZstdDecompressor()
        plain: bytes = engine.decompress(raw, most + 1)
        return plain
    try:
        library = importlib.import_module("zstandard")
    except ImportError:
        return None
    try:
        with library.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as stream:
            found: bytes = stream.read(most + 1)
    except library.ZstdError as error:
        raise ValueError(str(error)) from None
    return found


def _broken(message: str, where: str) -> BrokenFile:
    return BrokenFile(f"{message}.", where=where, next="The file is cut or damaged; fetch it again.")


# Frames and blocks.


def _frames(raw: bytes, most: int, where: str) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        magic = int.from_bytes(raw[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == _SKIPPABLE:
            at += 8 + int.from_bytes(raw[at + 4 : at + 8], "little")
            continue
        if raw[at : at + 4] != MAGIC:
            raise _broken("is no Zstandard frame", where)
        plain, at = _frame(raw, at + 4, most, where)
        most -= len(plain)
        yield plain


def _frame(raw: bytes, at: int, most: int, where: str) -> tuple[bytes, int]:
    descriptor = raw[at]
    single, sum_follows = descriptor >> 5 & 1, descriptor >> 2 & 1
    at += 1 if single else 2  # the window does not matter: everything stays in memory
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    if int.from_bytes(raw[at : at + dictionary], "little"):
        raise _broken("was compressed with a dictionary that is not in the file", where)
    at += dictionary + ((1 if single else 0), 2, 4, 8)[descriptor >> 6]
    out, state = bytearray(), _State()
    last = False
    while not last:
        head = int.from_bytes(raw[at : at + 3], "little")
        last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        at += 3
        packed = raw[at : at + (1 if kind == 1 else size)]
        if kind == 3 or at > len(raw) or len(packed) < (1 if kind == 1 else size):
            raise _broken("ends inside a block", where)
        at += len(packed)
        if kind == 0:
            out += packed
        elif kind == 1:
            out += packed * size
        else:
            state.block(packed, out)
        if len(out) > most:
            raise LimitExceeded(f"opens to more than the {most:,} bytes that were announced.", where=where)
    return bytes(out), at + 4 * sum_follows


class _State:
    """What one block leaves to the next: the Huffman table, the three sequence tables, the last offsets."""

    def __init__(self) -> None:
        self.huffman: tuple[list[tuple[int, int]], int] | None = None
        self.tables: dict[str, _Table] = {}
        self.offsets = [1, 4, 8]

    def block(self, raw: bytes, out: bytearray) -> None:
        literals, at = self._literals(raw)
        count, at = _sequence_count(raw, at)
        used, most = 0, len(out) + _LARGEST_BLOCK
        if count:
            for length, offset, match in self._sequences(raw, at, count):
                out += literals[used : used + length]
                used += length
                _copy(out, offset, match)
                if len(out) > most:  # a few bytes can ask for gigabytes
                    raise ValueError("a block opens to more than blocks may")
        out += literals[used:]

    # Literals.

    def _literals(self, raw: bytes) -> tuple[bytes, int]:
        kind, form = raw[0] & 3, raw[0] >> 2 & 3
        if kind < 2:
            size = (1, 2, 1, 3)[form]
            regenerated = int.from_bytes(raw[:size], "little") >> (3 if size == 1 else 4)
            if kind == 0:
                return raw[size : size + regenerated], size + regenerated
            return raw[size : size + 1] * regenerated, size + 1
        size, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        head = int.from_bytes(raw[:size], "little") >> 4
        regenerated, packed = head & (1 << bits) - 1, head >> bits & (1 << bits) - 1
        body = raw[size : size + packed]
        if regenerated > _LARGEST_BLOCK or len(body) < packed:
            raise ValueError("its literals do not fit")
        if kind == 2:
            self.huffman, used = _huffman(body)
            body = body[used:]
        return self._huffman_streams(body, regenerated, 1 if form == 0 else 4), size + packed

    def _huffman_streams(self, body: bytes, regenerated: int, streams: int) -> bytes:
        if streams == 1:
            return self._huffman_stream(body, regenerated)
        sizes = [int.from_bytes(body[at : at + 2], "little") for at in (0, 2, 4)]
        each, at, out = (regenerated + 3) // 4, 6, b""
        for index in range(4):
            end = at + sizes[index] if index < 3 else len(body)
            out += self._huffman_stream(body[at:end], each if index < 3 else regenerated - 3 * each)
            at = end
        return out

    def _huffman_stream(self, body: bytes, count: int) -> bytes:
        if self.huffman is None:
            raise ValueError("it repeats a table that was never given")
        table, width = self.huffman
        bits = _Bits(body)
        out = bytearray(count)
        for index in range(count):
            symbol, used = table[bits.peek(width)]
            out[index] = symbol
            bits.left -= used
        return bytes(out)

    # Sequences.

    def _sequences(self, raw: bytes, at: int, count: int) -> Iterator[tuple[int, int, int]]:
        """(literals to copy, how far back, how many) of each sequence."""
        modes = raw[at]
        at += 1
        for word, shift in (("length", 6), ("offset", 4), ("match", 2)):
            at = self._table(word, modes >> shift & 3, raw, at)
        lengths, offsets, matches = (self.tables[word] for word in ("length", "offset", "match"))
        bits = _Bits(raw[at:])
        length_at, offset_at, match_at = (bits.read(table.log) for table in (lengths, offsets, matches))
        for number in range(count):
            code = offsets.symbols[offset_at]
            value = (1 << code) + bits.read(code)
            base, extra = _MATCHES[matches.symbols[match_at]]
            match = base + bits.read(extra)
            base, extra = _LENGTHS[lengths.symbols[length_at]]
            length = base + bits.read(extra)
            if number + 1 < count:
                length_at = lengths.next(length_at, bits)
                match_at = matches.next(match_at, bits)
                offset_at = offsets.next(offset_at, bits)
            yield length, self._offset(value, length), match

    def _offset(self, value: int, length: int) -> int:
        """The offset that a value means, and what the last three are then (RFC 8878, 3.1.1.5)."""
        if value > 3:
            self.offsets = [value - 3, *self.offsets[:2]]
            return self.offsets[0]
        place = value - 1 + (length == 0)
        chosen = self.offsets[0] - 1 if place == 3 else self.offsets[place]
        if place:
            kept = [offset for index, offset in enumerate(self.offsets) if index != min(place, 2)]
            self.offsets = [chosen, *kept]
        return chosen

    def _table(self, word: str, mode: int, raw: bytes, at: int) -> int:
        if mode == 0:
            self.tables[word] = _Table(*_PREDEFINED[word])
        elif mode == 1:
            self.tables[word] = _Table.of_one(raw[at])
            at += 1
        elif mode == 2:
            probabilities, log, used = _probabilities(raw[at:], _MOST_LOG[word])
            self.tables[word] = _Table(probabilities, log)
            at += used
        elif word not in self.tables:
            raise ValueError("it repeats a table that was never given")
        return at


def _sequence_count(raw: bytes, at: int) -> tuple[int, int]:
    first = raw[at]
    if first < 128:
        return first, at + 1
    if first < 255:
        return (first - 128 << 8) + raw[at + 1], at + 2
    return raw[at + 1] + (raw[at + 2] << 8) + 0x7F00, at + 3


def _copy(out: bytearray, offset: int, count: int) -> None:
    start = len(out) - offset
    if offset <= 0 or start < 0:
        raise ValueError("a match begins before the beginning")
    if count <= offset:
        out += out[start : start + count]
        return
    piece = bytes(out[start:])
    out += (piece * (count // offset + 1))[:count]


class _Bits:
    """A stream that is read from its end: the highest set bit of the last byte only marks where it begins."""

    __slots__ = ("data", "left")

    def __init__(self, data: bytes):
        if not data or not data[-1]:
            raise ValueError("a stream of bits has no beginning")
        self.data = data
        self.left = 8 * len(data) - 9 + data[-1].bit_length()

    def read(self, count: int) -> int:
        value = self.peek(count)
        self.left -= count
        return value

    def peek(self, count: int) -> int:
        """The next bits; beyond the end there are zeros."""
        low = self.left - count
        if low >= 0:
            at = low >> 3
            return int.from_bytes(self.data[at : at + 8], "little") >> (low & 7) & (1 << count) - 1
        if self.left < -64:
            raise ValueError("a stream of bits is read past its end")
        kept = max(self.left, 0)
        value = int.from_bytes(self.data[:8], "little") & (1 << kept) - 1
        return value << (count - kept) & (1 << count) - 1


# Finite state entropy.


class _Table:
    """A decoding table: for each state its symbol, the bits to read and where they lead."""

    def __init__(self, probabilities: tuple[int, ...] | list[int], log: int):
        size = 1 << log
        symbols, top = [0] * size, size - 1
        for symbol, probability in enumerate(probabilities):
            if probability == -1:
                symbols[top] = symbol
                top -= 1
        place, step = 0, (size >> 1) + (size >> 3) + 3
        for symbol, probability in enumerate(probabilities):
            for _ in range(max(probability, 0)):
                symbols[place] = symbol
                place = place + step & size - 1
                while place > top:
                    place = place + step & size - 1
        following = [abs(probability) for probability in probabilities]
        self.log, self.symbols = log, symbols
        self.bits, self.base = [0] * size, [0] * size
        for state, symbol in enumerate(symbols):
            count = following[symbol]
            following[symbol] += 1
            self.bits[state] = log - count.bit_length() + 1
            self.base[state] = (count << self.bits[state]) - size

    @classmethod
    def of_one(cls, symbol: int) -> _Table:
        made = cls.__new__(cls)
        made.log, made.symbols, made.bits, made.base = 0, [symbol], [0], [0]
        return made

    def next(self, state: int, bits: _Bits) -> int:
        return self.base[state] + bits.read(self.bits[state])


def _probabilities(raw: bytes, most: int) -> tuple[list[int], int, int]:
    """(probabilities, accuracy, bytes used) of a table's description (RFC 8878, 4.1.1)."""
    stream, at = int.from_bytes(raw[:512], "little"), 4
    log = (stream & 15) + 5
    if log > most:
        raise ValueError(f"a table of accuracy {log}, {most} allowed")
    left, found = (1 << log) + 1, []
    while left > 1:
        width = left.bit_length()
        value = stream >> at & (1 << width) - 1
        short = (1 << width) - 1 - left
        if value & (1 << width - 1) - 1 < short:
            value &= (1 << width - 1) - 1
            at += width - 1
        else:
            value -= short if value >= 1 << width - 1 else 0
            at += width
        probability = value - 1
        left -= abs(probability)
        found.append(probability)
        while probability == 0:
            repeats = stream >> at & 3
            at += 2
            found += [0] * repeats
            probability = -2 if repeats < 3 else 0
        if len(found) > 256 or at > 8 * len(raw) + 16:
            raise ValueError("a table's description does not end")
    if left != 1:
        raise ValueError("a table's probabilities do not come out even")
    return found, log, (at + 7) // 8


# Huffman.


def _huffman(raw: bytes) -> tuple[tuple[list[tuple[int, int]], int], int]:
    """((table, its width), bytes used)."""
    head = raw[0]
    if head >= 128:
        count = head - 127
        weights = [raw[1 + index // 2] >> (0 if index % 2 else 4) & 15 for index in range(count)]
        used = 1 + (count + 1) // 2
    else:
        weights, used = _weights(raw[1 : 1 + head]), 1 + head
    total = sum(1 << weight - 1 for weight in weights if weight)
    width = total.bit_length()
    rest = (1 << width) - total
    if not total or rest & rest - 1 or width > 11:
        raise ValueError("its Huffman weights do not come out even")
    weights.append(rest.bit_length())
    table: list[tuple[int, int]] = []
    for weight in range(1, width + 1):
        for symbol, own in enumerate(weights):
            if own == weight:
                table += [(symbol, width + 1 - weight)] * (1 << weight - 1)
    if len(table) != 1 << width:
        raise ValueError("its Huffman weights do not come out even")
    return (table, width), used


def _weights(raw: bytes) -> list[int]:
    """Weights that are themselves compressed, by two states in turn."""
    probabilities, log, used = _probabilities(raw, 6)
    table, bits = _Table(probabilities, log), _Bits(raw[used:])
    states = [bits.read(log), bits.read(log)]
    found: list[int] = []
    while len(found) < 256:
        state = states[0]
        found.append(table.symbols[state])
        if bits.left < table.bits[state]:
            found.append(table.symbols[states[1]])
            return found
        states = [states[1], table.next(state, bits)]
    raise ValueError("its Huffman weights do not end")


_PREDEFINED: dict[str, tuple[tuple[int, ...], int]] = {
    "length": ((4, 3, *(2,) * 11, 1, 1, 1, *(2,) * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1), 6),
    "match": ((1, 4, 3, 2, 2, 2, 2, 2, 2, *(1,) * 37, *(-1,) * 7), 6),
    "offset": ((1, 1, 1, 1, 1, 1, 2, 2, 2, *(1,) * 15, *(-1,) * 5), 5),
}
_MOST_LOG = {"length": 9, "match": 9, "offset": 8}


def _codes(plain: int, first: int, extra: tuple[int, ...]) -> list[tuple[int, int]]:
    """(baseline, extra bits) of each code: ``plain`` codes mean themselves (from ``first``), the others ranges."""
    found, base = [(first + code, 0) for code in range(plain)], first + plain
    for bits in extra:
        found.append((base, bits))
        base += 1 << bits
    return found


_LENGTHS = _codes(16, 0, (1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
_MATCHES = _codes(32, 3, (1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
