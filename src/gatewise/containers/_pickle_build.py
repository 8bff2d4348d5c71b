"""The short list of things a pickle may really build here: Python's plain containers and bytes.

Each builder takes the arguments of a REDUCE (or NEWOBJ) and gives the object, or :data:`NOT_PLAIN` when the
arguments are not those that Python's own pickler writes; the machine then makes an inert Stub instead.
Source: CPython's Lib/pickle.py (what ``save_*`` emit) and the ``__reduce__`` of the classes named.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

from ._pickled import DefaultDict, Global, Persistent, Stub, raw_bytes

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

NOT_PLAIN = object()
_KEY_PARTS = 1_000  # parts of one key, tuples counted out: hashing a tuple of shared tuples doubles at every level
_KEY_BITS = 64  # larger integers can all be made to hash alike, and then a dict is a list


def is_key(value: object) -> bool:
    """May this be a dict's key or a set's member?  Hashing it is known to be cheap and to call nothing."""
    return key_parts(value) > 0


def key_parts(value: object) -> int:
    """How many parts a key has, or 0 for what cannot be a key."""
    todo, parts = [value], 0
    while todo:
        part = todo.pop()
        parts += 1
        if parts > _KEY_PARTS:
            return 0
        if isinstance(part, tuple | frozenset):
            todo.extend(part)
        elif isinstance(part, int):
            if part.bit_length() > _KEY_BITS:
                return 0
        elif not isinstance(part, str | bytes | float | Global | Stub | Persistent | type(None)):
            return 0
    return parts


def cost(args: tuple[Any, ...]) -> tuple[int, int]:
    """How many objects a builder copies, 64 bytes counted as one; and how many objects and bytes."""
    sizes = [(len(arg), isinstance(arg, str | bytes | memoryview)) for arg in args if hasattr(arg, "__len__")]
    return sum(size // 64 if flat else size for size, flat in sizes), sum(size for size, _ in sizes)


def _pairs(args: tuple[Any, ...]) -> list[tuple[Any, Any]] | None:
    """The key-value pairs of a mapping's constructor arguments: none, a dict, or a list of pairs."""
    if not args:
        return []
    if len(args) != 1:
        return None
    given = args[0]
    if isinstance(given, dict):
        return list(given.items())
    if not isinstance(given, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in given):
        return None
    pairs = [(pair[0], pair[1]) for pair in given]
    return pairs if all(is_key(key) for key, _ in pairs) else None


def _mapping(kind: type[dict[Any, Any]]) -> Callable[[tuple[Any, ...]], object]:
    def build(args: tuple[Any, ...]) -> object:
        pairs = _pairs(args) if args else ()  # as every OrderedDict begins
        return NOT_PLAIN if pairs is None else kind(pairs)

    return build


def _counter(args: tuple[Any, ...]) -> object:
    pairs = _pairs(args)
    return NOT_PLAIN if pairs is None else Counter(dict(pairs))


def _default_dict(args: tuple[Any, ...]) -> object:
    pairs = _pairs(args[1:])
    if pairs is None:
        return NOT_PLAIN
    built = DefaultDict(args[0] if args else None)
    built.update(pairs)
    return built


def _sequence(kind: Callable[[Any], object], hashed: bool = False) -> Callable[[tuple[Any, ...]], object]:
    def build(args: tuple[Any, ...]) -> object:
        if not args:
            return kind(())
        if len(args) != 1 or not isinstance(args[0], list | tuple | set | frozenset):
            return NOT_PLAIN
        if hashed and not all(is_key(member) for member in args[0]):
            return NOT_PLAIN
        return kind(args[0])

    return build


def _bytes(kind: Callable[[bytes | bytearray], object]) -> Callable[[tuple[Any, ...]], object]:
    """``bytes()``, ``bytearray(b"...")``, and protocol 2's ``bytearray("...", "latin-1")``."""

    def build(args: tuple[Any, ...]) -> object:
        if not args:
            return kind(b"")
        if len(args) == 2:
            return kind(encoded) if isinstance(encoded := _encode(args), bytes) else NOT_PLAIN
        raw = raw_bytes(args[0]) if len(args) == 1 and not isinstance(args[0], str) else None
        return NOT_PLAIN if raw is None else kind(bytes(raw))

    return build


def _encode(args: tuple[Any, ...]) -> object:
    """``codecs.encode(text, "latin1")``: how protocols 0 to 2 spell bytes."""
    if len(args) != 2 or not all(isinstance(arg, str) for arg in args):
        return NOT_PLAIN
    if args[1].lower().replace("-", "").replace("_", "") != "latin1":
        return NOT_PLAIN
    try:
        return str(args[0]).encode("latin-1")
    except UnicodeEncodeError:
        return NOT_PLAIN


def _complex(args: tuple[Any, ...]) -> object:
    if len(args) == 2 and all(isinstance(arg, int | float) for arg in args):
        return complex(float(args[0]), float(args[1]))
    return NOT_PLAIN


_BUILTINS: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "dict": _mapping(dict),
    "list": _sequence(list),
    "tuple": _sequence(tuple),
    "set": _sequence(set, hashed=True),
    "frozenset": _sequence(frozenset, hashed=True),
    "bytes": _bytes(bytes),
    "bytearray": _bytes(bytearray),
    "complex": _complex,
}
BUILDERS: dict[tuple[str, str], Callable[[tuple[Any, ...]], object]] = {
    **{(module, name): build for module in ("builtins", "__builtin__") for name, build in _BUILTINS.items()},
    ("collections", "OrderedDict"): _mapping(OrderedDict),
    ("collections", "Counter"): _counter,
    ("collections", "defaultdict"): _default_dict,
    ("_codecs", "encode"): _encode,
}
COPYREG = ("copyreg", "copy_reg")
_BASE_OBJECT = [Global("builtins", "object"), Global("__builtin__", "object")]


def new_object(cls: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]] | None:
    """(class, arguments) where a call is protocol 0's and 1's spelling of NEWOBJ, else None.

    ``copyreg.__newobj__(cls, *args)``, and ``copyreg._reconstructor(cls, object, None)`` for a plain object.
    """
    if not isinstance(cls, Global) or cls.module not in COPYREG or not args:
        return None
    if cls.name == "__newobj__":
        return args[0], args[1:]
    if cls.name == "_reconstructor" and len(args) == 3 and args[1] in _BASE_OBJECT and args[2] is None:
        return args[0], ()
    return None
