"""NNabla's parameters: ``.h5`` of nn.save_parameters, and the same inside an ``.nnp``.

Source: python/src/nnabla/parameter.py and utils/save.py, load.py of 1.39 (each dataset has the attributes ``index`` and
``need_grad``; an .nnp is a zip archive of a network's text and ``parameter.h5``).  NNabla keeps the layers of a stack in one
parameter: ``weight_l0`` is the first layer's, ``weight`` holds the others, ``bias`` all.  They are given too as one tensor for each
layer (``weight_l1``, ``bias_l0``), which are views.  Not known here: parameters as protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import BrokenFile, GatewiseError
from ..record import replace
from ..source import Source
from ..tensors import StoredTensor, Strided, Tensors, WrittenBy, contiguous_strides
from . import Container
from ._hdf5_messages import SIGNATURE
from ._zip import looks_like_zip, zip_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ..tensors import Array
    from ._hdf5 import Bytes, Group

_FIRST, _OTHERS, _BIAS = "weight_l0", "weight", "bias"
_PROBES = 64
_MOST_LAYERS = 1000


def claims_h5(source: Source) -> bool:
    """Is the first dataset one with NNabla's attributes?"""
    from ._hdf5 import hdf5_of

    if bytes(source.data[:8]) != SIGNATURE:
        return False
    try:
        return hdf5_of(source).read(_is_nnabla, keep=True)
    except GatewiseError:
        return False


def _is_nnabla(root: Group) -> bool:
    from ._hdf5 import Dataset

    todo: list[Group] = [root]
    for _ in range(_PROBES):
        if not todo:
            return False
        group = todo.pop()
        for name in group.names()[:_PROBES]:
            try:
                member = group.child(name)
            except BrokenFile:
                continue
            if isinstance(member, Dataset):
                return all(member.has_attribute(word) for word in ("index", "need_grad"))
            todo.append(member)
    return False


def claims_nnp(source: Source) -> bool:
    """A zip archive with the parameters and a network's text."""
    if not looks_like_zip(source):
        return False
    members = zip_of(source).members
    return "parameter.h5" in members and any(name.endswith((".nntxt", "nnp_version.txt")) for name in members)


def read_h5(source: Source) -> Tensors:
    from ._hdf5 import hdf5_of

    return _tensors(hdf5_of(source), "nnabla-h5")


def read_nnp(source: Source) -> Tensors:
    from ._hdf5 import Bytes

    return _tensors(Bytes(source, zip_of(source).read("parameter.h5"), "member parameter.h5"), "nnabla-nnp")


def _tensors(file: Bytes, container: str) -> Tensors:
    from .hdf5_tree import tensors_of

    stored, notes = file.read(tensors_of)
    by_name = {tensor.name: tensor for tensor in stored}
    for tensor in list(stored):
        path, _, own = tensor.name.rpartition("/")
        prefix = f"{path}/" if path else ""
        if own == _FIRST:
            others = by_name.get(prefix + _OTHERS)
            stored += _layers(others, prefix + "weight_l{}", 1) if others else ()
            bias = by_name.get(prefix + _BIAS)
            stored += _layers(bias, prefix + "bias_l{}", 0) if bias else ()
    return Tensors(
        {tensor.name: tensor for tensor in reversed(stored)}.values(), path=file.source.name, container=container,
        bytes=file.source.size, notes=notes,
        written_by=[WrittenBy("nnabla", "", "the attributes index and need_grad of its datasets")],
    )  # fmt: skip


def _layers(whole: StoredTensor, name: str, first: int) -> Iterator[StoredTensor]:
    """A view for each index of the first axis."""
    for index in range(min(whole.shape[0], _MOST_LAYERS) if whole.shape else 0):
        yield replace(
            whole, name=name.format(first + index), shape=whole.shape[1:], data=_at(whole, index),
            made_from=f"{whole.name}[{index}]", sources=(whole.name,),
        )  # fmt: skip


def _at(whole: StoredTensor, index: int) -> object:
    if isinstance(whole.data, Strided):
        strides = whole.data.strides or contiguous_strides(whole.shape)
        return replace(whole.data, offset=whole.data.offset + index * strides[0], strides=strides[1:])

    def read() -> Array:
        part: Array = whole.array()[index]
        return part

    return read


CONTAINERS = (
    Container(
        "nnabla-h5",
        title="NNabla parameters (.h5)",
        source="sony/nnabla python/src/nnabla/parameter.py; files of NNabla 1.39.0",
        claims=claims_h5,
        read=read_h5,
        magic=((0, SIGNATURE),),
        rank=55,
    ),
    Container(
        "nnabla-nnp",
        title="NNabla model (.nnp)",
        source="sony/nnabla python/src/nnabla/utils/save.py; files of NNabla 1.39.0",
        claims=claims_nnp,
        read=read_nnp,
        magic=((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
        members=("parameter.h5",),
        rank=33,
    ),
)
