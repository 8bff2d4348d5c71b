"""Paddle's ``.pdparams`` and ``.pdopt``: a pickle of numpy arrays by name, with a table of the parameters' own names.

Source: python/paddle/framework/io.py (``_build_saved_state_dict``, ``_legacy_save``, ``_pickle_save``) and io_utils.py
(``_unpack_saved_dict``) of Paddle 3.3.  A state dict is ``{name: ndarray}`` with ``StructuredToParameterName@@``: two
names with one parameter name share its elements.  Anything else is pickled as it is, each tensor as
``tuple((parameter name, ndarray))`` or ``eval("data", {"data": ndarray})``; nothing is called here.  Protocols 2 and 3
cut arrays above 1 GiB into flat slices, which ``UnpackBigParamInfor@@`` lists.  bfloat16 is stored as uint16.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from ..errors import BrokenFile, NotRepresentable
from ..record import replace
from ..source import Source
from ..tensors import ITEM_BYTES, StoredTensor, Strided, Tensors, WrittenBy
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..tensors import Array

NAMES, SLICES = "StructuredToParameterName@@", "UnpackBigParamInfor@@"
_END = 1 << 20  # the table of names lies at the end of the file
_TORCH = b"\x8a\x0a"  # its streams of pickles begin with a long number
_HEAD = 4096
_SECOND = re.compile(r"(?P<path>(?:.*\.)?)(?:weight|bias)_[a-z]+_l(?P<layer>\d{1,6})(?:_reverse)?")
# A tensor outside a state dict, as its pickle begins: tuple of (name, array), or eval of an array.
_TENSOR = re.compile(
    rb"(?:c(?:builtins|__builtin__)\n|\x8c\x08builtins\x94)"
    rb"(?:\x8c\x05tuple\x94\x93\x94|tuple\n(?:q.)?|\x8c\x04eval\x94\x93\x94|eval\n(?:q.)?)"
    rb"[\x8cX(].{1,4096}?numpy",
    re.DOTALL,
)


def claims(source: Source) -> bool:
    """A pickle with one of Paddle's two tables, or whose first tensor is pickled as Paddle does."""
    head = bytes(source.data[:_HEAD])
    if head[:1] != b"\x80" or not 2 <= (head[1:2] or b"\0")[0] <= 5 or head[2:4] == _TORCH:
        return False
    ends = bytes(source.data[-_END:])
    return any(word.encode() in place for word in (NAMES, SLICES) for place in (ends, head)) or bool(
        _TENSOR.search(head)
    )


def read(source: Source) -> Tensors:
    """Arrays by their names; names of a tree are joined by dots.  A layer's second names are left out."""
    from ._pickle import load

    tree = load(source.cursor(where="Paddle's pickle"), source.limits)
    walk = _Walk(source)
    walk.visit(tree, "", 0)
    tensors, notes = _once_each(walk.tensors)
    notes += [f"{name} is no array of numbers and is left out." for name in walk.left_out]
    return Tensors(
        tensors, path=source.name, container="paddle-params", bytes=source.size, notes=notes,
        written_by=[WrittenBy("paddle", "", "the tables of paddle.save" if walk.tabled else "a pickle of paddle.save")],
    )  # fmt: skip


class _Walk:
    """What a tree holds: ``tensors`` by name."""

    def __init__(self, source: Source):
        self.source = source
        self.tensors: dict[str, StoredTensor] = {}
        self.left_out: list[str] = []
        self.tabled = False
        self._seen: set[int] = set()  # the first path to each container is its path: sharing costs nothing

    def visit(self, value: Any, name: str, depth: int) -> None:
        self.source.limits.check("nesting", depth, path=self.source.name, where="Paddle's pickle")
        if isinstance(value, dict | list | tuple) and not _is_named(value):
            if id(value) in self._seen:
                return
            self._seen.add(id(value))
        if isinstance(value, dict):
            self._dict(value, name, depth)
        elif isinstance(value, list | tuple) and not _is_named(value):
            for index, item in enumerate(value):
                self.visit(item, f"{name}.{index}" if name else str(index), depth + 1)
        else:
            self._tensor(value, name)

    def _dict(self, value: dict[Any, Any], name: str, depth: int) -> None:
        prefix = f"{name}." if name else ""
        for key, item in value.items():
            if isinstance(key, str) and key not in (NAMES, SLICES):
                self.visit(item, prefix + key, depth + 1)
        table, slices = value.get(NAMES), value.get(SLICES)
        self.tabled = self.tabled or table is not None or slices is not None
        for key, told in table.items() if isinstance(table, dict) else ():
            if isinstance(key, str) and isinstance(told, str) and prefix + key in self.tensors:
                self.tensors[prefix + key] = _shared(self.tensors[prefix + key], f"{name}:{told}")
        for key, how in slices.items() if isinstance(slices, dict) else ():
            self._join(prefix, key, how)

    def _tensor(self, value: Any, name: str) -> None:
        from ._pickled_numpy import array_of

        parameter, array = _pair(value)
        if not _is_object(array):
            return  # a number, a text: no tensor, and nobody looks for one there
        tensor = array_of(array, name, f"pickle, {name}")
        if tensor is None:
            self.left_out.append(name)
            return
        if tensor.dtype == "uint16":  # Paddle has no such type: this is how numpy holds its bfloat16
            tensor = replace(tensor, dtype="bfloat16")
        self.tensors[name] = _shared(tensor, name if parameter is None else f":{parameter}")

    def _join(self, prefix: str, key: Any, how: Any) -> None:
        """Put a tensor's flat slices together again."""
        shape = _shape(how.get("OriginShape")) if isinstance(how, dict) else None
        names = how.get("slices") if isinstance(how, dict) else None
        whole = f"{prefix}{key}"
        if shape is None or not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise self._broken(f"its table {SLICES} does not say how {whole!r} was cut.")
        parts = [self.tensors.pop(prefix + each, None) for each in names]
        found = [part for part in parts if part is not None]
        if len(found) != len(parts) or sum(part.size for part in found) != math.prod(shape):
            raise self._broken(f"the slices of {whole!r} are not those of a tensor of shape {list(shape)}.")
        if len({part.dtype for part in found}) != 1 or any(len(part.shape) != 1 for part in found):
            raise self._broken(f"the slices of {whole!r} are not flat pieces of one tensor.")
        self.tensors[whole] = StoredTensor(whole, found[0].dtype, shape, _joiner(found, shape), "pickle")

    def _broken(self, message: str) -> BrokenFile:
        return BrokenFile(message, path=self.source.name, where="Paddle's pickle", next="Save the model again.")


def _shared(tensor: StoredTensor, parameter: str) -> StoredTensor:
    """The tensor, as what the parameter of that name holds."""
    if not isinstance(tensor.data, Strided):
        return tensor
    return replace(tensor, data=replace(tensor.data, storage=parameter))


def _is_object(value: Any) -> bool:
    from ._pickled import Stub

    return isinstance(value, Stub)


def _is_named(value: Any) -> bool:
    """``(parameter name, array)``: a tensor outside a state dict."""
    return type(value) is tuple and len(value) == 2 and isinstance(value[0], str) and _is_object(value[1])


def _pair(value: Any) -> tuple[str | None, Any]:
    """(the parameter's own name where it is told, the array)."""
    from ._pickled import Stub

    if _is_named(value):
        return value[0], value[1]
    if isinstance(value, Stub) and value.is_a("builtins.eval", "__builtin__.eval") and len(value.args) == 2:
        given = value.args[1]
        if value.args[0] == "data" and isinstance(given, dict) and set(given) == {"data"}:
            return None, given["data"]
    return None, value


def _shape(value: Any) -> tuple[int, ...] | None:
    sizes = isinstance(value, list | tuple) and all(type(size) is int and size >= 0 for size in value)
    return tuple(value) if sizes else None


def _joiner(parts: list[StoredTensor], shape: tuple[int, ...]) -> Any:
    def join() -> Array:
        import numpy as np

        whole: Array = np.concatenate([part.array() for part in parts]).reshape(shape)
        whole.flags.writeable = False
        return whole

    return join


def _once_each(tensors: Mapping[str, StoredTensor]) -> tuple[list[StoredTensor], list[str]]:
    """Each parameter under the name of the object that holds it: ``0.cell.weight_ih``, and not also ``weight_ih_l0``,
    which the layer above calls it (wrongly where it has projections: the names are laid over one tensor too many)."""
    objects = {name.rpartition(".")[0] for name in tensors}
    further = []
    for name in tensors:
        found = _SECOND.fullmatch(name)
        if found and not objects.isdisjoint(f"{found['path']}{found['layer']}.cell{way}" for way in ("", "_fw", "_bw")):
            further.append(name)
    kept = [tensor for name, tensor in tensors.items() if name not in set(further)]
    if not further:
        return kept, []
    shown = f"{further[0]}{' …' if len(further) > 1 else ''}"
    return kept, [f"{len(further)} second name(s) of what lies in cells are left out: {shown}"]


# Writing.  Protocol 4, an opcode stream that is the same for every array, so that no tensor is copied whole.


def write(path: Path, tensors: Tensors) -> None:
    """A state dict as ``paddle.save`` writes it, without compression, tensor by tensor."""
    from ._pickled_numpy import CODES

    for tensor in tensors.values():
        if tensor.dtype != "bfloat16" and tensor.dtype not in CODES:
            raise NotRepresentable(f"tensor {tensor.name!r} is {tensor.dtype}, which Paddle has not.", path=path)
    with open(path, "wb") as file:
        file.write(b"\x80\x04}(")
        for tensor in tensors.values():
            file.writelines(_array_opcodes(tensor))
        file.write(_text(NAMES) + b"}(" + b"".join(_text(name) * 2 for name in tensors) + b"uu.")


def _array_opcodes(tensor: StoredTensor) -> Iterator[bytes | memoryview]:
    from ._pickled_numpy import CODES

    code = "u2" if tensor.dtype == "bfloat16" else CODES[tensor.dtype]
    order = _text("|" if ITEM_BYTES[tensor.dtype] == 1 else "<")
    yield _text(tensor.name)
    yield b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01("
    yield b"".join(_number(size) for size in tensor.shape) + b"t"
    yield (
        b"cnumpy\ndtype\n"
        + _text(code)
        + b"\x89\x88\x87R(K\x03"
        + order
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    yield b"\x89\x8e" + tensor.nbytes.to_bytes(8, "little")
    yield from tensor.pieces()
    yield b"tb"


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return b"X" + len(raw).to_bytes(4, "little") + raw


def _number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


CONTAINERS = (
    Container(
        "paddle-params",
        title="Paddle parameters (.pdparams)",
        source="PaddlePaddle/Paddle python/paddle/framework/io.py; files of Paddle 3.3.1",
        claims=claims,
        read=read,
        write=write,
        suffixes=(".pdparams",),
        frameworks=("paddle",),
        magic=((0, b"\x80"),),
        rank=22,
    ),
)
