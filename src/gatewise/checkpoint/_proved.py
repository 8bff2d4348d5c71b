"""Reading a written file back and proving it against what it was written from."""

from __future__ import annotations

from pathlib import Path

from ..errors import ProofFailed
from ..layouts._layout import is_stream
from ..proof import TOLERANCE, Proof, numbers, prove, proved
from ..weights import Stack, joined
from ._open import Checkpoint, Layer, open
from ._unit import Unit


def read_back(written: Path, units: list[Unit], way: str) -> Proof:
    """Open the written file and prove it.  ``way`` as :func:`gatewise.proof.proved` takes it.  Raises ProofFailed."""
    proofs: list[Proof] = []
    size = sum(unit.source.parameters for unit in units)
    for target in {id(unit.target): unit.target for unit in units}.values():
        reread = open(written, target)
        unnamed = iter(reread.layers if is_stream(reread.tensors.naming) else ())
        named = _by_name(reread)
        for unit in (unit for unit in units if unit.target is target):
            pieces = [next(unnamed, None) or _found(named, name) for name in unit.names]
            proofs.append(_proved(pieces, unit, way, size))
    proof = proofs[0]
    for other in proofs[1:]:
        proof = proof.worst(other)
    return proof


def _proved(pieces: list[Layer], unit: Unit, way: str, size: int) -> Proof:
    said = unit.said.stack
    for piece in pieces:
        if not piece.assumed and piece.dialect != said.dialect:
            raise ProofFailed(f"{piece.name!r} was written as {piece.dialect}, not {said.dialect}.")
    back = joined([piece.replaced(dialect=said.dialect) for piece in pieces])
    proof = proved(unit.source, back, unit.tolerance, way=way, size=size, terms=lambda: (said, back))
    if not proof.same:
        raise _unproved(unit, proof, back)
    # Where rounding makes the tolerance wide, no other mistake may hide in it: what was rounded must be what is there.
    # So must every number of the units that were not run.
    if unit.tolerance > TOLERANCE or proof.numbers is not None:
        found = proof.numbers or numbers(said, back)
        stored = proof if found.all else prove(said, back)
        if not stored.same:
            raise _unproved(unit, stored, back)
    return proof


def _unproved(unit: Unit, proof: Proof, back: Stack) -> ProofFailed:
    """Why it failed: numbers that are none, a dtype that is too coarse, or gatewise itself."""
    way = "full" if proof.whole else "sample"
    if not proved(unit.source, unit.source, way=way).same:
        return ProofFailed(
            "the weights hold numbers that are not finite, or make outputs that are not: nothing can be proved of them.",
            where=f"layer {unit.source.name}" if unit.source.name else None,
            next="Nothing was written. To convert it all the same, say --no-verify.",
        )
    error = f"max |Δ| = {proof.max_abs_error:.3g}, allowed {proof.tolerance:g}"
    if proved(unit.said.stack, back, way=way).same:
        return ProofFailed(
            f"rounding the weights to {unit.said.stack.spec.dtype} changes what they compute: {error}.",
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
