"""Several files and folders in one command line: a block for each, and what is wrong with one does not stop the others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ..errors import UnknownContainer, few
from ._command import REFUSED, Answer

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ._screen import Screen


def answered(
    named: Sequence[str],
    one: Callable[[str], Answer],
    words: Mapping[int, str],
    check: Callable[[], object] | None = None,
) -> Answer:
    """What ``one`` finds of the files that are named and of the models in the folders that are.

    One file is answered as it always was, and so is a folder that is itself a model.  Of several the document is
    ``{"files": [each one's, or its path and error], "left_out": [files in folders that are no models]}``, the exit code the
    worst.  ``words``: what a file of each exit code is called in the last line.  ``check``: what is asked of the call itself,
    once, and not of every file.
    """
    if len(named) == 1 and not os.path.isdir(named[0]):  # noqa: PTH112  # a Path would cost the import
        return one(named[0])
    from ..containers._below import below

    folders = {path: below(path) for path in named if os.path.isdir(path)}  # noqa: PTH112
    paths = [path for each in named for path in (folders[each].models if each in folders else ()) or (each,)]
    if paths == list(named) and len(paths) == 1:
        return one(paths[0])
    if check is not None:
        check()
    found = {path for each in folders.values() for path in each.models if path not in each.misnamed}
    answers: list[tuple[str, Answer]] = []
    left_out = [path for each in folders.values() for path in each.others]
    for path, answer in _each(paths, one, found - set(named)):
        if answer is None:
            left_out.append(path)
        else:
            answers.append((path, answer))
    return _together(answers, sorted(left_out), words)


def _each(
    paths: Sequence[str], one: Callable[[str], Answer], found: Collection[str]
) -> Iterator[tuple[str, Answer | None]]:
    """Every file's answer; None for one that was ``found`` in a folder and holds no model after all, such as a pickle
    of words."""
    from ._progress import Progress

    with Progress() as progress:
        for number, path in enumerate(paths):
            progress(number, len(paths), path)
            try:
                yield path, one(path)
            except ImportError:  # not the file's fault, and an interrupt may have become one
                raise
            except Exception as error:
                yield path, None if isinstance(error, UnknownContainer) and path in found else _refused(path, error)


def _refused(path: str, error: Exception) -> Answer:
    from ._refusal import refusal

    text, document = refusal(error)

    def show(screen: Screen) -> Iterator[str]:
        first, *more = screen.wrap(text, "  ", first="")
        place, colon, rest = first.partition(": ")
        yield f"{place}{colon}{screen.paint(rest, 'red')}" if rest else first
        yield from (screen.paint(line, "red") for line in more)

    return Answer({"path": path, "error": document}, show, REFUSED)


def _together(answers: Sequence[tuple[str, Answer]], left_out: Sequence[str], words: Mapping[int, str]) -> Answer:
    document: dict[str, Any] = {"files": [answer.document for _, answer in answers], "left_out": list(left_out)}

    def show(screen: Screen) -> Iterator[str]:
        from ._screen import count, visible

        apart = False
        for number, (path, answer) in enumerate(answers):
            lines = list(answer.show(screen))
            if number and (apart or len(lines) > 1):
                yield ""
            apart = len(lines) > 1
            if apart and visible(path) not in lines[0]:
                yield screen.paint(visible(path), "bold")
            yield from lines
        if answers:
            yield ""
        if left_out:
            yield from screen.wrap(f"left out, for they are no models: {few(left_out)}", "  ", first="")
        codes = Counter(answer.code for _, answer in answers)
        told = [f"{codes[code]:,} {word}" for code, word in words.items() if codes[code]]
        summary = screen.wrap(
            f"{count(len(answers), 'file')}: {', '.join(told) or 'no model is there'}", "  ", first=""
        )
        yield from (screen.paint(line, "bold") for line in summary)

    return Answer(document, show, max((answer.code for _, answer in answers), default=REFUSED))
