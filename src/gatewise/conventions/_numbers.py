"""What arithmetic on the weights can change: slopes of hard sigmoids, which state z keeps, forget biases, coupled gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..layouts import Layout
from ..record import replace
from ..tensors import numpy_dtype
from ..weights import GATELESS, GATES, Gates, Stack, Weights, hard_sigmoid_slope
from ._terms import EXACT, ONE_ROUNDING, Change, each, getter, refuse, rounded, wide, zeros

if TYPE_CHECKING:
    from ..tensors import Array

# The slope of a hard sigmoid: clip(a x + 0.5) = clip(b (a/b x) + 0.5), so a gate's rows times a/b say the same.

_GATED = {
    "lstm": ("ifo", "g"), "gru": ("rz", "n"), "rnn": ("", "h"), "mgu": ("f", "n"), "ugrnn": ("z", "n"), "slstm": ("", "g"),
}  # of recurrent_activation, of activation  # fmt: skip


def hard_sigmoid_slopes(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    said: list[str] = []
    for field, gates in zip(("recurrent_activation", "activation"), _GATED[stack.cell], strict=True):
        stack, change = _with_slope(stack, layout, field, gates)
        said += [change] if change else []
    return stack, Change("; ".join(said), ONE_ROUNDING) if said else None


def _with_slope(stack: Stack, layout: Layout, field: str, gates: str) -> tuple[Stack, str | None]:
    """The stack with one activation's slope changed to one that the layout can say, where rows alone do that."""
    old, possible = getattr(stack.dialect, field), layout.sayable(field)
    slope = hard_sigmoid_slope(old or "")
    slopes = {str(value): found for value in possible if (found := hard_sigmoid_slope(str(value)))}
    # Of the cell state there are no rows to scale, and a clip would have to be scaled for these gates alone.
    elsewhere = field == "activation" and stack.dialect.output_activation == old
    if slope is None or old in possible or not slopes or elsewhere or stack.dialect.input_clip is not None:
        return stack, None
    new, factor = next((value, slope / other) for value, other in slopes.items())
    scaled = each(stack, lambda weights: _scaled(weights, gates, factor))
    dialect = replace(stack.dialect, activation=new)
    if field == "recurrent_activation":
        bias = stack.dialect.forget_bias * factor  # 0 but for an LSTM
        dialect = replace(stack.dialect, recurrent_activation=new, forget_bias=bias)
    what = f"hard sigmoid: {old} → {new}, everything of {' '.join(gates)} times {factor:.12g}, the same function"
    return scaled.replaced(dialect=dialect), what


def _scaled(weights: Weights, gates: str, factor: float) -> Weights:
    def scale(gate: str, array: Array) -> Array:
        return rounded(wide(array) * factor, array) if gate in gates else array

    roles = {role: of_role.mapped(scale) for role, of_role in weights.roles.items() if role not in GATELESS}
    return weights.with_roles(**roles)


def update_gate(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    wanted = stack.dialect.update
    if wanted in layout.sayable("update"):
        return stack, None
    if stack.cell == "mgu" and stack.dialect.reset is not None:
        raise refuse(layout, "its gate keeps what this one takes new, and the same gate resets: it cannot be negated.")
    other = "writes" if wanted == "keeps" else "keeps"
    gates = stack.dialect.recurrent_activation or ""
    if gates != "sigmoid" and hard_sigmoid_slope(gates) is None:
        raise refuse(
            layout,
            f"its update gate {other} the old state, this one {wanted} it. Negating it turns a sigmoid round, 1 - s(x) = s(-x); "
            f"these gates use {gates}.",
        )

    update = "f" if stack.cell == "mgu" else "z"

    def negated(gate: str, array: Array) -> Array:
        return -array if gate == update else array

    def flip(weights: Weights) -> Weights:
        return weights.with_roles(**{role: gates.mapped(negated) for role, gates in weights.roles.items()})

    flipped = each(stack, flip).replaced(dialect=replace(stack.dialect, update=other))
    return flipped, Change(
        f"update gate: {update} {wanted} the old state → {update} {other} it, so everything of {update} is negated",
        EXACT,
    )


_FORGETS = {"lstm": "f", "slstm": "f", "ugrnn": "z"}  # cell → the gate that a forget bias is added to


def forget_bias(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    said, possible = stack.dialect.forget_bias, layout.sayable("forget_bias")
    gate = _FORGETS.get(stack.cell)
    if said in possible or gate is None:
        return stack, None
    target = possible[0]
    delta = said - target
    if stack.dialect.coupled == "f":  # f is 1 - i: what would be added to it is never looked at
        return stack.replaced(dialect=replace(stack.dialect, forget_bias=target)), None

    plain = replace(stack.dialect, forget_bias=target)
    places = [layout.gates_with(role, layout.form_of(plain) or {}) for role in ("bias", "recurrent_bias")]
    if stack.spec.bias == "single" and all(gate in place for place in places):
        return _in_free_bias(stack, gate, delta, target)

    return _in_bias(stack, gate, delta).replaced(dialect=plain), Change(
        f"forget bias: {said:g} added at run time → {target:g}, the rest stored in {gate}'s bias", ONE_ROUNDING
    )


def _in_bias(stack: Stack, gate: str, delta: float) -> Stack:
    def fold(weights: Weights) -> Weights:
        bias = weights.bias or zeros("bias", weights, "".join(weights.kernel))
        return weights.with_roles(bias=bias.mapped(lambda name, b: rounded(wide(b) + delta, b) if name == gate else b))

    return each(stack, fold)


def forget_bias_stored(stack: Stack) -> Stack:
    """The stack with what it adds to f at run time in f's bias, as what compares two stacks by their tensors wants."""
    said, gate = stack.dialect.forget_bias, _FORGETS.get(stack.cell)
    if not said or gate is None or stack.dialect.coupled == "f":
        return stack
    return _in_bias(stack, gate, said).replaced(dialect=replace(stack.dialect, forget_bias=0.0))


def _in_free_bias(stack: Stack, gate: str, delta: float, target: float) -> tuple[Stack, Change | None]:
    """The forget bias as the second bias of a target that has two: added to nothing, it rounds nothing."""
    said = stack.dialect.forget_bias

    def aside(weights: Weights) -> Weights:
        free = zeros("recurrent_bias", weights, "".join(weights.kernel))
        return weights.with_roles(
            recurrent_bias=free.mapped(lambda name, b: rounded(wide(b) + delta, b) if name == gate else b)
        )

    moved = each(stack, aside).replaced(dialect=replace(stack.dialect, forget_bias=target))
    exact = all(float(numpy_dtype(weights.dtype).type(delta)) == delta for weights in stack.cells.values())
    return moved, Change(
        f"forget bias: {said:g} added at run time → {target:g}, the rest stored as {gate}'s recurrent bias",
        EXACT if exact else ONE_ROUNDING,
    )


def coupled(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    """One gate for two.  Where the target stores a matrix for the gate that is computed, zeros lie there unread."""
    said, possible = stack.dialect.coupled, layout.sayable("coupled")
    if said not in possible:
        if said is None:
            raise refuse(layout, f"its {possible[0]} gate is 1 minus another one, and here both have weights.")
        if None not in possible:
            raise refuse(
                layout, f"the source couples its gates, {said} is 1 minus the other, there it is {possible[0]}."
            )
        return _uncoupled(stack, layout, said)
    if said is None:
        return stack, None
    form = layout.form_of(stack.dialect) or {}

    def completed(weights: Weights) -> Weights:
        roles = {}
        for role in ("kernel", "recurrent_kernel"):
            if said in layout.gates_with(role, form) and said not in weights.role(role):
                absent = zeros(role, weights, said)
                own = {gate: getter(weights.role(role), gate) for gate in weights.role(role)}
                roles[role] = Gates(role, own | {said: getter(absent, said)})
        return weights.with_roles(**roles) if roles else weights

    return each(stack, completed), None


def _uncoupled(stack: Stack, layout: Layout, gate: str) -> tuple[Stack, Change]:
    """A computed gate gets weights of its own: 1 - s(x) = s(-x), so those of the other one, negated."""
    other, added = "f" if gate == "i" else "i", stack.dialect.forget_bias
    gates = stack.dialect.recurrent_activation or ""
    if gates != "sigmoid" and hard_sigmoid_slope(gates) is None:
        raise refuse(
            layout,
            f"the source couples its gates, {gate} = 1 - {other}. Negated weights say that of a sigmoid, 1 - s(x) = s(-x); "
            f"these gates use {gates}.",
        )

    def opposite(role: str, held: Gates) -> Callable[[], Array]:
        def make() -> Array:  # what is added to f at run time is added on one side of the equation only
            array = held[other]
            return rounded(-wide(array) - added, array) if role == "bias" and added else -array

        return make

    def freed(weights: Weights) -> Weights:
        roles = dict(weights.roles) | ({} if weights.bias or not added else {"bias": zeros("bias", weights, other)})
        return weights.with_roles(**{
            role: Gates(role, {
                name: opposite(role, held) if name == gate else getter(held, name)
                for name in GATES["lstm"] if name == gate or name in held
            })
            for role, held in roles.items() if other in held
        })  # fmt: skip

    said = f"coupled gates: {gate} = 1 - {other} → {gate} with weights of its own, those of {other} negated"
    return each(stack, freed).replaced(dialect=replace(stack.dialect, coupled=None)), Change(
        said, ONE_ROUNDING if added else EXACT
    )
