"""safetensors files that lie.  Source: the format's README ("Format", "Benefits"), whose promises these try."""

from __future__ import annotations

import json
import struct
from typing import Any

from museum import Attack

from gatewise.errors import BrokenFile, ContainerError


def _file(header: Any, body: bytes = bytes(16), length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def _one(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changes}


REFUSED = {
    "tensors that overlap": _file(_one() | {"v": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
    "tensors that overlap in part": _file(
        _one() | {"v": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}}, bytes(24)
    ),
    "a hole between tensors": _file(
        _one() | {"v": {"dtype": "F32", "shape": [1], "data_offsets": [20, 24]}}, bytes(24)
    ),
    "bytes behind the last tensor": _file(_one(), bytes(64)),
    "a tensor past the end": _file(_one(data_offsets=[0, 16]), bytes(8)),
    "a tensor that ends before it begins": _file(_one(data_offsets=[16, 0])),
    "a tensor before the beginning": _file(_one(data_offsets=[-16, 0])),
    "offsets of 2^64": _file(_one(data_offsets=[1 << 64, (1 << 64) + 16])),
    "offsets of a thousand digits": _file(b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,' + b"9" * 1000 + b"]}}"),
    "offsets of ten thousand digits": _file(
        b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,' + b"9" * 10_000 + b"]}}"
    ),
    "offsets that are fractions": _file(_one(data_offsets=[0.0, 16.0])),
    "offsets that are texts": _file(_one(data_offsets=["0", "16"])),
    "offsets that are truths": _file(_one(data_offsets=[False, 16])),
    "three offsets": _file(_one(data_offsets=[0, 8, 16])),
    "a shape of another size": _file(_one(shape=[5])),
    "a shape that overflows to the right size": _file(_one(shape=[1 << 62, 4, 4])),
    "a shape of fewer than none": _file(_one(shape=[-4])),
    "a shape that is a text": _file(_one(shape="4")),
    "a shape of a million axes": _file(
        b'{"w":{"dtype":"F32","shape":[' + b"1," * 1_000_000 + b'4],"data_offsets":[0,16]}}'
    ),
    "a dtype that there is not": _file(_one(dtype="F33")),
    "a dtype that is a list": _file(_one(dtype=["F32"])),
    "a dtype that is code": _file(_one(dtype="__import__('os').system('x')")),
    "a tensor that is a number": _file({"w": 4}),
    "a header that is a list": _file([1, 2]),
    "a header that is no JSON": _file(b"{" + b"\xff" * 40),
    "a header of a hundred thousand brackets": _file(b'{"w":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a header of a hundred thousand objects": _file(b'{"w":' * 100_000 + b"1" + b"}" * 100_000),
    "a header of 2^64 bytes": _file(_one(), length=(1 << 64) - 1),
    "a header of a terabyte": _file(_one(), length=1 << 40),
    "a header longer than the file": _file(_one(), length=10_000),
    "a header that is cut": _file(_one())[:20],
    "a name that is given twice": _file(
        b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    ),
    "a key of a tensor that is given twice": _file(
        b'{"w":{"dtype":"F32","dtype":"F64","shape":[4],"data_offsets":[0,16]}}'
    ),
    "metadata that is no table": _file({"__metadata__": [1]} | _one()),
    "metadata of tables": _file({"__metadata__": {"a": {"b": "c"}}} | _one()),
    "numbers that are none": _file(b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}'),
    "an infinite shape": _file(b'{"w":{"dtype":"F32","shape":[1e999],"data_offsets":[0,16]}}'),
    "a tensor without a shape": _file({"w": {"dtype": "F32", "data_offsets": [0, 16]}}),
    "a byte order mark": _file(b"\xef\xbb\xbf" + json.dumps(_one()).encode()),
}
OPENS = {
    "no tensors": _file({}, b""),
    "a tensor of no elements of 2^62 rows": _file(_one(shape=[1 << 62, 0], data_offsets=[0, 0]), b""),
    "a name with a terminal's escapes": _file({"\x1b[2J\x1b]0;evil\x07": _one()["w"]}),
    "a name of a megabyte": _file({"a." * 500_000: _one()["w"]}),
    "a name of a megabyte of gates": _file({"weight_ih_l" * 90_000: _one()["w"]}),
    "a name that is half of a character": _file(b'{"\\ud800":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'),
    "names that climb": _file({"../../etc/passwd": _one()["w"]}),
    "ten thousand tensors of nothing": _file(
        {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(10_000)}, b""
    ),
    "a thousand tensors that look like layers": _file(
        {
            f"l{n}.weight_{k}_l0": {"dtype": "F32", "shape": [0, 0], "data_offsets": [0, 0]}
            for n in range(500)
            for k in ("ih", "hh")
        },
        b"",
    ),
    "layers of numbers up to a billion": _file(
        {f"rnn.weight_ih_l{10**9 + n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(500)}, b""
    ),
    "a layer of a number of four thousand digits": _file({"rnn.weight_ih_l" + "9" * 4000: _one()["w"]}),
    "a layer of a number of ten thousand digits": _file({"rnn.weight_ih_l" + "9" * 10_000: _one()["w"]}),
}

ATTACKS = (
    *(Attack(f"{what}: refused", data, ContainerError) for what, data in REFUSED.items()),
    *(Attack(f"{what}: nothing comes of it", data, (None, ContainerError)) for what, data in OPENS.items()),
    Attack("the place of an overlap is said", REFUSED["tensors that overlap"], BrokenFile, "w"),
)
