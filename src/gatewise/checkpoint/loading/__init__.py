"""The Python lines that load a converted file in its framework: text only, for ``convert --code``.

One file per framework with a function ``code(path, container, pieces)``; the folder is looked into by the name of the
layout's framework.  What has no file is opened with gatewise itself.
"""

from __future__ import annotations

import importlib
import importlib.util

from ._pieces import Piece

__all__ = ["Piece", "load_code"]


def load_code(path: str, container: str, pieces: list[Piece]) -> str:
    """Lines for one file that holds ``pieces``."""
    name = f"{__name__}.{pieces[0].layout.framework}"
    if importlib.util.find_spec(name) is None:
        return f"import gatewise as gw\n\nlayers = gw.open({path!r}).layers\n"
    lines: str = importlib.import_module(name).code(path, container, pieces)
    return lines
