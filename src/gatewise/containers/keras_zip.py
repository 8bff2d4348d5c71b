"""``.keras``: a zip archive of config.json, metadata.json and model.weights.h5 (tf.keras >= 2.12, Keras 3).

The HDF5 member is opened in place: it is stored, so its tensors are views of the mapped archive.  The config gives the
model's order and the layers' settings; it is read as text and never built, so a Lambda layer's code stays asleep.
Source: keras/src/saving/saving_lib.py of Keras 3.15.1 and files of tf.keras 2.15 and Keras 3.15.
Not known here: assets, and weights in a member other than model.weights.h5.
"""

from __future__ import annotations

from ..errors import BrokenFile, few
from ..source import Source
from ..tensors import Declared, Tensors, WrittenBy
from . import Container, later
from ._zip import ZipFile, looks_like_zip, zip_of

TYPE_CHECKING = False  # as typing's, without its import (see record)
if TYPE_CHECKING:
    from typing import Any

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def claims(source: Source) -> bool:
    """A zip archive with a config and either of what stands beside it."""
    if not looks_like_zip(source):
        return False
    archive = zip_of(source)
    return CONFIG in archive and (WEIGHTS in archive or METADATA in archive)


def read(source: Source) -> Tensors:
    from ._hdf5 import Bytes
    from ._keras_h5 import declared_of, in_model_order, named_groups, vars_tensors
    from ._keras_names import VarsNames

    archive = zip_of(source)
    if WEIGHTS not in archive:
        others = few(name for name in archive if name.startswith("model.weights")) or "none"
        raise BrokenFile(
            f"has no member {WEIGHTS} (weights found: {others}).",
            path=source.name,
            next="Save the model with the default weights format.",
        )
    config, about = _json(archive, CONFIG), _json(archive, METADATA) if METADATA in archive else {}
    version = about.get("keras_version")
    version = version if isinstance(version, str) else None
    weights = Bytes(source, archive.read(WEIGHTS), f"member {WEIGHTS}")
    tensors, groups, notes = weights.read(vars_tensors)
    names = VarsNames(groups, [tensor.name for tensor in tensors])
    declared = declared_of(config, names, version, source, notes) or named_groups(groups)
    return Tensors(
        in_model_order(tensors, declared),
        path=source.name,
        container="keras-zip",
        bytes=source.size,
        naming="keras-vars",
        declared=declared,
        written_by=[_writer(version)],
        notes=[*notes, *_unclaimed(declared, tensors)],
        metadata={"config": config, **about},
    )


def _json(archive: ZipFile, name: str) -> dict[str, Any]:
    from ._keras_config import parse

    return parse(bytes(archive.header(name)), archive.source.limits, f"member {name}")


def _writer(version: str | None) -> WrittenBy:
    from ._keras_h5 import framework_of

    if version is None:
        return WrittenBy("keras", "", "a zip of config.json and model.weights.h5: Keras >= 3 or tf.keras >= 2.12")
    return WrittenBy(framework_of(version), version, f"keras_version in {METADATA}")


def _unclaimed(declared: list[Declared], tensors: Any) -> list[str]:
    """A note when tensors belong to no layer of the config, as in a model with layers in plain attributes."""
    paths = tuple(f"{entry.path}/" for entry in declared)
    spare = [tensor.name for tensor in tensors if not tensor.name.startswith(paths)]
    return [f"{len(spare)} tensors belong to no layer of the config, the first is {spare[0]}."] if spare else []


CONTAINERS = (
    Container(
        "keras-zip",
        title="Keras model (.keras)",
        source="files of tf.keras 2.15 and Keras 3.15; keras/src/saving/saving_lib.py",
        claims=claims,
        read=read,
        write=later("._keras_write", "write_keras_zip"),
        draft=later("._keras_draft", "draft_of_zip"),
        suffixes=(".keras",),
        naming="keras-vars",
        frameworks=("keras",),
        tells=True,
        magic=((0, b"PK\x03\x04"), (0, b"PK\x05\x06")),
        members=("config.json",),
        rank=32,
    ),
)
