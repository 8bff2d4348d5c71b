"""Keras's two HDF5 formats: ``.h5`` (Keras 1, 2, tf.keras, Keras 3's legacy form) and ``.weights.h5``.

What is here is what telling the formats apart needs; reading and writing are in ``_keras_h5`` and ``_keras_write``,
which are imported when they are used.
"""

from __future__ import annotations

import functools

from ..source import Source
from . import Container, later
from ._hdf5_messages import SIGNATURE

_LEGACY, _VARS = "keras-h5", "keras-weights-h5"
_scheme = later("._keras_h5", "scheme")


def _claims(scheme: str, source: Source) -> bool:
    return bytes(source.data[:8]) == SIGNATURE and _scheme(source) == scheme


CONTAINERS = (
    Container(
        _LEGACY,
        title="Keras HDF5 (.h5)",
        source="files of Keras 1.2 to 3.15; keras/src/legacy/saving/legacy_h5_format.py",
        claims=functools.partial(_claims, _LEGACY),
        read=later("._keras_h5", "read_legacy"),
        write=later("._keras_write", "write_keras_h5"),
        draft=later("._keras_draft", "draft_of_h5"),
        suffixes=(".h5", ".hdf5"),
        naming="keras-vars",
        frameworks=("keras",),
        tells=True,
        magic=((0, SIGNATURE),),
        rank=30,
    ),
    Container(
        _VARS,
        title="Keras weights (.weights.h5)",
        source="files of tf.keras 2.12 and Keras 3; keras/src/saving/saving_lib.py",
        claims=functools.partial(_claims, _VARS),
        read=later("._keras_h5", "read_vars"),
        write=later("._keras_write", "write_weights_h5"),
        suffixes=(".weights.h5",),
        naming="keras-vars",
        frameworks=("keras",),
        magic=((0, SIGNATURE),),
        rank=31,
    ),
)
