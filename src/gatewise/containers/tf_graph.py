"""TensorFlow graphs in one file: frozen ones (``.pb``), whose weights are constants, and ``.meta`` without a checkpoint.

A constant is called as the variable that it was: ``rnn/lstm_cell/kernel``.  Nothing in the graph is run.
Source: tensorflow/core/framework/graph.proto, tensorflow/python/framework/graph_util_impl.py (TF 1.15).
Not known here: graphs as text (``.pbtxt``).
"""

from __future__ import annotations

from ..errors import GatewiseError
from ..source import Source
from ..tensors import FLOATS, StoredTensor, Tensors
from . import Container

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from ..cursor import Cursor, Limits
    from ._tf_graph import Body, Node

_FEW = 3  # nodes that are looked at to tell a graph from other protocol buffers


def claims(source: Source) -> bool:
    """Is it a GraphDef, or a MetaGraphDef with a graph and without its checkpoint beside it?"""
    if source.whole or source.size < 8 or source.data[0] != 0x0A:
        return False
    try:
        return _is_graph(source.cursor(where="graph")) or (_is_meta(source) and not _has_checkpoint(source))
    except GatewiseError:
        return False


def _is_graph(cursor: Cursor) -> bool:
    """Do its first fields look like nodes: a name, then the operation's, a word that begins with a capital?"""
    from ._protobuf import BYTES_, fields

    seen = 0
    for number, wire, value in fields(cursor):
        if number != 1 or wire != BYTES_:
            return seen > 0 and number in (2, 3, 4)
        if not _looks_like_a_node(value):
            return False
        seen += 1
        if seen == _FEW:
            return True
    return seen > 0


def _looks_like_a_node(view: memoryview) -> bool:
    head = bytes(view[:1024])
    if len(head) < 6 or head[0] != 0x0A or head[1] > 0x7F:
        return False
    at = 2 + head[1]
    operation = head[at + 2 : at + 3]
    return head[at : at + 1] == b"\x12" and (operation.isupper() or operation == b"_") and head[2:at].isascii()


def _is_meta(source: Source) -> bool:
    from ._tf_meta import info_of, parts

    found = parts(source.cursor(where="meta graph"))
    version, _ = info_of(found, source.limits)
    return "graph" in found and version is not None and _is_graph(found["graph"])


def _has_checkpoint(source: Source) -> bool:
    prefix = source.path.name.removesuffix(".meta")
    return prefix != source.path.name and (f"{prefix}.index" in source.folder or prefix in source.folder)


def read(source: Source) -> Tensors:
    from ._tf_meta import info_of, parts

    if _is_graph(source.cursor(where="graph")):
        return of_graph(source.cursor(where="graph"), source, "tf-graph")
    found = parts(source.cursor(where="meta graph"))
    version, _ = info_of(found, source.limits)
    note = f"this is the graph alone; the weights are in the checkpoint {source.path.name.removesuffix('.meta')}, which is not beside it"
    return of_graph(found["graph"], source, "tf-graph", version, [note])


def of_graph(
    cursor: Cursor, source: Source, container: str, version: str | None = None, notes: list[str] | None = None
) -> Tensors:  # fmt: skip
    """The constants of a graph that hold more than one number, and what is known of the cells that use them."""
    from ._tf_graph import Graph
    from ._tf_meta import Told, cells_in
    from .tf_checkpoint import of_variables

    graph = Graph(cursor, source.limits)
    tensors: dict[str, StoredTensor] = {}
    for body in graph.bodies:
        for tensor in _constants(body, source.limits):
            tensors.setdefault(tensor.name, tensor)
    told = Told(version, cells_in(graph))
    return of_variables(
        list(tensors.values()), notes or [], told, path=source.name, container=container, bytes=source.size
    )


def _constants(body: Body, limits: Limits) -> list[StoredTensor]:
    found = (_constant(node, limits) for node in body.of((b"Const",)))
    return [tensor for tensor in found if tensor is not None]


def _constant(node: Node, limits: Limits) -> StoredTensor | None:
    from ._tf_graph import variable_name
    from ._tf_types import tensor_in

    message = node.tensor(limits)
    tensor = tensor_in(variable_name(node.name), message, limits, f"node {node.name!r}") if message else None
    if tensor is None or tensor.size < 2 or (tensor.dtype not in FLOATS and len(tensor.shape) < 2):
        return None  # part of the computation: a number, a shape, an order of axes
    return tensor


CONTAINERS = (
    Container(
        "tf-graph",
        title="TensorFlow graph (frozen .pb, .meta)",
        source="tensorflow/core/framework/graph.proto and frozen graphs of TF 1.15",
        claims=claims,
        read=read,
        rank=60,
    ),
)
