"""The graph that Paddle keeps beside its parameters: ``.json`` since 3.0 (PIR), ``.pdmodel`` or ``__model__`` before.

It tells what the file of tensors does not: their names, which are sorted there, and the ``rnn`` operators with their
weights in the operator's order: every layer's and direction's matrices, then every bias.  Sources:
paddle/fluid/framework/framework.proto (ProgramDesc, BlockDesc, OpDesc, VarDesc), paddle/fluid/pir/serialize_deserialize
(the short keys of the JSON), paddle/phi/kernels/funcs/rnn_functor.h and python/paddle/nn/layer/rnn.py (_all_weights).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import GatewiseError
from ..source import Source
from ..tensors import Declared
from ._many import Names
from ._protobuf import BOOL, FLOAT, INT, TEXT, Message
from .paddle_tensors import Program

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

_VARIABLE = Message({1: ("name", TEXT), 2: ("type", Message({1: ("type", INT)})), 3: ("persistable", BOOL)})
_SLOT = Message({1: ("parameter", TEXT), 2: ("arguments", [TEXT])})
_ATTRIBUTE = Message({1: ("name", TEXT), 3: ("i", INT), 4: ("f", FLOAT), 5: ("s", TEXT), 10: ("b", BOOL)})
_OPERATOR = Message({1: ("inputs", [_SLOT]), 3: ("type", TEXT), 4: ("attrs", [_ATTRIBUTE])})
_PROGRAM = Message({1: ("blocks", [Message({3: ("vars", [_VARIABLE]), 4: ("ops", [_OPERATOR])})])})
_NO_PARAMETERS = (9, 10, 17)  # the lists of what is fed and fetched, and raw variables


def program_beside(source: Source, notes: list[str]) -> Program | None:
    """What the graph beside a file of tensors tells; None where there is none that can be read."""
    stem = re.sub(r"\.pdiparams$", "", source.path.name)
    for name, read in ((f"{stem}.json", _of_json), (f"{stem}.pdmodel", _of_protobuf), ("__model__", _of_protobuf)):
        if name != source.path.name and name in source.folder:
            try:
                return read(source.folder.open(name))
            except (GatewiseError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                notes.append(f"the graph beside it, {name}, cannot be read ({type(error).__name__}: {error}).")
    return None


def _of_json(graph: Source) -> Program:
    graph.limits.check("header_bytes", graph.size, path=graph.path)
    blocks = json.loads(bytes(graph.data))["program"]["regions"][0]["blocks"]
    names: dict[int, str] = {}
    saved: list[str] = []
    lists: dict[int, list[int]] = {}
    declared: list[Declared] = []
    fresh = Names()
    for op in (op for block in blocks for op in block["ops"]):
        if op["#"] == "p":  # a parameter: A is [is distributed, is a parameter, needs clipping, name]
            names[op["O"]["%"]] = op["A"][3]
            saved.append(str(op["A"][3]))
        elif op["#"] == "0.combine":
            lists[op["O"][0]["%"]] = [each["%"] for each in op["I"]]
        elif op["#"] == "1.rnn":
            weights = [names.get(value, "") for value in lists.get(op["I"][2]["%"], [])]
            declared += _operator(_settings(op["A"]), weights, fresh)
    return Program(tuple(sorted(saved)), tuple(declared))


def _settings(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {each["N"]: each["AT"]["D"] for each in attributes if isinstance(each["AT"]["D"], (str, int, float))}


def _of_protobuf(graph: Source) -> Program:
    program = _PROGRAM.read(graph.cursor(where=graph.path.name), graph.limits)
    names: set[str] = set()
    declared: list[Declared] = []
    fresh = Names()
    for block in program["blocks"]:
        for variable in block["vars"]:
            if variable.get("persistable") and variable.get("type", {}).get("type") not in _NO_PARAMETERS:
                names.add(variable.get("name", ""))
        for op in block["ops"]:
            if op.get("type") == "rnn":
                inputs = {slot.get("parameter"): slot["arguments"] for slot in op["inputs"]}
                told = {each.get("name", ""): _value(each) for each in op["attrs"]}
                declared += _operator(told, inputs.get("WeightList", []), fresh)
    return Program(tuple(sorted(names)), tuple(declared))


def _value(attribute: Mapping[str, Any]) -> Any:
    return next((attribute[kind] for kind in ("s", "i", "f", "b") if kind in attribute), None)


def _operator(settings: Mapping[str, Any], weights: Sequence[str], fresh: Names) -> Iterator[Declared]:
    """One ``rnn`` operator, its weights called as the layer's state dict calls them."""
    ways, layers = ("_fw", "_bw") if settings.get("is_bidirec") else ("",), settings.get("num_layers", 0)
    if not isinstance(layers, int) or not 0 < 4 * layers * len(ways) == len(weights):
        return  # the number of layers is the file's: it is held against the weights before anything is made of it
    places = [f"{layer}.cell{way}" for layer in range(layers) for way in ways]
    words = [f"{place}.{kind}_{side}" for kind in ("weight", "bias") for place in places for side in ("ih", "hh")]
    if not all(weights):
        return
    name = fresh(str(settings.get("struct_name") or "").strip("/") or "rnn")
    inputs = dict(zip(words, weights, strict=True))
    yield Declared(name, f"paddle.rnn({settings.get('mode')})", dict(settings), name=name, inputs=inputs)
