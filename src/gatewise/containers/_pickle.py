"""The closed pickle machine: reads every opcode of protocols 0 to 5 and runs nothing.

A pickle is a program for a stack machine, and two of its opcodes call whatever the file names.  Here they make
:class:`~._pickled.Stub` objects instead; nothing is imported, nothing is called but the builders of
:mod:`._pickle_build`.  Sources: CPython's Lib/pickletools.py (the opcodes' definitions) and Lib/pickle.py.
Refused: extension codes (EXT1, EXT2, EXT4: their meaning lies in the program that wrote them) and out-of-band buffers
(NEXT_BUFFER, READONLY_BUFFER: their bytes are not in the file).
"""

from __future__ import annotations

from ..cursor import Cursor, Limits
from ..errors import ContainerError, GatewiseError
from ._pickle_machine import Machine, Record
from ._pickle_opcodes import OPCODES, name_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Record", "load"]


def load(cursor: Cursor, limits: Limits, record: Record | None = None) -> Any:
    """One pickle, from where the cursor stands to its STOP.  Raises BrokenFile, LimitExceeded.

    Persistent ids, calls and names are added to ``record``, in the pickle's order.
    """
    machine = Machine(cursor, limits, record)
    data, end, at = machine.data, machine.end, machine.next
    try:
        # A checkpoint is ten thousand opcodes and more: what only a refusal needs, their names and places, waits for one.
        for _ in range(limits.objects):
            if machine.next >= end:
                machine.advance(1)
            at = machine.next
            size, operand, act = OPCODES[data[at]]
            machine.next = at + 1
            if act is None:
                cursor.at = at + 1
                return machine.result()
            if operand is None:
                act(machine)
            else:
                if at + size >= end:
                    machine.advance(size)
                machine.next = at + 1 + size
                act(machine, operand(data, at + 1)[0])
        limits.check("objects", limits.objects + 1)
    except ContainerError as error:
        raise _placed(error, cursor, at) from error.__cause__


def _placed(error: ContainerError, cursor: Cursor, at: int) -> GatewiseError:
    """The error with the opcode that met it.  Where the bytes ended, the cursor said which."""
    opcode = f"opcode {name_of(cursor.data[at])}" if at < len(cursor.data) else "before any opcode"
    if error.where is None:
        error.where = f"{cursor.where or 'pickle'}, {opcode} at byte {cursor.base + at}"
    else:
        error.where = f"{error.where}, {opcode}"
    return error if cursor.path is None else error.at(cursor.path)
