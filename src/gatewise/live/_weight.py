"""What a framework's file in this folder gives: an object's weights one by one, how to call it, what changing it yields.

:class:`Weight` is one tensor in its framework's hands; :class:`Holder` is the object that holds them.  Both know names,
shapes and numbers; which gate lies where the layouts say, and :class:`.._live.Live` puts the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts import Layout
from ..tensors import Declared, StoredTensor, Tensors, WrittenBy
from ._arrays import as_numpy, is_array
from ._calls import Way
from ._custom import Run

if TYPE_CHECKING:
    from ..tensors import Array


class Weight:
    """One weight of an object in memory.  ``name`` is its path in the object, ``dtype`` one of ``ITEM_BYTES``.

    ``shared``    do :meth:`array`'s elements lie in the framework's own memory?
    ``fallible``  may :meth:`assign` refuse numbers of the right shape (a pruned element, a norm)?
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shared: bool = False
    fallible: bool = False

    def array(self) -> Array:
        """The numbers as numpy: the framework's own memory, writable, where ``shared``; else a copy."""
        raise NotImplementedError

    def native(self) -> Any:
        """The framework's own tensor, with its history: gradients go through it to the parameter."""
        raise NotImplementedError

    def native_cut(self, cut: Callable[[Any], Any]) -> Any:
        """What ``cut`` takes of the framework's own tensor, also where that lacks numpy's words for cutting."""
        return cut(self.native())

    def assign(self, array: Array) -> None:
        """Make these the numbers.  After a change in place of a ``shared`` array: tell the framework that it happened."""
        raise NotImplementedError

    @property
    def frozen(self) -> bool:
        """Does the framework leave it out of training?  False where it has no way of doing so."""
        return False

    def freeze(self, frozen: bool = True) -> None:  # noqa: ARG002  (for the frameworks that can)
        """Leave it out of training, or take it in again.  Raises UsageError where the framework cannot."""
        raise UsageError(
            f"{self.name} cannot be frozen by itself in this framework.", next="Use a mask (gw.select(...).masks())."
        )

    def frozen_elements(self) -> Array:
        """Booleans in the stored shape: what training leaves alone."""
        import numpy as np

        return np.full(self.shape, self.frozen)

    def part_refused(self) -> UsageError | None:
        """Why not a part of it can be frozen and the rest trained; None where that can be."""
        return UsageError(
            f"{self.name} is one tensor, and its framework trains it whole or not at all.",
            next="Choose all of its gates, or multiply its gradient with gw.select(…).masks().",
        )

    def freeze_elements(self, elements: Array) -> None:
        """Leave exactly these elements out of training.  Raises UsageError where the framework cannot."""
        error = None if elements.all() or not elements.any() else self.part_refused()
        if error is not None:
            raise error
        self.freeze(bool(elements.all()))

    def parameters(self) -> list[Any]:
        """The framework's parameters that it is, or is computed from."""
        return [self.native()]

    @contextmanager
    def edit(self) -> Iterator[Array]:
        """An array to change; when it closes without an error, the framework has the changes."""
        array = self.array() if self.shared else self.array().copy()
        yield array
        self.assign(array)

    def restorer(self) -> Callable[[], None]:
        """What puts back the numbers that it has now."""
        before = self.array().copy()

        def restore() -> None:
            if self.shared:
                self.array()[...] = before
            self.assign(before)

        return restore

    def stored(self) -> StoredTensor:
        """The weight as the tensor of a file would be, for recognition and for reading."""
        return StoredTensor(self.name, self.dtype, self.shape, self.data())

    def data(self) -> Any:
        """Where the elements are: :class:`~gatewise.tensors.Strided` where memory has an address, so that neighbours
        and shared weights can be told."""
        return self.array


class Holder:
    """An object in memory that holds weights, as one framework's file describes it.

    ``subject``    the object itself;  ``path``: where it is in the object that the user gave
    ``framework``, ``version``   of the object
    ``weights``    by name
    ``layouts``    the layouts that it can be; None: whatever its names and shapes fit
    ``declared``   what its configuration says, in the framework's words
    ``meaning``    what the object itself tells of its dialect: {field of ``Dialect``: value}
    ``functional`` is it never changed, and a new one made instead?
    ``precision``  the dtype that it computes in, where that is not its weights' ("" else)
    """

    framework: str
    version: str = ""
    path: str = ""
    naming: str = ""
    functional: bool = False
    subject: Any
    layouts: Sequence[Layout] | None = None
    meaning: Mapping[str, Any] = MappingProxyType({})
    called: Run | None = None  # how the user says that it is called
    precision: str = ""
    unproved: bool = False  # a layout of the user's own, not yet held against a run
    believed: bool = False  # a layout of the user's own, with nothing to call that could prove it
    also_at: tuple[str, ...] = ()  # other paths at which the very same object is
    tied: Mapping[str, tuple[str, ...]] = MappingProxyType({})  # a weight's name → others of the very same tensor
    way: Way | None = None  # of calling a layer of the user's own: the one that was found right

    @property
    def weights(self) -> Mapping[str, Weight]:
        raise NotImplementedError

    def declared(self) -> Sequence[Declared]:
        return ()

    def tensors(self) -> Tensors:
        """The weights as a file's would be."""
        writer = WrittenBy(self.framework, self.version, "the object is at hand")
        return Tensors(
            [weight.stored() for weight in self.weights.values()], path=self.path, container=f"{self.framework} in memory",
            naming=self.naming, declared=self.declared(), written_by=[writer],
        )  # fmt: skip

    def result(self) -> Any:
        """The object with all changes: itself, or where the framework is functional the new one."""
        return self.subject

    def run(self, x: Array, state: Sequence[Array] | None) -> tuple[Array, tuple[Array, ...] | None]:  # noqa: ARG002
        """The framework's own forward run, without dropout.  x [batch, time, feature]; ``state`` as ``gw.run``'s, or None
        for zeros.  Gives y [batch, time, hidden·directions] and the final states [cells, batch, size], or None where the
        object does not give them.  Raises UsageError where there is nothing to call."""
        raise UsageError(f"{described(self.subject)} holds weights and nothing to call.")

    def ways(self, letters: str, cells: int) -> Iterator[Way]:  # noqa: ARG002
        """Ways of calling a layer of the user's own, the likeliest first, numpy in and out; none where the framework
        itself tells how (:meth:`run`).  ``letters`` of the cell's states; ``cells``: layers times directions."""
        yield from ()

    def writing_refused(self) -> UsageError | None:
        """Why what is written to the weights would reach no output; None where it does."""
        return None

    def listed(self) -> Sequence[str]:
        """The names of the weights in the order in which the object itself now lists its parameters.  Raises UsageError
        where that list is of other tensors."""
        return list(self.weights)

    # What gw.select asks for, and only some frameworks have.

    def total(self, value: Any) -> Any:
        """The sum of a framework tensor's elements, a scalar with its history."""
        return value.sum()

    def param_groups(
        self, whole: Any, chosen: Sequence[Any], selected: Mapping[str, Any], rest: Mapping[str, Any]  # noqa: ARG002
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Groups for an optimizer: ``chosen`` with the options ``selected``, all others of ``whole`` with ``rest``."""
        raise UsageError(
            f"the optimizers of {self.framework} take no groups of parameters.",
            next="Use .masks(), .mask_tree() or .regularize().",
        )

    def regularize(self, masks: Mapping[str, Array], l1: float, l2: float) -> None:  # noqa: ARG002
        """Make training add l1·Σ|w| + l2·Σw² of the elements where ``masks`` (by weight, in stored shapes) are true."""
        raise UsageError(
            f"{self.framework} has no regularizers that belong to a layer.", next="Add gw.select(…).l2() to the loss."
        )

    def mask_tree(self, masks: Mapping[str, Array], whole: bool) -> Any:  # noqa: ARG002
        """The masks as a tree in the shape of the object: False in leaves that have none; ``whole``: one boolean a leaf."""
        raise UsageError(
            f"the parameters of {self.framework} are no tree.", next="Use .masks(), by the tensors' names."
        )

    def chunks(self, names: Sequence[str]) -> int:  # noqa: ARG002
        """In how many pieces of memory these weights lie, in this order."""
        raise UsageError(
            f"{described(self.subject)} has no say in where its weights lie.",
            next="That matters to torch's layers alone.",
        )

    def flatten(self, names: Sequence[str], by_framework: bool) -> str:  # noqa: ARG002
        """Put these weights end to end in one piece of memory, by the framework's own means or ours: what was done."""
        raise UsageError(f"{described(self.subject)} has no say in where its weights lie.")

    def numpy(self, value: Any) -> Array:
        """A value of the user's as numpy: a number, a list, an array or tensor of any framework."""
        import numpy as np

        return as_numpy(value) if is_array(value) else np.asarray(value)


class Unread(Holder):
    """A recurrent object in what the user gave whose weights are not read, and why: it is not left out unsaid."""

    layouts = ()

    def __init__(self, path: str, subject: Any, why: str, instead: str, kind: str = ""):
        self.path, self.subject, self.why, self.instead = path, subject, why, instead
        self.kind = kind or type(subject).__name__

    @property
    def weights(self) -> Mapping[str, Weight]:
        return {}

    def __str__(self) -> str:
        return f"{self.path or 'it'} is a {self.kind}, and {self.why}"


NO_LAYOUT = (
    "no layout says how it computes",
    "Describe it with layout=, where its cell is one of those that gatewise knows.",
)


def described(subject: Any) -> str:
    """What an object is, for people: its class and module."""
    kind = type(subject)
    home = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return f"an object of {home}{kind.__qualname__}"
