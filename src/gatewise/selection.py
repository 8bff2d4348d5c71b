"""Which gates of a stack are meant: ``role="recurrent_kernel", gate="f", layer=-1``.

One selector serves everything that is done by gate: the flat map's indices and masks, freezing, penalties, forget biases.
What it names must be there: a selector that matches nothing is an error, not an empty success.  Not known here: tensors,
and where in them a gate lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .errors import UsageError, nearest
from .record import record
from .weights import GATE_TITLES, GATELESS, ROLE_AXES, Stack, index_of, letter_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

Words = str | Sequence[str] | None
Numbers = int | Sequence[int] | None


@record
class Chosen:
    """One gate of one role of one cell.  ``gate`` is "" for a role that has none (projection, initial states)."""

    layer: int
    direction: str
    role: str
    gate: str


@record
class Selector:
    """``role``, ``gate``, ``layer`` and ``direction``: one, several, or None for all.  Gates may be written together
    (``gate="if"``); layers count from 0, or from the last one with -1."""

    role: Words = None
    gate: Words = None
    layer: Numbers = None
    direction: Words = None

    def of(self, stack: Stack) -> list[Chosen]:
        """What it chooses in a stack, in the stack's order.  Raises UsageError for an unknown word, and for nothing."""
        roles = self._roles(stack)
        gates = self._gates(stack)
        places = self._places(stack)
        found = [
            Chosen(*place, role, gate)
            for place, weights in stack if place in places
            for role, held in weights.roles.items() if roles is None or role in roles
            for gate in held if gates is None or gate in gates
        ]  # fmt: skip
        if not found:
            raise UsageError(f"{self} matches nothing in {stack!r}.", next=_held(stack))
        return found

    def __str__(self) -> str:
        said = {"role": self.role, "gate": self.gate, "layer": self.layer, "direction": self.direction}
        return ", ".join(f"{word}={value!r}" for word, value in said.items() if value is not None) or "everything"

    def _roles(self, stack: Stack) -> frozenset[str] | None:
        roles = _several("role", self.role)
        for role in roles or ():
            if role not in ROLE_AXES:
                raise UsageError(
                    f"there is no role {role!r}.", next=f"{nearest(role, ROLE_AXES)} {_held(stack)}".strip()
                )
        return None if roles is None else frozenset(roles)

    def _gates(self, stack: Stack) -> frozenset[str] | None:
        gates = _several("gate", self.gate)
        if gates is None:
            return None
        known = {gate for _, weights in stack for held in weights.roles.values() for gate in held} - {""}
        letters = [letter for gate in gates for letter in _letters(gate, known)]
        for letter in letters:
            if letter not in known:
                raise UsageError(f"the cell {stack.cell} has no gate {letter!r}.", next=_gates_listed(letter, known))
        return frozenset(letters)

    def _places(self, stack: Stack) -> set[tuple[int, str]]:
        directions = _several("direction", self.direction)
        layers = _numbers(self.layer)
        wanted_layers = range(stack.num_layers) if layers is None else [_layer(each, stack) for each in layers]
        for direction in directions or ():
            stack[0, direction]  # raises for a direction that is not there
        return {(layer, direction) for layer in wanted_layers for direction in directions or stack.directions}


def _several(what: str, words: Any) -> list[str] | None:
    if words is None or isinstance(words, str):
        return None if words is None else [words]
    found = list(words) if isinstance(words, Iterable) else [words]
    for word in found:
        if not isinstance(word, str):
            raise UsageError(
                f"{what}={words!r:.60} is no word.", next=f"Say {what} as a text, several as a list of texts."
            )
    return found


def _numbers(layers: Any) -> list[Any] | None:
    if layers is None or index_of(layers) is not None:
        return None if layers is None else [layers]
    try:
        if not isinstance(layers, str):
            return list(layers)
    except TypeError:
        pass
    raise UsageError(f"layer={layers!r:.60} is no number of a layer.", next="Say a whole number, or a list of them.")


def _letters(gate: str, known: Iterable[str]) -> Iterator[str]:
    """``forget`` is f, ``if`` is i and f; a word that is neither is told as it stands."""
    if letter_of(gate) != gate:
        yield letter_of(gate)
    elif gate and set(gate) <= set(known):
        yield from gate
    else:
        yield gate


def _layer(layer: Any, stack: Stack) -> int:
    stack[layer, "forward"]  # raises for a layer that is not there
    return int(layer) % stack.num_layers


def _gates_listed(wrong: str, known: Iterable[str]) -> str:
    titles = {GATE_TITLES.get(gate, gate): gate for gate in sorted(known)}
    near = nearest(wrong.lower(), titles)
    return f"{near} Its gates are {', '.join(f'{gate} ({title})' for title, gate in titles.items())}.".strip()


def _held(stack: Stack) -> str:
    first = stack[0, "forward"]
    told = [
        f"{role}{f' ({chr(32).join(gates)})' if role not in GATELESS else ''}" for role, gates in first.roles.items()
    ]
    return f"It has {', '.join(told)}."
