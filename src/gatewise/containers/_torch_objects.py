"""The objects of an unpickled torch tree, each with the dotted path at which it was met first; and a module's state dict.

Unlike :class:`._torch_tree.Walk` this looks into everything: an old recurrent module in a list, in an attribute of an
object of an unknown class or in an optimizer's closure makes ``torch.load`` fail as well as one in ``_modules``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping

from ..record import record
from ._pickled import MISSING, DefaultDict, Global, Persistent, Stub
from ._torch_tree import class_name, is_module, join

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_WHOLES = (dict, list, tuple, set, frozenset, Stub)  # what has parts
_TRANSPARENT = ("_modules", "_parameters", "_buffers")  # a path does not name these


@record
class Found:
    """An object of the tree: where it was met first, its class's full name, and its place in the order of making."""

    path: str
    stub: Stub
    kind: str
    order: int = 0

    @property
    def name(self) -> str:
        """The class's own name: ``LSTM``."""
        return self.kind.rpartition(".")[2]

    @property
    def attributes(self) -> dict[Any, Any]:
        return self.stub.attributes


def objects(root: object) -> Iterator[Found]:
    """Every Stub, once, in the order in which unpickling makes them whole: parts before what they are parts of."""
    seen: set[int] = set()
    todo: list[tuple[str, Any, bool]] = [("", root, False)] if isinstance(root, _WHOLES) else []
    order = 0
    while todo:
        path, value, whole = todo.pop()
        if whole:
            order += 1
            yield Found(path, value, class_name(value.cls), order)
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Stub):
            todo.append((path, value, True))
        inner = [(where, part, False) for where, part in _parts(value, path) if isinstance(part, _WHOLES)]
        todo += reversed(inner)


def modules(root: object) -> Iterator[Found]:
    """Every module among the objects: what has parameters, buffers and submodules, whatever its class is called."""
    return (found for found in objects(root) if is_module(found.stub))


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from _members(value, path)
        if isinstance(value, OrderedDict):
            yield from _members(vars(value), path)
        if isinstance(value, DefaultDict):
            yield path, value.factory
    elif isinstance(value, Stub):
        yield path, value.cls
        yield from ((path, part) for part in (*value.args, *value.kwargs.values()))
        yield from ((join(path, place), part) for place, part in enumerate(value.items))
        yield from _members(dict(pair for pair in value.entries if isinstance(pair[0], str | int)), path)
        yield from ((path, part) for pair in value.entries for part in pair)
        if value.state is not MISSING:
            yield from _state(value, path)
    else:
        yield from ((join(path, place), part) for place, part in enumerate(value))


def _state(stub: Stub, path: str) -> Iterator[tuple[str, Any]]:
    attributes = stub.attributes
    for name, part in attributes.items():
        if name in _TRANSPARENT and isinstance(part, dict):
            yield from _members(part, path)
        else:
            yield join(path, name) if isinstance(name, str) else path, part
    if not attributes:
        yield path, stub.state


def _members(value: Mapping[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
    for place, (key, part) in enumerate(value.items()):
        yield join(path, key if isinstance(key, str | int) else f"<{place}>"), part
        if not isinstance(key, str | int):
            yield path, key


def is_tensor(value: object) -> bool:
    """Is this a tensor as torch pickles them, a Parameter too?"""
    if isinstance(value, Persistent):
        return not isinstance(value.id, tuple)  # torch 0.1's tar keeps tensors outside the pickle
    return isinstance(value, Stub) and isinstance(value.cls, Global) and value.cls.module.partition(".")[0] == "torch" and (
        value.cls.name.startswith("_rebuild") or value.cls.name in ("Parameter", "Buffer", "Variable")
    )  # fmt: skip


def state_of(module: Stub, path: str = "") -> Iterator[tuple[str, Any]]:
    """(name, tensor) of a module's state dict, in its order: parameters, persistent buffers, then the submodules'.

    Source: torch/nn/modules/module.py, ``_save_to_state_dict`` and ``state_dict``.
    """
    todo: list[tuple[str, Stub, tuple[int, ...]]] = [(path, module, ())]
    while todo:
        here, stub, above = todo.pop()
        if id(stub) in above:
            continue  # a module that contains itself has no state dict in torch either
        attributes = stub.attributes
        passing = attributes.get("_non_persistent_buffers_set") or ()
        kept: list[tuple[Any, Any]] = [*attributes["_parameters"].items()]
        kept += [pair for pair in attributes["_buffers"].items() if pair[0] not in passing]
        yield from ((join(here, name), tensor) for name, tensor in kept if tensor is not None)
        inner = [(join(here, name), part) for name, part in attributes["_modules"].items() if is_module(part)]
        todo += [(name, part, (*above, id(stub))) for name, part in reversed(inner)]


def tops(root: object) -> list[Found]:
    """The modules that are no part of another one."""
    found = list(modules(root))
    inside = {id(part) for each in found for part in each.attributes["_modules"].values()}
    return [each for each in found if id(each.stub) not in inside]
