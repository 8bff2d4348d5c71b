"""gatewise: the weights of recurrent layers (LSTM, GRU, RNN), of any framework, by name.

    import gatewise as gw

    ck = gw.open("model.pt")                  # lazy; no framework needed, nothing in the file is run
    lstm = ck["encoder.lstm"]
    lstm[0, "forward"].kernel["f"]            # [unit, feature], a view of the mapped file
    gw.convert("model.pt", "model.keras")     # with a proof

The names below are the public ones; each is imported when it is first used.
"""

from __future__ import annotations

import sys
from types import ModuleType

__version__ = "0.1.0"

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from .cell import run
    from .checkpoint import Checkpoint, Conversion, Layer, Proof, convert, diff, open, save, verify
    from .cursor import Limits
    from .doctor import diagnose, repair
    from .edit.biases import merge_biases, split_biases
    from .edit.flatten import flatten_parameters
    from .edit.forget_bias import set_forget_bias
    from .edit.freeze import freeze, unfreeze
    from .edit.initialise import initialise
    from .edit.prune import dead_units, prune_units
    from .edit.select import Selection, select
    from .edit.statistics import statistics
    from .edit.transfer import Transfer, transfer
    from .errors import GatewiseError
    from .flat import Flat, flat
    from .layouts import Layout, Part, layout, layouts
    from .live import Live, LiveModel, described_by, of
    from .live.torch import legacy_torch
    from .symptoms import Explanation, explain
    from .symptoms._explained import explained
    from .weights import Dialect, Stack

_HOME = {
    "run": "cell",
    **dict.fromkeys(("Checkpoint", "Conversion", "Layer", "Proof", "convert", "diff", "open", "save", "verify"), "checkpoint"),
    "Limits": "cursor",
    **dict.fromkeys(("Transfer", "transfer"), "edit.transfer"),
    **dict.fromkeys(("diagnose", "repair"), "doctor"),
    "flatten_parameters": "edit.flatten",
    "set_forget_bias": "edit.forget_bias",
    **dict.fromkeys(("freeze", "unfreeze"), "edit.freeze"),
    "initialise": "edit.initialise",
    **dict.fromkeys(("merge_biases", "split_biases"), "edit.biases"),
    "statistics": "edit.statistics",
    **dict.fromkeys(("dead_units", "prune_units"), "edit.prune"),
    **dict.fromkeys(("Selection", "select"), "edit.select"),
    "GatewiseError": "errors",
    **dict.fromkeys(("Flat", "flat"), "flat"),
    **dict.fromkeys(("Layout", "Part", "layout", "layouts"), "layouts"),
    **dict.fromkeys(("Live", "LiveModel", "described_by", "of"), "live"),
    "legacy_torch": "live.torch",
    **dict.fromkeys(("Explanation", "explain"), "symptoms"),
    "explained": "symptoms._explained",
    **dict.fromkeys(("Dialect", "Stack"), "weights"),
    # not for people: what %load_ext and %unload_ext look for
    **dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "symptoms._explained"),
}  # fmt: skip

__all__ = [
    "Checkpoint", "Conversion", "Dialect", "Explanation", "Flat", "GatewiseError", "Layer", "Layout", "Limits", "Live", "LiveModel", "Part",
    "Proof", "Selection", "Stack", "Transfer",
    "__version__", "convert", "dead_units", "described_by", "diagnose", "diff", "explain", "explained", "flat", "flatten_parameters", "freeze", "initialise",
    "layout", "layouts", "legacy_torch", "merge_biases", "of", "open", "prune_units", "repair", "run", "save", "select", "set_forget_bias",
    "split_biases", "statistics", "transfer", "unfreeze", "verify",
]  # fmt: skip


class _Window(ModuleType):
    """Python binds a module's name in its package when it imports it: a public function keeps its name all the same
    (``gw.flat`` lives in the module ``gatewise.flat``, ``gw.layouts`` in ``gatewise.layouts``)."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Window


def __getattr__(name: str) -> object:
    """Public names are imported when they are first used: ``import gatewise`` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'gatewise' has no attribute {name!r}")
    from .folders import module

    value: object = getattr(module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
