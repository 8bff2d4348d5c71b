"""Every layout to every other: what it can say of the other, how exactly, and why not where it cannot.

A *specimen* is a random layer made from a layout's table alone: one for each form of the table, with all of its optional
parts, and with fewer.  A pair is judged by its specimens: each is put into the target's terms, encoded into the target's
own arrays, read back from them and run beside the source.  Nothing is remembered: the figures are of this run.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .conventions import ONE_ROUNDING, Change, express
from .errors import NotRepresentable
from .layouts import Layout, Part, layouts
from .layouts._code import decode, encoded, match_of
from .layouts._settings import dialect_with
from .proof import Ran, prove, run_of
from .tensors import Tensors, numpy_dtype
from .weights import DIRECTIONS, GATELESS, ROLE_AXES, Dialect, Gates, Stack, Weights, joined

if TYPE_CHECKING:
    from .tensors import Array

EXACT, ROUNDED, PARTLY, REFUSED = "exact", "rounded", "partly", "refused"


# Specimens.


def parts_of(layout: Layout, form: Mapping[str, Any], extras: frozenset[str]) -> tuple[Part, ...]:
    """The parts of a layer in this form that has these optional ones (``biases``, ``projection`` …) and no others."""
    return tuple(part for part in layout.parts_given(form) if not part.optional or kind_of(part) in extras)


def kind_of(part: Part) -> str:
    """What an optional part is called: parts of one kind come and go together."""
    if set(part.roles) <= {"bias", "recurrent_bias"}:
        return "biases"
    return "peephole" if part.roles[0].startswith("peephole") else part.roles[0]


def choices(layout: Layout) -> Iterator[tuple[Mapping[str, Any], frozenset[str]]]:
    """Every form with every choice of optional parts, the fullest first."""
    for form in layout.forms:
        kinds = sorted({kind_of(part) for part in layout.parts_given(form) if part.optional})
        for count in range(len(kinds), -1, -1):
            for extras in itertools.combinations(kinds, count):
                yield form, frozenset(extras)


@dataclass(frozen=True)
class Specimen:
    """A random layer as one layout stores it.  ``unit``, ``feature``, ``proj`` are its sizes."""

    layout: Layout
    form: Mapping[str, Any]
    extras: frozenset[str]
    feature: int = 3
    unit: int = 4
    proj: int = 2
    layers: int = 1
    directions: int = 1
    dtype: str = "float32"
    seed: int = 0
    dialect: Dialect | None = None

    @property
    def held(self) -> dict[str, str]:
        """Role → its gates ("_" for a role that has none)."""
        found: dict[str, str] = {}
        for part in parts_of(self.layout, self.form, self.extras):
            for role in part.roles:
                gates = "_" if role in GATELESS else self.layout.gates_of(part, role)
                found[role] = found.get(role, "") + "".join(gate for gate in gates if gate not in found.get(role, ""))
        return found

    def stack(self) -> Stack:
        import numpy as np

        random = np.random.default_rng(self.seed)
        places = itertools.product(range(self.layers), DIRECTIONS[: self.directions])
        cells = {place: self._weights(place[0], random) for place in places}
        said = self.dialect or dialect_with(self.layout.meaning, self.form)
        return Stack(self.layout.cell, cells, said, name="layer", layout=self.layout.name)

    def _weights(self, layer: int, random: Any) -> Weights:
        held = self.held
        hidden = self.proj if "projection" in held else self.unit
        feature = hidden * self.directions if layer else self.feature
        sizes = {"unit": self.unit, "state": self.unit, "hidden": hidden, "feature": feature}
        roles = {}
        for role, gates in held.items():
            shape = [sizes[axis] for axis in ROLE_AXES[role]]
            arrays = {
                gate.strip("_"): random.uniform(-0.8, 0.8, shape).astype(numpy_dtype(self.dtype)) for gate in gates
            }
            roles[role] = Gates(role, {gate: _giver(array) for gate, array in arrays.items()})
        return Weights(self.unit, feature, hidden, self.dtype, roles)


def _giver(array: Array) -> Any:
    return lambda: array


# Through another layout, in memory.


def through(stack: Stack, target: Layout) -> tuple[Stack, tuple[Change, ...]]:
    """The stack encoded into the target's own arrays and read back from them, and what that changed.  Layers that the
    target stores apart go one by one.  Raises NotRepresentable."""
    said = express(stack, target)
    pieces = [said.stack] if target.is_stack else [said.stack.layer(index) for index in range(stack.num_layers)]
    back = []
    for piece in pieces:
        tensors = encoded(piece, target, said.form)
        back.append(decode(match_of(piece, target, said.form, tensors), Tensors(tensors.values())))
    return (joined(back) if len(back) > 1 else back[0]), said.changes


# Pairs.


@dataclass(frozen=True)
class Pair:
    """What ``target`` can say of ``source``.

    ``outcome``  ``exact``; ``rounded``: one rounding to the stored dtype; ``partly``: some of its forms, or not with all
                 of its parts; ``refused``
    ``error``    the largest difference found between the two runs, of all that was said; None where nothing was
    ``reason``   why not, or not all
    ``changes``  what the numbers went through
    """

    source: str
    target: str
    outcome: str
    error: float | None
    reason: str
    changes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "from": self.source, "to": self.target, "outcome": self.outcome, "max_abs_error": self.error,
            "reason": self.reason, "changes": list(self.changes),
        }  # fmt: skip


@functools.cache
def _specimens(source: Layout, layers: int, directions: int) -> tuple[tuple[Stack, Ran], ...]:
    """The specimens by which pairs of one source are judged, each run once."""
    stacks = [Specimen(source, *choice, layers=layers, directions=directions).stack() for choice in choices(source)]
    return tuple((stack, run_of(stack)) for stack in stacks)


def pair(source: Layout, target: Layout) -> Pair:
    """Judge one pair, by a specimen for each form and each choice of optional parts."""
    errors: list[float] = []
    refusals: list[str] = []
    changes: dict[str, str] = {}
    deep = 2 if source.is_stack and target.is_stack else 1
    wide = 2 if source.is_bidirectional and target.is_bidirectional else 1
    for stack, ran in _specimens(source, deep, wide):
        try:
            back, said = through(stack, target)
        except NotRepresentable as refusal:
            refusals.append(refusal.message.removeprefix(f"{target.name} cannot say this: "))
            continue
        errors.append(prove(stack, back, ran=ran).max_abs_error)
        changes |= {change.what: change.exactness for change in said}
    rounded = ONE_ROUNDING in changes.values()
    outcome = REFUSED if not errors else PARTLY if refusals else ROUNDED if rounded else EXACT
    reason = refusals[0] if refusals else ""
    return Pair(source.name, target.name, outcome, max(errors, default=None), reason, tuple(changes))


Progress = Callable[[int, int, str], None]


def pairs_of(source: Layout | None = None, progress: Progress | None = None) -> Iterator[Pair]:
    """Every pair of two layouts of one cell, or those of one ``source``; layouts whose cells are only named have none.
    ``progress`` is told pairs done, pairs in all, and the pair."""
    known = [layout for layout in layouts() if not layout.outside]
    sources = known if source is None else [source]
    wanted = [(one, other) for one in sources for other in known if one.cell == other.cell]
    for number, (one, other) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted), f"{one.name} to {other.name}")
        yield pair(one, other)


def by_cell(found: Iterable[Pair]) -> Iterator[tuple[str, list[Pair]]]:
    """The pairs of each cell."""
    cells = {layout.name: layout.cell for layout in layouts()}
    groups: dict[str, list[Pair]] = {}
    for each in found:
        groups.setdefault(cells[each.source], []).append(each)
    yield from groups.items()


SIGNS = {EXACT: "=", ROUNDED: "~", PARTLY: "+", REFUSED: "."}
LEGEND = "= exact   ~ exact up to one rounding   + in part   . refused"


def grid(found: list[Pair]) -> Iterator[str]:
    """Lines: a row for each source, a column for each target by the row's number.  ``found``: pairs of one cell."""
    names = list(dict.fromkeys(each.source for each in found))
    signs = {(each.source, each.target): SIGNS[each.outcome] for each in found}
    margin = max(len(name) for name in names) + 4
    numbers = [str(number) for number in range(1, len(names) + 1)]
    for digit in range(max(map(len, numbers))):
        line = "".join(number.rjust(len(numbers[-1]))[digit] for number in numbers)
        yield " " * margin + line
    for number, name in zip(numbers, names, strict=True):
        yield f"{number:>2} {name}".ljust(margin) + "".join(signs[name, target] for target in names)
