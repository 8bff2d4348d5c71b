"""Writes what the pickle machine reads: plain values, containers, Globals, Stubs and persistent ids, as protocol 2.

Objects that are met twice are written once and fetched from the memo; equal texts share one memo entry, so the same
tree gives the same bytes.  The work lies on a list, not on Python's stack: no depth of nesting overflows it.
Source: CPython's Lib/pickle.py, ``_Pickler`` (which opcode stands for what, and how a tuple that contains itself
ends).  A Python-2 string with bytes above 127 is written back as those bytes.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from ..errors import NotRepresentable
from ._pickled import MISSING, DefaultDict, Global, LegacyStr, Persistent, Stub

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any


def dumps(value: Any, rewrite: Callable[[Any], Any] | None = None) -> bytes:
    """The protocol-2 pickle of a tree.  Raises NotRepresentable for an object the machine would not make.

    ``rewrite`` is asked for what to write in place of each persistent id and each Stub; for the same object it must
    give the same one, or what is shared would not be.
    """
    return _Writer(rewrite).dump(value)


class _Writer:
    def __init__(self, rewrite: Callable[[Any], Any] | None = None) -> None:
        self.rewrite = rewrite
        self.out = bytearray(b"\x80\x02")
        self.memo: dict[Any, int] = {}
        self.kept: list[Any] = []  # what the memo knows by id() must live as long as the memo
        self.todo: list[Callable[[], None]] = []

    def dump(self, value: Any) -> bytes:
        self.save(value)
        while self.todo:
            self.todo.pop()()
        return bytes(self.out + b".")

    def then(self, *steps: Callable[[], None]) -> None:
        """Do these next, in this order."""
        self.todo.extend(reversed(steps))

    def emit(self, code: bytes) -> Callable[[], None]:
        def step() -> None:
            self.out += code

        return step

    def saving(self, value: Any) -> Callable[[], None]:
        return lambda: self.save(value)

    # The memo.

    def key(self, value: Any) -> Any:
        if isinstance(value, LegacyStr):
            return (LegacyStr, value.raw)
        return (type(value), value) if isinstance(value, str | bytes | Global) else id(value)

    def get(self, value: Any) -> bool:
        index = self.memo.get(self.key(value))
        if index is None:
            return False
        self.out += b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)
        return True

    def put(self, value: Any) -> None:
        index = self.memo[self.key(value)] = len(self.memo)
        self.kept.append(value)
        self.out += b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index)

    # The kinds of object.

    def save(self, value: Any) -> None:
        if self.rewrite is not None and isinstance(value, Persistent | Stub):
            value = self.rewrite(value)
        if value is None or isinstance(value, bool | int | float):
            self.out += scalar(value)
        elif value == () and type(value) is tuple:
            self.out += b")"
        elif not self.get(value):
            save = _SAVERS.get(type(value))
            if save is None:
                raise NotRepresentable(f"a {type(value).__name__} cannot be written into a pickle.")
            save(self, value)

    def save_text(self, value: str) -> None:
        raw = value.encode("utf-8", "surrogatepass")
        self.out += b"X" + struct.pack("<I", len(raw)) + raw
        self.put(value)

    def save_legacy(self, value: LegacyStr) -> None:
        self.out += b"T" + struct.pack("<i", len(value.raw)) + value.raw
        self.put(value)

    def save_name(self, value: Global) -> None:
        if "\n" in value.module + value.name:  # the rest of such a name would be read as opcodes
            raise NotRepresentable(f"the name {str(value)!r} has a line break.")
        self.out += b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n"
        self.put(value)

    def save_persistent(self, value: Persistent) -> None:
        self.then(self.saving(value.id), self.emit(b"Q"))

    def save_list(self, value: list[Any]) -> None:
        self.out += b"]"
        self.put(value)
        self.appends(value)

    def save_dict(self, value: dict[Any, Any]) -> None:
        self.out += b"}"
        self.put(value)
        self.set_items(value.items())

    def save_tuple(self, value: tuple[Any, ...]) -> None:
        def close() -> None:
            if self.key(value) not in self.memo:
                self.out += _TUPLES[len(value)] if short else b"t"
                self.put(value)
            else:  # it contains itself, and was finished on the way: drop the parts and fetch it
                self.out += b"0" * len(value) if short else b"1"
                self.get(value)

        short = len(value) < len(_TUPLES)
        self.out += b"" if short else b"("
        self.then(*(self.saving(item) for item in value), close)

    def call(
        self, value: Any, cls: Any, args: tuple[Any, ...], opcode: bytes = b"R", *after: Callable[[], None]
    ) -> None:
        def close() -> None:
            self.out += opcode
            if self.key(value) in self.memo:  # reached again through its own arguments
                self.out += b"0"
                self.get(value)
            else:
                self.put(value)
                self.then(*after)

        self.then(self.saving(cls), self.saving(args), close)

    def builtin(self, value: Any, name: str, *args: Any) -> None:
        self.call(value, Global("__builtin__", name), args)

    def save_ordered(self, value: OrderedDict[Any, Any]) -> None:
        steps = [lambda: self.set_items(value.items())]
        if vars(value):
            steps.append(lambda: self.then(self.saving(dict(vars(value))), self.emit(b"b")))
        self.call(value, Global("collections", "OrderedDict"), (), b"R", *steps)

    def save_default(self, value: DefaultDict) -> None:
        args = () if value.factory is None else (value.factory,)
        self.call(value, Global("collections", "defaultdict"), args, b"R", lambda: self.set_items(value.items()))

    def save_stub(self, value: Stub) -> None:
        steps: list[Callable[[], None]] = []
        if value.items:
            steps.append(lambda: self.appends(value.items))
        if value.entries:
            steps.append(lambda: self.set_items(value.entries))
        if value.state is not MISSING:
            steps.append(lambda: self.then(self.saving(value.state), self.emit(b"b")))
        if value.kwargs:
            raise NotRepresentable(f"{value!r} has keyword arguments, which protocol 2 has no opcode for.")
        self.call(value, value.cls, value.args, b"\x81" if value.how == "newobj" else b"R", *steps)

    # Contents, in one batch: the reader holds a batch on its stack, which is as large as the container itself.

    def appends(self, values: Iterable[Any]) -> None:
        steps = [self.saving(value) for value in values]
        if steps:
            self.then(self.emit(b"("), *steps, self.emit(b"e"))

    def set_items(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        steps = [self.saving(part) for pair in pairs for part in pair]
        if steps:
            self.then(self.emit(b"("), *steps, self.emit(b"u"))


_TUPLES = (b")", b"\x85", b"\x86", b"\x87")
_SAVERS: dict[type, Callable[[_Writer, Any], None]] = {
    str: _Writer.save_text,
    LegacyStr: _Writer.save_legacy,
    Global: _Writer.save_name,
    Persistent: _Writer.save_persistent,
    list: _Writer.save_list,
    dict: _Writer.save_dict,
    tuple: _Writer.save_tuple,
    OrderedDict: _Writer.save_ordered,
    DefaultDict: _Writer.save_default,
    Stub: _Writer.save_stub,
    Counter: lambda w, v: w.call(v, Global("collections", "Counter"), (dict(v),)),
    set: lambda w, v: w.builtin(v, "set", _ordered(v)),
    frozenset: lambda w, v: w.builtin(v, "frozenset", _ordered(v)),
    complex: lambda w, v: w.builtin(v, "complex", v.real, v.imag),
    bytes: lambda w, v: w.call(v, Global("_codecs", "encode"), (v.decode("latin-1"), "latin1")),
    memoryview: lambda w, v: w.call(v, Global("_codecs", "encode"), (bytes(v).decode("latin-1"), "latin1")),
    bytearray: lambda w, v: w.builtin(v, "bytearray", v.decode("latin-1"), "latin-1"),
}


def _ordered(members: Iterable[Any]) -> list[Any]:
    """A set's members in an order that does not change from run to run, as the hashes of texts do."""
    return sorted(members, key=lambda member: (type(member).__name__, repr(member)))


def scalar(value: float | int | bool | None) -> bytes:
    """The opcode of a number, a truth value or None, and its operand."""
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if 0 <= value < 65536:
        return b"M" + struct.pack("<H", value)
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"\x8b" + struct.pack("<I", len(raw)) + raw
