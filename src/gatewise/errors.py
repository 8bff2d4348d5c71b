"""Everything gatewise refuses, as one tree.  Imports nothing of ours.

    GatewiseError
    ├── UsageError              the call is off: an unknown layer, a bad option, a file that is not there
    ├── ContainerError          the bytes are not what a file format asks for
    │   ├── UnknownContainer    no format that gatewise reads begins like this
    │   ├── BrokenFile          the format is known, the file breaks its rules (cut, overlapping, contradicting)
    │   └── LimitExceeded       an honest file does not get here; a hostile one goes no further
    ├── LayoutError             the tensors do not fit the layout
    │   ├── PhraseError         a layout's own table does not make sense
    │   ├── UnknownLayout       no layout has that name
    │   └── AmbiguousLayout     two layouts fit equally well
    ├── NotRepresentable        the target has no way to say what the source says
    ├── ProofFailed             two things that should compute the same function do not
    └── WriteRefused            the output exists, or cannot be written; nothing was changed

Every error says what is wrong (``message``), in which file (``path``), where in it (``where``) and what to do
next (``next``).  The command line prints them as one message and exits with 2.  Options are written in errors as the
command line spells them (``--layer``); ``str`` of an error spells them as Python's arguments (``layer=``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class GatewiseError(Exception):
    """A refusal.  ``message`` is one sentence or two; ``path``, ``where`` and ``next`` may be None."""

    def __init__(self, message: str, *, path: object = None, where: str | None = None, next: str | None = None):
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.where = where
        self.next = next

    def at(self, path: object) -> GatewiseError:
        """The same error, with the file named if it was not yet."""
        if self.path is None:
            self.path = str(path)
        return self

    def __str__(self) -> str:
        return self._told(in_python)

    def on_the_command_line(self) -> str:
        """The error as the command line prints it: its options are that one's."""
        return self._told(str)

    def _told(self, spelled: Callable[[str], str]) -> str:
        """``path`` and ``where`` are the file's own words: options are looked for in ours alone."""
        place = ": ".join(part for part in (self.path, self.where) if part)
        text = spelled(f"{self.message} {self.next}" if self.next else self.message)
        return _shown(f"{place}: {text}" if place else text)

    def as_dict(self) -> dict[str, str | None]:
        """The JSON form of the public contract: type, message, path, where, next."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "path": self.path,
            "where": self.where,
            "next": self.next,
        }


# Options that are no argument of the same name, with _ for -.
_ARGUMENTS = {
    "--force": "force=True", "--no-verify": "verify=False", "--verify full": 'verify="full"', "--from": "layout=",
    "--as": "as_=", "--time-major": "time_major=True", "--batch-first": "batch_first=True", "--code": "its code",
    "--layer-index": "layer=",
}  # fmt: skip
# An option, and the word behind it where that is its value: a dotted name, or what a stop follows.
_OPTION = r"(?<![\w-])--(?:verify full|[a-z]+(?:-[a-z]+)*)(?: (\w+\.\w+|[\w-]+(?=[.,;]|$)))?"


def in_python(text: str) -> str:
    """A sentence with the command line's options spelled as Python's arguments: ``--to keras.`` is ``to="keras".``"""
    import re  # an error is told once, and most runs tell none

    def argument(found: re.Match[str]) -> str:
        value = found[1]
        option = found[0][: found.start(1) - found.start() - 1] if value else found[0]
        spelled = _ARGUMENTS.get(option, f"{option[2:].replace('-', '_')}=")
        if value is None:
            return spelled
        return f'{spelled}"{value}"' if spelled.endswith("=") else f"{spelled} {value}"

    return re.sub(_OPTION, argument, text)


_LONGEST = 1_400  # characters


def _shown(text: str) -> str:
    """Names come from strangers' files: what would move a terminal's cursor is spelled out, and a megabyte is cut."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


class UsageError(GatewiseError):
    """The call is off: an unknown layer, a bad option, a file that is not there."""


class ContainerError(GatewiseError):
    """The bytes are not what a file format asks for."""


class UnknownContainer(ContainerError):
    """No format that gatewise reads begins like this."""


class BrokenFile(ContainerError):
    """The format is known; the file breaks its rules.  Where nothing better is known, the next step is to fetch it again."""

    def __init__(self, message: str, *, path: object = None, where: str | None = None, next: str | None = None):
        super().__init__(message, path=path, where=where, next=next or "The file is cut or damaged; fetch it again.")


class LimitExceeded(ContainerError):
    """A limit that no honest file meets was passed."""

    def __init__(self, message: str, *, path: object = None, where: str | None = None, next: str | None = None):
        super().__init__(
            message, path=path, where=where, next=next or "The file is broken or hostile: no honest one asks for that."
        )


class LayoutError(GatewiseError):
    """The tensors do not fit the layout."""


class PhraseError(LayoutError):
    """A layout's own table does not make sense."""


class UnknownLayout(LayoutError):
    """No layout has that name."""


class AmbiguousLayout(LayoutError):
    """Two layouts fit equally well."""


class NotRepresentable(GatewiseError):
    """The target has no way to say what the source says."""


class ProofFailed(GatewiseError):
    """Two things that should compute the same function do not."""


class WriteRefused(GatewiseError):
    """The output exists or cannot be written; nothing was changed."""


FEW = 8  # things that one sentence names: more are not read


def few(things: Iterable[object], most: int = FEW) -> str:
    """``a, b, c and 40 more``: things that there may be any number of, as a sentence names them."""
    told = [str(thing) for thing in things]
    more = len(told) - most
    return ", ".join(told[:most]) + (f" and {more:,} more" if more > 0 else "")


def instead(wrong: str, known: Iterable[str], say: str = "Known", all: str = "") -> str:
    """The next step where a name is not known: those like it; else the names there are, or ``all``, which lists them
    where they are many."""
    names = list(known)
    return nearest(wrong, names) or (f"{all} lists them all." if all and len(names) > FEW else f"{say}: {few(names)}.")


def nearest(wrong: str, known: Iterable[str], count: int = 3) -> str:
    """`` Did you mean a, b?`` for a name that is not known, or an empty string when nothing is close."""
    import difflib

    close = difflib.get_close_matches(wrong, list(known), n=count, cutoff=0.5)
    return f"Did you mean {', '.join(close)}?" if close else ""
