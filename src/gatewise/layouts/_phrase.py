"""The layout language: where the roles of a cell lie in one stored tensor.

    (gate unit) feature                  two axes; the first folds gate and unit, gate slowest
    (unit gate) feature                  the same shape, gates interleaved (Chainer)
    (feature + hidden) (gate unit)       two roles end to end on the first axis (TensorFlow 1)
    direction (gate unit + gate unit)    two roles end to end on the last one (ONNX's B)
    (one + one) (gate unit)              two roles as two rows (Keras's GRU bias)
    feature + hidden + one               three roles; the last has one column (Tesseract)
    [layer direction: (gate unit) feature + (gate unit) hidden] [layer direction: (gate unit) + (gate unit)]
                                         a flat buffer, whole matrices end to end (cuDNN, MXNet; see Section)

Axes are separated by spaces.  Parentheses fold axes into one, slowest first.  ``+`` lays the part's roles end to end:
an axis has either one segment, which all roles share, or exactly one for each role, in the roles' order.

A phrase does three things, all from the same parse: it gives the shape for known sizes, it is an equation for
unknown sizes, and it cuts a stored array into views.  Cutting slices, splits and transposes, which never copies.
"""

from __future__ import annotations

import bisect
import functools
import math
import re
from collections.abc import Callable, Mapping

from ..errors import PhraseError
from ..record import lazy, record

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array

AXES = ("gate", "unit", "feature", "hidden", "state", "direction", "one")
Segment = tuple[str, ...]  # atoms folded into one stretch of an axis, slowest first
LOOPS = ("layer", "direction")


@record
class Section:
    """One stretch of a flat buffer: for each layer and direction that it loops over, slowest first, its blocks end to
    end, each a role in row-major order.  ``[direction: (gate unit) feature + (gate unit)]`` has two blocks."""

    loops: tuple[str, ...]
    blocks: tuple[Phrase, ...]

    def length(self, sizes: Mapping[str, int]) -> int:
        """Elements of one turn."""
        return sum(math.prod(block.shape(sizes)) for block in self.blocks)


@record
class Phrase:
    """A parsed phrase: for each stored axis its segments, each a product of atoms."""

    text: str
    axes: tuple[tuple[Segment, ...], ...]
    sections: tuple[Section, ...] = ()  # of a flat buffer, which has no axes of its own

    @property
    def blocks(self) -> tuple[Phrase, ...]:
        """Of a flat buffer: a phrase for each role."""
        return tuple(block for section in self.sections for block in section.blocks)

    @property
    def loops(self) -> frozenset[str]:
        return frozenset(loop for section in self.sections for loop in section.loops)

    @lazy
    def atoms(self) -> frozenset[str]:
        if self.sections:
            return frozenset(atom for block in self.blocks for atom in block.atoms) | self.loops
        return frozenset(atom for axis in self.axes for segment in axis for atom in segment)

    @property
    def roles(self) -> int:
        """How many roles the phrase places."""
        return len(self.blocks) if self.sections else max(len(axis) for axis in self.axes)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The stored shape for known sizes."""
        return tuple(sum(_product(segment, sizes) for segment in axis) for axis in self.axes)

    def segments(self, role: int) -> list[tuple[int, Segment]]:
        """For each axis: which of its segments is this role's, and its atoms."""
        return self._segments[min(role, len(self._segments) - 1)]  # one for all, where it places one

    @lazy
    def _segments(self) -> list[list[tuple[int, Segment]]]:
        if self.sections:
            return [block.segments(0) for block in self.blocks]
        chosen = [[0 if len(axis) == 1 else role for axis in self.axes] for role in range(self.roles)]
        return [[(index, axis[index]) for index, axis in zip(each, self.axes, strict=True)] for each in chosen]

    def atoms_of(self, role: int) -> frozenset[str]:
        """The atoms of one role."""
        return self._atoms[min(role, len(self._atoms) - 1)]

    @lazy
    def _atoms(self) -> list[frozenset[str]]:
        return [frozenset(atom for _, segment in each for atom in segment) for each in self._segments]

    def cut(
        self, array: Array, role: int, sizes: Mapping[str, int], fixed: Mapping[str, int], order: tuple[str, ...]
    ) -> Array:
        """The view of one role, at the ``fixed`` coordinates (gate, direction), its axes in ``order``.

        Splitting an axis, slicing and transposing keep the memory: the result shares it with ``array``.  Arrays of torch,
        jax and MLX are cut likewise, and gradients go through.
        """
        place, split, index, axes = self._ways(role, tuple(sizes.items()), tuple(fixed.items()), order)
        view: Array = _turned(array[place].reshape(split)[index], axes)
        return view

    @lazy
    def _ways(self) -> Callable[..., Any]:
        """Most layers of a file have the same sizes, and each gate is cut several times."""
        return functools.lru_cache(maxsize=64)(self._way)

    def _way(
        self, role: int, sizes: tuple[tuple[str, int], ...], fixed: tuple[tuple[str, int], ...], order: tuple[str, ...]
    ) -> tuple[tuple[slice, ...], list[int], tuple[int | slice, ...], list[int]]:
        """How :meth:`cut` cuts: the slice of each axis, the axes that it is split into, which are kept, their order."""
        known = dict(sizes)
        slices: list[slice] = []
        split: list[int] = []
        atoms: list[str] = []
        for (index, segment), axis in zip(self.segments(role), self.axes, strict=True):
            start = sum(_product(before, known) for before in axis[:index])
            slices.append(slice(start, start + _product(segment, known)))
            split += [known[atom] for atom in segment]
            atoms += segment
        place: dict[str, int] = {**dict(fixed), "one": 0}
        index_of: tuple[int | slice, ...] = tuple(place[atom] if atom in place else slice(None) for atom in atoms)
        left = [atom for atom in atoms if atom not in place]
        return tuple(slices), split, index_of, [left.index(atom) for atom in order if atom in left]


def _turned(view: Any, order: list[int]) -> Any:
    """The axes in another order.  A torch tensor's ``transpose`` swaps two and means something else."""
    return view.permute(order) if hasattr(view, "permute") else view.transpose(order)


def _product(segment: Segment, sizes: Mapping[str, int]) -> int:
    return math.prod([sizes[atom] for atom in segment])


@functools.cache
def phrase(text: str) -> Phrase:
    """Parse a phrase.  Raises PhraseError with the place."""
    if text.startswith("["):
        return Phrase(text, (), _sections(text))
    axes = tuple(_axis(token, text) for token in _axis_tokens(text))
    if not axes:
        raise PhraseError(f"phrase {text!r} has no axes.")
    counts = {len(axis) for axis in axes} - {1}
    if len(counts) > 1:
        raise PhraseError(f"phrase {text!r} lays {' and '.join(map(str, sorted(counts)))} roles end to end.")
    return Phrase(text, axes)


def _sections(text: str) -> tuple[Section, ...]:
    pieces = re.findall(r"\[([a-z ]*):([^][:]*)\]\s*", text)
    if "".join(f"[{loops}:{blocks}]" for loops, blocks in pieces).replace(" ", "") != text.replace(" ", ""):
        raise PhraseError(
            f"flat phrase {text!r} cannot be read.", next="Each section is [layer direction: block + block]."
        )
    sections = []
    for loops, blocks in pieces:
        unknown = [loop for loop in loops.split() if loop not in LOOPS]
        if unknown or len(set(loops.split())) != len(loops.split()):
            raise PhraseError(
                f"flat phrase {text!r} cannot loop over {loops!r}.", next=f"Loops are {', '.join(LOOPS)}."
            )
        sections.append(Section(tuple(loops.split()), tuple(phrase(block.strip()) for block in blocks.split("+"))))
    return tuple(sections)


def _axis_tokens(text: str) -> list[str]:
    """The axes' texts: a parenthesis, a word, or several of these joined by +."""
    tokens: list[str] = []
    joined = False
    for piece in _pieces(text):
        if piece == "+" or joined:
            if not tokens:
                raise PhraseError(f"phrase {text!r} begins with +.")
            tokens[-1] += " " + piece
        else:
            tokens.append(piece)
        joined = piece == "+"
    return tokens


def _pieces(text: str) -> list[str]:
    """Parentheses with what is in them, plus signs and words.  Without a regular expression, which would cost more than
    parsing the phrases of a file's tables does."""
    pieces, outside = [], True
    for stretch in text.replace("(", "\0(").replace(")", ")\0").split("\0"):
        folded = stretch.startswith("(") and stretch.endswith(")")
        outside = outside and (folded or not ("(" in stretch or ")" in stretch))
        pieces += [stretch] if folded else stretch.replace("+", " + ").split()
    if not outside:
        raise PhraseError(f"phrase {text!r} has a parenthesis without its partner, or one inside another.")
    return pieces


def _axis(token: str, text: str) -> tuple[Segment, ...]:
    segments = tuple(tuple(segment.split()) for segment in token.replace("(", " ").replace(")", " ").split("+"))
    for segment in segments:
        if not segment:
            raise PhraseError(f"phrase {text!r} has an empty place in {token.strip()!r}.")
        for atom in segment:
            if atom not in AXES:
                raise PhraseError(f"phrase {text!r} has no meaning for {atom!r}.", next=f"Axes are {', '.join(AXES)}.")
        if len(set(segment)) != len(segment):
            raise PhraseError(f"phrase {text!r} folds an axis into itself in {token.strip()!r}.")
    return segments


@record
class Equation:
    """``length`` of a stored axis = the sum of its segments' products.  ``of`` names tensor and axis, for messages.

    ``known`` holds what the part itself says: how many gates, how many directions.
    """

    axis: tuple[Segment, ...]
    length: int
    of: str
    known: Mapping[str, int]

    def total(self, sizes: Mapping[str, int]) -> int:
        """The length that known sizes ask for."""
        return sum(_product(segment, {"one": 1, **sizes, **self.known}) for segment in self.axis)

    def solve(self, sizes: Mapping[str, int]) -> tuple[str, int] | None:
        """The one size still unknown, if this equation gives it; None if not.  Raises Unsolvable."""
        sizes = {**sizes, **self.known}
        unknown = {atom for segment in self.axis for atom in segment if atom not in sizes}
        if not unknown:
            found = sum(_product(segment, sizes) for segment in self.axis)
            if found != self.length:
                raise Unsolvable(self, found)
            return None
        if len(unknown) > 1:
            return None
        (name,) = unknown
        value = self._linear(name, sizes) if all(s.count(name) <= 1 for s in self.axis) else self._growing(name, sizes)
        if value is None:
            raise Unsolvable(self, None)
        return name, value

    def _linear(self, name: str, sizes: Mapping[str, int]) -> int | None:
        """The whole number that solves it, where no segment has the unknown twice."""
        held = {**sizes, name: 1}
        factor = sum(_product(segment, held) for segment in self.axis if name in segment)
        left = self.length - sum(_product(segment, sizes) for segment in self.axis if name not in segment)
        value, rest = divmod(left, factor) if factor else (0, 1)
        return value if value >= 1 and not rest else None

    def _growing(self, name: str, sizes: Mapping[str, int]) -> int | None:
        def total(value: int) -> int:  # grows with the value, whatever products it is in
            return sum(_product(segment, {**sizes, name: value}) for segment in self.axis)

        value = bisect.bisect_left(range(self.length + 1), self.length, lo=1, key=total)
        return value if total(value) == self.length else None


class Unsolvable(Exception):
    """No sizes satisfy an equation; ``wanted`` is the length that the other tensors ask for, where known."""

    def __init__(self, equation: Equation, wanted: int | None):
        self.equation = equation
        self.wanted = wanted
        wants = f"the other tensors want {wanted}" if wanted is not None else "no whole number of units fits"
        super().__init__(f"{equation.of} is {equation.length} long; {wants}")


def solve(equations: list[Equation], known: Mapping[str, int]) -> dict[str, int]:
    """Every size that the equations give.  What no equation tells is left out.  Raises Unsolvable."""
    sizes, progress = dict(known), True
    while progress:
        progress = False
        for equation in equations:  # a pass also checks every equation whose sizes are all known
            if found := equation.solve(sizes):
                sizes[found[0]] = found[1]
                progress = True
    return sizes
