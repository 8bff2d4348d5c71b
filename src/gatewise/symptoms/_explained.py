"""``explained()``: an error that is known gets its explanation added where it is shown.  The error itself stays what it was."""

from __future__ import annotations

import contextlib
import sys
import textwrap
import traceback
from types import TracebackType
from typing import Any

WIDTH = 100


class explained(contextlib.ContextDecorator):  # noqa: N801  (a context manager is called like a function)
    """Add gatewise's explanation to the traceback of an error that passes through.

        with gw.explained():
            model = torch.load("model.pt")

    In IPython and notebooks: ``%load_ext gatewise``.  The same exception goes on, of the same type and with the same
    arguments; its explanation is a note under it (on Python 3.10, which has no notes, it is printed to standard error).
    An error that gatewise does not know for sure is left alone.
    """

    def __enter__(self) -> explained:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            annotate(error)


def annotate(error: Exception) -> bool:
    """Add the explanation, once.  Whether the error is known.  Nothing that goes wrong here may hide the error."""
    try:
        text = explanation("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        if text and text not in getattr(error, "__notes__", ()):
            _add(error, text)
    except Exception:
        return False
    return bool(text)


def explanation(text: str) -> str:
    """What gatewise says about a traceback, in a few lines; "" where it is not sure."""
    from . import explain

    found = explain(text).as_dict()
    if not found["sure"]:
        return ""
    best = found["matches"][0]
    lines = [f"gatewise {best['code']}: {best['title']}", *_told("cause", best["cause"]), *_told("fix", best["fix"])]
    return "\n".join([*lines, f"  more:  gatewise explain {best['code']}"])


def _told(what: str, text: str) -> list[str]:
    """Sentences wrapped, code as it is: blocks are parted by empty lines, and code is indented by four."""
    lines: list[str] = []
    for block in text.split("\n\n"):
        code = block.startswith("    ")
        lines += ["", *block.split("\n"), ""] if code else textwrap.wrap(block, WIDTH - 9, break_long_words=False)
    head = f"  {what + ':':7}"
    return [(head if number == 0 else " " * 9) + line if line else "" for number, line in enumerate(lines)]


def _add(error: Exception, text: str) -> None:
    if hasattr(error, "add_note"):  # Python 3.11
        error.add_note(text)
    else:
        print(text, file=sys.stderr)


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext gatewise``: every error of the session that is known is explained."""
    shell.set_custom_exc((Exception,), _show)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext gatewise``."""
    shell.set_custom_exc((), None)


def _show(
    shell: Any, kind: type[BaseException], error: Exception, trace: TracebackType, tb_offset: int | None = None
) -> None:
    annotate(error)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
