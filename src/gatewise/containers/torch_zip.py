"""torch.save's zip files: the default since 1.6, opt-in in 1.4 and 1.5.

    <folder>/data.pkl                the object; persistent ids stand for storages
    <folder>/data/<key>              one storage each, uncompressed, so that it can be mapped
    <folder>/byteorder               "little" or "big"             not in 1.13.1, in 2.13.0
    <folder>/.format_version, .storage_alignment, .data/serialization_id    not in 1.13.1, in 2.13.0
    <folder>/version                 the archive format's, "3"

Source: torch/serialization.py, ``_save`` and ``_load``.  TorchScript archives have a constants.pkl or code besides.
The writer makes a state dict that ``torch.load(weights_only=True)`` reads, the same bytes every time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from ..errors import NotRepresentable
from ..source import Source
from ..tensors import StoredTensor, Strided, Tensors, contiguous_strides
from . import Container
from ._pickle import Record
from ._pickled import Global, Persistent, Stub
from ._torch_history import Bound, at_least, older_than, written_by
from ._torch_tensor import STORAGE_DTYPES
from ._torch_tree import Walk
from ._torch_zip import Archive, records
from ._zip import ZipWriter

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ._torch_draft import TorchDraft

# Records that came later: name → (last version measured without it, first with it).  ``script``: TorchScript's too.
_RECORDS = {
    "byteorder": ("2.0.1", "2.4.1"),
    ".data/serialization_id": ("2.0.1", "2.4.1"),
    ".format_version": ("2.4.1", "2.9.1"),
    ".storage_alignment": ("2.4.1", "2.9.1"),
}
_SCRIPT_RECORDS = ("byteorder", ".data/serialization_id")  # the others are torch.save's alone


def is_script(names: dict[str, str]) -> bool:
    """Are these records a TorchScript archive's?"""
    return "constants.pkl" in names or any(name.startswith("code/") for name in names)


def claims(source: Source) -> bool:
    names = records(source)
    return names is not None and {"data.pkl", "version"} <= names.keys() and not is_script(names)


def record_bounds(archive: Archive, script: bool = False) -> Iterator[Bound]:
    """What the records' names tell of the torch that wrote them: measured on 1.6.0 to 2.13.0, eleven versions."""
    for record in _SCRIPT_RECORDS if script else _RECORDS:
        absent, first = _RECORDS[record]
        if record in archive.records:
            yield at_least(absent, f"the archive has {record} (absent in {absent})")
        else:
            yield older_than(first, f"the archive has no {record} (there in {first})")


def _bounds(archive: Archive) -> Iterator[Bound]:
    yield Bound(True, (1, 4), "a zip archive (torch.save's default since 1.6, opt-in from 1.4)")
    yield from record_bounds(archive)
    keys = [record[5:] for record in archive.records if record.startswith("data/")]
    if not keys or not all(key.isdigit() for key in keys):
        return
    if sorted(map(int, keys)) != list(range(len(keys))):
        yield older_than("1.13.1", "storages are named by their addresses (numbered from 0 in 1.13.1)")
        return
    yield at_least("1.8.1", "storages are numbered from 0 (by their addresses in 1.8.1)")
    if "archive/data.pkl" not in archive.zip:
        yield at_least("1.12.1", 'its folder is named after the file (it was always "archive" in 1.12.1)')


def read(source: Source) -> Tensors:
    archive = Archive(source)
    met = Record()
    root = archive.unpickle("data.pkl", met)
    walk = Walk(root, archive, source.name)
    records_said = {name: archive.text(name) for name in ("version", *_RECORDS) if name in archive.records}
    return Tensors(
        walk.tensors.values(),
        path=source.name,
        container="torch-zip",
        bytes=source.size,
        declared=walk.declared,
        written_by=written_by(((m.kind, m.attributes) for m in walk.modules), _bounds(archive)),
        metadata={"tree": root, "met": met, "records": records_said},
    )


def draft(source: Source) -> TorchDraft:
    from ._torch_draft import TorchDraft  # for repair alone

    archive = Archive(source)
    return TorchDraft(archive.unpickle("data.pkl"), archive, source.path)


# The writer.

CLASSES = {dtype: name for name, dtype in STORAGE_DTYPES.items() if name != "UntypedStorage"}
_UNTYPED = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
_FOLDER = "archive"


def write(path: Path, tensors: Tensors) -> None:
    """A state dict: an OrderedDict of the tensors, row-major; tensors that are the same elements share a storage."""
    from ._pickle_write import dumps

    keys: dict[object, str] = {}
    stored: dict[str, StoredTensor] = {}
    state: OrderedDict[str, Stub] = OrderedDict()
    for name, tensor in tensors.items():
        key = keys.setdefault(_elements(tensor), str(len(keys)))
        stored.setdefault(key, tensor)
        state[name] = _rebuild(tensor, key)
    with open(path, "wb") as file:
        writer = ZipWriter(file)
        pickled = dumps(state)
        writer.add(f"{_FOLDER}/data.pkl", len(pickled), [pickled])
        writer.add(f"{_FOLDER}/byteorder", 6, [b"little"])
        for key, tensor in stored.items():
            writer.add(f"{_FOLDER}/data/{key}", tensor.nbytes, tensor.pieces())
        writer.add(f"{_FOLDER}/version", 2, [b"3\n"])
        writer.close()


def _elements(tensor: StoredTensor) -> object:
    """Equal for the same elements of the same file: two shards of one model may both have a storage ``data/0``."""
    if tensor.identity is None or not isinstance(tensor.data, Strided):
        return ("name", tensor.name)
    return (id(tensor.data.ground or tensor.data.buffer), tensor.identity)


def _rebuild(tensor: StoredTensor, key: str) -> Stub:
    """The call that torch would pickle for a plain tensor (``_rebuild_tensor_v2``, ``_v3`` for newer dtypes)."""
    hooks: OrderedDict[Any, Any] = OrderedDict()
    view = (0, tensor.shape, contiguous_strides(tensor.shape), False, hooks)
    if tensor.dtype in CLASSES:
        storage = ("storage", Global("torch", CLASSES[tensor.dtype]), key, "cpu", tensor.size)
        return Stub(Global("torch._utils", "_rebuild_tensor_v2"), (Persistent(storage), *view))
    if tensor.dtype not in _UNTYPED:
        raise NotRepresentable(f"torch has no dtype {tensor.dtype} (tensor {tensor.name!r}).")
    storage = ("storage", Global("torch.storage", "UntypedStorage"), key, "cpu", tensor.nbytes)
    dtype = Global("torch", tensor.dtype)
    return Stub(Global("torch._utils", "_rebuild_tensor_v3"), (Persistent(storage), *view, dtype))


CONTAINERS = (
    Container(
        "torch-zip",
        "PyTorch, zip archive (1.6 and later)",
        "torch/serialization.py: _save, _load",
        claims,
        read,
        write,
        suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        frameworks=("torch",),
        draft=draft,
        magic=((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
        members=("/data.pkl",),
    ),
)
