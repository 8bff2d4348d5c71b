"""A choice of gates as the framework's own tensors: penalties with gradients, groups for optimizers, masks.

Everything is in canonical axes and in the stack's order.  What only one framework has (torch's parameter groups, Keras's
regularizers, trees of masks) its holder does (``live/_weight.Holder``).  Not known here: any framework.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..layouts._code import Home
from ..live import Live, LiveModel
from ..selection import Numbers, Selector, Words
from ._layers import Chosen, chosen_in, layers_of, masks, parted

if TYPE_CHECKING:
    from ..live._weight import Holder, Weight
    from ..tensors import Array


def select(
    subject: Any, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None
) -> Selection:  # fmt: skip
    """The gates of a role in an object's recurrent layers.

    ``subject``  a layer, model or tree of parameters in memory, or what :func:`gw.of` gave
    ``role``     "recurrent_kernel", "bias" …;  ``gate`` "f", "if", "forget";  ``layer`` 0, -1, [0, 2], within each stack;
                 ``direction`` "forward", "reverse".  Each one, several, or None for all
    In a model, layers that have nothing of the kind are left out.  Raises UsageError where nothing is chosen at all.
    """
    layers = layers_of(subject)
    selector = Selector(role, gate, layer, direction)
    return Selection(subject, selector, chosen_in(layers, selector))


def _each_once(chosen: Chosen) -> list[tuple[Live, Home]]:
    """The gates one by one; of those that tied weights hold, which are one tensor under several names, the first."""
    found: dict[Any, tuple[Live, Home]] = {}
    for live, homes in chosen:
        for home in homes:
            others = live.tied.get(home.name, ())
            one = (min((home.name, *others)), _elements(live, home)) if others else (id(live), home)
            found.setdefault(one, (live, home))
    return list(found.values())


def _elements(live: Live, home: Home) -> bytes:
    """Which elements of its tensor a gate is."""
    return masks(live, [home])[home.name].tobytes()


class Selection:
    """Chosen gates.  Iterating gives the framework's tensors, in canonical axes, with their history: gradients go through
    them to the parameters.  Of tied weights each element is there once.  They are read anew each time, so a penalty belongs into the training step."""

    def __init__(self, subject: Any, selector: Selector, chosen: Chosen):
        self.subject = subject
        self.selector = selector
        self._chosen = chosen
        self._once = _each_once(chosen)

    def __len__(self) -> int:
        """How many gates."""
        return len(self._once)

    def __iter__(self) -> Iterator[Any]:
        for live, home in self._once:
            yield live.native(home.layer, home.direction, home.role, home.gate)

    def items(self) -> Iterator[tuple[str, Any]]:
        """(name, tensor): ``weight_hh_l0[f]``."""
        for (_, home), tensor in zip(self._once, self, strict=True):
            yield f"{home.name}[{home.gate}]" if home.gate else home.name, tensor

    def numpy(self) -> list[Array]:
        """The numbers, gate by gate; in the framework's own memory where that is possible."""
        return [live[home.place].roles[home.role][home.gate] for live, home in self._once]

    @property
    def count(self) -> int:
        """How many elements."""
        return sum(math.prod(live.shape(home)) for live, home in self._once)

    def __repr__(self) -> str:
        return f"<Selection {self.selector}: {len(self)} gate{'s' * (len(self) != 1)}, {self.count} elements>"

    # Penalties.

    def penalty(self, function: Callable[[Any], Any]) -> Any:
        """``function`` of each tensor, summed over all elements and tensors: a scalar of the framework, with gradients
        to exactly the chosen elements (as far as the function has them)."""
        total: Any = None
        for (live, _), tensor in zip(self._once, self, strict=True):
            part = live.holder.total(function(tensor))
            total = part if total is None else total + part
        return total

    def l1(self) -> Any:
        """The sum of magnitudes."""
        return self.penalty(abs)

    def l2(self) -> Any:
        """The sum of squares, without a factor or a root."""
        return self.penalty(lambda tensor: tensor * tensor)

    def regularize(self, l1: float = 0.0, l2: float = 0.0) -> Any:
        """Give the layers a regularizer of the framework's own (Keras), so that training adds l1·Σ|w| + l2·Σw² of the
        chosen elements by itself.  It is not saved with the model: give it anew after loading one.
        Raises UsageError where the framework has none, and where both factors are zero."""
        if not l1 and not l2:
            raise UsageError("l1 and l2 are both 0, which adds nothing.", next="Say regularize(l2=1e-4), or so.")
        for holder, found in self._by_holder():
            holder.regularize(found, l1, l2)
        return self.subject

    # Parameters, groups, masks.

    def parameters(self) -> list[Any]:
        """The framework's parameters, whole.  Raises UsageError where the selection has only a part of one."""
        found = {id(each): each for weight in self.weights() for each in weight.parameters()}
        return list(found.values())

    def weights(self) -> list[Weight]:
        """The tensors that are chosen, whole.  Raises UsageError where the selection has only a part of one."""
        weights = []
        for live, homes in self._chosen:
            parts = parted(live, homes)
            if parts:
                raise self._only_a_part(live, *next(iter(parts.items())))
            weights += [live.holder.weights[name] for name in dict.fromkeys(home.name for home in homes)]
        return weights

    def param_groups(
        self, selected: Mapping[str, Any] | None = None, rest: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Groups for a torch optimizer: the chosen parameters with the options ``selected``, all others of the object with
        ``rest``; each parameter once.  Raises UsageError where only a part of a parameter is chosen."""
        holder = self._chosen[0][0].holder
        given = self.subject
        whole = given.subject if isinstance(given, Live | LiveModel) else given
        return holder.param_groups(whole, self.parameters(), selected or {}, rest or {})

    def masks(self) -> dict[str, Array]:
        """Tensor name → booleans in the tensor's stored shape, True where chosen.  Tensors without any are not in it."""
        return {name: mask for _, found in self._by_holder() for name, mask in found.items()}

    def mask_tree(self, whole: bool = False) -> Any:
        """The masks as a tree in the shape of the parameters (jax, MLX): booleans in each leaf's shape; with ``whole`` one
        for each leaf, as ``optax.masked`` takes them.  Raises UsageError where the framework has no trees."""
        if whole:
            self.weights()  # raises for parts
        return self._chosen[0][0].holder.mask_tree(self.masks(), whole)

    def _by_holder(self) -> Iterator[tuple[Holder, dict[str, Array]]]:
        for live, homes in self._chosen:
            yield live.holder, masks(live, homes)

    def _only_a_part(self, live: Live, name: str, left: list[Home]) -> UsageError:
        also = ", ".join(dict.fromkeys(f"{home.role}{f' {home.gate}' if home.gate else ''}" for home in left))
        return UsageError(
            f"{name} is one tensor, and of it {self.selector} chooses only a part (not its {also}): "
            f"{live.holder.framework} takes whole parameters there.",
            next="Add .l2() to the loss for a penalty on the part, or take its elements from .masks().",
        )
