"""Bare weights that Keras 3's ``load_weights`` refuses, or for which the model must be built in a certain way.

CuDNN layers and Keras 1 keep other arrays than the LSTM and GRU of Keras 3; they are put into today's.  A GRU whose
reset comes before the product has one bias, and Keras 3's default has two.
Source: keras/src/legacy/saving/legacy_h5_format.py, ``load_weights_from_hdf5_group`` of Keras 3.15.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..checkpoint import Checkpoint, Layer
from ..conventions import ONE_ROUNDING
from . import LOAD, Ailment, Finding, Outcome, Patient, Remedy
from ._keras_renew import keras_layers, make_modern

CUDNN, CUDNN_GRU, KERAS_1, RESET = "GW212", "GW214", "GW209", "GW216"
_AFFECTS = "keras>=3"


def examine(patient: Patient) -> Iterable[Finding]:
    checkpoint = patient.checkpoint
    if checkpoint is None or checkpoint.tensors.container != "keras-h5" or "config" in checkpoint.tensors.metadata:
        return
    for index, layer in enumerate(keras_layers(checkpoint)):
        yield from _finding(checkpoint, layer, index)


def _finding(checkpoint: Checkpoint, layer: Layer, order: int) -> Iterator[Finding]:
    at = _group_index(checkpoint, layer)
    if layer.layout.startswith("keras.CuDNN"):
        exactness = ONE_ROUNDING if layer.cell == "lstm" else "exact"
        yield Finding(
            CUDNN if layer.cell == "lstm" else CUDNN_GRU, "breaks", layer.name,
            f"{layer.name} holds the arrays of a {layer.layout.partition('.')[2]}.",
            "It has two biases where the plain layer has one row, and its kernels are re-labelled: unlike the bias, nothing would show that.",
            _AFFECTS, Remedy("the arrays of the plain layer (sigmoid gates; GRU: reset_after)", exactness),
            (_refused(f"ValueError: Shape mismatch in layer #{at} (named "),), order,
        )  # fmt: skip
    elif layer.layout.startswith("keras1.") and not layer.layout.endswith(("-gpu", "SimpleRNN")):
        yield Finding(
            KERAS_1, "breaks", layer.name, f"{layer.name} has an array for each gate, as Keras 1 kept them.",
            "Keras 3 wants three: the gates of a role side by side.", _AFFECTS, Remedy("the gates' arrays joined", "exact"),
            (_refused(f"ValueError: Weight count mismatch for layer #{at} (named "),), order,
        )  # fmt: skip
    elif layer.cell == "gru" and layer.dialect.reset == "before" and layer.spec.bias != "none":
        yield Finding(
            RESET, "note", layer.name, f"{layer.name} is a GRU that resets before the product: it has one bias.",
            "Keras 3's default resets after it and has two. Build the layer with reset_after=False.", _AFFECTS, None,
            (_refused(f"ValueError: Shape mismatch in layer #{at} (named "),), order,
        )  # fmt: skip


def _refused(error: str) -> Outcome:
    return Outcome(">=3", "load_weights into Keras 3's plain layers fails", LOAD, error)


def _group_index(checkpoint: Checkpoint, layer: Layer) -> int:
    """Which of the groups that hold weights the layer's is."""
    groups = checkpoint.tensors.metadata.get("groups", ())
    held = [group for group in groups if any(name.startswith(f"{group}/") for name in checkpoint.tensors)]
    _, _, name = next(layer.match.places())
    return next((index for index, group in enumerate(held) if name.startswith(f"{group}/")), 0)


def treat(patient: Patient, finding: Finding) -> str:
    if finding.remedy is None or patient.checkpoint is None:
        return ""
    make_modern(patient.draft, patient.checkpoint)
    return finding.remedy.what


AILMENT = Ailment(
    "keras_bare_weights",
    "Bare Keras weights that do not fit today's layers",
    {
        CUDNN: "Bare weights of a CuDNNLSTM, whose bias does not fit an LSTM and whose kernels would be misread.",
        CUDNN_GRU: "Bare weights of a CuDNNGRU, whose bias does not fit a GRU and whose kernels would be misread.",
        KERAS_1: "Bare weights of Keras 1, with an array for each gate.",
        RESET: "Bare weights of a GRU that resets before the product; Keras 3's default does so after.",
    },
    examine,
    treat,
    source="keras/src/legacy/saving/legacy_h5_format.py",
)
