"""The state of the pickle machine, and what its opcodes may do with it: a stack, marks, a memo, bounded throughout.

An object of a class is never made: :meth:`Machine.call` makes a Stub of it, or asks a builder of :mod:`._pickle_build`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..cursor import Cursor, Limits
from ..errors import BrokenFile, LimitExceeded
from ..record import field, record
from ._pickle_build import BUILDERS, COPYREG, NOT_PLAIN, cost, key_parts, new_object
from ._pickled import MISSING, Global, LegacyStr, Persistent, Stub

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

LONGEST_INTEGER = 4096  # bytes, or digits in the text form; honest ones have a dozen
SEEN_AS_VIEW = 4096  # bytes
_SHORT = 1 << 24  # bytes
_COPIES, _FEW = 4, 1 << 16
_LONGEST_NAME = 4096  # characters of a class's full name
_CALLED = (Global, Stub, Persistent)
_TEXTS = {str}
_FETCH_AGAIN = "The file is cut or damaged; fetch it again."


@record
class Record:
    """What pickles would do, in their order, also what they drop again before they end.

    ``persistent``  every persistent id met
    ``calls``       every object made by calling something that no builder stands for
    ``names``       every class and function named (a dict for its order)
    """

    persistent: list[Persistent] = field(default_factory=list)
    calls: list[Stub] = field(default_factory=list)
    names: dict[Global, None] = field(default_factory=dict)


class Machine:
    """One pickle being read; what is met on the way goes into ``record``.

    A checkpoint is ten thousand opcodes and more, each of them a call: what they share is kept here as plain attributes
    (the bytes, the place in them, how deep the stack may be taken from), where the rest of gatewise asks a Cursor.
    """

    def __init__(self, cursor: Cursor, limits: Limits, record: Record | None = None):
        self.cursor = cursor  # left where it is until the end; what reads past the end asks it, and it says so
        # A short pickle is copied: Python reads an opcode from bytes in half the time.
        self.data: bytes | memoryview = bytes(cursor.data) if len(cursor.data) <= _SHORT else cursor.data
        self.next, self.end = cursor.at, len(cursor.data)  # where to read on, and up to where
        self.limits, self.nesting = limits, limits.nesting
        self.record = record or Record()
        self.stack: list[Any] = []
        self.push = self.stack.append
        self.marks: list[int] = []
        self.floor = 0  # the last mark: nothing below it is taken but by an opcode that takes the mark
        self.memo: list[Any] = []  # by number, as far as the numbers follow each other, as Python gives them
        self.far: dict[int, Any] = {}
        self.objects = self.copied = 0

    def count_objects(self, count: int) -> None:
        """What is done beside the opcodes, which are counted as they are read: every part of a key, every object that a
        builder copies.  Work is bounded with them."""
        self.objects += count
        if self.objects > self.limits.objects:
            self.limits.check("objects", self.objects)

    def count_copies(self, objects: int, size: int) -> None:
        """What an honest pickle has copied stands in it once: copies of many times its size are a bomb."""
        self.count_objects(objects)
        self.copied += size
        if self.copied > _COPIES * self.end + _FEW:
            raise LimitExceeded(f"a pickle of {self.end:,} bytes has more than {self.copied:,} of them copied.")

    def result(self) -> Any:
        """What STOP leaves."""
        if len(self.stack) != 1 or self.marks:
            raise self.broken(f"{len(self.stack)} objects are left where one should be")
        return self.stack.pop()

    def broken(self, message: str) -> BrokenFile:
        return BrokenFile(f"{message}.", next=_FETCH_AGAIN)  # whoever reads the opcodes says where

    # The stack.

    def pop(self) -> Any:
        if len(self.stack) <= self.floor:
            raise self.broken("takes an object from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if len(self.stack) <= self.floor:
            raise self.broken("needs an object and the stack is empty")
        return self.stack[-1]

    def mark(self) -> None:
        if len(self.marks) >= self.nesting:
            self.limits.check("nesting", len(self.marks) + 1)
        self.floor = len(self.stack)
        self.marks.append(self.floor)

    def drop_mark(self) -> int:
        """Take the last mark away; where it stood."""
        if not self.marks:
            raise self.broken("no mark was set")
        start = self.marks.pop()
        self.floor = self.marks[-1] if self.marks else 0
        return start

    def pop_mark(self) -> list[Any]:
        """Take what was pushed since the last mark, and the mark."""
        start = self.drop_mark()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    # Operands.

    def advance(self, size: int) -> int:
        """Where the next ``size`` bytes begin, which are now read.  Raises BrokenFile where there are fewer."""
        at = self.next
        if size > self.end - at:
            self.cursor.at = at
            self.cursor.take(size)  # which says that the file ends
        self.next = at + size
        return at

    def take(self, size: int) -> bytes | memoryview:
        """The next bytes."""
        at, after = self.next, self.next + size
        if after > self.end:
            self.advance(size)
        self.next = after
        return self.data[at:after]

    def view_or_bytes(self, size: int) -> bytes | memoryview:
        """Bytes; many of them stay where they lie in the file, since an array's elements are such."""
        if size < SEEN_AS_VIEW:
            return bytes(self.take(size))
        at = self.advance(size)
        return self.cursor.data[at : at + size].toreadonly()

    def decoded(self, raw: bytes | memoryview) -> str:
        try:
            return str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self.broken("its text is not UTF-8") from None

    def line(self) -> bytes:
        """Up to the newline, which is consumed.  The window grows, so that a long pickle is not copied per line."""
        window = 128
        while True:
            found = bytes(self.data[self.next : self.next + window])
            end = found.find(b"\n")
            if end >= 0:
                self.advance(end + 1)
                return found[:end]
            if window >= self.end - self.next:
                raise self.broken("its line has no end")
            window *= 8

    def number(self, text: bytes) -> int:
        if len(text) > LONGEST_INTEGER or not text.strip().lstrip(b"+-").isdigit():
            raise self.broken("its integer is not one")
        try:
            return int(text)
        except ValueError:
            raise self.broken("its integer is not one") from None

    def legacy(self, raw: bytes) -> str:
        return raw.decode("ascii") if raw.isascii() else LegacyStr.of(raw)

    # Objects.

    def find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or not module or not name:
            raise self.broken("names its class by something else than text")
        if len(module) + len(name) > _LONGEST_NAME or "\n" in module + name:
            raise self.broken("names a class in more characters than any has, or over several lines")
        found = Global(module, name)
        self.record.names.setdefault(found, None)
        self.push(found)

    def call(self, cls: Any, args: Any, kwargs: Any = None, how: str = "reduce") -> None:
        if not isinstance(args, tuple):
            raise self.broken("its arguments are not a tuple")
        if how == "reduce" and isinstance(cls, Global) and cls.module in COPYREG and (spelt := new_object(cls, args)):
            (cls, args), how = spelt, "newobj"
        if not isinstance(cls, _CALLED):
            raise self.broken(f"calls a {type(cls).__name__}, which is no class")
        build = BUILDERS.get((cls.module, cls.name)) if isinstance(cls, Global) and not kwargs else None
        if build:
            if args:
                self.count_copies(*cost(args))
            built = build(args)
            if built is not NOT_PLAIN:
                self.push(built)
                return
        stub = Stub(cls, args, kwargs, how)
        self.record.calls.append(stub)
        self.push(stub)

    def set_items(self, keys: list[Any], values: list[Any]) -> None:
        target = self.top()
        if len(keys) != len(values):
            raise self.broken("a key has no value")
        self.check_keys(keys)
        if isinstance(target, dict):
            target.update(zip(keys, values, strict=True))
        elif isinstance(target, Stub):
            target.entries = [] if isinstance(target.entries, tuple) else target.entries
            target.entries.extend(zip(keys, values, strict=True))
        else:
            raise self.broken(f"sets an item of a {type(target).__name__}")

    def check_keys(self, keys: Sequence[Any]) -> None:
        if set(map(type, keys)) <= _TEXTS:  # as most keys are
            self.count_objects(len(keys))
            return
        for key in keys:
            parts = key_parts(key)
            if not parts:
                raise self.broken(f"a {type(key).__name__} like this cannot be a key")
            self.count_objects(parts)

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Stub):
            target.items = [] if isinstance(target.items, tuple) else target.items
            target.items.extend(values)
        else:
            raise self.broken(f"appends to a {type(target).__name__}")

    def add(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, set):
            raise self.broken(f"adds to a {type(target).__name__}")
        self.check_keys(values)
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
        memo = self.memo
        if 0 <= index < len(memo):
            self.push(memo[index])
        elif index in self.far:
            self.push(self.far[index])
        else:
            raise self.broken(f"memo {index} was never written")

    def put(self, index: int) -> None:
        stack, memo = self.stack, self.memo
        if len(stack) <= self.floor:
            self.top()  # which says that there is none
        if index == len(memo):
            memo.append(stack[-1])
            if self.far:
                self.far.pop(index, None)
        elif 0 <= index < len(memo):
            memo[index] = stack[-1]
        else:
            self.far[index] = stack[-1]

    def memoize(self) -> None:
        self.put(len(self.memo) + len(self.far))

    def keep(self, id: Any) -> None:
        found = Persistent(id)
        self.record.persistent.append(found)
        self.push(found)
