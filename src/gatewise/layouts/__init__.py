"""Every layout that gatewise knows.  One file per framework, tables only; this one finds them.

A table is a module of this folder whose name has no leading underscore and which holds a tuple ``LAYOUTS``.  The
folder is walked: adding a framework is adding a file.  Layouts of a user's own come from TOML files (``_user``).
"""

from __future__ import annotations

import functools
import os

from .. import folders
from ..errors import UnknownLayout, UsageError, nearest
from ..tensors import Tensors
from ._clues import Row, Texts, may_hold
from ._index import MODULES, ROWS
from ._layout import CheckedBefore, Layout, Part, Setting, Since
from ._match import Match
from ._outside import Lookalike
from ._recognise import Recognised, recognise
from ._settle import Ambiguity
from ._slots import Slot, slots

__all__ = [
    "Ambiguity", "Layout", "Lookalike", "Match", "Part", "Recognised", "Setting", "Since", "Slot",
    "layout", "layouts", "layouts_for", "layouts_of", "recognise", "slots",
]  # fmt: skip


@functools.cache
def _modules() -> tuple[str, ...]:
    return folders.modules(__name__)


def _tables(module: str) -> tuple[Layout, ...]:
    if module in MODULES:
        with CheckedBefore():
            folders.module(f"{__name__}.{module}")
    found: tuple[Layout, ...] = folders.module(f"{__name__}.{module}").LAYOUTS
    return found


@functools.cache
def layouts() -> tuple[Layout, ...]:
    """Every built-in layout, by framework."""
    return tuple(found for module in _modules() for found in _tables(module))


@functools.cache  # asked for each layer of a file
def layouts_of(framework: str) -> tuple[Layout, ...]:
    """The built-in layouts of one framework.  No other table is imported, but those that the index does not know."""
    rows = {row.module: row for row in ROWS}
    wanted = [
        name
        for name in _modules()
        if name not in rows or any(each.partition(".")[0] == framework for each in rows[name].layouts)
    ]
    return tuple(found for module in wanted for found in _tables(module) if found.framework == framework)


def built_in(name: str) -> Layout | None:
    """The built-in layout of this very name, if there is one.  As :func:`layouts_of`, no other framework's is imported."""
    return next((known for known in layouts_of(name.partition(".")[0]) if known.name == name), None)


def layouts_for(tensors: Tensors) -> tuple[Layout, ...]:
    """The built-in layouts that could be in a file, by the clues in the index: only their tables are imported, and
    those that the index does not know."""
    rows, texts = _clues()
    shown = texts.shown(tensors)
    wanted = [name for name in _modules() if name not in rows or may_hold(rows[name], shown)]
    return tuple(found for module in wanted for found in _tables(module))


@functools.cache
def _clues() -> tuple[dict[str, Row], Texts]:
    """The index's row of each module, and every text that their clues ask for."""
    return {row.module: row for row in ROWS}, Texts(ROWS)


def layout(name: str | Layout) -> Layout:
    """The layout called ``name``, or the one that a ``.toml`` file describes.  Raises UnknownLayout, PhraseError."""
    if isinstance(name, Layout):
        return name
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(name, str):
        raise UsageError(
            f"layout is {name!r:.60}; it must be a gw.Layout, a layout's name, or the path of a TOML file.",
            next="gw.layouts() lists them all.",
        )
    home = next((row.module for row in ROWS if name in row.layouts), None)
    for known in _tables(home) if home in _modules() else layouts():
        if known.name == name:
            return known
    if name.endswith(".toml"):
        from ._user import read_layout

        return read_layout(name)
    names = [known.name for known in layouts()]
    raise UnknownLayout(
        f"no layout is called {name!r}.", next=nearest(name, names) or "`gatewise layouts` lists them all."
    )
