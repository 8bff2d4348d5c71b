"""Which values a dialect's fields can have, and why one is none: the same for a layout's table and for what a caller says.

Not known here: what the values mean (``weights.Dialect``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import UsageError, nearest
from ..weights import ACTIVATIONS, hard_sigmoid_slope

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_WORDS_OF: Mapping[str, tuple[Any, ...]] = {
    "reset": ("after", "before"), "update": ("keeps", "writes"), "coupled": ("i", "f"),
    "merge": ("concat", "sum", "ave", "mul", "apart"), "go_backwards": (True, False), "backwards_in_place": (True, False),
}  # fmt: skip
_CLIPS = ("cell_clip", "proj_clip", "input_clip")


def why_wrong(field: str, value: Any) -> tuple[str, str | None] | None:
    """Why a dialect's field cannot have a value, and what to say instead; None where it can."""
    if field == "forget_bias" or field in _CLIPS:
        return _number(field, value)
    if field in _WORDS_OF:
        return _word(field, value, _WORDS_OF[field])
    return None


def why_unknown(field: str, value: Any) -> tuple[str, str | None] | None:
    """As :func:`why_wrong`, also of activations: those that gatewise can compute."""
    if not field.endswith("activation"):
        return why_wrong(field, value)
    if value == "hard_sigmoid":
        return hard_sigmoids(field)
    if isinstance(value, str) and (value in ACTIVATIONS or hard_sigmoid_slope(value) is not None):
        return None
    near = nearest(value.lower(), ACTIVATIONS, 1) if isinstance(value, str) else ""
    return (
        f"{field} is {value!r}, which is no activation that gatewise knows.",
        f"{near} Known: {', '.join(ACTIVATIONS)}.".strip(),
    )


def check_said(said: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """What a caller says, as keywords.  Raises UsageError for one that is not ``known``, and for a value that it cannot have."""
    for name, value in said.items():
        if name not in known:
            raise UsageError(
                f"{what} takes no {name!r}.", next=nearest(name, known) or f"What can be said: {', '.join(known)}."
            )
        wrong = why_unknown(name, value)
        if wrong is not None:
            raise UsageError(wrong[0], next=wrong[1])


def hard_sigmoids(field: str) -> tuple[str, str]:
    return (
        f"{field} is 'hard_sigmoid', and there are two hard sigmoids.",
        "Say hard_sigmoid(0.2) (Keras 1 and 2) or hard_sigmoid(1/6) (Keras 3).",
    )


def _number(field: str, value: Any) -> tuple[str, str | None] | None:
    if field in _CLIPS and value is None:  # never clipped, as a dialect says it
        return None
    import numbers  # when somebody says one

    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return f"{field} is {value!r}; it must be a number.", None
    try:
        number = float(value)
    except OverflowError:  # of a whole number, which may have any number of digits
        return f"{field} is larger than any number that a computer calculates with.", None
    if field in _CLIPS:
        return None if number > 0 else (f"{field} is {value!r}; it must be above 0.", "inf: never clipped.")
    finite = float("-inf") < number < float("inf")
    return None if finite else (f"{field} is {value!r}; it must be a finite number.", None)


def _word(field: str, value: Any, words: tuple[Any, ...]) -> tuple[str, str | None] | None:
    if any(value is word if isinstance(word, bool) else isinstance(value, str) and value == word for word in words):
        return None
    near = nearest(value.lower(), words, 1) if isinstance(value, str) and isinstance(words[0], str) else ""
    return f"{field} is {value!r}; it must be one of {', '.join(map(str, words))}.", near or None
