"""Plain pickles: ``pickle.dump`` of dicts of numpy or jax arrays, and whatever else holds arrays.

Haiku's parameters, flax trees, g2pm's and other hand-made exports, Jittor's and Paddle's files are such.  The pickle is
interpreted by the closed machine and nothing of it runs; see :mod:`._pickle`.  Several pickles one after another (several
calls of dump into one file) are read as a list.  Torch tensors that were pickled without torch.save are read too: their
storages are torch's stream of pickles inside bytes (torch/storage.py, ``_load_from_bytes``).
Jittor ends its files with the SHA-1 of the pickle and eight letters (seen in files of 1.3.11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import UnknownContainer
from ..record import replace
from ..source import Source
from ..tensors import StoredTensor, Strided, Tensors, WrittenBy
from . import Container
from ._pickle import Record, load
from ._pickled import Global, Persistent, Stub, raw_bytes
from ._pickled_numpy import array_of
from ._plain_tree import walk

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ._torch_tree import Walk

_HEAD = re.compile(
    # Protocols 2 to 5, and from 4 on usually a FRAME; then an opcode with which an object may begin.
    rb"\x80[\x02-\x05](?:\x95.{6}\x00\x00)?[(\])}cCBX\x8c\x8d\x8eNKMJGU\x88\x89\x8f\x96]"
    # Protocols 0 and 1 have no magic: what Python 2's pickle and cPickle write for a dict, a list, an array, an object.
    rb"|\((?:d|l)p[01]\n|[}\]]q[\x00\x01](?:\(|[Uc])"
    rb"|c(?:numpy\.core\.multiarray\n_reconstruct|collections\nOrderedDict|copy_reg\n_reconstructor)\n",
    re.DOTALL,
)
_JITTOR_END = b"HCAJSLHD"
_PADDLE_KEY = "StructuredToParameterName@@"
_MOST_PICKLES = 1000


def claims(source: Source) -> bool:
    """Does it begin as a pickle does?  Asked after everything whose files begin with a pickle too."""
    return _HEAD.match(bytes(source.data[:32])) is not None


def read(source: Source) -> Tensors:
    met = Record()
    roots, left = _pickles(source, met)
    root = roots[0] if len(roots) == 1 else roots
    jittor = bytes(left[-len(_JITTOR_END) :]) == _JITTOR_END
    notes = [f"{len(left):,} bytes behind the last pickle are not read."] if left and not jittor else []
    torch = _torch_walk(root, met, source) if any(_package(name) == "torch" for name in met.names) else None
    tensors = list(torch.tensors.values()) if torch else _arrays(root, source)
    if not tensors:
        raise UnknownContainer(
            "is a pickle, and holds no array.", path=source.name, next="Name the file in which the weights are."
        )
    return Tensors(
        tensors,
        path=source.name,
        container="pickle",
        bytes=source.size,
        declared=torch.declared if torch else (),
        written_by=_written_by(root, met, jittor),
        notes=notes,
        metadata={"tree": root, "met": met},
    )


def _pickles(source: Source, met: Record) -> tuple[list[Any], memoryview]:
    """Every pickle in the file, and the bytes behind the last."""
    cursor = source.cursor(where="pickle")
    roots = [load(cursor, source.limits, met)]
    while cursor.left and len(roots) < _MOST_PICKLES and _HEAD.match(bytes(cursor.data[cursor.at : cursor.at + 32])):
        roots.append(load(cursor, source.limits, met))
    return roots, cursor.data[cursor.at :]


def _arrays(root: object, source: Source) -> list[StoredTensor]:
    numbers: dict[int, int] = {}

    def leaf(value: object, name: str) -> StoredTensor | None:
        found = array_of(value, name, "inside the pickle")
        if found is None or not isinstance(found.data, Strided):
            return found
        storage = str(numbers.setdefault(id(value), len(numbers)))  # an array met twice is one array with two names
        return replace(found, data=replace(found.data, storage=storage))

    return walk(root, leaf, source.limits, source.name)


# Who wrote it.


def _package(name: Global) -> str:
    return name.module.partition(".")[0]


_WRITERS = ("flax", "haiku", "equinox", "optax", "jax", "jittor", "paddle", "torch")


def _written_by(root: object, met: Record, jittor: bool) -> Iterator[WrittenBy]:
    if isinstance(root, dict) and _PADDLE_KEY in root:
        yield WrittenBy("paddle", ">=2.0", f"the pickle holds {_PADDLE_KEY!r}")
    if jittor:
        yield WrittenBy("jittor", "", f"the file ends with a checksum and {_JITTOR_END.decode()}")
    first = {package: name for name in reversed(met.names) if (package := _package(name)) in _WRITERS}
    for package in _WRITERS:
        if package in first and not (jittor and package == "jittor"):
            yield WrittenBy(package, "", f"the pickle names {first[package]}")
    if any(name.module.startswith("numpy._core") for name in met.names):
        yield WrittenBy("numpy", ">=2", "the pickle names numpy._core")


# Writing: Haiku's parameters.


def write(path: Path, tensors: Tensors) -> None:
    """``{module: {parameter: array}}``, as Haiku's ``init`` gives and its ``apply`` takes it; names without a module lie
    at the top."""
    from ._pickle_arrays import write as write_tree

    modules: dict[str, Any] = {}
    for tensor in tensors.values():
        module, _, parameter = tensor.name.rpartition("/")
        (modules.setdefault(module, {}) if module else modules)[parameter] = tensor
    with open(path, "wb") as file:
        write_tree(file, modules)


# Torch tensors outside torch's own files.


class _Inline:
    """A storage of a plain pickle: the bytes of a whole torch stream, in a call of ``_load_from_bytes``."""

    def __init__(self, source: Source):
        self.limits, self._source = source.limits, source
        self._storages: dict[int, Any] = {}

    def storage(self, reference: Any) -> Any:
        said = reference.id
        if not (isinstance(said, tuple) and len(said) == 2 and said[0] is _INLINE):
            return None
        stub, number = said[1]
        if number not in self._storages:
            self._storages[number] = self._opened(stub, number)
        return self._storages[number]

    def _opened(self, stub: Stub, number: int) -> Any:
        from . import torch_legacy

        raw = raw_bytes(stub.args[0]) if len(stub.args) == 1 else None
        inside = Source.of(memoryview(raw or b""), self._source.path, self._source.folder, self.limits)
        found = torch_legacy.only_storage(inside)
        if found is not None:
            found.key, found.where = str(number), f"storage {number} of the pickle"
        return found

    def tensor(self, reference: Any) -> None:  # noqa: ARG002  # torch 0.1's tar alone keeps tensors so
        return None


_INLINE = "storage inside the pickle"


def _torch_walk(root: object, met: Record, source: Source) -> Walk:
    """Modules and tensors by torch's own rules and dotted names."""
    from ._torch_tree import Walk  # a pickle without torch's objects does not need it

    stubs = [stub for stub in met.calls if stub.is_a("torch.storage._load_from_bytes")]
    references = {id(stub): Persistent((_INLINE, (stub, number))) for number, stub in enumerate(stubs)}
    for call in met.calls if references else ():
        call.args = tuple(references.get(id(part), part) for part in call.args)
    return Walk(root, _Inline(source), source.name)


CONTAINERS = (
    Container(
        "pickle",
        "plain pickle of arrays",
        "https://docs.python.org/3/library/pickle.html; numpy/_core/src/multiarray/methods.c, array_reduce",
        claims,
        read,
        write=write,
        suffixes=(".pkl", ".pickle"),
        frameworks=("haiku",),
        rank=60,
        magic=tuple((0, first) for first in (b"\x80", b"(", b"}", b"]", b"c")),
    ),
)
