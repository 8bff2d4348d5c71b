"""Orbax checkpoints: folders of zarr arrays, in an OCDBT store (usual since 2023) or each in a folder of its own.

Sources: orbax/checkpoint/_src/serialization (which store and which keys), _src/metadata/tree.py (``_METADATA``: each leaf's path
in the tree).  An array's key is its path joined by dots; ``_METADATA`` tells the parts, which may have dots themselves.
A manager's folder holds numbered steps, each with items (``5/default``): of several steps the last is read.
Values that are no arrays (numbers beside arrays are arrays; texts and None are not) are not tensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ..errors import few
from ..source import Folder, Source
from ..tensors import StoredTensor, Tensors, WrittenBy
from . import Container
from ._ocdbt import MANIFEST, Store
from ._zarr import METADATA, Read, keys_of, tensor

_TREE = "_METADATA"
_PROCESS = "ocdbt.process_"  # what each process wrote, which the manifest beside it joins


def claims(source: Source) -> bool:
    """A directory with a tree's metadata, an OCDBT manifest, or zarr arrays, at its top or in items below."""
    if not source.whole:
        return False
    return any(name in source.folder for name in (_TREE, MANIFEST)) or any(
        name.rpartition("/")[2] in (_TREE, MANIFEST, *METADATA) for name in source.folder.names()
    )


def read(source: Source) -> Tensors:
    notes: list[str] = []
    items = _items(source.folder.names(), notes)
    tensors = [
        found
        for item in items
        for found in _item(source.folder.below(item), f"{item}/" if item and len(items) > 1 else "", notes)
    ]
    return Tensors(
        tensors,
        path=source.name,
        container="orbax",
        bytes=sum(tensor.nbytes for tensor in tensors),
        written_by=[WrittenBy("orbax", "", "a folder of arrays with _METADATA, or in an OCDBT store")],
        notes=notes,
    )


def _items(names: list[str], notes: list[str]) -> list[str]:
    """The folders that hold a tree each, of the last step where there are several."""
    found = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in (_TREE, MANIFEST)}
    items = sorted(item for item in found if _PROCESS not in item)
    if not items:  # arrays alone: the tree is the folder that holds them
        return [""]
    steps = sorted({int(item.split("/")[0]) for item in items if re.fullmatch(r"\d{1,18}(/.*)?", item)})
    if len(steps) > 1:
        notes.append(f"holds the steps {few(steps)}; the last is read. Name one's folder to read another.")
        items = [item for item in items if item.split("/")[0] == str(steps[-1])]
    return items


def _item(folder: Folder, prefix: str, notes: list[str]) -> Iterator[StoredTensor]:
    limits = folder.limits
    if MANIFEST in folder:
        values = Store(folder).keys
        keys: list[str] = list(values)

        def value(key: str) -> memoryview | None:
            return values[key]() if key in values else None
    else:
        keys = folder.names()
        known = set(keys)

        def value(key: str) -> memoryview | None:
            return folder.open(key).data if key in known else None

    paths = _paths(folder)
    arrays = keys_of(iter(keys))
    limits.check("tensors", len(arrays), path=folder.path)
    for key, described in arrays.items():
        if _PROCESS in key:
            continue
        raw = value(f"{key}/{described}" if key else described)
        found = tensor(
            f"{prefix}{paths.get(key) or key.replace('.', '/')}",
            described,
            raw or memoryview(b""),
            _below(value, key),
            limits,
        )
        if isinstance(found, StoredTensor):
            yield found
        else:
            notes.append(f"array {key!r} {found}")


def _below(value: Read, key: str) -> Read:
    return lambda name: value(f"{key}/{name}" if key else name)


def _paths(folder: Folder) -> dict[str, str]:
    """Key in the store → path in the tree, as ``_METADATA`` tells; nothing where it does not."""
    if _TREE not in folder:
        return {}
    raw = folder.open(_TREE).data
    folder.limits.check("header_bytes", len(raw), path=folder.path, where=_TREE)
    try:
        entries = json.loads(bytes(raw))["tree_metadata"].values()
        pieces = [[str(step["key"]) for step in entry["key_metadata"]] for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # an older or another file of that name: the keys themselves tell
    return {".".join(path): "/".join(path) for path in pieces}


CONTAINERS = (
    Container(
        "orbax",
        "Orbax folder of zarr arrays, plain or in OCDBT",
        "orbax/checkpoint/_src/serialization; tensorstore/kvstore/ocdbt/index.rst; https://zarr-specs.readthedocs.io",
        claims,
        read,
        rank=56,
        folders=True,
    ),
)
