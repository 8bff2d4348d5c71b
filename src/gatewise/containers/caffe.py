"""Caffe's ``.caffemodel``: a protocol buffer of layers, each with its blobs.

Source: BVLC/caffe src/caffe/proto/caffe.proto (NetParameter, LayerParameter, BlobProto, BlobShape).  A layer is declared
by its type, its blobs by their numbers; what a blob is to a layer, only the layer knows.
Not known here: the layers of V1LayerParameter (before 2015), which had none that is recurrent; HDF5 snapshots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..errors import BrokenFile
from ..source import Source
from ..tensors import ITEM_BYTES, Declared, StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._protobuf import INT, RAW, TEXT, Message

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_BLOB = Message({
    1: ("num", INT), 2: ("channels", INT), 3: ("height", INT), 4: ("width", INT), 5: ("floats", [RAW]),
    7: ("shape", Message({1: ("dims", [INT])})), 8: ("doubles", [RAW]),
})  # fmt: skip
_LAYER = Message(
    {1: ("name", TEXT), 2: ("type", TEXT), 3: ("bottoms", [TEXT]), 4: ("tops", [TEXT]), 7: ("blobs", [_BLOB])}
)
_NET = Message({1: ("name", TEXT), 100: ("layers", [_LAYER])})
_LAYER_KEY = b"\xa2\x06"  # field 100 with a length
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


def claims(source: Source) -> bool:
    """A net's name, if it has one, and then a layer, which begins with its own name."""
    head = bytes(source.data[:300])
    if head[:1] == b"\x0a" and len(head) > 2 and head[1] < 0x80:
        head = head[2 + head[1] :]
    if head[:2] != _LAYER_KEY:
        return False
    at = 2
    while at < len(head) and head[at] & 0x80:
        at += 1
    return head[at + 1 : at + 2] == b"\x0a"


def read(source: Source) -> Tensors:
    """The blobs as views of the mapped file."""
    net = _NET.read(source.cursor(where="Caffe net"), source.limits)
    makers: dict[str, str] = {}  # what is computed → the last layer that does
    tensors: list[StoredTensor] = []
    declared: list[Declared] = []
    for number, layer in enumerate(net["layers"]):
        name = layer.get("name") or f"layer_{number}"
        blobs = list(_blobs(name, layer["blobs"], source))
        after = tuple(dict.fromkeys(makers[bottom] for bottom in layer["bottoms"][:1] if bottom in makers))
        makers |= dict.fromkeys(layer["tops"], name)
        if blobs:
            tensors += blobs
            words = {str(at): blob.name for at, blob in enumerate(blobs)}
            declared.append(
                Declared(name, f"caffe.{layer.get('type')}", {"blobs": len(blobs)}, after=after, inputs=words)
            )
    return Tensors(
        tensors,
        path=source.name,
        container="caffe",
        bytes=source.size,
        declared=declared,
        written_by=[WrittenBy("caffe", "", "a NetParameter of layers")],
    )


def _blobs(layer: str, blobs: list[Mapping[str, Any]], source: Source) -> Iterator[StoredTensor]:
    for number, blob in enumerate(blobs):
        name = f"{layer}/{number}"
        shape = tuple(blob["shape"]["dims"]) if "shape" in blob else _old_shape(blob)
        source.limits.check("rank", len(shape), path=source.name, where=f"blob {name}")
        dtype, pieces = ("float64", blob["doubles"]) if blob["doubles"] else ("float32", blob["floats"])
        data = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
        if min(shape, default=0) < 0 or len(data) != math.prod(shape) * ITEM_BYTES[dtype]:
            raise BrokenFile(
                f"{name} {list(shape)} of {dtype} has {len(data):,} bytes.", path=source.name, next=_FETCH_AGAIN
            )
        yield StoredTensor(name, dtype, shape, Strided(data, storage=name), f"blob {name}")


def _old_shape(blob: Mapping[str, Any]) -> tuple[int, ...]:
    """The four sizes that blobs had before they had shapes; those that say nothing are left out."""
    sizes = [blob.get(axis, 1) for axis in ("num", "channels", "height", "width")]
    while len(sizes) > 1 and sizes[0] == 1:
        sizes.pop(0)
    return tuple(sizes)


CONTAINERS = (
    Container(
        "caffe",
        title="Caffe .caffemodel",
        source="https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto",
        claims=claims,
        read=read,
        magic=((0, b"\x0a"), (0, _LAYER_KEY)),
        rank=42,
    ),
)
