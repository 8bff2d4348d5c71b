"""The graph that MXNet keeps beside its parameters: ``model-symbol.json`` for ``model-0000.params``.

It tells what the arrays do not: an ``RNN`` operator's mode, depth, directions and sizes, and which parameters it is given:
one vector, or a layer's matrices laid end to end.  Source: nnvm/src/pass/saveload_json.cc (nodes, inputs, attrs; ``attr``
and ``param`` in older files), src/operator/rnn-inl.h, ``RNNParam``; python/mxnet/gluon/rnn/rnn_layer.py, _forward_kernel.
Not known here: graphs of unfused cells, whose operators are plain matrix products.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import GatewiseError
from ..source import Source
from ..tensors import Declared

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_OPERATORS = ("RNN", "_npx_rnn")
_ASIDE = ("Reshape", "reshape", "_npx_reshape", "_np_reshape", "_rnn_param_concat", "_npi_rnn_param_concat", "Concat")
_NUMBERS = ("state_size", "num_layers", "projection_size")
_LAYER = re.compile(r"(?P<path>.*?)_?[lr]\d{1,6}_(?:i2h|h2h|h2r)_(?:weight|bias)")
_VECTOR = re.compile(r"(?:arg:)?(?:.*_)?(?:parameters|rnn_param)")
_MOST_PARTS = 100_000


def declared_beside(source: Source, names: Sequence[str], notes: list[str]) -> list[Declared]:
    """What the graph beside the file says of its recurrent operators; nothing where there is no graph."""
    stem = re.sub(r"(-\d{4})?\.params$", "", source.path.name)
    beside = next((name for name in (f"{stem}-symbol.json", f"{stem}.json") if name in source.folder), None)
    if beside is None or beside == source.path.name:
        vector = next((name for name in names if _VECTOR.fullmatch(name)), None)
        if vector is not None:
            notes.append(
                f"{vector} may be all parameters of a fused layer, and the graph that tells its mode and sizes is not "
                "beside the file: say --from mxnet.fused_lstm (or _gru, _rnn) with --units, --layers and --directions"
            )
        return []
    try:
        graph = source.folder.open(beside)
        source.limits.check("header_bytes", graph.size, path=graph.path)
        nodes = json.loads(bytes(graph.data))["nodes"]
        found = list(_Graph(nodes, names).operators())
    except (GatewiseError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        notes.append(f"the graph beside it, {beside}, cannot be read ({type(error).__name__}: {error}).")
        return []
    notes.append(f"the graph beside it, {beside}, tells of {len(found)} recurrent operator(s).")
    return found


class _Graph:
    def __init__(self, nodes: list[dict[str, Any]], names: Sequence[str]):
        self.nodes = nodes
        self.stored = {name.removeprefix("arg:"): name for name in reversed(names)}
        self.paths: dict[int, str] = {}

    def operators(self) -> Iterator[Declared]:
        for index, node in enumerate(self.nodes):
            if node["op"] in _OPERATORS:
                settings = _settings(node)
                parameters = [name for name in self._leaves(node["inputs"][1][0]) if name in self.stored]
                if parameters:
                    yield self._declared(index, node, settings, parameters)

    def _declared(
        self, index: int, node: Mapping[str, Any], settings: Mapping[str, Any], parameters: list[str]
    ) -> Declared:
        kind = f"mxnet.RNN({settings.get('mode')})"
        below = self.paths.get(node["inputs"][0][0])
        after = () if below is None or node["inputs"][0][1] != 0 else (below,)
        if len(parameters) == 1:
            path = parameters[0].removesuffix("parameters").rstrip("_")
            inputs = {"parameters": self.stored[parameters[0]]}
        else:
            found = _LAYER.fullmatch(parameters[0])
            path, inputs = found["path"] if found else "", {}
        self.paths[index] = path
        return Declared(path, kind, settings, after=after, inputs=inputs)

    def _leaves(self, start: int) -> list[str]:
        """The variables that are laid end to end into a node, in their order."""
        todo, found = [start], []
        for _ in range(_MOST_PARTS):
            if not todo:
                break
            node = self.nodes[todo.pop()]
            if node["op"] == "null":
                found.append(str(node["name"]))
            elif node["op"] in _ASIDE:
                todo += [each[0] for each in reversed(node["inputs"])]
        return found


def _settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """The operator's attributes, which the file holds as texts, as plain values."""
    told = {key: value for name in ("param", "attr", "attrs") for key, value in (node.get(name) or {}).items()}
    settings: dict[str, Any] = {}
    for key, value in told.items():
        if key in _NUMBERS and str(value).isdigit():
            settings[key] = int(value)
        elif key == "bidirectional":
            settings[key] = str(value) in ("True", "1", "true")
        elif not key.startswith("__"):
            settings[key] = value
    return settings
