"""What recognition finds: tensors that belong together, and the layer that they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..record import field, lazy, record, replace
from ..tensors import Declared
from ..weights import Dialect
from ._layout import Layout, Part
from ._names import Found

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

Address = tuple[int, int, str, "str | None"]  # index of the part, layer, direction, gate


@record(eq=False)
class Group:
    """Tensors whose names fit one layout's templates under one path."""

    path: str
    label: str  # tells apart several layers under one path
    names: Mapping[Address, str]
    member: str = ""  # the number in the names that does so, if one does
    naming: str = ""  # the naming scheme that found them
    declared: Declared | None = None  # the operator whose inputs they are

    @property
    def name(self) -> str:
        """The path, without Keras's habit of naming a layer's group twice (``lstm_1/lstm_1``)."""
        pieces = self.path.split("/")
        half = len(pieces) // 2
        path = "/".join(pieces[half:]) if half and pieces[:half] == pieces[half:] else self.path
        return f"{path}/{self.label}" if path and self.label else path or self.label


@record(eq=False)
class Match:
    """One recognised layer: its layout, which tensor is which part, the sizes, the dialect, and how we know."""

    layout: Layout
    form: Mapping[str, Any]
    group: Group
    sizes: Mapping[tuple[int, str], Mapping[str, int]]
    dtype: str
    declared: Declared | None = None
    dialect: Dialect = field(default_factory=Dialect)
    evidence: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    doubts: tuple[tuple[str, str], ...] = ()  # (what is doubtful: "layout" or a dialect's field, the sentence)
    native: bool = False  # the file's own framework is the layout's
    given_name: str | None = None

    @property
    def name(self) -> str:
        if self.given_name is not None:
            return self.given_name
        if self.declared is not None and self.declared.name is not None:
            return self.declared.name
        return self.group.name

    @property
    def sure(self) -> bool:
        return not self.doubts

    @lazy
    def tensors(self) -> tuple[str, ...]:
        return tuple(self.group.names.values())

    def of(self, group: Group) -> Match:
        """The match with a group of the same kind: addresses, shapes and dtypes are the same, the names differ."""
        if len(self.group.names) < len(group.names):
            group = replace(group, names={address: group.names[address] for address in self.group.names})
        return replace(self, group=group)

    def places(self) -> Iterator[tuple[Part, Found, str]]:
        """(part, what its name fixes, tensor name), for each tensor."""
        for (index, layer, direction, gate), name in self.group.names.items():
            yield self.layout.parts[index], Found(self.group.path, layer, direction, gate), name


def claims(layout: Layout, declared: Declared) -> bool:
    """Does the layout know the class that a file declares, by its name or by marks that a subclass keeps?"""
    marked = bool(layout.marks) and all(declared.settings.get(key) == want for key, want in layout.marks.items())
    return declared.kind in layout.kinds or marked
