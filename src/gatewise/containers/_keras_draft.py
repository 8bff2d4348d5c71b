"""The draft of a Keras model: its whole config and the weights of every layer, to be treated and written as Keras 3's.

``.h5`` and ``.keras`` are both read into it and both written from it, all layers with their names.  A file of bare
weights has no config: its groups are kept as they are.
Source: keras/src/legacy/saving/legacy_h5_format.py and keras/src/saving/saving_lib.py of Keras 3.15.1.
Not kept: optimizer state, loss and metrics (the model comes back uncompiled), and assets.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from ..cursor import Limits
from ..errors import NotRepresentable
from ..source import Source
from ..tensors import StoredTensor, Tensors
from ._hdf5 import Bytes, natural
from ._hdf5_write import Folder
from ._keras_config import model_of
from ._keras_h5 import read_legacy, vars_tensors
from ._keras_names import VarsNames, snake_case
from ._keras_tree import MODELS, VARIABLES, Leaf, Node, fill_from_legacy, in_legacy_order, leaves_of, placed
from ._keras_write import put_legacy, put_zip, weights_of
from ._zip import zip_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MODEL, WEIGHTS = "model", "weights"
_H5, _ZIP = "keras-h5", "keras-zip"
_OF_TRAINING = ("metrics/", "_loss_tracker/", "_compile_metrics/", "compile_metrics/", "loss_tracker/")


class KerasDraft:
    """``config`` the model's node, ``leaves`` the owners of its weights; both may be changed.  ``compiled``: the file
    also says how the model was trained, which a draft leaves out."""

    def __init__(self, config: Node | None, leaves: list[Leaf], container: str, compiled: bool = False):
        self.config = config
        self.leaves = leaves
        self.container = container
        self.compiled = compiled
        self.is_modern = False  # a remedy that makes it Keras 3's says so here
        self._written = container

    # What a Draft is.

    @property
    def form(self) -> str:
        return WEIGHTS if self.config is None else MODEL

    @property
    def forms(self) -> tuple[str, ...]:
        return (self.form,)

    @property
    def writes(self) -> tuple[str, ...]:
        if self.config is None:
            return (_H5,)
        return (_H5, _ZIP) if self.container == _H5 else (_ZIP, _H5)

    def tensors(self, form: str) -> Tensors:
        """Every weight, under its name in the container that was written last."""
        del form
        named = self._for_zip() if self._written == _ZIP else self._for_h5()
        return Tensors((tensor for _, tensor in named), container=self._written)

    def losses(self, form: str) -> list[tuple[str, str]]:
        del form
        if not self.compiled:
            return []
        return [
            (
                "left out: how the model was compiled, and the optimizer's state; compile it again to train on",
                "exact for its outputs",
            )
        ]

    def write(self, path: Path, container: str, form: str) -> None:
        del form
        self._written = container
        if container == _ZIP:
            with open(path, "wb") as file:
                put_zip(file, self.config or {}, self._weights())
        else:
            put_legacy(path, self.config, self._groups())

    # What remedies use.

    def nodes(self) -> Iterator[Node]:
        """Every node of the config: models, layers, wrapped layers and cells."""
        if self.config is not None:
            yield from nodes_below(self.config)

    def rename_owners(self, names: Mapping[str, str]) -> None:
        """Layers of the outermost model were given other names: their weights follow."""
        for leaf in self.leaves:
            if leaf.owner in names:
                old, leaf.owner = leaf.owner, names[leaf.owner]
                leaf.tensors = [
                    tensor.renamed(f"{leaf.owner}/{tensor.name.removeprefix(f'{old}/')}")
                    if tensor.name.startswith(f"{old}/")
                    else tensor
                    for tensor in leaf.tensors
                ]

    # The two ways to lie.

    def _groups(self) -> dict[str, list[StoredTensor]]:
        """Layer of the outermost model → its flat list of weights, under the names that they have within its group."""
        order = [node_name(node) for _, node in placed(self.config, "layers")] if self.config else []
        owners = dict.fromkeys([*order, *(leaf.owner for leaf in self.leaves)])
        groups: dict[str, list[StoredTensor]] = {owner: [] for owner in owners}
        for owner, tensors in groups.items():
            own = [leaf for leaf in self.leaves if leaf.owner == owner]
            named = [_renamed(leaf) for leaf in own] if self.container == _ZIP else own
            tensors += [tensor.renamed(tensor.name.removeprefix(f"{owner}/")) for tensor in in_legacy_order(named)]
        return groups

    def _for_h5(self) -> Iterator[tuple[str, StoredTensor]]:
        for owner, tensors in self._groups().items():
            for tensor in tensors:
                yield owner, tensor.renamed(f"{owner}/{tensor.name}")

    def _for_zip(self) -> Iterator[tuple[Leaf, StoredTensor]]:
        for leaf in self.leaves:
            self._check_place(leaf)
            for index, tensor in enumerate(leaf.tensors):
                name = f"{leaf.path}/vars/{index}" if leaf.known or self.container == _H5 else tensor.name
                yield leaf, tensor.renamed(name)

    def _check_place(self, leaf: Leaf) -> None:
        if leaf.tensors and not leaf.known and self.container != _ZIP:
            raise NotRepresentable(
                f"layer {leaf.owner!r} is a {leaf.kind}, and gatewise does not know under which names .keras keeps its weights.",
                next="Write .h5 instead, which keeps them as a list: -o OUT.h5.",
            )

    def _weights(self) -> Folder:
        named = {path: node_name(node) for path, node in _all_placed(self.config or {}, "layers")}
        return weights_of(named, [tensor for _, tensor in self._for_zip()])


def node_name(node: Node) -> str:
    config = node.get("config")
    return str(node.get("name") or (config.get("name") if isinstance(config, dict) else None) or "")


def nodes_below(node: Node) -> Iterator[Node]:
    """A node, and what it holds: a model's layers, what a wrapper wraps, an RNN's cells."""
    yield node
    body = node.get("config")
    held: list[Any] = list(body) if isinstance(body, list) else []
    if isinstance(body, dict):
        held = [
            *_listed(body.get("layers")),
            *(body.get(key) for key in ("layer", "backward_layer", "cell")),
            *_listed(body.get("cells")),
        ]
    for inner in held:
        if isinstance(inner, dict) and "class_name" in inner:
            yield from nodes_below(inner)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _all_placed(model: Node, container: str) -> Iterator[tuple[str, Node]]:
    for path, node in placed(model, container):
        yield path, node
        if node.get("class_name") in MODELS:
            yield from _all_placed(node, f"{path}/layers")


def _renamed(leaf: Leaf) -> Leaf:
    """A leaf from a ``.keras``, its variables under names such as Keras 3 gives them in ``.h5``."""
    names = [
        name
        for name, setting in VARIABLES.get(leaf.kind, ())
        if not setting or (leaf.node.get("config") or {}).get(setting, True)
    ]
    inner = snake_case(leaf.kind.removesuffix("Cell"))
    words = {
        "forward_layer": f"forward_{inner}",
        "backward_layer": f"backward_{inner}",
        "cell": f"{inner}_cell",
        "layers": "",
        "layer": "",
    }
    tail = "/".join(filter(None, (words.get(word, word) for word in leaf.path.split("/")[2:])))
    stem = "/".join(filter(None, (leaf.owner, tail)))
    tensors = [
        tensor.renamed(f"{stem}/{names[index] if len(names) == len(leaf.tensors) else index}")
        for index, tensor in enumerate(leaf.tensors)
    ]
    return Leaf(leaf.node, leaf.path, leaf.owner, leaf.trainable, tensors)


# Reading.


def draft_of_h5(source: Source) -> KerasDraft:
    """The draft of a ``.h5``."""
    tensors, limits = read_legacy(source), source.limits
    config = copy.deepcopy(tensors.metadata.get("config"))
    compiled = bool(tensors.metadata.get("compiled"))
    if config is None:
        leaves = [
            Leaf({}, group, group, tensors=list(own))
            for group, own in _by_group(tensors, list(tensors.metadata["groups"])).items()
        ]
        return KerasDraft(None, leaves, _H5)
    leaves = leaves_of(config) if model_of(config, limits) else []
    if not leaves and tensors:
        raise NotRepresentable("the model is a subclass with a config of its own: it does not tell its layers.")
    groups = _by_group(tensors, list(tensors.metadata["groups"]))
    unknown = [group for group, own in groups.items() if own and group not in {leaf.owner for leaf in leaves}]
    if unknown:
        raise NotRepresentable(f"the weights of {unknown[0]!r} belong to no layer of the config.")
    fill_from_legacy(leaves, groups)
    return KerasDraft(config, leaves, _H5, compiled)


def _by_group(tensors: Tensors, groups: list[str]) -> dict[str, list[StoredTensor]]:
    """Layer group → its weights in the file's order."""
    found: dict[str, list[StoredTensor]] = {group: [] for group in groups}
    longest = sorted(groups, key=len, reverse=True)
    for name, tensor in tensors.items():
        found[next(group for group in longest if name.startswith(f"{group}/"))].append(tensor)
    return found


def draft_of_zip(source: Source) -> KerasDraft:
    """The draft of a ``.keras``: every leaf looks for its variables where the version that wrote the file put them."""
    from .keras_zip import CONFIG, METADATA, WEIGHTS, read  # keras_zip names this function, and is named here

    archive, limits = zip_of(source), source.limits
    others = [name for name in archive if name not in (CONFIG, METADATA, WEIGHTS) and not name.endswith("/")]
    if others:
        raise NotRepresentable(f"the archive also holds {others[0]}, which a draft would lose.")
    tensors = read(source)
    _, groups, _ = Bytes(source, archive.read(WEIGHTS), f"member {WEIGHTS}").read(vars_tensors)
    config = copy.deepcopy(tensors.metadata["config"])
    model = model_of(config, limits)
    if model is None:
        raise NotRepresentable("the model is a subclass with a config of its own: it does not tell its layers.")
    leaves = leaves_of(config)
    names = VarsNames(groups, list(tensors))
    old = dict(_old_places(config, names, "", limits))
    claimed: set[str] = set()
    for leaf in leaves:
        stem = leaf.path
        while stem not in old:  # the longest beginning of its path that is a layer of the config
            stem = stem.rpartition("/")[0]
            if not stem:
                raise NotRepresentable(f"{leaf.path} lies in no layer of the config.")
        where = old[stem] + leaf.path.removeprefix(stem)
        leaf.tensors = [tensors[name] for name in sorted(_below(tensors, where, leaf.known), key=natural)]
        claimed |= {tensor.name for tensor in leaf.tensors}
    spare = [name for name in tensors if name not in claimed and not name.startswith(_OF_TRAINING)]
    if spare:
        raise NotRepresentable(
            f"{len(spare)} weights belong to no layer that gatewise can place, the first is {spare[0]!r}."
        )
    trained = "compile_config" in config or any(name.startswith(_OF_TRAINING) for name in tensors)
    return KerasDraft(config, leaves, _ZIP, trained)


def _below(tensors: Tensors, where: str, known: bool) -> Iterator[str]:
    for name in tensors:
        if name.startswith(f"{where}/vars/") or (not known and name.startswith(f"{where}/")):
            yield name


def _old_places(node: Node, names: VarsNames, scope: str, limits: Limits) -> Iterator[tuple[str, str]]:
    """(where Keras 3 puts a layer, where the file has it) of every layer, nested ones too."""
    model = model_of(node, limits)
    if model is None:
        return
    new = {node_name(inner): (path, inner) for path, inner in placed(node, "layers")}
    for layer, place in zip(model.layers, names.places(scope, model), strict=True):
        path, inner = new[layer.name]
        yield path, place
        if inner.get("class_name") in MODELS:
            for below, old in _old_places(inner, names, names.within(place), limits):
                yield f"{path}/{below}", old
