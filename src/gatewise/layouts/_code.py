"""Decode and encode: stored tensors ⇄ :class:`~gatewise.weights.Stack`, through the layout's slots.

Decoding hands out views.  Encoding makes an empty array of each target shape, decodes *it*, and assigns the source's
views into the slots; so there is one description and one piece of code for both ways.
"""

from __future__ import annotations

from _weakref import ref  # weakref's own, without its import: who lists a file comes by here
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..errors import NotRepresentable
from ..record import field, record
from ..tensors import Declared, StoredTensor, Tensors
from ..weights import DIRECTIONS, GATELESS, Gates, Stack, Weights
from ._layout import INPUTS, Fact, Layout, Part, is_stream
from ._match import Address, Group, Match
from ._names import Found, template
from ._slots import Places, Slot, flat_length, slots, turns, with_constants

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

    from ..tensors import Array


@record
class Home:
    """Where one gate of one role lies: in the tensor ``name``, as ``part`` says, whose name fixes ``found``."""

    role: str
    gate: str
    layer: int
    direction: str
    name: str
    part: Part = field(repr=False)
    found: Found = field(repr=False)

    @property
    def place(self) -> tuple[int, str]:
        return self.layer, self.direction

    def slot(self, match: Match, array: Any) -> Slot:
        """The gate in its tensor's array."""
        only = (self.role, self.gate, self.direction)
        for slot in slots(match.layout, self.part, array, match.sizes, self.found, only):
            if (slot.role, slot.gate, slot.layer, slot.direction) == (self.role, self.gate, *self.place):
                return slot
        raise LookupError(self)  # _contents and slots walk the same phrase


def homes(match: Match) -> Iterator[Home]:
    """Every gate of every role, tensor by tensor."""
    for part, found, name in match.places():
        for role, gate, (layer, direction) in _contents(match.layout, part, found, match.sizes):
            yield Home(role, gate, layer, direction, name, part, found)


def decode(match: Match, tensors: Tensors) -> Stack:
    """The stack of a match.  No element is read before a gate is asked for."""
    opened = {name: _Opened(tensors[name]) for _, _, name in match.places()}
    return stack_of(match, ((home, _maker(match, opened[home.name], home)) for home in homes(match)))


class _Opened:
    """A tensor's array, the same one for as long as somebody has a part of it: gates are mostly asked for together, and what
    is packed would be unpacked for each."""

    __slots__ = ("_array", "_tensor")

    def __init__(self, tensor: StoredTensor):
        self._tensor = tensor
        self._array: Callable[[], Array | None] = _nothing

    def __call__(self) -> Array:
        array = self._array()
        if array is None:
            array = self._tensor.array()
            self._array = ref(array)
        else:
            self._tensor.require_whole()
        return array


def _nothing() -> None:
    return None


def stack_of(match: Match, makers: Iterable[tuple[Home, Callable[[], Array]]], kind: type[Gates] = Gates) -> Stack:
    """The stack of a match whose gates these functions make."""
    places: dict[tuple[int, str], dict[str, dict[str, Callable[[], Array]]]] = defaultdict(lambda: defaultdict(dict))
    for home, make in makers:
        places[home.place][home.role][home.gate] = make
    cells = {
        place: Weights(
            match.sizes[place]["unit"], match.sizes[place]["feature"], match.sizes[place]["hidden"], match.dtype,
            {role: kind(role, _ordered(role, gates, match.layout.gates)) for role, gates in roles.items()},
        )
        for place, roles in places.items()
    }  # fmt: skip
    return Stack(match.layout.cell, cells, match.dialect, name=match.name, layout=match.layout.name)


def _ordered(role: str, gates: Mapping[str, Any], order: str) -> dict[str, Any]:
    return dict(gates) if role in GATELESS else {gate: gates[gate] for gate in order if gate in gates}


def _contents(
    layout: Layout, part: Part, found: Found, places: Places
) -> Iterator[tuple[str, str, tuple[int, str]]]:  # fmt: skip
    """(role, gate, (layer, direction)) of everything in one stored tensor, without its array."""
    if part.parsed.sections:
        for section, first, _, place in turns(part, places):
            for index, block in enumerate(section.blocks):
                for gate in _gates_in(layout, part, part.roles[first + index], block.atoms, found):
                    yield part.roles[first + index], gate, place
        return
    for index, role in enumerate(part.roles):
        atoms = part.parsed.atoms_of(index)
        both = "direction" in atoms and places[found.layer, found.direction]["direction"] == 2
        for direction in DIRECTIONS if both else (found.direction,):
            for gate in _gates_in(layout, part, role, atoms, found):
                yield role, gate, (found.layer, direction)


def _gates_in(layout: Layout, part: Part, role: str, atoms: frozenset[str], found: Found) -> Iterable[str]:
    if role in GATELESS:
        return ("",)
    gates = layout.gates_of(part, role)
    return gates if "gate" in atoms else (found.gate or gates,)


def _maker(match: Match, opened: Callable[[], Array], home: Home) -> Callable[[], Array]:
    def make() -> Array:
        view = home.slot(match, opened()).read()
        view.flags.writeable = False
        return view

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
    """The tensors of a stack in a layout's own shapes, named below ``prefix``; each is filled when asked for.  An
    operator's tensors without names are called by the operator's words, where no format has a ``naming`` of its own.

    The stack must already be in the layout's dialect and bias convention (``conventions.express`` sees to that).
    Raises NotRepresentable for several layers where the layout stores each apart: encode ``stack.layer(index)`` then.
    """
    return list(encoded(stack, layout, form, prefix=prefix, naming=naming, dtype=dtype).values())


def encoded(
    stack: Stack, layout: Layout, form: Mapping[str, Any], *, prefix: str = "", naming: str = "", dtype: str | None = None
) -> dict[Address, StoredTensor]:  # fmt: skip
    """What :func:`encode` gives, each tensor by its place in the layout."""
    if stack.num_layers > 1 and not layout.is_stack:
        raise NotRepresentable(f"{layout.name} holds one layer, and these are {stack.num_layers}.")
    naming = naming or layout.own_naming
    roles = {role for weights in stack.cells.values() for role in weights.roles}
    tensors: dict[Address, StoredTensor] = {}
    for part in layout.parts_given(form):
        if part.optional and not set(part.roles) <= roles:
            continue
        tensors |= _encode_part(stack, layout, part, prefix, naming, dtype)
    if layout.is_stack:
        tensors = dict(sorted(tensors.items(), key=lambda item: (item[0][1], item[0][2] == "reverse")))
    if is_stream(naming):  # without names: numbers tell the order
        tensors = {at: each.renamed(f"{prefix}{number}") for number, (at, each) in enumerate(tensors.items())}
    return tensors


def match_of(stack: Stack, layout: Layout, form: Mapping[str, Any], tensors: Mapping[Address, StoredTensor]) -> Match:
    """The match of what was encoded, without recognising it: to read it back."""
    group = Group("", "", {address: tensor.name for address, tensor in tensors.items()})
    dtype = next(iter(stack.cells.values())).dtype
    return Match(layout, form, group, places_of(stack), dtype, dialect=stack.dialect, given_name=stack.name)


def _encode_part(
    stack: Stack, layout: Layout, part: Part, prefix: str, naming: str, dtype: str | None
) -> dict[Address, StoredTensor]:
    if is_stream(naming):
        found_template = template(f"part{layout.parts.index(part)}_{{layer}}", ()) if part.texts(naming) else None
    else:
        found_template = layout.template(part, naming)
    if found_template is None:
        raise NotRepresentable(f"{layout.name} has no names of its own for this format.")
    from ._encoded import Encoded  # who only reads a file does not write one

    both_in_one, flat = "direction" in part.parsed.atoms, bool(part.parsed.sections)
    places = places_of(stack)
    index, result = layout.parts.index(part), {}
    for (layer, direction), weights in stack:
        if (both_in_one and direction == "reverse") or ("layer" in part.parsed.loops and layer):
            continue
        if dtype is None:
            dtype = weights.dtype
        for gate in layout.gates_of(part) if found_template.has_gate else [None]:
            name = found_template.fill(layer, direction, gate, len(stack.directions))
            found = Found("", layer, direction, gate)
            sizes = with_constants(places[layer, direction], len(layout.gates_of(part)))
            shape = (flat_length(layout, part, places),) if flat else part.parsed.shape(sizes)
            made = Encoded(stack, layout, part, shape, found, dtype, places)
            tensor = StoredTensor(f"{prefix}{name}", dtype, shape, made, where=f"{layer} {direction}")
            result[index, layer, direction, gate] = tensor
    return result


def places_of(stack: Stack) -> Places:
    """Every layer's and direction's sizes, as ``slots`` wants them."""
    directions = len(stack.directions)
    return {
        place: {"unit": w.unit, "feature": w.feature, "hidden": w.hidden, "direction": directions} for place, w in stack
    }


def declared_as(
    stack: Stack, layout: Layout, path: str, name: str, after: tuple[str, ...] = (), prefix: str = ""
) -> Declared | None:  # fmt: skip
    """What a container that holds configs should declare for one encoded layer; None where the layout says nothing.

    The settings are the layout's facts (sizes) and settings in the framework's words, and ``input_size``, ``use_bias``
    and ``dtype``; ``inputs`` the encoded tensors by the operator's words.
    """
    if not layout.written_as:
        return None
    spec = stack.spec
    settings: dict[str, Any] = {"input_size": spec.input_size, "use_bias": spec.bias != "none", "dtype": spec.dtype}
    for fact in layout.facts:
        settings |= _fact_said(fact, stack)
    for setting in layout.settings:
        if setting.field != "merge" or spec.directions == 2:
            settings[setting.names[0]] = setting.spelled(getattr(stack.dialect, setting.field))
    words = [text for part in layout.parts for text in part.texts(INPUTS)[:1]]
    return Declared(
        path, layout.written_as, settings, name=name, after=after, inputs={word: f"{prefix}{word}" for word in words}
    )  # fmt: skip


def _fact_said(fact: Fact, stack: Stack) -> dict[str, Any]:
    """A size in the framework's word for it; nothing where its words do not say this one."""
    first = stack[0, "forward"]
    sizes: dict[str, int] = {
        "unit": first.unit, "feature": first.feature, "hidden": first.hidden, "layers": stack.num_layers,
        "directions": len(stack.directions),
    }  # fmt: skip
    value = sizes[fact.of]
    if fact.values is None:
        return {fact.names[0]: value}
    words = [word for word, meant in fact.values.items() if meant == value]
    return {fact.names[0]: words[0]} if words else {}
