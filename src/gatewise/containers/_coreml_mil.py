"""Core ML's ML Programs: operations in blocks, whose constants stand in the program or in a file of weights beside it.

Every constant of floating-point numbers is a tensor under its operation's name; those in the file of weights are views of
it.  Recurrent operations are declared with the constants that they are given, by the operation's own words.
Source: mlmodel/format/MIL.proto, converters/mil/mil/ops/defs/iOS15/recurrent.py and mlmodel/src/MILBlob/Blob (the file of
weights: for each blob a header of 64 bytes, 0xDEADBEEF, its type, its size, its place) of coremltools 9.0.
Not known here: compressed constants (constexpr_…), which are named as quantised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import BrokenFile
from ..source import Source
from ..tensors import FLOATS, ITEM_BYTES, Declared, StoredTensor, Strided
from ._protobuf import INT, LAZY, RAW, TEXT, UINT, Message

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

RECURRENT = {
    "lstm": ("weight_ih", "weight_hh", "bias", "peephole", "weight_ih_back", "weight_hh_back", "bias_back", "peephole_back"),
    "gru": ("weight_ih", "weight_hh", "bias"), "rnn": ("weight_ih", "weight_hh", "bias"),
}  # fmt: skip
_DTYPES = {1: "bool", 10: "float16", 11: "float32", 12: "float64", 13: "bfloat16", 21: "int8", 22: "int16", 23: "int32",
           24: "int64", 31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64"}  # fmt: skip
_BLOB_DTYPES = {
    1: "float16",
    2: "float32",
    3: "uint8",
    4: "int8",
    5: "bfloat16",
    6: "int16",
    7: "uint16",
    14: "int32",
    15: "uint32",
}
_SENTINEL = 0xDEADBEEF
_BESIDE = "@model_path/"
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."

_DIMENSION = Message({1: ("constant", Message({1: ("size", UINT)}))})
_TENSOR_TYPE = Message({1: ("dtype", INT), 3: ("dimensions", [_DIMENSION])})
_TENSOR = Message(
    {1: ("floats", Message({1: ("values", [RAW])})), 4: ("strings", Message({1: ("values", [TEXT])})),
     6: ("doubles", Message({1: ("values", [RAW])})), 7: ("bytes", Message({1: ("values", RAW)}))}
)  # fmt: skip
_VALUE = Message(
    {2: ("type", Message({1: ("tensor", _TENSOR_TYPE)})), 3: ("immediate", Message({1: ("tensor", _TENSOR)})),
     5: ("blob", Message({1: ("file", TEXT), 2: ("offset", UINT)}))}
)  # fmt: skip
_BINDING = Message({1: ("name", TEXT), 2: ("value", _VALUE)})
_INPUT = Message({1: ("key", TEXT), 2: ("value", Message({1: ("arguments", [_BINDING])}))})
_ATTRIBUTE = Message({1: ("key", TEXT), 2: ("value", _VALUE)})
_OPERATION = Message(
    {1: ("type", TEXT), 2: ("inputs", [_INPUT]), 3: ("outputs", [Message({1: ("name", TEXT)})]), 4: ("blocks", [LAZY]),
     5: ("attributes", [_ATTRIBUTE])}
)  # fmt: skip
_BLOCK = Message({3: ("operations", [_OPERATION])})
_FUNCTION = Message({3: ("blocks", [Message({1: ("key", TEXT), 2: ("value", LAZY)})])})
_PROGRAM = Message({2: ("functions", [Message({1: ("key", TEXT), 2: ("value", _FUNCTION)})])})


class Program:
    """Walks a program's blocks; ``tensors`` and ``declared`` are what it found."""

    def __init__(self, source: Source, path: str):
        self.source, self.path = source, path
        self.tensors: dict[str, StoredTensor] = {}
        self.declared: list[Declared] = []
        self._files: dict[str, Source] = {}
        self._constants: dict[str, Mapping[str, Any]] = {}  # output's name → its value
        self._packed: set[str] = set()  # outputs of operations that unpack compressed constants
        self._gives: dict[str, str] = {}  # output's name → the layer that gives it

    def read(self, cursor: Cursor, depth: int) -> None:
        limits = self.source.limits
        for function in _PROGRAM.read(cursor, limits, depth)["functions"]:
            for entry in function.get("value", {}).get("blocks", []):
                if "value" in entry:
                    self._block(entry["value"], depth + 1)

    def _block(self, cursor: Cursor, depth: int) -> None:
        for operation in _BLOCK.read(cursor, self.source.limits, depth)["operations"]:
            kind, outputs = operation.get("type", ""), [output.get("name", "") for output in operation["outputs"]]
            attributes = {each.get("key"): each.get("value", {}) for each in operation["attributes"]}
            if kind == "const" and outputs:
                self._constants[outputs[0]] = attributes.get("val", {})
                self._list(outputs[0])
            elif kind.startswith("constexpr"):
                self._packed.update(outputs)
            elif kind in RECURRENT:
                self._recurrent(kind, operation, _text(attributes.get("name", {})) or (outputs or [kind])[0], outputs)
            for inner in operation["blocks"]:
                self._block(inner, depth + 1)

    def _list(self, name: str) -> None:
        """A constant of floating-point numbers becomes a tensor."""
        tensor = self._tensor(self._own(name), self._constants[name])
        if tensor is not None:
            self.source.limits.check("tensors", len(self.tensors) + 1, path=self.source.name, where="ML Program")
            self.tensors.setdefault(tensor.name, tensor)

    def _own(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name

    def _tensor(self, name: str, value: Mapping[str, Any]) -> StoredTensor | None:
        kind = value.get("type", {}).get("tensor", {})
        dtype, shape = _DTYPES.get(kind.get("dtype", 0)), tuple(_sizes(kind))
        if dtype not in FLOATS or not shape:
            return None
        self.source.limits.check("rank", len(shape), path=self.source.name, where=f"constant {name!r}")
        if "blob" in value:
            data, storage = self._blob(name, value["blob"], dtype)
        else:
            data, storage = _immediate(value), name
        if math.prod(shape) * ITEM_BYTES[dtype] != len(data):
            raise self._broken(f"its shape {list(shape)} of {dtype} is not {len(data):,} bytes.", name)
        return StoredTensor(name, dtype, shape, Strided(data, storage=storage), "ML Program")

    def _blob(self, name: str, blob: Mapping[str, Any], dtype: str) -> tuple[memoryview, str]:
        file, offset = blob.get("file", "").removeprefix(_BESIDE), blob.get("offset", 0)
        if file not in self._files:
            if file not in self.source.folder:
                raise self._broken(f"its weights {file} are not there.", name)
            self._files[file] = self.source.folder.open(file)
        cursor = self._files[file].cursor(offset, where=f"blob of {name!r}")
        sentinel, kind = cursor.u32(), cursor.u32()
        if sentinel != _SENTINEL or _BLOB_DTYPES.get(kind) != dtype:
            raise self._broken(f"no {dtype} blob begins at byte {offset:,} of {file}.", name)
        size, start = cursor.u64(), cursor.u64()
        data = self._files[file].data[start : start + size]
        if len(data) != size:
            raise self._broken(f"its blob reaches past the end of {file}.", name)
        return data, f"{file} {start}"

    def _recurrent(self, kind: str, operation: Mapping[str, Any], name: str, outputs: list[str]) -> None:
        given = {each.get("key", ""): each.get("value", {}).get("arguments", []) for each in operation["inputs"]}
        inputs, packed = {}, False
        for word in RECURRENT[kind]:
            for binding in given.get(word, [])[:1]:
                source = binding.get("name", "")
                packed = packed or source in self._packed
                if source in self._constants and self._own(source) in self.tensors:
                    inputs[word] = self._own(source)
        settings = {word: self._said(binding) for word, bindings in given.items() if word not in RECURRENT[kind]
                    for binding in bindings[:1] if self._said(binding) is not None}  # fmt: skip
        settings.setdefault("direction", "forward")
        place = self._own(name)
        x = next((binding.get("name", "") for binding in given.get("x", [])), "")
        after = (self._gives[x],) if x in self._gives else ()
        full = f"quantized coreml.{kind.upper()}" if packed else f"coreml.mil.{kind}"
        self.declared.append(Declared(place, full, settings, place, after, inputs={} if packed else inputs))
        if outputs:
            self._gives[outputs[0]] = place

    def _said(self, binding: Mapping[str, Any]) -> str | float | None:
        """A setting: a word or a number, given by a constant or on the spot."""
        value = binding.get("value") or self._constants.get(binding.get("name", "")) or {}
        raw = _immediate(value)
        if _DTYPES.get(value.get("type", {}).get("tensor", {}).get("dtype", 0)) == "float32" and len(raw) == 4:
            return float(memoryview(raw).cast("f")[0])
        return _text(value) or None

    def _broken(self, message: str, name: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where=f"constant {name!r}", next=_FETCH_AGAIN)


def _sizes(kind: Mapping[str, Any]) -> Iterator[int]:
    for dimension in kind.get("dimensions", []):
        yield dimension.get("constant", {}).get("size", 0)


def _immediate(value: Mapping[str, Any]) -> memoryview:
    """The bytes of a value that stands in the program itself."""
    tensor = value.get("immediate", {}).get("tensor", {})
    pieces = tensor.get("floats", tensor.get("doubles", {})).get("values") or []
    if len(pieces) == 1:
        return memoryview(pieces[0])
    return memoryview(b"".join(pieces)) if pieces else memoryview(tensor.get("bytes", {}).get("values") or b"")


def _text(value: Mapping[str, Any]) -> str:
    strings = value.get("immediate", {}).get("tensor", {}).get("strings", {}).get("values") or []
    return str(strings[0]) if strings else ""
