"""Reading a written file back and proving it against what it was written from."""

from __future__ import annotations

import functools
from pathlib import Path

from ..errors import GatewiseError, ProofFailed
from ..layouts._layout import is_stream
from ..proof import Claim, Proof, explained, numbers, prove, prove_sample, proved
from ..record import replace
from ..tensors import Tensors
from ..weights import Stack, joined
from ._open import Checkpoint, Layer, opened
from ._stored import damaged
from ._unit import Unit


def read_back(written: Path, stored: Tensors, units: list[Unit], way: str) -> Proof:
    """Prove a written file, whose tensors are ``stored``.  ``way`` as :func:`gatewise.proof.proved` takes it.  Raises ProofFailed."""
    backs = _read(written, stored, units)
    claims = [
        Claim(unit.source, back, unit.tolerance, functools.partial(_terms, unit, back))
        for unit, back in zip(units, backs, strict=True)
    ]
    result: Proof | None = None
    for unit, back, proof in zip(units, backs, proved(claims, way), strict=True):
        held = _require(unit, back, proof, written)
        result = held if result is None else result.worst(held)
    if result is None:
        raise ProofFailed("nothing was compared.")
    return result


def _terms(unit: Unit, back: Stack) -> tuple[Stack, Stack]:
    return unit.said.stack, back


def _read(written: Path, stored: Tensors, units: list[Unit]) -> list[Stack]:
    """What each unit has become, in the file."""
    stacks: dict[int, Stack] = {}
    for target in {id(unit.target): unit.target for unit in units}.values():
        try:
            reread = opened(stored, target)
        except GatewiseError as error:
            raise error.at(written) from None
        unnamed = iter(reread.layers if is_stream(reread.tensors.naming) else ())
        named = _by_name(reread)
        for number, unit in enumerate(units):
            if unit.target is target:
                pieces = [next(unnamed, None) or _found(named, name) for name in unit.names]
                stacks[number] = _as_said(pieces, unit)
    return [stacks[number] for number in range(len(units))]


def _as_said(pieces: list[Layer], unit: Unit) -> Stack:
    dialect = unit.said.stack.dialect
    for piece in pieces:
        if not piece.assumed and piece.dialect != dialect:
            raise ProofFailed(f"{piece.name!r} was written as {piece.dialect}, not {dialect}.")
    return joined([piece.replaced(dialect=dialect) for piece in pieces])


def _require(unit: Unit, back: Stack, proof: Proof, written: Path) -> Proof:
    """The proof, with how the numbers compare.  Raises ProofFailed where it does not hold, and where one number of the
    file is not the one that was written: within a tolerance no other mistake may hide, be it one bit."""
    if not proof.same:
        raise _unproved(unit, proof, back)
    said = unit.said.stack
    found = proof.numbers or numbers(unit.source, back, (said, back))
    if not found.all:
        there = numbers(said, back, finite=False)
        if not there.all:
            lost = there.of - there.equal - there.changed
            raise damaged(written, f"{lost:,} of {there.of:,} numbers are not those written")
        proof = prove(unit.source, back, unit.tolerance)  # numbers that are none
        if not proof.same:
            raise _unproved(unit, proof, back)
    return replace(proof, numbers=found)


def _unproved(unit: Unit, proof: Proof, back: Stack) -> ProofFailed:
    """Why it failed: numbers that are none, a dtype that is too coarse, or gatewise itself."""
    again = prove if proof.whole else prove_sample
    if not again(unit.source, unit.source).same:
        return ProofFailed(
            "the weights hold numbers that are not finite, or make outputs that are not: nothing can be proved of them.",
            where=f"layer {unit.source.name}" if unit.source.name else None,
            next="Nothing was written. To convert it all the same, say --no-verify.",
        )
    error = f"max |Δ| = {proof.max_abs_error:.3g}, allowed {proof.tolerance:g}"
    said = unit.said.stack
    only_rounded = unit.rounded and explained(
        unit.source, said, numbers(unit.source, said, (said, said)), unit.tolerance
    )
    if only_rounded and again(said, back).same:
        return ProofFailed(
            f"rounding the weights to {said.spec.dtype} changes what they compute: {error}.",
            next="Nothing was written. Choose a wider --dtype, or say --no-verify.",
        )
    return ProofFailed(
        f"the written file does not compute the same function: {error}.",
        next="Nothing was kept. This is a defect of gatewise: please report it with the file's layout and sizes.",
    )


def _by_name(checkpoint: Checkpoint) -> dict[str, Layer]:
    """The layers by name, and by path: of a file with many, each is found without a look at the others."""
    named: dict[str, Layer] = {}
    for layer in reversed(checkpoint.layers):
        named[layer.path] = named[layer.name] = layer
    return named


def _found(named: dict[str, Layer], name: str) -> Layer:
    if name in named:
        return named[name]
    raise ProofFailed(f"the written file does not show the layer {name!r} when it is read back.")
