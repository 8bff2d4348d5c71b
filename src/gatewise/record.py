"""Frozen values, cheaply made: what ``dataclass(frozen=True)`` gives, without writing code for every class.

``gatewise inspect`` is to cost little more than Python's own start.  A frozen dataclass takes about 0.45 ms to make and
the module 5 ms to import; with the forty classes on that way it was a third of the whole.  Here a few functions serve
all classes.  ``dataclasses.replace``, ``fields`` and ``is_dataclass`` work on records; they pay for the import.
Not known here: inheritance between records, ``ClassVar``, ``slots``, ``kw_only``.

For the same reason ``typing`` is imported for the type checker alone, here and in every module that opens a file: it
takes 4 ms, as much as twenty of ours.  A constant of the name ``TYPE_CHECKING`` says the same as typing's to mypy, ruff
and every editor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, overload

    if sys.version_info >= (3, 11):
        from typing import dataclass_transform
    else:
        from typing_extensions import dataclass_transform

    T = TypeVar("T")

    import functools

    lazy = functools.cached_property
else:

    class lazy:  # noqa: N801  # as functools.cached_property
        """``functools.cached_property`` without its lock, which before Python 3.12 all objects of a class share for as long as one
        of them computes: threads would wait for each other, and a process forked meanwhile for ever.  Of two threads that
        ask an object at once both may compute, and both get what the first one found."""

        def __init__(self, make):
            self._make, self.__doc__ = make, make.__doc__

        def __set_name__(self, _owner, name):
            self._name = name

        def __get__(self, instance, _owner=None):
            return self if instance is None else instance.__dict__.setdefault(self._name, self._make(instance))


_NOTHING: Any = object()


class _Field:
    """A default that a plain value cannot say, or a field that ``repr`` or ``==`` leaves out."""

    def __init__(self, default: Any, default_factory: Any, repr: bool, compare: bool):
        self.default, self.default_factory, self.repr, self.compare = default, default_factory, repr, compare


def field(*, default: Any = _NOTHING, default_factory: Any = _NOTHING, repr: bool = True, compare: bool = True) -> Any:
    """As ``dataclasses.field``."""
    return _Field(default, default_factory, repr, compare)


if TYPE_CHECKING:

    @overload
    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]: ...
    @overload
    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(*, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
    def record(cls: Any = None, *, eq: bool = True) -> Any: ...

else:

    def record(cls=None, *, eq=True):
        """Class decorator: the annotated names become the fields, in order.  ``eq=False``: compared by identity."""
        return (lambda found: _made(found, eq)) if cls is None else _made(cls, eq)


def replace(value: T, /, **changes: Any) -> T:
    """The same record with some fields changed."""
    cls: Any = type(value)
    names, before = cls._record_names, value.__dict__
    if not changes.keys() <= cls._record_set:
        raise TypeError(f"{cls.__name__} has no {next(name for name in changes if name not in names)!r}")
    made: T = cls.__new__(cls)
    values = [changes[name] if name in changes else before[name] for name in names]  # no cached property of the old one
    made.__dict__.update(zip(names, values))  # noqa: B905  # pairs: all records of a class then share their names' memory
    if cls._record_checked:
        made.__post_init__()  # type: ignore[attr-defined]
    return made


def names(kind: Any) -> tuple[str, ...]:
    """The names of a record's fields, in order."""
    found: tuple[str, ...] = kind._record_names
    return found


def _made(cls: Any, eq: bool) -> Any:
    said = {name: cls.__dict__.get(name, _NOTHING) for name in cls.__annotations__}
    plain = {name: value for name, value in said.items() if not isinstance(value, _Field)}
    special = {name: value for name, value in said.items() if isinstance(value, _Field)}
    cls._record_names, cls._record_set = tuple(said), said.keys()
    cls._record_defaults = {name: value for name, value in plain.items() if value is not _NOTHING} | {
        name: value.default for name, value in special.items() if value.default is not _NOTHING
    }
    cls._record_factories = {
        name: value.default_factory for name, value in special.items() if value.default_factory is not _NOTHING
    }
    cls._record_shown = tuple(name for name in said if name not in special or special[name].repr)
    cls._record_compared = tuple(name for name in said if name not in special or special[name].compare)
    for name in special:  # what is left on the class would be found where a field was not given
        delattr(cls, name)
    cls._record_checked = hasattr(cls, "__post_init__")
    cls.__setattr__, cls.__delattr__ = _frozen, _frozen
    if "__init__" not in cls.__dict__:  # a class of which there are thousands may write its own
        cls.__init__ = _initialiser(cls)
    if "__repr__" not in cls.__dict__:
        cls.__repr__ = _repr
    if eq:
        cls.__eq__, cls.__hash__ = _eq, _hash
    cls.__dataclass_fields__ = _Fields()
    return cls


def _initialiser(cls: Any) -> Any:
    names, count, checked = cls._record_names, len(cls._record_names), cls._record_checked
    tail = tuple(cls._record_defaults[name] for name in _trailing(cls))

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807
        missing = count - len(values)
        if named or missing:  # most are made with all their values in order, or all but the last ones
            if named or not 0 < missing <= len(tail):
                values = _complete(cls, values, named)
            else:
                values += tail[-missing:]
        self.__dict__.update(zip(names, values))  # noqa: B905  # saying strict=False costs as much as a field
        if checked:
            self.__post_init__()

    return __init__


def _trailing(cls: Any) -> list[str]:
    """The last fields, as far as they have plain defaults."""
    found: list[str] = []
    for name in reversed(cls._record_names):
        if name not in cls._record_defaults:
            break
        found.insert(0, name)
    return found


def _complete(cls: Any, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """All the values, in order."""
    names, said = cls._record_names, len(values)
    state = {**cls._record_defaults, **dict(zip(names, values)), **named}  # noqa: B905
    if state.keys() == cls._record_set and said <= len(names) and not any(name in named for name in names[:said]):
        return tuple([state[name] for name in names])
    if len(values) > len(names):
        raise TypeError(f"{cls.__name__} takes {len(names)} values, {len(values)} were given")
    left, defaults, factories = names[len(values) :], cls._record_defaults, cls._record_factories
    for name in named:
        if name not in left:
            raise TypeError(f"{cls.__name__} {'got twice' if name in names else 'has no'} {name!r}")
    for name in left:
        if not (name in named or name in defaults or name in factories):
            raise TypeError(f"{cls.__name__} wants {name!r}")
    return (
        *values,
        *[named[name] if name in named else defaults[name] if name in defaults else factories[name]() for name in left],
    )


def _frozen(self: Any, name: str, *_value: Any) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be changed")


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._record_shown)
    return f"{type(self).__name__}({shown})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(map(self.__dict__.__getitem__, self._record_compared))


def _eq(self: Any, other: Any) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


class _Fields:
    """``__dataclass_fields__``, made when the standard library asks for it."""

    def __get__(self, _instance: object, cls: Any) -> Any:
        import dataclasses

        twin = dataclasses.make_dataclass(
            cls.__name__,
            [
                (name, object, dataclasses.field(**_said(cls, name), compare=name in cls._record_compared))
                for name in cls._record_names
            ],
        )
        cls.__dataclass_fields__ = vars(twin)["__dataclass_fields__"]
        return cls.__dataclass_fields__


def _said(cls: Any, name: str) -> dict[str, Any]:
    if name in cls._record_factories:
        return {"default_factory": cls._record_factories[name]}
    value = cls._record_defaults.get(name, _NOTHING)
    # dataclasses refuses a default that cannot be hashed; a factory gives the same one.
    return {} if value is _NOTHING else {"default_factory": lambda: value}
