"""ONNX models: one protocol buffer with a graph, its initializers in it or in files beside it.

Source: onnx/onnx.proto and docs/IR.md of ONNX 1.23.  Tensors keep the file's names; in a branch or a body whose names
another one uses too, the path of its nodes stands before them.  Every LSTM, GRU and RNN node is declared with its
attributes and with the tensors that it is given, whatever they are called; where the graph makes these from stored ones
by moving numbers (``_onnx_fold``), the made tensor is listed and says from which.
Not known here: the meaning of the numbers; tensors of strings or of less than a byte; onnxruntime's own .ort files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..cursor import Cursor
from ..errors import GatewiseError
from ..source import Source
from ..tensors import FLOATS, StoredTensor, Tensors, WrittenBy
from . import Container, later
from ._many import Names
from ._onnx_declared import Recurrent, recurrent
from ._onnx_graph import Model, Scope
from ._onnx_proto import MODEL
from ._protobuf import BYTES_, VARINT, fields

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_TOP = {1: VARINT, 2: BYTES_, 3: BYTES_, 4: BYTES_, 5: VARINT, 6: BYTES_, 7: BYTES_, 8: BYTES_, 14: BYTES_, 20: BYTES_,
        25: BYTES_, 26: BYTES_}  # fmt: skip
_IN_GRAPH = frozenset(number << 3 | BYTES_ for number in (1, 2, 5, 10, 11, 12, 13, 14, 15, 16))
_NEWEST_IR = 100  # today's is 13; nothing else that begins so has a small number here
_MANY = 16  # constants of whole numbers up to so many elements are axes and shapes, not weights
# Who wrote it, where the producer is a framework that gatewise knows under another name.
_PRODUCERS = {"pytorch": "torch", "tf2onnx": "tensorflow", "keras2onnx": "keras", "onnx-mxnet": "mxnet", "cntk": "cntk"}


def claims(source: Source) -> bool:
    """An IR version, then only fields that a model has, up to a graph that begins as one; or a folder with one model."""
    if source.whole:
        return bool(_inside(source))
    head = source.data[:2]
    if len(head) < 2 or head[0] != 1 << 3 or not 0 < head[1] < _NEWEST_IR:
        return False
    cursor = source.cursor()
    try:
        for number, wire, value in fields(cursor):
            if _TOP.get(number) != wire:
                return False
            if number == 7:
                return len(value) == 0 or value[0] in _IN_GRAPH
    except GatewiseError:  # cut inside the graph: its reader says so
        at = cursor.at
        return at > 2 and at < source.size and source.data[at] in _IN_GRAPH and _was_graph(source, at)
    return False


def _inside(source: Source) -> str:
    """The one ONNX model in a folder or a packed one (as the ONNX model zoo gives them); "" where there is not one."""
    try:
        names = [
            name
            for name in source.folder.names()
            if name.endswith(".onnx") and not name.rpartition("/")[2].startswith(".")
        ]
    except GatewiseError:
        return ""
    return names[0] if len(names) == 1 else ""


def _was_graph(source: Source, at: int) -> bool:
    """Does the field whose content begins at ``at`` have the graph's key?"""
    start = at - 1
    while start > 0 and source.data[start - 1] >= 0x80:
        start -= 1
    return start > 0 and source.data[start - 1] == 7 << 3 | BYTES_


def read(source: Source) -> Tensors:
    """The graph's structure and the tensors' headers; the elements stay in the file."""
    if source.whole:
        source = source.folder.open(_inside(source))
    cursor = source.cursor(where="ONNX model")
    found = MODEL.read(cursor, source.limits)
    if "graph" not in found:
        raise cursor.fail("has no graph.", next="The file is cut or damaged; fetch it again.")
    found["graph"] = Cursor(found["graph"].data, path=source.name, where="ONNX graph", base=found["graph"].base)
    model = Model(source, found, recurrent)
    listing = Listing()
    for scope, tensor in _in_order(model):
        listing.add(scope, tensor)
    said = Recurrent(model, listing)
    declared = list(said.declared())
    return Tensors(
        listing.tensors(),
        path=source.name,
        container="onnx",
        bytes=source.size,
        declared=declared,
        written_by=_written_by(found, model.opsets),
        notes=[*_missing(model), *_brief(model.unread), *said.notes],
    )


def _in_order(model: Model) -> Iterator[tuple[Scope, StoredTensor]]:
    """Every initializer, then the constants that are no axes or shapes."""
    yield from model.initializers
    for scope, tensor in model.constants:
        if tensor.dtype in FLOATS or tensor.size > _MANY:
            yield scope, tensor


class Listing:
    """The file's tensors under names that are theirs alone."""

    def __init__(self) -> None:
        self._named: dict[str, StoredTensor] = {}
        self._fresh = Names()
        self._names: dict[int, str] = {}  # of the tensor or value whose id this is
        self._kept: list[Any] = []

    def add(self, scope: Scope, tensor: StoredTensor) -> str:
        """The name under which a stored tensor is listed."""
        return self.put(tensor, scope.path, tensor)

    def put(self, thing: Any, path: str, tensor: StoredTensor) -> str:
        """List ``tensor`` for ``thing`` (itself, or the value that it is), once."""
        if id(thing) not in self._names:
            name = self._fresh(tensor.name, path)
            self._names[id(thing)] = name
            self._named[name] = tensor if name == tensor.name else tensor.renamed(name)
            self._kept.append(thing)  # so that its id stays its own
        return self._names[id(thing)]

    def tensors(self) -> Iterator[StoredTensor]:
        return iter(self._named.values())


def _written_by(found: Mapping[str, Any], opsets: Mapping[str, int]) -> list[WrittenBy]:
    producer, version = found.get("producer_name", ""), found.get("producer_version", "")
    said = f"IR version {found.get('ir_version')}, opset {opsets.get('', 1)}"
    if not producer:
        return [WrittenBy("onnx", "", said)]
    framework = _PRODUCERS.get(producer.lower(), producer)
    return [WrittenBy("onnx", "", said), WrittenBy(framework, version, f"the producer is {producer} {version}".strip())]


def _missing(model: Model) -> Iterator[str]:
    for location in model.reader.missing:
        yield f"the weights lie in {location}, which is not beside the model: shapes are known, numbers are not."


def _brief(sentences: list[str], most: int = 5) -> list[str]:
    rest = len(sentences) - most
    return sentences[:most] + ([f"{rest} more tensors are left out."] if rest > 0 else [])


def stands_for(path: Path) -> Path | None:
    """``model.onnx`` for the external data that exporters put beside it (``model.onnx.data``, ``model.onnx_data``)."""
    for tail in (".data", "_data"):
        if path.name.endswith(f".onnx{tail}"):
            return path.with_name(path.name.removesuffix(tail))
    return None


CONTAINERS = (
    Container(
        "onnx",
        title="ONNX model",
        source="https://github.com/onnx/onnx/blob/main/docs/IR.md",
        claims=claims,
        read=read,
        write=later("._onnx_write", "write"),
        suffixes=(".onnx",),
        naming="inputs",
        frameworks=("onnx",),
        tells=True,
        options=("batch_first",),
        stands_for=stands_for,
        magic=((0, b"\x08"),),
        folders=True,
        rank=60,
    ),
)
