"""TFLite / LiteRT models (``.tflite``): a flatbuffer of graphs, tensors and buffers.

Constant tensors are views of the mapped file.  Each recurrent operator is declared with the tensors that it is given, by
the operator's own words; two operators of which one reads the sequence turned around, and whose outputs meet, are
declared as the one bidirectional layer that they were.  Constants behind a DEQUANTIZE are what comes out of it.
Source: ``_tflite_schema`` says what was read.  Not known here: sparse tensors, four-bit integers, custom operators,
and loops: Keras's GRU becomes a WHILE, whose constants are listed as what they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import BrokenFile
from ..record import lazy
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import end_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

MAGIC = b"TFL3"
_MERGES = {"CONCATENATION": "concat", "ADD": "sum", "MUL": "mul"}
_WHERE = "TFLite model"
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    return bytes(source.data[4:8]) == MAGIC


def read(source: Source) -> Tensors:
    from ._flatbuffer import Flatbuffer
    from ._tflite_schema import MODEL

    file = Flatbuffer(source, _WHERE)
    model = file.root(MODEL)
    notes: list[str] = []
    graphs = _graphs(model, file, notes)
    tensors = [tensor for graph in graphs for tensor in graph.constants.values()]
    source.limits.check("tensors", len(tensors), path=source.name, where=_WHERE)
    declared = [entry for graph in graphs for entry in _declared(graph)]
    made = [tensor for graph in graphs for tensor in graph.made.values()]
    notes += [
        f"{entry.name} ({entry.kind}) is given weights that are no constants here; it is named and left."
        for entry in declared
        if not entry.inputs
    ]
    loops = sum(operator.kind == "WHILE" for graph in graphs for operator in graph.operators)
    if loops:
        notes.append(f"{loops} WHILE loop(s): a recurrent layer that became a loop is not read as one.")
    return Tensors(
        [*tensors, *made],
        path=source.name,
        container="tflite",
        bytes=source.size,
        declared=declared,
        written_by=[WrittenBy("tflite", "", f"flatbuffer identifier TFL3 ({model.get('description', '')})")],
        notes=notes,
        metadata={"schema": model.get("version", 0), "description": model.get("description", "")},
    )


# The graphs.


@dataclass
class _Operator:
    kind: str
    inputs: list[int]
    outputs: list[int]
    options: Mapping[str, Any]


@dataclass
class _Graph:
    """One graph: its tensors' names by index, which of them are constants, and which operator makes which."""

    names: list[str]
    constants: dict[int, StoredTensor]
    operators: list[_Operator]
    makers: dict[int, int]
    entries: list[Mapping[str, Any]]
    made: dict[int, StoredTensor] = field(default_factory=dict)
    _turned: dict[int, int] = field(default_factory=dict)

    def maker(self, tensor: int) -> _Operator | None:
        at = self.makers.get(tensor)
        return None if at is None else self.operators[at]

    def turned_by(self, tensor: int) -> int:
        """The tensor behind operators that only turn axes or time, each of which passes its first input on."""

        def before(tensor: int) -> int | None:
            maker = self.maker(tensor)
            return maker.inputs[0] if maker and maker.kind in ("TRANSPOSE", "REVERSE_V2") and maker.inputs else None

        return end_of(tensor, before, self._turned)

    @lazy
    def reversed(self) -> frozenset[int]:
        """The tensors that something turns round in time."""
        return frozenset(each.inputs[0] for each in self.operators if each.kind == "REVERSE_V2" and each.inputs)


def _graphs(model: Mapping[str, Any], file: Any, notes: list[str]) -> list[_Graph]:
    taken: dict[str, int] = {}
    return [_graph(graph, model, file, taken, notes) for graph in model["graphs"]]


def _graph(
    graph: Mapping[str, Any], model: Mapping[str, Any], file: Any, taken: dict[str, int], notes: list[str]
) -> _Graph:
    source = file.source
    names = [_own_name(entry.get("name", ""), taken) for entry in graph["tensors"]]
    constants = {}
    for index, entry in enumerate(graph["tensors"]):
        tensor = _constant(names[index], entry, model["buffers"], source, notes)
        if tensor is not None:
            constants[index] = tensor
    operators = [_operator(entry, model["codes"], len(names), file) for entry in graph["operators"]]
    makers = {output: at for at, operator in enumerate(operators) for output in operator.outputs}
    return _Graph(names, constants, operators, makers, graph["tensors"])


def _own_name(name: str, taken: dict[str, int]) -> str:
    """Tensors of different graphs, and of one in old files, may share a name: the later ones get a number."""
    count = taken[name] = taken.get(name, 0) + 1
    return name if count == 1 and name else f"{name}#{count}"


def _constant(
    name: str, entry: Mapping[str, Any], buffers: list[Mapping[str, Any]], source: Source, notes: list[str]
) -> StoredTensor | None:
    from ._tflite_schema import TYPES

    number = entry.get("buffer", 0)
    if not 0 <= number < len(buffers):
        raise _broken(f"is in buffer {number}, of which there are {len(buffers)}.", source, f"tensor {name!r}")
    data = _buffer(buffers[number], source)
    if not len(data) or entry.get("is_variable"):
        return None
    dtype, shape = TYPES.get(entry.get("type", 0)), tuple(entry["shape"])
    if dtype is None or "sparsity" in entry:
        notes.append(f"{name} is stored in a way that gatewise does not read (type {entry.get('type', 0)}), left out.")
        return None
    source.limits.check("rank", len(shape), path=source.name, where=f"tensor {name!r}")
    if min(shape, default=0) < 0 or math.prod(shape) * ITEM_BYTES[dtype] != len(data):
        raise _broken(
            f"its shape {list(shape)} of {dtype} is not the {len(data):,} bytes of its buffer.",
            source,
            f"tensor {name!r}",
        )
    return StoredTensor(name, dtype, shape, Strided(data, storage=f"buffer {number}"), f"buffer {number}")


def _buffer(buffer: Mapping[str, Any], source: Source) -> memoryview:
    if not buffer.get("size", 0) or not buffer.get("offset", 0) > 1:  # 1 stands for "to be filled in"
        return buffer.get("data") or memoryview(b"")
    start, size = buffer["offset"], buffer["size"]
    if start + size > source.size:
        raise _broken(f"a buffer reaches to byte {start + size:,}, the file has {source.size:,}.", source, _WHERE)
    return source.data[start : start + size]


def _broken(message: str, source: Source, where: str) -> BrokenFile:
    return BrokenFile(message, path=source.name, where=where, next=_FETCH_AGAIN)


def _operator(entry: Mapping[str, Any], codes: list[Mapping[str, Any]], tensors: int, file: Any) -> _Operator:
    from ._tflite_schema import DEFAULTS, OPERATORS, OPTIONS

    number = entry.get("code", 0)
    if not 0 <= number < len(codes):
        raise _broken(f"an operator has the code {number}, of which there are {len(codes)}.", file.source, _WHERE)
    code = codes[number]
    builtin = max(code.get("code", 0), code.get("old_code", 0))
    kind = code.get("custom") or OPERATORS.get(builtin, f"operator {builtin}")
    inputs, outputs = list(entry["inputs"]), list(entry["outputs"])
    if any(not -1 <= tensor < tensors for tensor in (*inputs, *outputs)):
        raise _broken(f"a {kind} names a tensor that is not there.", file.source, _WHERE)
    options: dict[str, Any] = dict(DEFAULTS.get(kind, {}))
    if kind in OPTIONS and "options" in entry:
        options |= file.table(entry["options"], OPTIONS[kind])
    return _Operator(kind, inputs, outputs, options)


# The recurrent operators.


def _declared(graph: _Graph) -> Iterator[Declared]:
    """One entry for each recurrent layer, in the graph's order; ``after`` follows the tensors between them."""
    from ._tflite_schema import INPUTS

    pairs = _pairs(graph)
    reverse = {pair.reverse for pair in pairs.values()}
    gives: dict[int, str] = {}  # tensor → the layer whose output it is
    for at, operator in enumerate(graph.operators):
        if operator.kind not in INPUTS or at in reverse or not operator.outputs:
            continue
        pair = pairs.get(at)
        output = pair.output if pair else operator.outputs[0]
        name = graph.names[output]
        x = graph.turned_by(operator.inputs[0])
        entry = _joined(graph, operator, graph.operators[pair.reverse], pair) if pair else _single(graph, operator)
        gives[output] = name
        yield Declared(
            name, entry.kind, entry.settings, name, (gives[x],) if x in gives else (), None, "", entry.inputs
        )


def _single(graph: _Graph, operator: _Operator) -> Declared:
    inputs = _weights(graph, operator)
    return Declared("", _kind(graph, operator, inputs), _settings(graph, operator), inputs=_names(graph, inputs))


def _joined(graph: _Graph, forward: _Operator, reverse: _Operator, pair: _Pair) -> Declared:
    inputs = {f"fw_{word}": tensor for word, tensor in _weights(graph, forward).items()}
    inputs |= {f"bw_{word}": tensor for word, tensor in _weights(graph, reverse).items()}
    settings = {**_settings(graph, forward), "merge_mode": pair.merge, "directions": 2}
    kind = _kind(graph, forward, inputs).replace("UNIDIRECTIONAL", "two UNIDIRECTIONAL", 1)
    return Declared("", kind, settings, inputs=_names(graph, inputs))


def _weights(graph: _Graph, operator: _Operator) -> dict[str, int]:
    """The operator's words for its inputs → their tensors.  What a DEQUANTIZE gives out is made a tensor."""
    from ._tflite_schema import BASIC_INPUTS, INPUTS

    words = BASIC_INPUTS if operator.options.get("kernel_type") else INPUTS[operator.kind]
    found = {}
    for at, word in words.items():
        tensor = operator.inputs[at] if at < len(operator.inputs) else -1
        if tensor >= 0:
            found[word] = _dequantised(graph, tensor)
    return found


def _names(graph: _Graph, inputs: Mapping[str, int]) -> dict[str, str]:
    """Nothing where a weight is known only when the model runs, or is stored in a way that is not read."""
    if any(tensor not in graph.constants and tensor not in graph.made for tensor in inputs.values()):
        return {}
    return {word: graph.names[tensor] for word, tensor in inputs.items()}


# What makes an operator another function, by the words of its inputs.
_MARKS = (
    ("layer_norm_coefficients", "with layer norm"),
    ("projection_bias", "with a projection bias"),
    ("aux_input", "with an auxiliary input"),
)


def _kind(graph: _Graph, operator: _Operator, inputs: Mapping[str, int]) -> str:
    """``tflite.UNIDIRECTIONAL_SEQUENCE_LSTM``; with what its weights are where these are integers, and with what it has
    beside."""
    kinds = {tensor.dtype for at in inputs.values() if (tensor := graph.constants.get(at))}
    integers = sorted(kind for kind in kinds if "int" in kind)
    marks = [mark for word, mark in _MARKS if any(word in each for each in inputs)]
    name = f"tflite.{operator.kind}" + (" BASIC" if operator.options.get("kernel_type") else "")
    if integers:
        return f"{name} of {integers[-1] if 'int8' not in integers else 'int8'}"
    return f"{name} {marks[0]}" if marks else name


def _settings(graph: _Graph, operator: _Operator) -> dict[str, Any]:
    from ._tflite_schema import ACTIVATIONS

    said = {key: value for key, value in operator.options.items() if key != "kernel_type"}
    code = said.get("fused_activation_function", 0)
    said["fused_activation_function"] = ACTIVATIONS.get(code, str(code))
    for clip in ("cell_clip", "proj_clip"):
        if clip in said:
            said[clip] = said[clip] or None  # 0 is no clip
    if operator.kind.startswith("BIDIRECTIONAL"):
        said |= {"directions": 2, "merge_mode": "concat" if said.get("merge_outputs") else "apart"}
    if _turned(graph, operator.inputs[0], _time_axis(operator)) is not None:
        said["backwards"] = "in place" if operator.outputs[0] in graph.reversed else "turned"
    return said


# Which two operators are one layer.


@dataclass
class _Pair:
    reverse: int
    output: int
    merge: str


def _pairs(graph: _Graph) -> dict[int, _Pair]:
    """Forward operator → its partner: one reads x, one x turned around in time, and their outputs (the second one's
    turned back) are laid side by side, added or multiplied."""
    pairs: dict[int, _Pair] = {}
    for operator in graph.operators:
        if operator.kind not in _MERGES or len(operator.inputs) != 2 or len(operator.outputs) != 1:
            continue
        merge = _MERGES[operator.kind]
        for first, second in (operator.inputs, operator.inputs[::-1])[: 1 if merge == "concat" else 2]:
            found = _partners(graph, first, second)
            if found is not None and _along_features(operator):
                pairs[found[0]] = _Pair(found[1], operator.outputs[0], merge)
    return pairs


def _along_features(operator: _Operator) -> bool:
    return operator.kind != "CONCATENATION" or operator.options.get("axis", 0) in (2, -1)


def _partners(graph: _Graph, first: int, second: int) -> tuple[int, int] | None:
    forward = graph.makers.get(first)
    if forward is None or not graph.operators[forward].kind.startswith("UNIDIRECTIONAL_SEQUENCE"):
        return None
    one = graph.operators[forward]
    axis = _time_axis(one)
    inner = _turned(graph, second, axis)
    reverse = graph.makers.get(inner) if inner is not None else None
    if inner is None or reverse is None or graph.operators[reverse].kind != one.kind:
        return None
    other = graph.operators[reverse]
    alike = other.options == one.options and _turned(graph, other.inputs[0], axis) == one.inputs[0]
    return (forward, reverse) if alike else None


def _time_axis(operator: _Operator) -> int:
    return 0 if operator.options.get("time_major") else 1


def _turned(graph: _Graph, tensor: int, axis: int) -> int | None:
    """What a tensor is the reverse of along an axis; None where it is not."""
    maker = graph.maker(tensor)
    if maker is None or maker.kind != "REVERSE_V2" or len(maker.inputs) != 2:
        return None
    axes = graph.constants.get(maker.inputs[1])
    if axes is None or axes.size != 1 or axes.dtype != "int32":
        return None
    rank = len(graph.entries[tensor]["shape"]) or 3
    return maker.inputs[0] if int(axes.array().reshape(-1)[0]) % rank == axis else None


# Quantised constants that are plain numbers again before they are used.


def _dequantised(graph: _Graph, tensor: int) -> int:
    """The constant that a tensor is: itself, its float16 form, or what DEQUANTIZE makes of integers."""
    maker = graph.maker(tensor)
    if maker is None or maker.kind != "DEQUANTIZE" or len(maker.inputs) != 1:
        return tensor
    stored = graph.constants.get(maker.inputs[0])
    if stored is None or "int" not in stored.dtype:
        return maker.inputs[0]
    if tensor not in graph.made:
        how = graph.entries[maker.inputs[0]].get("quantisation") or {}
        graph.made[tensor] = _plain(graph.names[tensor], stored, how)
    return tensor


def _plain(name: str, stored: StoredTensor, how: Mapping[str, Any]) -> StoredTensor:
    scale, zero, axis = how.get("scale") or [1.0], how.get("zero_point") or [0], how.get("axis", 0)
    rows = stored.shape[axis] if 0 <= axis < len(stored.shape) else 1
    if len(scale) not in (1, rows) or len(zero) not in (1, rows):
        raise BrokenFile(f"has {len(scale):,} scales for {rows:,} rows.", where=f"tensor {name!r}", next=_FETCH_AGAIN)

    def opened() -> Array:
        import numpy as np

        shape = [-1 if at == axis else 1 for at in range(len(stored.shape))] if len(scale) > 1 else []
        by = np.asarray(scale, np.float32).reshape(shape)
        low = np.asarray(zero, np.float32).reshape(shape if len(zero) > 1 else [])
        made: Array = ((stored.array().astype(np.float32) - low) * by).astype(np.float32)
        made.flags.writeable = False
        return made

    return StoredTensor(
        name, "float32", stored.shape, opened, stored.where,
        made_from=f"({stored.dtype} - zero point) × scale", sources=(stored.name,),
    )  # fmt: skip


CONTAINERS = (
    Container(
        "tflite",
        title="TFLite / LiteRT model (.tflite)",
        source="tensorflow/lite/schema/schema.fbs, version 3c",
        claims=claims,
        read=read,
        magic=((4, b"TFL3"),),
        rank=22,
    ),
)
