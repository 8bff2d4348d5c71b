"""TensorFlow's own formats, told by name: SavedModel folders and checkpoints, which Keras 3 does not load.

A SavedModel is a folder with ``saved_model.pb``; a checkpoint is ``NAME.index`` beside ``NAME.data-00000-of-00001``,
and is given by NAME, which is no file.  gatewise reads both; Keras 3 does neither.
Source: keras/src/saving/saving_api.py of Keras 3.15.1, ``load_model``; tried on TensorFlow 1.15 to 2.15's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from . import LOAD, Ailment, Finding, Outcome, Patient

CODE = "GW207"
_READ = {"tf-checkpoint": "a TensorFlow checkpoint", "tf-saved-model": "a SavedModel", "tf-graph": "a TensorFlow graph"}
_PARTS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def kind_of(path: str) -> str:
    """``a SavedModel``, ``a TensorFlow checkpoint``, or "" for anything else."""
    if Path(path).is_dir():
        return "a SavedModel" if (Path(path) / "saved_model.pb").is_file() else ""
    return "a TensorFlow checkpoint" if Path(f"{_PARTS.sub('', path)}.index").is_file() else ""


def examine(patient: Patient) -> Iterable[Finding]:
    path = patient.checkpoint.path if patient.checkpoint else patient.path
    kind = _READ.get(patient.checkpoint.tensors.container, "") if patient.checkpoint else kind_of(path) if path else ""
    if kind:
        yield Finding(
            CODE, "breaks", "", f"This is {kind}.",
            "Keras 3 loads .keras, .h5 and .weights.h5 only. `gatewise convert` takes its recurrent layers into a .keras file, without "
            "TensorFlow; the whole model goes through tf.keras 2.15, which saves it as .h5. In Keras 3 with TensorFlow, "
            "keras.layers.TFSMLayer runs a SavedModel, without its layers.", "keras>=3", None,
            (Outcome(">=3", "fails in load_model", LOAD, f"ValueError: File format not supported: filepath={path}."),),
        )  # fmt: skip


AILMENT = Ailment(
    "tensorflow_files",
    "TensorFlow's own formats in Keras 3",
    {CODE: "A SavedModel or a TensorFlow checkpoint, which Keras 3 does not load."},
    examine,
    source="keras/src/saving/saving_api.py, load_model",
)
