"""What must be the same on both sides: no choice of weights changes it, so a target that cannot say it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layouts import Layout
from ..record import replace
from ..weights import Stack, hard_sigmoid_slope
from ._terms import listed, refuse


def cell(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    if stack.cell != layout.cell:
        raise refuse(
            layout,
            f"it stores {layout.cell.upper()} cells, and this is {'an' if stack.cell[0] in 'lmrs' else 'a'} {stack.cell.upper()}.",
        )
    if layout.outside:
        raise refuse(layout, f"such layers are only named, since {layout.outside}.")
    if len(stack.directions) not in layout.ways:
        has, reads = ("two", "one") if layout.ways == (2,) else ("one", "both")
        raise refuse(layout, f"it has {has} direction{'s' * (has == 'two')}, and this layer reads in {reads}.")
    if len({weights.unit for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise refuse(layout, "all its layers and directions have the same number of units, and these differ.")
    if len({bool(weights.role("projection")) for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise refuse(layout, "it projects all its layers or none, and here only some of its layers have a projection.")
    if len({weights.hidden for weights in stack.cells.values()}) > 1 and layout.is_stack:
        raise refuse(
            layout, "all its layers and directions project to the same size, and these project to different sizes."
        )
    for layer in range(stack.num_layers):
        if len({stack.cells[layer, d].unit for d in stack.directions}) > 1:
            raise refuse(layout, f"the two directions of layer {layer} differ in size.")
    return stack, None


def reset(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    wanted, possible = stack.dialect.reset, layout.sayable("reset")
    if wanted in possible:
        return stack, None
    raise refuse(
        layout,
        f"its {layout.cell.upper()} applies the reset gate {' or '.join(map(str, possible))} the recurrent product, this one {wanted} it. "
        "That is another function; no choice of weights makes them equal.",
    )


_ACTIVATION_FIELDS = {
    "recurrent_activation": "the gates' activation",
    "activation": "the activation",
    "output_activation": "the activation of the output",
}


def activations(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    for field, title in _ACTIVATION_FIELDS.items():
        said, possible = getattr(stack.dialect, field), layout.sayable(field)
        if said is not None and said not in possible:
            raise refuse(
                layout, f"{title} is {said}, and there it is {listed(possible)}.{_hard_sigmoids(said, possible)}"
            )
    together = {s.field: s.names[0] for s in layout.settings if s.field in _ACTIVATION_FIELDS}
    for one, name in together.items():
        for other, other_name in together.items():
            if name == other_name and getattr(stack.dialect, one) != getattr(stack.dialect, other):
                raise refuse(layout, f"one setting, {name}, says both {one} and {other}, and these differ.")
    return stack, None


def _hard_sigmoids(said: str, possible: Sequence[Any]) -> str:
    if hard_sigmoid_slope(said) is None:
        return ""
    if not any(hard_sigmoid_slope(str(value)) for value in possible):
        return " A hard sigmoid is clip(a x + 0.5): no weights turn a sigmoid into it."
    named = " Keras changed the slope of hard_sigmoid from 0.2 to 1/6 in version 3: the name is the same, the function is not."
    return f"{named} Here it is applied to what no weights scale: a cell state, or an input that is clipped."


_CLIPS = {"cell_clip": "--cell-clip", "proj_clip": "--proj-clip", "input_clip": ""}  # field → what says it, if anything
_NEVER = (None, float("inf"))


def clips(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    never: dict[str, Any] = {
        f: None for f in _CLIPS if getattr(stack.dialect, f) == float("inf") and None in layout.sayable(f)
    }
    unclipped = replace(stack.dialect, **never)
    for field, option in _CLIPS.items():
        said, possible = getattr(unclipped, field), layout.sayable(field)
        if said in possible:
            continue
        if said in _NEVER and not any(value in _NEVER for value in possible):
            raise refuse(layout, f"it clips ({field} = {listed(possible)}), and the source does not.")
        if said not in _NEVER:
            hint = f"If it never grows so large, say {option} inf." if option else None
            raise refuse(layout, f"the source clips ({field} = {said}).", hint)
    return stack.replaced(dialect=unclipped), None


def time(stack: Stack, layout: Layout) -> tuple[Stack, None]:
    dialect = stack.dialect
    if len(stack.directions) == 1:  # how directions are joined says nothing where there is one
        joins = layout.sayable("merge")
        dialect = replace(dialect, merge="concat" if "concat" in joins else joins[0])
    if dialect.merge not in layout.sayable("merge"):
        raise refuse(
            layout, f"the two directions are joined by {dialect.merge}, there by {listed(layout.sayable('merge'))}."
        )
    if dialect.go_backwards not in layout.sayable("go_backwards"):
        if not dialect.go_backwards:
            raise refuse(layout, "it reads time backwards (go_backwards), and the source does not.")
        order = "the input's" if dialect.backwards_in_place else "that"
        raise refuse(layout, f"the source reads time backwards (go_backwards) and gives its outputs in {order} order.")
    if dialect.go_backwards and dialect.backwards_in_place != (True in layout.sayable("backwards_in_place")):
        mine, theirs = ("in the input's order", "turned around")[:: 1 if dialect.backwards_in_place else -1]
        raise refuse(layout, f"the source reads time backwards and gives its outputs {mine}; there they are {theirs}.")
    return stack.replaced(dialect=dialect), None
