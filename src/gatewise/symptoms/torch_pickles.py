"""PyTorch's recurrent modules, pickled whole, and their attributes.  Tables only."""

from __future__ import annotations

from ._symptom import Symptom

SYMPTOMS = (
    Symptom(
        "GW104",
        title="'LSTM' object has no attribute '_flat_weights_names'",
        says=("'{class}' object has no attribute '<_flat_weights_names>'",),
        cause="x", fix="y", versions="z",
        threads=("flairNLP/flair#1360",),
    ),
)
