"""Gates left out of training, and taken in again: whole tensors by the framework's own switch, a part of one as the
framework's file in ``live/`` can.  Not known here: any framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..live._weight import Weight
from ..selection import Numbers, Selector, Words
from ._layers import chosen_in, given_back, layers_of, masks

if TYPE_CHECKING:
    from ..tensors import Array


def freeze(
    subject: Any, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None
) -> Any:  # fmt: skip
    """Leave the chosen gates out of training.

    ``subject``  a layer or model in memory, or what :func:`gw.of` gave;  the rest as :func:`gw.select`

    A tensor of which everything is chosen is frozen by the framework's own switch (torch ``requires_grad``, Keras
    ``trainable``), and forgets its gradient.  Of a torch tensor of which a part is chosen (one gate of ``weight_hh_l0``), that part is held by a
    parametrization: neither gradients nor momentum nor weight decay move it, and copies, ``state_dict`` and
    ``functional_call`` keep it.  Until :func:`unfreeze` the module's state dict then has
    ``parametrizations.weight_hh_l0.original``, ``….0.frozen`` and ``….0.held`` for ``weight_hh_l0`` (``gw.open`` reads both),
    and torch pickles a module with a parametrization by its state dict only.  ``parameters()`` lists ``….original`` after the
    module's plain parameters, so while a part is frozen their order is another: make the optimizer, and load its state, on
    the same side of :func:`freeze`.  :func:`unfreeze` gives back the old order.  Writing by name (``live[…].bias["f"] = 1.0``)
    writes frozen gates too.
    Gives the object back.  Raises UsageError where the framework cannot, and freezes nothing then.
    """
    return _changed(subject, Selector(role, gate, layer, direction), frozen=True)


def unfreeze(
    subject: Any, role: Words = None, gate: Words = None, layer: Numbers = None, direction: Words = None
) -> Any:  # fmt: skip
    """Take the chosen gates into training again: the reverse of :func:`freeze`.  Of a tensor that was frozen whole, the gates
    that are not chosen stay frozen.  A tensor that has no frozen part left is the plain parameter again that it was."""
    return _changed(subject, Selector(role, gate, layer, direction), frozen=False)


def _changed(subject: Any, selector: Selector, frozen: bool) -> Any:
    layers = layers_of(subject)
    plan: list[tuple[Weight, Array]] = []
    for live, homes in chosen_in(layers, selector):
        live.require_writing()
        for name, mask in masks(live, homes).items():
            weight = live.holder.weights[name]
            now = weight.frozen_elements()
            plan.append((weight, now | mask if frozen else now & ~mask))
    for weight, elements in plan:
        error = None if elements.all() or not elements.any() else weight.part_refused()
        if error is not None:
            raise error
    for weight, elements in plan:
        weight.freeze_elements(elements)
    return given_back(subject, layers)
