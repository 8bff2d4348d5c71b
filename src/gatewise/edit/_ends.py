"""The two ends of a transfer: which layer goes where, or why that is not clear.

Both ends are flattened to a list of *levels* (one layer of one object); levels are paired in order, and pairs that
follow each other in one destination become one :class:`Piece`, which is put into terms, written and proved as a whole.
Not known here: numbers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..checkpoint import Checkpoint, Layer
from ..checkpoint import open as opened
from ..checkpoint._convert import averaged
from ..errors import GatewiseError, NotRepresentable, UsageError, few
from ..live import Live, LiveModel, of_several
from ..record import record, replace
from ..weights import Stack

Names = str | Sequence[str] | None
Numbers = int | Sequence[int] | None


@record(eq=False)
class Level:
    """One layer of one object, the ``number``-th of its side.  ``below``: the widths of the blocks that its features are."""

    number: int
    stack: Stack
    layer: int
    below: tuple[int, ...]

    @property
    def wide(self) -> tuple[int, ...]:
        """The widths of the blocks that its output consists of."""
        hidden = tuple(self.stack[self.layer, direction].hidden for direction in self.stack.directions)
        return hidden if self.stack.dialect.merge in ("concat", "apart") else hidden[:1]

    @property
    def feature(self) -> int:
        return self.stack[self.layer, "forward"].feature

    def __str__(self) -> str:
        name = self.stack.name or self.stack.layout or self.stack.cell
        return name if self.stack.num_layers == 1 else f"{name} layer {self.layer}"


@record(eq=False)
class Pair:
    """A level of the source, the one of the destination that it goes to, and which direction goes where."""

    source: Level
    target: Level
    ways: tuple[tuple[str, str], ...]


@record(eq=False)
class Piece:
    """Pairs that are one run of layers in one destination."""

    pairs: tuple[Pair, ...]

    @property
    def live(self) -> Live:
        found = self.pairs[0].target.stack
        assert isinstance(found, Live)  # destinations() makes sure
        return found

    @property
    def places(self) -> list[tuple[tuple[int, str], Pair, str, str]]:
        """((number in the piece, direction in it), pair, the source's direction, the destination's)."""
        alone = len(self.pairs[0].ways) == 1
        return [
            ((number, "forward" if alone else to), pair, way, to)
            for number, pair in enumerate(self.pairs) for way, to in pair.ways
        ]  # fmt: skip

    def source(self) -> Stack:
        """The source's part, as a stack."""
        first = self.pairs[0].source.stack
        cells = {place: pair.source.stack[pair.source.layer, way] for place, pair, way, _ in self.places}
        dialect = first.dialect
        live = self.live
        if self.pairs[0].ways == (("reverse", "forward"),) and live.dialect.go_backwards and not dialect.go_backwards:
            dialect = replace(dialect, go_backwards=True)  # such an object reads time backwards by itself
        return Stack(first.cell, cells, dialect, name=first.name, layout=first.layout)

    def target(self) -> Stack:
        """The destination's part, as a stack whose arrays are read when asked for."""
        live = self.live
        cells = {place: live[pair.target.layer, to] for place, pair, _, to in self.places}
        return Stack(live.cell, cells, live.dialect, name=live.name, layout=live.layout)

    def covers(self, side: str) -> Live | None:
        """The live layer of one side (``source``, ``target``), where the piece is the whole of it and of nothing else."""
        stacks = [getattr(pair, side).stack for pair in self.pairs]
        found = stacks[0]
        if not isinstance(found, Live) or any(stack is not found for stack in stacks):
            return None
        index = ("source", "target").index(side)
        ways = [tuple(way[index] for way in pair.ways) for pair in self.pairs]
        layers = [getattr(pair, side).layer for pair in self.pairs]
        return found if layers == list(range(found.num_layers)) and set(ways) == {found.directions} else None


# What the user gave.


def several(given: Any) -> list[Any] | None:
    """The elements of a list or tuple of objects; None for one object, which a tuple may be too (Flax's module with its
    variables)."""
    if not isinstance(given, list | tuple):
        return None
    try:
        of_several(given)
    except GatewiseError:
        return list(given)
    return None


def sources(src: Any, names: Names) -> list[Stack]:
    """The recurrent layers of a path, checkpoint, stack or object in memory, or of several in a list."""
    each_of = several(src)
    if each_of is not None:
        return [stack for each in each_of for stack in sources(each, names)]
    if isinstance(src, str | os.PathLike):
        src = opened(src)
    if isinstance(src, Checkpoint):
        if names is not None:
            return [_of_file(src, name) for name in _listed(names)]
        src.require_layers()
        averages = averaged(src)
        return [layer for layer in src.layers if layer.name not in averages]
    if isinstance(src, Stack):
        return [src]
    return [*_named(src, names)]


def _of_file(file: Checkpoint, name: str) -> Stack:
    try:
        return file[name]
    except UsageError as error:
        if error.next is not None:  # which speaks of the command line
            error.next = error.next.replace("--layer", "--src-name")
        raise


def destinations(dst: Any, names: Names) -> list[Live]:
    """The live layers of an object in memory.  Raises UsageError for a file."""
    if isinstance(dst, Stack) and not isinstance(dst, Live):
        raise UsageError(
            "the destination is a layer of a file, which is only read.",
            next="Give an object in memory; gw.save and gw.convert write files.",
        )
    if isinstance(dst, str | os.PathLike | Checkpoint):
        raise UsageError(
            "the destination is a file.", path=getattr(dst, "path", dst),
            next="Give an object in memory, as gw.of takes it; gw.convert writes files.",
        )  # fmt: skip
    return _named(dst, names)


def _named(subject: Any, names: Names) -> list[Live]:
    found = of_several(subject)
    if names is None:
        return found
    model = LiveModel(subject, found)
    return [model[name] for name in _listed(names)]


def _listed(names: Names) -> Sequence[str]:
    return [names] if isinstance(names, str) else list(names or ())


def require_sure(stack: Stack) -> None:
    """Raises NotRepresentable where an end is not surely what it looks like."""
    if isinstance(stack, Layer) and not stack.sure:
        raise NotRepresentable(
            f"{stack.name or 'the layer'} cannot be transferred unasked: {stack.match.doubts[0][1]}.",
            next="Say what it is when you open it: gw.open(path, …), or gw.of(object, …) for one in memory.",
        )


def levels(stacks: Sequence[Stack]) -> list[Level]:
    """One after another, in order.  Features are in blocks where they are another layer's outputs."""
    found: list[Level] = []
    for stack in stacks:
        for layer in range(stack.num_layers):
            feature = stack[layer, "forward"].feature
            follows = bool(found) and (layer > 0 or sum(found[-1].wide) == feature)
            found.append(Level(len(found), stack, layer, found[-1].wide if follows else (feature,)))
    return found


# Pairing.


def paired(
    source: Sequence[Stack], target: Sequence[Stack], ordered: bool, layers: Numbers, to_layers: Numbers, direction: str | None,
    to_direction: str | None,
) -> list[Pair]:  # fmt: skip
    """Which level goes to which; ``ordered``: the user gave the objects in order.  Raises UsageError where it is not clear."""
    if not ordered and layers is None and to_layers is None:
        source = _by_name(source, target)
    mine, theirs = levels(source), levels(target)
    one = _numbers(layers, mine, "layers", "the source")
    other = _numbers(to_layers, theirs, "to_layers", "the destination")
    if one is not None and other is None and len(one) != len(theirs):
        other = _numbers(one, theirs, "layers", "the destination")
    if other is not None and one is None and len(other) != len(mine):
        one = _numbers(other, mine, "to_layers", "the source")
    chosen = mine if one is None else [mine[number] for number in one]
    goals = theirs if other is None else [theirs[number] for number in other]
    if len(chosen) != len(goals):
        raise _counts_differ(source, target, len(chosen), len(goals), given=one is not None)
    if len(set(map(id, goals))) != len(goals):
        raise UsageError("to_layers names a layer twice.")
    return [Pair(a, b, _ways(a, b, direction, to_direction)) for a, b in zip(chosen, goals, strict=True)]


def _by_name(source: Sequence[Stack], target: Sequence[Stack]) -> Sequence[Stack]:
    """The source in the destination's order, where both have several layers.  They are told apart by their names, or in
    order by names that differ in Keras's counters (``lstm_1``, ``lstm_4``).  Raises UsageError for others."""
    if len(source) < 2 or len(target) < 2:
        return source
    names, wanted = [stack.name for stack in source], [stack.name for stack in target]
    if len(set(names)) == len(names) and sorted(names) == sorted(wanted):
        return [source[names.index(name)] for name in wanted]
    plain, plain_wanted = ([re.sub(r"_\d+$", "", name) for name in each] for each in (names, wanted))
    if plain == plain_wanted:
        return source
    raise UsageError(
        "both sides have several recurrent layers, and their names do not tell which goes to which: "
        f"{few(map(_told, source))} to {few(map(_told, target))}.",
        next="Name them in order: src_name=[…], dst_name=[…].",
    )


def _numbers(wanted: Numbers, found: list[Level], word: str, side: str) -> list[int] | None:
    if wanted is None:
        return None
    numbers = [wanted] if isinstance(wanted, int) else list(wanted)
    count = len(found)
    for number in numbers:
        if not isinstance(number, int) or not -count <= number < count:
            raise UsageError(f"{word}: {side} has no layer {number!r}.", next=f"Its layers are 0 to {count - 1}.")
    return [number % count for number in numbers]


def _counts_differ(
    source: Sequence[Stack], target: Sequence[Stack], mine: int, theirs: int, *, given: bool
) -> UsageError:
    several = next((stacks for stacks in (source, target) if len(stacks) > 1), None)
    if several is not None and not given and not _a_run(source, target) and not _a_run(target, source):
        side, word = ("source", "src_name") if several is source else ("destination", "dst_name")
        return UsageError(
            f"the {side} has {len(several)} recurrent layers and none was named.",
            next=f"Name one with {word}=, or several in order as a list: {few(map(_told, several))}.",
        )
    return UsageError(
        f"{mine} layer{'s' * (mine != 1)} of the source cannot go to {theirs} of the destination.{_each_told(source, target)}",
        next="Say which with layers=[…] and to_layers=[…]; they count from 0.",
    )


def _a_run(stacked: Sequence[Stack], cells: Sequence[Stack]) -> bool:
    """Is the one side a stack of layers and the other one of single ones, so that their number is what does not fit?"""
    return len(stacked) == 1 and stacked[0].num_layers > 1 and all(each.num_layers == 1 for each in cells)


def _each_told(source: Sequence[Stack], target: Sequence[Stack]) -> str:
    if len(source) == len(target) == 1:
        return ""
    return f" The source is {few(map(_told, source))}; the destination {few(map(_told, target))}."


def _told(stack: Stack) -> str:
    spec = stack.spec
    return f"{stack.name or stack.layout!r} ({spec.cell} {spec.input_size} → {spec.hidden_size}, {spec.num_layers} layer{'s' * (spec.num_layers != 1)})"


def _ways(source: Level, target: Level, direction: str | None, to: str | None) -> tuple[tuple[str, str], ...]:
    """Which direction goes to which."""
    mine, theirs = source.stack.directions, target.stack.directions
    if direction is None and to is None:
        if len(mine) != len(theirs):
            has, reads = ("both directions", "one") if len(mine) == 2 else ("one direction", "both")
            raise UsageError(
                f"{source} reads in {has}, and {target} in {reads}.",
                next="Say which with direction='forward'."
                if len(mine) == 2
                else "Say to which with to_direction='forward'.",
            )
        return tuple(zip(mine, theirs, strict=True))
    way = direction or (to if to in mine else mine[0])
    goal = to or (way if way in theirs else theirs[0])
    for stack, word in ((source.stack, way), (target.stack, goal)):
        stack[0, str(word)]  # raises for a direction that is not there
    return ((str(way), str(goal)),)


# Pieces.


def pieces(pairs: Sequence[Pair]) -> list[Piece]:
    """The pairs in runs."""
    runs: list[list[Pair]] = []
    for pair in pairs:
        if runs and _continues(runs[-1][-1], pair):
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return [Piece(tuple(run)) for run in runs]


def _continues(above: Pair, pair: Pair) -> bool:
    """Does the next pair take what the one before gives, on both sides, in one destination?"""
    one, other = above.source.stack, pair.source.stack
    return (
        above.target.stack is pair.target.stack
        and pair.target.layer == above.target.layer + 1
        and one.cell == other.cell
        and one.dialect == other.dialect
        and above.ways == pair.ways
        and len(pair.ways) == len(one.directions) == len(pair.target.stack.directions)
        and sum(above.source.wide) == pair.source.feature
        and (one is not other or pair.source.layer == above.source.layer + 1)
        and (one is other or not (one.dialect.go_backwards and not one.dialect.backwards_in_place))
    )


def moved(pieces: Sequence[Piece]) -> Iterator[tuple[Pair, str, str]]:
    for piece in pieces:
        for _, pair, way, to in piece.places:
            yield pair, way, to
