"""The opcodes of pickle protocols 0 to 5: one row each, its byte, its name, its operand, and what it asks of the machine.

Source: CPython's Lib/pickletools.py, whose names these are.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from ._pickle_machine import LONGEST_INTEGER, Machine

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

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
    try:
        return codecs.escape_decode(text)[0]
    except ValueError:
        raise machine.broken("its string has a wrong backslash") from None


def _unicode(machine: Machine) -> None:
    try:
        machine.push(machine.line().decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        raise machine.broken("its text has a wrong backslash") from None


def _counted_text(machine: Machine, count: int) -> None:
    machine.push(machine.decoded(machine.take(count)))


def _long(machine: Machine, length: int) -> None:
    if length > LONGEST_INTEGER:
        raise machine.broken(f"announces an integer of {length:,} bytes")
    machine.push(int.from_bytes(machine.take(length), "little", signed=True))


def _text_put(machine: Machine) -> None:
    index = machine.number(machine.line())
    if index < 0:
        raise machine.broken("its memo number is negative")
    machine.put(index)


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


def _pop(machine: Machine) -> None:
    if machine.marks and machine.floor == len(machine.stack):
        machine.drop_mark()
    else:
        machine.pop()


def _push(machine: Machine, number: float) -> None:
    machine.push(number)


def _tuple(machine: Machine) -> None:
    machine.push(tuple(machine.pop_mark()))


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        stack = machine.stack
        start = len(stack) - count
        if start < machine.floor:
            raise machine.broken("takes an object from an empty stack")
        found = tuple(stack[start:])
        del stack[start:]
        stack.append(found)

    return act


def _dict(machine: Machine) -> None:
    pairs = machine.pop_mark()
    machine.push({})
    machine.set_items(pairs[::2], pairs[1::2])


def _frozen_set(machine: Machine) -> None:
    members = machine.pop_mark()
    machine.check_keys(members)
    machine.push(frozenset(members))


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key], [value])


def _set_items(machine: Machine) -> None:
    pairs = machine.pop_mark()
    machine.set_items(pairs[::2], pairs[1::2])


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.append([value])


def _proto(machine: Machine, protocol: int) -> None:
    if protocol > 5:
        raise machine.broken(f"protocol {protocol} is not known; the newest is 5")


def _frame(machine: Machine, length: int) -> None:
    left = machine.end - machine.next
    if length > left:
        raise machine.broken(f"announces {length:,} bytes where {left:,} are left")


def _refuse(reason: str) -> Callable[..., None]:
    def act(machine: Machine, *_operand: int) -> None:
        raise machine.broken(reason)

    return act


_UNKNOWN = _refuse("no protocol has such an opcode")
_EXTENSION = _refuse("uses an extension code, whose meaning lies in the program that wrote it")
_OUT_OF_BAND = _refuse("keeps its bytes outside the file")

# The number that follows an opcode, and which its act is given; lines and counted texts an act reads itself.
U8, U16, U32, U64, I32, F64 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<Q", "<i", ">d"))
ROWS: tuple[tuple[bytes, str, struct.Struct | None, Callable[..., object] | None], ...] = (
    # protocol 0
    (b"(", "MARK", None, Machine.mark),
    (b".", "STOP", None, None),
    (b"0", "POP", None, _pop),
    (b"1", "POP_MARK", None, Machine.pop_mark),
    (b"2", "DUP", None, lambda m: m.push(m.top())),
    (b"F", "FLOAT", None, _float),
    (b"I", "INT", None, _int),
    (b"L", "LONG", None, lambda m: m.push(m.number(m.line().rstrip(b"L")))),
    (b"N", "NONE", None, lambda m: m.push(None)),
    (b"P", "PERSID", None, lambda m: m.keep(m.legacy(m.line()))),
    (b"R", "REDUCE", None, _reduce),
    (b"S", "STRING", None, _string),
    (b"V", "UNICODE", None, _unicode),
    (b"a", "APPEND", None, _append),
    (b"b", "BUILD", None, Machine.build),
    (b"c", "GLOBAL", None, _text_global),
    (b"d", "DICT", None, _dict),
    (b"g", "GET", None, lambda m: m.get(m.number(m.line()))),
    (b"i", "INST", None, _inst),
    (b"l", "LIST", None, lambda m: m.push(m.pop_mark())),
    (b"p", "PUT", None, _text_put),
    (b"s", "SETITEM", None, _set_item),
    (b"t", "TUPLE", None, _tuple),
    # protocol 1
    (b")", "EMPTY_TUPLE", None, lambda m: m.push(())),
    (b"]", "EMPTY_LIST", None, lambda m: m.push([])),
    (b"}", "EMPTY_DICT", None, lambda m: m.push({})),
    (b"G", "BINFLOAT", F64, _push),
    (b"J", "BININT", I32, _push),
    (b"K", "BININT1", U8, _push),
    (b"M", "BININT2", U16, _push),
    (b"Q", "BINPERSID", None, lambda m: m.keep(m.pop())),
    (b"T", "BINSTRING", U32, lambda m, count: m.push(m.legacy(bytes(m.take(count))))),
    (b"U", "SHORT_BINSTRING", U8, lambda m, count: m.push(m.legacy(bytes(m.take(count))))),
    (b"X", "BINUNICODE", U32, _counted_text),
    (b"e", "APPENDS", None, lambda m: m.append(m.pop_mark())),
    (b"h", "BINGET", U8, Machine.get),
    (b"j", "LONG_BINGET", U32, Machine.get),
    (b"o", "OBJ", None, _obj),
    (b"q", "BINPUT", U8, Machine.put),
    (b"r", "LONG_BINPUT", U32, Machine.put),
    (b"u", "SETITEMS", None, _set_items),
    # protocol 2
    (b"\x80", "PROTO", U8, _proto),
    (b"\x81", "NEWOBJ", None, _newobj),
    (b"\x82", "EXT1", U8, _EXTENSION),
    (b"\x83", "EXT2", U16, _EXTENSION),
    (b"\x84", "EXT4", I32, _EXTENSION),
    (b"\x85", "TUPLE1", None, _tuple_of(1)),
    (b"\x86", "TUPLE2", None, _tuple_of(2)),
    (b"\x87", "TUPLE3", None, _tuple_of(3)),
    (b"\x88", "NEWTRUE", None, lambda m: m.push(True)),
    (b"\x89", "NEWFALSE", None, lambda m: m.push(False)),
    (b"\x8a", "LONG1", U8, _long),
    (b"\x8b", "LONG4", U32, _long),
    # protocol 3
    (b"B", "BINBYTES", U32, lambda m, count: m.push(m.view_or_bytes(count))),
    (b"C", "SHORT_BINBYTES", U8, lambda m, count: m.push(bytes(m.take(count)))),
    # protocol 4
    (b"\x8c", "SHORT_BINUNICODE", U8, _counted_text),
    (b"\x8d", "BINUNICODE8", U64, _counted_text),
    (b"\x8e", "BINBYTES8", U64, lambda m, count: m.push(m.view_or_bytes(count))),
    (b"\x8f", "EMPTY_SET", None, lambda m: m.push(set())),
    (b"\x90", "ADDITEMS", None, lambda m: m.add(m.pop_mark())),
    (b"\x91", "FROZENSET", None, _frozen_set),
    (b"\x92", "NEWOBJ_EX", None, _newobj_ex),
    (b"\x93", "STACK_GLOBAL", None, _stack_global),
    (b"\x94", "MEMOIZE", None, Machine.memoize),
    (b"\x95", "FRAME", U64, _frame),
    # protocol 5
    (b"\x96", "BYTEARRAY8", U64, lambda m, count: m.push(bytearray(m.take(count)))),
    (b"\x97", "NEXT_BUFFER", None, _OUT_OF_BAND),
    (b"\x98", "READONLY_BUFFER", None, _OUT_OF_BAND),
)

# By the byte: how long the operand is and what reads it, and the act.
OPCODES: list[tuple[int, Callable[..., tuple[Any, ...]] | None, Callable[..., object] | None]]
OPCODES = [(0, None, _UNKNOWN)] * 256
for _code, _, _operand, _act in ROWS:
    OPCODES[_code[0]] = (_operand.size, _operand.unpack_from, _act) if _operand else (0, None, _act)


def name_of(code: int) -> str:
    """What an opcode is called; that which has no name, by its number."""
    return next((name for known, name, *_ in ROWS if known[0] == code), f"0x{code:02x}")
