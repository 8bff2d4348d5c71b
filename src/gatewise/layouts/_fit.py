"""Does a layout fit a group of tensors: by which parts are there, their dtypes, and the sizes that their shapes give?

Models repeat themselves: groups that differ in nothing but their names are solved once.  Not known here: how tensors come
to be a group, and what a layer that fits means.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..record import record, replace
from ..tensors import FLOATS, Declared, Tensors
from ._layout import Layout, Part, is_stream
from ._match import Address, Group, Match
from ._phrase import Unsolvable
from ._sizes import Sizes, solved

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

WANTS = " also wants "  # says less than an axis that does not come out even


@record
class _Solution:
    """What is true of every group of one kind."""

    parts: frozenset[int]
    sizes: Sizes
    dtype: str


# The same for all files that a process opens: a folder's checkpoints are mostly of a few models.  A layout, its forms and
# a group's addresses, shapes and dtypes decide; forms are known by their ids, since a layout that is held holds them.
_SOLVED: dict[object, _Solution | None] = {}
_MOST = 4_096  # then all are forgotten: what a process holds must not grow with the files it has seen


class Fits:
    """The layouts and groups of one file.  ``told``: sizes that the user says."""

    def __init__(self, tensors: Tensors, told: Mapping[str, int]):
        self._tensors, self._told = tensors, told
        self._kinds: dict[
            tuple[object, ...], int
        ] = {}  # addresses, shapes and dtypes → a number for groups that agree in them
        self._kind_of: dict[Group, int] = {}
        self._said: list[tuple[object, ...]] = []  # of each kind, what its groups agree in
        self._solved: dict[object, _Solution | None] = {}

    def matches(self, layout: Layout, group: Group, declared: Declared | None) -> list[Match]:
        """The layout's match with the group in each form that fits."""
        told = {**_sizes_told(layout, declared), **self._told}
        return [
            self._match(layout, form, group, found)
            for form in layout.forms
            if (found := self._solution_of_kind(layout, form, group, told)) is not None
        ]

    def why_not(self, layout: Layout, group: Group, declared: Declared | None) -> str:
        """One sentence why it fits in no form."""
        told = {**_sizes_told(layout, declared), **self._told}
        reasons = [
            found for form in layout.forms if isinstance(found := self._solution(layout, form, group, told), str)
        ]
        return next((text for text in reasons if WANTS not in text), reasons[0])

    def kind(self, group: Group) -> int:
        """A number that two groups share where addresses, shapes and dtypes are the same."""
        if group not in self._kind_of:
            stored = ((address, self._tensors.get(name)) for address, name in group.names.items())
            key = (group.naming, *((each, found and (found.shape, found.dtype)) for each, found in stored))
            self._kind_of[group] = self._kinds.setdefault(key, len(self._kinds))
            if len(self._said) < len(self._kinds):
                self._said.append(key)
        return self._kind_of[group]

    def _solution_of_kind(
        self, layout: Layout, form: Mapping[str, Any], group: Group, told: Mapping[str, int]
    ) -> _Solution | None:
        key = (layout, id(form), self.kind(group), *told.items())  # a layout's forms live as long as it does
        if key not in self._solved:
            self._solved[key] = self._solution_of_any_file(layout, form, group, told)
        return self._solved[key]

    def _solution_of_any_file(
        self, layout: Layout, form: Mapping[str, Any], group: Group, told: Mapping[str, int]
    ) -> _Solution | None:
        key = (layout, id(form), self._said[self.kind(group)], *told.items())
        if key not in _SOLVED:
            found = self._solution(layout, form, group, told)
            if len(_SOLVED) >= _MOST:
                _SOLVED.clear()
            _SOLVED[key] = None if isinstance(found, str) else found
        return _SOLVED[key]

    def _match(self, layout: Layout, form: Mapping[str, Any], group: Group, found: _Solution) -> Match:
        names = {address: name for address, name in group.names.items() if address[0] in found.parts}
        whole = len(names) == len(group.names)
        return Match(layout, form, group if whole else replace(group, names=names), found.sizes, found.dtype)

    def _solution(
        self, layout: Layout, form: Mapping[str, Any], group: Group, told: Mapping[str, int]
    ) -> _Solution | str:  # fmt: skip
        wanted = layout.parts_given(form)
        there = {address[0] for address in group.names}
        present = {i: part for i, part in enumerate(layout.parts) if part in wanted and i in there}
        missing = [p for i, p in enumerate(layout.parts) if p in wanted and i not in present and not p.optional]
        if missing:
            return f"{layout.name}{WANTS}{missing[0].template_text(group.naming) or missing[0].name!r}."
        addresses = {address: name for address, name in group.names.items() if address[0] in present}
        extra = next((name for address, name in group.names.items() if address[0] not in present), None)
        if extra is not None and form in layout.also:  # a form that the absence of just this tensor shows
            return f"{layout.name} has no {extra!r} in this form."
        incomplete = "" if is_stream(group.naming) else _incomplete(layout, present, addresses, group.naming)
        if incomplete:
            return incomplete
        lost = next((name for name in addresses.values() if name not in self._tensors), None)
        if lost is not None:  # an operator's input that the file declares and does not have
            return f"{layout.name} is given {lost!r} here, and the file has no such tensor."
        dtypes = {self._tensors[name].dtype for name in addresses.values()}
        if not dtypes <= FLOATS and not layout.outside:  # what is only named may be of whole numbers
            return f"{layout.name} holds floating-point weights, these are {', '.join(sorted(dtypes - FLOATS))}."
        try:
            sizes = solved(layout, present, addresses, self._tensors, told)
        except Unsolvable as error:
            return f"{error} ({layout.name})."
        return _Solution(frozenset(present), sizes, _widest(dtypes))


def _sizes_told(layout: Layout, declared: Declared | None) -> dict[str, int]:
    """The sizes that a file declares of a layer, by the layout's facts."""
    found: dict[str, int] = {}
    settings = declared.settings if declared else {}
    for fact in layout.facts if settings else ():
        said = next((settings[name] for name in fact.names if name in settings), None)
        value = fact.values.get(said) if fact.values is not None and isinstance(said, (str, bool, int)) else said
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            found[fact.of] = value
    return found


def _widest(dtypes: set[str]) -> str:
    """The one dtype that holds the numbers of all of them."""
    if len(dtypes) == 1:
        return next(iter(dtypes))
    if whole := sorted(dtypes - FLOATS):  # of a quantised layer, whose biases stayed what they were
        return whole[0]
    return "float64" if "float64" in dtypes else "float32"  # also for float16 beside bfloat16: neither holds the other


def _incomplete(layout: Layout, present: Mapping[int, Part], names: Mapping[Address, str], naming: str) -> str:
    layers = sorted({layer for _, layer, _, _ in names})
    if layers != list(range(len(layers))):
        return f"layers {layers} are there, so one is missing ({layout.name})."
    directions = sorted({direction for _, _, direction, _ in names})
    if directions == ["reverse"]:
        return f"only the reverse direction is there ({layout.name})."
    for index, part in present.items():
        found = layout.template(part, naming)
        for layer in layers if found and found.has_layer else [0]:
            for direction in directions[:1] if "direction" in part.parsed.atoms else directions:
                for gate in layout.gates_of(part) if found and found.has_gate else [None]:
                    if (index, layer, direction, gate) not in names:
                        return (
                            f"layer {layer} ({direction}) lacks its {' + '.join(part.roles)}"
                            f"{f', gate {gate}' if gate else ''} ({layout.name})."
                        )
    return ""
