"""Texts that people paste, a megabyte long or made to be tried in every way by a regular expression."""

from __future__ import annotations

from museum import Attack

TEXTS = {
    "a megabyte of one letter": "a" * (1 << 20),
    "a megabyte of spaces": " " * (1 << 20),
    "a megabyte of line ends": "\n" * (1 << 20),
    "a megabyte of colons": ":" * (1 << 20),
    "a megabyte of brackets": "<" * (1 << 20),
    "a megabyte of tags": "<code>" * (1 << 17),
    "a megabyte of escapes": "\x1b[" * (1 << 19),
    "a megabyte of entities": "&lt;" * (1 << 18),
    "a megabyte of backslashes": "\\n" * (1 << 19),
    "a hundred thousand errors": "RuntimeError: a\n" * 60_000,
    "a hundred thousand nested tracebacks": 'Traceback (most recent call last):\n  File "a", line 1\n' * 20_000,
    "an exception with a name of a megabyte": "a." * (1 << 19) + "Error: x",
    "an exception with brackets without end": "Error" + "(" * (1 << 20) + ": x",
    "the beginning of a known text, again and again": "'LSTM' object has no attribute '" * 6_000,
    "anchors with long gaps": "size mismatch for weight_ih_l0: copying a param with shape " * 3_000,
    "numbers without end": "torch.Size([" + "9" * 190_000 + "])",
    "a shape without end": "torch.Size([" + "1, " * 60_000,
    "keys without end": "Missing key(s) in state_dict: " + ", ".join(f'"l{n}.weight_ih_l0"' for n in range(8_000)),
    "quotes without end": "'" * 199_999,
    "dots without end": "." * 199_999,
    "names with dots without end": "a." * 99_999,
    "prefixes of logs without end": "[1,2]<stdout>: " * 13_000,
    "dates without end": "2026-01-01 00:00:00 " * 10_000,
    "words of the field without end": "lstm gru rnn hidden state " * 7_500,
    "every character there is": "".join(map(chr, range(1, 55_000))),
    "bytes that are no text": "\ufffd" * 100_000,
    "a line of ten megabytes": "x" * (10 << 20),
}

ATTACKS = tuple(
    Attack(f"{what}: explained or not known", text.encode(), None, deed="explain") for what, text in TEXTS.items()
)
