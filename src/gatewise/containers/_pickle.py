"""The closed pickle machine: reads every opcode of protocols 0 to 5 and runs nothing.

A pickle is a program for a stack machine, and two of its opcodes call whatever the file names.  Here they make
:class:`~._pickled.Stub` objects instead; nothing is imported, nothing is called but the builders of
:mod:`._pickle_build`.  Sources: CPython's Lib/pickletools.py (the opcodes' definitions) and Lib/pickle.py.
Refused: extension codes (EXT1, EXT2, EXT4: their meaning lies in the program that wrote them) and out-of-band buffers
(NEXT_BUFFER, READONLY_BUFFER: their bytes are not in the file).
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ._pickle_build import BUILDERS, NEW_OBJECT, NOT_PLAIN, is_key
from ._pickled import MISSING, Global, LegacyStr, Persistent, Stub

_LONGEST_INTEGER = 4096  # bytes, or digits in the text form; honest ones have a dozen
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


class Machine:
    """Reads one pickle.  ``persistent`` collects every persistent id met, in order."""

    def __init__(self, cursor: Cursor, limits: Limits, persistent: list[Persistent] | None = None):
        self.cursor = cursor
        self.limits = limits
        self.persistent = [] if persistent is None else persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.objects = 0
        self.opcode, self.at = "", 0

    def load(self) -> Any:
        """The object; the cursor stands behind the pickle's STOP.  Raises BrokenFile, LimitExceeded."""
        cursor = self.cursor
        while True:
            self.at = cursor.at
            code = cursor.u8()
            known = _OPCODES.get(code)
            if known is None:
                self.opcode = f"0x{code:02x}"
                raise self.broken("no protocol has such an opcode")
            self.opcode, act = known
            if self.opcode == "STOP":
                return self._result()
            self.objects += 1
            if self.objects > self.limits.objects:
                self.limits.check("objects", self.objects, path=cursor.path, where=self.where)
            act(self)

    def _result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            raise self.broken(f"{len(self.stack)} objects are left where one should be")
        return self.stack.pop()

    @property
    def where(self) -> str:
        return f"{self.cursor.where or 'pickle'}, opcode {self.opcode} at byte {self.cursor.base + self.at}"

    def broken(self, message: str) -> BrokenFile:
        return BrokenFile(f"{message}.", path=self.cursor.path, where=self.where, next=_FETCH_AGAIN)

    # The stack.

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.broken("takes an object from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.broken("needs an object and the stack is empty")
        return self.stack[-1]

    def mark(self) -> None:
        self.limits.check("nesting", len(self.marks) + 1, path=self.cursor.path, where=self.where)
        self.marks.append(len(self.stack))

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise self.broken("no mark was set")
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    # Operands.

    def count(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.cursor.take(size), "little", signed=signed)

    def raw(self, size: int) -> bytes:
        return bytes(self.cursor.take(self.count(size)))

    def text(self, size: int) -> str:
        return self.decoded(self.raw(size))

    def decoded(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self.broken("its text is not UTF-8") from None

    def line(self) -> bytes:
        """Up to the newline, which is consumed.  The window grows, so that a long pickle is not copied per line."""
        window = 128
        while True:
            found = bytes(self.cursor.data[self.cursor.at : self.cursor.at + window])
            end = found.find(b"\n")
            if end >= 0:
                self.cursor.take(end + 1)
                return found[:end]
            if window >= self.cursor.left:
                raise self.broken("its line has no end")
            window *= 8

    def number(self, text: bytes) -> int:
        digits = text.rstrip(b"L") if self.opcode == "LONG" else text
        if len(digits) > _LONGEST_INTEGER or not digits.strip().lstrip(b"+-").isdigit():
            raise self.broken("its integer is not one")
        try:
            return int(digits)
        except ValueError:
            raise self.broken("its integer is not one") from None

    def legacy(self, raw: bytes) -> str:
        return raw.decode("ascii") if raw.isascii() else LegacyStr.of(raw)

    # Objects.

    def find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or not module or not name:
            raise self.broken("names its class by something else than text")
        self.push(Global(module, name))

    def call(self, cls: Any, args: Any, kwargs: Any = None, how: str = "reduce") -> None:
        if not isinstance(args, tuple):
            raise self.broken("its arguments are not a tuple")
        if how == "reduce" and cls in NEW_OBJECT and args:
            cls, args, how = args[0], args[1:], "newobj"
        if not isinstance(cls, Global | Stub | Persistent):
            raise self.broken(f"calls a {type(cls).__name__}, which is no class")
        build = BUILDERS.get((cls.module, cls.name)) if isinstance(cls, Global) and not kwargs else None
        built = build(args) if build else NOT_PLAIN
        self.push(Stub(cls, args, kwargs, how) if built is NOT_PLAIN else built)

    def set_items(self, pairs: list[Any]) -> None:
        target = self.top()
        if len(pairs) % 2:
            raise self.broken("a key has no value")
        keys, values = pairs[::2], pairs[1::2]
        for key in keys:
            if not is_key(key):
                raise self.broken(f"a {type(key).__name__} cannot be a key")
        if isinstance(target, dict):
            target.update(zip(keys, values, strict=True))
        elif isinstance(target, Stub):
            target.entries.extend(zip(keys, values, strict=True))
        else:
            raise self.broken(f"sets an item of a {type(target).__name__}")

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Stub):
            target.items.extend(values)
        else:
            raise self.broken(f"appends to a {type(target).__name__}")

    def add(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, set) or not all(is_key(value) for value in values):
            raise self.broken(f"adds to a {type(target).__name__}, or adds what cannot be in a set")
        target.update(values)

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Stub):
            if target.state is not MISSING:
                raise self.broken("sets the state of an object for the second time")
            target.state = state
        elif isinstance(target, OrderedDict) and isinstance(state, dict):
            # An OrderedDict can have attributes: torch's state dicts carry ``_metadata`` so.
            if not all(isinstance(key, str) and not key.startswith("__") for key in state):
                raise self.broken("sets attributes that no container has")
            vars(target).update(state)
        else:
            raise self.broken(f"sets the state of a {type(target).__name__}")

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise self.broken(f"memo {index} was never written")
        self.push(self.memo[index])

    def put(self, index: int) -> None:
        if index < 0:
            raise self.broken("its memo number is negative")
        self.memo[index] = self.top()

    def keep(self, id: Any) -> None:
        found = Persistent(id)
        self.persistent.append(found)
        self.push(found)


def load(cursor: Cursor, limits: Limits, persistent: list[Persistent] | None = None) -> Any:
    """One pickle, from where the cursor stands."""
    return Machine(cursor, limits, persistent).load()


# The opcodes that take more than one line.


def _int(machine: Machine) -> None:
    line = machine.line()
    machine.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else machine.number(line))


def _float(machine: Machine) -> None:
    line = machine.line()
    try:
        machine.push(float(line))
    except ValueError:
        raise machine.broken("its number is not one") from None


def _string(machine: Machine) -> None:
    r"""Protocol 0's ``S'text'\n``: a Python-2 ``repr``, with its backslashes."""
    line = machine.line().strip()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise machine.broken("its string has no quotes")
    machine.push(machine.legacy(_unescape(machine, line[1:-1])))


def _unescape(machine: Machine, text: bytes) -> bytes:
    import codecs

    try:
        return codecs.escape_decode(text)[0]
    except ValueError:
        raise machine.broken("its string has a wrong backslash") from None


def _unicode(machine: Machine) -> None:
    try:
        machine.push(machine.line().decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        raise machine.broken("its text has a wrong backslash") from None


def _long(machine: Machine, size: int) -> None:
    length = machine.count(size)
    if length > _LONGEST_INTEGER:
        raise machine.broken(f"announces an integer of {length:,} bytes")
    machine.push(machine.count(length, signed=True))


def _binfloat(machine: Machine) -> None:
    machine.push(struct.unpack(">d", machine.cursor.take(8))[0])


def _text_global(machine: Machine) -> None:
    module = machine.decoded(machine.line())
    machine.find(module, machine.decoded(machine.line()))


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.find(module, name)


def _inst(machine: Machine) -> None:
    _text_global(machine)
    cls = machine.pop() if machine.marks else None
    machine.call(cls, tuple(machine.pop_mark()))


def _obj(machine: Machine) -> None:
    found = machine.pop_mark()
    if not found:
        raise machine.broken("no class was given")
    machine.call(found[0], tuple(found[1:]))


def _reduce(machine: Machine) -> None:
    args, cls = machine.pop(), machine.pop()
    machine.call(cls, args)


def _newobj(machine: Machine) -> None:
    args, cls = machine.pop(), machine.pop()
    machine.call(cls, args, how="newobj")


def _newobj_ex(machine: Machine) -> None:
    kwargs, args, cls = machine.pop(), machine.pop(), machine.pop()
    if not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise machine.broken("its keyword arguments are not a dict of names")
    machine.call(cls, args, kwargs, how="newobj")


def _stop(_machine: Machine) -> None:
    """The loop looks for it before it acts."""


def _drop(machine: Machine) -> None:
    machine.pop_mark()


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _tuple(machine: Machine, count: int) -> None:
    machine.push(tuple(reversed([machine.pop() for _ in range(count)])))


def _dict(machine: Machine) -> None:
    pairs = machine.pop_mark()
    machine.push({})
    machine.set_items(pairs)


def _frozen_set(machine: Machine) -> None:
    members = machine.pop_mark()
    if not all(is_key(member) for member in members):
        raise machine.broken("a member cannot be in a set")
    machine.push(frozenset(members))


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.append([value])


def _proto(machine: Machine) -> None:
    protocol = machine.cursor.u8()
    if protocol > 5:
        raise machine.broken(f"protocol {protocol} is not known; the newest is 5")


def _frame(machine: Machine) -> None:
    length = machine.count(8)
    if length > machine.cursor.left:
        raise machine.broken(f"announces {length:,} bytes where {machine.cursor.left:,} are left")


def _refuse(reason: str) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        raise machine.broken(reason)

    return act


_EXTENSION = _refuse("uses an extension code, whose meaning lies in the program that wrote it")
_OUT_OF_BAND = _refuse("keeps its bytes outside the file")

_OPCODES: dict[int, tuple[str, Callable[[Machine], None]]] = {
    code[0]: (name, act)
    for code, name, act in (
        # protocol 0
        (b"(", "MARK", Machine.mark),
        (b".", "STOP", _stop),
        (b"0", "POP", _pop),
        (b"1", "POP_MARK", _drop),
        (b"2", "DUP", lambda m: m.push(m.top())),
        (b"F", "FLOAT", _float),
        (b"I", "INT", _int),
        (b"L", "LONG", lambda m: m.push(m.number(m.line()))),
        (b"N", "NONE", lambda m: m.push(None)),
        (b"P", "PERSID", lambda m: m.keep(m.legacy(m.line()))),
        (b"R", "REDUCE", _reduce),
        (b"S", "STRING", _string),
        (b"V", "UNICODE", _unicode),
        (b"a", "APPEND", _append),
        (b"b", "BUILD", Machine.build),
        (b"c", "GLOBAL", _text_global),
        (b"d", "DICT", _dict),
        (b"g", "GET", lambda m: m.get(m.number(m.line()))),
        (b"i", "INST", _inst),
        (b"l", "LIST", lambda m: m.push(m.pop_mark())),
        (b"p", "PUT", lambda m: m.put(m.number(m.line()))),
        (b"s", "SETITEM", _set_item),
        (b"t", "TUPLE", lambda m: m.push(tuple(m.pop_mark()))),
        # protocol 1
        (b")", "EMPTY_TUPLE", lambda m: m.push(())),
        (b"]", "EMPTY_LIST", lambda m: m.push([])),
        (b"}", "EMPTY_DICT", lambda m: m.push({})),
        (b"G", "BINFLOAT", _binfloat),
        (b"J", "BININT", lambda m: m.push(m.count(4, signed=True))),
        (b"K", "BININT1", lambda m: m.push(m.count(1))),
        (b"M", "BININT2", lambda m: m.push(m.count(2))),
        (b"Q", "BINPERSID", lambda m: m.keep(m.pop())),
        (b"T", "BINSTRING", lambda m: m.push(m.legacy(m.raw(4)))),
        (b"U", "SHORT_BINSTRING", lambda m: m.push(m.legacy(m.raw(1)))),
        (b"X", "BINUNICODE", lambda m: m.push(m.text(4))),
        (b"e", "APPENDS", lambda m: m.append(m.pop_mark())),
        (b"h", "BINGET", lambda m: m.get(m.count(1))),
        (b"j", "LONG_BINGET", lambda m: m.get(m.count(4))),
        (b"o", "OBJ", _obj),
        (b"q", "BINPUT", lambda m: m.put(m.count(1))),
        (b"r", "LONG_BINPUT", lambda m: m.put(m.count(4))),
        (b"u", "SETITEMS", lambda m: m.set_items(m.pop_mark())),
        # protocol 2
        (b"\x80", "PROTO", _proto),
        (b"\x81", "NEWOBJ", _newobj),
        (b"\x82", "EXT1", _EXTENSION),
        (b"\x83", "EXT2", _EXTENSION),
        (b"\x84", "EXT4", _EXTENSION),
        (b"\x85", "TUPLE1", lambda m: _tuple(m, 1)),
        (b"\x86", "TUPLE2", lambda m: _tuple(m, 2)),
        (b"\x87", "TUPLE3", lambda m: _tuple(m, 3)),
        (b"\x88", "NEWTRUE", lambda m: m.push(True)),
        (b"\x89", "NEWFALSE", lambda m: m.push(False)),
        (b"\x8a", "LONG1", lambda m: _long(m, 1)),
        (b"\x8b", "LONG4", lambda m: _long(m, 4)),
        # protocol 3
        (b"B", "BINBYTES", lambda m: m.push(m.raw(4))),
        (b"C", "SHORT_BINBYTES", lambda m: m.push(m.raw(1))),
        # protocol 4
        (b"\x8c", "SHORT_BINUNICODE", lambda m: m.push(m.text(1))),
        (b"\x8d", "BINUNICODE8", lambda m: m.push(m.text(8))),
        (b"\x8e", "BINBYTES8", lambda m: m.push(m.raw(8))),
        (b"\x8f", "EMPTY_SET", lambda m: m.push(set())),
        (b"\x90", "ADDITEMS", lambda m: m.add(m.pop_mark())),
        (b"\x91", "FROZENSET", _frozen_set),
        (b"\x92", "NEWOBJ_EX", _newobj_ex),
        (b"\x93", "STACK_GLOBAL", _stack_global),
        (b"\x94", "MEMOIZE", lambda m: m.put(len(m.memo))),
        (b"\x95", "FRAME", _frame),
        # protocol 5
        (b"\x96", "BYTEARRAY8", lambda m: m.push(bytearray(m.raw(8)))),
        (b"\x97", "NEXT_BUFFER", _OUT_OF_BAND),
        (b"\x98", "READONLY_BUFFER", _OUT_OF_BAND),
    )
}
