"""What a graph tells of Keras's recurrent layers, whose variables do not say which activations were chosen.

A layer is known by its variable ``recurrent_kernel``.  Every activation that comes from its product, over sums alone, is
one of the layer's: of two different ones the more frequent is the gates' (three of four in an LSTM, two of three in a
GRU).  The old hard sigmoid is no operation but a product with 0.2, a sum with 0.5 and a clip to 0 … 1.
Source: the graphs of tf.keras 1.15, 2.15 and Keras 3.7 on TensorFlow; keras/backend/tensorflow_backend.py, hard_sigmoid.
Not known here: gates; layers whose activations are of the user's own.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator

from ._tf_cells import ACTIVATIONS
from ._tf_graph import Body, Graph, Node, variable_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_RECURRENT = re.compile(r"(?P<scope>.+)/recurrent_kernel(_\d+)?")
_THROUGH = frozenset((
    "Add", "AddV2", "BiasAdd", "Split", "SplitV", "Mul", "StridedSlice", "Reshape", "Unpack", "Sub", "Select", "SelectV2",
))  # fmt: skip
_MOST = 60  # operations that are looked at on the way to a product
_CLIPS = frozenset((b"Maximum", b"ClipByValue"))
_WANTED = frozenset(op.encode() for op in ACTIVATIONS)
_OLD = "hard_sigmoid(0.2)"


def keras_cells_of(graph: Graph) -> dict[str, dict[str, Any]]:
    """The activations of each layer, by the scope of its variables."""
    counts: dict[str, Counter[str]] = {}
    for body in graph.bodies:
        hard = dict(_hard_sigmoids(graph, body))
        inner = set(hard.values())
        for node, name in [*((n, n.op.lower()) for n in body.of(_WANTED)), *((n, _OLD) for n in hard)]:
            scope = None if node in inner else _layer(graph, hard.get(node, node))
            if scope is not None:
                counts.setdefault(scope, Counter())[name] += 1
    return {scope: found for scope, counted in counts.items() if (found := _settings(counted))}


def _settings(counted: Counter[str]) -> dict[str, str]:
    if len(counted) == 1:
        [name] = counted
        return {"activation": name, "recurrent_activation": name}
    (gates, many), (candidate, few) = counted.most_common(2)
    return {"recurrent_activation": gates, "activation": candidate} if len(counted) == 2 and many > few else {}


def _layer(graph: Graph, start: Node) -> str | None:
    """The scope of the layer from whose recurrent product a node comes, past no other activation."""
    todo, seen = deque([start]), {id(start)}
    while todo and len(seen) < _MOST:
        node = todo.popleft()
        for index in range(len(node.inputs(graph.limits))):
            source = graph.origin(node, index)
            if source is None or id(source[0]) in seen:
                continue
            seen.add(id(source[0]))
            if source[0].op in ("MatMul", "BatchMatMulV2"):
                found = _RECURRENT.fullmatch(_weights(graph, source[0]) or "")
                if found:
                    return found["scope"]
            elif source[0].op in _THROUGH:
                todo.append(source[0])
    return None


def _weights(graph: Graph, product: Node) -> str | None:
    """The variable behind a product's second factor, of which it may be a piece."""
    node, index = product, 1
    for _ in range(_MOST):
        found = variable_of(graph, node, index)
        if found is not None:
            return found
        source = graph.origin(node, index)
        if source is None or source[0].op not in ("StridedSlice", "Split", "SplitV"):
            return None
        node, index = source[0], int(source[0].op == "Split")
    return None


def _hard_sigmoids(graph: Graph, body: Body) -> Iterator[tuple[Node, Node]]:
    """(the clip, the product with 0.2 whose factor goes in)."""
    for clip in body.of(_CLIPS):
        if clip.op == "ClipByValue":
            bounds, inner = (graph.constant(clip, 1), graph.constant(clip, 2)), graph.origin(clip, 0)
        else:
            least = graph.origin(clip, 0)
            if least is None or least[0].op != "Minimum":
                continue
            bounds, inner = (graph.constant(clip, 1), graph.constant(least[0], 1)), graph.origin(least[0], 0)
        if bounds != (0.0, 1.0) or inner is None or inner[0].op not in ("Add", "AddV2"):
            continue
        if 0.5 not in (graph.constant(inner[0], 0), graph.constant(inner[0], 1)):
            continue
        for side in (0, 1):
            product = graph.origin(inner[0], side)
            if product and product[0].op == "Mul" and _has_a_fifth(graph, product[0]):
                yield clip, product[0]


def _has_a_fifth(graph: Graph, product: Node) -> bool:
    return 0.2 in (graph.constant(product, 0), graph.constant(product, 1))
