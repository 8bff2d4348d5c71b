"""Any HDF5 file as named tensors: a dataset's name is its path, ``encoder/lstm/upward/W``.

For files that no format with a meaning of its own claims: Chainer's ``save_hdf5``, NNabla's parameters, ELMo's weights, what
people write with h5py.  Reading is `_hdf5`'s; the order is HDF5's, with numbers as numbers.  Not known here: what a group
means.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import BrokenFile
from ..source import Source
from ..tensors import StoredTensor, Tensors
from . import Container
from ._hdf5_messages import SIGNATURE

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ._hdf5 import Dataset, Group


def claims(source: Source) -> bool:
    return bytes(source.data[:8]) == SIGNATURE


def read(source: Source) -> Tensors:
    from ._hdf5 import hdf5_of

    tensors, notes = hdf5_of(source).read(tensors_of)
    return Tensors(
        tensors,
        path=source.name,
        container="hdf5",
        bytes=source.size,
        notes=notes,
    )


def tensors_of(root: Group) -> tuple[list[StoredTensor], list[str]]:
    """Every dataset of numbers, in depth-first order; and notes on what is none, or lies elsewhere."""
    found: list[StoredTensor] = []
    notes: list[str] = []
    for dataset in _walk(root, notes):
        tensor = dataset.tensor(dataset.path)
        if tensor is None:
            notes.append(f"dataset {dataset.path} is no array of numbers and is left out.")
        else:
            found.append(tensor)
    root.file.source.limits.check("tensors", len(found), path=root.file.source.name, where="HDF5")
    return found, notes


def _walk(root: Group, notes: list[str]) -> Iterator[Dataset]:
    from ._hdf5 import Dataset, natural

    def members(group: Group) -> Iterator[tuple[Group, str]]:
        return ((group, name) for name in sorted(group.names(), key=natural, reverse=True))

    todo = [*members(root)]  # by name: an open dataset takes 15 KB
    seen = 0
    walked = {root.address: root.path}  # the first path to each group is its path: sharing costs nothing
    while todo:
        group, name = todo.pop()
        seen += 1
        root.file.source.limits.check("members", seen, path=root.file.source.name, where="HDF5")
        try:
            here = group.child(name)
        except BrokenFile as error:  # a link that leads elsewhere: the rest is no worse for it
            notes.append(f"{group.path}/{name} {error.message} It is left out.".lstrip("/"))
            continue
        if isinstance(here, Dataset):
            yield here
            continue
        first = walked.setdefault(here.address, here.path)
        if first != here.path:
            notes.append(f"{here.path} is the group {first} by another name.")
            continue
        todo += members(here)


CONTAINERS = (
    Container(
        "hdf5",
        title="HDF5 (any tree of datasets)",
        source="HDF5 File Format Specification 3.0",
        claims=claims,
        read=read,
        magic=((0, SIGNATURE),),
        rank=60,
    ),
)
