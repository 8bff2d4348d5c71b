"""Views of a framework's own memory that say when they are written: autograd must know of a change in place, also of one
that goes through a slice (``live[0, "forward"].bias["f"][3] = 0``, ``… *= 2``).

A watched array is numpy's in all else; what is computed from it is a plain one.  Not known here: any framework.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..tensors import Array


def watched(array: Array, told: Callable[[], None]) -> Array:
    """A view of ``array`` that calls ``told`` after each change of it, or of a view of it."""
    view: Any = array.view(_kind())
    view._told = told
    found: Array = view
    return found


@functools.cache
def _kind() -> Any:
    """The class, made when numpy is at hand."""
    import numpy as np

    class Watched(np.ndarray):
        _told: Callable[[], None] | None = None

        def __array_finalize__(self, other: Any) -> None:
            if self.base is not None:  # a view of it; a copy is nobody's memory
                self._told = getattr(other, "_told", None)

        def __setitem__(self, at: Any, value: Any) -> None:
            super().__setitem__(at, value)
            _tell(self)

        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **named: Any) -> Any:
            outputs = named.get("out", ())
            if outputs:
                named["out"] = tuple(map(_plain, outputs))
            found = getattr(ufunc, method)(*map(_plain, inputs), **named)
            for each in (*outputs, *(inputs[:1] if method == "at" else ())):
                _tell(each)
            return outputs[0] if len(outputs) == 1 else outputs or found

        def __array_function__(self, function: Any, types: Any, given: Any, named: Any) -> Any:
            found = super().__array_function__(function, types, given, named)
            if function in _WRITERS:
                _tell(given[0] if given else named.get("dst", named.get("a")))
            return found

        def __reduce__(self) -> Any:  # pickled and copied deeply as what it holds
            return _plain(self).copy().__reduce__()

        def __repr__(self) -> str:
            return repr(_plain(self))

        def __deepcopy__(self, _memo: Any) -> Any:
            return _plain(self).copy()

    def writing(name: str) -> Any:
        def write(self: Any, *given: Any, **named: Any) -> Any:
            found = getattr(_plain(self), name)(*given, **named)
            _tell(self)
            return found

        return write

    for name in ("fill", "put", "sort", "partition"):
        setattr(Watched, name, writing(name))

    def _plain(value: Any) -> Any:
        return value.view(np.ndarray) if isinstance(value, Watched) else value

    def _tell(value: Any) -> None:
        told = getattr(value, "_told", None)
        if told is not None:
            told()

    _WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}  # noqa: N806
    return Watched
