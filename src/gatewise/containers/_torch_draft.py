"""The draft of a torch file: its pickle's tree, free to be changed, and the storages that it refers to.

Written back as torch.save's zip, whatever it came from: a whole module (or a checkpoint) as the tree stands, every
storage once, streamed; or the state dict alone.  What only the old formats had is left behind: the source texts beside
the classes, views of storages (0.1), tensors outside the pickle (0.1's tar), big-endian elements.
Source: torch/serialization.py (``_save``: persistent ids of five parts; ``_legacy_save``: of six, and of modules).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from ..errors import NotRepresentable, few
from ..pieces import in_pieces
from ..tensors import StoredTensor, Tensors, contiguous_strides, numpy_dtype
from ._pickle_write import dumps
from ._pickled import Global, Persistent, Stub
from ._torch_objects import Found, is_tensor, modules, objects, state_of, tops
from ._torch_tensor import Odd, Outside, Storage, describe
from ._torch_tree import Walk, is_module, join
from ._zip import ZipWriter

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MODULE, STATE_DICT, CHECKPOINT = "module", "state-dict", "checkpoint"
_DEAD = ("_backend",)  # attributes that no torch since 1.3 reads, and whose classes may go
_USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
_PACKED = ("torch._C.ScriptObject", "torch.ScriptObject", "torch._utils._rebuild_qtensor")
_EXACT = "exact"


class TorchDraft:
    """``root`` is the tree: change it freely.  ``outside`` knows what its persistent ids stand for."""

    writes = ("torch-zip",)

    def __init__(self, root: Any, outside: Outside, path: object):
        self.root = root
        self.outside = outside
        self.path = path
        self._index: dict[str, Stub] = {}

    @property
    def form(self) -> str:
        if next(modules(self.root), None) is not None:
            return MODULE
        return STATE_DICT if is_state_dict(self.root) else CHECKPOINT

    @property
    def forms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.form, STATE_DICT)))

    # What remedies use.

    def objects(self) -> Iterator[Found]:
        return objects(self.root)

    def find(self, where: str) -> Stub | None:
        """The object that a finding names: the module at a path, else the object there."""
        if not self._index:
            for found in objects(self.root):
                if is_module(found.stub) or found.path not in self._index:
                    self._index[found.path] = found.stub
        return self._index.get(where)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give the tensors of the state dict other names; a name that maps to "" is left out."""
        _path, state = self._state()
        pairs = [(names.get(key, key), value) for key, value in state.items()]
        pairs = [pair for pair in pairs if pair[0]]
        if len({key for key, _ in pairs}) < len(pairs):
            raise NotRepresentable("two tensors would have the same name.", path=self.path)
        state.clear()
        state.update(pairs)

    # What is written.

    def tensors(self, form: str) -> Tensors:
        if form != STATE_DICT:
            return Tensors(Walk(self.root, self.outside, self.path).tensors.values(), path=self.path)
        return Tensors(self._plain(self._named()), path=self.path)

    def _named(self) -> Iterator[tuple[str, Any]]:
        """(name, tensor) of the state dict: the only module's, or that of the only state dict."""
        found = tops(self.root)
        packed = next((each for each in objects(self.root) if each.kind in _PACKED), None) if found else None
        if packed:
            raise NotRepresentable(
                "its quantised weights are packed in objects that no plain state dict can hold.", path=self.path,
                where=packed.path, next="Quantise again from the float model's state dict.",
            )  # fmt: skip
        if len(found) == 1:
            return state_of(found[0].stub)
        if found:
            listed = few(each.path or "the top level" for each in found)
            raise NotRepresentable(f"holds {len(found)} models ({listed}), and a state dict is one's.", path=self.path)
        return iter(self._state()[1].items())

    def _state(self) -> tuple[str, dict[Any, Any]]:
        """The state dict of a file that is one or holds one, and where it lies."""
        found = dict(_state_dicts(self.root, "", 0))
        usual = [path for path in found if path.rpartition(".")[2] in _USUAL]
        for candidates in ([""], list(found), usual):
            if len(candidates) == 1 and candidates[0] in found:
                return candidates[0], found[candidates[0]]
        listed = f"{len(found)} ({few(found)})" if found else "none"
        raise NotRepresentable(f"it is not plain which state dict is meant: the file holds {listed}.", path=self.path)

    def _plain(self, named: Iterator[tuple[str, Any]]) -> Iterator[StoredTensor]:
        for name, value in named:
            found = describe(value, name, self.outside)
            if found is None or isinstance(found, Odd):
                kind = found.kind if found else type(value).__name__
                raise NotRepresentable(f"{name} is a {kind}, which no plain state dict can hold.", path=self.path)
            yield found

    def losses(self, form: str) -> list[tuple[str, str]]:
        if form == STATE_DICT:
            return list(self._left_out())
        sources = sum(isinstance(found.stub.cls, Persistent) for found in objects(self.root))
        dead = sum(name in found.attributes for found in modules(self.root) for name in _DEAD)
        said = [f"the source text that went with the classes of {sources} object(s) is left out"] * bool(sources)
        said += [f"the attribute _backend of {dead} module(s), which no torch since 1.3 reads, is left out"] * bool(
            dead
        )
        return [(sentence, _EXACT) for sentence in said]

    def _left_out(self) -> Iterator[tuple[str, str]]:
        found = tops(self.root)
        if found:
            yield (
                "the parameters and buffers are kept under their names; the module's class and settings are not",
                _EXACT,
            )
        inner = found[0].path if found else self._state()[0]
        if inner:
            others = [str(key) for key in self.root if key != inner] if isinstance(self.root, dict) else []
            what = f", without {', '.join(others[:9])}" if others else ""
            yield f"the state dict of {inner!r} alone{what}", _EXACT

    def write(self, path: Path, container: str, form: str) -> None:
        del container  # there is only one
        if form == STATE_DICT:
            from .torch_zip import write

            write(path, self.tensors(form))
            return
        for found in modules(self.root):
            for name in _DEAD:
                found.attributes.pop(name, None)
        _Rewriting(self.outside).write(path, self.root)


def is_state_dict(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(
        isinstance(key, str) and is_tensor(part) for key, part in value.items()
    )  # fmt: skip


def _state_dicts(value: object, path: str, depth: int) -> Iterator[tuple[str, dict[Any, Any]]]:
    if is_state_dict(value):
        yield path, value  # type: ignore[misc]  # is_state_dict said that it is a dict
    elif isinstance(value, dict) and depth < 2:
        for key, part in value.items():
            if isinstance(key, str):
                yield from _state_dicts(part, join(path, key), depth + 1)


class _Rewriting:
    """One tree on its way into a zip: which storage gets which key."""

    FOLDER = "archive"

    def __init__(self, outside: Outside):
        self.outside = outside
        self.storages: dict[str, tuple[str, Storage]] = {}  # the old key → the new one, and where the bytes are
        self._final: dict[int, Persistent] = {}  # references that need no rewriting, by id()
        self._tensors: dict[Any, Stub] = {}  # by the keys that a tar's pickle has for them
        self._moved: dict[int, tuple[Stub, Stub]] = {}  # tensors of storages that were views: the old one, the new one

    def write(self, path: Path, root: Any) -> None:
        pickled = dumps(root, self.rewrite)
        with open(path, "wb") as file:
            writer = ZipWriter(file)
            writer.add(f"{self.FOLDER}/data.pkl", len(pickled), [pickled])
            writer.add(f"{self.FOLDER}/byteorder", 6, [b"little"])
            for key, storage in self.storages.values():
                buffer = storage.buffer if isinstance(storage.buffer, memoryview) else storage.buffer()
                writer.add(f"{self.FOLDER}/data/{key}", len(buffer), _little(buffer, storage))
            writer.add(f"{self.FOLDER}/version", 2, [b"3\n"])
            writer.close()

    def rewrite(self, value: Any) -> Any:
        """What is written in place of a persistent id, or of a tensor that views part of a storage."""
        if isinstance(value, Persistent):
            return self._persistent(value)
        if value.args and isinstance(value.args[0], Persistent):
            storage = self.outside.storage(value.args[0])
            if storage is not None and storage.first:
                return self._shifted(value, storage.first)
        return value

    def _persistent(self, value: Persistent) -> Any:
        if id(value) in self._final:
            return value
        storage = self.outside.storage(value)
        if storage is not None:
            said = value.id if isinstance(value.id, tuple) and len(value.id) >= 5 else (None, None, None, "cpu")
            name = said[1].name if isinstance(said[1], Global) else _storage_name(storage)
            return self._reference(storage, name, said[3])
        kept = self.outside.tensor(value)
        if kept is not None:
            return self._tensor(value, *kept)
        cls = (
            next((part for part in value.id if isinstance(part, Global)), None) if isinstance(value.id, tuple) else None
        )
        if cls is None:
            raise NotRepresentable("the pickle refers to something outside itself that is no storage and no class.")
        return cls

    def _reference(self, storage: Storage, name: str, location: Any) -> Persistent:
        """A zip's id of five parts.  The location stays: a file of cuda tensors is opened with map_location as before."""
        key, first = self.storages.setdefault(storage.key, (str(len(self.storages)), storage))
        size = len(first.buffer if isinstance(first.buffer, memoryview) else first.buffer())
        home = "torch.storage" if name == "UntypedStorage" else "torch"
        made = Persistent(("storage", Global(home, name), key, location, size // storage.item_bytes))
        self._final[id(made)] = made
        return made

    def _tensor(self, value: Persistent, storage: Storage, tensor: StoredTensor) -> Stub:
        """A tensor that 0.1's tar kept beside the pickle: the call that makes it, the same for the same key."""
        if value.id not in self._tensors:
            hooks: OrderedDict[Any, Any] = OrderedDict()
            reference = self._reference(storage, _storage_name(storage), "cpu")
            lies: Any = tensor.data
            strides = contiguous_strides(tensor.shape) if lies.strides is None else lies.strides
            view = (lies.offset, tensor.shape, strides, False, hooks)
            self._tensors[value.id] = Stub(Global("torch._utils", "_rebuild_tensor_v2"), (reference, *view))
        return self._tensors[value.id]

    def _shifted(self, value: Stub, first: int) -> Stub:
        """The same tensor over the whole storage."""
        if id(value) not in self._moved:
            reference, offset, *rest = value.args
            made = Stub(value.cls, (reference, offset + first, *rest), value.kwargs, value.how)
            made.state, made.items, made.entries = value.state, value.items, value.entries
            self._moved[id(value)] = (value, made)
        return self._moved[id(value)][1]


def _storage_name(storage: Storage) -> str:
    from .torch_zip import CLASSES

    return CLASSES.get(storage.dtype or "", "UntypedStorage")


def _little(buffer: memoryview, storage: Storage) -> Iterator[memoryview]:
    """The storage's bytes, little-endian."""
    import numpy as np

    turned = storage.big_endian and storage.dtype is not None and storage.item_bytes > 1
    dtype = storage.dtype if turned and storage.dtype else "uint8"
    yield from in_pieces(np.frombuffer(buffer, numpy_dtype(dtype, big_endian=turned)), numpy_dtype(dtype))
