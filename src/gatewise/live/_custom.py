"""Layers of the user's own: which class is described by which layout, and how such a layer is called.

A layout is believed once the real layer's forward run agrees with the reference's (``Live.prove``).  How it is called is
found by trying, unless the user says it.  Not known here: any framework.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..errors import UsageError
from ..layouts import Layout, layout

Run = Callable[..., Any]  # run(layer, x, state) -> y, or (y, states…); framework tensors, x [batch, time, feature]
Kind = TypeVar("Kind", bound=type)
_DESCRIBED: weakref.WeakKeyDictionary[type, Layout] = weakref.WeakKeyDictionary()


def described_by(name: str | Layout) -> Callable[[Kind], Kind]:
    """Class decorator: instances are layers of this layout (a :class:`Layout`, its name, or a TOML file), wherever
    gatewise meets them.

        @gw.described_by(gw.Layout("mine.LSTM", "lstm", "fiog", parts=(…)))
        class MyLSTM(torch.nn.Module): …
    """
    found = layout(name)

    def described(kind: Kind) -> Kind:
        _DESCRIBED[kind] = found
        return kind

    return described


def layout_of(subject: Any) -> Layout | None:
    """The layout by which a class, or one that it is made of, was described."""
    return next((_DESCRIBED[kind] for kind in type(subject).__mro__ if kind in _DESCRIBED), None)


Way = Callable[[Any], Any]


def tried(
    ways: Sequence[tuple[str, Way]], x: Any, wanted: tuple[int, int, int], shape_of: Callable[[Any], tuple[int, ...]], what: str
) -> Any:  # fmt: skip
    """The first way of calling a layer that gives an output of ``wanted`` [batch, time, features], or its last step.
    Raises UsageError telling what came of each."""
    told = []
    for name, way in ways:
        try:
            y = way(x)
            shape = shape_of(y)
        except Exception as error:  # whatever the user's own code raises
            told.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:160])
            continue
        if shape in (wanted, (wanted[0], wanted[2])):
            return y
        told.append(f"{name}: gave {list(shape)}, wanted {list(wanted)}")
    raise UsageError(
        f"{what} could not be called to check its layout ({'; '.join(told)}).",
        next="Say how with run=lambda layer, x, state: …, or check=False to believe the layout.",
    )


def flattened(value: Any) -> Iterator[Any]:
    """The tensors of what a layer returned, in order: ``(y, (h, c))`` gives y, h, c."""
    if isinstance(value, tuple | list):
        for each in value:
            yield from flattened(each)
    else:
        yield value


__all__ = ["Run", "described_by", "flattened", "layout_of", "tried"]
