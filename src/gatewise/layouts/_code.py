"""Decode and encode: stored tensors ⇄ :class:`~gatewise.weights.Stack`, through the layout's slots.

Decoding hands out views.  Encoding makes an empty array of each target shape, decodes *it*, and assigns the source's
views into the slots; so there is one description and one piece of code for both ways.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import NotRepresentable
from ..tensors import Declared, StoredTensor, Tensors, numpy_dtype
from ..weights import GATELESS, Gates, Stack, Weights
from ._layout import Layout, Part, slots
from ._match import Match
from ._names import Found

if TYPE_CHECKING:
    from ..tensors import Array


def decode(match: Match, tensors: Tensors) -> Stack:
    """The stack of a match.  No element is read before a gate is asked for."""
    makers: dict[tuple[int, str], dict[str, dict[str, Callable[[], Array]]]] = defaultdict(lambda: defaultdict(dict))
    for part, found, name in match.places():
        for role, gate, direction in _contents(match.layout, part, found, match.sizes):
            place = (found.layer, direction)
            makers[place][role][gate] = _maker(match, tensors[name], part, found, role, gate, direction)
    cells = {
        place: Weights(
            match.sizes[place]["unit"], match.sizes[place]["feature"], match.sizes[place]["hidden"], match.dtype,
            {role: Gates(role, _ordered(role, gates, match.layout.gates)) for role, gates in roles.items()},
        )
        for place, roles in makers.items()
    }  # fmt: skip
    return Stack(match.layout.cell, cells, match.dialect, name=match.name, layout=match.layout.name)


def _ordered(role: str, gates: Mapping[str, Any], order: str) -> dict[str, Any]:
    return dict(gates) if role in GATELESS else {gate: gates[gate] for gate in order if gate in gates}


def _contents(
    layout: Layout, part: Part, found: Found, sizes: Mapping[tuple[int, str], Mapping[str, int]]
) -> Iterator[tuple[str, str, str]]:
    """(role, gate, direction) of everything in one stored tensor, without its array."""
    for index, role in enumerate(part.roles):
        atoms = {atom for _, segment in part.parsed.segments(index) for atom in segment}
        both = "direction" in atoms and sizes[found.layer, found.direction]["direction"] == 2
        directions = ("forward", "reverse") if both else (found.direction,)
        for direction in directions:
            if role in GATELESS:
                yield role, "", direction
            elif "gate" in atoms:
                for gate in layout.gates_of(part):
                    yield role, gate, direction
            else:
                yield role, found.gate or layout.gates_of(part), direction


def _maker(
    match: Match, tensor: StoredTensor, part: Part, found: Found, role: str, gate: str, direction: str
) -> Callable[[], Array]:
    sizes = match.sizes[found.layer, found.direction]

    def make() -> Array:
        for slot in slots(match.layout, part, tensor.array(), sizes, found):
            if (slot.role, slot.gate, slot.direction) == (role, gate, direction):
                view = slot.read()
                view.flags.writeable = False
                return view
        raise LookupError((role, gate, direction))  # _contents and slots walk the same phrase

    return make


def encode(
    stack: Stack,
    layout: Layout,
    form: Mapping[str, Any],
    *,
    prefix: str = "",
    naming: str = "",
    dtype: str | None = None,
) -> list[StoredTensor]:
    """The tensors of a stack in a layout's own shapes, named below ``prefix``; each is filled when asked for.

    The stack must already be in the layout's dialect and bias convention (``conventions.express`` sees to that).
    Raises NotRepresentable for several layers where the layout stores each apart: encode ``stack.layer(index)`` then.
    """
    if stack.num_layers > 1 and not layout.is_stack:
        raise NotRepresentable(f"{layout.name} holds one layer, and these are {stack.num_layers}.")
    roles = {role for weights in stack.cells.values() for role in weights.roles}
    tensors: list[StoredTensor] = []
    for part in layout.parts_given(form):
        if part.optional and not set(part.roles) <= roles:
            continue
        tensors += _encode_part(stack, layout, part, prefix, naming, dtype)
    return sorted(tensors, key=lambda tensor: _stack_order(tensor, tensors)) if layout.is_stack else tensors


def _stack_order(tensor: StoredTensor, tensors: list[StoredTensor]) -> tuple[int, int, int]:
    layer, direction = tensor_place(tensor)
    return layer, direction, tensors.index(tensor)


def tensor_place(tensor: StoredTensor) -> tuple[int, int]:
    """(layer, direction) of an encoded tensor, as its ``where`` tells."""
    layer, _, direction = tensor.where.partition(" ")
    return int(layer), int(direction == "reverse")


def _encode_part(
    stack: Stack, layout: Layout, part: Part, prefix: str, naming: str, dtype: str | None
) -> list[StoredTensor]:
    found_template = layout.template(part, naming)
    if found_template is None:
        raise NotRepresentable(f"{layout.name} has no names of its own for this format.")
    both_in_one = "direction" in part.parsed.atoms
    result = []
    for (layer, direction), weights in stack:
        if both_in_one and direction == "reverse":
            continue
        if dtype is None:
            dtype = weights.dtype
        for gate in layout.gates_of(part) if found_template.has_gate else [None]:
            name = found_template.fill(layer, direction, gate, len(stack.directions))
            found = Found("", layer, direction, gate)
            sizes = {
                "unit": weights.unit, "feature": weights.feature, "hidden": weights.hidden,
                "direction": len(stack.directions), "gate": len(layout.gates_of(part)), "one": 1,
            }  # fmt: skip
            result.append(
                StoredTensor(
                    f"{prefix}{name}", dtype, part.parsed.shape(sizes),
                    _filler(stack, layout, part, sizes, found, dtype), where=f"{layer} {direction}",
                )
            )  # fmt: skip
    return result


def _filler(
    stack: Stack, layout: Layout, part: Part, sizes: Mapping[str, int], found: Found, dtype: str
) -> Callable[[], Array]:
    def fill() -> Array:
        import numpy as np

        array = np.empty(part.parsed.shape(sizes), numpy_dtype(dtype))
        for slot in slots(layout, part, array, sizes, found):
            weights = stack[found.layer, slot.direction]
            slot.write(weights.roles[slot.role][slot.gate])
        return array

    return fill


def declared_as(stack: Stack, layout: Layout, path: str, name: str, after: tuple[str, ...] = ()) -> Declared | None:
    """What a container that holds configs should declare for one encoded layer; None where the layout says nothing."""
    if not layout.written_as:
        return None
    spec = stack.spec
    settings: dict[str, Any] = {
        "units": spec.hidden_size, "input_size": spec.input_size, "use_bias": spec.bias != "none", "dtype": spec.dtype,
    }  # fmt: skip
    for setting in layout.settings:
        settings[setting.names[0]] = setting.spelled(getattr(stack.dialect, setting.field))
    if spec.directions == 2:
        settings["wrapper"] = "Bidirectional"
    else:
        settings.pop("merge_mode", None)
    return Declared(path, layout.written_as, settings, name=name, after=after)
