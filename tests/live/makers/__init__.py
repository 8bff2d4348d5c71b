"""Layers of every framework, for the laws that hold for all of them (tests/live/test_live_laws.py and tests/edit/).

A framework is a file here: ``FRAMEWORK`` (the packages its tests need), ``LAYERS`` (a tuple of :class:`Maker`),
``numbers(subject)`` (copies of all its parameters, as the framework itself gives them) and, where it can differentiate,
``gradients(subject, loss)`` (the gradient of ``loss(subject)``, in the order of ``numbers``).  It imports the framework
inside functions.  The folder is walked.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gatewise.live import Live, of_several


@dataclass(frozen=True)
class Maker:
    """One kind of object.

    ``id``          what it is, in words
    ``make``        makes a new one: the same numbers each time, no bias zero
    ``parameters``  how many numbers the framework itself counts in its recurrent layers
    ``said``        what :func:`gw.of` is told beside the object
    """

    id: str
    make: Callable[[], Any]
    parameters: int
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A maker with what its framework's file gives."""

    maker: Maker
    numbers: Callable[[Any], list[np.ndarray]]
    gradients: Callable[[Any, Callable[[Any], Any]], list[np.ndarray]] | None

    def make(self) -> tuple[Any, list[Live]]:
        """A new object, and its recurrent layers."""
        subject = self.maker.make()
        return subject, of_several(subject, **self.maker.said)

    def elements(self, subject: Any) -> np.ndarray:
        """All numbers of an object as the framework itself gives them, end to end."""
        return end_to_end(self.numbers(subject))


def result_of(subject: Any, layers: list[Live]) -> Any:
    """The object with what was written: itself, or the new one of a framework whose objects never change."""
    return layers[0].result if layers[0].holder.functional else subject


def cases(wanted: Callable[[Maker], bool] = lambda _: True) -> list[Any]:
    """Every case as a parameter of a test, with its framework's mark."""
    return list(_cases(wanted))


def _cases(wanted: Callable[[Maker], bool]) -> Iterator[Any]:
    for found in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{found}")
        needs = (module.FRAMEWORK,) if isinstance(module.FRAMEWORK, str) else module.FRAMEWORK
        for maker in module.LAYERS:
            if wanted(maker):
                mark = pytest.mark.framework(*needs)
                yield pytest.param(
                    Case(maker, module.numbers, getattr(module, "gradients", None)),
                    id=f"{needs[0]}: {maker.id}",
                    marks=mark,
                )


def end_to_end(arrays: list[np.ndarray]) -> np.ndarray:
    """The elements of several arrays in one."""
    return np.concatenate([np.asarray(each, np.float64).ravel() for each in arrays])
