"""Walks an unpickled torch object: its tensors by dotted path, and what it says of every module in it.

A module is known by its state (``_parameters``, ``_buffers`` and ``_modules``), never by its class's name; a TorchScript
module by its ``__torch__`` namespace.  Sources: torch/nn/modules/module.py (``_save_to_state_dict``: what a module's
tensors are called; ``__setstate__``), torch/jit's archives.  Tensors that a module keeps as plain attributes (the
stale ``weight_hh_l0`` of weight_norm) are not its parameters and are not listed; the tree still holds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import BrokenFile, LimitExceeded
from ..record import record
from ..tensors import Declared, StoredTensor
from ._pickled import Global, Persistent, Stub
from ._torch_tensor import Odd, Outside, describe

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_CONTENTS = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_pre_hooks",)
# Patterns are compiled where a file has modules: most have none.
_BASE = (
    r"_(parameters|buffers|modules|backend|is_full_backward_hook|non_persistent_buffers_set|.*_hooks"
    r"(_with_kwargs|_always_called)?)$"
)  # what every module carries, whatever it is: no setting of this one
_MANGLED = r"\.?___torch_mangle_\d+"
_OPAQUE = ("torch._C.ScriptObject", "torch.ScriptObject")  # C++ objects: packed (quantised) weights are such
# torch/jit/_pickle.py: calls around a list or dict that tell its type; their first argument is the object.
_TYPES, _TYPED = "torch.jit._pickle", (
    "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "restore_type_tag",
)  # fmt: skip
_NOT_PLAIN = object()
_LONGEST_NAME = 10_000
_PLAIN_DEPTH = 8
_PATHS, _FEW = 10, 1_000  # paths of one module on average, which a shared backbone has, and of a few modules
_PLAIN_PARTS = 10_000  # values in one setting: lists shared many times over would not end, a vocabulary is no setting


@record
class Module:
    """A module of the tree: where it is, its class's full name, its ``__dict__`` as pickled."""

    path: str
    kind: str
    attributes: Mapping[Any, Any]


def join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def class_name(cls: object) -> str:
    """The full name of a class as pickled.  The legacy formats wrap a module's class with its source text."""
    if isinstance(cls, Persistent) and isinstance(cls.id, tuple):
        cls = next((part for part in cls.id if isinstance(part, Global)), cls)
    if isinstance(cls, Global):
        return re.sub(_MANGLED, "", str(cls)) if cls.module.startswith("__torch__") else str(cls)
    return "unknown class"


def untyped(value: object) -> Any:
    """The list or dict inside TorchScript's type tags; anything else as it is."""
    depth = 0
    while isinstance(value, Stub) and isinstance(value.cls, Global) and value.cls.module == _TYPES:
        if value.cls.name not in _TYPED or not value.args or depth == _PLAIN_DEPTH:
            break
        value, depth = value.args[0], depth + 1
    return value


def is_module(value: object) -> bool:
    if not isinstance(value, Stub):
        return False
    # A class with slots has a pair for a state, whose first part is the ``__dict__``.
    state = value.state[0] if isinstance(value.state, tuple) and len(value.state) == 2 else value.state
    return isinstance(state, dict) and all(isinstance(state.get(name), dict) for name in _CONTENTS)


def is_script_module(value: object) -> bool:
    return isinstance(value, Stub) and isinstance(value.cls, Global) and (
        value.cls.module.partition(".")[0] == "__torch__"
    )  # fmt: skip


class _Budget:
    """How many values one setting may still have."""

    def __init__(self) -> None:
        self.left = _PLAIN_PARTS

    def spend(self, depth: int) -> bool:
        self.left -= 1
        return self.left >= 0 and depth <= _PLAIN_DEPTH


def plain(value: object, depth: int = 0, budget: _Budget | None = None) -> Any:
    """None, numbers, texts, and tuples, lists and dicts of these; dtypes by their names.  Else ``_NOT_PLAIN``."""
    budget = budget or _Budget()
    if not budget.spend(depth):
        return _NOT_PLAIN
    value = untyped(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple | dict):
        return _plain_parts(value, depth + 1, budget)
    if isinstance(value, Global) and value.module == "torch":
        return str(value)
    if isinstance(value, Stub) and value.is_a("torch.Size", "torch.device") and not value.items:
        return plain(value.args[0] if len(value.args) == 1 else value.args, depth + 1, budget)
    if not isinstance(value, Stub):
        return _NOT_PLAIN
    from ._pickled_numpy import scalar_of  # most files of torch's hold none

    number = scalar_of(value)
    return _NOT_PLAIN if number is None else number


def _plain_parts(value: Any, depth: int, budget: _Budget) -> Any:
    """A list, tuple or dict whose every part is plain; else ``_NOT_PLAIN``, as soon as one is not."""
    if len(value) > budget.left or (isinstance(value, dict) and not all(isinstance(key, str | int) for key in value)):
        return _NOT_PLAIN
    parts = []
    for part in value.values() if isinstance(value, dict) else value:
        parts.append(plain(part, depth, budget))
        if parts[-1] is _NOT_PLAIN:
            return _NOT_PLAIN
    if isinstance(value, dict):
        return dict(zip(value, parts, strict=True))
    return parts if isinstance(value, list) else tuple(parts)


def settings_of(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """A module's plain attributes, without what every module carries."""
    found = {}
    for name, value in attributes.items():
        if isinstance(name, str) and not re.match(_BASE, name):
            known = plain(value)
            if known is not _NOT_PLAIN:
                found[name] = known
    return found


def hooks_of(attributes: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """The hooks that run before forward: weight_norm, spectral_norm and pruning live there."""
    hooks = [hook for name in _HOOKS for hook in _values(attributes.get(name))]
    budget = _Budget()
    return [_hook(hook, 0, budget) for hook in hooks if isinstance(hook, Stub | Global)]


def _values(value: object) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _hook(hook: Stub | Global, depth: int, budget: _Budget) -> dict[str, Any]:
    if isinstance(hook, Global):
        return {"kind": str(hook)}
    found = {"kind": class_name(hook.cls)}
    attributes = hook.attributes
    for name, value in attributes.items() if len(attributes) <= budget.left else ():
        known = _hook_setting(value, depth, budget)
        if isinstance(name, str) and known is not _NOT_PLAIN:
            found[name] = known
    return found


def _hook_setting(value: object, depth: int, budget: _Budget) -> Any:
    """A PruningContainer holds the methods that it applies, in a tuple."""
    if not budget.spend(depth):
        return _NOT_PLAIN
    if isinstance(value, list | tuple) and 0 < len(value) <= budget.left:
        methods = [part for part in value if isinstance(part, Stub)]
        if len(methods) == len(value):
            return [_hook(method, depth + 1, budget) for method in methods]
    return plain(value, depth, budget)


class Walk:
    """One pass over a tree.  ``tensors``, ``declared`` and ``modules`` are what it found, in the file's order."""

    def __init__(self, root: object, outside: Outside, path: object):
        self.outside = outside
        self.path = path
        self.tensors: dict[str, StoredTensor] = {}
        self.declared: list[Declared] = []
        self.modules: list[Module] = []
        self._visits = self._repeats = 0
        self._deepest, self._most = outside.limits.nesting, outside.limits.tensors
        self._seen: set[int] = set()  # plain containers and objects: the first path to each is its path
        self._inside: set[int] = set()  # modules on the way from the root: one may have two paths, but no cycle
        self._named: set[object] = set()  # identities of the tensors listed so far
        self._settings: dict[int, dict[str, Any]] = {}  # a module with several paths says the same at each
        self._unregistered: list[tuple[str, Mapping[Any, Any]]] = []
        self.visit(root, "", 0)
        while self._unregistered:
            self._visit_attributes(*self._unregistered.pop(0))

    def visit(self, value: object, path: str, depth: int, new_only: bool = False) -> None:
        """List what is in ``value``; with ``new_only`` without the tensors that have a name already."""
        value = untyped(value)
        if depth > self._deepest:
            self.outside.limits.check("nesting", depth, path=self.path, where=path)
        self._spend(1, path)
        if self._tensor(value, path, new_only):
            return
        if is_module(value) or is_script_module(value):
            self._module(value, path, depth)
        elif isinstance(value, dict | list | tuple | set | frozenset | Stub) and id(value) not in self._seen:
            self._seen.add(id(value))
            if isinstance(value, Stub) and value.is_a(*_OPAQUE):
                self.declared.append(Declared(path, class_name(value.cls)))
            for key, part in _parts(value):
                self.visit(part, join(path, key), depth + 1, new_only)

    def _spend(self, visits: int, path: str) -> None:
        """The walk's own bound: shared objects can make a small file's tree a large one."""
        self._visits += visits
        if self._visits > self.outside.limits.objects:
            self.outside.limits.check("objects", self._visits, path=self.path, where=path)
        if len(path) > _LONGEST_NAME:
            raise BrokenFile(f"a name has {len(path):,} characters: {path[:60]} …", path=self.path)

    def _tensor(self, value: object, path: str, new_only: bool) -> bool:
        found = describe(value, path, self.outside)
        if found is None:
            return False
        if isinstance(found, Odd):
            self.declared.append(Declared(path, found.kind, found.settings))
            return True
        if len(self.tensors) >= self._most:
            self.outside.limits.check("tensors", len(self.tensors) + 1, path=self.path)
        if path in self.tensors:
            raise BrokenFile(f"two tensors are called {path!r}.", path=self.path)
        identity = found.identity
        if identity is None or not (new_only and identity in self._named):
            self.tensors[path] = found
            self._named.add(identity)
        return True

    def _module(self, stub: Any, path: str, depth: int) -> None:
        if id(stub) in self._inside:
            return
        self._inside.add(id(stub))
        attributes, kind = stub.attributes, class_name(stub.cls)
        self._spend(len(attributes), path)
        self._repeats += id(stub) in self._settings
        if self._repeats > _PATHS * len(self._settings) + _FEW:
            raise LimitExceeded(
                f"its {len(self._settings)} modules hold each other so that they have {self._repeats:,} paths and more.",
                path=self.path, where=path,
            )  # fmt: skip
        if id(stub) not in self._settings:
            hooks = hooks_of(attributes)
            self._settings[id(stub)] = {**settings_of(attributes), **({"hooks": hooks} if hooks else {})}
        self.declared.append(Declared(path, kind, self._settings[id(stub)]))
        self.modules.append(Module(path, kind, attributes))
        self.outside.limits.check("members", len(self.modules), path=self.path, where="modules")
        if is_module(stub):
            contents = [pair for name in _CONTENTS for pair in attributes[name].items()]
            if id(stub) not in self._seen:
                self._unregistered.append((path, attributes))
        else:
            # Lists come last: ``_flat_weights`` holds the parameters again, and what has a name needs no second one.
            contents = sorted(attributes.items(), key=lambda pair: isinstance(untyped(pair[1]), dict | list | tuple))
        self._seen.add(id(stub))
        for name, part in contents:
            self.visit(part, join(path, name), depth + 1, isinstance(untyped(part), dict | list | tuple))
        self._inside.discard(id(stub))

    def _visit_attributes(self, path: str, attributes: Mapping[Any, Any]) -> None:
        """Modules that a module keeps in a plain list or attribute: no state dict has them, yet they are weights."""
        for name, value in attributes.items():
            if not (isinstance(name, str) and re.match(_BASE, name)):
                for where, module in self._modules_in(value, join(path, name), 0):
                    if id(module) not in self._seen:
                        self.visit(module, where, 0)

    def _modules_in(self, value: object, path: str, depth: int) -> Iterator[tuple[str, Stub]]:
        if isinstance(value, Stub) and is_module(value):
            yield path, value
        elif isinstance(value, dict | list | tuple) and depth < _PLAIN_DEPTH and id(value) not in self._seen:
            self._seen.add(id(value))
            for key, part in _parts(value):
                yield from self._modules_in(part, join(path, key), depth + 1)


def _parts(value: object) -> Iterator[tuple[object, Any]]:
    """What lies in a container or an object, with the names that become part of a path."""
    if isinstance(value, dict):
        yield from _pairs(value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from enumerate(value)
    elif isinstance(value, Stub):
        yield from enumerate((*value.args, *value.items))
        yield from value.kwargs.items()
        yield from _pairs(value.entries)
        if value.attributes:
            yield from _pairs(value.attributes.items())
        elif isinstance(value.state, list | tuple | dict):
            yield "state", value.state


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[object, Any]]:
    """Texts and numbers name what they are the keys of; other keys (an optimizer's are parameters) give their place."""
    for place, (key, part) in enumerate(pairs):
        yield key if isinstance(key, str | int) else f"<{place}>", part
