"""What a pickle becomes here: plain values, plain containers, and inert descriptions of everything else.

The pickle machine (:mod:`._pickle`) makes these objects, the pickle writer (:mod:`._pickle_write`) writes them back.
None of them can do anything: a :class:`Global` is two names, a :class:`Stub` remembers what the pickle said about an
object of a class that is never looked up.  Shared objects stay shared and cycles stay cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..record import record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any


@record
class Global:
    """The name of a class or function: ``Global("torch.nn.modules.rnn", "LSTM")``.  It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Persistent:
    """An object that the pickle keeps outside itself, by the id that it gave."""

    __slots__ = ("id",)

    def __init__(self, id: Any):
        self.id = id


class _Missing:
    """The state of an object that was given none (``None`` is a state)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Stub:
    """An object of a class that is not run: what the pickle would have called, with what, and what it then set.

    ``cls``      what is called or instantiated: a Global, or a Persistent or another Stub standing for one
    ``args``     positional arguments; ``kwargs`` keyword arguments (protocol 4's NEWOBJ_EX), usually empty
    ``how``      ``reduce`` (``cls(*args)``) or ``newobj`` (``cls.__new__(cls, *args, **kwargs)``)
    ``state``    what BUILD gave, else MISSING;  ``items`` what was appended;  ``entries`` the pairs that were set
    """

    __slots__ = ("args", "cls", "entries", "how", "items", "kwargs", "state")

    def __init__(
        self, cls: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None, how: str = "reduce"
    ):
        self.cls = cls
        self.args = args
        self.kwargs: Mapping[str, Any] = dict(kwargs) if kwargs else _NOTHING
        self.how = how
        self.state: Any = MISSING
        self.items: list[Any] | tuple[()] = ()  # most objects have none, and a checkpoint has many objects
        self.entries: list[tuple[Any, Any]] | tuple[()] = ()

    def __repr__(self) -> str:
        return f"<Stub {self.cls if isinstance(self.cls, Global) else type(self.cls).__name__}>"

    @property
    def attributes(self) -> dict[Any, Any]:
        """The object's ``__dict__`` as pickled: the state if it is a dict, with the slots' dict of a pair added."""
        if isinstance(self.state, dict):
            return self.state
        if isinstance(self.state, tuple) and len(self.state) == 2:
            parts = [part for part in self.state if isinstance(part, dict)]
            if len(parts) == sum(part is not None for part in self.state):
                return {key: value for part in parts for key, value in part.items()}
        return {}

    def is_a(self, *names: str) -> bool:
        """Is the class one of these full names?"""
        return isinstance(self.cls, Global) and str(self.cls) in names


class LegacyStr(str):
    """A Python-2 ``str`` with bytes above 127: text to read (UTF-8, else Latin-1), and the bytes themselves.

    Numpy arrays pickled by Python 2 keep their elements in such strings, so the bytes must not be lost.
    """

    __slots__ = ("raw",)
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> LegacyStr:
        try:
            text = cls(raw.decode("utf-8"))
        except UnicodeDecodeError:
            text = cls(raw.decode("latin-1"))
        text.raw = raw
        return text


class DefaultDict(dict["Any", "Any"]):
    """``collections.defaultdict`` without its life: the factory is remembered, never called."""

    __slots__ = ("factory",)

    def __init__(self, factory: Any = None):
        super().__init__()
        self.factory = factory


def raw_bytes(value: object) -> bytes | bytearray | memoryview | None:
    """The bytes of a value that is bytes in any of the spellings of Python 2 and 3, else None."""
    if isinstance(value, bytes | bytearray | memoryview):
        return value
    if isinstance(value, LegacyStr):
        return value.raw
    if isinstance(value, str) and value.isascii():
        return value.encode("ascii")
    return None
