"""Keras's layers in memory, of Keras 3 on any backend, tf.keras 2 and tf_keras: which are recurrent, and their paths.

A path is made of the layers' names, as files have it; where Keras made a name up (``lstm_3``) and the model keeps the layer
in an attribute, it is the attribute's.  A wrapper's layer has the wrapper's name.  Keras is taken from ``sys.modules``:
whoever hands over a layer has imported it.  Not known here: what a layer's weights are and how it is run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..containers._keras_names import snake_case
from ._custom import layout_of

if TYPE_CHECKING:
    from ..layouts import Layout
    from ._weight import Holder

__all__ = ["cell_of", "holders", "is_layer", "kind_of", "package", "recurrent"]

_HOME = re.compile(r"(keras|tf_keras|tensorflow\.python\.keras)\b(?!.*(legacy_cells|\brnn_cell))")
LAYERS = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU")
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")
_OF_PARTS = ("Bidirectional", "StackedRNNCells")  # each part of which is recurrent
_OTHERS = ("Bidirectional", "RNN", "StackedRNNCells", "Wrapper", "Sequential", "Functional")


def holders(subject: Any, layout: Layout | None) -> Iterator[Holder]:
    """The recurrent layers in a Keras layer or model; with a layout, those of the user's own that it describes."""
    if is_layer(subject):
        from ._keras_holders import holders

        yield from holders(subject, layout)


def is_layer(subject: Any) -> bool:
    """Whether this is a layer, a cell or a model of Keras."""
    return any(each.__name__ == "Layer" and _HOME.match(each.__module__) for each in type(subject).__mro__)


def package(layer: Any) -> Any:
    """The Keras that a layer is of: the module ``keras``, ``tf_keras`` or ``tensorflow.keras``."""
    for each in type(layer).__mro__:
        if each.__name__ == "Layer" and _HOME.match(each.__module__):
            root = sys.modules[each.__module__.partition(".")[0]]
            return root.keras if root.__name__ == "tensorflow" else root
    raise TypeError(layer)


def kind_of(layer: Any) -> str:
    """The class of Keras among those known here that a layer is, or is made of; "" for any other."""
    return next((each.__name__ for each in known_classes(type(layer))), "")


def known_classes(kind: type) -> Iterator[type]:
    """Keras's own classes, among those known here, that a class is made of, the nearest first."""
    for each in kind.__mro__:
        if each.__name__ in (*LAYERS, *CELLS, *_OTHERS) and _HOME.match(each.__module__):
            yield each


def cell_of(layer: Any) -> Any:
    """What holds a recurrent layer's weights: its cell, or the layer itself (CuDNN's layers, and cells)."""
    return getattr(layer, "cell", None) or layer


def is_plain(layer: Any) -> bool:
    """A layer of one direction, of a cell that has a table."""
    kind = kind_of(layer)
    return kind in LAYERS or (kind == "RNN" and (kind_of(layer.cell) in CELLS or layout_of(layer.cell) is not None))


def recurrent(subject: Any) -> Iterator[tuple[str, Any]]:
    """Every recurrent layer of a model with its path, each layer and each path once; "" is the path of the object itself.
    Also those that are not known (:func:`is_known`): Keras's RNN of any cell, a direction, a cell among others."""
    taken: set[str] = set()
    for path, layer in _walk("", subject, set()):
        name, number = path, 0
        while name in taken:
            number += 1
            name = f"{path}_{number}"
        taken.add(name)
        yield name, layer


def _walk(path: str, layer: Any, seen: set[int], by_place: bool = False) -> Iterator[tuple[str, Any]]:
    """``by_place``: what is there is recurrent, whatever its class."""
    if id(layer) in seen:
        return
    seen.add(id(layer))
    if is_known(layer):
        yield path, layer
        return
    kind, found = kind_of(layer), False
    for name, child in children(layer):
        for each in _walk("/".join(filter(None, (path, name))), child, seen, kind in _OF_PARTS):
            found = True
            yield each
    if not found and (by_place or kind == "RNN"):
        yield path, layer


def is_known(layer: Any) -> bool:
    """Is it one recurrent layer whose weights a table, or its user, describes?"""
    return layout_of(layer) is not None or is_plain(layer) or kind_of(layer) in CELLS or _goes_both_ways(layer)


def every(path: str, layer: Any) -> Iterator[tuple[str, Any]]:
    """A layer and all that is in it, with their paths, outer ones first."""
    yield path, layer
    for name, child in children(layer):
        yield from every("/".join(filter(None, (path, name))), child)


def _goes_both_ways(layer: Any) -> bool:
    """Two directions of one meaning, which are one layer.  Others are told one by one."""
    if kind_of(layer) != "Bidirectional" or not (is_plain(layer.forward_layer) and is_plain(layer.backward_layer)):
        return False
    there, back = layer.forward_layer, layer.backward_layer
    if there.go_backwards or not back.go_backwards or any(layout_of(cell_of(each)) for each in (there, back)):
        return False
    return _meaning(there) == _meaning(back)


def _meaning(layer: Any) -> tuple[Any, ...]:
    cell = cell_of(layer)
    return kind_of(cell), *(getattr(cell, name, None) for name in ("activation", "recurrent_activation", "reset_after"))


def children(layer: Any) -> Iterator[tuple[str, Any]]:
    """The layers directly in a layer, by name.  A cell that is no layer of Keras has no weights that Keras knows of."""
    yield from ((name, child) for name, child in _children(layer) if is_layer(child))


def _children(layer: Any) -> Iterator[tuple[str, Any]]:
    kind = kind_of(layer)
    if kind == "StackedRNNCells":
        yield from ((f"cells/{index}", cell) for index, cell in enumerate(layer.cells))
    elif kind == "RNN":
        yield "", layer.cell
    elif kind == "Bidirectional":
        yield from ((name, getattr(layer, name)) for name in ("forward_layer", "backward_layer"))
    elif kind == "Wrapper":
        yield "", layer.layer
    else:
        found = [each for each in _sublayers(layer) if is_layer(each)]
        yield from ((each.name if kind else _name(layer, each), each) for each in found)


def _sublayers(layer: Any) -> list[Any]:
    if hasattr(type(layer), "layers"):  # a model
        return list(layer.layers)
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _name(parent: Any, child: Any) -> str:
    """The child's name, or where Keras made that up the attribute in which the parent keeps it."""
    name = str(child.name)
    made_up = re.fullmatch(rf"{re.escape(snake_case(type(child).__name__))}(_\d+)?", name)
    return (made_up and _attribute(parent, child)) or name


def _attribute(parent: Any, child: Any) -> str:
    held = vars(parent) | (vars(parent).get("_modules") or {})  # torch's modules keep theirs apart
    for name, value in held.items():
        if name.startswith("_"):
            continue
        if value is child:
            return str(name)
        inside = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
        )
        for key, each in inside:
            if each is child:
                return f"{name}/{key}"
    return ""
