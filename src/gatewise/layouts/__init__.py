"""Every layout that gatewise knows.  One file per framework, tables only; this one finds them.

A table is a module of this folder whose name has no leading underscore and which holds a tuple ``LAYOUTS``.  The
folder is walked: adding a framework is adding a file.  Layouts of a user's own come from TOML files (``_user``).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from ..errors import UnknownLayout, nearest
from ._layout import Layout, Part, Setting, Since
from ._match import Match
from ._outside import Lookalike
from ._recognise import Ambiguity, Recognised, recognise
from ._slots import Slot, slots

__all__ = [
    "Ambiguity", "Layout", "Lookalike", "Match", "Part", "Recognised", "Setting", "Since", "Slot",
    "layout", "layouts", "recognise", "slots",
]  # fmt: skip


@functools.cache
def layouts() -> tuple[Layout, ...]:
    """Every built-in layout, by framework."""
    found: list[Layout] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if not module.name.startswith("_"):
            found += importlib.import_module(f"{__name__}.{module.name}").LAYOUTS
    return tuple(found)


def layout(name: str | Layout) -> Layout:
    """The layout called ``name``, or the one that a ``.toml`` file describes.  Raises UnknownLayout, PhraseError."""
    if isinstance(name, Layout):
        return name
    for known in layouts():
        if known.name == name:
            return known
    if name.endswith(".toml"):
        from ._user import read_layout

        return read_layout(name)
    names = [known.name for known in layouts()]
    raise UnknownLayout(
        f"no layout is called {name!r}.", next=nearest(name, names) or "`gatewise layouts` lists them all."
    )
