"""Writes what Keras 3 loads: ``.weights.h5`` for ``model.load_weights``, ``.keras`` and ``.h5`` for ``load_model``.

The tensors are called ``<declared.path>/cell/vars/0`` and the like; Keras's own group names are made here.  Layers
that feed one another in a single line become a Sequential, anything else a Functional model with an input for every
first layer and an output for every last one.  All layers return sequences.
Source: files of Keras 3.15.1; the order of a Functional model's layers, which decides on the group names, follows
keras/src/ops/function.py, ``map_graph``.  Not known here: layers with more than one input.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from ..errors import NotRepresentable, UsageError, few
from ..record import record
from ..tensors import Declared, StoredTensor, Tensors
from ._hdf5_write import Folder, Plan
from ._keras_names import numbered, snake_case
from ._zip import ZipWriter

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO, Any

KERAS_VERSION = "3.15.1"  # the version whose files these are modelled on and tested with
_DATE = "1980-01-01@00:00:00"  # the same bytes on every day
_DTYPES = frozenset(("float64", "float32", "float16"))
_MERGES = ("concat", "sum", "mul", "ave")
_OURS = ("wrapper", "merge_mode", "input_size")  # settings that are said elsewhere than in the layer's own config
_NAMES = 3_000  # to one attribute: variable-length strings take 16 bytes each there


@record
class _Layer:
    """One layer to be written: ``group`` is Keras's name for its place, ``tensors`` go by the rest of their names."""

    said: Declared
    group: str
    name: str
    dtype: str
    tensors: Mapping[str, StoredTensor]
    index: int  # among the declared: the order in which a Functional model takes its inputs

    @property
    def kind(self) -> str:
        return self.said.kind.removeprefix("keras.")

    @property
    def bidirectional(self) -> bool:
        return bool(self.said.settings.get("wrapper"))

    @property
    def shape(self) -> list[int | None]:
        return [None, None, int(self.said.settings["input_size"])]


def write_weights_h5(path: Path, tensors: Tensors) -> None:
    """``.weights.h5``: for a model of the same layers in the same order, whatever their names."""
    layers = _layers(tensors, path)
    with open(path, "wb") as file:
        file.writelines(Plan(_weights(layers)).pieces())


def write_keras_zip(path: Path, tensors: Tensors) -> None:
    """``.keras``: config.json, metadata.json and model.weights.h5, stored, in Keras's order."""
    layers = _layers(tensors, path)
    with open(path, "wb") as file:
        put_zip(file, _model_config(layers), _weights(layers))


def write_keras_h5(path: Path, tensors: Tensors) -> None:
    """``.h5``: the config as an attribute, each layer's weights as a list under names such as Keras 3 gives them."""
    layers = _layers(tensors, path)
    root = _model_config(layers)
    put_legacy(path, root, {layer.name: list(_as_listed(layer)) for layer in layers})


def _as_listed(layer: _Layer) -> Iterator[StoredTensor]:
    inner, roles = snake_case(layer.kind), ("kernel", "recurrent_kernel", "bias")
    for tail, tensor in sorted(layer.tensors.items(), key=lambda item: (item[0].startswith("backward"), item[0])):
        owner, _, index = tail.partition("/vars/")
        words = [f"{inner}_cell" if word == "cell" else word.replace("layer", inner) for word in owner.split("/")]
        yield tensor.renamed("/".join((layer.name, *words, roles[int(index)])))


def put_zip(file: IO[bytes], config: Mapping[str, Any], weights: Folder) -> None:
    """A ``.keras`` of any config, with what its model.weights.h5 holds."""
    about = json.dumps({"keras_version": KERAS_VERSION, "date_saved": _DATE}).encode()
    said = json.dumps(config).encode()
    plan = Plan(weights)
    archive = ZipWriter(file)
    archive.add("metadata.json", len(about), [about])
    archive.add("config.json", len(said), [said])
    archive.add("model.weights.h5", plan.size, plan.pieces())
    archive.close()


def weights_of(named: Mapping[str, str], tensors: Iterable[StoredTensor]) -> Folder:
    """A ``.weights.h5``: a group ``vars`` with its user's name for every place ("" for the model itself, which has one also
    where it has no name), and the tensors by their full names."""
    root = Folder()
    for place, name in named.items():
        root.at(f"{place}/vars" if place else "vars").attributes["name"] = name
    for tensor in tensors:
        root.put(tensor.name, tensor)
    root.at("vars")
    return root


def put_legacy(path: Path, config: Mapping[str, Any] | None, groups: Mapping[str, list[StoredTensor]]) -> None:
    """A ``.h5``: each group's weights as a list, in the group ``model_weights`` beside the config, or alone."""
    about: dict[str, str | list[str]] = {"keras_version": KERAS_VERSION, "backend": "tensorflow"}
    root = weights = Folder()
    if config is not None:
        root.attributes.update(about, model_config=json.dumps(config))
        weights = root.at("model_weights")
    weights.attributes.update(about, **_names("layer_names", list(groups)))
    for group, tensors in groups.items():
        place = weights.at(group)
        place.attributes.update(_names("weight_names", [tensor.name for tensor in tensors]))
        for tensor in tensors:
            place.put(tensor.name, tensor)
    with open(path, "wb") as file:
        file.writelines(Plan(root).pieces())


def _names(attribute: str, names: list[str]) -> dict[str, str | list[str]]:
    """HDF5 holds 64 KB in an attribute: long lists are split as Keras splits them."""
    parts = [names[start : start + _NAMES] for start in range(0, len(names), _NAMES)] or [[]]
    return {attribute if len(parts) == 1 else f"{attribute}{index}": part for index, part in enumerate(parts)}


# The plan.


def _layers(tensors: Tensors, path: Path) -> list[_Layer]:
    """The layers in the order of Keras's ``model.layers``, each with its tensors.  Refuses what it cannot place."""
    if tensors.naming != "keras-vars" or not tensors.declared:
        raise UsageError(
            "only tensors that are named and declared as Keras does can be written as a Keras file.", path=path,
            next="To make Keras layers of other ones: gatewise convert.",
        )  # fmt: skip
    owned: dict[str, dict[str, StoredTensor]] = {said.path: {} for said in tensors.declared}
    if len(owned) != len(tensors.declared):
        raise UsageError("two layers are declared with the same path.", path=path)
    for name, tensor in tensors.items():
        owner = next((place for place in _above(name) if place in owned), None)
        if owner is None:
            raise NotRepresentable(f"tensor {name!r} belongs to none of the declared layers.", path=path)
        owned[owner][name.removeprefix(f"{owner}/")] = tensor
    places = {said.path: place for place, said in enumerate(tensors.declared)}
    counts: dict[str, int] = {}
    names: dict[str, int] = {}
    layers = []
    for said in _in_keras_order(tensors.declared, path):
        _check(said, path)
        spelled = "bidirectional" if said.settings.get("wrapper") else snake_case(said.kind.removeprefix("keras."))
        group = numbered(spelled, counts)
        # Keras allows no slash in a layer's name, and no two layers of one name.
        name = numbered((said.name or group).replace("/", "_"), names)
        dtype = _dtype(said, owned[said.path], path)
        layers.append(_Layer(said, group, name, dtype, owned[said.path], places[said.path]))
    return layers


def _above(name: str) -> Iterator[str]:
    """The paths that a name lies below, the longest first."""
    while name := name.rpartition("/")[0]:
        yield name


def _check(said: Declared, path: Path) -> None:
    settings = said.settings
    if settings.get("wrapper") not in (None, "Bidirectional"):
        raise NotRepresentable(f"layer {said.path!r} is wrapped in {settings['wrapper']}.", path=path)
    if settings.get("wrapper") and settings.get("merge_mode") not in _MERGES:
        merge = settings.get("merge_mode")
        raise NotRepresentable(f"layer {said.path!r} merges its directions by {merge!r}, not {_MERGES}.", path=path)
    if type(settings.get("input_size")) is not int:
        raise UsageError(
            f"what layer {said.path!r} takes in is not told: where it comes from are weights without their model.", path=path,
            next="Write weights alone (.weights.h5), or convert the recurrent layers: gatewise convert.",
        )  # fmt: skip


def _dtype(said: Declared, tensors: Mapping[str, StoredTensor], path: Path) -> str:
    dtypes = {tensor.dtype for tensor in tensors.values()}
    if len(dtypes) != 1 or not dtypes <= _DTYPES:
        found = ", ".join(sorted(dtypes)) or "no tensors"
        raise NotRepresentable(
            f"layer {said.path!r} has {found}; it needs one of {', '.join(sorted(_DTYPES))} throughout.", path=path
        )
    return dtypes.pop()


def _in_keras_order(declared: tuple[Declared, ...], path: Path) -> list[Declared]:
    """Farthest from an output first; at the same distance, by the output that is reached."""
    by_path = {said.path: said for said in declared}
    for said in declared:
        if len(said.after) > 1 or not by_path.keys() >= set(said.after):
            sources = few(said.after)
            raise NotRepresentable(f"layer {said.path!r} takes from {sources}: not one layer of this file.", path=path)
    followed = {source for said in declared for source in said.after}
    depth: dict[str, int] = {}
    first: dict[str, int] = {}
    for index, end in enumerate(said for said in declared if said.path not in followed):
        here, distance = end, 0
        while True:
            depth[here.path] = max(depth.get(here.path, 0), distance)
            first.setdefault(here.path, index)
            if not here.after or distance > len(declared):
                break
            here, distance = by_path[here.after[0]], distance + 1
    if depth.keys() != by_path.keys():
        raise NotRepresentable("the layers feed each other in a circle.", path=path)
    return sorted(declared, key=lambda said: (-depth[said.path], first[said.path]))


def _is_one_line(layers: list[_Layer]) -> bool:
    expected: list[tuple[str, ...]] = [()]
    expected += [(layer.said.path,) for layer in layers[:-1]]
    return [layer.said.after for layer in layers] == expected


# HDF5.


def _weights(layers: list[_Layer]) -> Folder:
    named = {path: name for layer in layers for path, name in _groups(layer)}
    tensors = (
        tensor.renamed(f"layers/{layer.group}/{tail}") for layer in layers for tail, tensor in layer.tensors.items()
    )
    return weights_of({**named, "": _model_name(layers)}, tensors)


def _groups(layer: _Layer) -> Iterator[tuple[str, str]]:
    """Every object of the layer has a group ``vars`` with its name, also where it has no variables of its own."""
    path, inner = f"layers/{layer.group}", snake_case(layer.kind)
    yield path, layer.name
    owners = dict.fromkeys(tail.partition("/vars/")[0] for tail in layer.tensors if "/vars/" in tail)
    for owner in owners:  # "cell", or "forward_layer/cell" and "backward_layer/cell"
        wrapped = owner.partition("/")[0]
        if wrapped != owner:
            yield f"{path}/{wrapped}", wrapped.replace("layer", inner)
        yield f"{path}/{owner}", f"{inner}_cell"


def _model_name(layers: list[_Layer]) -> str:
    return "sequential" if _is_one_line(layers) else "functional"


# config.json.


def _model_config(layers: list[_Layer]) -> dict[str, Any]:
    if _is_one_line(layers):
        return _sequential(layers)
    return _functional(layers)


def _sequential(layers: list[_Layer]) -> dict[str, Any]:
    first = layers[0]
    body = {
        "name": "sequential",
        "trainable": True,
        "dtype": first.dtype,
        "layers": [_input(first, "input_layer"), *map(_layer_config, layers)],
        "build_input_shape": first.shape,
    }
    return {"module": "keras", "class_name": "Sequential", "config": body, "registered_name": None}


def _functional(layers: list[_Layer]) -> dict[str, Any]:
    by_path = {layer.said.path: layer for layer in layers}
    followed = {source for layer in layers for source in layer.said.after}
    counts = {layer.name: 1 for layer in layers}
    nodes: list[dict[str, Any]] = []
    inputs: dict[int, list[Any]] = {}
    for layer in layers:
        if layer.said.after:
            source = by_path[layer.said.after[0]]
            before, dtype = source.name, source.dtype
        else:
            before, dtype = numbered("input_layer", counts), layer.dtype
            inputs[layer.index] = [before, 0, 0]
            nodes.append({**_input(layer, before), "name": before, "inbound_nodes": []})
        tensor = {"shape": layer.shape, "dtype": dtype, "keras_history": [before, 0, 0]}
        call = {"args": [{"class_name": "__keras_tensor__", "config": tensor}], "kwargs": {}}
        nodes.append({**_layer_config(layer), "name": layer.name, "inbound_nodes": [call]})
    body = {
        "name": "functional",
        "trainable": True,
        "layers": nodes,
        "input_layers": [reference for _, reference in sorted(inputs.items())],
        "output_layers": [[layer.name, 0, 0] for layer in layers if layer.said.path not in followed],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": body,
        "registered_name": "Functional",
    }


def _node(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": dict(config), "registered_name": None}


def _input(layer: _Layer, name: str) -> dict[str, Any]:
    return _node("InputLayer", {"batch_shape": layer.shape, "dtype": layer.dtype, "sparse": False, "name": name})


def _layer_config(layer: _Layer) -> dict[str, Any]:
    build = {"build_config": {"input_shape": layer.shape}}
    if not layer.bidirectional:
        return {**_node(layer.kind, _plain(layer, layer.name)), **build}
    inner, backwards = snake_case(layer.kind), bool(layer.said.settings.get("go_backwards"))
    directions = {
        "layer": {**_plain(layer, f"forward_{inner}"), "go_backwards": backwards},
        "backward_layer": {**_plain(layer, f"backward_{inner}"), "go_backwards": not backwards},
    }
    config = {
        **_common(layer, layer.name),
        "merge_mode": layer.said.settings["merge_mode"],
        **{key: {**_node(layer.kind, direction), **build} for key, direction in directions.items()},
    }
    return {**_node("Bidirectional", config), **build}


def _common(layer: _Layer, name: str) -> dict[str, Any]:
    return {"name": name, "trainable": True, "dtype": layer.dtype}


def _plain(layer: _Layer, name: str) -> dict[str, Any]:
    """The layer's own config.  What it does not say has Keras's default."""
    config = {key: value for key, value in layer.said.settings.items() if key not in _OURS}
    if layer.dtype == "float16":
        # Keras fills a layer before it loads the weights, and the default Orthogonal needs a QR decomposition,
        # which torch does not have in half precision on a CPU.
        config["recurrent_initializer"] = "glorot_uniform"
    return {**config, **_common(layer, name), "return_sequences": True, "return_state": False}
