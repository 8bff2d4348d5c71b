"""Pasted text made comparable.  Knows how terminals, loggers, browsers and notebooks change a message; knows no symptom.

Errors are told apart from what stands around them: of several, the last real one decides, and the earlier ones support it.
A long log is not read whole: what is kept is its end and the neighbourhood of every line that tells of an error.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..record import lazy
from ._keys import told
from ._phrase import squeezed, worded

PLENTY = 200_000  # characters that are looked at whole
END = 50_000  # of a longer text: so much of its end …
BEFORE, AFTER = 3, 25  # … and so many lines around each line that tells of an error
WIDEST = 4_000  # characters of a line; a progress bar's line can be megabytes
TELLING = ("Error", "Warning", "Traceback", "Exception", "not found", "Not found", "mismatch")

# Patterns as texts: re compiles them when they are first used, and most texts need only a few.
_ANSI = r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"
_TAGS = r"(?i)</?(?:br|code|pre|span|p|div|b|i|em|strong|a|td|tr|li|font|samp|tt)\b[^<>]*>"
_PREFIX = r"""(?x)^(?:
        [>|]\s                                                      # quoted in a mail or an issue, an exception group
      | E\s{2,}                                                     # pytest
      | \#\#\[\w+\]                                                 # GitHub Actions
      | \[\d+,\d+\]<std\w+>:\s?                                     # mpirun
      | \[?rank\s?\d+\]?:\s?
      | \([\w.]+\ pid=\d+[^)]*\)\s?                                 # ray
      | \[?\d{4}[-/]\d\d[-/]\d\d[T\ ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?[\s:-]*
      | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+
      | [A-Z][a-z]{2}\s+\d+\s\d\d:\d\d:\d\d\s\S+\s\S+?:\s          # syslog
      | \[?(?:DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|stderr|stdout)\]?[\s:|-]+
      | (?:ERROR|WARNING|CRITICAL):[\w.]+:\s*
    )"""
_PREFIXED = r"[>|#\[(\d]|E\s\s|rank|std|[A-Z][a-z]{2}\s|[A-Z]{4}"  # what such a prefix begins with
_MARKS = r"^\s*(?:```\w*|~~~\w*)\s*$"
_CHAINED = "The above exception was the direct cause"
_BREAK = (
    rf"Traceback \(most recent call last\)|During handling of the above|{_CHAINED}"
    r'|^\s*File ("[^"]+", line |\S+:)\d+'
)
_RAISED = r"""(?x)(?:^|(?<=[\s'"`*(>=]))(?<!except\ )
    ((?:[\w$]+(?:\.|::))*\w*(?:Error|Exception|Warning|Interrupt|Exit))   # its name, with the module
    \s?(?:\([^()]*\))?['"`*]{0,3}:                                        # NotFoundError (see above for traceback):
    """
_NAMED = r"([\w.]+)(?:: |$)"
_JOINTS = r"[.:/()\[\]{},;?!=-]+ ?"
_CUT = r"(?:\.\.\.|…|\[truncated\]|\[\.\.\.\]|<snip>)\W*$"
WRAPPERS = frozenset((
    "SystemExit", "KeyboardInterrupt", "CalledProcessError", "ChildFailedError", "ProcessExitedException", "ProcessRaisedException",
    "BrokenPipeError", "ConnectionResetError", "CellExecutionError",
))  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A piece of the text: an ``error``, a ``warning``, or other ``text``, in both forms.  ``name``: of the exception."""

    kind: str
    name: str
    text: str
    caused: bool = False  # the next error names this one as its direct cause

    @lazy
    def squeezed(self) -> str:
        plain = squeezed(re.sub(_CUT, "", self.text))
        return plain + told(plain)

    @lazy
    def worded(self) -> str:
        return worded(self.text)


@dataclass(frozen=True)
class Pasted:
    """A text, taken apart.  ``parts`` in the order of the text; ``decides`` are those that the answer must come from."""

    parts: tuple[Part, ...]
    decides: tuple[Part, ...]

    @lazy
    def squeezed(self) -> str:
        return "".join(part.squeezed for part in self.parts)

    @lazy
    def worded(self) -> str:
        return " ".join(part.worded for part in self.parts)

    @lazy
    def asked(self) -> str:
        """The words, and once more without what joins them: ``nn.LSTM`` is also ``lstm``."""
        return self.worded + re.sub(_JOINTS, " ", self.worded)

    @property
    def printed(self) -> bool:
        """Whether a program printed it: it holds an error or a warning."""
        return any(part.kind != "text" for part in self.parts)

    @property
    def failed(self) -> bool:
        """Whether the text holds an error at all."""
        return any(part.kind == "error" for part in self.decides)


def digest(text: str) -> str:
    """The text, or of a long one what tells: see the head of this file."""
    return text if len(text) <= PLENTY else digest_lines(text.splitlines())


def digest_lines(lines: Iterable[str]) -> str:
    """What tells in any number of lines, read once, in bounded memory: the first and last errors, and the end."""
    first: list[str] = []
    last: deque[str] = deque()
    end: deque[str] = deque()
    recent: deque[str] = deque(maxlen=BEFORE)
    kept = ended = room = 0
    for line in lines:
        line = line[-WIDEST:]
        if any(word in line for word in TELLING):
            room = AFTER
            news = [*recent, line]
            recent.clear()
        elif room:
            room, news = room - 1, [line]
        else:
            news = []
            recent.append(line)
        for each in news:
            if kept < END:
                first.append(each)
            else:
                last.append(each)
            kept += len(each) + 1
        while kept - END > 2 * END and last:
            kept -= len(last.popleft()) + 1
        end.append(line)
        ended += len(line) + 1
        while ended > END and len(end) > 1:
            ended -= len(end.popleft()) + 1
    if not room:
        return "\n".join([*first, *last, *end])
    return "\n".join([*first, *last])  # the end is part of the last error's neighbourhood


def pasted(text: str) -> Pasted:
    """A text taken apart."""
    parts = tuple(_parts(_lines(text)))
    errors = [part for part in parts if part.kind == "error"]
    real = [part for part in errors if part.name.rpartition(".")[2] not in WRAPPERS] or errors
    return Pasted(parts, _deciding(real) if real else parts)


def _deciding(errors: list[Part]) -> tuple[Part, ...]:
    """The last error, and those before it that it names as its direct cause."""
    chosen = [errors[-1]]
    for part in reversed(errors[:-1]):
        if not part.caused:
            break
        chosen.append(part)
    return tuple(chosen)


def _lines(text: str) -> Iterator[str]:
    text = _unescaped(text)
    if "\x1b" in text:
        text = re.sub(_ANSI, "", text)
    if "<" in text and ("</" in text or "<br" in text):
        text = re.sub(_TAGS, "\n" if "\n" not in text.strip() else "", text)
    if "&" in text and ";" in text:
        import html

        text = html.unescape(text)
    for line in re.split(r"\r\n|[\n\r\u2028]", text):
        if line.lstrip()[:3] in ("```", "~~~") and re.match(_MARKS, line):
            continue
        for _ in range(4):  # a few prefixes can stand before each other
            shorter = re.sub(_PREFIX, "", line, count=1) if re.match(_PREFIXED, line) else line
            if shorter == line:
                break
            line = shorter
        yield line


def _unescaped(text: str) -> str:
    """Text out of JSON or a repr: its line ends are two characters each."""
    if text.count("\\n") > text.count("\n"):
        text = text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t")
    if "\\u" in text or "\\x1b" in text or "\\033" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        text = text.replace("\\x1b", "\x1b").replace("\\033", "\x1b")
    return text.replace('\\"', '"').replace("\\'", "'")


def _parts(lines: Iterable[str]) -> Iterator[Part]:
    kind, name, held, tracing = "text", "", list[str](), False
    for line in lines:
        raised = _raised(line, tracing)
        broken = re.search(_BREAK, line)
        if raised or broken:
            start = raised.start() if raised else 0
            held.append(line[:start])
            yield Part(kind, name, "\n".join(held), caused=bool(broken) and _CHAINED in line)
            kind, name, held = "text", "", []
            if raised:
                name = raised[1]
                kind = "warning" if name.endswith("Warning") else "error"
                line = line[raised.end() :]
            tracing = bool(broken) and ("Traceback" in line or tracing)
        held.append(line)
    yield Part(kind, name, "\n".join(held))


def _raised(line: str, tracing: bool) -> re.Match[str] | None:
    """Where a line names an exception: anywhere by its usual endings, or any name that closes a traceback."""
    raised = re.search(_RAISED, line[:WIDEST]) if ":" in line else None
    return raised or (re.match(_NAMED, line) if tracing and line[:1].isalpha() else None)
