"""The bricks that hostile files are made of: opcodes, zip records, protobuf fields, tar headers.  Nothing here is gatewise's."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PROTO = b"\x80\x02"
FOUR_FLOATS = struct.pack("<4f", 1, 2, 3, 4)

# Pickles.


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def name(dotted: str) -> bytes:
    """GLOBAL, of ``os.system``; a colon separates module and name where the name has dots."""
    module, _, attribute = dotted.partition(":") if ":" in dotted else dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def called(dotted: str, *arguments: bytes) -> bytes:
    """REDUCE of a function over arguments that are opcodes themselves."""
    return name(dotted) + b"(" + b"".join(arguments) + b"tR"


def tensor(count: int = 4, shape: Sequence[int] = (2, 2), strides: Sequence[int] = (2, 1), offset: int = 0, key: str = "0",
           storage: str = "torch.FloatStorage", legacy: bool = False) -> bytes:  # fmt: skip
    """What torch pickles for a tensor."""
    reference = (
        b"(" + text("storage") + name(storage) + text(key) + text("cpu") + integer(count) + b"N" * legacy + b"tQ"
    )
    sizes, steps = (b"(" + b"".join(map(integer, each)) + b"t" for each in (shape, strides))
    return called(
        "torch._utils._rebuild_tensor_v2",
        reference,
        integer(offset),
        sizes,
        steps,
        b"\x89",
        called("collections.OrderedDict"),
    )


def state(**values: bytes) -> bytes:
    """A dict of names and opcodes."""
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def array(
    elements: bytes = FOUR_FLOATS, shape: Sequence[int] = (4,), descr: str = "f4", state_of_dtype: bytes = b""
) -> bytes:
    """What numpy pickles for an array."""
    dtype = called("numpy.dtype", text(descr), b"\x89\x88") + (
        state_of_dtype or b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    empty = called("numpy.core.multiarray._reconstruct", name("numpy.ndarray"), b"K\0\x85", b"C\x01b")
    sizes = b"(" + b"".join(map(integer, shape)) + b"t"
    return empty + b"(K\x01" + sizes + dtype + b"\x89" + b"B" + struct.pack("<I", len(elements)) + elements + b"tb"


def torch_zip(pickled: bytes, storages: Mapping[str, bytes] | None = None, **more: bytes) -> bytes:
    """torch.save's archive around any pickle."""
    members = {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}
    members |= {f"data/{key}": data for key, data in (storages or {"0": FOUR_FLOATS}).items()}
    return zipped({f"archive/{key}": data for key, data in (members | more).items()})


def torch_state(*beside: bytes) -> bytes:
    """An archive whose state dict has a tensor, and these beside it."""
    values = {f"evil{number}": each for number, each in enumerate(beside)}
    return torch_zip(PROTO + state(weight=tensor(), **values) + b".")


def torch_stream(pickled: bytes, keys: Sequence[str] = ("0",), storages: bytes | None = None) -> bytes:
    """torch.save before 1.6 around any pickle."""
    head = b"".join(PROTO + each + b"." for each in (
        integer(0x1950A86A20F9469CFC6C), integer(1001),
        state(protocol_version=integer(1001), little_endian=b"\x88", type_sizes=state(short=b"K\x02", int=b"K\x04", long=b"K\x04")),
    ))  # fmt: skip
    listed = PROTO + b"](" + b"".join(map(text, keys)) + b"e."
    return head + pickled + listed + (struct.pack("<q", 4) + FOUR_FLOATS if storages is None else storages)


# Zip archives.


def zipped(members: Mapping[str, bytes], deflated: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for key, data in members.items():
            archive.writestr(zipfile.ZipInfo(key), data, zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED)
    return out.getvalue()


def packed_zeros(size: int) -> bytes:
    """Whole megabytes of zeros as deflate packs them: one megabyte's blocks, which know of none before, again and again."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    return megabyte * (size >> 20) + engine.flush()


class Entry:
    """One member of an archive that is written by hand, each field as a liar wants it."""

    def __init__(self, key: str, data: bytes, **lies: int | bytes | str):
        self.key, self.data = key.encode(), data
        self.lies: dict[str, int | bytes | str] = lies

    def _field(self, key: str, honest: int) -> int:
        found = self.lies.get(key, honest)
        assert isinstance(found, int)
        return found

    def _bytes(self, key: str, honest: bytes) -> bytes:
        found = self.lies.get(key, honest)
        return found.encode() if isinstance(found, str) else bytes(found) if not isinstance(found, int) else honest

    def local(self) -> bytes:
        """Its own header, and its bytes."""
        own = self._bytes("local_name", self.key)
        head = struct.pack(
            "<4s5H3I2H", b"PK\3\4", 20, self._field("local_flags", self._field("flags", 0)), self._field("method", 0), 0, 33,
            self._field("crc", zlib.crc32(self.data)), self._field("packed", len(self.data)), self._field("size", len(self.data)),
            len(own), 0,
        )  # fmt: skip
        return head + own + self.data

    def central(self, at: int) -> bytes:
        """Its line in the directory."""
        extra = self._bytes("extra", b"")
        return struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, self._field("flags", 0), self._field("method", 0), 0, 33,
            self._field("crc", zlib.crc32(self.data)), self._field("packed", len(self.data)), self._field("size", len(self.data)),
            len(self.key), len(extra), 0, 0, 0, self._field("external", 0), self._field("at", at),
        ) + self.key + extra  # fmt: skip


def zip_of(entries: Sequence[Entry], count: int | None = None, start: int | None = None, size: int | None = None, tail: bytes = b"",
           between: bytes = b"") -> bytes:  # fmt: skip
    """An archive by hand; the end record may lie."""
    body, directory = b"", b""
    for each in entries:
        directory += each.central(len(body))
        body += each.local()
    at = len(body) if start is None else start
    number = len(entries) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, number, number, len(directory) if size is None else size, at, 0)
    return body + directory + between + end + tail


def torch_entries(*more: Entry, pickled: bytes | None = None, **lies: int | bytes | str) -> list[Entry]:
    """The members of an honest state dict; the lies are told of its storage."""
    pickled = PROTO + state(weight=tensor()) + b"." if pickled is None else pickled
    return [
        Entry("archive/data.pkl", pickled), Entry("archive/version", b"3\n"), Entry("archive/data/0", FOUR_FLOATS, **lies), *more,
    ]  # fmt: skip


# Protobuf.


def varint(value: int) -> bytes:
    value %= 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


# Files.


def files(opened: str, **contents: bytes) -> Callable[[Path], Path]:
    """Several files in a folder, by their names with ``__`` for the dot; ``opened`` is the one to open."""

    def make(folder: Path) -> Path:
        for key, data in contents.items():
            (folder / key.replace("__", ".")).write_bytes(data)
        return folder / opened

    return make


# Flatbuffers: each table once, and pointed at as often as it is named.


class FlatTable:
    """Fields by number: an int (int32), ("b", int) (int8), a text, ("i", numbers), a table, or a list of tables."""

    def __init__(self, fields: Mapping[int, object]):
        self.fields = fields


def flatbuffer(root: FlatTable, magic: bytes) -> bytes:
    """The bytes; what lies behind is pointed at with unsigned offsets, so every table is written before its parts."""
    out = bytearray(struct.pack("<I4s", 8, magic))
    places: dict[int, int] = {}
    waiting: list[tuple[int, object]] = [(0, root)]
    while waiting:
        at, thing = waiting.pop(0)
        if id(thing) not in places:
            while len(out) % 4:
                out.append(0)
            places[id(thing)] = len(out)
            waiting += _flat(out, thing)
        struct.pack_into("<I", out, at, places[id(thing)] - at)
    return bytes(out)


def _flat(out: bytearray, thing: object) -> list[tuple[int, object]]:
    """One thing, written at the end; what it points at, and where the offsets to that belong."""
    if isinstance(thing, str):
        out += struct.pack("<I", len(thing)) + thing.encode() + b"\0"
        return []
    if isinstance(thing, tuple):
        out += struct.pack(f"<I{len(thing[1])}i", len(thing[1]), *thing[1])
        return []
    if isinstance(thing, list):
        start = len(out) + 4
        out += struct.pack("<I", len(thing)) + bytes(4 * len(thing))
        return [(start + 4 * index, each) for index, each in enumerate(thing)]
    assert isinstance(thing, FlatTable)
    count = max(thing.fields, default=-1) + 1
    vtable = struct.pack(
        f"<{2 + count}H", 4 + 2 * count, 4 + 4 * count, *(4 + 4 * n if n in thing.fields else 0 for n in range(count))
    )
    table = len(out)
    pointed: list[tuple[int, object]] = []
    body = bytearray(4 * count)
    for number, value in thing.fields.items():
        if isinstance(value, int):
            struct.pack_into("<i", body, 4 * number, value)
        elif isinstance(value, tuple) and value[0] == "b":
            struct.pack_into("<b", body, 4 * number, value[1])
        else:
            pointed.append((table + 4 + 4 * number, value))
    out += struct.pack("<i", -(4 + len(body))) + body + vtable
    return pointed
