"""Numbers, names and places that lie, in the formats that have no file of their own here: one table for each.

Sources: each format's own description, named in its container; CVE-2022-23566 and its kin (TFLite buffers out of bounds).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bytes_of import PROTO, FlatTable, called, field, files, flatbuffer, name, state, tensor, text, varint, zipped
from floods import (
    C_HEADER,
    MATRIX,
    _entry,
    _function,
    _mapping,
    _mxnet,
    _mxnet_graph,
    _ncnn,
    _network,
    _openvino,
    _tflite,
    _words,
)
from museum import Attack, Made

from gatewise.errors import ContainerError, GatewiseError

EITHER = (None, GatewiseError)
HUGE = (1 << 64) - 1


# TFLite.


def _flat(*fields: bytes, root: int = 8) -> bytes:
    """A flatbuffer by hand."""
    return struct.pack("<I4s", root, b"TFL3") + b"".join(fields)


def _one_tensor(**lies: Any) -> bytes:
    """A model with one int8 constant, a DEQUANTIZE of it and an LSTM that is given that."""
    scale = lies.get("scale", (0.5,))
    how = FlatTable(
        {2: ("i", tuple(struct.unpack("<i", struct.pack("<f", each))[0] for each in scale)), 6: lies.get("axis", 0)}
    )
    shape = lies.get("shape", (4,))
    stored = FlatTable({0: ("i", shape), 1: ("b", 9), 2: lies.get("buffer", 1), 3: "w", 4: how})
    graph = FlatTable({
        0: [stored, FlatTable({0: ("i", shape), 3: "plain"}), FlatTable({3: "y"})],
        3: [FlatTable({0: 1, 1: ("i", (0,)), 2: ("i", (1,))}), FlatTable({0: lies.get("code", 0), 1: ("i", lies.get("inputs", (0, 1, 1, 1, 1))), 2: ("i", (2,))})],
    })  # fmt: skip
    model = FlatTable({
        0: 3, 1: [FlatTable({0: ("b", 44), 3: 44}), FlatTable({0: ("b", 6), 3: 6})], 2: [graph],
        4: [FlatTable({}), FlatTable({0: "a" * lies.get("bytes", 4)})],
    })  # fmt: skip
    return flatbuffer(model, b"TFL3")


ITSELF = struct.pack("<i", -8) + struct.pack("<I", 0) + struct.pack("<4H", 10, 8, 0, 0) + struct.pack("<H", 4)
TFLITE: dict[str, Made] = {
    "a root past the end": _flat(root=1 << 31),
    "a root of all bits": _flat(root=0xFFFFFFFF),
    "a table whose fields lie before the file": _flat(struct.pack("<i", 1 << 30)),
    "a table whose fields lie behind the file": _flat(struct.pack("<i", -(1 << 30))),
    "a list of graphs that is the table itself": _flat(ITSELF),
    "a list of four billion": _flat(
        struct.pack("<i", -8), struct.pack("<I", 14), struct.pack("<5H", 10, 8, 0, 0, 4), struct.pack("<I", 0xFFFFFFFF)
    ),
    "scales that make a matrix of a vector": _one_tensor(shape=(1, 50_000), bytes=50_000, scale=(1.0,) * 50_000),
    "more scales than rows": _one_tensor(scale=(1.0,) * 50_000),
    "an axis that there is not": _one_tensor(scale=(1.0,) * 4, axis=2**31 - 1),
    "an axis below zero": _one_tensor(scale=(1.0,) * 4, axis=-(2**31)),
    "a shape that overflows": _one_tensor(shape=(2**31 - 1,) * 8),
    "a shape of fewer than none": _one_tensor(shape=(-4,)),
    "a thousand axes": _one_tensor(shape=(1,) * 1_000),
    "a buffer that there is not": _one_tensor(buffer=2**31 - 1),
    "an operator of a code that there is not": _one_tensor(code=2**31 - 1),
    "an operator of a tensor that there is not": _one_tensor(inputs=(0, 99, 1, 1, 1)),
    "an operator without inputs": _one_tensor(inputs=()),
    "a graph that gives itself its input": _tflite(
        [
            FlatTable(
                {0: [FlatTable({3: "t"})], 3: [FlatTable({0: at, 1: ("i", (0,)), 2: ("i", (0,))}) for at in (0, 1)]}
            )
        ]
    ),
}


# Core ML.


def _coreml(network: bytes) -> bytes:
    return field(1, 4) + field(2, b"") + field(500, network)


def _nested(number: int, depth: int, inner: bytes = b"", wrap: Callable[[bytes], bytes] = lambda inner: inner) -> bytes:
    for _ in range(depth):
        inner = field(number, wrap(inner))
    return inner


def _lstm(units: int, features: int, matrix: bytes = bytes(16)) -> bytes:
    return _coreml(
        field(
            1, field(1, "l") + field(420, field(1, features) + field(2, units) + field(20, field(1, field(1, matrix))))
        )
    )


def _program(file: str, offset: int = 64, size: int = 4) -> bytes:
    kind = field(2, field(1, field(1, 11) + field(3, field(1, field(1, size)))))
    constant = (
        field(1, "const")
        + field(3, field(1, "w"))
        + field(5, field(1, "val") + field(2, kind + field(5, field(1, file) + field(2, offset))))
    )
    blocks = field(3, field(1, "b") + field(2, field(3, constant)))
    return field(1, 8) + field(2, b"") + field(502, field(2, field(1, "main") + field(2, blocks)))


def _package(model: bytes, weights: bytes = b"", link: str = "") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "m.mlpackage" / "Data" / "com.apple.CoreML"
        (place / "weights").mkdir(parents=True)
        (place / "model.mlmodel").write_bytes(model)
        if link:
            (place / "weights" / "weight.bin").symlink_to(link)
        else:
            (place / "weights" / "weight.bin").write_bytes(weights)
        return folder / "m.mlpackage"

    return make


def _blob(size: int = 16, start: int = 128, sentinel: int = 0xDEADBEEF) -> bytes:
    return bytes(64) + struct.pack("<IIQQ", sentinel, 2, size, start) + bytes(40) + bytes(16)


BESIDE = "@model_path/weights/weight.bin"
COREML: dict[str, Made] = {
    "sizes that overflow": _lstm(1 << 62, 1 << 62),
    "sizes that overflow to the right size": _lstm(1 << 32, (1 << 32) + 1),
    "sizes of none": _lstm(0, 0),
    "a layer without weights": _coreml(field(1, field(420, field(1, 2) + field(2, 2)))),
    "branches in branches": _coreml(field(1, _nested(605, 3_000, b"", lambda inner: field(1, field(1, inner))))),
    "pipelines in pipelines": field(1, 4) + field(2, b"") + _nested(202, 2_000, b"", lambda inner: field(1, inner)),
    "weights at /etc/passwd": _package(_program("/etc/passwd")),
    "weights that climb": _package(_program("@model_path/../../../../../../etc/passwd")),
    "weights behind a link to /etc": _package(_program(BESIDE), link="/etc/passwd"),
    "weights behind a link to an endless device": _package(_program(BESIDE), link="/dev/zero"),
    "weights behind a link to itself": _package(_program(BESIDE), link="weight.bin"),
    "weights that are a folder": _package(_program("@model_path/weights")),
    "a blob at 2^64": _package(_program(BESIDE, HUGE), _blob()),
    "a blob past the end": _package(_program(BESIDE, 1 << 40), _blob()),
    "a blob of 2^64 bytes": _package(_program(BESIDE), _blob(size=HUGE)),
    "a blob that begins at 2^64": _package(_program(BESIDE), _blob(start=HUGE)),
    "a blob without its mark": _package(_program(BESIDE), _blob(sentinel=0)),
    "a constant of 2^62": _package(_program(BESIDE, size=1 << 62), _blob()),
    "a model that is a folder": _package(b""),
}


# MXNet, CNTK, Caffe, MindSpore, Paddle.


def _array(axes: int, *sizes: int, kind: int = 0, magic: int = 0xF993FAC9, storage: int = 0) -> bytes:
    body = struct.pack("<Ii", magic, storage) if magic == 0xF993FAC9 else struct.pack("<I", magic)
    return (
        struct.pack("<QQQ", 0x112, 0, 1)
        + body
        + struct.pack(f"<i{len(sizes)}q", axes, *sizes)
        + struct.pack("<iii", 1, 0, kind)
        + bytes(64)
    )


MXNET: dict[str, Made] = {
    "2^60 arrays": struct.pack("<QQQ", 0x112, 0, 1 << 60),
    "two billion axes": _array(2**31 - 1),
    "fewer than no axes": _array(-5),
    "a shape that overflows": _array(2, 1 << 62, 1 << 62),
    "a shape of fewer than none": _array(1, -4),
    "a shape of the right size through an overflow": _array(2, 1 << 32, (1 << 32) + 1),
    "a type that there is not": _array(1, 4, kind=99),
    "a sparse array of 2^62": _array(1, 1 << 62, storage=1),
    "a way to be stored that there is not": _array(1, 4, storage=77),
    "names of an exabyte": _mxnet(["a"])[:-9] + struct.pack("<Q", 1 << 60),
    "2^63 names": _mxnet([])[:-8] + struct.pack("<Q", 1 << 63),
    "a graph a hundred thousand deep": files("m.params", m__params=_mxnet(["a"]), **{"m-symbol__json": b'{"nodes":' + b"[" * 100_000}),
    "a graph that feeds itself": _mxnet_graph([{"op": "Concat", "name": "c", "inputs": [[0, 0, 0], [0, 0, 0]]}, {"op": "RNN", "name": "r", "inputs": [[1, 0], [0, 0]]}]),
    "a graph of nodes that there are not": _mxnet_graph([{"op": "RNN", "name": "r", "inputs": [[-9, 0], [10**9, 0]]}]),
    "a graph that is no graph": _mxnet_graph({"a": 1}),
}  # fmt: skip
CNTK: dict[str, Made] = {
    "a dictionary in a dictionary, without end": field(1, 1) + _entry("version", _nested(12, 3_000, b"", lambda inner: field(2, field(1, "a") + field(2, inner)))),
    "lists in lists, without end": field(1, 1) + _entry("version", _nested(11, 3_000, b"", lambda inner: field(1, inner))),
    "a shape that overflows": field(1, 1) + _entry("version", field(5, 1)) + _entry("inputs", field(11, field(1, _mapping(
        _entry("uid", field(8, "p")), _entry("kind", field(5, 2)),
        _entry("value", field(13, field(1, 1) + field(3, field(1, 1 << 62) + field(1, 1 << 62)) + field(4, field(1, bytes(16)))))) ))),
    "a function that is its own input": field(1, 1) + _entry("version", field(5, 1)) + _entry("primitive_functions", field(11, field(1, _function("f", 44, ["f_Output_0"])))) + _entry("root", field(8, "f")),
    "a block that is inside itself": field(1, 1) + _entry("version", field(5, 1)) + _entry("primitive_functions", field(11, field(1, _function("b", 57, ["b_Output_0"], _entry("block_function_composite", _mapping(_entry("root", field(8, "b")))), _entry("block_function_composite_arguments_map_values", _words("b_Output_0")))))),
}  # fmt: skip


def _caffe(blob: bytes) -> bytes:
    return field(100, field(1, "l") + field(2, "LSTM") + field(7, blob))


CAFFE: dict[str, Made] = {
    "a shape that overflows": _caffe(field(7, field(1, 1 << 62) + field(1, 1 << 62)) + field(5, bytes(16))),
    "a shape of fewer than none": _caffe(field(7, field(1, -4)) + field(5, bytes(16))),
    "ten thousand axes": _caffe(field(7, varint(1 << 3 | 2) + varint(10_000) + b"\1" * 10_000) + field(5, bytes(4))),
    "elements in a million pieces": _caffe(field(7, field(1, 100_000)) + (b"\x2d" + bytes(4)) * 100_000),
    "sizes of 2^63": _caffe(field(1, 1 << 63) + field(2, 1 << 63) + field(5, bytes(16))),
    "elements of no whole number": _caffe(field(7, field(1, 4)) + field(5, bytes(15))),
}


def _mindspore(dims: bytes, kind: str = "Float32", content: bytes = bytes(16)) -> bytes:
    return field(1, field(1, "w") + field(2, dims + field(2, kind) + field(3, content)))


MINDSPORE: dict[str, Made] = {
    "a shape that overflows": _mindspore(field(1, 1 << 62) + field(1, 1 << 62)),
    "a shape of fewer than none": _mindspore(field(1, -4)),
    "ten thousand axes": _mindspore(field(1, 1) * 10_000),
    "a type that is code": _mindspore(field(1, 4), "__import__('os')"),
    "a parameter in slices of another shape": _mindspore(field(1, 4)) + _mindspore(field(1, 9)),
    "a parameter in thirty thousand slices": _mindspore(field(1, 30_000), content=bytes(4)) * 30_000,
    "a checksum and nothing else": b"crc_num" + bytes(10),
    "a parameter without a name": _mindspore(field(1, 4)) + field(1, field(2, b"")),
}


def _paddle(dims: bytes = b"\x10\x04", levels: int = 0, body: bytes = b"", length: int | None = None) -> bytes:
    told = b"\x08\x05" + dims
    return (
        bytes(4)
        + struct.pack("<Q", levels)
        + body
        + bytes(4)
        + struct.pack("<i", len(told) if length is None else length)
        + told
        + bytes(16)
    )


PADDLE: dict[str, Made] = {
    "2^60 levels": files("m.pdiparams", m__pdiparams=_paddle() + _paddle(levels=1 << 60)),
    "a level of 2^60 bytes": files("m.pdiparams", m__pdiparams=_paddle() + _paddle(levels=1, body=struct.pack("<Q", 1 << 60))),
    "a description of two billion bytes": files("m.pdiparams", m__pdiparams=_paddle() + _paddle(length=2**31 - 1)),
    "a description of fewer than none": files("m.pdiparams", m__pdiparams=_paddle() + _paddle(length=-1)),
    "a shape that overflows": files("m.pdiparams", m__pdiparams=_paddle(b"\x10" + varint(1 << 62) + b"\x10" + varint(1 << 62))),
    "a shape of fewer than none": files("m.pdiparams", m__pdiparams=_paddle(b"\x10" + varint(-4))),
    "a thousand axes": files("m.pdiparams", m__pdiparams=_paddle(b"\x10\x01" * 1_000)),
    "a graph a hundred thousand deep": files("m.pdiparams", m__pdiparams=_paddle(), m__json=b'{"program":' + b"[" * 100_000),
    "a graph of texts": files("m.pdiparams", m__pdiparams=_paddle(), m__json=b'{"program":{"regions":[{"blocks":"evil"}]}}'),
    "a program that is no program": files("m.pdiparams", m__pdiparams=_paddle(), m__pdmodel=b"\xff" * 1_000),
    "a program behind a link to /etc": lambda folder: _linked(folder, "m.pdmodel", "/etc/passwd", **{"m.pdiparams": _paddle()}),
}  # fmt: skip


def _linked(folder: Path, link: str, to: str, **contents: bytes) -> Path:
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    (folder / link).symlink_to(to)
    return folder / next(iter(contents))


# Texts.


def _dynet(header: str, numbers: str = "1 1 1 1 \n") -> bytes:
    return f"#Parameter# {header}\n{numbers}".encode()


NCNN: dict[str, Made] = {
    "a billion layers": files("m.param", m__param=b"7767517\n1000000000 1\nInput a 0 1 b", m__bin=b""),
    "a billion inputs": _ncnn(["LSTM l 1000000000 1 a b 0=1"], b""),
    "inputs of digits": _ncnn([f"LSTM l {'9' * 5_000} 1 a b 0=1"], b""),
    "a trillion units": _ncnn(["LSTM l 1 1 a b 0=1000000000000 1=4 3=1000000000000"], bytes(64)),
    "fewer than no units": _ncnn(["LSTM l 1 1 a b 0=-1 1=4 3=-1"], bytes(64)),
    "weights of 2^63": _ncnn(["InnerProduct l 1 1 a b 0=1 1=0 2=9223372036854775807"], bytes(64)),
    "a number that is infinite": _ncnn(["LSTM l 1 1 a b 0=1e999 1=nan 2=-inf"], bytes(64)),
    "a list of a megabyte": _ncnn(["LSTM l 1 1 a b -23300=" + "9," * 300_000 + " 0=1"], bytes(64)),
    "a key of digits": _ncnn([f"LSTM l 1 1 a b {'9' * 5_000}=1"], bytes(64)),
    "weights behind a link to /etc": lambda folder: _linked(folder, "m.bin", "/etc/passwd", **{"m.param": b"7767517\n1 1\nLSTM l 1 1 a b 0=1 1=4"}),
    "a graph that feeds itself": _ncnn(["Split s 1 1 a a", "LSTM l 1 1 a b 0=1 1=4"], bytes(60)),
}  # fmt: skip
DYNET: dict[str, Made] = {
    "a dimension of a trillion": _dynet("/w {1000000000000} 9 ZERO_GRAD"),
    "a dimension of digits": _dynet(f"/w {{{'9' * 4_000}}} 9 ZERO_GRAD"),
    "a thousand dimensions": _dynet("/w {" + ",".join("1" * 1_000) + "} 9 ZERO_GRAD"),
    "a batch of a trillion": _dynet("/w {4X1000000000000} 9 ZERO_GRAD"),
    "an exabyte of numbers": _dynet("/w {4} 100000000000000000 ZERO_GRAD"),
    "a number of a hundred thousand digits": _dynet("/w {1} 100002 ZERO_GRAD", "9" * 100_000 + " \n"),
    "numbers beyond all bounds": _dynet("/w {4} 24 ZERO_GRAD", "1e999 -1e999 nan 1e-999 \n"),
    "a call among the numbers": _dynet("/w {1} 17 ZERO_GRAD", "__import__('os') \n"),
    "a line without an end": _dynet("/w {4} 9 ZERO_GRAD", "1" * 1_000_000),
    "a header without an end": b"#Parameter# " + b"a" * 1_000_000,
    "a name that is tried in every way": b"#Parameter# " + b"{" * 4_000 + b"\n",
}
C: dict[str, Made] = {
    "an array of a trillion": f"{C_HEADER}static const float a[1000000000000] = {{\n 1f\n}};\n".encode(),
    "an array of digits": f"{C_HEADER}static const float a[{'9' * 10_000}] = {{\n 1f\n}};\n".encode(),
    "an array of a trillion twice": f"{C_HEADER}static const float a[1000000][1000000] = {{\n 1f\n}};\n".encode(),
    "a number of a hundred thousand digits": f"{C_HEADER}static const float a[1] = {{\n {'9' * 100_000}f\n}};\n".encode(),
    "a number that is none": f"{C_HEADER}static const float a[1] = {{\n 1e+e-.9ff..\n}};\n".encode(),
    "an array without an end": f"{C_HEADER}static const float a[1] = {{\n".encode() * 1 + b"static const float a[1] = {" * 2_000,
    "arrays of one name": (C_HEADER + "static const float a[1] = {\n 1f\n};\n" * 2_000).encode(),
    "a layer that is a hundred thousand brackets": f'{C_HEADER}// gatewise layer: {{"a":{"[" * 100_000}}}\n'.encode(),
    "a layer that is a text": f'{C_HEADER}// gatewise layer: {{"kind": 1, "path": [], "prefix": {{}}, "settings": 0}}\n'.encode(),
    "a layer of a name that climbs": f'{C_HEADER}// gatewise layer: {{"kind": "c.LSTM", "path": "../../etc", "prefix": "a", "settings": {{"units": 1e308, "layers": 1e18}}}}\n'.encode(),
    "code behind the array": f'{C_HEADER}static const float a[1] = {{\n system("true")\n}};\n#include "/etc/passwd"\n'.encode(),
}  # fmt: skip


def _constant(number: int, dims: str, **lies: object) -> str:
    said = {"element_type": "f32", "shape": dims, "offset": 0, "size": 16} | lies
    told = " ".join(f'{key}="{value}"' for key, value in said.items())
    ports = "".join(f"<dim>{size}</dim>" for size in dims.split(","))
    return (
        f'<layer id="{number}" name="c{number}" type="Const" version="opset1"><data {told}/>'
        f'<output><port id="0" precision="FP32">{ports}</port></output></layer>'
    )


def _computed(kind: str, first: str, second: str, made: str, count: int = 2) -> Callable[[Path], Path]:
    """An LSTM whose weights are computed from two vectors of ten thousand."""
    ports = "".join(f'<port id="{at}"/>' for at in range(count))
    dims = "".join(f"<dim>{size}</dim>" for size in made.split(","))
    layers = [
        _constant(0, first, size=40_000), _constant(1, second, size=40_000),
        f'<layer id="2" name="m" type="{kind}" version="opset1"><data axis="0"/><input>{ports}</input><output><port id="9" precision="FP32">{dims}</port></output></layer>',
        '<layer id="3" name="l" type="LSTMSequence" version="opset5"><data hidden_size="1"/><input>' + "".join(f'<port id="{at}"/>' for at in range(7)) + "</input></layer>",
    ]  # fmt: skip
    edges = "".join(
        f'<edge from-layer="{min(at, 1)}" from-port="0" to-layer="2" to-port="{at}"/>' for at in range(count)
    )
    edges += "".join(f'<edge from-layer="2" from-port="9" to-layer="3" to-port="{at}"/>' for at in (4, 5, 6))

    def make(folder: Path) -> Path:
        path = _openvino("".join(layers), edges)(folder)
        (folder / "m.bin").write_bytes(bytes(40_000))
        return path

    return make


OPENVINO: dict[str, Made] = {
    "a constant before the beginning": _openvino(_constant(0, "4", offset=-1)),
    "a constant past the end": _openvino(_constant(0, "4", offset=1 << 70)),
    "a constant of another size": _openvino(_constant(0, "4", size=1 << 70)),
    "a constant of digits": _openvino(_constant(0, "9" * 5_000, size="9" * 5_000)),
    "a constant of fewer than none": _openvino(_constant(0, "-4")),
    "a thousand axes": _openvino(_constant(0, ",".join("1" * 1_000), size=4)),
    "a product of two vectors": _computed("Multiply", "10000,1", "1,10000", "4"),
    "a sum of two vectors": _computed("Add", "10000,1", "1,10000", "10000,10000"),
    "a row that is gathered ten thousand times": _computed("Gather", "1,10000", "10000", "4", 3),
    "a vector that is broadcast to a terabyte": _computed("Broadcast", "10000", "10000", "1000000,1000000", 1),
    "a vector that is shaped otherwise": _computed("Reshape", "10000", "10000", "7,7", 1),
    "weights behind a link to /etc": lambda folder: _linked(folder, "m.bin", "/etc/passwd", **{"m.xml": f'<?xml version="1.0"?><net name="n" version="11"><layers>{_constant(0, "4")}</layers></net>'.encode()}),
    "weights behind a link to an endless device": lambda folder: _linked(folder, "m.bin", "/dev/zero", **{"m.xml": f'<?xml version="1.0"?><net name="n" version="11"><layers>{_constant(0, "4")}</layers></net>'.encode()}),
}  # fmt: skip


# Tesseract, ggml, Thinc, NNabla.


def _archive(count: int, *offsets: int) -> bytes:
    return struct.pack(f"<I{len(offsets)}q", count, *offsets) + bytes(64)


def _series(inner: bytes) -> bytes:
    return _network("Series", struct.pack("<I", 1) + inner)


TESSERACT: dict[str, Made] = {
    "two hundred components that are not there": _archive(200),
    "components before the beginning": _archive(24, 196, *[-7] * 23),
    "components that go back": _archive(24, 196, *range(400, 377, -1)),
    "a network past the end": _archive(24, 196, *[-1] * 16, 1 << 62, *[-1] * 6),
    "four billion networks": _network("Series", struct.pack("<I", 0xFFFFFFFF)),
    "networks in networks, without end": _network("Series", struct.pack("<I", 1)) * 5_000,
    "a matrix of four billion": _series(_network("Softmax", b"\x80" + struct.pack("<2i", 65_535, 65_535))),
    "a matrix of fewer than none": _series(_network("Softmax", b"\x80" + struct.pack("<2i", -1, -1))),
    "a matrix of two billion rows": _series(_network("Softmax", b"\x80" + struct.pack("<2i", 2**31 - 1, 1))),
    "a name of four gigabytes": b"\0"
    + struct.pack("<I", 6)
    + b"Series"
    + b"\0\0"
    + struct.pack("<4iI", 0, 1, 1, 0, 0xFFFFFFFF),
    "four billion scales": _series(
        _network("Softmax", b"\x81" + struct.pack("<2i", 1, 2) + bytes(3) + struct.pack("<I", 0xFFFFFFFF))
    ),
    "learning rates without end": b"\0"
    + struct.pack("<I", 6)
    + b"Series"
    + b"\0\0"
    + struct.pack("<4iII", 64, 1, 1, 0, 0, 0)
    + b"\xff" * 4,
    "an LSTM in an LSTM, without end": _network("LSTMSoftmax", struct.pack("<i", 2) + MATRIX * 4) * 3_000,
}
GGML: dict[str, Made] = {
    "a row of 2^128": b"lmgg" + bytes(4) + struct.pack("<7I", 4, 4, 0, *[0xFFFFFFFF] * 4) + b"name",
    "a row of a name of four gigabytes": b"lmgg" + bytes(4) + struct.pack("<4I", 1, 0xFFFFFFFF, 0, 1) + b"name",
    "four billion axes": b"lmgg" + bytes(4) + struct.pack("<4I", 0xFFFFFFFF, 4, 0, 1) + b"name",
    "nothing behind its head": b"lmgg" + bytes(2_000),
}


def _thinc(
    nodes: bytes = b"\x91\x81\xa4name\xa1n",
    attrs: bytes = b"\x91\x80",
    params: bytes = b"\x91\x80",
    shims: bytes = b"\x91\x90",
) -> bytes:
    return b"\x84\xa5nodes" + nodes + b"\xa5attrs" + attrs + b"\xa6params" + params + b"\xa5shims" + shims


def _thinc_array(shape: bytes, kind: bytes = b"\xa3<f4", data: bytes = b"\xc4\x10" + bytes(16)) -> bytes:
    return b"\x91\x81\xa1W\x84\xa2nd\xc3\xa4type" + kind + b"\xa5shape" + shape + b"\xa4data" + data


EVIL = zipped({"archive/data.pkl": PROTO + called("os.system", text("touch hacked")) + b".", "archive/version": b"3\n"})
THINC: dict[str, Made] = {
    "lists of different lengths": _thinc(attrs=b"\x90"),
    "nodes that are numbers": _thinc(nodes=b"\x91\x07"),
    "a node without a name": _thinc(nodes=b"\x91\x80"),
    "a shape that overflows": _thinc(params=_thinc_array(b"\x92" + (b"\xcf" + struct.pack(">Q", 1 << 62)) * 2)),
    "a shape of fewer than none": _thinc(params=_thinc_array(b"\x91\xfc")),
    "a shape of ten thousand axes": _thinc(params=_thinc_array(b"\xdc" + struct.pack(">H", 10_000) + b"\1" * 10_000)),
    "a type of objects": _thinc(params=_thinc_array(b"\x91\x04", b"\xa2|O")),
    "data that are a text": _thinc(params=_thinc_array(b"\x91\x04", data=b"\xa4evil")),
    "an attribute a hundred thousand deep": _thinc(attrs=b"\x91\x81\xa1a\xc6" + struct.pack(">I", 100_001) + b"\x91" * 100_000 + b"\xc0"),
    "a shim whose pickle calls": _thinc(shims=b"\x91\x91\xc5" + struct.pack(">H", len(EVIL) + 10) + b"\x81\xa5state\xc5" + struct.pack(">H", len(EVIL)) + EVIL),
    "a shim that is none": _thinc(shims=b"\x91\x91\xc4\x04evil"),
}  # fmt: skip
NNABLA: dict[str, Made] = {
    "parameters that are no HDF5": zipped(
        {"nnp_version.txt": b"0.1", "network.nntxt": b"", "parameter.h5": b"evil" * 1_000}
    ),
    "parameters that are a signature": zipped(
        {"nnp_version.txt": b"0.1", "network.nntxt": b"", "parameter.h5": b"\x89HDF\r\n\x1a\n" + b"\xff" * 4_000}
    ),
    "parameters of nothing": zipped({"nnp_version.txt": b"0.1", "parameter.h5": b""}),
    "parameters that are a bomb": lambda _: zipped(
        {"nnp_version.txt": b"0.1", "parameter.h5": bytes(90 << 20)}, deflated=True
    ),
    "a network that is a bomb": lambda _: zipped(
        {"nnp_version.txt": b"0.1", "parameter.h5": b"", "network.nntxt": bytes(90 << 20)}, deflated=True
    ),
    "parameters whose name climbs": zipped({"nnp_version.txt": b"0.1", "../../parameter.h5": b"evil"}),
}


# TorchScript, TensorFlow.js, OCDBT.


def _script(said: Mapping[str, object], **members: bytes) -> bytes:
    return zipped(
        {
            f"m/{key}": data
            for key, data in {
                "version": b"1\n",
                "model.json": json.dumps(said).encode(),
                "tensors/0": bytes(16),
                **members,
            }.items()
        }
    )


def _model(parameter: object = 0, **lies: object) -> dict[str, object]:
    one = {"dataType": "FLOAT", "dims": ["4"], "strides": ["1"], "offset": "0", "data": {"key": "tensors/0"}} | lies
    return {"mainModule": {"parameters": [{"name": "w", "tensorId": str(parameter)}]}, "tensors": [one]}


def _deep_modules(depth: int) -> bytes:
    text = '{"tensors":[],"mainModule":' + '{"name":"a","submodules":[' * depth + "{}" + "]}" * depth + "}"
    return zipped({"m/version": b"1\n", "m/model.json": text.encode()})


SCRIPT: dict[str, Made] = {
    "modules in modules, without end": _deep_modules(5_000),
    "modules in modules, as deep as is read": _deep_modules(400),
    "a tensor that there is not": _script(_model(10**18)),
    "a tensor before the first": _script(_model(-5)),
    "a shape that overflows": _script(_model(dims=[str(1 << 62)] * 2, strides=["1", "1"])),
    "a shape of fewer than none": _script(_model(dims=["-4"])),
    "strides of 2^62": _script(_model(strides=[str(1 << 62)])),
    "an offset before the beginning": _script(_model(offset=str(-(1 << 62)))),
    "a shape of digits": _script(_model(dims=["9" * 5_000])),
    "a storage that climbs": _script(_model(data={"key": "../../../etc/passwd"})),
    "a storage that is its own code": _script(_model(data={"key": "version"})),
    "a type that is code": _script(_model(dataType="__import__('os')")),
    "code that would be run": _script(_model(), **{"code/m.py": b"import os\nos.system('touch hacked')\n", "__init__.py": b"raise SystemExit"}),
    "constants that call": zipped({"m/version": b"3\n", "m/constants.pkl": PROTO + called("os.system", text("touch hacked")) + b".",
                                  "m/data.pkl": PROTO + state(weight=tensor()) + b".", "m/data/0": bytes(16), "m/code/m.py": b"x"}),
    "a class of its code that calls": zipped({"m/version": b"3\n", "m/constants.pkl": PROTO + b").", "m/code/__torch__.py": b"class M(Module):\n  def __setstate__(self, x): os.system('touch hacked')\n",
                                             "m/data.pkl": PROTO + name("__torch__.M") + b")\x81" + state(weight=tensor()) + b"b.", "m/data/0": bytes(16)}),
}  # fmt: skip


def _tfjs(entry: Mapping[str, object], topology: object = None) -> Callable[[Path], Path]:
    said = {
        "format": "layers-model",
        "modelTopology": topology or {},
        "weightsManifest": [
            {"paths": ["w.bin"], "weights": [{"name": "w", "shape": [4], "dtype": "float32", **entry}]}
        ],
    }
    return files("model.json", model__json=json.dumps(said).encode(), w__bin=bytes(16))


TFJS: dict[str, Made] = {
    "a quantisation without a scale": _tfjs({"quantization": {"dtype": "uint8"}}),
    "a quantisation that is code": _tfjs({"quantization": {"dtype": "__import__('os')", "scale": "1", "min": []}}),
    "a quantisation of half precision that lies": _tfjs({"quantization": {"dtype": "float16", "original_dtype": "string"}, "shape": [1 << 40]}),
    "a dtype of texts": _tfjs({"dtype": "string", "shape": [1 << 40]}),
    "a name that climbs": _tfjs({"name": "../../../etc/passwd"}),
    "a topology that is a list": _tfjs({}, [1, 2]),
    "a shape of ten thousand axes": _tfjs({"shape": [1] * 10_000}),
    "a shape of fractions": _tfjs({"shape": [0.5, 1e308]}),
    "a shard behind a link to /etc": lambda folder: _linked(folder, "w.bin", "/etc/passwd", **{"model.json": json.dumps({"format": "layers-model", "modelTopology": {}, "weightsManifest": [{"paths": ["w.bin"], "weights": [{"name": "w", "shape": [4], "dtype": "float32"}]}]}).encode()}),
}  # fmt: skip
ZSTD = b"\x28\xb5\x2f\xfd"


def _ocdbt(body: bytes, magic: int = 0x0CDB3A2A, length: int | None = None, packed: int = 0) -> Callable[[Path], Path]:
    whole = (
        struct.pack(">I", magic)
        + struct.pack("<Q", 18 + len(body) if length is None else length)
        + bytes([0, packed])
        + body
        + bytes(4)
    )

    def make(folder: Path) -> Path:
        (folder / "store" / "d").mkdir(parents=True)
        (folder / "store" / "manifest.ocdbt").write_bytes(whole)
        (folder / "store" / "d" / "0").write_bytes(whole)
        return folder / "store"

    return make


HEAD = bytes(16) + b"\0\0\0\0\0"  # an id, a kind, two sizes, a byte, no compression
OCDBT: dict[str, Made] = {
    "a manifest of 2^64 bytes": _ocdbt(HEAD, length=HUGE),
    "a manifest of another kind": _ocdbt(HEAD, magic=0xDEADBEEF),
    "a manifest that is cut": _ocdbt(bytes(5)),
    "2^63 files": _ocdbt(HEAD + varint(1 << 63)),
    "files of an exabyte": _ocdbt(HEAD + b"\1" + varint(1 << 60)),
    "2^63 versions": _ocdbt(HEAD + b"\0" + varint(1 << 63)),
    "a number without an end": _ocdbt(HEAD + b"\xff" * 100),
    "a packed manifest that is a bomb": _ocdbt(
        ZSTD + b"\x20\x10" + (b"\x02\x00\x10" + b"a") * 3_000 + b"\x03\x00\x00", packed=1
    ),
    "a packed manifest that never ends": _ocdbt(ZSTD + b"\x20\x10" + b"\x02\x00\x00" * 10_000, packed=1),
    "a packed manifest that is none": _ocdbt(b"evil", packed=1),
    "a way to be packed that there is not": _ocdbt(HEAD, packed=9),
}

FORMATS: dict[str, tuple[str, dict[str, Made], object]] = {
    "TFLite": ("m.tflite", TFLITE, EITHER), "Core ML": ("m.mlmodel", COREML, EITHER), "MXNet": ("m.params", MXNET, EITHER),
    "CNTK": ("m.cntk", CNTK, EITHER), "Caffe": ("m.caffemodel", CAFFE, EITHER), "MindSpore": ("m.ckpt", MINDSPORE, EITHER),
    "Paddle": ("m.pdiparams", PADDLE, EITHER), "ncnn": ("m.param", NCNN, EITHER), "DyNet": ("m.data", DYNET, EITHER), "C": ("m.h", C, EITHER),
    "OpenVINO": ("m.xml", OPENVINO, EITHER), "Tesseract": ("m.traineddata", TESSERACT, EITHER), "ggml": ("m.bin", GGML, ContainerError),
    "Thinc": ("model", THINC, EITHER), "NNabla": ("m.nnp", NNABLA, EITHER), "TorchScript": ("m.ts", SCRIPT, EITHER),
    "TensorFlow.js": ("model.json", TFJS, EITHER), "OCDBT": ("store", OCDBT, EITHER),
}  # fmt: skip
ATTACKS = tuple(
    Attack(f"{format}: {what}", make, expected, name=file)  # type: ignore[arg-type]
    for format, (file, exhibits, expected) in FORMATS.items() for what, make in exhibits.items()
)  # fmt: skip
