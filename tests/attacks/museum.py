"""What an exhibit is: something hostile, made by a few lines of code, and what has to come of it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gatewise.errors import GatewiseError

SECONDS, MEGABYTES = 1.0, 100  # what opening any of them may cost
_NO_FAMILIES = {"museum", "guard", "mutate", "reading", "bytes_of"}


Made = bytes | Callable[[Path], bytes | Path]


class Attack(NamedTuple):
    """One exhibit.

    ``title``     a sentence: the id of its test
    ``make``      bytes, or a function of an empty folder: it gives bytes, or makes the thing there and gives the path to open;
                  what takes long to make is a function, since every run lists all exhibits and the quick part opens few
    ``expected``  the class of the refusal; None: it opens, and lies there like a stone
    ``says``      words that the refusal has to hold
    ``deed``      what is done with the path; a name of ``guard.DEEDS``
    """

    title: str
    make: Made
    expected: type[GatewiseError] | tuple[type[GatewiseError], ...] | None
    says: str = ""
    deed: str = "read"
    name: str = "model"

    def place(self, folder: Path) -> Path:
        """Made, in that folder."""
        folder.mkdir(parents=True, exist_ok=True)
        made = self.make if isinstance(self.make, bytes) else self.make(folder)
        if isinstance(made, Path):
            return made
        path = folder / self.name
        path.write_bytes(made)
        return path


@cache
def families() -> dict[str, tuple[Attack, ...]]:
    """The exhibits by family: one file each, found by walking this folder."""
    here = [str(Path(__file__).parent)]
    names = [module.name for module in pkgutil.iter_modules(here) if module.name not in _NO_FAMILIES]
    return {name: importlib.import_module(name).ATTACKS for name in names if not name.startswith("test_")}
