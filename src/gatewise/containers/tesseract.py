"""Tesseract's models: ``.traineddata`` archives and the ``.lstm`` network inside one, since version 4.

Source: src/ccutil/tessdatamanager.cpp (the archive: a count, offsets, components; the network is component 17),
src/lstm/network.cpp (``CreateFromFile``), lstm.cpp, fullyconnected.cpp, plumbing.cpp, input.cpp, convolve.cpp, reconfig.cpp,
weightmatrix.cpp (``DeSerialize``, ``DeSerializeOld``), src/ccstruct/matrix.h (GENERIC_2D_ARRAY).  A network is a tree
of networks, each with its type's name; a matrix is of doubles, of floats (4.0's first files), or of bytes with a scale for
each row.  Bytes are given as what they stand for, byte times scale, when asked for.
Not known here: big-endian files, version 3's classifiers, and what stands behind the network.
"""

from __future__ import annotations

import math

from ..cursor import Cursor
from ..record import record
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._many import Names

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

# network.cpp, kTypeNames, in the order of the numbers that the first files have in place of a name.
_TYPES = (
    "Invalid", "Input", "Convolve", "Maxpool", "Parallel", "Replicated", "ParBidiLSTM", "DepParUDLSTM", "Par2dLSTM",
    "Series", "Reconfig", "RTLReversed", "TTBReversed", "XYTranspose", "LSTM", "SummLSTM", "Logistic", "LinLogistic",
    "LinTanh", "Tanh", "Relu", "Linear", "Softmax", "SoftmaxNoCTC", "LSTMSoftmax", "LSTMBinarySoftmax", "TensorFlow",
)  # fmt: skip
_PLUMBING = frozenset(
    ("Parallel", "Replicated", "ParBidiLSTM", "DepParUDLSTM", "Par2dLSTM", "Series", "RTLReversed", "TTBReversed", "XYTranspose")
)  # fmt: skip
_LSTMS = frozenset(("LSTM", "SummLSTM", "LSTMSoftmax", "LSTMBinarySoftmax"))
_CONNECTED = frozenset(
    ("Logistic", "LinLogistic", "LinTanh", "Tanh", "Relu", "Linear", "Softmax", "SoftmaxNoCTC")
)  # fmt: skip
_GATES = ("CI", "GI", "GF1", "GO", "GFS")  # lstm.h, WeightType; the last one in two dimensions only
_NETWORK = 17  # tessdatamanager.h, TESSDATA_LSTM, TESSDATA_VERSION
_VERSION = 23
_INT8, _ADAM, _DOUBLE = 1, 4, 128  # weightmatrix.cpp, the mode's bits
_LAYER_RATES = 64  # network.h, NF_LAYER_SPECIFIC_LR
_LARGEST = (1 << 16) - 1  # matrix.h refuses longer axes
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """An archive whose table fits the file, or a network whose first type has a name that is known."""
    return _archive(source) is not None or _begins_a_network(source)


def _archive(source: Source) -> list[int] | None:
    """The offsets of an archive's components, -1 for those it lacks; None where this is no archive with a network."""
    count = int.from_bytes(source.data[:4], "little")
    end = 4 + 8 * count
    if not _NETWORK < count <= 200 or len(source.data) < end:
        return None
    table = source.data[4:end]
    offsets = [int.from_bytes(table[at : at + 8], "little", signed=True) for at in range(0, 8 * count, 8)]
    there = [offset for offset in offsets if offset >= 0]
    fits = all(offset == -1 or end <= offset <= source.size for offset in offsets) and there == sorted(there)
    return offsets if fits and there[:1] == [end] and offsets[_NETWORK] > 0 else None


def _begins_a_network(source: Source) -> bool:
    head = bytes(source.data[:40])
    if head[:1] != b"\0":
        return False
    size = int.from_bytes(head[1:5], "little")
    return 4 <= size <= 20 and head[5 : 5 + size].decode("latin-1") in _PLUMBING | _LSTMS


def read(source: Source) -> Tensors:
    """The matrices of the network, as they lie or by their scales; its layers are declared by their types."""
    offsets = _archive(source)
    start, end = (0, source.size) if offsets is None else _component(offsets, _NETWORK, source.size)
    network = _Network(source, source.cursor(start, end, where="LSTM network"))
    network.read()
    return Tensors(
        network.tensors,
        path=source.name,
        container="tesseract",
        bytes=source.size,
        declared=network.declared,
        written_by=[WrittenBy("tesseract", _version(source, offsets), "a network of Tesseract's")],
        notes=network.notes,
    )


def _component(offsets: list[int], number: int, size: int) -> tuple[int, int]:
    later = [offset for offset in offsets[number + 1 :] if offset >= 0]
    return offsets[number], min(later, default=size)


def _version(source: Source, offsets: list[int] | None) -> str:
    """What the component for it says: ``4.00.00alpha:eng:synth20170629``; the release is its first part."""
    if offsets is None or len(offsets) <= _VERSION or offsets[_VERSION] < 0:
        return ">=4.0"
    start, end = _component(offsets, _VERSION, source.size)
    return bytes(source.data[start : min(end, start + 100)]).decode("latin-1").partition(":")[0].strip("v\0\n ")


@record
class _Head:
    """What every network says of itself first."""

    kind: str
    training: bool
    flags: int
    inputs: int
    outputs: int
    name: str


class _Network:
    """Walks the tree.  A layer is called by the names of the networks above it and its own."""

    def __init__(self, source: Source, cursor: Cursor):
        self.source, self.cursor = source, cursor
        self.tensors: list[StoredTensor] = []
        self.declared: list[Declared] = []
        self.notes: list[str] = []
        self._last = ""  # the LSTM that gives its outputs to the next network directly
        self._fresh = Names("_")

    def read(self) -> None:
        self._one((), False, False, 0)

    def _one(self, above: tuple[str, ...], backwards: bool, aside: bool, depth: int) -> None:
        self.source.limits.check("nesting", depth, path=self.source.name, where="LSTM network")
        head = self._head()
        if head.kind in _PLUMBING:
            self._plumbing(head, above, backwards, aside, depth)
            return
        name = self._fresh("/".join(piece for piece in (*above, head.name or head.kind) if piece))
        if head.kind in _LSTMS:
            self._lstm(head, name, backwards, aside, depth)
            return
        if head.kind in _CONNECTED:
            self._matrix(f"{name}/weights", head.training)
        elif head.kind == "Input":
            self.cursor.take(20, "bytes of a shape")
        elif head.kind in ("Convolve", "Maxpool", "Reconfig"):
            self.cursor.take(8, "bytes of a window")
        else:
            raise self.cursor.fail(
                f"a network of type {head.kind} is not known to be in such a file.", next=_FETCH_AGAIN
            )
        self._last = self._last if head.kind == "Input" else ""

    def _head(self) -> _Head:
        number = self.cursor.u8()
        kind = self._text(40) if number == 0 else _TYPES[number] if number < len(_TYPES) else "?"
        if kind not in _TYPES[1:]:
            raise self.cursor.fail(f"a network of type {kind!r} is not one of Tesseract's.", next=_FETCH_AGAIN)
        training, _backprop = self.cursor.u8(), self.cursor.u8()
        flags, inputs, outputs, _weights = (self.cursor.i32() for _ in range(4))
        if min(inputs, outputs) < 0:
            raise self.cursor.fail(f"a {kind} of {inputs} inputs and {outputs} outputs.", next=_FETCH_AGAIN)
        return _Head(kind, training == 1, flags, inputs, outputs, self._text(1000))

    def _text(self, longest: int) -> str:
        size = self.cursor.u32()
        if size > longest:
            raise self.cursor.fail(f"a name of {size:,} bytes.", next=_FETCH_AGAIN)
        return bytes(self.cursor.take(size, "bytes of a name")).decode("utf-8", "replace")

    def _plumbing(self, head: _Head, above: tuple[str, ...], backwards: bool, aside: bool, depth: int) -> None:
        """Networks one after another, beside each other, or one that sees its input turned round."""
        count = self.cursor.u32()
        if count > min(10_000, self.cursor.left):
            raise self.cursor.fail(f"{count:,} networks in a {head.kind}.", next=_FETCH_AGAIN)
        beside = head.kind not in ("Series", "RTLReversed", "TTBReversed", "XYTranspose")
        turned = head.kind in ("RTLReversed", "TTBReversed")
        start = self._last
        for _ in range(count):
            self._last = start if beside else self._last
            self._one(above, backwards != turned, aside or beside, depth + 1)
        self._last = "" if beside else self._last
        if head.flags & _LAYER_RATES:
            self.cursor.take(4 * self.cursor.u32(), "bytes of learning rates")

    def _lstm(self, head: _Head, name: str, backwards: bool, aside: bool, depth: int) -> None:
        wide = self.cursor.i32()  # the input, what is fed back, and h
        units = 0
        gates: tuple[str, ...] = _GATES[:4]
        inputs: dict[str, str] = {}
        fed = {"LSTMSoftmax": head.outputs, "LSTMBinarySoftmax": max(head.outputs - 1, 0).bit_length()}.get(
            head.kind, 0
        )
        for gate in _GATES:
            if gate not in gates:
                break
            units = self._matrix(f"{name}/{gate}", head.training)
            inputs[gate] = f"{name}/{gate}"
            if gate == "CI" and wide - fed == head.inputs + 2 * units:
                gates = _GATES
        plain = head.kind in ("LSTM", "SummLSTM") and gates != _GATES
        settings: dict[str, Any] = {
            "ni": head.inputs,
            "ns": units,
            "backwards": backwards,
            "summary": head.kind == "SummLSTM",
        }
        kind = f"tesseract.{'LSTM' if plain else head.kind if fed else 'LSTM2D'}"
        after = (self._last,) if self._last and not aside else ()
        self.declared.append(Declared(name, kind, settings, after=after, inputs=inputs))
        self._last = name if plain and head.kind == "LSTM" else ""
        if head.kind in ("LSTMSoftmax", "LSTMBinarySoftmax"):
            self._one((name,), backwards, True, depth + 1)

    # Matrices.

    def _matrix(self, name: str, training: bool) -> int:
        """One weight matrix, and past what training keeps beside it.  How many rows it has."""
        mode = self.cursor.u8()
        if mode & ~(_INT8 | _ADAM | _DOUBLE):
            raise self.cursor.fail(f"{name} is stored in the mode {mode}.", next=_FETCH_AGAIN)
        wide = "float64" if mode & _DOUBLE else "float32"
        if mode & _INT8:
            shape, data = self._array("int8")
            self._scaled(name, shape, data, wide)
        else:
            shape, data = self._array(wide)
            self.tensors.append(StoredTensor(name, wide, shape, Strided(data, storage=name), f"matrix {name}"))
        if training and not mode & _DOUBLE:
            for _ in range(2):
                self._array("float32")
        elif training and not mode & _INT8:
            for _ in range(2 if mode & _ADAM else 1):
                self._array("float64")
        return shape[0]

    def _array(self, dtype: str) -> tuple[tuple[int, int], memoryview]:
        rows, columns = self.cursor.i32(), self.cursor.i32()
        if not (0 <= rows <= _LARGEST and 0 <= columns <= _LARGEST):
            raise self.cursor.fail(f"a matrix of {rows} × {columns}.", next=_FETCH_AGAIN)
        self.cursor.take(ITEM_BYTES[dtype], "bytes of an empty element")
        return (rows, columns), self.cursor.take(math.prod((rows, columns)) * ITEM_BYTES[dtype], "bytes of a matrix")

    def _scaled(self, name: str, shape: tuple[int, int], data: memoryview, wide: str) -> None:
        """Bytes and a scale for each row.  Old scales were kept for inputs of up to 127, and stand so in the file."""
        count = self.cursor.u32()
        if count != shape[0]:
            raise self.cursor.fail(f"{name} has {shape[0]} rows and {count} scales.", next=_FETCH_AGAIN)
        scales = self.cursor.take(count * ITEM_BYTES[wide], "bytes of scales")
        factor = 1.0 if wide == "float64" else 127.0

        def compute() -> Array:
            import numpy as np

            steps = np.frombuffer(scales, "<f8" if wide == "float64" else "<f4").astype(np.float64) * factor
            array: Array = np.frombuffer(data, np.int8).reshape(shape) * steps[:, None]
            array.flags.writeable = False
            return array

        quantised = f"{name}:int8"
        self.tensors += [
            StoredTensor(
                name, "float64", shape, compute, f"matrix {name}", "bytes times the scale of their row", (quantised,)
            ),
            StoredTensor(quantised, "int8", shape, Strided(data, storage=quantised), f"matrix {name}"),
        ]


CONTAINERS = (
    Container(
        "tesseract",
        title="Tesseract .traineddata and .lstm",
        source="https://github.com/tesseract-ocr/tesseract/blob/main/src/lstm/network.cpp",
        claims=claims,
        read=read,
        rank=55,
    ),
)
