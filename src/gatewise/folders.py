"""Folders of modules that are walked: the names of their modules, and importing one of them.

As ``pkgutil.iter_modules`` and ``importlib.import_module``, without what these import themselves: pkgutil asks ``inspect``
(with ast, dis and tokenize: 11 ms) to take a suffix off a file's name.  Not known here: what a module is for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from types import ModuleType


def modules(package: str) -> tuple[str, ...]:
    """The modules of a package (not its packages), sorted, but for those with a leading underscore.  Imports none."""
    names = {name for folder in sys.modules[package].__path__ for name in _names(folder)}
    return tuple(sorted(name for name in names if not name.startswith("_")))


def _names(folder: str) -> Iterable[str]:
    # Without pathlib, which costs as much as twenty modules of ours.
    if os.path.isdir(folder):  # noqa: PTH112
        return [entry.partition(".")[0] for entry in os.listdir(folder) if entry.endswith((".py", ".pyc"))]  # noqa: PTH208
    import pkgutil  # what lies within a zip archive, say

    return [module.name for module in pkgutil.iter_modules([folder]) if not module.ispkg]


def module(name: str) -> ModuleType:
    """The module of this absolute name, imported if it was not yet."""
    __import__(name)
    return sys.modules[name]
