"""The draft of a file that is nothing but named tensors: they can be renamed, left out and written back."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import NotRepresentable
from ..tensors import Tensors

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path

    from . import Container

TENSORS, STATE_DICT = "tensors", "state-dict"  # the same here: names, and what they name


class PlainDraft:
    """Named tensors, without a form of their own."""

    form = TENSORS
    forms = (TENSORS, STATE_DICT)

    def __init__(self, tensors: Tensors, container: Container):
        self.content = tensors
        self.container = container

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.container.name if self.container.write else "torch-zip",)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give tensors other names; the others keep theirs.  A name that maps to "" is left out."""
        renamed = [(names.get(name, name), tensor) for name, tensor in self.content.items()]
        taken = [name for name, _ in renamed if name]
        if len(set(taken)) < len(taken):
            twice = next(name for name in taken if taken.count(name) > 1)
            raise NotRepresentable(f"two tensors would be called {twice!r}.")
        self.content = self.content.with_tensors(tensor.renamed(name) for name, tensor in renamed if name)

    def tensors(self, form: str) -> Tensors:
        del form
        return self.content

    def losses(self, form: str) -> list[tuple[str, str]]:
        del form
        if self.container.write:
            return []
        return [("the tensors alone are kept, under their names, and nothing else that the format holds", "exact")]

    def write(self, path: Path, container: str, form: str) -> None:
        del form
        from . import container_for_writing

        known = container_for_writing(path, container)
        if known.write is not None:  # container_for_writing refuses a format that is not written
            known.write(path, self.content)
