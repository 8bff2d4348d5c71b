"""OpenVINO's ``.xml``: layers, ports and edges, read by events, and the constants that a graph computes from constants.

Only what the XML itself says is read: a document type, an entity or a processing instruction is refused, elements are
counted.  A value is a stored constant or what a few operators that move numbers make of such; its shape is what the
graph's own port says, and its elements are computed when somebody asks, and held against that shape.
Source: OpenVINO's "Intermediate Representation" and operation specifications opset1 to opset15; files of 2026.4.1.
Not known here: cells and gates, and IR before version 10.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import BrokenFile, LimitExceeded
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, numpy_dtype
from ._many import Names
from ._openvino_rules import RULES, Call, Rule, whole

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

TYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "boolean": "bool",
}  # fmt: skip
_PRECISIONS = {"FP64": "f64", "FP32": "f32", "FP16": "f16", "BF16": "bf16", "BOOL": "boolean"}
_GROWTH, _SPARE = 4, 1 << 20  # a computed value has at most so many times the weights' bytes, and so many beside
_DEEPEST, _LONGEST_NUMBER = 100, 100
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


@dataclass
class Port:
    number: int
    precision: str
    dims: list[int] = field(default_factory=list)


@dataclass
class Layer:
    number: str
    name: str
    kind: str
    version: str
    data: dict[str, str] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    net: Net | None = None
    backwards: bool = False  # a loop that goes through an input from its end
    blobs: bool = False  # weights as IR before version 10 kept them
    _places: dict[int, int] | None = None

    def place_of(self, port: int) -> int | None:
        """Which of its outputs has that number; the first, where several have."""
        if self._places is None:
            self._places = {each.number: at for at, each in reversed(list(enumerate(self.outputs)))}
        return self._places.get(port)


@dataclass
class Net:
    """A graph: the model's own, or the body of a loop."""

    owner: Layer | None = None
    layers: dict[str, Layer] = field(default_factory=dict)
    edges: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)  # (layer, its input) ← (layer, output)

    @property
    def path(self) -> str:
        return "" if self.owner is None else self.owner.name


@dataclass
class Model:
    name: str
    version: int
    nets: list[Net]
    runtime: str = ""


# The XML.


def parse(source: Source) -> Model:
    """Raises BrokenFile, LimitExceeded."""
    from xml.parsers import expat

    source.limits.check("header_bytes", source.size, path=source.name, where="XML")
    reader = _Reader(source)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = reader.refused
    try:
        parser.Parse(bytes(source.data), True)
    except expat.ExpatError as error:
        raise BrokenFile(f"is not sound XML: {error}.", path=source.name, where="XML", next=_FETCH_AGAIN) from None
    return reader.model()


class _Reader:
    """Follows the parser's events."""

    def __init__(self, source: Source):
        self.source = source
        self._open: list[str] = []
        self._nets: list[Net] = []
        self._within: list[Net] = []
        self._layers: list[Layer] = []
        self._ports: list[Port] | None = None
        self._count = 0
        self._text = ""
        self._root: Mapping[str, str] = {}
        self._runtime = ""

    def refused(self, *_told: Any) -> None:
        raise BrokenFile(
            "has a document type, an entity or an instruction, which a model has not.", path=self.source.name, where="XML",
            next="gatewise reads what OpenVINO writes, and nothing that XML could do beside.",
        )  # fmt: skip

    def start(self, tag: str, said: dict[str, str]) -> None:
        self._open.append(tag)
        self._count += 1
        self._text = ""
        self.source.limits.check("objects", self._count, path=self.source.name, where="XML")
        self.source.limits.check("nesting", len(self._open), path=self.source.name, where="XML")
        if len(self._open) == 1:
            self._root = {"": tag, **said}
        opened = getattr(self, f"_start_{tag.replace('-', '_')}", None)
        if opened is not None:
            opened(said)

    def text(self, text: str) -> None:
        if self._open and self._open[-1] == "dim" and len(self._text) < _LONGEST_NUMBER:
            self._text += text

    def end(self, tag: str) -> None:
        self._open.pop()
        if tag == "layers":
            self._within.pop()
        elif tag == "layer" and self._layers:
            self._layers.pop()
        elif tag in ("input", "output"):
            self._ports = None
        elif tag == "dim" and self._ports:
            self._ports[-1].dims.append(whole(self._text, -1))

    def _start_layers(self, _said: Mapping[str, str]) -> None:
        net = Net(self._layers[-1] if self._layers else None)
        self._nets.append(net)
        self._within.append(net)

    def _start_layer(self, said: Mapping[str, str]) -> None:
        if not self._within:
            raise self._broken("a layer lies outside of any graph.")
        net = self._within[-1]
        layer = Layer(said.get("id", ""), said.get("name", ""), said.get("type", ""), said.get("version", ""), net=net)
        if layer.number in net.layers:
            raise self._broken(f"two layers have the id {layer.number}.")
        net.layers[layer.number] = layer
        self._layers.append(layer)

    def _start_data(self, said: dict[str, str]) -> None:
        if self._layers and self._open[-2:-1] == ["layer"]:
            self._layers[-1].data = said

    def _start_blobs(self, _said: Mapping[str, str]) -> None:
        if self._layers:
            self._layers[-1].blobs = True

    def _start_input(self, said: Mapping[str, str]) -> None:
        if self._layers and self._open[-2:-1] == ["layer"]:
            self._ports = self._layers[-1].inputs
        elif self._layers and "port_map" in self._open and whole(said.get("stride"), 1) < 0:
            self._layers[-1].backwards = True

    def _start_output(self, _said: Mapping[str, str]) -> None:
        if self._layers and self._open[-2:-1] == ["layer"]:
            self._ports = self._layers[-1].outputs

    def _start_port(self, said: Mapping[str, str]) -> None:
        if self._ports is not None:
            self._ports.append(Port(whole(said.get("id"), -1), said.get("precision", "")))

    def _start_edge(self, said: Mapping[str, str]) -> None:
        # Edges follow the layers of their graph: the last one closed below the layer that is still open.
        owner = self._layers[-1] if self._layers else None
        net = next((net for net in reversed(self._nets) if net.owner is owner), None)
        if net is None or "back_edges" in self._open:
            return
        to = (said.get("to-layer", ""), whole(said.get("to-port"), -1))
        net.edges[to] = (said.get("from-layer", ""), whole(said.get("from-port"), -1))

    def _start_info(self, said: Mapping[str, str]) -> None:
        if said.get("name") == "OpenVINO Runtime":
            self._runtime = said.get("value", "")

    def _start_Runtime_version(self, said: Mapping[str, str]) -> None:  # noqa: N802  IR 11 of 2022 and 2023
        self._runtime = self._runtime or said.get("value", "")

    def model(self) -> Model:
        if self._root.get("") != "net" or not self._nets:
            raise self._broken(f"is XML of a {self._root.get('', 'nothing')!r}, not OpenVINO's net with layers.")
        return Model(self._root.get("name", ""), whole(self._root.get("version"), 0), self._nets, self._runtime)

    def _broken(self, message: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where="XML", next=_FETCH_AGAIN)


# Constants.


class Weights:
    """The ``.bin``: every constant, and the computed values that were asked for."""

    def __init__(self, model: Model, binary: Source):
        self.binary = binary
        self.tensors: dict[str, StoredTensor] = {}
        self._fresh = Names()
        self._listed: dict[int, str] = {}  # computed values; they live as long as _by_port
        self._by_port: dict[tuple[int, str, int], StoredTensor | None] = {}
        for net in model.nets:
            for layer in net.layers.values():
                if layer.kind == "Const":
                    self._by_port[id(net), layer.number, _port(layer)] = self._constant(layer, net)

    def value(self, net: Net, layer: str, port: int, depth: int = 0) -> StoredTensor | None:
        """What an output port gives, where that is known before a run; None otherwise."""
        key = (id(net), layer, port)
        if key not in self._by_port:
            self._by_port[key] = None  # what a cycle finds
            self._by_port[key] = self._made(net, net.layers.get(layer), port, depth + 1)
        return self._by_port[key]

    def given(self, net: Net, layer: Layer, index: int, depth: int = 0) -> StoredTensor | None:
        """What a layer's input is given."""
        if index >= len(layer.inputs):
            return None
        source = net.edges.get((layer.number, layer.inputs[index].number))
        return None if source is None else self.value(net, *source, depth)

    def _constant(self, layer: Layer, net: Net) -> StoredTensor | None:
        where = f"layer {layer.name!r}"
        dtype = TYPES.get(layer.data.get("element_type", ""))
        shape = _shape(layer.data.get("shape", ""))
        offset, size = (whole(layer.data.get(key), -1) for key in ("offset", "size"))
        if dtype is None or shape is None:
            return None  # strings, and integers of less than a byte
        self.binary.limits.check("rank", len(shape), path=self.binary.path, where=where)
        if offset < 0 or offset + size > self.binary.size:
            raise BrokenFile(
                f"lies at bytes {offset:,} to {offset + size:,} of the weights, which have {self.binary.size:,}.",
                path=self.binary.path, where=where, next="Fetch the .bin again; it belongs to this .xml.",
            )  # fmt: skip
        if math.prod(shape) * ITEM_BYTES[dtype] != size:
            raise BrokenFile(
                f"its shape {list(shape)} of {dtype} is not {size:,} bytes.", path=self.binary.path, where=where,
                next=_FETCH_AGAIN,
            )  # fmt: skip
        data = Strided(self.binary.data[offset : offset + size], storage=str(offset))
        return self._put(StoredTensor(_named(layer, net), dtype, shape, data, f"byte {offset}"))

    def listed(self, value: StoredTensor) -> str:
        """The name under which a value is among the tensors; a computed one is put there when it is first asked for."""
        if self.tensors.get(value.name) is value:
            return value.name
        if id(value) not in self._listed:
            self._listed[id(value)] = self._put(value).name
        return self._listed[id(value)]

    def _put(self, tensor: StoredTensor) -> StoredTensor:
        name = self._fresh(tensor.name)
        self.tensors[name] = tensor.renamed(name)
        return self.tensors[name]

    def _made(self, net: Net, layer: Layer | None, port: int, depth: int) -> StoredTensor | None:
        if layer is None or depth > _DEEPEST or layer.kind not in RULES:
            return None
        rule, needed = RULES[layer.kind]
        inputs = [self.given(net, layer, index, depth) for index in range(len(layer.inputs))][:needed]
        output = layer.place_of(port)
        if output is None or not inputs or None in inputs or min(layer.outputs[output].dims, default=0) < 0:
            return None
        found = layer.outputs[output]
        values = [value for value in inputs if value is not None]
        dtype = TYPES.get(_PRECISIONS.get(found.precision, found.precision.lower()))
        if dtype is None:
            return None
        if layer.kind == "Convert" and (values[0].dtype, dtype) in _COMPRESSED:
            return values[0]  # the numbers as the file keeps them
        return self._computed(net, layer, output, dtype, values, rule)

    def _computed(
        self, net: Net, layer: Layer, output: int, dtype: str, values: Sequence[StoredTensor], rule: Rule
    ) -> StoredTensor:
        shape = tuple(layer.outputs[output].dims)
        asked = math.prod(shape) * ITEM_BYTES[dtype]
        if asked > _GROWTH * self.binary.size + _SPARE:
            raise LimitExceeded(
                f"makes a constant of {asked:,} bytes, and the weights have {self.binary.size:,}.",
                path=self.binary.path, where=f"layer {layer.name!r}", next="A file of this kind is broken or hostile.",
            )  # fmt: skip

        def opened() -> Array:
            made = rule(Call(layer.data, shape, output), [_plain(value) for value in values])
            if made.shape != shape:
                raise BrokenFile(
                    f"its {layer.kind} makes {list(made.shape)} where the graph says {list(shape)}.",
                    path=self.binary.path, where=f"layer {layer.name!r}", next=_FETCH_AGAIN,
                )  # fmt: skip
            made = made.astype(numpy_dtype(dtype))
            made.flags.writeable = False
            return made

        name = _named(layer, net) + (f".{output}" if len(layer.outputs) > 1 else "")
        sources = tuple(dict.fromkeys(leaf for value in values for leaf in value.sources or (value.name,)))
        floats = tuple(source for source in sources if "int" not in self.tensors[source].dtype)
        return StoredTensor(name, dtype, shape, opened, "computed", f"{layer.kind} of {', '.join(floats)}", floats)


_COMPRESSED = {("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32")}


def _plain(value: StoredTensor) -> Array:
    """The elements; half precision widened, as the Convert that was passed over does."""
    array = value.array()
    return array.astype("float32") if value.dtype in ("float16", "bfloat16") else array


def _port(layer: Layer) -> int:
    return layer.outputs[0].number if layer.outputs else 0


def _named(layer: Layer, net: Net) -> str:
    name = layer.name or layer.number
    return f"{net.path}/{name}" if net.path else name


def _shape(text: str) -> tuple[int, ...] | None:
    sizes = [whole(piece.strip(), -1) for piece in text.split(",")] if text.strip() else []
    return None if min(sizes, default=0) < 0 else tuple(sizes)


def layers_of(model: Model, kinds: Mapping[str, Any]) -> Iterator[Layer]:
    """Every layer of these kinds, in the file's order, those of loops' bodies where the loop ends."""
    for net in model.nets:
        for layer in net.layers.values():
            if layer.kind in kinds:
                yield layer
