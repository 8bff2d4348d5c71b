"""What a target has a place for, or not: projections, peepholes, one bias or two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..layouts import Layout
from ..tensors import numpy_dtype
from ..weights import GATE_TITLES, Gates, Stack, Weights
from ._terms import EXACT, GIVEN_STATE, ONE_ROUNDING, Change, all_zero, each, getter, refuse, rounded, wide, zeros

if TYPE_CHECKING:
    from ..tensors import Array


def projection(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    parts = [part for part in layout.parts_given(layout.form_of(stack.dialect) or {}) if "projection" in part.roles]
    has = any(weights.role("projection") for weights in stack.cells.values())
    if has and not parts:
        raise refuse(layout, "the source has a projection, and this layout has no place for one.")
    if not has and any(not part.optional for part in parts):
        raise refuse(layout, "it always has a projection, and the source has none.")
    return stack, None


def peephole(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    form = layout.form_of(stack.dialect) or {}
    parts = [part for part in layout.parts_given(form) if "peephole" in part.roles]
    place = layout.gates_with("peephole", form)
    mine = {gate for weights in stack.cells.values() for gate in weights.peephole}
    for gate in layout.gates:
        if gate in mine and gate not in place and not all_zero(stack, "peephole", gate):
            where = f" for gate {gate}" if place else ""
            raise refuse(layout, f"the source has a peephole{where}, and this layout has no place for one.")
    if mine == set(place) or (not mine and all(part.optional for part in parts)):
        return stack, None

    def placed(weights: Weights) -> Weights:
        absent = zeros("peephole", weights, place)
        gates = {gate: getter(weights.peephole if gate in weights.peephole else absent, gate) for gate in place}
        return weights.with_roles(peephole=Gates("peephole", gates) if gates else None)

    moved = "all zero, left out" if not place else "none → zeros" if not mine else "zeros where there were none"
    return each(stack, placed), Change(f"peepholes: {moved}", EXACT)


def full_peephole(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    """Peepholes that are matrices, for a target that has diagonals, and the other way round."""
    form = layout.form_of(stack.dialect) or {}
    full, diagonal = layout.gates_with("peephole_kernel", form), layout.gates_with("peephole", form)
    mine = {gate for weights in stack.cells.values() for gate in weights.role("peephole_kernel")}
    if mine and not full:
        if not all(_is_diagonal(w.role("peephole_kernel")[gate]) for w in stack.cells.values() for gate in mine):
            where = "only diagonals" if diagonal else "none"
            raise refuse(layout, f"the source has peepholes that are full matrices, and this layout has {where}.")
        return each(stack, _to_diagonals), Change("peepholes: matrices that are diagonal → their diagonals", EXACT)
    if full and not mine and (stack.cells[0, "forward"].peephole or not _optional(layout, form, "peephole_kernel")):
        return each(stack, lambda weights: _to_matrices(weights, full)), Change(
            "peepholes: diagonals → matrices", EXACT
        )
    return stack, None


def _is_diagonal(matrix: Array) -> bool:
    import numpy as np

    return not (matrix - np.diag(np.diag(matrix))).any()


def _to_diagonals(weights: Weights) -> Weights:
    import numpy as np

    made = weights.role("peephole_kernel").mapped(lambda _gate, matrix: np.diag(matrix).copy())
    return weights.with_roles(
        peephole=Gates("peephole", {gate: getter(made, gate) for gate in made}), peephole_kernel=None
    )


def _to_matrices(weights: Weights, gates: str) -> Weights:
    import numpy as np

    absent = zeros("peephole", weights, gates)
    held = {gate: getter(weights.peephole if gate in weights.peephole else absent, gate) for gate in gates}
    made = Gates("peephole_kernel", held).mapped(lambda _gate, diagonal: np.diag(diagonal))
    return weights.with_roles(peephole_kernel=made, peephole=None)


def _optional(layout: Layout, form: Mapping[str, Any], role: str) -> bool:
    return all(part.optional for part in layout.parts_given(form) if role in part.roles)


def biases(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    form = layout.form_of(stack.dialect) or {}
    place = {role: layout.gates_with(role, form) for role in ("bias", "recurrent_bias")}
    if _may_lack_the_second(layout, form) and not any(w.recurrent_bias for w in stack.cells.values()):
        place["recurrent_bias"] = ""
    optional = all(part.optional for part in layout.parts_given(form) if "bias" in " ".join(part.roles))
    kind = stack.spec.bias
    if kind == "none" and (optional or not any(place.values())):
        return stack, None
    if not any(place.values()):
        if any(
            weights.role(role)[gate].any()
            for weights in stack.cells.values()
            for role in place
            for gate in weights.role(role)
        ):
            raise refuse(layout, "the source has biases, and this layout has none.")
        return each(stack, lambda weights: weights.with_roles(bias=None, recurrent_bias=None)), Change(
            "biases: all zero, left out", EXACT
        )
    _check_merge(stack, layout, place)
    moved = each(stack, lambda weights: _rebiased(weights, place))
    return moved, _bias_change(stack, place)


def _may_lack_the_second(layout: Layout, form: Mapping[str, Any]) -> bool:
    """Is the second bias there or not by a choice of its own (Haiku's double_bias), while the first always is?"""
    return _optional(layout, form, "recurrent_bias") and not _optional(layout, form, "bias")


def _check_merge(stack: Stack, layout: Layout, place: Mapping[str, str]) -> None:
    """The two n biases of a reset-after GRU never merge: one of them is scaled by r."""
    if stack.dialect.reset != "after":
        return
    for role, home in (("recurrent_bias", "bias"), ("bias", "recurrent_bias")):
        if "n" not in place[role] and not all_zero(stack, role, "n"):
            raise refuse(
                layout,
                f"it has no {role} for gate n, and this one is not zero. Only the {home} is left there, which the reset "
                "gate treats otherwise.",
            )


def _rebiased(weights: Weights, place: Mapping[str, str]) -> Weights:
    made: dict[str, Gates] = {}
    for role, gates in place.items():
        other = "recurrent_bias" if role == "bias" else "bias"
        makers = {gate: _bias_maker(weights, role, other, gate, gate in place[other]) for gate in gates}
        made[role] = Gates(role, makers)
    return weights.with_roles(**{role: gates if gates else None for role, gates in made.items()})


def _bias_maker(weights: Weights, role: str, other: str, gate: str, both: bool) -> Callable[[], Array]:
    """One gate's bias in the target: as it is, zeros, or the two summed where the target keeps one."""

    def make() -> Array:
        import numpy as np

        own, foreign = weights.role(role), weights.role(other)
        mine: Any = own.get(gate)
        theirs: Any = None if both else foreign.get(gate)
        if mine is None and theirs is None:
            return np.zeros(weights.unit, numpy_dtype(weights.dtype))
        if mine is None or theirs is None:
            alone: Array = mine if theirs is None else theirs
            return alone
        return rounded(wide(mine) + wide(theirs), mine)

    return make


def _bias_change(stack: Stack, place: Mapping[str, str]) -> Change | None:
    kind = stack.spec.bias
    both = {gate for gate in place["bias"] if gate in place["recurrent_bias"]}
    twice = {gate for w in stack.cells.values() for gate in w.bias if gate in w.recurrent_bias}
    one = [gate for gate in GATE_TITLES if gate in twice and gate not in both]
    if kind == "double" and one:
        gates = "" if not both else f" of gates {' '.join(one)}"
        return Change(f"biases: the two{gates} are added into one", ONE_ROUNDING)
    if kind == "single" and both:
        return Change("biases: one → two: the bias, and zeros", EXACT)
    if kind == "none":
        return Change("biases: none → zeros", EXACT)
    return None


def initial_state(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    """What a layer starts from.  A target that keeps no such thing takes it as an input, so its user must give it."""
    form = layout.form_of(stack.dialect) or {}
    gone, added, said = [], [], []
    for role, name in (("initial_hidden", "h0"), ("initial_cell", "c0")):
        place = role in layout.roles_given(form)
        mine = any(weights.role(role) for weights in stack.cells.values())
        if mine and not place:
            gone.append(role)
            said += [] if all_zero(stack, role, "") else [name]
        elif place and not mine and not _optional(layout, form, role):
            added.append(role)
    if gone or added:
        stack = each(
            stack, lambda w: w.with_roles(**dict.fromkeys(gone), **{role: zeros(role, w, "") for role in added})
        )
    if said:
        return stack, Change(
            f"the state that the layer starts from is not stored there: give it as {' and '.join(said)}", GIVEN_STATE
        )
    return stack, Change("initial state: none → zeros", EXACT) if added else None
