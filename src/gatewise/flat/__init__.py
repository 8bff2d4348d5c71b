"""A layer's weights end to end in one vector, and back: which elements are which gate of which matrix.

    flat = gw.flat(module, order="cudnn")
    flat.vector[flat.where(role="recurrent_kernel", gate="f", layer=-1)]
    flat.unpack(vector)[0, "forward"].kernel["f"]          # a view of the vector; gradients go through

Not known here: any framework; what is special about its vectors is in ``live/_vectors``.
"""

from __future__ import annotations

import os
from typing import Any

from ..checkpoint import Checkpoint, Layer
from ..errors import UsageError, few
from ..layouts import Layout
from ..weights import Stack
from ._map import Flat
from ._orders import ORDERS, choose
from ._pieces import FlatTensor, Row, own_piece, pieces_of
from ._unpacked import Unpacked

__all__ = ["ORDERS", "Flat", "FlatTensor", "Row", "Unpacked", "flat"]


def flat(subject: Any, order: str | os.PathLike[str] | Layout | None = None, *, layer: str | None = None) -> Flat:
    """The flat map of one recurrent layer: its weights end to end, in an order.  Nothing is read and nothing copied.

    ``subject``  a layer of a file, a path or checkpoint (its only layer, or ``layer`` by name), an object in memory
    ``order``    one of ORDERS (torch, cudnn, keras, mxnet, jax …), any framework's or layout's name, a :class:`Layout`, a
                 TOML file of your own; None: the subject's own
    Raises UsageError (the call), NotRepresentable (the order's layout cannot say what the layer computes), and what
    ``gw.open`` and ``gw.of`` raise.
    """
    if not isinstance(order, str | os.PathLike | Layout | None):
        raise UsageError(
            f"order is {order!r:.60}.", next=f"It is the name of one ({', '.join(ORDERS)} …), a Layout, or a TOML file."
        )
    stack = _stack(subject, layer)
    wanted = os.fspath(order) if isinstance(order, os.PathLike) else order
    if not isinstance(stack, Layer):
        chosen = choose(wanted, stack, None, "")
        return Flat(stack, chosen, pieces_of(chosen))
    match = stack.match
    chosen = choose(wanted, stack, match.layout, _framework(stack))
    return Flat(stack, chosen, [own_piece(stack, match, stack.tensors)] if chosen.own else pieces_of(chosen))


def _framework(layer: Layer) -> str:
    """Whose object it is: a live one's own framework, whatever its layout is called."""
    holder = getattr(layer, "holder", None)
    return holder.framework if holder is not None else layer.match.layout.framework


def _stack(subject: Any, name: str | None) -> Stack:
    if isinstance(subject, str | os.PathLike):
        from ..checkpoint import open

        subject = open(subject)
    if isinstance(subject, Checkpoint):
        return subject.only() if name is None else subject[name]
    if isinstance(subject, Stack):
        if name not in (None, subject.name):
            raise UsageError(f"this is the layer {subject.name!r} alone.", next="Leave layer= out, or give the whole.")
        return subject
    from ..live import Live, of

    found = of(subject, name)
    if not isinstance(found, Live):
        names = few(repr(each.name) for each in found)
        raise UsageError(f"there are {len(found)} recurrent layers and none was named.", next=f"Say layer=: {names}.")
    return found
