"""Keras's HDF5 files, in their two naming schemes.

``keras-h5``: whole models (``model.save("x.h5")``) and bare weights of Keras 1 and 2, of tf.keras, and Keras 3's
``.h5``; also the ``.keras`` of TensorFlow 2.3, which is the same.  The group ``model_weights`` (the root in a file of
bare weights) has the attribute ``layer_names``, each layer's group the attribute ``weight_names``: they give the
order.  HDF5 itself sorts by the alphabet.

``keras-weights-h5``: ``.weights.h5`` of tf.keras >= 2.12 and Keras 3.  Variables are called ``vars/0``, ``vars/1`` …
in groups that follow the objects: ``layers/lstm/cell/vars/0``.  There is no config in it, and nothing in it tells
the order of layers of different classes.

Source: files written by the versions in tests/fixtures/keras; keras/src/legacy/saving/legacy_h5_format.py and
keras/src/saving/saving_lib.py of Keras 3.15.1.  Not read: optimizer state.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping

from ..errors import BrokenFile, GatewiseError
from ..source import Source
from ..tensors import Declared, StoredTensor, Tensors, WrittenBy
from ._hdf5 import Dataset, Group, hdf5_of, natural
from ._keras_config import lambdas, model_of, parse
from ._keras_declared import declare
from ._keras_names import LegacyNames, Names

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

LEGACY, VARS, FOREIGN = "keras-h5", "keras-weights-h5", ""
_PROBES = 2_000  # members looked at to find a group called "vars"


@functools.lru_cache(maxsize=4)
def scheme(source: Source) -> str:
    """Which of the two it is.  An HDF5 file too broken to tell is claimed as legacy, whose reader then says why."""
    try:
        return hdf5_of(source).read(_scheme_of, keep=True)
    except GatewiseError:
        return LEGACY


def _scheme_of(root: Group) -> str:
    if "model_weights" in root or root.texts("layer_names") is not None:
        return LEGACY
    return VARS if _has_vars(root) else FOREIGN


def _has_vars(root: Group) -> bool:
    """Is there, near enough, a group called ``vars`` which holds nothing but ``0``, ``1`` …?"""
    todo = _names_in(root)
    for _ in range(_PROBES):
        if not todo:
            return False
        group, name = todo.pop()
        try:
            member = group.child(name)
        except BrokenFile:  # a link that leads elsewhere: perhaps the file is not Keras's
            continue
        if isinstance(member, Group):
            inside = _names_in(member)
            if name == "vars" and all(re.fullmatch(r"\d+", each) for _, each in inside):
                return True
            todo += inside
    return False


def _names_in(group: Group) -> list[tuple[Group, str]]:
    """The group and each of its members' names, none of which is opened."""
    try:
        return [(group, name) for name in group.names()]
    except BrokenFile:
        return []


# Legacy.


def read_legacy(source: Source) -> Tensors:
    """Tensors are called ``<layer group>/<weight name>``, as stored: ``lstm_1/lstm_1/kernel:0``."""
    groups, tensors, notes, told = hdf5_of(source).read(_legacy)
    text, version, backend = (told[name] for name in ("model_config", "keras_version", "backend"))
    config = parse(text, source.limits, "attribute model_config") if text is not None else None
    return Tensors(
        tensors,
        path=source.name,
        container=LEGACY,
        bytes=source.size,
        naming=LEGACY,
        declared=declared_of(config, LegacyNames(groups), version, source, notes),
        written_by=[_legacy_writer(version, backend)],
        notes=notes,
        metadata=_metadata(
            keras_version=version,
            backend=backend,
            config=config,
            groups=tuple(groups),
            compiled=told["training_config"] is not None or None,
        ),
    )


def _legacy(root: Group) -> tuple[dict[str, list[str]], list[StoredTensor], list[str], dict[str, str | None]]:
    """(the names of each group's weights, the tensors, notes, what the attributes say)."""
    notes: list[str] = []
    weights = root.group("model_weights") if "model_weights" in root else root
    groups, tensors = _legacy_tensors(weights, notes)
    told = {name: root.text(name) or weights.text(name) for name in ("keras_version", "backend")}
    told |= {name: root.text(name) for name in ("model_config", "training_config")}
    if "optimizer_weights" in root:
        notes.append("The optimizer's state (optimizer_weights) is in the file and is not read.")
    return groups, tensors, notes, told


def _legacy_tensors(weights: Group, notes: list[str]) -> tuple[dict[str, list[str]], list[StoredTensor]]:
    layers = weights.texts("layer_names")
    if layers is None:
        raise weights.file.broken("has no attribute layer_names, which lists the layers.", weights.where)
    groups: dict[str, list[str]] = {}
    tensors = []
    for layer in layers:
        group = weights.descend(layer)
        if isinstance(group, Dataset) or layer in groups:
            raise weights.file.broken(f"layer_names lists {layer!r}, which is no group of its own.", weights.where)
        groups[layer] = group.texts("weight_names") or []
        for name in groups[layer]:
            tensors.append(_tensor(group.descend(name), f"{layer}/{name}", notes))
    found = [tensor for tensor in tensors if tensor is not None]
    if len({tensor.name for tensor in found}) != len(found):
        raise weights.file.broken("two weights have the same name.", weights.where)
    weights.file.source.limits.check("tensors", len(found), path=weights.file.source.name)
    return groups, found


def _tensor(found: Group | Dataset, name: str, notes: list[str]) -> StoredTensor | None:
    if isinstance(found, Group):
        raise found.file.broken("is a group where a weight belongs.", found.where)
    tensor = found.tensor(name)
    if tensor is None:
        notes.append(f"{name} does not hold numbers and is left out.")
    return tensor


def _legacy_writer(version: str | None, backend: str | None) -> WrittenBy:
    if version is None:
        return WrittenBy("keras", "", "attribute layer_names without keras_version: bare weights of Keras <= 1.2")
    because = "attributes keras_version and backend" if backend else "attribute keras_version without backend: Keras 1"
    return WrittenBy(framework_of(version), version, because)


def framework_of(version: str) -> str:
    """``tf.keras`` or ``keras``.  TensorFlow's copy wrote ``2.2.4-tf`` up to TF 2.2; Keras itself has no 2.4 to 2.15
    apart from TensorFlow's (``2.4.0`` stands in the files of TF 2.3)."""
    number = re.match(r"2\.(\d+)\.", version)
    return "tf.keras" if version.endswith("-tf") or (number and int(number[1]) >= 4) else "keras"


def _metadata(**found: Any) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}


def declared_of(
    config: Mapping[str, Any] | None,
    names: Names,
    version: str | None,
    source: Source,
    notes: list[str],
) -> list[Declared]:
    """What the config says of the layers; a note where it says nothing or holds code."""
    if config is None:
        return []
    model = model_of(config, source.limits)
    if model is None:
        notes.append("The model is a subclass with a config of its own: it does not tell its layers.")
        return []
    code = ", ".join(lambdas(model))
    if code:
        notes.append(f"Lambda layers ({code}) hold code; gatewise never runs it.")
    return declare(model, names, version)


# Vars.


def read_vars(source: Source) -> Tensors:
    """Tensors are called by their path: ``layers/lstm/cell/vars/0``."""
    tensors, groups, notes = hdf5_of(source).read(vars_tensors)
    return Tensors(
        tensors,
        path=source.name,
        container=VARS,
        bytes=source.size,
        naming="keras-vars",
        declared=named_groups(groups),
        written_by=[_vars_writer(groups)],
        notes=["No config in the file: of layers of different classes it does not tell which comes first.", *notes],
    )


def vars_tensors(root: Group) -> tuple[list[StoredTensor], dict[str, str | None], list[str]]:
    """(tensors, every group's path with the user's name for it where the file records that, notes)."""
    tensors: list[StoredTensor] = []
    groups: dict[str, str | None] = {}
    notes: list[str] = []
    for group in _walk(root):
        groups.setdefault(group.path, None)
        if group.path.rpartition("/")[2] == "vars":
            groups[group.path.rpartition("/")[0]] = group.text("name")
            for name in sorted(group.names(), key=natural):
                tensor = _tensor(group.child(name), f"{group.path}/{name}", notes)
                tensors += [tensor] if tensor is not None else []
    root.file.source.limits.check("tensors", len(tensors), path=root.file.source.name)
    if "optimizer" in root:
        notes.append("The optimizer's state is in the file and is not read.")
    return tensors, groups, notes


def _walk(root: Group) -> Iterator[Group]:
    """Every group but the optimizer's, depth first: ``vars`` before children, numbers as numbers, forward first."""
    todo, count = [root], 0
    while todo:
        group = todo.pop()
        count += 1
        root.file.source.limits.check("members", count, path=root.file.source.name, where="HDF5 groups")
        yield group
        if group.path.rpartition("/")[2] == "vars":
            continue
        names = sorted(group.names(), key=_as_keras_counts)
        members = [group.child(name) for name in names if group.path or name != "optimizer"]
        todo += [member for member in reversed(members) if isinstance(member, Group)]


def _as_keras_counts(name: str) -> tuple[int, tuple[str, int]]:
    return {"vars": 0, "forward_layer": 1, "backward_layer": 2}.get(name, 3), natural(name)


def named_groups(groups: Mapping[str, str | None]) -> list[Declared]:
    """Without a config, what is left is the user's name of each group (Keras 3.15)."""
    return [Declared(path, "", name=name) for path, name in groups.items() if name is not None and path]


def _vars_writer(groups: Mapping[str, str | None]) -> WrittenBy:
    if any(name is not None for name in groups.values()):
        return WrittenBy("keras", ">=3.6", "vars groups with the attribute name, which Keras writes since 3.6")
    return WrittenBy("keras", "", "vars groups: Keras >= 3 or tf.keras >= 2.12")


def in_model_order(tensors: Iterable[StoredTensor], declared: Iterable[Declared]) -> list[StoredTensor]:
    """The tensors of the declared objects in their order, then the others as they came."""
    rank = {entry.path: index for index, entry in enumerate(declared)}

    def place(tensor: StoredTensor) -> int:
        path = tensor.name
        while path:
            path = path.rpartition("/")[0]
            if path in rank:
                return rank[path]
        return len(rank)

    return sorted(tensors, key=place)
