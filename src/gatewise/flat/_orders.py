"""In which order weights lie end to end: a layout, whose tensors they are, and a sequence of those.

An order is a row of ORDERS, the name of a framework, or a layout (its name, a :class:`Layout`, a TOML file of the user's
own).  Sources of the sequences stand beside them.  Not known here: numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..conventions import Expressed, express
from ..errors import NotRepresentable, UnknownLayout, UsageError, nearest
from ..layouts import Layout, layout, layouts
from ..layouts._match import Address
from ..record import record, replace
from ..weights import ROLE_AXES, Stack

Key = Callable[[Layout, Address, str], Any]  # a layout, where a tensor belongs in it, its name → what to sort by


def by_table(layout: Layout, address: Address, _name: str) -> Any:
    """Layer by layer, forward before reverse, then as the layout's table has them.

    torch's ``_flat_weights`` and ``parameters()`` (torch/nn/modules/rnn.py, RNNBase.__init__), Keras' ``get_weights()``
    (keras/src/layers/rnn/bidirectional.py: the forward layer's weights, then the backward's), Equinox' fields.
    """
    index, layer, direction, gate = address
    gates = layout.gates_of(layout.parts[index])
    return layer, direction == "reverse", index, gates.find(gate) if gate else 0


def matrices_first(layout: Layout, address: Address, name: str) -> Any:
    """Every matrix, layer by layer and direction by direction, then every bias likewise: cuDNN's buffer.

    aten/src/ATen/native/cudnn/RNN.cpp, get_parameters: per layer and direction the input's gates end to end, the
    recurrent ones, and a projection (its "linear layer 8"); the same order as src/operator/rnn-inl.h of MXNet has.
    torch's own buffer always has room for the biases: of a layer without any, the vector is its beginning, and the
    rest of that buffer is zeros (copy_weights_to_flat_buf_views, include_bias).
    """
    vectors = all(len(ROLE_AXES[role]) == 1 for role in layout.parts[address[0]].roles)
    return vectors, by_table(layout, address, name)


def by_keys(_layout: Layout, _address: Address, name: str) -> Any:
    """Dictionaries by their sorted keys, sequences by their numbers: jax.flatten_util.ravel_pytree."""
    pieces = re.split(r"[./]", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


SEQUENCES: dict[str, Key] = {"flax": by_keys, "haiku": by_keys}  # of a framework's layouts, where not the table's own


@record
class Order:
    """``frameworks``  whose layouts: the subject's own where it is one of theirs, else the first that can say it
    ``layouts``     instead: these, by name; the first that can say the subject
    ``sequence``    of the tensors, where it is not the layout's own
    ``listed``      of an object in memory: as it lists its parameters itself, whatever order that is now
    """

    of: str
    frameworks: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    sequence: Key | None = None
    listed: bool = False


_TORCH = ("torch.LSTM", "torch.GRU", "torch.RNN")
ORDERS = {
    "torch": Order("torch's _flat_weights: layer by layer, w_ih w_hh b_ih b_hh w_hr", ("torch",)),
    "parameters_to_vector": Order("torch.nn.utils.parameters_to_vector(layer.parameters())", ("torch",), listed=True),
    "cudnn": Order("cuDNN's buffer: every matrix, then every bias", layouts=_TORCH, sequence=matrices_first),
    "keras": Order("Keras' get_weights()", ("keras",)),
    "tf1_cudnn": Order(
        "opaque_kernel of TensorFlow 1's CudnnLSTM, CudnnGRU …",
        layouts=("tf1.CudnnLSTM", "tf1.CudnnGRU", "tf1.CudnnRNNTanh", "tf1.CudnnRNNRelu"),
    ),
    "mxnet": Order(
        "parameters of MXNet's fused RNN operator", layouts=("mxnet.fused_lstm", "mxnet.fused_gru", "mxnet.fused_rnn")
    ),
    "jax": Order("jax.flatten_util.ravel_pytree of the parameters", ("flax", "haiku", "equinox")),
}
_KNOWN = f"Orders are {', '.join(ORDERS)}, and the name of every framework"


@record
class Chosen:
    """An order for one stack: its ``name``, the stack in the layout's terms; ``own``: the stack's tensors as they are.
    ``sequence`` of the tensors, None where the framework lists them as the layout's table does; ``listed`` as an order's."""

    name: str
    said: Expressed
    own: bool
    sequence: Key | None
    listed: bool = False


def choose(order: str | Layout | None, stack: Stack, own: Layout | None, framework: str) -> Chosen:
    """The order for a stack.  ``own``: the layout that its tensors are stored in; ``framework``: whose object it is.
    Raises UsageError for an order that there is not, NotRepresentable where its layouts cannot say the stack."""
    if order is None:
        found = own or layout(stack.layout)
        return _as(found.name, found, stack, found is own)
    if isinstance(order, Layout) or "." in order:
        found = _layout_called(order, stack)
        return _as(found.name if isinstance(order, Layout) else order, found, stack, found is own)
    row = ORDERS.get(order) or _of_framework(order)
    if own is not None and framework in row.frameworks:
        return replace(_as(order, own, stack, True, row.sequence), listed=row.listed)
    return _first(order, row, stack, own)


def _as(name: str, found: Layout, stack: Stack, own: bool, sequence: Key | None = None) -> Chosen:
    said = Expressed(stack, found, {}, ()) if own else express(stack, found)
    return Chosen(name, said, own, sequence or SEQUENCES.get(found.framework))


def _first(order: str, row: Order, stack: Stack, own: Layout | None) -> Chosen:
    refusal: NotRepresentable | None = None
    for found in _candidates(row, stack):
        try:
            return _as(order, found, stack, found is own, row.sequence)
        except NotRepresentable as error:
            refusal = refusal or error
    if refusal is None:
        raise NotRepresentable(f"no layout of the order {order!r} stores the cell {stack.cell}.")
    raise refusal


def _candidates(row: Order, stack: Stack) -> Iterator[Layout]:
    named = [layout(name) for name in row.layouts] or [
        known
        for framework in row.frameworks
        for known in layouts()
        if known.framework == framework and not known.outside
    ]
    fitting = [known for known in named if known.cell == stack.cell]
    yield from (known for known in fitting if len(stack.directions) in known.ways)
    yield from (known for known in fitting if len(stack.directions) not in known.ways)


def _of_framework(name: str) -> Order:
    known = dict.fromkeys(known.framework for known in layouts())
    if name not in known:
        every = (*ORDERS, *(each for each in known if each not in ORDERS))
        raise UsageError(
            f"there is no order {name!r}.",
            next=nearest(name, every) or f"{_KNOWN} or layout, or a TOML file of yours; `gatewise layouts` lists them.",
        )
    return Order(f"the layouts of {name}", (name,))


def _layout_called(order: str | Layout, stack: Stack) -> Layout:
    try:
        found = layout(order)
    except UnknownLayout as error:
        error.next = error.next or f"{_KNOWN} and layout."
        raise
    if found.outside:
        raise NotRepresentable(f"{found.name} is named and not run: {found.outside}.")
    if len(stack.directions) == 2 and not found.is_bidirectional:
        raise NotRepresentable(f"{found.name} holds one direction, and this layer has two.")
    return found
