"""Core ML models: ``.mlmodel``, one protocol buffer with a neural network or a pipeline, and ``.mlpackage`` directories.

Each weight of a recurrent layer is a tensor called by the layer's name and the format's own word for it; single and half
precision are views of the mapped file.  Layers in branches, loops and the models of a pipeline are found too.  The
weights of other layers are not listed.  ML Programs, which packages hold, are another language (``_coreml_mil``).
Source: ``_coreml_proto``; files of coremltools 9.0.  Not known here: quantised weights, which are named as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile, GatewiseError
from ..source import Source
from ..tensors import Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import Names

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_NEWEST = 100  # today's specification is 9
_CLIP = 50.0  # what a cellClipThreshold of 0, which is not written, stands for
_PACKAGED = "Data/com.apple.CoreML/model.mlmodel"
_BARE = "sigmoidHard"  # coremltools's builder writes it without numbers
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A specification version, a description, and then one of the kinds of model that there are."""
    from ._coreml_proto import TYPES
    from ._protobuf import BYTES_, varint

    if source.whole:
        return _PACKAGED in source.folder
    head = source.data[:3]
    if len(head) < 3 or head[0] != 1 << 3 or not 0 < head[1] < _NEWEST or head[2] not in (0x12, 0x50):
        return False
    cursor = source.cursor(2)
    try:
        while cursor.left:
            key = varint(cursor)
            if key >> 3 in TYPES:
                return key & 7 == BYTES_
            if key == 10 << 3:
                varint(cursor)
            elif key == 2 << 3 | BYTES_:
                cursor.take(varint(cursor))
            else:
                return False
    except GatewiseError:
        return False
    return False


def read(source: Source) -> Tensors:
    from ._coreml_proto import MODEL

    source = source.folder.open(_PACKAGED) if source.whole else source
    found = MODEL.read(source.cursor(where="Core ML model"), source.limits)
    reader = _Reader(source)
    reader.model(found, "")
    source.limits.check("tensors", len(reader.tensors), path=source.name, where="Core ML model")
    return Tensors(
        reader.tensors.values(),
        path=source.name,
        container="coreml",
        bytes=source.size,
        declared=reader.declared,
        written_by=[_written_by(found)],
        notes=reader.notes,
        metadata={"specification": found.get("version", 0)},
    )


def _written_by(model: Mapping[str, Any]) -> WrittenBy:
    metadata = model.get("description", {}).get("metadata", {})
    told = {entry.get("key"): entry.get("value", "") for entry in metadata.get("user", [])}
    version = told.get("com.github.apple.coremltools.version", "")
    because = "coremltools.version in its metadata" if version else f"specification version {model.get('version', 0)}"
    return WrittenBy("coreml", version, because)


class _Reader:
    """Walks the models and networks of a file."""

    def __init__(self, source: Source):
        self.source = source
        self.tensors: dict[str, StoredTensor] = {}
        self.declared: list[Declared] = []
        self.notes: list[str] = []
        self._fresh = Names()

    def model(self, model: Mapping[str, Any], path: str, depth: int = 0) -> None:
        from ._coreml_proto import MODEL, PIPELINE, WRAPPED

        limits = self.source.limits
        limits.check("nesting", depth, path=self.source.name, where="Core ML model")
        if "network" in model:
            self.network(model["network"], path, depth)
        if "program" in model:
            self._program(model["program"], path, depth)
        pipeline = model.get("pipeline")
        if "wrapped" in model:
            pipeline = WRAPPED.read(model["wrapped"], limits, depth).get("pipeline")
        if pipeline is not None:
            listed = PIPELINE.read(pipeline, limits, depth)
            for number, inner in enumerate(listed["models"]):
                name = listed["names"][number] if number < len(listed["names"]) else str(number)
                self.model(MODEL.read(inner, limits, depth), f"{path}/{name}" if path else name, depth + 1)

    def _program(self, cursor: Cursor, path: str, depth: int) -> None:
        from ._coreml_mil import Program

        program = Program(self.source, path)
        program.read(cursor, depth + 1)
        self.tensors |= program.tensors
        self.declared += program.declared

    def network(self, network: Mapping[str, Any], path: str, depth: int) -> None:
        from ._coreml_proto import INNER, LAYERS

        self.source.limits.check("nesting", depth, path=self.source.name, where="Core ML network")
        gives: dict[str, str] = {}
        for layer in network["layers"]:
            name = self._own_name(layer.get("name", ""), path)
            for kind, inner in INNER.items():
                if kind in layer:
                    for part, each in inner.read(layer[kind], self.source.limits, depth).items():
                        self.network(each, f"{name}/{part}", depth + 1)
            for kind, _ in LAYERS.values():
                if kind in layer:
                    after = gives.get(layer["input"][0], "") if layer["input"] else ""
                    self._recurrent(name, kind, layer[kind], (after,) if after else ())
                    if layer["output"]:
                        gives[layer["output"][0]] = name

    def _own_name(self, name: str, path: str) -> str:
        return self._fresh((f"{path}/{name}" if path else name) or "layer")

    def _recurrent(self, name: str, kind: str, said: Mapping[str, Any], after: tuple[str, ...]) -> None:
        params = said.get("params", said)
        sets = said.get("weightParams", [said])
        ways = ("fw_", "bw_") if kind == "BiDirectionalLSTM" else ("",)
        if len(sets) != len(ways):
            raise self._broken(f"has {len(sets)} set(s) of weights, a {kind} has {len(ways)}.", name)
        inputs: dict[str, str] = {}
        quantised = False
        for way, weights in zip(ways, sets, strict=True):
            for word, value in self._used(weights, params):
                tensor, packed = self._tensor(f"{name}.{way}{word}", value, self._shape(word, said, name))
                self.tensors[tensor.name] = tensor
                inputs[f"{way}{word}"] = tensor.name
                quantised = quantised or packed
        settings = _settings(said, params, kind)
        if _BARE in settings.values():
            self.notes.append(f"{name} has a {_BARE} without its numbers; clip(0.2 x + 0.5) is assumed.")
        full = f"quantized coreml.{_PLAIN_KINDS[kind]}" if quantised else f"coreml.{kind}"
        self.declared.append(Declared(name, full, settings, name, after, inputs={} if quantised else inputs))

    @staticmethod
    def _used(weights: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The weights that the layer looks at: without biases or peepholes where it says that it has none."""
        from ._coreml_proto import WORDS

        for word in WORDS:
            unused = word.endswith("iasVector") and not params.get("hasBiasVectors", False)
            unused = unused or (word.endswith("PeepholeVector") and not params.get("hasPeepholeVectors", False))
            if word in weights and not unused and any(weights[word].values()):
                yield word, weights[word]

    def _shape(self, word: str, said: Mapping[str, Any], name: str) -> tuple[int, ...]:
        units, features = said.get("outputVectorSize", 0), said.get("inputVectorSize", 0)
        if not units or not features:
            raise self._broken("does not say how many inputs and outputs it has.", name)
        if word.endswith("Vector"):
            return (units,)
        return (units, units) if word.lower().endswith("recursionmatrix") else (units, features)

    def _tensor(self, name: str, value: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[StoredTensor, bool]:
        """One weight, and whether it is quantised: then its bytes, which are not read further."""
        for key, dtype, size in (("floats", "float32", 4), ("halves", "float16", 2)):
            data = value.get(key)
            if key == "floats" and data:
                data = data[0] if len(data) == 1 else memoryview(b"".join(data))
            if data:
                if len(data) != size * math.prod(shape):
                    raise self._broken(f"its shape {list(shape)} of {dtype} is not {len(data):,} bytes.", name)
                return StoredTensor(name, dtype, shape, Strided(data, storage=name), "Core ML weights"), False
        packed = value.get("raw") or value.get("int8") or memoryview(b"")
        return StoredTensor(name, "uint8", (len(packed),), Strided(packed, storage=name), "Core ML weights"), True

    def _broken(self, message: str, name: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=f"layer {name!r}", next=_FETCH_AGAIN)


_PLAIN_KINDS = {"SimpleRecurrent": "RNN", "GRU": "GRU", "UniDirectionalLSTM": "LSTM", "BiDirectionalLSTM": "LSTM"}


def _settings(said: Mapping[str, Any], params: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {key: value for key, value in said.items() if isinstance(value, (bool, int, float))}
    found |= {key: value for key, value in params.items() if isinstance(value, (bool, int, float))}
    if kind.endswith("LSTM"):
        found["cellClipThreshold"] = found.get("cellClipThreshold") or _CLIP
        for flag in ("forgetBias", "coupledInputAndForgetGate"):
            found.setdefault(flag, False)
    found |= {"direction": "bidirectional" if kind == "BiDirectionalLSTM" else "forward"}
    found |= {f"activations[{at}]": _activation(each) for at, each in enumerate(said.get("activations", []))}
    reverse = {f"activations[{at}]": _activation(each) for at, each in enumerate(said.get("reverse", []))}
    differ = {key: value for key, value in reverse.items() if found.get(key) != value}
    return found | ({"reverse": reverse} if differ else {})


def _activation(said: Mapping[str, Any]) -> str:
    """``sigmoid``; ``sigmoidHard(0.2, 0.5)`` where it has numbers."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            numbers = [f"{value[key]:.7g}" for key in ("alpha", "beta") if key in value]
            return f"{name}({', '.join(numbers)})" if numbers else name
        return name
    return "none"


CONTAINERS = (
    Container(
        "coreml",
        title="Core ML model (.mlmodel, .mlpackage)",
        source="mlmodel/format/NeuralNetwork.proto of coremltools 9.0",
        claims=claims,
        read=read,
        magic=((0, b"\x08"),),
        folders=True,
        rank=24,
    ),
)
