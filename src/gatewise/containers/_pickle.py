"""The closed pickle machine: reads every opcode of protocols 0 to 5 and runs nothing.

A pickle is a program for a stack machine, and two of its opcodes call whatever the file names.  Here they make
:class:`~._pickled.Stub` objects instead; nothing is imported, nothing is called but the builders of
:mod:`._pickle_build`.  Sources: CPython's Lib/pickletools.py (the opcodes' definitions) and Lib/pickle.py.
Refused: extension codes (EXT1, EXT2, EXT4: their meaning lies in the program that wrote them) and out-of-band buffers
(NEXT_BUFFER, READONLY_BUFFER: their bytes are not in the file).
"""

from __future__ import annotations

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ._pickle_machine import Machine, Record
from ._pickle_opcodes import OPCODES

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Record", "load"]


def load(cursor: Cursor, limits: Limits, record: Record | None = None) -> Any:
    """One pickle, from where the cursor stands to its STOP.  Raises BrokenFile, LimitExceeded.

    Persistent ids, calls and names are added to ``record``, in the pickle's order.
    """
    machine = Machine(cursor, limits, record)
    try:
        return _run(machine)
    except BrokenFile as error:
        if error.where is not None and "opcode" not in error.where:  # the cursor met the end of the file
            error.where = f"{error.where}, opcode {machine.opcode}"
        raise


def _run(machine: Machine) -> Any:
    data, end, limit = machine.data, machine.end, machine.limits.objects
    while True:
        machine.at = at = machine.next
        if at >= end:
            machine.advance(1)
        machine.next = at + 1
        known = OPCODES.get(data[at])
        if known is None:
            machine.opcode = f"0x{data[at]:02x}"
            raise machine.broken("no protocol has such an opcode")
        machine.opcode, act = known
        if act is None:
            machine.cursor.at = machine.next
            return machine.result()
        machine.objects += 1  # as count_objects, without a call for each opcode
        if machine.objects > limit:
            machine.count_objects(0)
        act(machine)
