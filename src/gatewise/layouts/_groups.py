"""Tensors that belong together where no names say so: an operator's inputs, and streams without names.

An operator (an ONNX node) is given its tensors by position; its container spells these positions in the operator's own
words.  A stream (Equinox's ``.eqx``, Lasagne's ``arr_0``) holds one tensor after another: a layout fits wherever its
parts, in the order of its table, fit the shapes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping

from ..tensors import Declared, Tensors
from ._layout import INPUTS, Layout
from ._match import Address, Group, claims

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import TypeVar

    _Entries = TypeVar("_Entries")


def wrote(framework: str, layout: Layout) -> bool:
    """Is this who writes files of the layout's own?"""
    return framework in (layout.writers or (layout.framework,))


def at_home(layout: Layout, tensors: Tensors) -> bool:
    """May the layout be looked for in this file, though the user did not name it?"""
    own = layout.unasked == "own files" and any(wrote(each.framework, layout) for each in tensors.written_by)
    return own or layout.unasked == "everywhere"


def matching_paths(paths: str, found: Mapping[tuple[str, str], _Entries]) -> list[tuple[tuple[str, str], _Entries]]:
    """What was found at paths that match a pattern."""
    return [(place, entries) for place, entries in found.items() if re.fullmatch(paths, place[0])]


def bound_groups(layout: Layout, tensors: Tensors, chosen: bool) -> Iterator[Group]:
    """One group for each operator of the layout's kind (of any kind that fits, where the user chose the layout)."""
    if not layout.takes_inputs:
        return
    for declared in tensors.declared:
        if declared.inputs and (chosen or claims(layout, declared)):
            names = dict(_bound(layout, declared))
            if names:
                label = declared.name if declared.name is not None else declared.path
                yield Group(label, "", names, declared.member, INPUTS, declared)


def _bound(layout: Layout, declared: Declared) -> Iterator[tuple[Address, str]]:
    for index, part in enumerate(layout.parts):
        for template in layout.templates(part, INPUTS):
            for word, tensor in declared.inputs.items():
                found = template.match(word)
                if found and not found.path:
                    yield (index, found.layer, found.direction, found.gate), tensor


Fits = Callable[[Layout, Group], bool]


def stream_groups(layout: Layout, naming: str, tensors: Tensors, fits: Fits) -> Iterator[Group]:
    """Every stretch of the stream that the layout fits, the longest at each place; layers that follow are one group."""
    parts = [index for index, part in enumerate(layout.parts) if part.texts(naming)]
    names = list(tensors)
    for start in range(len(names)) if parts else ():
        for chosen in _choices(layout, parts):
            group = _stretch(layout, naming, tensors, names, start, chosen, 1)
            if group is not None and fits(layout, group):
                yield _with_layers(layout, naming, tensors, names, start, chosen, group, fits)
                break


def _choices(layout: Layout, parts: list[int]) -> Iterator[tuple[int, ...]]:
    """The parts that may be there, the fullest choice first."""
    optional = [index for index in parts if layout.parts[index].optional]
    forms = [{layout.parts.index(part) for part in layout.parts_given(form)} for form in layout.forms]
    seen = set()
    for count in range(len(optional) + 1):
        for gone, form in itertools.product(itertools.combinations(optional, count), forms):
            choice = tuple(index for index in parts if index not in gone and index in form)
            if choice not in seen:
                seen.add(choice)
                yield choice


def _stretch(
    layout: Layout, naming: str, tensors: Tensors, names: list[str], start: int, parts: tuple[int, ...], layers: int
) -> Group | None:
    """The next tensors as so many layers of these parts; None where one has another number of axes."""
    addresses: dict[Address, str] = {}
    places = list(itertools.product(range(layers), parts))
    if not places or start + len(places) > len(names):
        return None
    for name, (layer, index) in zip(names[start:], places, strict=False):
        part = layout.parts[index]
        if not part.parsed.sections and len(tensors[name].shape) != len(part.parsed.axes):
            return None
        addresses[index, layer, "forward", None] = name
    return Group("", f"at_{start}" if start else "", addresses, naming=naming)


def _with_layers(
    layout: Layout, naming: str, tensors: Tensors, names: list[str], start: int, parts: tuple[int, ...], group: Group,
    fits: Fits,
) -> Group:  # fmt: skip
    for layers in itertools.count(2) if layout.repeats else ():
        longer = _stretch(layout, naming, tensors, names, start, parts, layers)
        if longer is None or not fits(layout, longer):
            break
        group = longer
    return group
