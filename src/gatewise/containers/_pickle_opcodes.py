"""The opcodes of pickle protocols 0 to 5: one row each, its byte, its name, and what it asks of the machine.

Source: CPython's Lib/pickletools.py, whose names these are.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from ._pickle_machine import LONGEST_INTEGER, Machine

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


def _long(machine: Machine, length: int) -> None:
    if length > LONGEST_INTEGER:
        raise machine.broken(f"announces an integer of {length:,} bytes")
    machine.push(int.from_bytes(machine.view(length), "little", signed=True))


def _binfloat(machine: Machine) -> None:
    machine.push(struct.unpack(">d", machine.view(8))[0])


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


def _drop(machine: Machine) -> None:
    machine.pop_mark()


def _pop(machine: Machine) -> None:
    if machine.marks and machine.floor == len(machine.stack):
        machine.drop_mark()
    else:
        machine.pop()


def _tuple(machine: Machine, count: int) -> None:
    stack = machine.stack
    if len(stack) - count < machine.floor:
        raise machine.broken("takes an object from an empty stack")
    stack[-count:] = [tuple(stack[-count:])]


def _dict(machine: Machine) -> None:
    pairs = machine.pop_mark()
    machine.push({})
    machine.set_items(pairs)


def _frozen_set(machine: Machine) -> None:
    members = machine.pop_mark()
    machine.check_keys(members)
    machine.push(frozenset(members))


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.append([value])


def _proto(machine: Machine) -> None:
    protocol = machine.byte()
    if protocol > 5:
        raise machine.broken(f"protocol {protocol} is not known; the newest is 5")


def _frame(machine: Machine) -> None:
    length, left = machine.u64(), machine.end - machine.next
    if length > left:
        raise machine.broken(f"announces {length:,} bytes where {left:,} are left")


def _refuse(reason: str) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        raise machine.broken(reason)

    return act


_EXTENSION = _refuse("uses an extension code, whose meaning lies in the program that wrote it")
_OUT_OF_BAND = _refuse("keeps its bytes outside the file")

OPCODES: dict[int, tuple[str, Callable[[Machine], None] | None]] = {
    code[0]: (name, act)
    for code, name, act in (
        # protocol 0
        (b"(", "MARK", Machine.mark),
        (b".", "STOP", None),
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
        (b"J", "BININT", lambda m: m.push(m.i32())),
        (b"K", "BININT1", lambda m: m.push(m.byte())),
        (b"M", "BININT2", lambda m: m.push(m.u16())),
        (b"Q", "BINPERSID", lambda m: m.keep(m.pop())),
        (b"T", "BINSTRING", lambda m: m.push(m.legacy(bytes(m.view(m.u32()))))),
        (b"U", "SHORT_BINSTRING", lambda m: m.push(m.legacy(bytes(m.view(m.byte()))))),
        (b"X", "BINUNICODE", lambda m: m.push(m.decoded(m.view(m.u32())))),
        (b"e", "APPENDS", lambda m: m.append(m.pop_mark())),
        (b"h", "BINGET", lambda m: m.get(m.byte())),
        (b"j", "LONG_BINGET", lambda m: m.get(m.u32())),
        (b"o", "OBJ", _obj),
        (b"q", "BINPUT", lambda m: m.put(m.byte())),
        (b"r", "LONG_BINPUT", lambda m: m.put(m.u32())),
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
        (b"\x8a", "LONG1", lambda m: _long(m, m.byte())),
        (b"\x8b", "LONG4", lambda m: _long(m, m.u32())),
        # protocol 3
        (b"B", "BINBYTES", lambda m: m.push(m.view_or_bytes(m.u32()))),
        (b"C", "SHORT_BINBYTES", lambda m: m.push(bytes(m.view(m.byte())))),
        # protocol 4
        (b"\x8c", "SHORT_BINUNICODE", lambda m: m.push(m.decoded(m.view(m.byte())))),
        (b"\x8d", "BINUNICODE8", lambda m: m.push(m.decoded(m.view(m.u64())))),
        (b"\x8e", "BINBYTES8", lambda m: m.push(m.view_or_bytes(m.u64()))),
        (b"\x8f", "EMPTY_SET", lambda m: m.push(set())),
        (b"\x90", "ADDITEMS", lambda m: m.add(m.pop_mark())),
        (b"\x91", "FROZENSET", _frozen_set),
        (b"\x92", "NEWOBJ_EX", _newobj_ex),
        (b"\x93", "STACK_GLOBAL", _stack_global),
        (b"\x94", "MEMOIZE", lambda m: m.put(len(m.memo))),
        (b"\x95", "FRAME", _frame),
        # protocol 5
        (b"\x96", "BYTEARRAY8", lambda m: m.push(bytearray(m.view(m.u64())))),
        (b"\x97", "NEXT_BUFFER", _OUT_OF_BAND),
        (b"\x98", "READONLY_BUFFER", _OUT_OF_BAND),
    )
}
