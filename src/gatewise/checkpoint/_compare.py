"""Comparing: do two files, or a file and a recorded run, compute the same function; and which gates differ."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from ..conventions import express, forget_bias_stored
from ..errors import GatewiseError, NotRepresentable, UsageError
from ..layouts import Layout, built_in
from ..proof import TOLERANCE, Claim, Proof, prove_recorded, proved, way_of
from ..source import give_back
from ..weights import Stack, joined
from ._open import Checkpoint, Layer, open


def verify(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str] | None = None,
    *,
    recorded: str | os.PathLike[str] | None = None,
    layer: str | None = None,
    tolerance: float = TOLERANCE,
    time_major: bool = False,
    verify: bool | str = True,
    **said: Any,
) -> Proof:
    """Does ``a`` compute the same function as ``b``, or as a recorded run (``IO.npz``, see the public contract)?

    Layers that a file says follow each other are run as one.  Of large files a sample of the units is run where all
    numbers are equal; ``verify="full"`` runs every unit, ``verify="sample"`` never does, whatever the numbers are.
    Raises UsageError where it is not clear what to compare.
    """
    way = way_of(verify)
    if not way:
        raise UsageError("with verify=False nothing would be compared.", next='Say verify="sample" or "full".')
    if recorded is not None and way == "sample":
        raise UsageError("a recorded run is of all units, not of a sample.", next="Leave out --verify sample.")
    one = open(a, **said)
    if recorded is not None:
        stacks = one.stacks(layer)
        if len(stacks) != 1:
            one.only()  # refuses, listing the layers
        return prove_recorded(stacks[0], _load(recorded), tolerance=tolerance, time_major=time_major)
    if b is None:
        raise UsageError("verify wants a second file or a recorded run.")
    proof: Proof | None = None
    claims = [
        Claim(mine, theirs, tolerance, functools.partial(_comparable, mine, theirs))
        for mine, theirs in pairs(one, open(b, **_meaning_only(said)), layer)
    ]
    for found in proved(claims, way):
        proof = found if proof is None else proof.worst(found)
    if proof is None:
        raise UsageError("there was nothing to compare.")
    return proof


def _meaning_only(said: dict[str, Any]) -> dict[str, Any]:
    """What the user said of the first file's layout need not hold for the second one."""
    return {name: value for name, value in said.items() if name != "layout"}


def _load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A recorded run.  Read with gatewise's own reader: nothing in it is run."""
    from ..containers import open_tensors

    try:
        return {name: tensor.array() for name, tensor in open_tensors(path).items()}
    except GatewiseError as error:
        error.next = "A recorded run is an .npz file with x, y and perhaps h0, c0, h_n, c_n."
        raise


def pairs(one: Checkpoint, other: Checkpoint, layer: str | None) -> Iterator[tuple[Stack, Stack]]:
    """What to compare with what: the named layer, the only ones, the ones of the same name, or all in order."""
    if layer is not None:
        mine = one[layer]
        yield mine, _counterpart(mine, other, layer)
        return
    left, right = _matched_stacks(one, other)
    by_name = {stack.name: stack for stack in right}
    if len(left) == len(right) > 1 and set(by_name) == {stack.name for stack in left}:
        yield from ((stack, by_name[stack.name]) for stack in left)
    else:
        yield from zip(left, right, strict=True)


def _matched_stacks(one: Checkpoint, other: Checkpoint) -> tuple[list[Stack], list[Stack]]:
    """Both files' stacks, in equal number.  A file may tell which layers follow each other, or leave it open."""
    mine, theirs = (list(one.layers), one.stacks()), (list(other.layers), other.stacks())
    if len(mine[1]) == len(theirs[1]):
        return mine[1], theirs[1]
    for left, right in ((mine[1], _grouped_as(mine[1], theirs[0])), (_grouped_as(theirs[1], mine[0]), theirs[1])):
        if left is not None and right is not None:
            return left, right
    if len(mine[0]) == len(theirs[0]):
        return list(one.layers), list(other.layers)
    raise UsageError(
        f"{one.path} has {len(mine[0])} recurrent layer(s), {other.path} has {len(theirs[0])}.",
        next="Name the one to compare with --layer.",
    )


def _counterpart(mine: Stack, other: Checkpoint, name: str) -> Stack:
    """The other file's stack of the same name, its only one, or its layers that make up one such stack."""
    named = [found for found in other.layers if found.name == name]
    if named:
        return named[0]
    theirs = other.stacks()
    grouped = [theirs[0]] if len(theirs) == 1 else _grouped_as([mine], list(other.layers))
    return grouped[0] if grouped else other[name]


def _grouped_as(wanted: list[Stack], pieces: Sequence[Stack]) -> list[Stack] | None:
    """Single layers joined, in their order, into stacks of the wanted sizes; None where they do not come out even."""
    left = list(pieces)
    groups: list[Stack] = []
    for stack in wanted:
        group: list[Stack] = []
        while left and sum(piece.num_layers for piece in group) < stack.num_layers:
            group.append(left.pop(0))
        if not group or not _alike(group) or _sizes(joined(group)) != _sizes(stack):
            return None
        groups.append(joined(group, group[0].name) if len(group) > 1 else group[0])
    return None if left else groups


def _alike(group: list[Stack]) -> bool:
    return all(
        (piece.cell, piece.dialect, piece.directions) == (group[0].cell, group[0].dialect, group[0].directions)
        for piece in group
    )


def _sizes(stack: Stack) -> tuple[object, ...]:
    return (stack.cell, *((weights.feature, weights.unit, weights.hidden) for _, weights in stack))


def diff(
    a: str | os.PathLike[str], b: str | os.PathLike[str], *, layer: str | None = None, **said: Any
) -> dict[str, Any]:
    """Gate by gate, where two files differ: ``{"same", "rows", "only_in_a", "only_in_b", "meaning"}``.

    Where the layouts differ, the second file's weights are first put into the first one's convention.  ``meaning``: what
    equal numbers would still compute otherwise, an activation or how directions are joined.
    """
    one, other = open(a, **said), open(b, **_meaning_only(said))
    rows: list[dict[str, Any]] = []
    only_a: list[str] = []
    only_b: list[str] = []
    meaning: list[dict[str, Any]] = []
    for mine, theirs in pairs(one, other, layer):
        mine, theirs = _comparable(mine, theirs)
        meaning += _meaning(mine, theirs)
        rows += _rows(mine, theirs)
        only_a += _only(mine, theirs)
        only_b += _only(theirs, mine)
    same = not only_a and not only_b and not meaning and all(row["max_abs"] == 0 for row in rows)
    return {"same": same, "rows": rows, "only_in_a": only_a, "only_in_b": only_b, "meaning": meaning}


def _meaning(mine: Stack, theirs: Stack) -> Iterator[dict[str, Any]]:
    """The fields of the dialect in which two stacks still differ.  How directions are joined says nothing of one."""
    one, other = mine.dialect.as_dict(), theirs.dialect.as_dict()
    for field in one.keys() | other.keys():
        silent = field == "merge" and len(mine.directions) == 1
        if one.get(field) != other.get(field) and not silent and field != "hard_sigmoid_slope":
            yield {"name": mine.name, "field": field, "a": one.get(field), "b": other.get(field)}


def _comparable(mine: Stack, theirs: Stack) -> tuple[Stack, Stack]:
    """Both in one convention: the poorer one, since what was merged cannot be taken apart again."""
    if mine.dialect == theirs.dialect and mine.spec.bias == theirs.spec.bias:
        return mine, theirs
    kinds = ("none", "single", "double")
    for poorer in sorted((mine, theirs), key=lambda stack: kinds.index(stack.spec.bias)):
        target = _layout_of(poorer)
        if target is not None:
            try:
                mine, theirs = express(mine, target).stack, express(theirs, target).stack
                break
            except NotRepresentable:
                continue
    if mine.dialect.forget_bias != theirs.dialect.forget_bias:  # added at run time or stored: the same gate
        return forget_bias_stored(mine), forget_bias_stored(theirs)
    return mine, theirs


def _layout_of(stack: Stack) -> Layout | None:
    """The layout a stack was read with: the user's own is known to its layer only."""
    if isinstance(stack, Layer):
        return stack.match.layout
    return built_in(stack.layout)


def _rows(mine: Stack, theirs: Stack) -> Iterator[dict[str, Any]]:
    for place, role, gate in _matrices(mine):
        other = theirs.cells.get(place)
        if other is None or gate not in other.role(role):
            continue
        one, two = mine.cells[place].roles[role][gate], other.role(role)[gate]
        row: dict[str, Any] = {
            "name": mine.name, "layer": place[0], "direction": place[1], "role": role, "gate": gate,
            "shape": list(one.shape), "max_abs": None, "where": None,
        }  # fmt: skip
        yield row | (_difference(one, two) if one.shape == two.shape else {})
        give_back(one, two)


def _difference(one: Any, two: Any) -> dict[str, Any]:
    import numpy as np

    gap = np.abs(np.asarray(one, np.float64) - np.asarray(two, np.float64))
    if not gap.size:
        return {"max_abs": 0.0}
    at = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    worst = float(gap.reshape(-1)[at])
    where = [int(index) for index in np.unravel_index(at, gap.shape)] if worst else None
    return {"max_abs": worst, "where": where}


def _matrices(stack: Stack) -> Iterator[tuple[tuple[int, str], str, str]]:
    for place, weights in stack:
        for role, gates in weights.roles.items():
            for gate in gates:
                yield place, role, gate


def _only(mine: Stack, theirs: Stack) -> list[str]:
    return [
        f"layer {place[0]} {place[1]} {role}{' ' + gate if gate else ''}"
        for place, role, gate in _matrices(mine)
        if place not in theirs.cells or gate not in theirs.cells[place].role(role)
    ]
