"""Vectors of numbers in each framework's own kind: which one is at hand, indices and masks in it, filling one.

One file per kind; the folder is walked.  Each gives ``owns(value)`` (is it one of mine? the framework is looked up in
``sys.modules``, never imported for that), ``given(array, like)`` (a numpy array as mine, on the device of ``like`` where
there is one), ``contiguous(value)`` and ``filling(out)`` (a context that gives numpy's view of a ready buffer).
Not known here: weights.
"""

from __future__ import annotations

import functools
from typing import Any

from ... import folders
from ...errors import UsageError, nearest
from .._weight import described


@functools.cache
def names() -> tuple[str, ...]:
    """The kinds there are."""
    return folders.modules(__name__)


def named(name: str) -> Any:
    """The kind of this name.  Raises UsageError."""
    if name not in names():
        raise UsageError(
            f"there are no vectors of {name!r}.", next=nearest(name, names()) or f"Known: {', '.join(names())}."
        )
    return folders.module(f"{__name__}.{name}")


def kind_of(value: Any) -> Any:
    """The kind that a vector is of.  Raises UsageError for what is none."""
    for name in names():
        kind = named(name)
        if kind.owns(value):
            return kind
    raise UsageError(
        f"{described(value)} is no vector that gatewise knows.",
        next=f"It takes arrays and tensors of {', '.join(names())}.",
    )


def given(array: Any, like: Any) -> Any:
    """A numpy array in the kind of ``like``: a name (``"torch"``), a vector as an example, or None for numpy itself.
    Raises UsageError for what is neither, and for a framework that is not installed."""
    if like is None:
        return array
    if not isinstance(like, str):
        return kind_of(like).given(array, like)
    kind = named(like)
    try:
        return kind.given(array, None)
    except ImportError as error:
        raise UsageError(f"{like} is not installed ({error}).") from None
