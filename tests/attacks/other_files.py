"""The other formats: TensorFlow's tables, msgpack, GGUF, XML, JSON, zarr and Zstandard, with counts and depths that lie.

Sources: LevelDB's doc/table_format.md, the snappy format description, the msgpack specification, ggml's gguf.md, XML 1.0 (the "billion
laughs" of 2002), the zarr specifications, RFC 8878.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

from bytes_of import varint
from museum import Attack

from gatewise.containers._crc32c import crc32c, masked
from gatewise.errors import ContainerError, GatewiseError

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


def _block(data: bytes, kind: int = 0, right: bool = True) -> bytes:
    check = masked(crc32c(data + bytes([kind])))
    return data + bytes([kind]) + (check if right else check ^ 1).to_bytes(4, "little")


def _entry(key: bytes, value: bytes, shared: int = 0) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def _table(
    data: bytes,
    index: bytes | None = None,
    at: int | None = None,
    kind: int = 0,
    right: bool = True,
    footer: bytes | None = None,
) -> bytes:
    """An index file of one data block; what points at it may lie."""
    body = _block(data, kind, right)
    pointed = index if index is not None else _entry(b"z", varint(at or 0) + varint(len(data)))
    whole = _block(pointed + bytes(4) + b"\1\0\0\0")
    end = footer if footer is not None else varint(0) + varint(0) + varint(len(body)) + varint(len(whole) - 5)
    return body + whole + end.ljust(40, b"\0") + MAGIC


def _restarts(data: bytes) -> bytes:
    return data + bytes(4) + b"\1\0\0\0"


HONEST = _restarts(_entry(b"", b"\x08\x01") + _entry(b"w", b"\x08\x01\x12\x04\x12\x02\x08\x04\x28\x10"))


def _index(data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model.index").write_bytes(data)
        (folder / "model.data-00000-of-00001").write_bytes(bytes(16))
        return folder / "model.index"

    return make


def _snappy(claimed: int, body: bytes) -> bytes:
    return varint(claimed) + body


LOOP = _entry(b"a", varint(0) + varint(len(HONEST))) + _entry(b"b", varint(0) + varint(len(HONEST)))
TABLES = {
    "a block with a wrong checksum": _table(HONEST, right=False),
    "a block that is pointed at twice": _table(HONEST, index=LOOP),
    "a block past the end": _table(HONEST, index=_entry(b"z", varint(1 << 40) + varint(16))),
    "a block of 2^63 bytes": _table(HONEST, index=_entry(b"z", varint(0) + varint(1 << 63))),
    "an index that is itself": _table(HONEST, footer=varint(0) + varint(0) + varint(0) + varint(len(HONEST))),
    "an index past the end": _table(HONEST, footer=varint(0) + varint(0) + varint(1 << 60) + varint(9)),
    "restart points without end": _table(HONEST[:-4] + b"\xff\xff\xff\xff"),
    "keys that share more than there is": _table(_restarts(_entry(b"a", b"", shared=1000))),
    "keys that are not sorted": _table(_restarts(_entry(b"b", b"") + _entry(b"a", b""))),
    "a value longer than the block": _table(_restarts(varint(0) + varint(1) + varint(1 << 30) + b"a")),
    "a snappy block that claims a gigabyte": _table(_snappy(1 << 30, b"\x00a"), kind=1),
    "a snappy bomb": _table(_snappy(64 << 20, b"\x00a" + b"\xfe\x01\x00" * (1 << 20)), kind=1),
    "a snappy copy before the beginning": _table(_snappy(64, b"\x00a\xfe\xff\xff"), kind=1),
    "a snappy literal of four gigabytes": _table(_snappy(64, b"\xfc\xff\xff\xff\xff"), kind=1),
    "a block of a type that there is not": _table(HONEST, kind=7),
    "nothing but a footer": bytes(40) + MAGIC,
}


def _gguf(tensors: int = 1, facts: int = 0, body: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, facts) + body


def _said(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def _gguf_tensor(*shape: int, offset: int = 0, axes: int | None = None, kind: int = 0) -> bytes:
    return (
        _said(b"w")
        + struct.pack("<I", len(shape) if axes is None else axes)
        + struct.pack(f"<{len(shape)}Q", *shape)
        + struct.pack("<IQ", kind, offset)
    )


GGUFS = {
    "2^63 tensors": _gguf(1 << 63),
    "2^63 facts": _gguf(0, 1 << 63),
    "a text of an exabyte": _gguf(0, 1, _said(b"a", 1 << 60)),
    "a list of an exabyte": _gguf(0, 1, _said(b"a") + struct.pack("<IIQ", 9, 0, 1 << 60)),
    "lists in lists in lists": _gguf(0, 1, _said(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 20_000),
    "four billion axes": _gguf(1, 0, _gguf_tensor(4, axes=0xFFFFFFFF)),
    "a shape that overflows": _gguf(1, 0, _gguf_tensor(1 << 62, 1 << 62) + bytes(64)),
    "a place past the end": _gguf(1, 0, _gguf_tensor(4, offset=1 << 60) + bytes(64)),
    "an offset that is odd": _gguf(1, 0, _gguf_tensor(4, offset=3) + bytes(64)),
    "a type that there is not": _gguf(1, 0, _gguf_tensor(4, kind=999) + bytes(64)),
    "a version to come": _gguf(version=99),
}
MSGPACKS = {
    "a hundred thousand lists deep": b"\x81\xa1a" + b"\x91" * 100_000 + b"\xc0",
    "a hundred thousand tables deep": b"\x81\xa1a" * 100_000 + b"\xc0",
    "a table of four billion": b"\xdf\xff\xff\xff\xff\xa1a\xc0",
    "a list of four billion": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "a text of four gigabytes": b"\x81\xdb\xff\xff\xff\xffa",
    "bytes of four gigabytes": b"\x81\xa1a\xc6\xff\xff\xff\xff",
    "an extension of four gigabytes": b"\x81\xa1a\xc9\xff\xff\xff\xff\x01",
    "an array that claims 2^60 elements": b"\x81\xa1a\xc7\x20\x01"
    b"\x93\x91\xcf" + struct.pack(">Q", 1 << 60) + b"\xa7float32\xc4\x04abcd" + bytes(6),
    "a code that is never used": b"\x81\xa1a\xc1",
    "a key that is a list": b"\x81\x91\x01\xc0",
    "thousands of empty tables": b"\xde\xff\xff" + b"".join(b"\xa4" + b"%04x" % n + b"\x80" for n in range(65_535)),
}
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 60))
    + "]>"
)
XMLS = {
    "a billion laughs": LAUGHS + '<net name="&a59;" version="11"><layers/><edges/></net>',
    "an entity of /etc/passwd": '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net name="&x;" version="11"><layers>&x;</layers></net>',
    "an entity of the network": '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><net version="11"/>',
    "a text of one entity, again and again": '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "' + "b" * 50_000 + '">]><net name="' + "&a;" * 50_000 + '" version="11"/>',
    "a hundred thousand elements deep": '<net version="11">' + "<layers>" * 100_000,
    "a hundred thousand attributes": '<net version="11" ' + " ".join(f'a{n}="b"' for n in range(50_000)) + "/>",
    "sizes that lie": '<net name="n" version="11"><layers><layer id="0" name="w" type="Const" version="opset1"><data element_type="f32" shape="99999999999,9999999999" offset="0" size="16"/><output><port id="0" precision="FP32"><dim>4</dim></port></output></layer></layers><edges/></net>',
    "edges in a circle": '<net name="n" version="11"><layers><layer id="0" name="a" type="Add" version="opset1"><input><port id="0"/></input><output><port id="1"/></output></layer></layers><edges>' + '<edge from-layer="0" from-port="1" to-layer="0" to-port="0"/>' * 1_000 + "</edges></net>",
}  # fmt: skip


def _xml(text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "model.xml").write_text(text, encoding="utf-8")
        (folder / "model.bin").write_bytes(bytes(64))
        return folder / "model.xml"

    return make


def _tfjs(weights: object, topology: object = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        said = {"format": "layers-model", "modelTopology": topology or {}, "weightsManifest": weights}
        (folder / "model.json").write_text(json.dumps(said), encoding="utf-8")
        (folder / "w.bin").write_bytes(bytes(16))
        return folder / "model.json"

    return make


def _shard(path: str, shape: tuple[int, ...] = (4,), **more: object) -> object:
    return [{"paths": [path], "weights": [{"name": "w", "shape": list(shape), "dtype": "float32", **more}]}]


TFJS = {
    "a shard at /etc/passwd": _shard("/etc/passwd"),
    "a shard that climbs": _shard("../../../../etc/passwd"),
    "a shard on the network": _shard("http://127.0.0.1:9/w.bin"),
    "a shape that overflows": _shard("w.bin", (1 << 62, 1 << 62)),
    "a shape of fewer than none": _shard("w.bin", (-4,)),
    "a scale that is infinite": _shard("w.bin", quantization={"dtype": "uint8", "scale": 1e308, "min": -1e308}),
    "a manifest that is a text": "evil",
    "a shard that is a table": [{"paths": [{"a": 1}], "weights": []}],
}


def _zarr(**changes: object) -> Callable[[Path], Path]:
    said = {
        "zarr_format": 2,
        "shape": [4],
        "chunks": [4],
        "dtype": "<f4",
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
    }

    def make(folder: Path) -> Path:
        root = folder / "checkpoint"
        (root / "w").mkdir(parents=True)
        (root / "_METADATA").write_text("{}", encoding="utf-8")
        (root / "w" / ".zarray").write_text(json.dumps(said | changes), encoding="utf-8")
        (root / "w" / "0").write_bytes(changes.get("raw", bytes(16)))  # type: ignore[arg-type]
        return root

    return make


ZARRS = {
    "a shape of a quintillion": {"shape": [1 << 60]},
    "chunks without number": {"shape": [1 << 34], "chunks": [1]},
    "a chunk of a terabyte": {"chunks": [1 << 38]},
    "chunks of nothing": {"chunks": [0]},
    "a thousand axes": {"shape": [1] * 1000, "chunks": [1] * 1000},
    "a fill value of ten thousand digits": {"fill_value": "9" * 4000},
    "a dtype of objects": {"dtype": "|O"},
    "a compressor that is code": {"compressor": {"id": "__import__('os')"}},
    "a separator that climbs": {"dimension_separator": "/../../../"},
    "filters that pickle": {"filters": [{"id": "pickle"}]},
}
ZSTD = b"\x28\xb5\x2f\xfd"
FRAMES = {
    "that is cut in its header": ZSTD + b"\x60\x20",
    "that never ends": ZSTD + b"\x20\x10" + b"\x02\x00\x00" * 10_000,
    "that claims 2^64 bytes": ZSTD + b"\xe0" + b"\xff" * 8 + b"\x01\x00\x00",
    "that repeats a byte two million times": ZSTD + b"\x20\x10" + (b"\x02\xff\xff" + b"a") * 200,
    "that skips without end": b"\x50\x2a\x4d\x18\xff\xff\xff\xff" + b"a" * 100,
}


def _packed(raw: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        root = _zarr(compressor={"id": "zstd", "level": 1})(folder)
        (root / "w" / "0").write_bytes(raw)
        return root

    return make


ATTACKS = (
    *(
        Attack(f"{what} in a checkpoint's index: refused", _index(data), (None, GatewiseError))
        for what, data in TABLES.items()
    ),
    *(Attack(f"{what} in a GGUF file: refused", data, (None, ContainerError)) for what, data in GGUFS.items()),
    *(Attack(f"{what} in a msgpack file: refused", data, ContainerError) for what, data in MSGPACKS.items()),
    *(
        Attack(f"{what} in an OpenVINO graph: refused", _xml(text), (None, GatewiseError))
        for what, text in XMLS.items()
    ),
    *(
        Attack(f"{what} in a TensorFlow.js model: refused", _tfjs(said), (None, GatewiseError))
        for what, said in TFJS.items()
    ),
    *(
        Attack(f"{what} in a zarr array: refused", _zarr(**changes), (None, GatewiseError))
        for what, changes in ZARRS.items()
    ),
    *(
        Attack(f"a Zstandard frame {what}: refused", _packed(raw), (None, GatewiseError))
        for what, raw in FRAMES.items()
    ),
)
