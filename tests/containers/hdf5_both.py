"""One HDF5 file, walked by either reader: everything that is asked of it, in one list."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatewise.containers import _hdf5_lib, _hdf5_plain
from gatewise.containers._hdf5 import Bytes, Dataset, Group, _texts
from gatewise.containers._hdf5_messages import NotPlain
from gatewise.cursor import DEFAULT_LIMITS
from gatewise.errors import GatewiseError
from gatewise.source import Source

OURS, THEIRS = _hdf5_plain.Plain, _hdf5_lib.Library
SIGNATURE = b"\x89HDF\r\n\x1a\n"
ATTRIBUTES = (
    "layer_names",
    "weight_names",
    "name",
    "dtype",
    "model_config",
    "backend",
    "keras_version",
    "index",
    "other",
)
REFUSED = "refused"
Row = tuple[Any, ...]


def hdf5_in(path: Path) -> bytes:
    """The HDF5 in a file: the file, or the member of an archive; nothing if there is none."""
    data = path.read_bytes()
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = next((archive.read(name) for name in archive.namelist() if name.endswith(".h5")), b"")
    return data if data[:8] == SIGNATURE else b""


def bytes_of(data: bytes) -> Bytes:
    source = Source.of(memoryview(data), Path("model.h5"), None, DEFAULT_LIMITS)  # type: ignore[arg-type]
    return Bytes(source, source.data)


def told(data: bytes, how: Any) -> list[Row]:
    """What one reader says of every object.  Raises GatewiseError, and NotPlain."""
    return bytes_of(data)._read(_everything, False, how)


def is_plain(data: bytes) -> bool:
    try:
        told(data, OURS)
    except NotPlain:
        return False
    return True


def _everything(root: Group) -> list[Row]:
    rows: list[Row] = []
    todo, seen = [root], {root.address}
    while todo:
        group = todo.pop()
        rows += _attributes(group)
        names = _or_refused(group.names)
        rows.append((group.path, "names", names))
        for name in names if names != REFUSED else ():
            member = _or_refused(functools.partial(group.child, name))
            if isinstance(member, Dataset):
                rows += [*_attributes(member), _dataset(member)]
            elif isinstance(member, Group) and member.address not in seen:
                seen.add(member.address)
                todo.append(member)
            else:
                rows.append((f"{group.path}/{name}", getattr(member, "path", member)))
    return rows


def _or_refused(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except GatewiseError:
        return REFUSED


def _attributes(found: Group | Dataset) -> list[Row]:
    asked = functools.partial(_texts, found.file, found.node, found.path)
    return [(found.path, name, _or_refused(functools.partial(asked, name))) for name in ATTRIBUTES]


def _dataset(found: Dataset) -> Row:
    tensor = _or_refused(lambda: found.tensor(found.path))
    if tensor is None or tensor == REFUSED:
        return found.path, tensor
    elements = _or_refused(lambda: tensor.array().tolist() if tensor.nbytes < 1 << 22 else None)
    return found.path, tensor.dtype, tensor.shape, repr(elements)
