"""What a Keras SavedModel says of its layers: a JSON text for every Keras object, with its class and its config.

TensorFlow 2.5 and later keep them in ``keras_metadata.pb``, earlier ones in the object graph of ``saved_model.pb``.
A model that Keras can rebuild has all of its layers' configs in its own, with what follows what; of one that it cannot,
each layer speaks for itself.  Source: keras/src/saving/legacy/saved_model/{save,load}.py and
protobuf/saved_metadata.proto (Keras 2.15), and SavedModels of TF 2.1, 2.2, 2.3 and 2.15.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ..cursor import Cursor, Limits
from ..errors import BrokenFile
from ..source import Folder
from ..tensors import Declared
from ._keras_config import Layer, Model, inner_of, model_of
from ._keras_declared import declare, unwrap
from ._protobuf import TEXT, Message
from ._tf_objects import CHILD, children_of, paths_through

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

METADATA = "keras_metadata.pb"
_SAVED = Message({1: ("nodes", [Message({3: ("path", TEXT), 4: ("identifier", TEXT), 5: ("text", TEXT)})])})
_OBJECTS = Message({1: ("nodes", [Message({
    1: ("children", [CHILD]), 4: ("user", Message({1: ("identifier", TEXT), 3: ("text", TEXT)})),
})])})  # fmt: skip
_LAYERS = ("_tf_keras_layer", "_tf_keras_rnn_layer")
_WRAPPERS = ("Bidirectional", "TimeDistributed", "RNN")


class KerasObjects:
    """Keras's objects by path: ``said[path]`` is the JSON text of each, parsed.  Also a naming scheme (``_keras_names``):
    the place of a layer is the path of the object that has its name."""

    def __init__(self, said: Mapping[str, dict[str, Any]], kinds: Mapping[str, str], tensors: tuple[str, ...]):
        self.said = said
        self.kinds = kinds  # what each object is: ``_tf_keras_layer`` …
        self._tensors = tensors
        self._inside: dict[str, dict[str, str]] = {}  # model's path → layer's name → layer's path
        self._anywhere: dict[str, list[str]] = {}
        for path, found in said.items():
            name = found.get("name")
            if isinstance(name, str):
                self._inside.setdefault(path.rpartition("/")[0], {}).setdefault(name, path)
                self._anywhere.setdefault(name, []).append(path)

    @property
    def version(self) -> str | None:
        """Keras's version, which models carry."""
        versions = (found.get("keras_version") for found in self.said.values())
        return next((version for version in versions if isinstance(version, str)), None)

    # The naming scheme.

    def places(self, scope: str, model: Model) -> list[str]:
        return [self._place(scope, layer.name) for layer in model.layers]

    def _place(self, scope: str, name: str) -> str:
        own = self._inside.get(scope, {}).get(name)
        others = self._anywhere.get(name, [])  # a layer that two models share is reached through one of them
        return own or (others[0] if len(others) == 1 else f"{scope}/?{name}".lstrip("/"))

    def within(self, place: str) -> str:
        return place

    def wrapped(self, place: str) -> str:
        return f"{place}/layer"

    def cell(self, place: str, rnn: Layer, index: int) -> tuple[str, str]:  # noqa: ARG002
        return f"{place}/cell/cells/{index}", ""

    def has(self, place: str) -> bool:
        return any(name.startswith(f"{place}/") for name in self._tensors)

    # What the layers are.

    def declared(self, limits: Limits) -> list[Declared]:
        """One for each layer with tensors, in the order of the objects."""
        return list(self._declared(limits))

    def _declared(self, limits: Limits) -> Iterator[Declared]:
        done: list[str] = []
        for path in sorted(self.said, key=lambda path: path.count("/") + bool(path)):
            if any(not above or path == above or path.startswith(f"{above}/") for above in done):
                continue
            found = self.said[path]
            model = model_of(found, limits)
            if model is not None:
                done.append(path)
                yield from declare(model, self, self.version, where=path)
            elif self._is_layer(path):
                done.append(path)
                yield from self._layer(path, inner_of(found))

    def _is_layer(self, path: str) -> bool:
        """A layer, and not one of the user's own around others."""
        if self.kinds.get(path) not in _LAYERS:
            return False
        below = [other for other in self.said if other.startswith(f"{path}/") and self.kinds.get(other) in _LAYERS]
        inner = [other for other in below if not other.startswith(f"{path}/cell")]
        return self.kinds[path] == _LAYERS[1] or self.said[path].get("class_name") in _WRAPPERS or not inner

    def _layer(self, path: str, layer: Layer) -> Iterator[Declared]:
        after: tuple[str, ...] = ()
        for part in unwrap(layer, path, self):
            if self.has(part.path):
                cell = ("cells", str(part.settings["cell"])) if "cells" in part.settings else ()
                name = "/".join((layer.name, *cell))
                yield Declared(part.path, part.kind, part.settings, name, after, self.version, part.member)
            after = (part.path,)


def keras_objects(folder: Folder, objects: Cursor | None, tensors: tuple[str, ...], limits: Limits) -> KerasObjects:
    """Keras's objects of a SavedModel; none where Keras did not write it."""
    if METADATA in folder:
        nodes = _SAVED.read(folder.open(METADATA).cursor(where=METADATA), limits)["nodes"]
        named = [(node.get("path", "root"), node.get("identifier", ""), node.get("text", "")) for node in nodes]
        rows = [(path.removeprefix("root").lstrip(".").replace(".", "/"), kind, text) for path, kind, text in named]
    else:
        rows = list(_in_objects(objects, limits)) if objects is not None else []
    said, kinds = {}, {}
    for path, kind, text in rows:
        if kind.startswith("_tf_keras") and text:
            said[path], kinds[path] = _parsed(text, limits), kind
    return KerasObjects(said, kinds, tensors)


def _in_objects(objects: Cursor, limits: Limits) -> Iterator[tuple[str, str, str]]:
    nodes = _OBJECTS.read(objects, limits)["nodes"]
    for number, path in paths_through(children_of(nodes)).items():
        user = nodes[number].get("user", {}) if number < len(nodes) else {}
        yield path, user.get("identifier", ""), user.get("text", "")


def _parsed(text: str, limits: Limits) -> dict[str, Any]:
    limits.check("header_bytes", len(text), where="Keras metadata")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(
            f"the metadata of a Keras object is not sound JSON: {error}.", where="Keras metadata"
        ) from None
    return _without_tuples(found) if isinstance(found, dict) else {}


def _without_tuples(value: Any) -> Any:
    """Keras spells a tuple ``{"class_name": "__tuple__", "items": [...]}``."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
            return [_without_tuples(item) for item in value["items"]]
        return {key: _without_tuples(item) for key, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list) else value
