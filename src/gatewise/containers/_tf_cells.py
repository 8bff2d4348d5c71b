"""What a graph tells of a recurrent cell that its variables do not: the forget bias, clips, the activation.

Nothing depends on names of operations, which change between versions: a cell is found from what is computed.  In front
of its sigmoids stand additions of one constant; block operations carry it as an attribute.  A state that is cut off at
two constants of opposite sign is clipped.  Whose numbers they are, the matrix tells that stands behind them.
Source: the graphs of TF 0.12, 1.0, 1.2, 1.4, 1.13 and 1.15; tensorflow/core/ops/rnn_ops.cc (attributes and their defaults).
Not known here: gates, and what a layout makes of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ._tf_graph import Graph, Node, shortest, variable_of
from ._tf_names import cell_scope

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_SUMS = ("Add", "AddV2", "BiasAdd")
_SPLITS = ("Split", "SplitV")
ACTIVATIONS = frozenset((
    "Sigmoid", "Tanh", "Relu", "Relu6", "Elu", "Selu", "Softplus", "Softsign", "LeakyRelu",
))  # fmt: skip
# Operations between a cell's state and its matrix.  The state of the step before comes through others.
_INSIDE = frozenset((
    *ACTIVATIONS, *_SUMS, *_SPLITS, "Mul", "Sub", "Identity", "Enter", "Reshape", "Maximum", "Minimum", "Rsqrt",
    "ClipByValue", "Cast", "SquaredDifference",
))  # fmt: skip
_MOST = 80  # operations that are looked at on the way to a matrix
_NEAR = 6  # additions between a sigmoid and its gate

# Block operations: where their matrix is among the inputs, and the defaults of their attributes, which a graph may omit.
_BLOCKS = {
    "LSTMBlockCell": (3, {"forget_bias": 1.0, "cell_clip": 3.0, "use_peephole": False}),
    "BlockLSTM": (4, {"forget_bias": 1.0, "cell_clip": 3.0, "use_peephole": False}),
    "BlockLSTMV2": (4, {"cell_clip": 0.0, "use_peephole": False}),
}
_LSTM_GATES = (3, 4)  # parts into which cells with a forget bias split their product


def cells_of(graph: Graph) -> dict[str, dict[str, Any]]:
    """What is known of each cell, by the scope of its variables."""
    found: dict[str, dict[str, Any]] = {}
    for body in graph.bodies:
        for node in body.of(_TOLD):
            _TELLERS[node.op](graph, node, found)
    for settings in found.values():
        if settings.pop("gated", False):  # gates were seen as they are, and where none had a constant, there is none
            settings.setdefault("forget_bias", 0.0)
            settings.setdefault("cell_clip", None)
            settings.setdefault("proj_clip", None)
    known = {scope: _known(settings) for scope, settings in found.items()}
    return {scope: settings for scope, settings in known.items() if settings}


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None or name != "activation"}


# Block operations.


def _block(graph: Graph, node: Node, found: dict[str, dict[str, Any]]) -> None:
    place, defaults = _BLOCKS[node.op]
    variable = variable_of(graph, node, place)
    if variable is None:
        return
    given = node.attributes(graph.limits)
    settings: dict[str, Any] = {"op": node.op, "activation": "tanh"}
    for name, default in defaults.items():
        value = given.get(name)
        settings[name] = default if value is None else _plain(value, default)
    settings["cell_clip"] = settings["cell_clip"] if settings["cell_clip"] > 0 else None
    found.setdefault(cell_scope(variable), {}).update(settings)


def _plain(value: dict[str, Any], default: Any) -> Any:
    return value.get("bool", False) if isinstance(default, bool) else shortest(value.get("float", 0.0))


# Activations.


def _activation(graph: Graph, node: Node, found: dict[str, dict[str, Any]]) -> None:
    """A sigmoid of a gate, perhaps with a constant before it; or the activation of a candidate."""
    constant, split, output, plain = _gate(graph, node)
    if split is not None:
        variable = _matrix(graph, split)
        parts = _parts(graph, split)
        if variable is None:
            return
        settings = found.setdefault(cell_scope(variable), {})
        if parts in _LSTM_GATES and plain:
            settings["gated"] = True
        if parts == 4 and output == 0 and node.op == "Sigmoid":
            settings.setdefault("activation", _candidate(graph, node, split))
        if constant is not None and node.op == "Sigmoid":
            settings["forget_bias"] = constant
        return
    source = graph.origin(node, 0)
    if source is None:
        return
    if constant is not None and node.op == "Sigmoid":  # a normalised gate
        variable = _matrix(graph, source[0])
        if variable is not None:
            found.setdefault(cell_scope(variable), {}).update(forget_bias=constant, gated=True)
    elif source[0].op in _SUMS and (variable := _recurrent(graph, source[0])) and "ates/" not in variable:
        silu = any(source[0] in _factors(graph, product) for product in node.home.fed_by(node.name, b"Mul"))
        activation = "silu" if silu else node.op.lower()
        found.setdefault(cell_scope(variable), {}).setdefault("activation", activation)


def _candidate(graph: Graph, gate: Node, split: Node) -> str | None:
    """The activation of what the input gate is multiplied with; a word that nobody knows where it is no single one."""
    for product in gate.home.fed_by(gate.name, b"Mul"):
        for factor in _factors(graph, product):
            if factor is split:
                return "linear"
            if factor is not gate:
                return _name_of(graph, factor, split)
    return None


def _name_of(graph: Graph, activation: Node, split: Node) -> str:
    sources = _factors(graph, activation)
    if activation.op in ACTIVATIONS and sources[:1] == [split]:
        return activation.op.lower()
    if activation.op == "Mul" and split in sources and any(other.op == "Sigmoid" for other in sources):
        return "silu"
    return f"{activation.op} of the graph"


def _factors(graph: Graph, product: Node) -> list[Node]:
    """Where the first two inputs come from."""
    found = (graph.origin(product, side) for side in (0, 1))
    return [source[0] for source in found if source is not None]


def _gate(graph: Graph, node: Node) -> tuple[float | None, Node | None, int, bool]:
    """(the constant that is added before a sigmoid, the split whose output it takes, which one, and whether nothing is
    added that could not be read)."""
    constant: float | None = None
    plain = True
    todo: deque[tuple[Node, int]] = deque([(node, 0)])
    for _ in range(_NEAR):
        if not todo:
            break
        at, index = todo.popleft()
        source = graph.origin(at, index)
        if source is None:
            continue
        before, output = source
        if before.op in _SPLITS:
            return constant, before, output, plain
        if before.op in ("Add", "AddV2"):
            for side in (0, 1):
                value = graph.constant(before, side)
                constant = value if value is not None else constant
                plain = plain and (value is not None or not _is_constant(graph, before, side))
                todo.append((before, side))
    return constant, None, 0, plain


def _is_constant(graph: Graph, node: Node, side: int) -> bool:
    source = graph.origin(node, side)
    return source is None or source[0].op == "Const"


def _parts(graph: Graph, split: Node) -> int:
    number: int = split.attributes(graph.limits).get("num_split", {}).get("int", 0)
    return number


def _recurrent(graph: Graph, bias: Node) -> str | None:
    """The matrix of ``BiasAdd(MatMul(Concat(input, state), matrix), bias)``."""
    product = graph.origin(bias, 0)
    return _joint(graph, product[0]) if product is not None and product[0].op == "MatMul" else None


def _joint(graph: Graph, product: Node) -> str | None:
    """The matrix that input and state are multiplied with together, as all of TensorFlow's own cells do."""
    joined = graph.origin(product, 0)
    return variable_of(graph, product, 1) if joined and joined[0].op in ("Concat", "ConcatV2") else None


def _matrix(graph: Graph, start: Node) -> str | None:
    """The variable of the nearest product from which a node comes, if that is one of input and state."""
    todo, seen = deque([start]), {id(start)}
    while todo and len(seen) < _MOST:
        node = todo.popleft()
        if node.op == "MatMul":
            return _joint(graph, node)
        for index in range(len(node.inputs(graph.limits))):
            source = graph.origin(node, index)
            if source and id(source[0]) not in seen and (source[0].op in _INSIDE or source[0].op == "MatMul"):
                seen.add(id(source[0]))
                todo.append(source[0])
    return None


# Clips.


def _clip(graph: Graph, node: Node, found: dict[str, dict[str, Any]]) -> None:
    """Something cut off at two constants of opposite sign: a sum of products is a state, a product a projection."""
    limit, clipped = _limits(graph, node)
    if limit is None or clipped is None:
        return
    if clipped.op == "MatMul":
        variable, name = variable_of(graph, clipped, 1), "proj_clip"
        projection = (variable is not None and cell_scope(variable) != variable.rpartition("/")[0]) or "W_P_" in (
            variable or ""
        )
        variable = variable if projection else None
    elif clipped.op in ("Add", "AddV2") and _sum_of_products(graph, clipped):
        variable, name = _matrix(graph, clipped), "cell_clip"
    else:
        return
    if variable is not None:
        found.setdefault(cell_scope(variable), {})[name] = limit


def _sum_of_products(graph: Graph, node: Node) -> bool:
    sides = [graph.origin(node, side) for side in (0, 1)]
    return all(side is not None and side[0].op == "Mul" for side in sides)


def _limits(graph: Graph, node: Node) -> tuple[float | None, Node | None]:
    """(c, what is clipped to -c … c)."""
    if node.op == "ClipByValue":
        low, high, source = graph.constant(node, 1), graph.constant(node, 2), graph.origin(node, 0)
    else:  # Maximum(Minimum(x, high), low)
        inner = graph.origin(node, 0)
        if inner is None or inner[0].op != "Minimum":
            return None, None
        low, high, source = graph.constant(node, 1), graph.constant(inner[0], 1), graph.origin(inner[0], 0)
    if low is None or high is None or low != -high or source is None:
        return None, None
    return high, source[0]


_Teller = Callable[[Graph, Node, "dict[str, dict[str, Any]]"], None]
_TELLERS: dict[str, _Teller] = {
    **dict.fromkeys(_BLOCKS, _block),
    **dict.fromkeys(ACTIVATIONS, _activation),
    "Maximum": _clip,
    "ClipByValue": _clip,
}
_TOLD = frozenset(op.encode() for op in _TELLERS)
