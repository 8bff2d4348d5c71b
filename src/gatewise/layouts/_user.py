"""A user's own layout, in TOML: the same words as the tables, checked the same way.

name   = "mine.LSTM"
cell   = "lstm"
gates  = "ofgi"
forget_bias = 1.0              # any field of the dialect may be said

[[parts]]
name   = "kernel[:0]"
role   = "kernel"              # or a list, for roles end to end
phrase = "feature (gate unit)"

[[parts]]
name   = ["bias[:0]", "b[:0]"] # several spellings: the first is written
role   = "bias"
phrase = "(gate unit)"
optional = true
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

from ..errors import GatewiseError, LayoutError, UsageError
from ..weights import CELLS_OF, GATES, PLAIN, Dialect
from ._layout import Layout, Part
from ._words import hard_sigmoids, why_wrong

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_DOTS = 1_000  # of one line
_PART_KEYS = {"name", "role", "phrase", "optional", "gates", "relabel"}
_KEYS = {"name", "cell", "gates", "parts", "source", "spelled"}


def read_layout(path: str) -> Layout:
    """Read a layout from a TOML file.  Raises UsageError (no file), LayoutError (its content)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the layout file cannot be read: {error}.", path=path) from None
    return layout_of_text(text, path)


def layout_of_text(text: str, path: str) -> Layout:
    """The layout that a TOML text describes; ``path`` is what messages call it.  Raises LayoutError."""
    import importlib

    if any(
        line.count(".") > _DOTS for line in text.splitlines()
    ):  # a parser's work grows as the square of a key's parts
        raise LayoutError("has a line with more dots than any key has parts.", path=path)
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return layout_from(toml.loads(text), path)
    except RecursionError:
        raise LayoutError("nests its values deeper than any layout does.", path=path) from None
    except ValueError as error:  # TOMLDecodeError is one, and a number of too many digits another
        raise LayoutError(f"is not TOML: {error}.", path=path) from None
    except GatewiseError as error:
        raise error.at(path) from None


def layout_from(table: dict[str, Any], source: str = "given by the user") -> Layout:
    """A layout from a parsed table.  Raises LayoutError naming the key that is wrong."""
    choices = {field.name for field in fields(Dialect)}
    for key in table:
        if key not in _KEYS | choices:
            raise LayoutError(
                f"a layout has no {key!r}.",
                next=f"Its keys are {', '.join(sorted(_KEYS))}; the dialect's: {', '.join(sorted(choices))}.",
            )
    cell = table.get("cell")
    if not isinstance(cell, str) or cell not in GATES:
        raise LayoutError(f"cell is {cell!r}; it must be one of {', '.join(GATES)}.")
    parts = table.get("parts")
    if not isinstance(parts, list) or not parts:
        raise LayoutError("has no parts.", next="Give each stored tensor as a [[parts]] table.")
    return Layout(
        name=_text(table, "name", "user." + cell),
        cell=cell,
        gates=_text(table, "gates", GATES[cell]),
        parts=tuple(_part(part, number) for number, part in enumerate(parts, 1)),
        source=_text(table, "source", source),
        dialect=_dialect({key: value for key, value in table.items() if key in choices}, cell),
        spelled=_spelled(table.get("spelled", {}), cell),
    )


def _dialect(said: dict[str, Any], cell: str) -> Dialect:
    for key, value in said.items():
        if cell not in CELLS_OF.get(key, (cell,)):
            raise LayoutError(f"{key} says something of a {' or '.join(CELLS_OF[key])}, and this is a {cell}.")
        wrong = why_wrong(key, value)
        if key.endswith("activation"):
            _text(said, key)
            wrong = hard_sigmoids(key) if value == "hard_sigmoid" else None
        if wrong is not None:
            raise LayoutError(wrong[0], next=wrong[1])
    return replace(PLAIN[cell], **said)


def _spelled(spelled: Any, cell: str) -> dict[str, str]:
    if not isinstance(spelled, dict) or not all(isinstance(text, str) and text for text in spelled.values()):
        raise LayoutError(f"spelled is {spelled!r}; it must be a table of gate letters and their texts in names.")
    for gate in spelled:
        if gate not in GATES[cell]:
            raise LayoutError(f"spelled names the gate {gate!r}; gates are {', '.join(GATES[cell])}.")
    if len({spelled.get(gate, gate) for gate in GATES[cell]}) < len(GATES[cell]):
        raise LayoutError("spelled gives two gates the same text.")
    return spelled


def _text(table: dict[str, Any], key: str, default: str | None = None, of: str = "") -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise LayoutError(f"{of}{key} is {value!r}; it must be a text.")
    return value


def _gates(said: Any, of: str) -> str | dict[str, str]:
    if isinstance(said, dict) and all(isinstance(letters, str) for letters in said.values()):
        return said
    return _text({"gates": said}, "gates", of=of)


def _names(table: dict[str, Any], of: str) -> str | tuple[str, ...]:
    """A name template, or several of which the first is written."""
    value = table.get("name")
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return tuple(value)
    return _text(table, "name", of=of)


def _part(table: Any, number: int) -> Part:
    if not isinstance(table, dict):
        raise LayoutError(f"part {number} is not a table.")
    unknown = sorted(set(table) - _PART_KEYS)
    if unknown:
        raise LayoutError(
            f"part {number} has an unknown key {unknown[0]!r}.", next=f"Keys: {', '.join(sorted(_PART_KEYS))}."
        )
    roles = table.get("role")
    names = [roles] if isinstance(roles, str) else roles
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise LayoutError(f"part {number} has no role.", next='Say role = "kernel", or a list of roles.')
    of = f"part {number}'s "
    optional = table.get("optional", False)
    if not isinstance(optional, bool):
        raise LayoutError(f"{of}optional is {optional!r}; it must be true or false.")
    return Part(
        _names(table, of),
        tuple(names),
        _text(table, "phrase", of=of),
        optional=optional,
        gates=_gates(table["gates"], of) if "gates" in table else None,
        relabel=_text(table, "relabel", of=of) if "relabel" in table else None,
    )
