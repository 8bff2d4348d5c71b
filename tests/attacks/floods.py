"""A great many of something, in every format: names that are all alike, parts that are pointed at again and again, chains that every
layer follows from its beginning.  What takes a moment for one takes hours for ten thousand, unless it was thought of.

Sources: each format's own description, named in its container; none of these files comes from a real model.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from bytes_of import FlatTable, field, files, flatbuffer
from museum import Attack, Made

from gatewise.errors import ContainerError, GatewiseError

EITHER = (None, GatewiseError)


# TFLite: tables by hand.


def _tflite(graphs: Sequence[FlatTable], codes: Sequence[int] = (44, 39, 110, 105), buffers: int = 1) -> bytes:
    model = FlatTable({
        0: 3, 1: [FlatTable({0: ("b", min(code, 127)), 3: code}) for code in codes], 2: list(graphs),
        4: [FlatTable({}) for _ in range(buffers)],
    })  # fmt: skip
    return flatbuffer(model, b"TFL3")


def _operator(code: int, inputs: Sequence[int], outputs: Sequence[int]) -> FlatTable:
    return FlatTable({0: code, 1: ("i", tuple(inputs)), 2: ("i", tuple(outputs))})


def _shared_shapes() -> bytes:
    """Twenty thousand tensors that are all one table, whose shape has twenty thousand axes."""
    one = FlatTable({0: ("i", (1,) * 20_000), 3: "x" * 1_000})
    return _tflite([FlatTable({0: [one] * 20_000})])


def _shared_graphs() -> bytes:
    """Ten graphs of ten graphs could not be; but ten thousand graphs may all be one of a thousand tensors."""
    graph = FlatTable({0: [FlatTable({3: f"t{at}"}) for at in range(1_000)]})
    return _tflite([graph] * 10_000)


def _chain_of_transposes(count: int = 5_000) -> bytes:
    """Half of the operators are LSTMs, and every one goes back through the other half."""
    tensors = [FlatTable({3: f"t{at}"}) for at in range(2 * count + 1)]
    chain = [_operator(1, [at], [at + 1]) for at in range(count)]
    layers = [_operator(0, [count], [count + 1 + at]) for at in range(count)]
    return _tflite([FlatTable({0: tensors, 3: [*chain, *layers]})])


def _turned_round(count: int = 4_000) -> bytes:
    """Every LSTM's input is turned round, so that every one looks for what turns its output."""
    tensors = [FlatTable({3: f"t{at}"}) for at in range(3 * count + 2)]
    turns = [_operator(3, [0, 1], [2 + 2 * at]) for at in range(count)]
    layers = [_operator(0, [2 + 2 * at], [3 + 2 * at]) for at in range(count)]
    return _tflite([FlatTable({0: tensors, 3: [*turns, *layers]})])


# MXNet.


def _mxnet(names: Sequence[str]) -> bytes:
    array = struct.pack("<IiiqiiiI", 0xF993FAC9, 0, 1, 1, 1, 0, 0, 0)
    told = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(names)) + array * len(names) + struct.pack("<Q", len(names)) + told


def _mxnet_graph(nodes: object) -> Callable[[Path], Path]:
    return files(
        "m-0000.params",
        **{"m-0000__params": _mxnet(["arg:p0"]), "m-symbol__json": json.dumps({"nodes": nodes}).encode()},
    )


def _fused(mode: dict[str, object], count: int = 1, parts: int = 1) -> Callable[[Path], Path]:
    """``count`` recurrent operators, all given the same ``parts`` variables laid end to end."""
    nodes: list[object] = [{"op": "null", "name": f"p{at}", "inputs": []} for at in range(parts)]
    nodes.append({"op": "Concat", "name": "all", "inputs": [[at, 0, 0] for at in range(parts)]})
    nodes += [
        {"op": "RNN", "name": f"r{at}", "attrs": mode, "inputs": [[0, 0, 0], [parts, 0, 0]]} for at in range(count)
    ]
    return _mxnet_graph(nodes)


LSTM = {"mode": "lstm", "state_size": "4", "num_layers": "1"}


# Protocol buffers: CNTK, Caffe, Core ML, MindSpore, Paddle.


def _entry(key: str, value: bytes) -> bytes:
    return field(2, field(1, key) + field(2, value))


def _words(*said: str) -> bytes:
    """A vector of texts, as a value."""
    return field(11, b"".join(field(1, field(8, each)) for each in said))


def _mapping(*entries: bytes) -> bytes:
    return field(12, field(1, 1) + b"".join(entries))


def _cntk(functions: Sequence[bytes]) -> bytes:
    listed = field(11, b"".join(field(1, each) for each in functions))
    return (
        field(1, 1)
        + _entry("version", field(5, 1))
        + _entry("primitive_functions", listed)
        + _entry("root", field(8, "b0"))
    )


def _function(uid: str, op: int, inputs: Sequence[str], *more: bytes) -> bytes:
    return _mapping(_entry("uid", field(8, uid)), _entry("op", field(5, op)), _entry("inputs", _words(*inputs)), *more)


def _blocks(count: int = 3_000) -> bytes:
    """As many blocks as functions, each of which holds all of them."""
    chain = [_function(f"f{at}", 1, [f"f{at + 1}_Output_0"]) for at in range(count)]
    whole = _entry("block_function_composite", _mapping(_entry("root", field(8, "f0"))))
    return _cntk([*chain, *(_function(f"b{at}", 57, [], whole) for at in range(count))])


def _combined(count: int = 4_000) -> bytes:
    """Every block takes what comes through all of a chain that only hands on."""
    chain = [_function(f"f{at}", 44, [f"f{at + 1}_Output_0"]) for at in range(count)]
    given = _entry("block_function_composite_arguments_map_values", _words("f0_Output_0"))
    return _cntk([*chain, *(_function(f"b{at}", 57, [], given) for at in range(count))])


def _caffe(count: int = 4_000) -> bytes:
    layer = field(2, "LSTM") + field(3, "x") + field(4, "x") + field(7, field(7, field(1, 1)) + field(5, bytes(4)))
    return b"".join(field(100, field(1, "l") + layer) for _ in range(count))


def _coreml(count: int = 20_000) -> bytes:
    """Layers that all have one name."""
    network = b"".join(field(1, field(1, "same") + field(605, b"")) for _ in range(count))
    return field(1, 4) + field(2, b"") + field(500, network)


def _mindspore(names: Sequence[str]) -> bytes:
    inner = field(1, 1) + field(2, "Float32") + field(3, bytes(4))
    return b"".join(field(1, field(1, name) + field(2, inner)) for name in names)


TWICE = [*(f"p{at}" for at in range(40_000)), "p39999"]


def _paddle(program: object = None, message: bytes = b"") -> Callable[[Path], Path]:
    tensor = bytes(16) + struct.pack("<i", 4) + b"\x08\x05\x10\x01" + bytes(4)
    beside = {"m__pdmodel": message} if message else {"m__json": json.dumps(program).encode()}
    return files("m.pdiparams", **{"m__pdiparams": tensor, **beside})


def _paddle_rnn(count: int, **said: object) -> Callable[[Path], Path]:
    rnn = {
        "#": "1.rnn",
        "I": [{"%": 1}, {"%": 2}, {"%": 9}],
        "A": [{"N": key, "AT": {"D": value}} for key, value in said.items()],
    }
    ops = [
        {"#": "p", "O": {"%": 1}, "A": [0, 1, 1, "w"]}, {"#": "0.combine", "O": [{"%": 9}], "I": [{"%": 1}] * 4}, *[rnn] * count,
    ]  # fmt: skip
    return _paddle({"program": {"regions": [{"blocks": [{"ops": ops}]}]}})


def _paddle_message(layers: int) -> bytes:
    weights = field(1, field(1, "WeightList") + field(2, "w"))
    told = field(4, field(1, "num_layers") + field(3, layers)) + field(4, field(1, "mode") + field(5, "LSTM"))
    return field(1, field(4, weights + field(3, "rnn") + told))


# Texts: ncnn, DyNet, C, OpenVINO.


def _ncnn(lines: Sequence[str], weights: bytes) -> Callable[[Path], Path]:
    text = "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines])
    return files("m.param", m__param=text.encode(), m__bin=weights)


def _ncnn_layers(count: int = 400) -> Callable[[Path], Path]:
    """Layers of one unit."""
    return _ncnn([f"LSTM l{at} 1 1 b{at} b{at + 1} 0=1 3=1 1=4" for at in range(count)], bytes(3 * 20) * count)


def _ncnn_chain(copies: int = 20_000, layers: int = 400) -> Callable[[Path], Path]:
    """Every layer takes the end of a chain of copies."""
    chain = [f"Split s{at} 1 1 c{at} c{at + 1}" for at in range(copies)]
    return _ncnn([*chain, *(f"LSTM l{at} 1 1 c{copies} o{at} 0=1 1=4" for at in range(layers))], bytes(3 * 20) * layers)


def _dynet(names: Sequence[str]) -> bytes:
    return b"".join(f"#Parameter# {name} {{1}} 3 ZERO_GRAD\n1 \n".encode() for name in names)


C_HEADER = "/* gatewise C header 1 */\n"


def _c_header(layers: int, arrays: int) -> bytes:
    said = '// gatewise layer: {{"kind": "c.LSTM", "path": "p{0}", "prefix": "p{0}", "settings": {{}}}}\n'
    array = "static const float p_{0}[1] = {{\n 1f\n}};\n"
    return (C_HEADER + "".join(map(said.format, range(layers))) + "".join(map(array.format, range(arrays)))).encode()


def _openvino(inside: str, around: str = "") -> Callable[[Path], Path]:
    xml = f'<?xml version="1.0"?><net name="n" version="11"><layers>{inside}</layers><edges>{around}</edges></net>'
    return files("m.xml", m__xml=xml.encode(), m__bin=bytes(16))


CONSTANT = (
    '<layer id="{0}" name="same" type="Const" version="opset1"><data element_type="f32" shape="4" offset="0" size="16"/>'
    '<output><port id="0" precision="FP32"><dim>4</dim></port></output></layer>'
)  # fmt: skip
BODY = '<layer id="{0}" name="l{0}" type="TensorIterator" version="opset1"><body><layers></layers><edges></edges></body></layer>'
EDGE = '<edge from-layer="0" from-port="0" to-layer="{0}" to-port="0"/>'


def _wide(count: int = 2_500) -> Callable[[Path], Path]:
    """An operator with as many outputs as there are layers that take one each."""
    ports = "".join(f'<port id="{at}" precision="FP32"><dim>4</dim></port>' for at in range(2, count))
    split = (
        CONSTANT.format("c") + '<layer id="s" name="s" type="Split" version="opset1"><data num_splits="1"/><input><port id="0"/><port id="1"/></input>'
        f"<output>{ports}</output></layer>"
    )  # fmt: skip
    takers = "".join(
        f'<layer id="{at}" name="l{at}" type="LSTMSequence" version="opset5"><data hidden_size="4"/><input>'
        + "".join(f'<port id="{port}"/>' for port in range(7)) + "</input></layer>" for at in range(2, count)
    )  # fmt: skip
    edges = '<edge from-layer="c" from-port="0" to-layer="s" to-port="0"/><edge from-layer="c" from-port="0" to-layer="s" to-port="1"/>'
    edges += "".join(
        f'<edge from-layer="s" from-port="{at}" to-layer="{at}" to-port="{port}"/>'
        for at in range(2, count)
        for port in (4, 5, 6)
    )
    return _openvino(split + takers, edges)


# Bytes: Tesseract, ggml, MessagePack.


def _network(kind: str, body: bytes, name: bytes = b"n") -> bytes:
    head = b"\0" + struct.pack("<I", len(kind)) + kind.encode() + b"\0\0" + struct.pack("<4i", 0, 1, 1, 0)
    return head + struct.pack("<I", len(name)) + name + body


MATRIX = b"\x80" + struct.pack("<2i", 1, 2) + bytes(8) + bytes(16)


def _tesseract(kind: str, body: bytes, count: int) -> bytes:
    return _network("Series", struct.pack("<I", count) + _network(kind, body) * count, b"")


def _rows(count: int = 30_000) -> bytes:
    """Rows that could begin in fifty places, and every time the last one is none."""
    row = struct.pack("<4I", 1, 4, 0, 0) + b"name"
    return b"lmgg" + struct.pack("<I", 0) + row * count + b"end"


def _msgpack_list(items: Sequence[bytes]) -> bytes:
    return b"\xdd" + struct.pack(">I", len(items)) + b"".join(items)


def _thinc(names: Sequence[bytes]) -> bytes:
    nodes = [b"\x81\xa4name" + (b"\xd9" + bytes([len(name)])) + name for name in names]
    empty = _msgpack_list([b"\x80"] * len(names))
    return b"\x84\xa5nodes" + _msgpack_list(nodes) + b"\xa5attrs" + empty + b"\xa6params" + empty + b"\xa5shims" + empty


def _orbax(items: int, files_of_each: int = 1) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        root = folder / "checkpoint"
        for item in range(items):
            (root / f"i{item}").mkdir(parents=True)
            (root / f"i{item}" / "_METADATA").write_bytes(b"{}")
            for file in range(files_of_each):
                (root / f"i{item}" / f"f{file}").write_bytes(b"")
        return root

    return make


# ONNX.


def _onnx(nodes: bytes) -> bytes:
    return field(1, 8) + field(7, nodes) + field(8, field(2, 13))


def _onnx_wide(count: int = 20_000) -> bytes:
    """One node with as many outputs as there are LSTMs that take one of them."""
    outputs = [f"o{at}" for at in range(count)]
    split = field(1, field(1, "x") + b"".join(field(2, each) for each in outputs) + field(4, "Split"))
    layers = b"".join(
        field(1, field(1, "x") + field(1, each) + field(1, each) + field(2, f"y{each}") + field(4, "LSTM"))
        for each in outputs[-4_000:]
    )
    return _onnx(split + layers)


def _onnx_chain(count: int = 10_000) -> bytes:
    """Every LSTM takes the end of a chain of copies."""
    chain = b"".join(
        field(1, field(1, f"c{at}") + field(2, f"c{at + 1}") + field(4, "Identity")) for at in range(count)
    )
    layer = b"".join(
        field(
            1,
            field(1, f"c{count}")
            + field(1, f"c{count}")
            + field(1, f"c{count}")
            + field(2, f"y{at}")
            + field(4, "LSTM"),
        )
        for at in range(count)
    )
    return _onnx(chain + layer)


def _onnx_functions(count: int = 1_500) -> bytes:
    """Functions that each call the one before: which hold an LSTM is found from the last to the first."""

    def function(at: int) -> bytes:
        called = (
            field(1, "x") + field(2, "y") + (field(4, "LSTM") if at == 0 else field(4, f"f{at - 1}") + field(7, "mine"))
        )
        return field(25, field(1, f"f{at}") + field(4, "x") + field(5, "y") + field(7, called) + field(10, "mine"))

    return _onnx(field(1, field(1, "x") + field(2, "y") + field(4, "f0") + field(7, "mine"))) + b"".join(
        map(function, reversed(range(count)))
    )


# Matrices that are computed from others.


def _safetensors(shapes: dict[str, list[int]]) -> bytes:
    head, at = {}, 0
    for key, shape in shapes.items():
        size = 4 * math.prod(shape)
        head[key] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(head).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(at)


def _weight_norms(count: int = 4_000) -> bytes:
    return _safetensors({
        f"m{at}.parametrizations.weight.original{part}": shape for at in range(count) for part, shape in enumerate(([2, 1], [2, 3]))
    })  # fmt: skip


FLOODS: dict[str, tuple[str, Made, object]] = {
    "TFLite tensors that are all one, of a long shape": ("m.tflite", lambda _: _shared_shapes(), ContainerError),
    "TFLite graphs that are all one": ("m.tflite", lambda _: _shared_graphs(), ContainerError),
    "TFLite layers at the end of a chain": ("m.tflite", lambda _: _chain_of_transposes(), EITHER),
    "TFLite layers whose inputs are turned round": ("m.tflite", lambda _: _turned_round(), EITHER),
    "MXNet arrays of which the last two have one name": ("m.params", lambda _: _mxnet(TWICE), ContainerError),
    "MXNet operators that are given all variables": ("", _fused(LSTM, 2_000, 2_000), EITHER),
    "an MXNet operator of a trillion layers": ("", _fused(LSTM | {"num_layers": "1000000000000"}), EITHER),
    "an MXNet operator of a trillion units": ("", _fused(LSTM | {"state_size": "1000000000000"}), EITHER),
    "an MXNet operator of digits": ("", _fused(LSTM | {"state_size": "9" * 100_000, "num_layers": "9" * 5_000}), EITHER),
    "CNTK blocks that all hold all functions": ("m.cntk", lambda _: _blocks(), EITHER),
    "CNTK blocks behind a chain": ("m.cntk", lambda _: _combined(), EITHER),
    "Caffe layers of one name": ("m.caffemodel", lambda _: _caffe(), EITHER),
    "Core ML layers of one name": ("m.mlmodel", lambda _: _coreml(), EITHER),
    "MindSpore parameters of which the last two have one name": ("m.ckpt", lambda _: _mindspore([*TWICE[:-1], "x", TWICE[-1]]), ContainerError),
    "Paddle operators of one name": ("", _paddle_rnn(4_000, num_layers=1, mode="LSTM", struct_name="/a/"), EITHER),
    "a Paddle operator of a trillion layers": ("", _paddle_rnn(1, num_layers=10**12, mode="LSTM"), EITHER),
    "a Paddle program of a trillion layers": ("", _paddle(message=_paddle_message(10**12)), EITHER),
    "ncnn layers of one unit": ("", _ncnn_layers(), EITHER),
    "ncnn layers at the end of a chain": ("", _ncnn_chain(), EITHER),
    "ncnn parameters of digits": ("", _ncnn([f"LSTM l 1 1 a b 0={'9' * 4000} 1={'9' * 100000} 3=1"], b""), EITHER),
    "DyNet builders": ("m.data", lambda _: _dynet([f"/vanilla-lstm-builder_{at}/_0" for at in range(5_000)]), EITHER),
    "DyNet builders within a pair": ("m.data", lambda _: _dynet([f"/birnn/vanilla-lstm-builder_{at}/_0" for at in range(10_000)]), EITHER),
    "DyNet parameters of one name": ("m.data", lambda _: _dynet(["/a"] * 20_000), EITHER),
    "C layers and arrays": ("m.h", lambda _: _c_header(4_000, 4_000), EITHER),
    "OpenVINO constants of one name": ("", _openvino("".join(map(CONSTANT.format, range(4_000)))), EITHER),
    "OpenVINO loops, and edges between them": ("", _openvino("".join(map(BODY.format, range(5_000))), "".join(map(EDGE.format, range(5_000)))), EITHER),
    "an OpenVINO size that is half a million lines": ("", _openvino('<layer id="0" name="a" type="Const" version="opset1"><output><port id="0"><dim>' + "1\n" * 500_000 + "</dim></port></output></layer>"), EITHER),
    "OpenVINO outputs": ("", _wide(), EITHER),
    "Tesseract networks of one name": ("m.lstm", lambda _: _tesseract("Softmax", MATRIX, 10_000), EITHER),
    "Tesseract layers of one name": ("m.lstm", lambda _: _tesseract("LSTM", struct.pack("<i", 2) + MATRIX * 4, 2_500), EITHER),
    "ggml rows that begin everywhere": ("m.bin", lambda _: _rows(), ContainerError),
    "Thinc nodes": ("m.thinc", lambda _: _thinc([b"n%06d" % at for at in range(30_000)]), EITHER),
    "Thinc nodes of one name": ("m.thinc", lambda _: _thinc([b"name"] * 30_000), EITHER),
    "Orbax items": ("", _orbax(1_500), EITHER),
    "ONNX outputs of one node": ("m.onnx", lambda _: _onnx_wide(), EITHER),
    "ONNX layers at the end of a chain": ("m.onnx", lambda _: _onnx_chain(), EITHER),
    "matrices under weight norm": ("m.safetensors", lambda _: _weight_norms(), EITHER),
    "matrices under weight drop": ("m.safetensors", lambda _: _safetensors({f"m{at}.weight_hh_l0_raw": [8, 2] for at in range(4_000)}), EITHER),
    "ONNX functions that call each other": ("m.onnx", lambda _: _onnx_functions(), EITHER),
}  # fmt: skip

ATTACKS = tuple(
    Attack(f"a flood of {title}", make, expected, name=name) for title, (name, make, expected) in FLOODS.items()
)  # type: ignore[arg-type]
