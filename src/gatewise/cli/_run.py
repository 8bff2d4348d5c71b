"""Runs one command line: answers are printed here, refusals are told here, and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from .. import __version__
from ._command import DONE, REFUSED, Answer

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._command import Command, Namespace

_ENDS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; kill, timeout and batch systems; a terminal that closes
_ENDED = 128  # and the signal's number: what a shell reports for a program that a signal ended


def run(argv: Sequence[str] | None = None) -> int:
    """The exit code of a command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    with _Interrupts() as interrupts:
        try:
            return _run(words)
        except SystemExit as done:  # argparse after --help
            return int(done.code or 0)
        except KeyboardInterrupt:
            return _interrupted(interrupts)
        except Exception as error:
            # Libraries turn an interrupt into errors of their own: numpy, while it is imported, into an ImportError.
            return _interrupted(interrupts) if interrupts else _told(error, "--json" in words)


class _Interrupts:
    """Notes the interrupts that come while it is open, whatever becomes of the KeyboardInterrupt that each raises: what was
    begun is cleared away, also when it is not the user who asks for the end."""

    def __init__(self) -> None:
        self.noted: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> list[int]:
        import signal

        usual = (signal.default_int_handler, signal.SIG_DFL)  # any other is somebody's, or ignored: theirs to say
        for number in filter(None, (getattr(signal, name, None) for name in _ENDS)):
            before = signal.getsignal(number)
            try:
                if before in usual:
                    signal.signal(number, self._interrupt)
                    self._before[number] = before
            except ValueError:  # only the main thread is told of signals
                break
        return self.noted

    def __exit__(self, *_error: object) -> None:
        import signal

        for number, before in self._before.items():
            signal.signal(number, before)

    def _interrupt(self, number: int, _frame: Any) -> None:
        self.noted.append(number)
        raise KeyboardInterrupt


def _interrupted(interrupts: Sequence[int]) -> int:
    # CPython remembers an interrupt that fell into a text under exec(), as the standard library runs some, and then
    # ends `python -m` by the signal whatever exit code is asked for.  Running another text lets it forget.
    exec("")
    return _ENDED + (interrupts[0] if interrupts else 2)


def _told(error: Exception, as_json: bool) -> int:
    from ._refusal import refusal
    from ._screen import Screen, visible

    text, document = refusal(error)
    print(Screen.of(sys.stderr).encodable(visible(f"gatewise: {text}", keep="\n")), file=sys.stderr)
    if as_json:
        _write(_json({"error": document}))
    return REFUSED


def _run(words: list[str]) -> int:
    from ._parse import overview, parse

    if words[:1] == ["--version"]:
        _write(f"gatewise {__version__}")
        return DONE
    found, arguments = parse(words)
    if found is None:
        _write(overview())
        return DONE
    import warnings  # argparse has imported it

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # numpy's, about a file's numbers that are none: findings tell of those
        dashes = _dashes(arguments)
        if not dashes:
            return _answered(found, arguments)
        from ._piped import piped

        with piped(arguments, dashes) as spooled:
            return _answered(found, arguments, spooled)


def _answered(found: Command, arguments: Namespace, spooled: str | None = None) -> int:
    answer = found.run(arguments)
    _print(answer, arguments.json, spooled)
    return answer.code


def _print(answer: Answer, as_json: bool, spooled: str | None) -> None:
    if as_json:
        _write(_json(_unspooled(_plain(answer.document), spooled)))
        return
    from ._screen import Screen

    screen = Screen.of(sys.stdout)
    text = "\n".join(answer.show(screen))
    _write(screen.encodable(text.replace(spooled, "-") if spooled else text))


def _write(text: str) -> None:
    """Print, now.  `gatewise ... | head` is no error: when nobody reads on, the rest goes nowhere, quietly."""
    try:
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at Python's exit


# What is piped in.


def _dashes(arguments: Namespace) -> list[str]:
    """The arguments that name what is piped in."""
    said = {name: getattr(arguments, name) for name in getattr(arguments, "pipeable", ())}
    return [
        name for name, value in said.items() for each in (value if isinstance(value, list) else [value]) if each == "-"
    ]


def _unspooled(value: Any, spooled: str | None) -> Any:
    """The document with ``-`` wherever the temporary file's path stands."""
    if spooled is None:
        return value
    if isinstance(value, str):
        return value.replace(spooled, "-")
    if isinstance(value, dict):
        return {key: _unspooled(item, spooled) for key, item in value.items()}
    return [_unspooled(item, spooled) for item in value] if isinstance(value, list) else value


# JSON.


def _json(document: Any) -> str:
    """The document as text in which nothing is hidden: what a file's names have of control characters, of marks that turn
    a line round, and of halves of characters, which no encoding has, is escaped as JSON does it."""
    import json

    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(document, indent=2, allow_nan=False)
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _plain(value: Any) -> Any:
    """Plain JSON values.  JSON has no nan and no infinity: they become texts, which no comparison passes by accident."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, without importing numpy
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if float("-inf") < value < float("inf") else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)
