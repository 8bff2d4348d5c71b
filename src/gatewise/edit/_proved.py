"""Both ends of a transfer run on the same input: each by its own framework where it can be called, else by the reference.

Of resized layers the places are compared that both have.  A part of a larger object is run by the reference, and the
whole object by its framework beside the reference, so that the part's names are known to be what is computed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..cell import run as run_reference
from ..cell import states_of
from ..errors import ProofFailed, UsageError
from ..live import Live
from ..proof import BATCH, SEED, TIME, Proof, largest, magnitude, names_of_states, tolerance_of
from ..record import record
from ..weights import Stack
from ._ends import Piece
from ._resize import Place, Sizes, silenced

if TYPE_CHECKING:
    from ..tensors import Array


@record(eq=False)
class Ran:
    """One end's run: its input and states, what came out, by what it was run; ``beside``: what its objects' own runs gave
    beside the reference's, where the reference stood in for them."""

    x: Array
    state: tuple[list[Array], ...]
    y: Array
    final: tuple[Any, ...] | None
    by: str
    beside: tuple[Proof, ...] = ()


def run_source(piece: Piece, sizes: Sizes) -> Ran:
    """The source on random input; to be called before anything is written, for both ends may be one object."""
    part = piece.source()
    missed = any(sizes.missed.values())
    x, state = _inputs(part)
    objects = {id(pair.source.stack): pair.source.stack for pair in piece.pairs}.values()
    lives = [stack for stack in objects if isinstance(stack, Live)]
    return _ran(silenced(part, sizes) if missed else part, None if missed else piece.covers("source"), lives, x, state)


def run_target(piece: Piece, sizes: Sizes, source: Ran) -> Ran:
    """The destination, as it is now, on the source's input in its places; what else it reads is random."""
    import numpy as np

    part = piece.target()
    x, state = _inputs(part, seed=SEED + 1)
    first = sizes.fits[0, "forward"]["feature"]
    x[:, :, first.put] = source.x[:, :, first.take]
    for letter, mine, theirs in zip(states_of(part.cell), state, source.state, strict=True):
        for (place, _), new, old in zip(part, mine, theirs, strict=True):
            fit = sizes.fits[place]["hidden" if letter == "h" else "unit"]
            new[:, fit.put] = np.asarray(old)[:, fit.take]
    return _ran(part, piece.covers("target"), [piece.live], x, state)


def _inputs(stack: Stack, seed: int = SEED) -> tuple[Array, tuple[list[Array], ...]]:
    """x [3, 7, feature] and a state for every cell; numbers that half precision holds, so that every framework reads the same."""
    import numpy as np

    random = np.random.default_rng(seed)

    def numbers(*shape: int) -> Array:
        values: Array = random.standard_normal(shape).astype(np.float16).astype(np.float64)
        return values

    x = numbers(BATCH, TIME, stack[0, "forward"].feature)
    state = []
    for letter in states_of(stack.cell):
        values = [0.5 * numbers(BATCH, weights.hidden if letter == "h" else weights.unit) for _, weights in stack]
        state.append([np.abs(value) + 0.5 for value in values] if letter == "n" else values)  # a normaliser is positive
    return x, tuple(state)


def _ran(part: Stack, whole: Live | None, lives: list[Live], x: Array, state: tuple[list[Array], ...]) -> Ran:
    """``whole``: the object whose own run is the part's; without one, or where it takes no states or gives no sequence,
    the reference runs the part, and each of the ``lives`` that it is of is held against the reference by itself."""
    import numpy as np

    found = None if whole is None else _own_run(whole, x, state)
    if whole is not None and found is not None:
        y, final = found
        return Ran(x, state, np.asarray(y, np.float64), final, _title(whole))
    proofs = {_title(live): proof for live in lives for proof in [_by_itself(live)] if proof is not None}
    y, final = run_reference(part, x, state)
    by = f"{', '.join(proofs)} by way of the reference" if proofs else "reference"
    return Ran(x, state, y, final, by, tuple(proofs.values()))


def _title(live: Live) -> str:
    return f"{live.holder.framework} {live.holder.version}".strip()


def _own_run(live: Live, x: Array, state: tuple[list[Array], ...]) -> tuple[Array, tuple[Any, ...] | None] | None:
    """What a framework gives for a whole sequence from given states; None where it cannot be called so."""
    try:
        y, final = live.run(x, state)
    except UsageError:
        return None
    return (y, final) if y.ndim == 3 and y.shape[1] == x.shape[1] else None


def _by_itself(live: Live) -> Proof | None:
    """An object's own run beside the reference's; None where there is nothing to call.  Raises ProofFailed."""
    try:
        return live.prove()
    except UsageError:
        return None


def compared(piece: Piece, sizes: Sizes, source: Ran, target: Ran) -> Proof:
    """The largest difference between the two runs, where both have the same.  Raises ProofFailed."""
    import numpy as np

    fit = sizes.output
    errors = {"y": largest(_of(source.y, fit.take), _of(target.y, fit.put))}
    part = piece.target()
    finals = zip(names_of_states(part.cell), source.final or (), target.final or (), strict=False)
    for name, old, new in finals:
        axis = "hidden" if name == "h_n" else "unit"
        pairs = [
            (np.asarray(a)[:, take], np.asarray(b)[:, put])
            for (place, _), a, b in zip(part, old, new, strict=True)
            for take, put in [_shown(sizes, place, axis)]
        ]
        errors[name] = max(largest(a, b) for a, b in pairs)
    worst = max(errors.values(), key=lambda error: float("inf") if error != error else error)
    against = source.by if source.by == target.by else f"{target.by} against {source.by}"
    proof = Proof(worst, tuple(errors), TIME, BATCH, against, _tolerance(piece) * magnitude(source.y))
    if not proof.same:
        raise _failed(piece, proof)
    for other in (*source.beside, *target.beside):
        proof = replace(proof.worst(other), against=against)
    return proof


def _shown(sizes: Sizes, place: Place, axis: str) -> tuple[list[int], list[int]]:
    """The places of a state that are compared: a dead unit whose own readings were dropped is nobody's."""
    fit, dead = sizes.fits[place][axis], sizes.dead[place] if any(sizes.dropped.values()) else frozenset()
    if axis == "hidden" and fit is not sizes.fits[place]["unit"]:
        return fit.take, fit.put
    alive = [(take, put) for take, put in zip(fit.take, fit.put, strict=True) if take not in dead]
    return [take for take, _ in alive], [put for _, put in alive]


def _of(y: Array, places: list[int]) -> Array:
    return y if places == list(range(y.shape[-1])) else y[..., places]


def _tolerance(piece: Piece) -> float:
    """What rounding may make of the coarser of the two dtypes."""
    stacks = (piece.source(), piece.target())
    width = max(weights.feature + weights.hidden for stack in stacks for _, weights in stack)
    computed_in = [weights.dtype for stack in stacks for _, weights in stack]
    ends = [stack for pair in piece.pairs for stack in (pair.source.stack, pair.target.stack)]
    computed_in += [stack.holder.precision for stack in ends if isinstance(stack, Live)]
    return max(tolerance_of(dtype, width) for dtype in computed_in)


def _failed(piece: Piece, proof: Proof) -> ProofFailed:
    error = f"max |Δ| = {proof.max_abs_error:.3g}, allowed {proof.tolerance:g}, {proof.against}"
    if proof.max_abs_error != proof.max_abs_error:
        why = (
            "the weights hold numbers that are not finite, or make outputs that are not: nothing can be proved of them"
        )
    else:
        why = "the destination does not compute what the source does"
    return ProofFailed(f"{why} ({error}).", where=piece.live.name or None, next="The destination has its old weights.")
