"""The few arithmetic changes between dialects, each with its exactness; and what no arithmetic can change.

``express`` puts a stack into the dialect and the bias convention of a target layout.  It does so by the steps of
STEPS, in order; each either leaves the stack alone, changes it and says what it did and how exact that is, or refuses
because the target has no way to say the same function.  Nothing is ever dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .errors import NotRepresentable
from .layouts import Layout, layouts
from .tensors import numpy_dtype
from .weights import Gates, Stack, Weights, hard_sigmoid_slope

if TYPE_CHECKING:
    from .tensors import Array

EXACT = "exact"
ONE_ROUNDING = "exact up to one rounding"


@dataclass(frozen=True)
class Change:
    """What a conversion did to the numbers, and how exact that is."""

    what: str
    exactness: str

    def as_dict(self) -> dict[str, str]:
        return {"what": self.what, "exactness": self.exactness}


@dataclass(frozen=True)
class Expressed:
    """A stack in a target's terms: its ``form`` of the layout, and the changes that led there."""

    stack: Stack
    layout: Layout
    form: Mapping[str, Any]
    changes: tuple[Change, ...]


def express(stack: Stack, layout: Layout) -> Expressed:
    """``stack`` in the dialect and bias convention of ``layout``.  Raises NotRepresentable with the reason."""
    changes: list[Change] = []
    for step in STEPS:
        stack, change = step(stack, layout)
        if change is not None:
            changes.append(change)
    form = layout.form_of(stack.dialect)
    return Expressed(stack, layout, form or {}, tuple(changes))


def can_say(stack: Stack) -> list[str]:
    """The layouts that can say what a stack says: for the last sentence of a refusal."""
    names = []
    for layout in layouts():
        try:
            express(stack, layout)
        except NotRepresentable:
            continue
        names.append(layout.name)
    return names


def _refuse(layout: Layout, reason: str, next: str | None = None) -> NotRepresentable:
    return NotRepresentable(f"{layout.name} cannot say this: {reason}", next=next)


Step = Callable[[Stack, Layout], "tuple[Stack, Change | None]"]


# The slope of a hard sigmoid: clip(a x + 0.5) = clip(b (a/b x) + 0.5), so a gate's rows times a/b say the same.

_GATED = {"lstm": ("ifo", "g"), "gru": ("rz", "n"), "rnn": ("", "h")}  # of recurrent_activation, of activation


def _hard_sigmoid_slopes(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
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
    scaled = _each(stack, lambda weights: _scaled(weights, gates, factor))
    dialect = replace(stack.dialect, activation=new)
    if field == "recurrent_activation":
        bias = stack.dialect.forget_bias * factor  # 0 but for an LSTM
        dialect = replace(stack.dialect, recurrent_activation=new, forget_bias=bias)
    what = f"hard sigmoid: {old} → {new}, everything of {' '.join(gates)} times {factor:.12g}, the same function"
    return scaled.replaced(dialect=dialect), what


def _scaled(weights: Weights, gates: str, factor: float) -> Weights:
    def scale(gate: str, array: Array) -> Array:
        return _rounded(_wide(array) * factor, array) if gate in gates else array

    roles = {role: of_role.mapped(scale) for role, of_role in weights.roles.items() if role != "projection"}
    return weights.with_roles(**roles)


# What must be the same.


def _cell(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    if stack.cell != layout.cell:
        raise _refuse(layout, f"it stores {layout.cell} cells, and this is a {stack.cell}.")
    if len(stack.directions) == 2 and not layout.is_bidirectional:
        raise _refuse(layout, "it has one direction, and this layer reads in both.")
    if len({weights.unit for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise _refuse(layout, "all its layers and directions have the same number of units, and these differ.")
    if len({bool(weights.role("projection")) for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise _refuse(layout, "it projects all its layers or none, and here only some of its layers have a projection.")
    if len({weights.hidden for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise _refuse(
            layout, "all its layers and directions project to the same size, and these project to different sizes."
        )
    for layer in range(stack.num_layers):
        if len({stack.cells[layer, d].unit for d in stack.directions}) > 1:
            raise _refuse(layout, f"the two directions of layer {layer} differ in size.")
    return stack, None


def _reset(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    wanted, possible = stack.dialect.reset, layout.sayable("reset")
    if wanted in possible:
        return stack, None
    raise _refuse(
        layout,
        f"its GRU applies the reset gate {' or '.join(map(str, possible))} the recurrent product, this one {wanted} it. "
        "That is another function; no choice of weights makes them equal.",
    )


_ACTIVATION_FIELDS = {
    "recurrent_activation": "the gates' activation",
    "activation": "the activation",
    "output_activation": "the activation of the output",
}


def _activations(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    for field, title in _ACTIVATION_FIELDS.items():
        said, possible = getattr(stack.dialect, field), layout.sayable(field)
        if said is not None and said not in possible:
            raise _refuse(
                layout, f"{title} is {said}, and there it is {_listed(possible)}.{_hard_sigmoids(said, possible)}"
            )
    together = {s.field: s.names[0] for s in layout.settings if s.field in _ACTIVATION_FIELDS}
    for one, name in together.items():
        for other, other_name in together.items():
            if name == other_name and getattr(stack.dialect, one) != getattr(stack.dialect, other):
                raise _refuse(layout, f"one setting, {name}, says both {one} and {other}, and these differ.")
    return stack, None


def _listed(values: list[Any]) -> str:
    shown = [str(value) for value in dict.fromkeys(values)]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"


def _hard_sigmoids(said: str, possible: list[Any]) -> str:
    if hard_sigmoid_slope(said) is None:
        return ""
    if not any(hard_sigmoid_slope(str(value)) for value in possible):
        return " A hard sigmoid is clip(a x + 0.5): no weights turn a sigmoid into it."
    named = " Keras changed the slope of hard_sigmoid from 0.2 to 1/6 in version 3: the name is the same, the function is not."
    return f"{named} Here it is applied to what no weights scale: a cell state, or an input that is clipped."


def _clips(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    never = (None, float("inf"))
    for field in ("cell_clip", "proj_clip", "input_clip"):
        said, possible = getattr(stack.dialect, field), layout.sayable(field)
        if said in possible or (said in never and any(value in never for value in possible)):
            continue
        if said in never:
            raise _refuse(layout, f"it clips ({field} = {_listed(possible)}), and the source does not.")
        raise _refuse(layout, f"the source clips ({field} = {said}).")
    return stack, None


def _time(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    dialect = stack.dialect
    if len(stack.directions) == 1:  # how directions are joined says nothing where there is one
        joins = layout.sayable("merge")
        dialect = replace(dialect, merge="concat" if "concat" in joins else joins[0])
    if dialect.merge not in layout.sayable("merge"):
        raise _refuse(
            layout, f"the two directions are joined by {dialect.merge}, there by {_listed(layout.sayable('merge'))}."
        )
    if dialect.go_backwards not in layout.sayable("go_backwards"):
        raise _refuse(layout, "the source reads time backwards (go_backwards) and gives its outputs in that order.")
    return stack.replaced(dialect=dialect), None


# What arithmetic can change.


def _update_gate(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    wanted = stack.dialect.update
    if wanted in layout.sayable("update"):
        return stack, None
    other = "writes" if wanted == "keeps" else "keeps"
    gates = stack.dialect.recurrent_activation or ""
    if gates != "sigmoid" and hard_sigmoid_slope(gates) is None:
        raise _refuse(
            layout,
            f"its update gate {other} the old state, this one {wanted} it. Negating z turns a sigmoid round, 1 - s(x) = s(-x); "
            f"these gates use {gates}.",
        )

    def negate_z(gate: str, array: Array) -> Array:
        return -array if gate == "z" else array

    def flip(weights: Weights) -> Weights:
        return weights.with_roles(**{role: gates.mapped(negate_z) for role, gates in weights.roles.items()})

    flipped = _each(stack, flip).replaced(dialect=replace(stack.dialect, update=other))
    return flipped, Change(
        f"update gate: z {wanted} the old state → z {other} it, so everything of z is negated", EXACT
    )


def _forget_bias(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    said, possible = stack.dialect.forget_bias, layout.sayable("forget_bias")
    if said in possible or stack.cell != "lstm":
        return stack, None
    target = possible[0]
    delta = said - target

    def fold(weights: Weights) -> Weights:
        bias = weights.bias or _zeros("bias", weights, "ifgo")
        return weights.with_roles(bias=bias.mapped(lambda gate, b: _rounded(_wide(b) + delta, b) if gate == "f" else b))

    folded = _each(stack, fold).replaced(dialect=replace(stack.dialect, forget_bias=target))
    return folded, Change(
        f"forget bias: {said:g} added at run time → {target:g}, the rest stored in f's bias", ONE_ROUNDING
    )


def _projection(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    parts = [part for part in layout.parts_given(layout.form_of(stack.dialect) or {}) if "projection" in part.roles]
    has = any(weights.role("projection") for weights in stack.cells.values())
    if has and not parts:
        raise _refuse(layout, "the source has a projection, and this layout has no place for one.")
    if not has and any(not part.optional for part in parts):
        raise _refuse(layout, "it always has a projection, and the source has none.")
    return stack, None


def _peephole(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    form = layout.form_of(stack.dialect) or {}
    parts = [part for part in layout.parts_given(form) if "peephole" in part.roles]
    place = layout.gates_with("peephole", form)
    mine = {gate for weights in stack.cells.values() for gate in weights.peephole}
    for gate in layout.gates:
        if gate in mine and gate not in place and not _all_zero(stack, "peephole", gate):
            where = f" for gate {gate}" if place else ""
            raise _refuse(layout, f"the source has a peephole{where}, and this layout has no place for one.")
    if mine == set(place) or (not mine and all(part.optional for part in parts)):
        return stack, None

    def placed(weights: Weights) -> Weights:
        absent = _zeros("peephole", weights, place)
        gates = {gate: _getter(weights.peephole if gate in weights.peephole else absent, gate) for gate in place}
        return weights.with_roles(peephole=Gates("peephole", gates) if gates else None)

    moved = "all zero, left out" if not place else "none → zeros" if not mine else "zeros where there were none"
    return _each(stack, placed), Change(f"peepholes: {moved}", EXACT)


def _getter(gates: Gates, gate: str) -> Callable[[], Array]:
    return lambda: gates[gate]


def _biases(stack: Stack, layout: Layout) -> tuple[Stack, Change | None]:
    form = layout.form_of(stack.dialect) or {}
    place = {role: layout.gates_with(role, form) for role in ("bias", "recurrent_bias")}
    optional = all(part.optional for part in layout.parts_given(form) if "bias" in " ".join(part.roles))
    kind = stack.spec.bias
    if kind == "none" and (optional or not any(place.values())):
        return stack, None
    if not any(place.values()):
        raise _refuse(layout, "the source has biases, and this layout has none.")
    _check_merge(stack, layout, place)
    moved = _each(stack, lambda weights: _rebiased(weights, place))
    return moved, _bias_change(kind, place)


def _check_merge(stack: Stack, layout: Layout, place: Mapping[str, str]) -> None:
    """The two n biases of a reset-after GRU never merge: one of them is scaled by r."""
    if stack.dialect.reset != "after":
        return
    for role, home in (("recurrent_bias", "bias"), ("bias", "recurrent_bias")):
        if "n" not in place[role] and not _all_zero(stack, role, "n"):
            raise _refuse(
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
        return _rounded(_wide(mine) + _wide(theirs), mine)

    return make


def _bias_change(kind: str, place: Mapping[str, str]) -> Change | None:
    both = {gate for gate in place["bias"] if gate in place["recurrent_bias"]}
    one = [gate for gate in "ifgorznh" if gate in place["bias"] + place["recurrent_bias"] and gate not in both]
    if kind == "double" and one:
        gates = "" if not both else f" of gates {' '.join(one)}"
        return Change(f"biases: the two{gates} are added into one", ONE_ROUNDING)
    if kind == "single" and both:
        return Change("biases: one → two: the bias, and zeros", EXACT)
    if kind == "none":
        return Change("biases: none → zeros", EXACT)
    return None


def _each(stack: Stack, change: Callable[[Weights], Weights]) -> Stack:
    return stack.replaced({place: change(weights) for place, weights in stack.cells.items()})


def _zeros(role: str, weights: Weights, gates: str) -> Gates:
    def make() -> Array:
        import numpy as np

        return np.zeros(weights.unit, numpy_dtype(weights.dtype))

    return Gates(role, dict.fromkeys(gates, make))


def _all_zero(stack: Stack, role: str, gate: str) -> bool:
    return not any(gate in weights.role(role) and weights.role(role)[gate].any() for weights in stack.cells.values())


def _wide(array: Array) -> Array:
    import numpy as np

    return np.asarray(array, np.float64)


def _rounded(wide: Array, like: Array) -> Array:
    narrow: Array = wide.astype(like.dtype)
    return narrow


STEPS: tuple[Step, ...] = (
    _cell,
    _reset,
    _hard_sigmoid_slopes,
    _activations,
    _clips,
    _time,
    _update_gate,
    _forget_bias,
    _projection,
    _peephole,
    _biases,
)
